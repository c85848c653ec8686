//! What holds when something is held up, and what the threads are like.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use coordha::error::ErrorKind;
use coordha::session::{EventKind, Reason, Session, Until};

use crate::support::wait::until;
use crate::switched::Switched;
use crate::takeover::Again;
use crate::world::{PATIENCE, Place, activate, config, expect, leave, short, stop};

/// Set in the process that a test has for itself.
const ALONE: &str = "COORDHA_TEST_ALONE";

#[test]
fn f27_a_starved_runtime_is_fenced_on_time_by_the_clock_thread() {
    // All sessions of a process share the threads that are held up, so this one has a process of its own.
    if std::env::var_os(ALONE).is_none() {
        let test = "limits::f27_a_starved_runtime_is_fenced_on_time_by_the_clock_thread";
        let mut alone = Again::start(test, ALONE, "1");
        let status = until("the end of the process", || alone.0.try_wait().unwrap());
        let mut said = String::new();
        alone.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        return assert!(status.success() && said.contains("1 passed"), "{status}: {said}");
    }
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Switched::open(directory.path()));
    let url = format!("local:{}", directory.path().display());
    let session = {
        let store: Arc<Switched> = Arc::clone(&store);
        Session::start_on(store, &short(config(&url, 1)), None).unwrap()
    };
    let token = activate(&session);
    store.block(true);
    until("both threads of the runtime are held up", || (store.held_up() == 2).then_some(()));
    // A watch, a keepalive, a renewal: nothing of the runtime's can run from here on.
    expect(&session, EventKind::Jeopardy);
    let ended = expect(&session, EventKind::TermEnded);
    assert_eq!((ended.token(), ended.reason()), (token, Some(Reason::Expired)));
    assert_eq!((session.is_active(), session.holds(token)), (false, false));
    assert_eq!(store.held_up(), 2, "it was told while they were");
    let late = session.txn(token).put("app/a", "late").commit(Some(Duration::from_secs(1)));
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Fenced);
    store.block(false);
    let cleanup = expect(&session, EventKind::Deactivate);
    assert!(!cleanup.held());
    session.deactivation_done(token).unwrap();
    assert!(activate(&session) > token);
    stop(&session);
}

#[test]
fn a_commit_keeps_its_limit_while_the_runtime_is_starved() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Switched::open(directory.path()));
    let url = format!("local:{}", directory.path().display());
    let session = {
        let store: Arc<Switched> = Arc::clone(&store);
        Session::start_on(store, &config(&url, 1), None).unwrap()
    };
    let token = activate(&session);
    store.block(true);
    let limit = Some(Duration::from_millis(100));
    let outcome = session.txn(token).put("app/a", "1").commit(limit);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::UnknownOutcome);
    store.block(false);
    session.request_stop();
    leave(&session);
}

#[test]
fn many_sessions_of_a_process_share_its_threads() {
    let place = Place::new();
    let sessions: Vec<_> = (1..51)
        .map(|n| {
            let mut config = place.config(n);
            let role = format!("role{n}");
            config.set(coordha::config::keys::ROLE, &role).unwrap();
            config.set(coordha::config::keys::ACTIVATION_AUTO, "true").unwrap();
            Session::start(&config, None).unwrap()
        })
        .collect();
    for session in &sessions {
        session.wait(Until::Active, Some(PATIENCE)).unwrap();
    }
    // Those that other tests had may still be ending.
    until("two threads for the connections and one clock", || {
        let count = |name: &str| threads().into_iter().filter(|thread| thread.name == name).count();
        ((count("coordha-io"), count("coordha-clock")) == (2, 1)).then_some(())
    });
    for session in &sessions {
        session.request_stop();
    }
    for session in &sessions {
        session.stop(Some(PATIENCE)).unwrap();
    }
}

#[test]
fn the_librarys_threads_block_asynchronous_signals_and_no_others() {
    const SIGTERM: u64 = 1 << 14;
    const SIGALRM: u64 = 1 << 13;
    // SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGPROF
    const LEFT: u64 = 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 26;
    let place = Place::new();
    let (session, _) = place.active(1);
    // The C library blocks all for a moment, in a thread that makes another one, or ends.
    let ours = until("no thread blocks what a defect of its own raises", || {
        let ours: Vec<_> = threads().into_iter().filter(|thread| thread.name.starts_with("coordha-")).collect();
        ours.iter().all(|thread| thread.blocked & LEFT == 0).then_some(ours)
    });
    for name in ["coordha-clock", "coordha-io"] {
        assert!(ours.iter().any(|thread| thread.name == name));
    }
    for thread in ours {
        let (name, mask) = (thread.name, thread.blocked);
        assert_eq!(mask & (SIGTERM | SIGALRM), SIGTERM | SIGALRM, "{name}");
    }
    stop(&session);
}

struct Thread {
    name: String,
    blocked: u64,
}

fn threads() -> Vec<Thread> {
    let entries = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    // One that ends meanwhile is none.
    let statuses = entries.filter_map(|e| std::fs::read_to_string(e.path().join("status")).ok());
    statuses
        .map(|status| {
            let field = |name: &str| {
                let line = status.lines().find(|line| line.starts_with(name)).unwrap();
                line.split_ascii_whitespace().nth(1).unwrap_or_default().to_owned()
            };
            Thread { name: field("Name:"), blocked: u64::from_str_radix(&field("SigBlk:"), 16).unwrap() }
        })
        .collect()
}
