//! May I act? Who is active?
//!
//! Three questions, three calls, without a lock and without a system call but the clock:
//!
//! - **May I take new work?** ha_session_is_active().
//! - **May this step of work, begun in term t, still act?** ha_session_holds(session, t). A
//!   later term of the same session answers false.
//! - **Should the work of term t wind up?** ha_session_is_ending(session, t).
//!
//! | ha_session_role()        | is_active | holds(t) | fencing_token | is_ending(t) | remaining_ms |
//! |--------------------------|-----------|----------|---------------|--------------|--------------|
//! | STARTING, STANDBY, ENDED | false     | false    | 0             | true         | 0            |
//! | ACTIVATING               | false     | true     | t             | false        | to deadline  |
//! | ACTIVE                   | true      | true     | t             | false        | to deadline  |
//! | DEACTIVATING, role held  | false     | true     | t             | true         | to deadline  |
//! | DEACTIVATING, role lost  | false     | false    | 0             | true         | 0            |
//! | any, past the deadline   | false     | false    | 0             | true         | 0            |
//!
//! A half-loaded or draining coordinator takes no request, while activation and drain can still
//! write. All of them read the clock: no thread of the library has to run in time for the answer
//! to be right. What they cannot do is act for you: a thread that asked and was then stopped for
//! a while may act late. So let what you write carry the token, see the section on transactions.

use std::ffi::c_char;

use super::boundary::{act, ask, ask_number, give, plain, required, write};
use super::event::EventValue;
use super::types::{HaError, HaEvent, HaSession};

/// ha_session_role(): not registered yet. An exclusive session waits here for the holder to go.
pub const HA_ROLE_STARTING: i32 = 1;
/// ha_session_role(): registered and contending.
pub const HA_ROLE_STANDBY: i32 = 2;
/// ha_session_role(): the role is held, and you are getting ready.
pub const HA_ROLE_ACTIVATING: i32 = 3;
/// ha_session_role(): the role is held, and you said "ready".
pub const HA_ROLE_ACTIVE: i32 = 4;
/// ha_session_role(): the term ends or has ended, and you have not said "left" yet.
pub const HA_ROLE_DEACTIVATING: i32 = 5;
/// ha_session_role(): over for ever.
pub const HA_ROLE_ENDED: i32 = 6;

/// May new work be taken? True from "ready" to the end of the term, while its deadline lies
/// ahead.
///
/// @return false also for NULL and in a child of `fork`.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_is_active(session: *const HaSession) -> bool {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask(session, |value| value.is(|session| session.is_active())) }
}

/// May a step of work that was begun in this term still act? True while the role is held in that
/// very term, also while getting ready and while draining.
///
/// @param session the session
/// @param token   the term, as ha_event_token() or ha_session_fencing_token() gave it
/// @return false also for NULL and in a child of `fork`.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_holds(session: *const HaSession, token: i64) -> bool {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask(session, |value| value.is(|session| session.holds(token))) }
}

/// Should the work of this term wind up? True from a request to stop or resign on, and for every
/// term that is not the current one.
///
/// @param session the session
/// @param token   the term
/// @return true also for NULL and in a child of `fork`: work that cannot ask must end.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_is_ending(session: *const HaSession, token: i64) -> bool {
    // SAFETY: the handle is the caller's, as the header asks.
    let goes_on = unsafe { ask(session, |value| value.is(|session| !session.is_ending(token))) };
    !goes_on
}

/// The fencing token of the term that is held: it grows from term to term, over all sessions of
/// the role. Take it when the work begins, and let it go with everything that the work writes.
///
/// @return 0: no term is held; also for NULL and in a child of `fork`.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_fencing_token(session: *const HaSession) -> i64 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(session, |value| value.get().map_or(0, |session| session.fencing_token())) }
}

/// Time until the held term is over if nothing renews it, in ms. It is renewed all the time:
/// this is for logs and for limits of single steps, not for planning.
///
/// @return 0: no term is held, or its deadline has passed; also for NULL and in a child of
///         `fork`.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_remaining_ms(session: *const HaSession) -> i64 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(session, |value| value.get().map_or(0, |session| session.remaining_ms())) }
}

/// The state of the session, one of HA_ROLE_*. For logs and status pages; to decide, ask the
/// questions above.
///
/// @return 0 for NULL and in a child of `fork`.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_role(session: *const HaSession) -> i32 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(session, |value| value.get().map_or(0, |session| session.role() as i32)) }
}

/// The session's server ID, a number that no other session under this root has, save those that
/// share it by session.shared.
///
/// @return 0 before it is known (HA_EVENT_REGISTERED), then the same for ever; 0 for NULL and in
///         a child of `fork`.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_server_id(session: *const HaSession) -> i64 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(session, |value| value.get().map_or(0, |session| session.server_id())) }
}

/// The key in the store that the active one owns. With a client of your own for the store,
/// compare `mod_revision(this key) == token` in your transactions, and they are fenced like the
/// library's.
///
/// @return Lent: valid until ha_session_free(). NULL for NULL and in a child of `fork`.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_active_key(session: *const HaSession) -> *const c_char {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask(session, |value| value.active_key().map_or(std::ptr::null(), |key| key.as_ptr())) }
}

/// Who is active, as far as this session knows: what a standby tells its clients.
///
/// @param session the session
/// @param event   set to an event of the kind HA_EVENT_HOLDER, which is yours to free; to NULL on
///                failure. ha_event_server_id() 0: nobody is known; ha_event_address() is where
///                clients should go.
/// @param err     set to why it failed, which is yours to free; or NULL
/// @return HA_OK; HA_ERR_NULL; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_holder(
    session: *const HaSession,
    event: *mut *mut HaEvent,
    err: *mut *mut HaError,
) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        write(event, std::ptr::null_mut());
        act(session, err, |value| {
            required(event, "event")?;
            let holder = value.get()?.holder_event();
            write(event, give(plain::<HaEvent>(EventValue::new(&holder))));
            Ok(())
        })
    }
}
