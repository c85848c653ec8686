//! Candidates of an election in processes of their own: ours, and those of etcd's own recipe. Both say `standby`, `active`,
//! `leaving` and when; ours also `activate`, the moment at which its callback is called.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use coordha::config::{Config, keys};
use coordha::session::{Answer, Callbacks, Event, EventKind, Session, Until};

use crate::harness::child::Talker;
use crate::harness::samples::{Samples, now_ns};

/// A standby that has said so still opens its watch; with this pause no run begins before that.
pub(crate) const SETTLE: Duration = Duration::from_millis(200);

/// Who stands in the election.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Ours, with these configuration keys and values.
    Ours(Vec<(&'static str, String)>),
    /// `benches/peer`.
    Peer { program: PathBuf, endpoint: String, election: String, ttl_s: u32 },
}

impl Kind {
    /// Ours with the default settings, in an election of this name.
    pub(crate) fn ours(store: &str, role: &str) -> Self {
        let on = (keys::ACTIVE_STANDBY_ENABLED, "true".to_owned());
        Self::Ours(vec![(keys::STORE_URL, store.to_owned()), (keys::ROLE, role.to_owned()), on])
    }

    /// One more key.
    pub(crate) fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        if let Self::Ours(keys) = &mut self {
            keys.push((key, value.to_string()));
        }
        self
    }

    fn start(&self, port: usize) -> Result<Talker> {
        match self {
            Self::Ours(keys) => {
                let mut arguments = vec!["candidate".to_owned()];
                arguments.extend(keys.iter().map(|(key, value)| format!("{key}={value}")));
                arguments.push(format!("{}=127.0.0.1:{port}", keys::ADDRESS));
                Talker::start_own(&arguments)
            }
            Self::Peer { program, endpoint, election, ttl_s } => {
                let mut command = Command::new(program);
                command.args(["-endpoints", endpoint, "-election", election]);
                command.args(["-ttl", &ttl_s.to_string()]);
                Talker::start(&command)
            }
        }
    }

    /// Asks the active one to leave.
    fn leave(&self, active: &mut Talker) -> Result<()> {
        match self {
            Self::Ours(_) => {
                active.end_input();
                Ok(())
            }
            Self::Peer { .. } => active.terminate().map(drop),
        }
    }

    /// The state in which the standby's program learns that it leads.
    fn called(&self) -> &'static str {
        match self {
            Self::Ours(_) => "activate",
            Self::Peer { .. } => "active",
        }
    }

    /// From a SIGKILL of the active one to the standby's being active, so many times, each in an election of its own: the
    /// key of a dead member stays until its lease ends. `pause` is waited for before each, so that the kill comes at any time
    /// between two renewals.
    pub(crate) fn kills(&self, times: usize, pause: impl Fn() -> Duration) -> Result<Samples> {
        let mut samples = Samples::default();
        for n in 0..times {
            let kind = self.numbered(n);
            let mut active = kind.start(1)?;
            active.expect("active")?;
            let mut standby = kind.start(2)?;
            standby.expect("standby")?;
            thread::sleep(SETTLE + pause());
            let from = active.kill()?;
            samples.add(from, standby.expect("active")?);
            active.wait()?;
            kind.leave(&mut standby)?;
            standby.wait()?;
        }
        Ok(samples)
    }

    /// The same in another election.
    fn numbered(&self, n: usize) -> Self {
        let mut kind = self.clone();
        match &mut kind {
            Self::Ours(keys) => {
                for (_, role) in keys.iter_mut().filter(|(key, _)| *key == keys::ROLE) {
                    *role += &format!("_{n}");
                }
            }
            Self::Peer { election, .. } => *election += &format!("/{n}"),
        }
        kind
    }
}

/// An election whose active one leaves again and again.
pub(crate) struct Leaves {
    kind: Kind,
    active: Talker,
    /// From the request to leave to the moment at which the standby's program is called.
    pub(crate) samples: Samples,
}

impl Leaves {
    pub(crate) fn start(kind: Kind) -> Result<Self> {
        let active = kind.start(1)?;
        active.expect("active")?;
        Ok(Self { kind, active, samples: Samples::default() })
    }

    /// One more, to a new standby.
    pub(crate) fn run(&mut self) -> Result<()> {
        let standby = self.kind.start(self.samples.len() % 2 + 2)?;
        standby.expect("standby")?;
        thread::sleep(SETTLE);
        let mut leaver = std::mem::replace(&mut self.active, standby);
        self.kind.leave(&mut leaver)?;
        let from = leaver.expect("leaving")?;
        let to = self.active.expect(self.kind.called())?;
        self.samples.add(from, to);
        leaver.wait()
    }
}

/// Says that a state began at `at`.
pub(crate) fn say(state: &str, at: i64) {
    println!("{state} {at}");
}

struct Says;

impl Callbacks for Says {
    fn on_activate(&mut self, _: &Session, _: &Event) -> Answer {
        let at = now_ns();
        say("activate", at);
        Answer::Done
    }

    fn on_event(&mut self, _: &Session, event: &Event) {
        let at = now_ns();
        match event.kind() {
            EventKind::Standby => say("standby", at),
            EventKind::Active => say("active", at),
            _ => {}
        }
    }
}

/// The child: one of our sessions, until its input ends. The arguments are `key=value`.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut config = Config::new();
    for argument in arguments {
        let (key, value) = argument.split_once('=').context("key=value")?;
        config.set(key, value)?;
    }
    let session = Session::start(&config, Some(Box::new(Says)))?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    let at = now_ns();
    session.request_stop();
    say("leaving", at);
    Ok(session.wait(Until::Ended, None)?)
}
