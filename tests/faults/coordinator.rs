//! A coordinator inside the test process: a session whose events a thread reads, answers and keeps.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coordha::config::Config;
use coordha::error::ErrorKind;
use coordha::kv::Revision;
use coordha::session::{Event, EventKind, Reason, Session};

use crate::faulty::Faulty;
use crate::place::Contender;
use crate::referee::Referee;
use crate::support::seen::Seen;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How a coordinator answers ACTIVATE and DEACTIVATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// At once, and well.
    Prompt,
    /// Its activation always fails.
    FailsToActivate,
    /// It never says "ready".
    NeverReady,
    /// It never says "left".
    NeverLeaves,
}

/// The events of a session, and when each came.
type Events = Seen<(Instant, Event)>;

pub(crate) struct Coordinator {
    pub(crate) name: String,
    pub(crate) session: Session,
    events: Arc<Events>,
    manner: Arc<Mutex<Manner>>,
    referee: Arc<Referee>,
}

impl Coordinator {
    pub(crate) fn start(name: &str, config: &Config, manner: Manner, referee: &Arc<Referee>) -> Self {
        let session = Session::start(config, None).unwrap();
        Self::of(name, session, manner, referee)
    }

    pub(crate) fn start_on(name: &str, store: &Arc<Faulty>, config: &Config, referee: &Arc<Referee>) -> Self {
        let session = Session::start_on(Arc::<Faulty>::clone(store), config, None).unwrap();
        Self::of(name, session, Manner::Prompt, referee)
    }

    fn of(name: &str, session: Session, manner: Manner, referee: &Arc<Referee>) -> Self {
        referee.watch(name, &session);
        let events = Arc::new(Events::new(|(_, event)| event.text().to_owned()));
        let manner = Arc::new(Mutex::new(manner));
        let (its_session, its_events) = (session.clone(), Arc::clone(&events));
        let its_manner = Arc::clone(&manner);
        std::thread::spawn(move || read(&its_session, &its_events, &its_manner));
        Self { name: name.to_owned(), session, events, manner, referee: Arc::clone(referee) }
    }

    /// From now on it answers so.
    pub(crate) fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// All events so far of a kind.
    pub(crate) fn events(&self, kind: EventKind) -> Vec<Event> {
        self.events.read(|events| {
            let of_kind = events.iter().filter(|(_, event)| event.kind() == kind);
            of_kind.map(|(_, event)| event.clone()).collect()
        })
    }

    pub(crate) fn count(&self, kind: EventKind) -> usize {
        self.events(kind).len()
    }

    /// Waits until `find` finds something in the events, and gives when the last of those came.
    pub(crate) fn until<T>(&self, what: &str, find: impl FnMut(&[(Instant, Event)]) -> Option<T>) -> T {
        self.events.until(&self.name, what, PATIENCE, find)
    }

    /// Waits for the n-th event (from 1) of a kind.
    pub(crate) fn nth(&self, kind: EventKind, n: usize) -> (Instant, Event) {
        self.until(&format!("{} no. {n}", kind.name()), |events| {
            let mut of_kind = events.iter().filter(|(_, event)| event.kind() == kind);
            of_kind.nth(n - 1).cloned()
        })
    }

    /// Waits until it is active in a term after `token`, and gives that term's token.
    pub(crate) fn active_after(&self, token: Revision) -> Revision {
        self.until("an active term", |events| {
            let mut active = events.iter().filter(|(_, event)| event.kind() == EventKind::Active);
            active.find(|(_, event)| event.token() > token).map(|(_, event)| event.token())
        })
    }

    /// Waits for the end of a term, and gives why.
    pub(crate) fn term_ended(&self, token: Revision) -> Reason {
        self.until(&format!("the end of term {token}"), |events| {
            let mut ended = events.iter().filter(|(_, event)| event.kind() == EventKind::TermEnded);
            ended.find(|(_, event)| event.token() == token).and_then(|(_, event)| event.reason())
        })
    }

    /// A guarded write in a term; the referee is told where it commits.
    pub(crate) fn write(&self, token: Revision, key: &str) -> Result<(), ErrorKind> {
        let mut txn = self.session.txn(token);
        txn.put(key, token.to_string());
        let written = txn.commit(Some(PATIENCE));
        match written {
            Ok(reply) => {
                self.referee.wrote(&self.name, token, reply.revision);
                Ok(())
            }
            Err(error) => Err(error.kind()),
        }
    }

    /// Ends it in order.
    pub(crate) fn stop(self) {
        self.session.request_stop();
        self.nth(EventKind::Ended, 1);
        self.referee.forget(&self.name);
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.session.request_stop();
        self.referee.forget(&self.name);
    }
}

impl Contender for Coordinator {
    fn is_active(&self) -> bool {
        self.session.is_active()
    }

    fn token(&self) -> Revision {
        self.session.fencing_token()
    }

    fn stop(self: Box<Self>) {
        (*self).stop();
    }
}

fn read(session: &Session, events: &Events, manner: &Mutex<Manner>) {
    loop {
        let Ok(event) = session.next_event(None) else {
            return;
        };
        let (kind, token) = (event.kind(), event.token());
        let manner = *manner.lock().unwrap();
        events.push((Instant::now(), event));
        // A late answer is an error, and no harm.
        match (kind, manner) {
            (EventKind::Activate, Manner::FailsToActivate) => {
                let error = coordha::error::Error::new(ErrorKind::ActivationFailed, "as the test asks");
                drop(session.activation_done(token, Err(error)));
            }
            (EventKind::Activate, Manner::NeverReady) | (EventKind::Deactivate, Manner::NeverLeaves) => {}
            (EventKind::Activate, _) => drop(session.activation_done(token, Ok(()))),
            (EventKind::Deactivate, _) => drop(session.deactivation_done(token)),
            _ => {}
        }
    }
}
