//! A session of ours inside the test's process: a thread keeps its events.

use std::sync::Arc;

use coordha::config::Config;
use coordha::error::ErrorKind;
use coordha::kv::Revision;
use coordha::session::{Event, EventKind, Reason, Session};

use crate::lines::PATIENCE;
use crate::support::seen::Seen;

/// Dropping it has it leave.
pub(crate) struct Ours {
    name: String,
    pub(crate) session: Session,
    events: Arc<Seen<Event>>,
}

impl Ours {
    pub(crate) fn start(name: &str, config: &Config) -> Self {
        let session = Session::start(config, None).unwrap();
        let events = Arc::new(Seen::new(|event: &Event| event.text().to_owned()));
        let (its_session, its_events) = (session.clone(), Arc::clone(&events));
        std::thread::spawn(move || {
            while let Ok(event) = its_session.next_event(None) {
                its_events.push(event);
            }
        });
        Self { name: name.to_owned(), session, events }
    }

    pub(crate) fn until<T>(&self, what: &str, find: impl Fn(&[Event]) -> Option<T>) -> T {
        self.events.until(&self.name, what, PATIENCE, find)
    }

    pub(crate) fn count(&self, kind: EventKind) -> usize {
        self.events.read(|events| events.iter().filter(|event| event.kind() == kind).count())
    }

    /// Waits for the n-th event (from 1) of a kind.
    pub(crate) fn nth(&self, kind: EventKind, n: usize) -> Event {
        self.until(&format!("{} no. {n}", kind.name()), |events| {
            events.iter().filter(|event| event.kind() == kind).nth(n - 1).cloned()
        })
    }

    /// Waits until it is active in a term after `token`, and gives that term's token.
    pub(crate) fn active_after(&self, token: Revision) -> Revision {
        self.until("an active term", |events| {
            let mut active = events.iter().filter(|event| event.kind() == EventKind::Active);
            active.find(|event| event.token() > token).map(Event::token)
        })
    }

    pub(crate) fn term_ended(&self, token: Revision) -> Reason {
        self.until(&format!("the end of term {token}"), |events| {
            let mut ended = events.iter().filter(|event| event.kind() == EventKind::TermEnded);
            ended.find(|event| event.token() == token).and_then(Event::reason)
        })
    }

    /// Waits until it has seen the session with this ID hold the role at `address`, and gives the token. One that it names
    /// because it stands in the way has none.
    pub(crate) fn sees(&self, id: i64, address: &str) -> Revision {
        self.until(&format!("session {id} at {address}"), |events| {
            let holders = events.iter().filter_map(Event::holder).filter(|h| h.token != 0);
            holders.filter(|h| h.server_id == id && h.address == address).map(|h| h.token).next_back()
        })
    }

    /// Waits until it says that a Milvus holder keeps it from a free key, and gives that event.
    pub(crate) fn blocked_by_milvus(&self) -> Event {
        self.until("BLOCKED MILVUS_HOLDER", |events| events.iter().find(|event| is_milvus(event)).cloned())
    }

    /// That it has not been active so far, by its events and by itself.
    pub(crate) fn was_never_active(&self) {
        assert_eq!(self.count(EventKind::Activate), 0, "{}", self.name);
        assert!(!self.session.is_active(), "{}", self.name);
    }

    pub(crate) fn id(&self) -> i64 {
        self.nth(EventKind::Registered, 1).server_id()
    }

    /// The error that ended it.
    pub(crate) fn error(&self) -> Option<(ErrorKind, String)> {
        let ended = self.nth(EventKind::Ended, 1);
        ended.error().map(|error| (error.kind(), error.to_string()))
    }

    /// Ends it in order.
    pub(crate) fn stop(self) {
        self.session.stop(Some(PATIENCE)).unwrap();
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.session.request_stop();
    }
}

fn is_milvus(event: &Event) -> bool {
    event.kind() == EventKind::Blocked && event.reason() == Some(Reason::MilvusHolder)
}
