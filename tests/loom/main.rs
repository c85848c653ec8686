//! What any thread may ask at any time (`src/driver/published.rs`), under every interleaving and every reordering that the
//! memory model allows and loom explores: no mixture of two states says "yes".
//!
//! The file itself is compiled here, against loom's atomics and a clock that stands. A known-bad variant of each kind must be
//! caught, else nothing shows that an ordering is needed.

mod atomic;
mod driver;

/// What the file uses of the crate: its own types, or a stand-in.
mod election {
    pub(crate) use coordha::election::{Role, Status, Time};
}

mod kv {
    pub(crate) use coordha::kv::Revision;
}

mod host {
    /// Nothing forks here.
    #[derive(Clone, Debug)]
    pub(crate) struct ForkCheck;

    impl ForkCheck {
        pub(crate) fn in_child(&self) -> bool {
            false
        }
    }
}

use std::process::{Command, ExitCode};

use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::thread;

use atomic::{Flaw, Ordering};
use driver::published::Published;
use election::{Role, Status, Time};
use host::ForkCheck;

const PAST: Time = Time(900);
const AHEAD: Time = Time(2_000);
const FURTHER: Time = Time(3_000);

/// The first argument where one model is to be explored.
const MODEL: &str = "--model";

const MODELS: &[(&str, fn())] = &[
    ("a_term_is_held_while_its_own_deadline_lies_ahead", a_term_is_held_while_its_own_deadline_lies_ahead),
    ("a_term_that_is_over_is_not_told", a_term_that_is_over_is_not_told),
    ("the_term_before_is_not_held_by_the_next_deadline", the_term_before_is_not_held_by_the_next_deadline),
    ("an_active_session_has_a_token_and_a_role", an_active_session_has_a_token_and_a_role),
    ("ready_is_said_of_one_term_alone", ready_is_said_of_one_term_alone),
    ("what_was_seen_to_end_has_ended", what_was_seen_to_end_has_ended),
    ("a_stop_is_final", a_stop_is_final),
    ("a_draining_session_is_not_active", a_draining_session_is_not_active),
];

const FLAWS: [Flaw; 4] = [Flaw::RelaxedLoads, Flaw::RelaxedStores, Flaw::DeadlineStays, Flaw::NoStop];

/// A status; not asked to end.
const fn held(role: Role, token: i64, deadline: Time) -> Status {
    Status { role, token, deadline, ending: false, server_id: 7 }
}

fn published(status: Status) -> Arc<Published> {
    let published = Arc::new(Published::new(ForkCheck));
    published.publish(&status);
    published
}

/// Publishes these in a thread of its own while `look` looks.
fn meanwhile(from: Status, then: &'static [Status], look: impl FnOnce(&Published) + 'static) {
    let published = published(from);
    let writer = thread::spawn({
        let published = Arc::clone(&published);
        move || then.iter().for_each(|status| published.publish(status))
    });
    // Both in threads of their own: loom explores less where the thread that begins takes part.
    let reader = thread::spawn(move || look(&published));
    writer.join().expect("the writer");
    reader.join().expect("the reader");
}

/// Held is 5. The deadline of 6 is over when it is published.
const OVER: &[Status] = &[held(Role::Active, 6, PAST)];

fn a_term_is_held_while_its_own_deadline_lies_ahead() {
    meanwhile(held(Role::Active, 5, AHEAD), OVER, |published| assert!(!published.holds(6)));
}

fn a_term_that_is_over_is_not_told() {
    meanwhile(held(Role::Active, 5, AHEAD), OVER, |published| assert_ne!(published.fencing_token(), 6));
}

fn the_term_before_is_not_held_by_the_next_deadline() {
    const THEN: &[Status] = &[held(Role::Active, 6, AHEAD)];
    meanwhile(held(Role::Active, 5, PAST), THEN, |published| assert!(!published.holds(5)));
}

fn an_active_session_has_a_token_and_a_role() {
    const THEN: &[Status] = &[held(Role::Active, 5, AHEAD)];
    meanwhile(held(Role::Standby, 0, Time(0)), THEN, |published| {
        if published.is_active() {
            assert_eq!(published.fencing_token(), 5);
            assert!(published.holds(5) && !published.is_ending(5));
            assert_eq!(published.role(), Role::Active);
            assert_eq!(published.server_id(), 7);
        }
    });
}

fn ready_is_said_of_one_term_alone() {
    const THEN: &[Status] = &[held(Role::Activating, 6, FURTHER)];
    meanwhile(held(Role::Active, 5, AHEAD), THEN, |published| {
        if published.fencing_token() == 6 {
            assert!(!published.is_active(), "nobody has said that term 6 is ready");
            assert!(!published.holds(5) && published.is_ending(5));
        }
    });
}

fn what_was_seen_to_end_has_ended() {
    let told = Arc::new(AtomicBool::new(false));
    let published = published(held(Role::Active, 5, AHEAD));
    let writer = thread::spawn({
        let (published, told) = (Arc::clone(&published), Arc::clone(&told));
        move || {
            published.publish(&held(Role::Deactivating, 0, Time(0)));
            told.store(true, Ordering::Release);
        }
    });
    let reader = thread::spawn(move || {
        if told.load(Ordering::Acquire) {
            assert!(!published.is_active() && !published.holds(5));
            assert!(published.is_ending(5) && published.remaining().is_zero());
            assert_eq!(published.fencing_token(), 0);
        }
    });
    writer.join().expect("the writer");
    reader.join().expect("the reader");
}

fn a_stop_is_final() {
    // It is renewed, and goes on to another term, while somebody asks it to stop.
    const THEN: &[Status] = &[held(Role::Active, 5, FURTHER)];
    meanwhile(held(Role::Active, 5, AHEAD), THEN, |published| {
        published.set_stopping();
        assert!(!published.is_active(), "active after a request to stop");
        assert!(published.is_ending(5));
        assert_eq!(published.role(), Role::Deactivating);
    });
}

fn a_draining_session_is_not_active() {
    const THEN: &[Status] = &[Status { ending: true, ..held(Role::Deactivating, 5, AHEAD) }];
    meanwhile(held(Role::Active, 5, AHEAD), THEN, |published| {
        if published.role() == Role::Deactivating {
            assert!(!published.is_active() && published.is_ending(5) && published.holds(5));
        }
    });
}

/// Whether a model holds. In a process of its own: what loom leaves behind after a panic is not to be built on.
fn holds(name: &str, flaw: Flaw) -> bool {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).args([MODEL, name, flaw.name()]).output().expect("this program");
    let said = String::from_utf8_lossy(&output.stderr);
    let found = said.contains("panicked at tests/loom/main.rs");
    assert!(output.status.success() || found, "{name} {}: {}\n{said}", flaw.name(), output.status);
    if !output.status.success() && flaw == Flaw::None {
        eprintln!("{said}");
    }
    output.status.success()
}

/// The names of the models that do not hold.
fn broken(flaw: Flaw) -> Vec<&'static str> {
    MODELS.iter().map(|(name, _)| *name).filter(|name| !holds(name, flaw)).collect()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, name, flaw] = arguments.as_slice()
        && first == MODEL
    {
        Flaw::set(flaw);
        let model = MODELS.iter().find(|(known, _)| known == name).expect("a model");
        loom::model(model.1);
        return ExitCode::SUCCESS;
    }
    let mut failed = broken(Flaw::None);
    for flaw in FLAWS {
        let by = broken(flaw);
        println!("  known-bad {}: {}", flaw.name(), if by.is_empty() { "NOT CAUGHT".into() } else { by.join(", ") });
        if by.is_empty() {
            failed.push(flaw.name());
        }
    }
    for name in &failed {
        println!("  FAILED {name}");
    }
    println!("loom models={} bad={} failures={}", MODELS.len(), FLAWS.len(), failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
