//! The story that is told once a store: a kill -9, a restart, a SIGTERM, and what the standbys make of it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::client::{Clients, Heard};
use crate::clock::now_ms;
use crate::interrupt::Interrupt;
use crate::line::EventLine;
use crate::ports;
use crate::process::{Process, command};
use crate::record::{Fault, FaultKind, Life, Record, State, Takeover};

/// One who plays: a coordinator of this name, of a language, started by a command line.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) name: &'static str,
    pub(crate) language: &'static str,
    pub(crate) command: Vec<OsString>,
}

const ROLE: &str = "rootcoord";

/// The hold time H, as it is by default.
pub(crate) const HOLD_MS: i64 = 5000;
/// The hold time where no death can be proven.
pub(crate) const FAR_HOLD_MS: i64 = 1000;

/// For all that must happen at some time.
const PATIENCE: Duration = Duration::from_secs(30);
/// For looking at what is there.
const DWELL: Duration = Duration::from_millis(1500);
/// How often a wait looks whether the demo was asked to end.
const TICK: Duration = Duration::from_millis(50);

/// What the stories have in common.
pub(crate) struct Stage {
    /// In the order in which they are started: the first becomes active.
    pub(crate) cast: Vec<Actor>,
    /// Where what the coordinators say on stderr is kept.
    pub(crate) logs: PathBuf,
    pub(crate) interrupt: Interrupt,
}

/// A story while it is played.
pub(crate) struct Story<'a> {
    stage: &'a Stage,
    /// `local` or `etcd`.
    store: &'static str,
    url: String,
    addresses: Vec<String>,
    /// By index of the cast: the process, and which life it is.
    running: Vec<Option<(Process, usize)>>,
    record: Record,
    outbox: Sender<Message>,
    inbox: Receiver<Message>,
}

enum Message {
    /// A line of a coordinator's stdout.
    Line(usize, String),
    /// A coordinator's stdout has ended.
    Silence(usize),
    Heard(Heard),
}

impl<'a> Story<'a> {
    pub(crate) fn new(stage: &'a Stage, store: &'static str, url: String) -> Result<Self> {
        let (outbox, inbox) = mpsc::channel();
        let ports = ports::free(stage.cast.len())?;
        Ok(Self {
            stage,
            store,
            url,
            addresses: ports.iter().map(|port| format!("127.0.0.1:{port}")).collect(),
            running: stage.cast.iter().map(|_| None).collect(),
            record: Record::new(now_ms()),
            outbox,
            inbox,
        })
    }

    /// Plays it: kill -9, start again, SIGTERM; on etcd then also a kill -9 of which no proof is to be had.
    pub(crate) fn play(mut self) -> Result<Record> {
        let clients = Clients::start(&self.addresses, &self.outbox, Message::Heard);
        let hold = format!("election.hold_ms={HOLD_MS}");
        self.phase(&format!("all on one host, H = {} s: the kernel proves a death", HOLD_MS / 1000));
        self.start_all(&[&hold])?;
        self.dwell()?;
        let dead = self.take_away_the_active_one(FaultKind::Kill)?;
        self.dwell()?;
        self.start(dead, &[&hold])?;
        self.until("two standbys", |record| (record.count(State::Standby) == 2).then_some(()))?;
        self.dwell()?;
        self.take_away_the_active_one(FaultKind::Terminate)?;
        self.dwell()?;
        if self.store == "etcd" {
            self.end_all()?;
            self.phase(&format!("as on three hosts, H = {} s: no death can be proven", FAR_HOLD_MS / 1000));
            self.start_all(&["election.same_host_proof=false", &format!("election.hold_ms={FAR_HOLD_MS}")])?;
            self.dwell()?;
            self.take_away_the_active_one(FaultKind::Kill)?;
            self.dwell()?;
        }
        drop(clients);
        self.end_all()?;
        Ok(self.record)
    }

    /// Plays it another way: each one that is active is killed and started again, until all have been active.
    pub(crate) fn play_in_turns(mut self) -> Result<Record> {
        let clients = Clients::start(&self.addresses, &self.outbox, Message::Heard);
        let hold = format!("election.hold_ms={HOLD_MS}");
        self.phase("all on one host: the kernel proves a death, and the next in the order of their starts takes over");
        self.start_all(&[&hold])?;
        for _ in 0..self.stage.cast.len() * 3 {
            let led = self.record.terms();
            if self.stage.cast.iter().all(|actor| led.iter().any(|term| term.process == actor.name)) {
                break;
            }
            let dead = self.take_away_the_active_one(FaultKind::Kill)?;
            self.start(dead, &[&hold])?;
            let standbys = self.stage.cast.len() - 1;
            self.until("all the others standby", |record| (record.count(State::Standby) == standbys).then_some(()))?;
        }
        drop(clients);
        self.end_all()?;
        Ok(self.record)
    }

    fn name(&self, index: usize) -> &'static str {
        self.stage.cast[index].name
    }

    fn phase(&mut self, words: &str) {
        let now = now_ms();
        self.record.phases.push((now, words.to_owned()));
        self.say(now, "", &format!("-- {words}"));
    }

    /// Starts all three, the next when the one before is active or standby, and waits for an ID.
    fn start_all(&mut self, settings: &[&str]) -> Result<()> {
        let since_ms = now_ms();
        for index in 0..self.stage.cast.len() {
            self.start(index, settings)?;
            self.until("one active, the others standby", |record| {
                let standbys = record.count(State::Standby);
                record.active().filter(|_| standbys == index)
            })?;
        }
        self.await_id(since_ms)
    }

    fn start(&mut self, index: usize, settings: &[&str]) -> Result<()> {
        let Actor { name, language, command: words } = &self.stage.cast[index];
        let log = self.stage.logs.join(format!("{}-{name}.log", self.store));
        let at_ms = now_ms();
        let mut process = Process::start(
            name,
            command(words)
                .arg(format!("store.url={}", self.url))
                .arg(format!("role={ROLE}"))
                .arg(format!("address={}", self.addresses[index]))
                .args(settings)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(append_to(&log)?),
        )?;
        let stdout = process.stdout().context("a piped stdout")?;
        let life = self.record.lives.len();
        let words = format!("start: the {language} example, pid {}, on {}", process.pid(), self.addresses[index]);
        self.fault(at_ms, FaultKind::Start, index, &words);
        self.record.lives.push(Life::new(name, at_ms));
        self.running[index] = Some((process, life));
        read_lines(stdout, life, self.outbox.clone());
        Ok(())
    }

    /// Kills the active one or asks it to end, waits for the takeover and the next ID, and says who it was.
    fn take_away_the_active_one(&mut self, kind: FaultKind) -> Result<usize> {
        let (name, token) = self.until("an active one", Record::active)?;
        let index = self.stage.cast.iter().position(|actor| actor.name == name);
        let index = index.context("an active one of ours")?;
        let (process, life) = self.running[index].take().context("it runs")?;
        let (signal, words) = match kind {
            FaultKind::Kill => (Signal::KILL, "kill -9"),
            _ => (Signal::TERM, "SIGTERM"),
        };
        let words = format!("{words} to the active one, pid {}", process.pid());
        // Read before the signal is sent: what another does from here on, it does in time.
        let at_ms = now_ms();
        process.signal(signal)?;
        if kind == FaultKind::Kill {
            self.record.lives[life].ended_ms = Some(at_ms);
        }
        self.fault(at_ms, kind, index, &words);
        let (by, to_ms, token) = self
            .until("a takeover", |record| record.activation_after(token))
            .with_context(|| format!("nobody took over from {name}"))?;
        let takeover = Takeover { from_ms: at_ms, to_ms };
        let words = format!("TAKEOVER after {} ms, fencing token {token}", takeover.ms());
        self.record.takeovers.push(takeover);
        self.say(to_ms, by, &words);
        self.await_id(to_ms)?;
        self.bury(process, life, kind)?;
        Ok(index)
    }

    /// Waits for the first ID that came at this time or later.
    fn await_id(&mut self, at_ms: i64) -> Result<()> {
        let came = |record: &Record| record.first_id_from(at_ms);
        let (id, came_ms, pause) = self.until("an ID", came)?;
        let words = match pause {
            Some(pause_ms) => format!("has ID {id}, {pause_ms} ms after the one before"),
            None => format!("has ID {id}, its first"),
        };
        self.say(came_ms, "client", &words);
        Ok(())
    }

    /// Asks all that run to end, the standbys first.
    fn end_all(&mut self) -> Result<()> {
        let active = self.record.active().map(|(name, _)| name);
        let mut order: Vec<usize> = (0..self.stage.cast.len()).collect();
        order.sort_by_key(|index| Some(self.name(*index)) == active);
        for index in order {
            if let Some((process, life)) = self.running[index].take() {
                self.say(now_ms(), self.name(index), ">> SIGTERM: the scene is over");
                process.signal(Signal::TERM)?;
                self.bury(process, life, FaultKind::Terminate)?;
            }
        }
        Ok(())
    }

    /// Waits for the end of a process, and for all that it said before.
    fn bury(&mut self, process: Process, life: usize, kind: FaultKind) -> Result<()> {
        let status = process.wait(PATIENCE)?;
        let now = now_ms();
        let buried = &mut self.record.lives[life];
        buried.ended_ms.get_or_insert(now);
        if kind != FaultKind::Kill && !status.success() {
            bail!("{} was asked to end and did so with {status}", buried.name);
        }
        self.until("all that it said", |record| record.lives[life].silent.then_some(()))
    }

    fn fault(&mut self, at_ms: i64, kind: FaultKind, index: usize, words: &str) {
        let name = self.name(index);
        self.record.faults.push(Fault { at_ms, kind, name });
        self.say(at_ms, name, &format!(">> {words}"));
    }

    fn dwell(&mut self) -> Result<()> {
        let since = Instant::now();
        while let Some(left) = DWELL.checked_sub(since.elapsed()) {
            self.take_in(left.min(TICK))?;
        }
        Ok(())
    }

    /// Takes in what comes until the record shows something.
    fn until<T>(&mut self, what: &str, shown: impl Fn(&Record) -> Option<T>) -> Result<T> {
        let since = Instant::now();
        loop {
            if let Some(found) = shown(&self.record) {
                return Ok(found);
            }
            if since.elapsed() > PATIENCE {
                bail!("waited {PATIENCE:?} for {what}, in vain");
            }
            self.take_in(TICK)?;
        }
    }

    /// Takes in one message, if one comes in time.
    fn take_in(&mut self, limit: Duration) -> Result<()> {
        self.stage.interrupt.check()?;
        let Ok(message) = self.inbox.recv_timeout(limit) else {
            return Ok(());
        };
        match message {
            Message::Line(life, line) => {
                let name = self.record.lives[life].name;
                let event = EventLine::parse(&line).with_context(|| format!("{name} says"))?;
                let words = event.text.strip_prefix(ROLE).unwrap_or(&event.text);
                self.say(event.at_ms, name, words.trim_start());
                self.record.lives[life].events.push(event);
            }
            Message::Silence(life) => {
                self.record.lives[life].silent = true;
                let mut running = self.running.iter().flatten();
                if running.any(|(_, running)| *running == life) {
                    let (name, logs) = (self.record.lives[life].name, self.stage.logs.display());
                    bail!("{name} ended unasked; its words are in {logs}");
                }
            }
            Message::Heard(Heard::Id(id, at_ms)) => self.record.id(id, at_ms),
            Message::Heard(Heard::Status(index, status)) => {
                self.record.status(self.name(index), &status);
            }
            Message::Heard(Heard::Nonsense(words)) => bail!(words),
        }
        Ok(())
    }

    /// One line for people, with the time since the story began.
    fn say(&self, at_ms: i64, who: &str, words: &str) {
        let since = at_ms - self.record.started_ms;
        let (s, ms) = (since / 1000, since % 1000);
        println!("{s:>4}.{ms:03} s  {who:<6}  {words}");
    }
}

fn append_to(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| path.display().to_string())
}

/// Sends on what a coordinator says, line by line, from a thread that ends with it.
fn read_lines(stdout: ChildStdout, life: usize, outbox: Sender<Message>) {
    thread::spawn(move || {
        // Nobody listens any more where the story ended early.
        let tell = |message| outbox.send(message).is_ok();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if !tell(Message::Line(life, line)) {
                return;
            }
        }
        tell(Message::Silence(life));
    });
}
