//! Sessions: what is asked of them, and that their answers agree.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use arbitrary::Arbitrary;
use coordha::ffi::callbacks::HaCallbacks;
use coordha::ffi::error::*;
use coordha::ffi::event::*;
use coordha::ffi::role::*;
use coordha::ffi::session::*;
use coordha::ffi::txn::*;
use coordha::ffi::types::{HaEvent, HaSession, HaTxn};

use crate::world::{Kind, World, text};

/// What the callbacks of a session answer, and which of them there are.
#[derive(Arbitrary, Clone, Debug, Default)]
pub(crate) struct Answers {
    activate: Option<i32>,
    deactivate: Option<i32>,
    event: bool,
    /// `struct_size` is another one.
    size: Option<u8>,
}

#[derive(Arbitrary, Debug)]
pub(crate) enum Deed {
    Wait {
        until: i8,
        wait: u8,
    },
    Ready {
        term: i8,
        status: i32,
        why: Option<bool>,
    },
    Left {
        term: i8,
    },
    RequestStop,
    Stop {
        wait: u8,
    },
    Resign(i64),
    Priority(i32),
    Pause,
    Resume,
    Next {
        wait: u8,
    },
    Fd,
    Holder,
    /// Waits until it is active or told to begin, and says ready: the way most programs go.
    Lead,
}

/// What was seen of a session.
#[derive(Default)]
pub(crate) struct Seen {
    pulls: bool,
    stopped: bool,
    token: i64,
    activated: i64,
    server_id: i64,
    submitted: u64,
    done: u64,
    ended: bool,
}

const SHORT: [i64; 4] = [0, 1, 5, -7];

unsafe extern "C" fn activate(user_data: *mut c_void, session: *mut HaSession, event: *const HaEvent) -> i32 {
    // SAFETY: user data is alive until `destroy`; session and event are lent.
    unsafe {
        assert_eq!(ha_event_kind(event), HA_EVENT_ACTIVATE);
        assert!(!ha_session_is_active(session));
        assert_eq!(ha_session_stop(session, 0, null_mut()), HA_ERR_IN_CALLBACK);
        (*user_data.cast::<Answers>()).activate.unwrap_or(HA_OK)
    }
}

unsafe extern "C" fn deactivate(user_data: *mut c_void, session: *mut HaSession, event: *const HaEvent) -> i32 {
    // SAFETY: as above.
    unsafe {
        assert_eq!(ha_event_kind(event), HA_EVENT_DEACTIVATE);
        assert!(ha_session_is_ending(session, ha_event_token(event)));
        assert!(!ha_session_is_active(session));
        (*user_data.cast::<Answers>()).deactivate.unwrap_or(HA_OK)
    }
}

unsafe extern "C" fn on_event(_: *mut c_void, session: *mut HaSession, event: *const HaEvent) {
    // SAFETY: lent.
    unsafe {
        assert!(text(ha_event_text(event)).is_some());
        ha_session_role(session);
    }
}

impl World {
    pub(crate) unsafe fn start(&mut self, who: u8, answers: Option<&Answers>, no_place: bool) {
        let (config, right) = self.pick(Kind::Config, who);
        if self.is_full(Kind::Session) {
            return;
        }
        let callbacks = answers.map(|answers| {
            let (user_data, destroy) = self.user_data(answers);
            HaCallbacks {
                struct_size: answers.size.map_or(size_of::<HaCallbacks>(), |size| usize::from(size % 7) * 8),
                on_activate: answers.activate.map(|_| activate as _),
                on_deactivate: answers.deactivate.map(|_| deactivate as _),
                on_event: answers.event.then_some(on_event as _),
                user_data,
                destroy: Some(destroy),
            }
        });
        // `destroy` is the last field: what is shorter does not show it, and owes nothing.
        if callbacks.is_some_and(|callbacks| callbacks.struct_size < size_of::<HaCallbacks>()) {
            let callbacks = callbacks.expect("some");
            // SAFETY: nobody else will call it.
            unsafe { callbacks.destroy.expect("some")(callbacks.user_data) };
            return;
        }
        let pointer = callbacks.as_ref().map_or(null(), |callbacks| callbacks as *const HaCallbacks);
        let mut session = null_mut();
        let place = if no_place { null_mut() } else { &raw mut session };
        // SAFETY: handles are alive, of whatever type, or NULL; the callbacks are whole.
        let code = unsafe { self.status(right, |err| ha_session_start(config, pointer, place, err)) };
        if no_place {
            assert_ne!(code, HA_OK);
            return;
        }
        self.keep(code, Kind::Session, session);
        if code == HA_OK {
            self.seen.insert(session.addr(), Seen { pulls: answers.is_none(), ..Seen::default() });
        }
    }

    /// A term: of 0 the one that is held, else another.
    pub(crate) unsafe fn term(&self, session: *mut HaSession, term: i8) -> i64 {
        // SAFETY: alive, of whatever type.
        let token = unsafe { ha_session_fencing_token(session) };
        token.saturating_add(term.into())
    }

    pub(crate) unsafe fn ask(&mut self, who: u8, deed: &Deed) {
        let (session, right) = self.pick::<HaSession>(Kind::Session, who);
        // SAFETY: handles are alive, of whatever type, or NULL; strings and places outlive each call.
        unsafe {
            match deed {
                Deed::Wait { until, wait } => {
                    let limit = SHORT[usize::from(*wait) % SHORT.len()];
                    self.status(right, |err| ha_session_wait(session, (*until).into(), limit, err));
                }
                Deed::Ready { term, status, why } => {
                    let token = self.term(session, *term);
                    let why = why.map_or(null(), |odd| if odd { c"\xff".as_ptr() } else { c"why not".as_ptr() });
                    self.status(right, |err| ha_session_activation_done(session, token, *status, why, err));
                }
                Deed::Left { term } => {
                    let token = self.term(session, *term);
                    self.status(right, |err| ha_session_deactivation_done(session, token, err));
                }
                Deed::RequestStop => {
                    let code = self.status(right, |_| ha_session_request_stop(session));
                    assert_eq!(code == HA_OK, right);
                    self.stopped(session);
                }
                Deed::Stop { wait } => {
                    let limit = SHORT[usize::from(*wait) % SHORT.len()];
                    let code = self.status(right, |err| ha_session_stop(session, limit, err));
                    if code != HA_ERR_INVALID_ARGUMENT {
                        self.stopped(session);
                    }
                }
                Deed::Resign(standby) => drop(self.status(right, |_| ha_session_resign(session, *standby))),
                Deed::Priority(priority) => {
                    let code = self.status(right, |_| ha_session_set_priority(session, *priority));
                    assert!(code != HA_OK || (-1000..=1000).contains(priority));
                }
                Deed::Pause => drop(self.status(right, |_| ha_session_pause(session))),
                Deed::Resume => drop(self.status(right, |_| ha_session_resume(session))),
                Deed::Next { wait } => drop(self.next(session, right, SHORT[usize::from(*wait) % SHORT.len()])),
                Deed::Fd => {
                    let pulls = self.seen.get(&session.addr()).is_some_and(|seen| seen.pulls);
                    assert_eq!(ha_session_event_fd(session) >= 0, pulls);
                }
                Deed::Holder => {
                    let mut event = null_mut();
                    let code = self.status(right, |err| ha_session_holder(session, &mut event, err));
                    self.keep(code, Kind::Event, event);
                }
                Deed::Lead => self.lead(session, right),
            }
            self.agree(session, right);
        }
    }

    unsafe fn lead(&mut self, session: *mut HaSession, right: bool) {
        // SAFETY: as for `ask`.
        unsafe {
            for _ in 0..20 {
                if self.next(session, right, 50) != HA_OK {
                    return;
                }
                let token = self.seen.get(&session.addr()).map_or(0, |seen| seen.activated);
                if token != 0 && ha_session_holds(session, token) {
                    let code = self.status(right, |err| ha_session_activation_done(session, token, HA_OK, null(), err));
                    // Not right after: the role may be lost in between.
                    assert!(matches!(code, HA_OK | HA_ERR_FENCED | HA_ERR_STATE | HA_ERR_ENDED), "{code}");
                    return;
                }
            }
        }
    }

    fn stopped(&mut self, session: *mut HaSession) {
        if let Some(seen) = self.seen.get_mut(&session.addr()) {
            seen.stopped = true;
        }
    }

    unsafe fn next(&mut self, session: *mut HaSession, right: bool, limit: i64) -> i32 {
        let mut event = null_mut();
        // SAFETY: as for `ask`.
        let code = unsafe { self.status(right, |_| ha_session_next_event(session, limit, &mut event)) };
        self.keep(code, Kind::Event, event);
        if let (HA_OK, Some(seen)) = (code, self.seen.get_mut(&session.addr())) {
            assert!(seen.pulls && !seen.ended);
            // SAFETY: an event that was just given.
            let (kind, token) = unsafe { (ha_event_kind(event), ha_event_token(event)) };
            match kind {
                HA_EVENT_ACTIVATE => {
                    assert!(token > seen.activated);
                    seen.activated = token;
                }
                HA_EVENT_ACTIVE | HA_EVENT_DEACTIVATE | HA_EVENT_TERM_ENDED => assert_eq!(token, seen.activated),
                HA_EVENT_TXN_DONE => {
                    seen.done += 1;
                    assert!(seen.done <= seen.submitted);
                }
                HA_EVENT_ENDED => {
                    seen.ended = true;
                    assert_eq!(seen.done, seen.submitted, "each has its TXN_DONE before ENDED");
                }
                _ => {}
            }
        }
        code
    }

    pub(crate) unsafe fn submit(&mut self, who: u8, tag: u64, limit: i64) {
        let (txn, right) = self.pick::<HaTxn>(Kind::Txn, who);
        // SAFETY: as for `ask`.
        let code = unsafe { self.status(right, |err| ha_txn_submit(txn, tag, limit, err)) };
        if code == HA_OK {
            // It is the library's now.
            self.forget(txn);
            let session = self.owners.get(&txn.addr());
            if let Some(seen) = session.and_then(|session| self.seen.get_mut(session)) {
                seen.submitted += 1;
            }
        }
    }

    /// The answers of a session, asked one after the other, agree.
    unsafe fn agree(&mut self, session: *mut HaSession, right: bool) {
        // SAFETY: as for `ask`.
        unsafe {
            let before = ha_session_fencing_token(session);
            let (active, role) = (ha_session_is_active(session), ha_session_role(session));
            let holds = ha_session_holds(session, before);
            let after = ha_session_fencing_token(session);
            assert!(!ha_session_holds(session, 0) && ha_session_is_ending(session, 0));
            assert!(!ha_session_holds(session, -before - 1));
            assert!(before >= 0 && ha_session_remaining_ms(session) >= 0);
            assert!(!active || before == 0 || before != after || (holds && before > 0));
            assert_eq!((1..=6).contains(&role), right);
            assert_eq!(text(ha_session_active_key(session)).is_some(), right);
            let server_id = ha_session_server_id(session);
            let Some(seen) = self.seen.get_mut(&session.addr()) else {
                assert!(!active && !holds && before == 0 && server_id == 0);
                return;
            };
            assert!(!seen.stopped || !active, "active after a stop");
            assert!(before == 0 || before >= seen.token, "tokens grow");
            assert!(seen.server_id == 0 || seen.server_id == server_id, "the server ID stays");
            seen.token = seen.token.max(before);
            seen.server_id = server_id;
            let role_after = ha_session_role(session);
            assert!(role != HA_ROLE_ENDED || role_after == HA_ROLE_ENDED, "over is over");
        }
    }
}
