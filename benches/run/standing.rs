//! Two contenders with a command each, again and again: the active one, or its command, is ended, and the standby's command runs.

use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;

use crate::harness::child::Talker;
use crate::harness::samples::Samples;
use crate::marks::{Mark, Marks};
use crate::support::etcd::Etcd;
use crate::support::wait::until;

/// A standby that has said so still opens its watch; with this pause no run begins before that.
pub(crate) const SETTLE: Duration = Duration::from_millis(150);

/// Between two renewals of `coordha run`, at its default settings.
const RENEWAL: Duration = Duration::from_millis(1250);

/// What puts the command under an election.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// `coordha run`, with these options.
    Run(&'static [&'static str]),
    /// `etcdctl lock`.
    Lock,
}

/// How the active one is ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// SIGKILL of its command.
    KillCommand,
    /// SIGTERM of what started it.
    Stop,
    /// SIGKILL of what started it.
    Kill,
}

/// `coordha`, as it was built for this run.
pub(crate) fn coordha() -> Command {
    Command::new(env!("CARGO_BIN_EXE_coordha"))
}

pub(crate) fn url(etcd: &Etcd) -> String {
    format!("etcd://{}", etcd.endpoints().join(","))
}

/// Contenders in one election.
pub(crate) struct Standing<'a> {
    kind: Kind,
    etcd: &'a Etcd,
    role: String,
    marks: Marks,
    started: usize,
}

impl<'a> Standing<'a> {
    pub(crate) fn new(kind: Kind, etcd: &'a Etcd, role: impl Into<String>) -> Result<Self> {
        Ok(Self { kind, etcd, role: role.into(), marks: Marks::new()?, started: 0 })
    }

    /// The first, whose command runs.
    pub(crate) fn active(&mut self) -> Result<Contender> {
        let (process, name) = self.start()?;
        let mark = self.marks.next(&name)?;
        Ok(Contender { process, mark })
    }

    /// Another one, which stands by, and the name of its command.
    pub(crate) fn standby(&mut self) -> Result<(Talker, String)> {
        let (process, name) = self.start()?;
        match self.kind {
            Kind::Run(_) => {
                process.says("enter STANDBY mode")?;
            }
            Kind::Lock => until_two(self.etcd, &self.role),
        }
        Ok((process, name))
    }

    fn start(&mut self) -> Result<(Talker, String)> {
        self.started += 1;
        let name = format!("no{}", self.started);
        let program = self.marks.command(&name)?;
        let process = match self.kind {
            Kind::Run(options) => {
                let mut command = coordha();
                command.args(["run", "--active-standby", "--role", &self.role, "--store", &url(self.etcd)]);
                command.args(["--address", &format!("127.0.0.1:{}", self.started)]).args(options).arg("--");
                command.arg(program.get_program()).args(program.get_args());
                Talker::start_logging(&command)?
            }
            Kind::Lock => {
                let mut command = self.etcd.ctl_command(&self.etcd.endpoints(), &["lock", &self.role, "--"]);
                command.arg(program.get_program()).args(program.get_args());
                Talker::start_logging(&command)?
            }
        };
        Ok((process, name))
    }

    /// What the command takes by itself, once more.
    pub(crate) fn bare_start(&self, samples: &mut Samples) -> Result<()> {
        self.marks.bare_start(samples)
    }

    /// One takeover from `active` by a new standby, which is active then.
    pub(crate) fn takeover(&mut self, active: Contender, end: End, samples: &mut Samples) -> Result<Takeover> {
        let (standby, name) = self.standby()?;
        // At any time between two renewals, where that counts.
        let pause = if end == End::Kill { Rng::new().u64(..RENEWAL.as_millis() as u64) } else { 0 };
        thread::sleep(SETTLE + Duration::from_millis(pause));
        let Contender { mut process, mark } = active;
        let from = match end {
            End::KillCommand => mark.kill()?,
            End::Stop => process.terminate()?,
            End::Kill => process.kill()?,
        };
        let next = self.marks.next(&name)?;
        samples.add(from, next.at);
        let old_lives = mark.lives();
        if end == End::KillCommand {
            process.terminate()?;
        }
        process.wait()?;
        Ok(Takeover { active: Contender { process: standby, mark: next }, old_lives })
    }
}

/// One whose command runs.
pub(crate) struct Contender {
    pub(crate) process: Talker,
    mark: Mark,
}

impl Contender {
    /// Ends it in order.
    pub(crate) fn leave(self) -> Result<()> {
        self.process.terminate()?;
        // etcdctl waits for its command, and does not end it.
        drop(self.mark);
        self.process.wait()
    }
}

/// What a takeover leaves.
pub(crate) struct Takeover {
    pub(crate) active: Contender,
    /// The command of the old one ran when that of the new one did.
    pub(crate) old_lives: bool,
}

/// Waits until two contenders of an election of etcdctl have their keys.
pub(crate) fn until_two(etcd: &Etcd, name: &str) {
    until("two keys", || {
        let keys = etcd.ctl(&["get", "--prefix", "--keys-only", &format!("{name}/")]);
        (keys.split_whitespace().count() == 2).then_some(())
    });
}
