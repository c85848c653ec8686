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

use crate::support::etcd::Etcd;
use crate::support::wait::until;
use crate::world::{self, PATIENCE, Place, activate, expect, stop, with};

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

/// What the lines of a session of the role say that is held back for this reason, as soon as there are some.
fn held_back(role: &str, reason: &str) -> Vec<String> {
    let lines = Lines::of_process();
    let why = format!("serverName: {role} does not contend, reason: {reason}");
    until(&why, || {
        let said: Vec<String> = lines.of(role).into_iter().filter(|line| line.contains(&why)).collect();
        (said.len() >= 3).then_some(said)
    })
}

/// Starts a session of the role while a Milvus process may act for it, for as long as its lease, and tells what it says.
fn behind_a_milvus_process(etcd: &Etcd, role: &str, format: &str) -> Vec<String> {
    let granted = etcd.ctl(&["lease", "grant", "600"]);
    let lease = granted.split(' ').nth(1).unwrap();
    let member = format!("by-dev/meta/session/{role}-9");
    let record = serde_json::json!({
        "ServerID": 9, "ServerName": role, "Address": "10.0.0.9:53100", "Exclusive": true, "TriggerKill": true,
        "Version": "2.5.27", "LeaseID": i64::from_str_radix(lease, 16).unwrap(), "HostName": "m",
    });
    etcd.ctl(&["put", &format!("--lease={lease}"), &member, &record.to_string()]);
    let config = with(world::config(&format!("etcd://{}", etcd.endpoint(0)), 1), keys::ROLE, role);
    let config = with(with(config, keys::LOG_FORMAT, format), keys::LOG_STANDBY_MS, "20");
    let session = Session::start(&config, None).unwrap();
    let said = held_back(role, "MILVUS_HOLDER");
    assert!(said.iter().all(|line| line.contains(&format!("the key {member} stands in the way"))), "{said:#?}");
    assert!(said.iter().all(|line| line.contains("WARN")), "{said:#?}");
    assert!(said[0].contains(", of 10.0.0.9:53100, ID: 9"), "{said:#?}");
    etcd.ctl(&["lease", "revoke", lease]);
    activate(&session);
    stop(&session);
    Lines::of_process().of(role)
}

/// It may stay there for ever, and its session must not read like one that will be the next.
#[test]
fn a_milvus_process_in_the_way_is_warned_of_again_and_again() {
    let etcd = Etcd::start();
    behind_a_milvus_process(&etcd, "plainheld", "plain");
    let said = behind_a_milvus_process(&etcd, "milvusheld", "milvus");
    let standing_by = said.iter().filter(|line| line.contains("is in STANDBY"));
    let is_milvus = |line: &String| {
        line.contains("INFO") && line.ends_with("coordha::session::log: serverName: milvusheld is in STANDBY ...")
    };
    assert!(standing_by.clone().count() >= 2 && standing_by.clone().all(is_milvus), "{said:#?}");
}

#[test]
fn a_paused_session_says_so_again_and_again_and_warns_of_nothing() {
    let place = Place::new();
    let config = with(with(place.config(1), keys::ROLE, "pausedcoord"), keys::ELECTION_PAUSED, "true");
    let session = Session::start(&with(config, keys::LOG_STANDBY_MS, "20"), None).unwrap();
    let said = held_back("pausedcoord", "PAUSED");
    assert!(said.iter().all(|line| line.contains("INFO")), "{said:#?}");
    stop(&session);
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
