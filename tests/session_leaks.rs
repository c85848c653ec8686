//! Sessions that come and go leave nothing behind. A process of its own: it counts the threads and descriptors of all.

mod support;

use std::time::Duration;

use coordha::config::{Config, keys};
use coordha::session::{Answer, Callbacks, Event, Observer, Session, Until};

use support::wait::until;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

fn config(directory: &std::path::Path, port: u16) -> Config {
    let mut config = Config::new();
    for (key, value) in [
        (keys::ROLE, "rootcoord"),
        (keys::ADDRESS, &format!("127.0.0.1:{port}")),
        (keys::STORE_URL, &format!("local:{}", directory.display())),
        (keys::ACTIVE_STANDBY_ENABLED, "true"),
    ] {
        config.set(key, value).unwrap();
    }
    config
}

struct Nothing;

impl Callbacks for Nothing {
    fn on_activate(&mut self, _: &Session, _: &Event) -> Answer {
        Answer::Done
    }
}

/// Threads and descriptors of this process.
fn counts() -> (usize, usize) {
    let count = |path| std::fs::read_dir(path).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// Waits until no more threads and descriptors are there than before.
fn expect_no_more_than(before: (usize, usize)) {
    until("threads and descriptors are given back", || {
        let (threads, descriptors) = counts();
        (threads <= before.0 && descriptors <= before.1).then_some(())
    });
}

/// The role that the next one takes over is the one before's: each cycle is a takeover.
#[test]
fn a_thousand_sessions_leave_no_thread_and_no_descriptor() {
    let directory = tempfile::tempdir().unwrap();
    let only_one = || {
        let config = config(directory.path(), 1);
        let session = Session::start(&config, Some(Box::new(Nothing))).unwrap();
        session.wait(Until::Active, PATIENCE).unwrap();
        session.stop(PATIENCE).unwrap();
        session.close();
    };
    let (threads, _) = counts();
    // What tokio and SQLite open once a process stays.
    only_one();
    expect_no_more_than((threads, usize::MAX));
    let before = counts();

    // Each of these is the only one: the runtime begins and ends with it.
    for _ in 0..50 {
        only_one();
    }
    expect_no_more_than(before);

    for _ in 0..20 {
        let observer = Observer::start(&config(directory.path(), 1)).unwrap();
        assert_eq!(observer.next_event(PATIENCE).unwrap().address(), None);
    }
    expect_no_more_than(before);

    // These share what one that stays keeps open.
    let keeper = Session::start(&config(directory.path(), 1), Some(Box::new(Nothing))).unwrap();
    keeper.wait(Until::Active, PATIENCE).unwrap();
    let with_keeper = counts();
    for n in 0..950 {
        let session = Session::start(&config(directory.path(), 2), None).unwrap();
        match n % 3 {
            0 => session.close(),
            1 => {
                session.wait(Until::Registered, PATIENCE).unwrap();
                session.event_fd().unwrap();
                session.stop(PATIENCE).unwrap();
            }
            _ => {
                session.stop(PATIENCE).unwrap();
            }
        }
    }
    expect_no_more_than(with_keeper);
    for _ in 0..100 {
        let observer = Observer::start(&config(directory.path(), 1)).unwrap();
        observer.event_fd().unwrap();
        assert_eq!(observer.next_event(PATIENCE).unwrap().token(), keeper.fencing_token());
    }
    expect_no_more_than(with_keeper);
    keeper.stop(PATIENCE).unwrap();
    drop(keeper);
    expect_no_more_than(before);
}
