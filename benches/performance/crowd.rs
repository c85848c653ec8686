//! Many sessions in one process, each active in a role of its own.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use coordha::config::{Config, keys};
use coordha::session::{Answer, Callbacks, Event, EventKind, Session, Until};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::candidate::say;
use crate::harness::child::Talker;
use crate::harness::samples::now_ns;

/// How long all of them are watched once they are active.
const WATCHED: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(120);

/// Terms that ended, and jeopardies.
static TROUBLE: AtomicUsize = AtomicUsize::new(0);

/// What the process needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    pub(crate) sessions: i64,
    /// Resident memory with one session, and with all, in kB.
    pub(crate) one_kb: i64,
    pub(crate) all_kb: i64,
    /// CPU time of the process in µs, of one second.
    pub(crate) cpu_us: i64,
    pub(crate) connections: i64,
    pub(crate) threads: i64,
    /// How often a term was in jeopardy or ended meanwhile.
    pub(crate) trouble: i64,
    /// From the first start to all being active, in ms.
    pub(crate) start_ms: i64,
}

pub(crate) fn run(store: &str, sessions: usize) -> Result<Needs> {
    let child = Talker::start_own(&["crowd".into(), store.into(), sessions.to_string()])?;
    let needs = Needs {
        sessions: child.expect("sessions")?,
        one_kb: child.expect("one_kb")?,
        start_ms: child.expect("start_ms")?,
        cpu_us: child.expect("cpu_us")?,
        all_kb: child.expect("all_kb")?,
        connections: child.expect("connections")?,
        threads: child.expect("threads")?,
        trouble: child.expect("trouble")?,
    };
    Ok(needs)
}

struct Counts;

impl Callbacks for Counts {
    fn on_activate(&mut self, _: &Session, _: &Event) -> Answer {
        Answer::Done
    }

    fn on_event(&mut self, _: &Session, event: &Event) {
        if matches!(event.kind(), EventKind::Jeopardy | EventKind::TermEnded) {
            TROUBLE.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The child.
pub(crate) fn child(store: &str, sessions: usize) -> Result<()> {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files)?;
    say("sessions", i64::try_from(sessions)?);
    let from = now_ns();
    let mut all = vec![start(store, 0)?];
    all[0].wait(Until::Active, Some(PATIENCE))?;
    say("one_kb", memory_kb()?);
    for n in 1..sessions {
        all.push(start(store, n)?);
    }
    for session in &all {
        session.wait(Until::Active, Some(PATIENCE))?;
    }
    say("start_ms", (now_ns() - from) / 1_000_000);
    let before = TROUBLE.load(Ordering::Relaxed);
    // The threads for callbacks end when they have had nothing to do for a moment.
    thread::sleep(WATCHED / 4);
    let (cpu, at) = (cpu_ns(), now_ns());
    thread::sleep(WATCHED);
    let per_second = (cpu_ns() - cpu) as f64 / (now_ns() - at) as f64;
    say("cpu_us", (per_second * 1e6) as i64);
    say("all_kb", memory_kb()?);
    say("connections", connections()?);
    say("threads", status("Threads:")?);
    let trouble = TROUBLE.load(Ordering::Relaxed) - before;
    say("trouble", i64::try_from(trouble)?);
    all.iter().for_each(Session::request_stop);
    for session in &all {
        session.wait(Until::Ended, Some(PATIENCE))?;
    }
    Ok(())
}

fn start(store: &str, n: usize) -> Result<Session> {
    let mut config = Config::new();
    config.set(keys::STORE_URL, store)?;
    config.set(keys::ROLE, &format!("crowd{n}"))?;
    config.set(keys::ADDRESS, &format!("127.0.0.1:{}", n + 1))?;
    config.set(keys::ACTIVE_STANDBY_ENABLED, "true")?;
    Ok(Session::start(&config, Some(Box::new(Counts)))?)
}

fn cpu_ns() -> i64 {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    cpu.tv_sec * 1_000_000_000 + cpu.tv_nsec
}

fn memory_kb() -> Result<i64> {
    status("VmRSS:")
}

/// A number of `/proc/self/status`.
fn status(name: &str) -> Result<i64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no such line")?.parse()?)
}

/// Sockets of this process that are TCP.
fn connections() -> Result<i64> {
    let mut sockets = BTreeSet::new();
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        let text = fs::read_to_string(table).unwrap_or_default();
        let inodes = text.lines().filter_map(|line| line.split_whitespace().nth(9));
        sockets.extend(inodes.map(|inode| format!("socket:[{inode}]")));
    }
    let mut count = 0;
    for entry in fs::read_dir("/proc/self/fd")? {
        let target = fs::read_link(entry?.path()).unwrap_or_default();
        count += i64::from(target.to_str().is_some_and(|name| sockets.contains(name)));
    }
    Ok(count)
}
