//! `coordha run`: a command under an election, for programs that cannot link the library.
//!
//! Four kinds of process: this one, which stands in the election; the command (`exec`), at most one at a time; its parent, the
//! keeper, to which all comes that it leaves behind; and the guardian, which kills the command where this one cannot. Here
//! the first thread does all that concerns the command (`supervisor`), and never waits for anything but the next event.

mod cgroup;
mod child;
mod clock;
mod exec;
mod guardian;
mod http;
mod keeper;
mod restart;
mod say;
mod signals;
mod supervisor;
mod tell;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use coordha::config::{Config, Resolved, keys};
use coordha::session::Session;
use nix::sys::signal::Signal;
use rustix::fs::{Access, access};

use self::cgroup::Cgroup;
use self::guardian::Guardian;
use self::restart::Restart;
use self::supervisor::{Plan, Supervisor};
use self::tell::Tell;
use crate::exit::{FAILED, Failure, USAGE};
use crate::options::Options;
use crate::{help, log};

/// How long the end waits for one who reads stderr slowly, or not at all.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// The most that activation.timeout_ms may be.
const LONGEST_ACTIVATION: Duration = Duration::from_millis(3_600_000);
/// Unless --grace-ms says otherwise.
const GRACE_MS: u64 = 8000;

/// Run a command under an election: started when active, stopped before the role is lost
///
/// The command finds HA_ROLE, HA_ADDRESS, HA_TOKEN (the fencing token), HA_SERVER_ID, HA_ACTIVE_KEY and HA_STATE in its
/// environment, and inherits stdin, stdout and stderr. SIGTERM or SIGINT stops it in order, then releases the role; a second one,
/// half a second later or more, kills it at once. Guide: docs/run.md.
#[derive(Parser)]
#[command(after_long_help = help::end(
    &[
        "coordha run --role indexer --address 10.0.0.5:7000 --active-standby -- ./indexer --port 7000",
        "coordha run --role rootcoord --config milvus.yaml --listen 127.0.0.1:9480 -- ./rootcoord",
    ],
    &[
        ("0", "stopped in order, as asked; or the command ended with 0 and is not restarted"),
        help::FAILED,
        ("2", "wrong command line, configuration key, value or file; nothing was started"),
        ("3", "the store is damaged, of another version or set back; else it is tried again"),
        ("4", "another one holds the role, and --active-standby was not given"),
        ("126, 127", "the command cannot be started, and is not restarted"),
        ("*", "the command's own, or 128 and its signal, where it is not restarted"),
    ],
))]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// Where clients reach the command, told to them and to others of the role (key `address`). Required, here or there
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// Stand by while another one holds the role (key `active_standby.enabled`). Default: off, it fails then
    #[arg(long)]
    active_standby: bool,
    /// Serve /healthz, /readyz, /role and /metrics there. Default: nowhere
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// What tells the command to stop: TERM, INT, USR1 and so on, with or without SIG
    #[arg(long, value_name = "SIGNAL", default_value = "TERM", value_parser = tell::stop_signal)]
    stop_signal: Signal,
    /// How long it may take to stop before it is killed, from 0 to 3599000 ms. Key deactivation.timeout_ms is this and a second
    /// where it is not set, else half a second more at least [default: 8000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=3_599_000))]
    grace_ms: Option<u64>,
    /// Whether it is started again when it ends by itself
    #[arg(long, value_enum, default_value_t = Restart::Always)]
    restart: Restart,
    /// Pause before that, from 0 to 600000 ms, doubling up to 30 s; begins anew after a run of a minute
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(0..=600_000))]
    restart_backoff_ms: u64,
    /// A shell command to run while standing by; it has ended before the command is started. Default: none
    #[arg(long, value_name = "COMMAND", conflicts_with = "warm")]
    standby: Option<String>,
    /// Start the command at once, standing by, and tell it when it is active
    #[arg(long, requires = "tell")]
    warm: bool,
    /// How to tell a warm command: signal:NAME, file:PATH, socket:PATH. May be repeated. Required by --warm
    #[arg(long, value_name = "HOW", requires = "warm")]
    tell: Vec<Tell>,
    /// The command is active once a GET of this is answered with 2xx, within activation.timeout_ms (60 s by default): else it is
    /// stopped, and the role given up for another one to try. Default: once it was started
    #[arg(long, value_name = "URL", value_parser = http_url)]
    ready_url: Option<String>,
    /// A cgroup for the command: below the own one, where that can be made; none; or below this directory
    #[arg(long, value_name = "auto|off|DIRECTORY", default_value = "auto")]
    cgroup: PathBuf,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn http_url(url: &str) -> Result<String, String> {
    let parsed = url.parse::<ureq::http::Uri>().ok().filter(|_| url.starts_with("http://"));
    if parsed.is_some_and(|parsed| parsed.host().is_some_and(|host| !host.is_empty())) {
        Ok(url.to_owned())
    } else {
        Err("allowed: http://HOST:PORT/PATH".into())
    }
}

/// Does what `coordha run` starts this program for once more; `None`: this is not that. No subcommands, as they are nobody's to
/// call.
pub(crate) fn as_part() -> Option<ExitCode> {
    fn parsed<T: Parser>() -> Result<T, Failure> {
        T::try_parse_from(std::env::args_os().skip(1)).map_err(|refusal| Failure::new(USAGE, refusal.to_string()))
    }
    let done = match std::env::args_os().nth(1)?.to_str()? {
        "__exec" => parsed().and_then(|args| exec::run(&args)),
        "__keep" => parsed().and_then(|args| keeper::run(&args)),
        "__guard" => parsed().and_then(|args| guardian::run(&args)),
        _ => return None,
    };
    Some(done.unwrap_or_else(Failure::tell))
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut config = args.config()?;
    let resolved = config.resolve()?;
    if resolved.auto {
        let why = format!("{} = true: `coordha run` says ready itself (allowed: false)", keys::ACTIVATION_AUTO);
        return Err(Failure::new(USAGE, why));
    }
    let command = &args.command[0];
    if !is_executable(command) {
        return Err(Failure::new(USAGE, format!("command {}: not found, or not executable", command.display())));
    }
    let plan = args.plan(&resolved)?;
    // By its own limit the session gives the role up at once, and the command would be killed for it: it is told to stop before.
    let limit = (resolved.activation_timeout + resolved.deactivation_timeout).min(LONGEST_ACTIVATION);
    config.set(keys::ACTIVATION_TIMEOUT_MS, &limit.as_millis().to_string())?;
    let listener = args.listen.as_deref().map(http::bind).transpose()?;
    log::init(&config)?;
    let failed = |what: &str, error: std::io::Error| Failure::new(FAILED, format!("{what}: {error}"));
    // Before the first thread is started: all of them leave these to the supervisor.
    let mask = signals::supervised();
    mask.thread_block().map_err(|e| failed("signals", e.into()))?;
    let written = log::detach();
    // Orphans of the command come to this process, which can then kill them.
    let takes_orphans = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    takes_orphans.map_err(|e| failed("PR_SET_CHILD_SUBREAPER", e.into()))?;
    let inherited = child::children(std::process::id());
    let cgroup = args.cgroup()?;
    let guardian = Guardian::start(cgroup.as_ref()).map_err(|e| failed("guardian", e))?;
    let mut builder = Session::builder().config(config);
    builder = match &cgroup {
        Some(cgroup) => builder.cgroup(cgroup.directory()),
        None => builder.set(keys::ELECTION_SAME_HOST_PROOF, false),
    };
    let session = match builder.start() {
        Ok(session) => session,
        Err(error) => {
            guardian.dismiss();
            return Err(error.into());
        }
    };
    let board = http::Board::new(session.clone(), &resolved.address).map_err(|e| failed("eventfd", e))?;
    if let Some(listener) = listener {
        http::serve(listener, board.clone())?;
    }
    let supervisor = Supervisor::new(plan, session, board, cgroup, guardian, inherited, &mask);
    let ended = supervisor.map_err(|e| failed("supervisor", e))?.run();
    drop(written);
    Ok(ended.unwrap_or_else(|failure| failure.tell_within(LAST_WAIT)))
}

impl Args {
    fn config(&self) -> Result<Config, Failure> {
        let mut config = self.options.load()?;
        if let Some(address) = &self.address {
            config.set(keys::ADDRESS, address)?;
        }
        if self.active_standby {
            config.set(keys::ACTIVE_STANDBY_ENABLED, "true")?;
        }
        config.set_default(keys::DEACTIVATION_TIMEOUT_MS, &(self.grace_ms.unwrap_or(GRACE_MS) + 1000).to_string())?;
        config.set_default(keys::ACTIVATION_BACKOFF_MS, &self.restart_backoff_ms.to_string())?;
        Ok(config)
    }

    fn cgroup(&self) -> Result<Option<Cgroup>, Failure> {
        if self.cgroup == Path::new("off") {
            return Ok(None);
        }
        if self.cgroup == Path::new("auto") {
            let made = Cgroup::create(None);
            let told = made.inspect_err(|why| {
                tracing::info!(target: "coordha::run", "no cgroup for the command ({why}): its process group counts");
            });
            return Ok(told.ok());
        }
        let made = Cgroup::create(Some(&self.cgroup));
        let allowed = "allowed: auto, off, or the directory of a cgroup (v2) that this user may write in";
        made.map(Some)
            .map_err(|why| Failure::new(USAGE, format!("--cgroup {}: {why} ({allowed})", self.cgroup.display())))
    }

    /// What the command may take to stop: it must be dead when the session's own patience, `limit`, ends.
    fn grace(&self, limit: Duration) -> Result<Duration, Failure> {
        let most = limit - (limit / 10).min(Duration::from_millis(500));
        let Some(asked) = self.grace_ms else { return Ok(most.min(Duration::from_millis(GRACE_MS))) };
        let grace = Duration::from_millis(asked);
        if grace > most {
            let (key, limit, most) = (keys::DEACTIVATION_TIMEOUT_MS, limit.as_millis(), most.as_millis());
            let why =
                format!("--grace-ms {asked}: too long for {key} = {limit} (allowed: 0 to {most}, or a longer {key})");
            return Err(Failure::new(USAGE, why));
        }
        Ok(grace)
    }

    fn plan(&self, resolved: &Resolved) -> Result<Plan, Failure> {
        for tell in &self.tell {
            tell.check().map_err(|why| Failure::new(USAGE, format!("--tell {tell}: {why}")))?;
        }
        Ok(Plan {
            command: self.command.clone(),
            standby: self.standby.as_ref().map(|line| vec!["/bin/sh".into(), "-c".into(), line.into()]),
            warm: self.warm,
            tells: self.tell.clone(),
            ready_url: self.ready_url.clone(),
            stop_signal: self.stop_signal,
            grace: self.grace(resolved.deactivation_timeout)?,
            ready_within: resolved.activation_timeout,
            restart: self.restart,
            backoff: Duration::from_millis(self.restart_backoff_ms),
            hold: resolved.hold,
        })
    }
}

/// Whether there is a program of that name, where a shell would look for it.
fn is_executable(command: &OsStr) -> bool {
    let may_run = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if command.as_encoded_bytes().contains(&b'/') {
        return may_run(Path::new(command));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&path).any(|directory| may_run(&directory.join(command)))
}
