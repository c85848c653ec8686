//! What any thread may ask at any time (`src/driver/published.rs`), under every interleaving and every reordering that the
//! memory model allows, up to three preemptions: no mixture of two states says "yes".
//!
//! The file itself is compiled here, against loom's atomics and a clock that stands. A known-bad variant of each kind must be
//! caught, else nothing shows that an ordering is needed.

mod atomic;

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

mod driver {
    use crate::atomic;

    pub(crate) mod clock {
        use coordha::election::Time;

        pub(crate) fn now() -> Time {
            Time(1_000)
        }
    }

    #[path = "../../../src/driver/published.rs"]
    #[expect(dead_code, unused_imports, reason = "its own tests run elsewhere")]
    pub(crate) mod published;
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

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

/// The longest list of known-bad variants, and the models that must see each.
type Model = (&'static str, fn());

const MODELS: &[Model] = &[
    ("a_term_is_held_while_its_own_deadline_lies_ahead", a_term_is_held_while_its_own_deadline_lies_ahead),
    ("an_active_session_has_a_token_and_a_role", an_active_session_has_a_token_and_a_role),
    ("ready_is_said_of_one_term_alone", ready_is_said_of_one_term_alone),
    ("what_was_seen_to_end_has_ended", what_was_seen_to_end_has_ended),
    ("a_stop_is_final", a_stop_is_final),
    ("a_draining_session_is_not_active", a_draining_session_is_not_active),
];

const FLAWS: [Flaw; 4] = [Flaw::RelaxedLoads, Flaw::RelaxedStores, Flaw::DeadlineStays, Flaw::NoStop];

fn status(role: Role, token: i64, deadline: Time) -> Status {
    Status { role, token, deadline, ending: false, server_id: 7 }
}

fn published(status: Status) -> Arc<Published> {
    let published = Arc::new(Published::new(ForkCheck));
    published.publish(&status);
    published
}

/// Publishes these in a thread of its own while `look` looks.
fn meanwhile(from: Status, then: &'static [Status], look: impl FnOnce(&Published)) {
    let published = published(from);
    let writer = thread::spawn({
        let published = Arc::clone(&published);
        move || then.iter().for_each(|status| published.publish(status))
    });
    look(&published);
    writer.join().expect("the writer");
}

const fn held(role: Role, token: i64, deadline: Time) -> Status {
    Status { role, token, deadline, ending: false, server_id: 7 }
}

fn a_term_is_held_while_its_own_deadline_lies_ahead() {
    // Held is 5, then 7. The deadline of 6 is over when it is published.
    const THEN: &[Status] = &[held(Role::Active, 6, PAST), held(Role::Active, 7, AHEAD)];
    meanwhile(status(Role::Active, 5, AHEAD), THEN, |published| {
        assert!(!published.holds(6));
        assert_ne!(published.fencing_token(), 6);
    });
}

fn an_active_session_has_a_token_and_a_role() {
    const THEN: &[Status] = &[held(Role::Active, 5, AHEAD)];
    meanwhile(status(Role::Standby, 0, Time(0)), THEN, |published| {
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
    meanwhile(status(Role::Active, 5, AHEAD), THEN, |published| {
        if published.fencing_token() == 6 {
            assert!(!published.is_active(), "nobody has said that term 6 is ready");
            assert!(!published.holds(5) && published.is_ending(5));
        }
    });
}

fn what_was_seen_to_end_has_ended() {
    let published = published(status(Role::Active, 5, AHEAD));
    let told = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let (published, told) = (Arc::clone(&published), Arc::clone(&told));
        move || {
            published.publish(&status(Role::Deactivating, 0, Time(0)));
            told.store(true, Ordering::Release);
        }
    });
    if told.load(Ordering::Acquire) {
        assert!(!published.is_active() && !published.holds(5));
        assert!(published.is_ending(5) && published.remaining().is_zero());
        assert_eq!(published.fencing_token(), 0);
    }
    writer.join().expect("the writer");
}

fn a_stop_is_final() {
    // It is renewed, and goes on to another term, while somebody asks it to stop.
    const THEN: &[Status] = &[held(Role::Active, 5, FURTHER)];
    meanwhile(status(Role::Active, 5, AHEAD), THEN, |published| {
        published.set_stopping();
        assert!(!published.is_active(), "active after a request to stop");
        assert!(published.is_ending(5));
        assert_eq!(published.role(), Role::Deactivating);
    });
}

fn a_draining_session_is_not_active() {
    const THEN: &[Status] = &[Status { ending: true, ..held(Role::Deactivating, 5, AHEAD) }];
    meanwhile(status(Role::Active, 5, AHEAD), THEN, |published| {
        if published.role() == Role::Deactivating {
            assert!(!published.is_active() && published.is_ending(5) && published.holds(5));
        }
    });
}

/// Whether a model holds.
fn holds(model: fn()) -> bool {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    catch_unwind(AssertUnwindSafe(|| builder.check(model))).is_ok()
}

fn main() -> ExitCode {
    Flaw::None.set();
    let mut failed: Vec<&str> = MODELS.iter().filter(|(_, model)| !holds(*model)).map(|(name, _)| *name).collect();
    // What fails now fails on purpose: its words would look like a failure.
    std::panic::set_hook(Box::new(|_| {}));
    for flaw in FLAWS {
        flaw.set();
        let by: Vec<&str> = MODELS.iter().filter(|(_, model)| !holds(*model)).map(|(name, _)| *name).collect();
        println!("  known-bad {flaw:?}: {}", if by.is_empty() { "NOT CAUGHT".into() } else { by.join(", ") });
        if by.is_empty() {
            failed.push("a known-bad variant was not caught");
        }
    }
    for name in &failed {
        println!("  FAILED {name}");
    }
    println!("loom models={} bad={} failures={}", MODELS.len(), FLAWS.len(), failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
