//! A place for an election, coordinators in it, and the way to read their events.

use std::time::Duration;

use coordha::config::{Config, keys};
use coordha::error::ErrorKind;
use coordha::kv::Revision;
use coordha::session::{Event, EventKind, Session};
use tempfile::TempDir;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A local store in a directory of its own.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.directory.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("local:{}", self.directory.path().display())
    }

    /// A coordinator with active-standby on. `port` tells it from others.
    pub(crate) fn config(&self, port: u16) -> Config {
        config(&self.url(), port)
    }

    /// One that pulls its events.
    pub(crate) fn start(&self, port: u16) -> Session {
        Session::start(&self.config(port), None).unwrap()
    }

    /// One that is active already, and its token.
    pub(crate) fn active(&self, port: u16) -> (Session, Revision) {
        let session = self.start(port);
        let token = activate(&session);
        (session, token)
    }

    /// One that stands by already.
    pub(crate) fn standby(&self, port: u16) -> Session {
        let session = self.start(port);
        expect(&session, EventKind::Standby);
        session
    }
}

/// H, the limits of requests (H / 4) and that of the release are such that a machine that stands still for 3 s costs nothing.
pub(crate) fn config(url: &str, port: u16) -> Config {
    let mut config = Config::new();
    for (key, value) in [
        (keys::ROLE, "rootcoord"),
        (keys::ADDRESS, &format!("127.0.0.1:{port}")),
        (keys::STORE_URL, url),
        (keys::ACTIVE_STANDBY_ENABLED, "true"),
        (keys::ELECTION_HOLD_MS, "12000"),
        (keys::LEASE_TTL_MS, "36000"),
        (keys::ELECTION_REREAD_MS, "300"),
        (keys::ELECTION_RANK_STEP_MS, "20"),
        (keys::ACTIVATION_BACKOFF_MS, "50"),
        (keys::RELEASE_TIMEOUT_MS, "20000"),
    ] {
        config.set(key, value).unwrap();
    }
    config
}

/// A configuration with one more key.
pub(crate) fn with(mut config: Config, key: &str, value: &str) -> Config {
    config.set(key, value).unwrap();
    config
}

/// One with times so short that a test may wait for their end.
pub(crate) fn short(config: Config) -> Config {
    with(with(config, keys::ELECTION_HOLD_MS, "5000"), keys::LEASE_TTL_MS, "15000")
}

/// Reads events up to the next one of this kind.
pub(crate) fn expect(session: &Session, kind: EventKind) -> Event {
    loop {
        let event = session.next_event(Some(PATIENCE));
        let event = event.unwrap_or_else(|error| panic!("no {}: {error}", kind.name()));
        if event.kind() == kind {
            return event;
        }
        assert_ne!(event.kind(), EventKind::Ended, "before {}: {}", kind.name(), event.text());
    }
}

/// Waits for a term, says "ready", and gives the token.
pub(crate) fn activate(session: &Session) -> Revision {
    let token = expect(session, EventKind::Activate).token();
    session.activation_done(token, Ok(())).unwrap();
    expect(session, EventKind::Active);
    token
}

/// Reads and answers every event to the end, and gives the last one.
pub(crate) fn leave(session: &Session) -> Event {
    loop {
        let event = session.next_event(Some(PATIENCE)).unwrap();
        match event.kind() {
            EventKind::Deactivate => {
                let left = session.deactivation_done(event.token());
                assert!(left.is_ok() || left.is_err_and(|e| e.kind() == ErrorKind::Ended));
            }
            EventKind::Ended => return event,
            _ => {}
        }
    }
}

/// Ends a session of the pull kind in order.
pub(crate) fn stop(session: &Session) {
    session.request_stop();
    let ended = leave(session);
    assert!(ended.error().is_none(), "{}", ended.text());
}
