//! What is left to do where the core, or what follows from it, has failed (a panic, caught): the session is lost from that instant, the
//! application is told the rest of its term, and the session ends once it has left. Other sessions go on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::{Core, Driver, clock};
use crate::election::{Event, Reason, Request, Role, Status, Time};
use crate::error::{Error, ErrorKind, Result};
use crate::kv::Revision;

/// What the application was told of its last term, and what it has answered.
#[derive(Debug)]
pub(super) struct Ledger {
    auto: bool,
    deactivation_timeout: Duration,
    /// The last term that was to be activated; 0: none ever was.
    token: Revision,
    term_ended: bool,
    deactivate: bool,
    left: bool,
    ended: bool,
    defect: Option<Defect>,
}

#[derive(Debug)]
struct Defect {
    error: Error,
    server_id: i64,
    left_by: Time,
}

impl Ledger {
    pub(super) fn new(auto: bool, deactivation_timeout: Duration) -> Self {
        Self {
            auto,
            deactivation_timeout,
            token: 0,
            term_ended: true,
            deactivate: true,
            left: true,
            ended: false,
            defect: None,
        }
    }

    pub(super) fn told(&mut self, event: &Event) {
        match event {
            Event::Activate { token } => {
                self.token = *token;
                (self.term_ended, self.deactivate) = (false, false);
                // The core answers itself where nobody else is asked.
                self.left = self.auto;
            }
            Event::Deactivate { .. } => self.deactivate = true,
            Event::TermEnded { .. } => self.term_ended = true,
            _ => {}
        }
    }

    /// The end was told. Only then: where it cannot be told, it is told again.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// "Left" was said.
    pub(super) fn left(&mut self, token: Revision) {
        self.left |= token == self.token;
    }

    /// The term that the application was asked to leave and has not left.
    pub(super) fn unanswered(&self) -> Option<Revision> {
        (self.deactivate && !self.left && !self.ended).then_some(self.token)
    }

    pub(super) fn is_over(&self) -> bool {
        self.ended || self.is_defect()
    }

    pub(super) fn is_defect(&self) -> bool {
        self.defect.is_some()
    }

    /// When a failed session ends, whether the application has left or not.
    pub(super) fn left_by(&self) -> Option<Time> {
        let defect = self.defect.as_ref().filter(|_| !self.ended)?;
        Some(defect.left_by)
    }

    /// What the application must still be told after a failure.
    fn rest(&self, error: &Error) -> Vec<Event> {
        let (token, reason) = (self.token, Reason::Internal);
        let mut rest = Vec::new();
        if !self.term_ended {
            rest.push(Event::TermEnded { token, reason, error: Some(error.clone()) });
        }
        if !self.deactivate {
            let error = Some(error.clone());
            rest.push(Event::Deactivate { token, reason, held: false, error });
        }
        rest
    }
}

impl Driver {
    /// The core has panicked, or what carries out its outputs.
    pub(super) fn defect(self: &Arc<Self>, core: &mut Core, now: Time, panic: &(dyn Any + Send)) {
        let text = panic_text(panic);
        let error = Error::new(ErrorKind::Internal, format!("a defect of the library has ended the session: {text}"));
        core.next = None;
        core.id_turn = None;
        core.ledger.defect = Some(Defect {
            error: error.clone(),
            server_id: self.published.server_id(),
            left_by: now + core.ledger.deactivation_timeout,
        });
        let rest = core.ledger.rest(&error);
        let status = self.publish_defect(core);
        for event in rest {
            self.tell_after_defect(core, now, &status, event);
        }
        if core.ledger.left {
            self.end_defect(core, now);
        } else {
            self.sink.published();
        }
        let role = self.name[2].clone();
        self.shared.log(move || tracing::error!(role, "{error}"));
    }

    /// A call on the session has failed by a defect outside the core: it can no longer be trusted to lead.
    #[cfg(feature = "capi")]
    pub(crate) fn fail(self: &Arc<Self>, text: &'static str) {
        self.locked(|core| {
            if !core.ledger.is_defect() && !core.ledger.ended {
                self.defect(core, clock::now(), &text);
            }
        });
    }

    pub(super) fn request_after_defect(self: &Arc<Self>, core: &mut Core, request: &Request) -> Result<()> {
        match request {
            Request::Stop => Ok(()),
            _ if core.ledger.ended => Err(Error::new(ErrorKind::Ended, "the session has ended")),
            Request::DeactivationDone { token } if core.ledger.unanswered() == Some(*token) => {
                core.ledger.left(*token);
                self.end_defect(core, clock::now());
                Ok(())
            }
            _ => Err(Error::new(ErrorKind::Fenced, "the term is over: a defect of the library has ended the session")),
        }
    }

    pub(super) fn end_defect_in_time(self: &Arc<Self>, core: &mut Core, now: Time) {
        if core.ledger.left_by().is_some_and(|at| at <= now) {
            self.end_defect(core, now);
        }
    }

    fn end_defect(self: &Arc<Self>, core: &mut Core, now: Time) {
        let Some(error) = core.ledger.defect.as_ref().map(|d| d.error.clone()) else {
            return;
        };
        if core.ledger.ended {
            return;
        }
        core.ledger.ended = true;
        let status = self.publish_defect(core);
        self.tell_after_defect(core, now, &status, Event::Ended(Some(error)));
        self.sink.published();
    }

    /// One event that cannot be told must not keep the others from it.
    fn tell_after_defect(self: &Arc<Self>, core: &mut Core, now: Time, status: &Status, event: Event) {
        let told = catch_unwind(AssertUnwindSafe(|| self.tell(core, now, status, event)));
        if let Err(panic) = told {
            let (role, text) = (self.name[2].clone(), panic_text(&*panic));
            self.shared.log(move || tracing::error!(role, "an event is lost by a defect of the library: {text}"));
        }
    }

    fn publish_defect(&self, core: &Core) -> Status {
        let ledger = &core.ledger;
        let status = Status {
            role: if ledger.ended { Role::Ended } else { Role::Deactivating },
            token: 0,
            deadline: Time(0),
            ending: false,
            server_id: ledger.defect.as_ref().map_or(0, |d| d.server_id),
        };
        self.published.publish(&status);
        status
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without words".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex};

    use async_trait::async_trait;

    use super::*;
    use crate::driver::{Setup, Shared, Sink};
    use crate::election::{Election, Settings};
    use crate::kv::{KeyRange, LeaseId, LeaseReply, RangeReply, StoreError, Txn, TxnReply};
    use crate::store::{Health, Store, WatchStream};

    /// A store that nothing ever reaches.
    struct Nowhere;

    fn unreachable<T>() -> std::result::Result<T, StoreError> {
        Err(StoreError::Unavailable("nowhere".into()))
    }

    #[async_trait]
    impl Store for Nowhere {
        async fn grant(&self, _: Duration, _: Duration) -> std::result::Result<LeaseReply, StoreError> {
            unreachable()
        }

        async fn keepalive(&self, _: LeaseId, _: Duration) -> std::result::Result<LeaseReply, StoreError> {
            unreachable()
        }

        async fn revoke(&self, _: LeaseId, _: Duration) -> std::result::Result<(), StoreError> {
            unreachable()
        }

        async fn range(&self, _: KeyRange, _: i64, _: Duration) -> std::result::Result<RangeReply, StoreError> {
            unreachable()
        }

        async fn txn(&self, _: Txn, _: Duration) -> std::result::Result<TxnReply, StoreError> {
            unreachable()
        }

        async fn watch(
            &self,
            _: Vec<KeyRange>,
            _: Revision,
            _: Duration,
        ) -> std::result::Result<WatchStream, StoreError> {
            unreachable()
        }

        fn health(&self) -> Health {
            Health::default()
        }
    }

    #[derive(Default)]
    struct Told {
        events: Mutex<Vec<Event>>,
        changed: Condvar,
        /// How many of the next events panic.
        panics: AtomicUsize,
    }

    impl Told {
        /// What was told of terms and of the end.
        fn kept(&self) -> Vec<Event> {
            let told = self.events.lock().unwrap();
            let noise = |event: &&Event| !matches!(event, Event::Degraded(_) | Event::Recovered);
            told.iter().filter(noise).cloned().collect()
        }

        /// Waits until the last event was told.
        fn await_the_end(&self) {
            let unended = |told: &mut Vec<Event>| !matches!(told.last(), Some(Event::Ended(_)));
            let told = self.events.lock().unwrap();
            let waited = self.changed.wait_timeout_while(told, Duration::from_secs(30), unended).unwrap();
            assert!(!waited.1.timed_out(), "{:?}", waited.0);
        }
    }

    impl Sink for Told {
        fn event(self: Arc<Self>, _: &Arc<Driver>, _: Time, _: &Status, event: Event) {
            let one_less = |left: usize| left.checked_sub(1);
            if self.panics.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less).is_ok() {
                panic!("a planted defect");
            }
            self.events.lock().unwrap().push(event);
            self.changed.notify_all();
        }

        fn published(&self) {}

        fn still_standby(&self, _: &Arc<Driver>, _: &Election) {}
    }

    fn start(name: &str) -> (Arc<Driver>, Arc<Told>) {
        start_with(name, 0)
    }

    fn start_with(name: &str, panics: usize) -> (Arc<Driver>, Arc<Told>) {
        let told = Arc::new(Told { panics: AtomicUsize::new(panics), ..Told::default() });
        let second = Duration::from_secs(1);
        let settings = Settings {
            role: name.into(),
            root: "root".into(),
            address: "127.0.0.1:1".into(),
            version: "2.5.0".into(),
            host_name: "host".into(),
            session_id: 7,
            priority: 0,
            active_standby: true,
            paused: false,
            auto: false,
            hold: second,
            ttl: second * 3,
            reread: second,
            rank_step: second,
            request_timeout: second,
            activation_timeout: second,
            activation_backoff: second,
            deactivation_timeout: second * 3600,
            release_timeout: second,
            milvus_takeover_delay: Duration::ZERO,
            exclusive_wait: None,
            exclusive_wait_floor: Duration::ZERO,
            process: None,
        };
        let driver = Driver::start(Setup {
            settings,
            shared: Shared::of_process().unwrap(),
            store: Arc::new(Nowhere),
            sink: Arc::<Told>::clone(&told),
            name: ["", "", name, ""].map(str::to_owned),
            shares: false,
            standby_log: None,
        });
        (driver.unwrap(), told)
    }

    fn panic(driver: &Arc<Driver>) {
        let broken = driver.step(|_: &mut Election, _| panic!("a planted defect"));
        assert!(broken.is_none());
    }

    /// Tells the application of a term, as the core would.
    fn pretend_active(driver: &Arc<Driver>, token: Revision) {
        driver.locked(|core| {
            let status = Status {
                role: Role::Active,
                token,
                deadline: clock::now() + Duration::from_secs(3600),
                ending: false,
                server_id: 3,
            };
            driver.published.publish(&status);
            // Under the lock: the next reply publishes what the core says.
            assert!(driver.published().is_active());
            driver.tell(core, clock::now(), &status, Event::Activate { token });
        });
    }

    fn ended(driver: &Driver, told: &Told) {
        let last = told.kept().pop();
        let Some(Event::Ended(Some(error))) = last else {
            panic!("not ended: {last:?}");
        };
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains("a planted defect"), "{error}");
        assert_eq!(driver.published().role(), Role::Ended);
    }

    #[test]
    fn a_core_that_panics_loses_its_term_and_ends_once_the_application_has_left() {
        let (driver, told) = start("leaves");
        let (other, _) = start("unaffected");
        pretend_active(&driver, 5);
        panic(&driver);
        let published = driver.published();
        assert_eq!((published.is_active(), published.holds(5)), (false, false));
        assert_eq!(published.role(), Role::Deactivating);
        let [Event::Activate { .. }, lost, leave] = &told.kept()[..] else {
            panic!("{:?}", told.kept());
        };
        assert!(matches!(lost, Event::TermEnded { token: 5, reason: Reason::Internal, .. }));
        assert!(matches!(leave, Event::Deactivate { token: 5, held: false, .. }));
        let late = driver.request(Request::ActivationDone { token: 5, result: Ok(()) });
        assert_eq!(late.unwrap_err().kind(), ErrorKind::Fenced);
        driver.request(Request::DeactivationDone { token: 5 }).unwrap();
        ended(&driver, &told);
        let after = driver.request(Request::Pause).unwrap_err();
        assert_eq!(after.kind(), ErrorKind::Ended);
        assert!(other.step(|_, _| ()).is_some());
        other.let_go();
    }

    #[test]
    fn a_core_that_panics_without_a_term_ends_at_once() {
        let (driver, told) = start("without");
        panic(&driver);
        ended(&driver, &told);
        assert!(driver.step(|_, _| ()).is_none());
        driver.request(Request::Stop).unwrap();
        assert_eq!(told.kept().len(), 1);
    }

    /// The store is nowhere, so that the first event, of a request that failed, comes by itself.
    #[test]
    fn an_output_that_cannot_be_carried_out_ends_the_session_like_a_core_that_panics() {
        let (driver, told) = start_with("outputs", 1);
        told.await_the_end();
        ended(&driver, &told);
        assert!(driver.step(|_, _| ()).is_none());
    }

    #[test]
    fn an_end_that_cannot_be_told_is_told_again() {
        let (driver, told) = start_with("told again", 0);
        told.panics.store(1, Ordering::Release);
        driver.request(Request::Stop).unwrap();
        told.await_the_end();
        ended(&driver, &told);
    }

    #[test]
    fn a_failed_session_does_not_wait_for_ever_for_its_application() {
        let (driver, told) = start("hangs");
        pretend_active(&driver, 5);
        panic(&driver);
        let left_by = driver.lock().ledger.left_by().unwrap();
        driver.locked(|core| driver.end_defect_in_time(core, left_by));
        ended(&driver, &told);
    }

    #[test]
    fn a_failed_session_that_nobody_uses_any_more_ends_by_itself() {
        let (driver, told) = start("nobody");
        pretend_active(&driver, 5);
        panic(&driver);
        driver.let_go();
        ended(&driver, &told);
    }
}
