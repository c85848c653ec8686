//! Sessions.
//!
//! A session is one stand in the election of one role, under one address. It is started once and
//! ends once; in between it may hold the role many times, each time in a term of its own with a
//! larger fencing token.
//!
//! Everything here may be called from many threads at once, but ha_session_free() only after all
//! other calls on that session have returned; ha_session_request_stop() makes those return that
//! wait.
//!
//! A process may have many sessions: they share one connection and a few threads, and each has
//! its own server ID and lease. The first one starts the threads, the last ha_session_free()
//! ends them: there is no init and no shutdown call.

use std::ffi::{CString, c_char};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nix::errno::Errno;

use super::boundary::{Handle, act, ask, attempt, bound, give, guard, limit, reach, required, string, take, write};
use super::callbacks::{self, Caller, HaCallbacks, UserData};
use super::error::{HA_ERR_APPLICATION, HA_OK, HA_PENDING, status_words};
use super::logging;
use super::process::Counted;
use super::text::c_string;
use super::types::{HaConfig, HaError, HaSession};
use crate::driver::settle;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Session, Until, activation_failed};

/// A time limit that never passes. 0 means: do not wait.
pub const HA_FOREVER: i64 = -1;

/// ha_session_wait(): the session has a server ID and a lease.
pub const HA_UNTIL_REGISTERED: i32 = 1;
/// ha_session_wait(): ha_session_is_active() is true, or has been since the call.
pub const HA_UNTIL_ACTIVE: i32 = 2;
/// ha_session_wait(): the term that is held at the call was asked to end, or is over; at once
/// where none is held.
pub const HA_UNTIL_TERM_ENDING: i32 = 3;
/// ha_session_wait(): the session is over.
pub const HA_UNTIL_ENDED: i32 = 4;

/// What is behind a `ha_session`. The user and the callbacks have a share each, so that a
/// callback's handle stays valid even where the session was freed in it.
pub(super) struct SessionValue {
    session: OnceLock<Session>,
    active_key: OnceLock<CString>,
    user_data: Mutex<Option<Arc<UserData>>>,
    freed: AtomicBool,
    _counted: Counted,
}

impl SessionValue {
    fn new(user_data: Option<Arc<UserData>>) -> Self {
        Self {
            session: OnceLock::new(),
            active_key: OnceLock::new(),
            user_data: Mutex::new(user_data),
            freed: AtomicBool::new(false),
            _counted: Counted::new(),
        }
    }

    /// Learns the session: from the start, or from the first callback, whichever comes first.
    pub(super) fn know(&self, session: &Session) {
        self.session.get_or_init(|| session.clone());
    }

    pub(super) fn get(&self) -> Result<&Session> {
        self.session.get().ok_or_else(|| Error::new(ErrorKind::State, "the session has not started"))
    }

    /// The hot path's way to the session.
    #[inline]
    pub(super) fn is(&self, question: impl FnOnce(&Session) -> bool) -> bool {
        self.session.get().is_some_and(question)
    }

    pub(super) fn active_key(&self) -> Option<&CString> {
        let session = self.session.get()?;
        Some(self.active_key.get_or_init(|| c_string(String::from_utf8_lossy(session.active_key()))))
    }

    fn close(&self) {
        if let Some(session) = self.session.get() {
            session.clone().close();
        }
        let mut user_data = self.user_data.lock().unwrap_or_else(PoisonError::into_inner);
        let share = user_data.take();
        drop(user_data);
        // The last share runs `destroy`, so no lock is held.
        drop(share);
    }
}

impl Handle for HaSession {
    type Value = SessionValue;
    const TAG: u64 = u64::from_le_bytes(*b"hasessn\0");

    fn spoil(value: &SessionValue) {
        if let Some(session) = value.session.get() {
            session.fail();
        }
    }
}

/// Starts a session: checks and copies the configuration, and returns without waiting for the
/// network. A store that cannot be reached is an event (HA_EVENT_DEGRADED) and is tried again.
///
/// @param config    which role, which address, which store. Copied; stays yours.
/// @param callbacks what to call, copied; or NULL: you pull events with ha_session_next_event().
/// @param session   set to the session, which is yours until ha_session_free(); to NULL on failure.
///                  Callbacks may run before it is set; where one of them has freed the session
///                  already, it is NULL.
/// @param err       set to why it failed, which is yours to free; or NULL
/// @return HA_OK; HA_ERR_CONFIG_MISSING, HA_ERR_CONFIG_CONFLICT: as ha_config_check() says;
///         HA_ERR_CONFIG_VALUE: a file or directory that is named cannot be used;
///         HA_ERR_ALREADY_STARTED: this process has a session with this role and address;
///         HA_ERR_CORRUPT, HA_ERR_STORE_VERSION, HA_ERR_NO_SPACE, HA_ERR_UNAVAILABLE: what lies
///         in the directory is damaged or of another version, its disk is full, or it stayed
///         locked; HA_ERR_INVALID_ARGUMENT, HA_ERR_UNSUPPORTED: the callbacks are wrong, or the
///         store's kind is not in this build; HA_ERR_RESOURCES; HA_ERR_NULL; HA_ERR_FORKED. On
///         failure nothing was started, and `destroy` has run.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_start(
    config: *const HaConfig,
    callbacks: *const HaCallbacks,
    session: *mut *mut HaSession,
    err: *mut *mut HaError,
) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        write(session, std::ptr::null_mut());
        let given = (!callbacks.is_null()).then(|| {
            let (functions, checked) = callbacks::read(callbacks);
            let user_data = Arc::new(UserData::new(functions.user_data, functions.destroy));
            (functions, checked, user_data)
        });
        attempt(err, || {
            logging::install();
            required(session, "session")?;
            let config = reach(config)?;
            let front = match &given {
                None => None,
                Some((functions, checked, user_data)) => {
                    checked.clone()?;
                    Some((*functions, Arc::clone(user_data)))
                }
            };
            let handle =
                bound::<HaSession>(|| SessionValue::new(front.as_ref().map(|(_, user_data)| Arc::clone(user_data))))?;
            let caller =
                front.map(|(functions, user_data)| Caller { functions, handle: Arc::clone(&handle), user_data });
            // The caller's share, made before a callback can give it back.
            let given = Arc::clone(&handle);
            let started = config.start(caller)?;
            handle.value.know(&started);
            let given = give::<HaSession>(given);
            if !handle.value.freed.load(Ordering::Acquire) {
                write(session, given);
            }
            Ok(())
        })
    }
}

/// Waits until the session is so far.
///
/// @param session    the session
/// @param until      HA_UNTIL_REGISTERED, HA_UNTIL_ACTIVE, HA_UNTIL_TERM_ENDING or HA_UNTIL_ENDED
/// @param timeout_ms how long to wait; 0: not at all, HA_FOREVER: until it is so
/// @param err        set to why it failed, which is yours to free; or NULL
/// @return HA_OK; HA_ERR_TIMEOUT; the error that ended the session, such as HA_ERR_ROLE_HELD, or
///         HA_ERR_ENDED where it ended in order and something else was waited for;
///         HA_ERR_IN_CALLBACK in a callback of this session; HA_ERR_INVALID_ARGUMENT;
///         HA_ERR_NULL; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_wait(
    session: *mut HaSession,
    until: i32,
    timeout_ms: i64,
    err: *mut *mut HaError,
) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        act(session, err, |value| {
            let until = match until {
                HA_UNTIL_REGISTERED => Until::Registered,
                HA_UNTIL_ACTIVE => Until::Active,
                HA_UNTIL_TERM_ENDING => Until::TermEnding,
                HA_UNTIL_ENDED => Until::Ended,
                other => {
                    let words = format!("until is {other}, which is none of HA_UNTIL_*");
                    return Err(Error::new(ErrorKind::InvalidArgument, words));
                }
            };
            value.get()?.wait(until, limit(timeout_ms)?)
        })
    }
}

/// Says how the activation of a term went: "ready", or failed. Answers HA_EVENT_ACTIVATE where
/// you pull events, and an on_activate that returned HA_PENDING. It is the session's state that
/// counts, not whether the event was read.
///
/// @param session the session
/// @param token   the term, as ha_event_token() of the event gave it
/// @param status  HA_OK: ready, ha_session_is_active() is true when this has returned. Any other
///                code but HA_PENDING, yours from HA_ERR_APPLICATION up: failed; the term is given
///                up and, after a pause, contended for again.
/// @param why     what went wrong, in words, for logs and events; or NULL
/// @param err     set to why it failed, which is yours to free; or NULL
/// @return HA_OK; HA_ERR_FENCED: too late, the term is over or was asked to end, or of another
///         term; HA_ERR_STATE: it is active already; HA_ERR_ENDED; HA_ERR_INVALID_ARGUMENT;
///         HA_ERR_NULL; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_activation_done(
    session: *mut HaSession,
    token: i64,
    status: i32,
    why: *const c_char,
    err: *mut *mut HaError,
) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        act(session, err, |value| {
            let result = match status {
                HA_OK => Ok(()),
                HA_PENDING => {
                    let words = "status is HA_PENDING: that is for a callback to return";
                    return Err(Error::new(ErrorKind::InvalidArgument, words));
                }
                code if why.is_null() => {
                    let words = format!("the application said {}", status_words(code));
                    Err(activation_failed(code, words))
                }
                code => Err(activation_failed(code, string(why, "why")?)),
            };
            value.get()?.activation_done(token, result)
        })
    }
}

/// Says that nothing of a term runs any more. Answers HA_EVENT_DEACTIVATE where you pull events,
/// and an on_deactivate that returned HA_PENDING. Until it is said the session does not contend
/// again, however long that takes.
///
/// @param session the session
/// @param token   the term, as ha_event_token() of the event gave it
/// @param err     set to why it failed, which is yours to free; or NULL
/// @return HA_OK; HA_ERR_FENCED: it was said already, or of another term; HA_ERR_STATE: the term
///         was not asked to end; HA_ERR_ENDED; HA_ERR_NULL; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_deactivation_done(
    session: *mut HaSession,
    token: i64,
    err: *mut *mut HaError,
) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe { act(session, err, |value| value.get()?.deactivation_done(token)) }
}

/// Asks the session to leave for ever: drain, release the role, end the lease, HA_EVENT_ENDED.
/// Returns at once, and ha_session_is_active() is false when it has returned. Twice is harmless.
///
/// From any thread, from any callback, and from a signal handler, but not once ha_session_free()
/// has begun: take the handler away before that. errno is kept.
/// @return HA_OK; HA_ERR_NULL; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_request_stop(session: *mut HaSession) -> i32 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe {
        ask(session, |value| {
            // A signal handler leaves it as it was.
            let errno = Errno::last_raw();
            value.is(|session| {
                session.request_stop();
                true
            });
            Errno::set_raw(errno);
            HA_OK
        })
    }
}

/// ha_session_request_stop(), then waits until all is over: the role is released, and no
/// callback runs or will. Where you pull events, another thread must go on reading and answering
/// them; an event loop asks instead (ha_session_request_stop()) and reads on up to
/// HA_EVENT_ENDED.
///
/// @return HA_OK; HA_ERR_UNAVAILABLE: over, but the store did not confirm the release, so others
///         wait for the hold time; HA_ERR_TIMEOUT: it goes on behind, call again;
///         HA_ERR_IN_CALLBACK in a callback of this session: nothing was done;
///         HA_ERR_INVALID_ARGUMENT; HA_ERR_NULL; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_stop(session: *mut HaSession, timeout_ms: i64, err: *mut *mut HaError) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe { act(session, err, |value| value.get()?.stop(limit(timeout_ms)?)) }
}

/// Steps down and stays standby: drain, release the role, and contend again after a pause.
/// Returns at once.
///
/// The pause begins when the term is over. It is never shorter than the others need to take their
/// turns: HA_KEY_ELECTION_HOLD_MS / 4, and HA_KEY_ELECTION_RANK_STEP_MS for each session of the
/// role and once more. With the defaults and no other session that is 1.45 s. After it the session
/// takes its turn like every standby. Where no role is held, the pause begins at once, as it is.
///
/// @param session    the session
/// @param standby_ms the pause; 0: activation.backoff_ms. A shorter one than the others need counts
///                   as just that.
/// @return HA_OK; HA_ERR_ENDED; HA_ERR_INVALID_ARGUMENT: it is negative; HA_ERR_NULL;
///         HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_resign(session: *mut HaSession, standby_ms: i64) -> i32 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe {
        act(session, std::ptr::null_mut(), |value| {
            let Some(pause) = limit(standby_ms)? else {
                let words = "a pause for ever is ha_session_stop()";
                return Err(Error::new(ErrorKind::InvalidArgument, words));
            };
            value.get()?.resign(pause)
        })
    }
}

/// Gives the session another priority, in place of HA_KEY_PRIORITY: of several standbys, the one
/// with the highest is tried first. Its record in the store is written anew, which takes a moment.
/// Returns at once; a held role is kept. Of no effect in an exclusive session.
///
/// @param session  the session
/// @param priority -1000 to 1000
/// @return HA_OK; HA_ERR_INVALID_ARGUMENT: outside that range; HA_ERR_ENDED; HA_ERR_NULL;
///         HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_set_priority(session: *mut HaSession, priority: i32) -> i32 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { act(session, std::ptr::null_mut(), |value| value.get()?.set_priority(priority)) }
}

/// Does not contend for the role any more, until ha_session_resume(); a role that is held is kept.
/// Returns at once. Twice is harmless.
///
/// @return HA_OK; HA_ERR_ENDED; HA_ERR_NULL; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_pause(session: *mut HaSession) -> i32 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { act(session, std::ptr::null_mut(), |value| value.get()?.pause()) }
}

/// Contends again, after ha_session_pause() or where the session was started with
/// HA_KEY_ELECTION_PAUSED. Returns at once. Harmless where it is not paused.
///
/// @return HA_OK; HA_ERR_ENDED; HA_ERR_NULL; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_resume(session: *mut HaSession) -> i32 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { act(session, std::ptr::null_mut(), |value| value.get()?.resume()) }
}

/// Ends a session and frees it. NULL is a no-op. A signal handler that uses the session is to be
/// taken away before: `signal(SIGTERM, SIG_IGN)`.
///
/// After HA_EVENT_ENDED, or after a ha_session_stop() that did not time out, it does not wait.
/// Before, it is a ha_session_stop() of at most deactivation.timeout_ms + release.timeout_ms;
/// past that limit, and in a callback, it gives the role up and returns, what is left is done
/// behind, and `destroy` tells when all is over. A callback that comes after that may still use
/// the `session` that it is given. Where you pull events nobody is left to answer them: the role
/// is given up without a drain.
///
/// In a child of `fork` it does nothing.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_free(session: *mut HaSession) {
    guard(|| {
        // SAFETY: the caller gives the handle up; a second time, in a callback, is seen by the mark.
        unsafe {
            if ask(session, |value| !value.freed.swap(true, Ordering::AcqRel))
                && let Some(owned) = take(session)
            {
                owned.value.close();
                drop(owned);
                settle();
            }
        }
    });
}

const _: () = assert!(HA_ERR_APPLICATION > 901);
