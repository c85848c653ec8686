//! The program of a language, as a child, and what it says.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::harness::child::Talker;

/// A language, and how its program is started.
#[derive(Clone, Debug)]
pub(crate) struct Language {
    pub(crate) name: String,
    command: Vec<String>,
}

impl Language {
    pub(crate) fn new((name, command): (String, String)) -> Self {
        Self { name, command: command.split(' ').map(str::to_owned).collect() }
    }

    /// The one that needs no other program.
    pub(crate) fn rust() -> Result<Self> {
        let own = std::env::current_exe()?.display().to_string();
        Ok(Self { name: "Rust".into(), command: vec![own, "child".into()] })
    }

    /// The program alone, without its arguments: of a script, the interpreter.
    pub(crate) fn program(&self) -> &str {
        &self.command[0]
    }

    /// Starts it, so that it has done nothing yet.
    pub(crate) fn start(&self, store: &str, name: &str) -> Result<Program> {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).args([store, name]);
        let talker = Talker::start(&command)?;
        let Made { made_by } = talker.read().with_context(|| self.name.clone())?;
        Ok(Program { talker, made_by })
    }
}

/// Times in ns.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Calls {
    pub(crate) is_active: f64,
    pub(crate) beside: f64,
    pub(crate) holds: f64,
    pub(crate) beside_holds: f64,
}

/// The program has an event of its observer.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Seen {
    pub(crate) token: i64,
    pub(crate) at: i64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Started {
    /// In Go.
    pub(crate) goroutines: Option<usize>,
}

#[derive(Deserialize)]
struct Made {
    made_by: String,
}

/// What the kernel says of a process; memory in kB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    pub(crate) resident: f64,
    /// The part of it that is no file's, and so is this process's alone.
    pub(crate) anonymous: f64,
    pub(crate) threads: f64,
}

pub(crate) struct Program {
    talker: Talker,
    pub(crate) made_by: String,
}

impl Program {
    /// So many sessions, all active.
    pub(crate) fn sessions(&mut self, count: usize) -> Result<Started> {
        self.talker.ask(&format!("start {count}"))
    }

    pub(crate) fn calls(&mut self) -> Result<Calls> {
        self.talker.ask("calls")
    }

    /// Begins to watch, and has heard who is active.
    pub(crate) fn watch(&mut self, how: &str) -> Result<()> {
        let Seen { .. } = self.talker.ask(how)?;
        Ok(())
    }

    /// When it had the event of this revision.
    pub(crate) fn seen(&self, revision: i64) -> Result<i64> {
        loop {
            let seen: Seen = self.talker.read()?;
            if seen.token == revision {
                return Ok(seen.at);
            }
        }
    }

    pub(crate) fn needs(&self) -> Result<Needs> {
        let number = |file: &str, name: &str| {
            let file = format!("/proc/{}/{file}", self.talker.pid());
            let text = fs::read_to_string(&file)?;
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok::<f64, anyhow::Error>(number.with_context(|| format!("no {name} in {file}"))?.parse()?)
        };
        Ok(Needs {
            resident: number("smaps_rollup", "Rss:")?,
            anonymous: number("smaps_rollup", "Anonymous:")?,
            threads: number("status", "Threads:")?,
        })
    }

    /// Ends it in order.
    pub(crate) fn end(mut self) -> Result<()> {
        self.talker.end_input();
        self.talker.wait()
    }
}
