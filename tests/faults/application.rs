//! Applications that fail, hang, or never leave.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use coordha::config::{Config, keys};
use coordha::session::{Answer, Callbacks, Event, EventKind, Reason, Role, Session};

use crate::coordinator::Manner;
use crate::place::Place;
use crate::support::wait::until;

fn with(mut config: Config, key: &str, value: &str) -> Config {
    config.set(key, value).unwrap();
    config
}

#[test]
fn f04_a_holder_that_never_says_left_is_fenced_at_the_limit_and_followed() {
    let place = Place::start();
    let config = with(place.config(1), keys::DEACTIVATION_TIMEOUT_MS, "1000");
    let a = place.coordinator_of("A", &config, Manner::NeverLeaves);
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    a.session.resign(std::time::Duration::ZERO).unwrap();
    let (_, leave) = a.nth(EventKind::Deactivate, 1);
    assert!(leave.held());
    assert_eq!(a.term_ended(token), Reason::Resign);
    let (_, ended) = a.nth(EventKind::TermEnded, 1);
    assert!(ended.at_ms() - leave.at_ms() >= 1_000);
    assert!(!a.session.holds(token));
    b.active_after(token);
    // As long as its application may still run, it does not contend.
    assert_ne!(a.session.role(), Role::Active);
    a.behave(Manner::Prompt);
    a.session.deactivation_done(token).unwrap();
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f37_an_activation_that_hangs_is_given_up_and_another_tries() {
    let place = Place::start();
    let config = with(place.config(1), keys::ACTIVATION_TIMEOUT_MS, "500");
    let a = place.coordinator_of("A", &config, Manner::NeverReady);
    let (_, won) = a.nth(EventKind::Activate, 1);
    let b = place.coordinator("B", &place.config(2));
    assert_eq!(a.term_ended(won.token()), Reason::ActivationTimeout);
    b.active_after(won.token());
    assert_eq!(a.count(EventKind::Active), 0);
    a.behave(Manner::Prompt);
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f38_a_lease_lost_during_the_activation_cancels_it() {
    let place = Place::start();
    let a = place.coordinator_of("A", &place.config(1), Manner::NeverReady);
    let (_, won) = a.nth(EventKind::Activate, 1);
    let token = won.token();
    assert!(a.session.holds(token) && !a.session.is_ending(token));
    place.etcd.ctl(&["lease", "revoke", &place.lease(&a)]);
    let (_, cancel) = a.nth(EventKind::Deactivate, 1);
    assert!(!cancel.held() && a.session.is_ending(token));
    assert!(a.session.activation_done(token, Ok(())).is_err());
    assert!(matches!(a.term_ended(token), Reason::LeaseLost | Reason::KeyDeleted));
    let served = a.events(EventKind::Active);
    assert!(served.iter().all(|event| event.token() != token));
    a.behave(Manner::Prompt);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Registered, 1);
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f39_a_failed_activation_burns_its_token_and_is_tried_again_later() {
    let place = Place::start();
    let a = place.coordinator_of("A", &place.config(1), Manner::FailsToActivate);
    let (_, won) = a.nth(EventKind::Activate, 1);
    assert_eq!(a.term_ended(won.token()), Reason::ActivationFailed);
    a.behave(Manner::Prompt);
    let token = a.active_after(won.token());
    assert!(a.session.holds(token) && !a.session.holds(won.token()));
    place.everyone_can_win(vec![a]);
}

/// Panics in its first activation.
struct Panics {
    activations: Arc<AtomicUsize>,
    ended: Arc<Mutex<Vec<Reason>>>,
}

impl Callbacks for Panics {
    fn on_activate(&mut self, _: &Session, _: &Event) -> Answer {
        let before = self.activations.fetch_add(1, Ordering::SeqCst);
        assert!(before > 0, "the first activation panics, as the test asks");
        Answer::Done
    }

    fn on_event(&mut self, _: &Session, event: &Event) {
        if event.kind() == EventKind::TermEnded {
            self.ended.lock().unwrap().extend(event.reason());
        }
    }
}

#[test]
fn f39_a_panic_in_an_activation_burns_its_token_and_is_tried_again_later() {
    let place = Place::start();
    let (activations, ended) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<_>>>::default());
    let callbacks = Panics { activations: Arc::clone(&activations), ended: Arc::clone(&ended) };
    let a = Session::start(&place.config(1), Some(Box::new(callbacks))).unwrap();
    until("the first term has ended", || ended.lock().unwrap().first().copied());
    let token = until("the second is active", || a.is_active().then(|| a.fencing_token()));
    assert_eq!(activations.load(Ordering::SeqCst), 2);
    assert_eq!(ended.lock().unwrap()[..], [Reason::ActivationFailed]);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    a.stop(Some(crate::coordinator::PATIENCE)).unwrap();
    b.active_after(token);
    place.everyone_can_win(vec![b]);
}

#[test]
fn f72_a_first_in_rank_that_always_fails_to_activate_lets_the_second_be_active() {
    let place = Place::start();
    let c = place.coordinator("C", &place.config(3));
    let old = c.active_after(0);
    let config = with(place.config(1), keys::PRIORITY, "10");
    let a = place.coordinator_of("A", &config, Manner::FailsToActivate);
    let b = place.coordinator("B", &place.config(2));
    for standby in [&a, &b] {
        standby.nth(EventKind::Standby, 1);
    }
    c.stop();
    let token = b.active_after(old);
    let tries = a.events(EventKind::Activate);
    assert!(tries.iter().any(|event| event.token() < token));
    assert!(tries.len() <= 2, "{} activations", tries.len());
    a.behave(Manner::Prompt);
    place.everyone_can_win(vec![a, b]);
}
