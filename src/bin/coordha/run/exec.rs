//! `coordha __exec`: what becomes the command. It ties its life to its keeper, joins the cgroup, stops itself, and goes on
//! as the command once it is told to: so it stands ready, and is known to the guardian before anything acts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;
use rustix::process::{Signal, getpid, getppid, kill_process, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use super::{cgroup, clock};
use crate::exit::Failure;

/// As shells say it.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;
/// It never came to the command.
pub(super) const NOT_READY: u8 = 125;
/// What stands in the place of the orders where they came too late.
pub(super) const LATE: &[u8] = b"late";

#[derive(Parser)]
pub(super) struct Args {
    #[arg(long)]
    pub(super) parent: u32,
    #[arg(long)]
    cgroup: Option<PathBuf>,
    /// Where the orders will stand
    #[arg(long)]
    orders: Option<PathBuf>,
    /// Join the cgroup and leave
    #[arg(long)]
    probe: bool,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Args {
    /// The same for `__exec` below this parent.
    pub(super) fn of_program(&self, parent: u32) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["__exec".into(), "--parent".into(), parent.to_string().into()];
        for (name, path) in [("--cgroup", &self.cgroup), ("--orders", &self.orders)] {
            args.extend(path.iter().flat_map(|path| [name.into(), path.into()]));
        }
        args.push("--".into());
        args.extend(self.command.iter().cloned());
        args
    }
}

/// What is known only when it is time to go.
#[derive(Serialize, Deserialize)]
pub(super) struct Orders {
    /// It is too late from then on; 0: never.
    pub(super) until: clock::Instant,
    /// Variables, those without a value to be removed.
    pub(super) environment: BTreeMap<String, Option<String>>,
}

/// This program, as it can be started again also where its file was replaced meanwhile.
pub(super) fn program() -> io::Result<PathBuf> {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { Ok(link) } else { std::env::current_exe() }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let not_ready = |what: &str, error: io::Error| Failure::new(NOT_READY, format!("{what}: {error}"));
    let _ = rustix::thread::set_name(c"coordha-exec");
    // Inherited.
    super::signals::supervised().thread_unblock().map_err(|e| not_ready("signals", e.into()))?;
    // First this, then the look at the parent: it may have died in between.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| not_ready("PR_SET_PDEATHSIG", e.into()))?;
    if let Some(directory) = &args.cgroup {
        let joined = cgroup::join(directory);
        joined.map_err(|e| not_ready(&directory.display().to_string(), e))?;
    }
    if args.probe {
        return Ok(ExitCode::SUCCESS);
    }
    let orders = loop {
        if !parent_lives(args.parent) {
            return Ok(ExitCode::from(NOT_READY));
        }
        kill_process(getpid(), Signal::STOP).map_err(|e| not_ready("SIGSTOP", e.into()))?;
        if let Some(orders) = args.orders.as_ref().and_then(|path| std::fs::read(path).ok())
            && let Ok(orders) = serde_json::from_slice::<Orders>(&orders)
        {
            break orders;
        }
        // Somebody else has sent SIGCONT.
    };
    if !parent_lives(args.parent) {
        return Ok(ExitCode::from(NOT_READY));
    }
    if orders.until != 0 && clock::now() >= orders.until {
        // Nobody reads it where that fails: `coordha run` is dead.
        let _ = args.orders.as_ref().map(|path| std::fs::write(path, LATE));
        return Ok(ExitCode::from(NOT_READY));
    }
    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]);
    for (name, value) in &orders.environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let error = command.exec();
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
    Err(Failure::new(code, format!("{}: {error}", args.command[0].display())))
}

fn parent_lives(expected: u32) -> bool {
    getppid().is_some_and(|parent| u32::try_from(parent.as_raw_nonzero().get()) == Ok(expected))
}
