//! What an operator sees in the log.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::ThreadId;
use std::time::Duration;

use coordha::config::keys;
use coordha::session::{EventKind, Session, Until};
use tracing::span;
use tracing::subscriber::{Interest, Subscriber, with_default};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::wait::until;
use crate::world::{PATIENCE, Place, activate, expect, stop, with};

/// All lines that this process has logged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    pub(crate) fn of_process() -> Self {
        static LINES: OnceLock<Lines> = OnceLock::new();
        let lines = LINES.get_or_init(|| {
            let lines = Self::default();
            tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false).init();
            lines
        });
        lines.clone()
    }

    /// The lines of a role.
    pub(crate) fn of(&self, role: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
        text.lines().filter(|line| line.contains(role)).map(str::to_owned).collect()
    }
}

#[test]
fn the_states_are_logged_in_order_and_the_standby_line_again_and_again() {
    let lines = Lines::of_process();
    let place = Place::new();
    let config = |port| {
        let config = with(place.config(port), keys::ROLE, "loggedcoord");
        let config = with(config, keys::ACTIVATION_AUTO, "true");
        with(config, keys::LOG_STANDBY_MS, "20")
    };
    let first = Session::start(&config(1), None).unwrap();
    first.wait(Until::Active, Some(PATIENCE)).unwrap();
    let second = Session::start(&config(2), None).unwrap();
    let standing_by = "is in STANDBY ..., ACTIVE is 127.0.0.1:1";
    until("two STANDBY lines", || {
        let lines = lines.of("loggedcoord");
        let standby = lines.iter().filter(|line| line.contains(standing_by));
        (standby.count() >= 2).then_some(())
    });
    first.stop(Some(PATIENCE)).unwrap();
    second.wait(Until::Active, Some(PATIENCE)).unwrap();
    second.stop(Some(PATIENCE)).unwrap();
    drop((first, second));
    let lines = until("the last line", || {
        let lines = lines.of("loggedcoord");
        let ended = lines.iter().filter(|line| line.contains("has ended"));
        (ended.count() == 2).then_some(lines)
    });
    let mut from = 0;
    for expected in [
        "enter STANDBY mode, ACTIVE is 127.0.0.1:1",
        "quit STANDBY mode, this node will become ACTIVE",
        "is ACTIVE",
        "is asked to leave, reason: STOP",
        "is no longer ACTIVE",
        "has ended",
    ] {
        let at = lines[from..].iter().position(|line| line.contains(expected));
        from += at.unwrap_or_else(|| panic!("no {expected:?} in {lines:#?}"));
    }
    assert!(lines.iter().all(|line| line.contains("INFO")));
}

/// Counts how often it is called by the thread that made it.
#[derive(Clone)]
struct Called {
    by: ThreadId,
    calls: Arc<AtomicUsize>,
}

impl Called {
    fn count(&self) {
        if std::thread::current().id() == self.by {
            self.calls.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Subscriber for Called {
    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        self.count();
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        self.count();
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {
        self.count();
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {
        self.count();
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.count();
    }

    fn enter(&self, _: &span::Id) {
        self.count();
    }

    fn exit(&self, _: &span::Id) {
        self.count();
    }

    fn clone_span(&self, id: &span::Id) -> span::Id {
        self.count();
        id.clone()
    }
}

/// A receiver may block. Whoever steps a session holds its lock, and the clock thread waits for that to fence.
#[test]
fn who_steps_a_session_never_calls_the_receiver_of_the_log() {
    let place = Place::new();
    let receiver = Called { by: std::thread::current().id(), calls: Arc::default() };
    with_default(receiver.clone(), || {
        let session = place.start(1);
        let token = activate(&session);
        let before = receiver.calls.load(Ordering::Relaxed);
        assert!(before > 0, "the session's span");
        session.resign(Duration::ZERO).unwrap();
        expect(&session, EventKind::Deactivate);
        session.deactivation_done(token).unwrap();
        expect(&session, EventKind::TermEnded);
        assert_eq!(receiver.calls.load(Ordering::Relaxed), before);
        stop(&session);
    });
}
