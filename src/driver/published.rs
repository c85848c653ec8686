//! What any thread may ask at any time, without a lock: the core's status in atomics.
//!
//! One writer at a time (under the core's lock), any number of readers. The rule of the order: a reader that
//! sees a mixture of two states can only answer "no".

use std::time::Duration;

use crate::election::{Role, Status, Time};
use crate::host::ForkCheck;
use crate::kv::Revision;

// By way of the parent, so that tests/loom can put its own in their place.
use super::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering};
use super::clock;

/// The status of a session as last published.
#[derive(Debug)]
pub(crate) struct Published {
    /// In a forked child nobody renews and nobody publishes: every answer there is no.
    fork: ForkCheck,
    /// When the session stops being active; 0: it is not.
    active_until: AtomicU64,
    /// Set for ever by a request to stop.
    stopping: AtomicBool,
    /// The held term; 0: none.
    token: AtomicI64,
    /// The deadline of `token`. Belongs to it: it is 0 while `token` changes.
    until: AtomicU64,
    /// The term that was asked to end; 0: none was.
    ending: AtomicI64,
    role: AtomicI32,
    server_id: AtomicI64,
}

impl Published {
    pub(crate) fn new(fork: ForkCheck) -> Self {
        Self {
            fork,
            active_until: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            token: AtomicI64::new(0),
            until: AtomicU64::new(0),
            ending: AtomicI64::new(0),
            role: AtomicI32::new(Role::Starting as i32),
            server_id: AtomicI64::new(0),
        }
    }

    /// Takes over a status. Only under the core's lock.
    pub(crate) fn publish(&self, status: &Status) {
        let active = status.role == Role::Active && !status.ending && status.token != 0;
        if !active {
            self.active_until.store(0, Ordering::Release);
        }
        if self.token.load(Ordering::Relaxed) != status.token {
            self.active_until.store(0, Ordering::Release);
            self.until.store(0, Ordering::Release);
            self.token.store(status.token, Ordering::Release);
        }
        let ending = if status.ending { status.token } else { 0 };
        self.ending.store(ending, Ordering::Release);
        self.role.store(status.role as i32, Ordering::Release);
        self.server_id.store(status.server_id, Ordering::Release);
        let until = if status.token == 0 { 0 } else { status.deadline.0 };
        self.until.store(until, Ordering::Release);
        if active {
            self.active_until.store(until, Ordering::Release);
        }
    }

    /// From its return on `is_active` is false. Safe in a signal handler.
    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    // In all of these the clock is read after the deadline: a thread that is held up in between comes too late, not
    // too early.

    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        let until = self.active_until.load(Ordering::Acquire);
        until != 0 && !self.fork.in_child() && !self.stopping() && clock::now().0 < until
    }

    #[inline]
    pub(crate) fn holds(&self, token: Revision) -> bool {
        token != 0 && self.deadline_of(token).is_some_and(|until| clock::now().0 < until)
    }

    #[inline]
    pub(crate) fn is_ending(&self, token: Revision) -> bool {
        !self.holds(token) || self.stopping() || self.ending.load(Ordering::Acquire) == token
    }

    #[inline]
    pub(crate) fn fencing_token(&self) -> Revision {
        let token = self.token.load(Ordering::Acquire);
        if self.holds(token) { token } else { 0 }
    }

    #[inline]
    pub(crate) fn remaining(&self) -> Duration {
        let until = if self.fork.in_child() { 0 } else { self.until.load(Ordering::Acquire) };
        Time(until).since(clock::now())
    }

    #[inline]
    pub(crate) fn role(&self) -> Role {
        if self.fork.in_child() {
            return Role::Ended;
        }
        let role = self.role.load(Ordering::Acquire);
        let asked_to_end = self.stopping();
        match role {
            1 => Role::Starting,
            2 => Role::Standby,
            3 | 4 if asked_to_end => Role::Deactivating,
            3 => Role::Activating,
            4 => Role::Active,
            5 => Role::Deactivating,
            _ => Role::Ended,
        }
    }

    #[inline]
    pub(crate) fn server_id(&self) -> i64 {
        self.server_id.load(Ordering::Acquire)
    }

    /// The deadline of that very term. The token is read on both sides of it: tokens only grow, so where both are
    /// equal, the deadline in between is the term's own, or 0.
    #[inline]
    fn deadline_of(&self, token: Revision) -> Option<u64> {
        if self.token.load(Ordering::Acquire) != token || self.fork.in_child() {
            return None;
        }
        let until = self.until.load(Ordering::Acquire);
        (self.token.load(Ordering::Acquire) == token).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn status(role: Role, token: Revision, remaining: Duration) -> Status {
        Status { role, token, deadline: clock::now() + remaining, ending: false, server_id: 7 }
    }

    const LONG: Duration = Duration::from_secs(3600);

    /// `is_active`, `holds`, `fencing_token != 0`, `is_ending`, `remaining > 0` of the term 5.
    fn answers(published: &Published) -> [bool; 5] {
        [
            published.is_active(),
            published.holds(5),
            published.fencing_token() == 5,
            published.is_ending(5),
            published.remaining() > Duration::ZERO,
        ]
    }

    #[test]
    fn every_state_answers_as_the_contract_says() {
        let published = Published::new(ForkCheck::new().unwrap());
        let nothing = [false, false, false, true, false];
        assert_eq!(answers(&published), nothing);

        published.publish(&status(Role::Standby, 0, LONG));
        assert_eq!((answers(&published), published.role()), (nothing, Role::Standby));

        published.publish(&status(Role::Activating, 5, LONG));
        assert_eq!(answers(&published), [false, true, true, false, true]);

        published.publish(&status(Role::Active, 5, LONG));
        assert_eq!(answers(&published), [true, true, true, false, true]);
        assert!(!published.holds(4) && !published.holds(6) && published.is_ending(4));

        published.publish(&Status { ending: true, ..status(Role::Deactivating, 5, LONG) });
        assert_eq!(answers(&published), [false, true, true, true, true]);

        published.publish(&status(Role::Deactivating, 0, LONG));
        assert_eq!((answers(&published), published.role()), (nothing, Role::Deactivating));
        assert_eq!(published.server_id(), 7);
    }

    #[test]
    fn past_the_deadline_every_answer_is_no_whatever_was_published() {
        let published = Published::new(ForkCheck::new().unwrap());
        for role in [Role::Activating, Role::Active, Role::Deactivating] {
            published.publish(&status(role, 5, Duration::ZERO));
            assert_eq!(answers(&published), [false, false, false, true, false]);
        }
    }

    #[test]
    fn a_request_to_stop_holds_through_every_later_status() {
        let published = Published::new(ForkCheck::new().unwrap());
        published.publish(&status(Role::Active, 5, LONG));
        published.set_stopping();
        assert_eq!(answers(&published), [false, true, true, true, true]);
        assert_eq!(published.role(), Role::Deactivating);
        published.publish(&status(Role::Active, 5, LONG));
        assert_eq!(answers(&published), [false, true, true, true, true]);
        published.publish(&status(Role::Standby, 0, LONG));
        assert_eq!(published.role(), Role::Standby);
    }

    #[test]
    fn no_term_is_none_that_is_held() {
        let published = Published::new(ForkCheck::new().unwrap());
        assert!(!published.holds(0));
        assert!(published.is_ending(0));
    }

    /// Odd terms have their deadline far ahead, even ones behind: a reader that mixed two would hold an even one.
    #[test]
    fn a_torn_read_never_says_yes() {
        let published = Arc::new(Published::new(ForkCheck::new().unwrap()));
        let writer = {
            let published = Arc::clone(&published);
            std::thread::spawn(move || {
                for token in 1..100_000 {
                    let remaining = if token % 2 == 1 { LONG } else { Duration::ZERO };
                    published.publish(&status(Role::Active, token, remaining));
                }
            })
        };
        while !writer.is_finished() {
            let token = published.token.load(Ordering::Acquire);
            for token in [token - 1, token, token + 1] {
                if published.holds(token) {
                    assert_eq!(token % 2, 1);
                }
            }
            let token = published.fencing_token();
            assert!(token == 0 || token % 2 == 1);
        }
        writer.join().unwrap();
    }
}
