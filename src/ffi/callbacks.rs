//! Callbacks.
//!
//! Pass `ha_callbacks` to ha_session_start(), and the library calls you; pass NULL, and you pull
//! events. A session's callbacks come in order, never two at once, on a thread of the library's
//! that carries no other work: a slow one delays no renewal of the role, only the next callback.
//! Not always on the same thread.
//!
//! ```c
//! ha_callbacks cb = HA_CALLBACKS_INIT;
//! cb.on_activate = activate;
//! cb.user_data = app;
//! ```
//!
//! - `on_activate` may run before ha_session_start() has returned: use the `session` that it is
//!   given.
//! - Long work in it asks ha_session_is_ending() now and then, and gives up where that is true;
//!   or it returns HA_PENDING at once and another thread says ha_session_activation_done().
//! - In a callback, ha_session_stop() and ha_session_wait() on its own session are refused
//!   (HA_ERR_IN_CALLBACK); ha_session_request_stop(), ha_txn_commit() and even ha_session_free()
//!   are allowed.
//! - A callback must return: no longjmp, no C++ exception out of it.

use std::ffi::c_void;
use std::mem::{MaybeUninit, size_of};
use std::sync::Arc;

use super::boundary::{Owned, plain, pointer};
use super::error::{HA_OK, HA_PENDING, status_words};
use super::event::EventValue;
use super::session::SessionValue;
use super::types::{HaEvent, HaSession};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Answer, Callbacks, Event, Session};

/// What a session calls. Initialise it with HA_CALLBACKS_INIT, then set what you need; it is
/// copied.
///
/// Later versions add fields at the end. A program that was compiled with an older header passes
/// a smaller `struct_size`, and what it lacks is taken for NULL; one with a newer header than
/// the library is refused (HA_ERR_UNSUPPORTED) only if it uses what the library does not know.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HaCallbacks {
    /// sizeof(ha_callbacks), as HA_CALLBACKS_INIT sets it.
    pub struct_size: usize,
    /// The term is won: get ready. The fencing token is ha_event_token(event); guarded
    /// transactions work already. Return HA_OK: ready, ha_session_is_active() is true from now
    /// on. HA_PENDING: ha_session_activation_done() will say. Any other code: it failed; the
    /// term is given up and, after a pause, contended for again. NULL only where activation.auto
    /// is true.
    pub on_activate:
        Option<unsafe extern "C" fn(user_data: *mut c_void, session: *mut HaSession, event: *const HaEvent) -> i32>,
    /// The term ends: drain where ha_event_held(event), else only clean up. Called once a term,
    /// after on_activate has returned, also where that failed. Return HA_PENDING:
    /// ha_session_deactivation_done() will say. Anything else: nothing of this term runs any
    /// more. NULL: nothing has to be done.
    pub on_deactivate:
        Option<unsafe extern "C" fn(user_data: *mut c_void, session: *mut HaSession, event: *const HaEvent) -> i32>,
    /// Every other event; the last is HA_EVENT_ENDED. The event is lent for the call. NULL: they
    /// are ignored.
    pub on_event: Option<unsafe extern "C" fn(user_data: *mut c_void, session: *mut HaSession, event: *const HaEvent)>,
    /// Yours; handed to every callback. It must live until `destroy` has run.
    pub user_data: *mut c_void,
    /// Called exactly once, after the last callback: inside a failing ha_session_start(), inside
    /// ha_session_free(), or later on a thread of the library where ha_session_free() did not
    /// wait. It must not use the session. NULL: nothing.
    pub destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
}

/// More than any later version will need: a larger `struct_size` is garbage.
const MOST: usize = 4096;

const _: () = assert!(size_of::<HaCallbacks>() == 6 * size_of::<usize>() && MOST > size_of::<HaCallbacks>());

/// The caller's pointer, and its end: `destroy` runs when the last owner lets go.
pub(super) struct UserData {
    data: *mut c_void,
    destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
}

// SAFETY: the header asks for user data that may be used from any thread, one at a time.
unsafe impl Send for UserData {}
// SAFETY: the pointer is only copied out; the callbacks that use it come one after another.
unsafe impl Sync for UserData {}

impl UserData {
    pub(super) fn new(data: *mut c_void, destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>) -> Self {
        Self { data, destroy }
    }

    pub(super) fn pointer(&self) -> *mut c_void {
        self.data
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the caller's function with the caller's pointer, once, after the last callback.
            unsafe { destroy(self.data) };
        }
    }
}

/// Copies the caller's structure. What it owns (`destroy`) is returned even where the rest is
/// refused.
///
/// # Safety
///
/// `callbacks` points to `struct_size` readable bytes.
pub(super) unsafe fn read(callbacks: *const HaCallbacks) -> (HaCallbacks, Result<()>) {
    let mut copy = HaCallbacks {
        struct_size: 0,
        on_activate: None,
        on_deactivate: None,
        on_event: None,
        user_data: std::ptr::null_mut(),
        destroy: None,
    };
    if !callbacks.is_aligned() {
        return (copy, Err(wrong_size("it is not aligned".into())));
    }
    // SAFETY: the structure always begins with its size.
    let size = unsafe { callbacks.cast::<usize>().read() };
    if size < size_of::<usize>() || size > MOST || !size.is_multiple_of(size_of::<usize>()) {
        return (copy, Err(wrong_size(format!("its struct_size is {size}"))));
    }
    let known = size.min(size_of::<HaCallbacks>());
    let mut whole = MaybeUninit::new(copy);
    // SAFETY: both have `known` bytes; whole words of nullable pointers were copied, so the value is valid.
    copy = unsafe {
        std::ptr::copy_nonoverlapping(callbacks.cast::<u8>(), whole.as_mut_ptr().cast::<u8>(), known);
        whole.assume_init()
    };
    // SAFETY: the caller says that `size` bytes may be read.
    let beyond = unsafe { std::slice::from_raw_parts(callbacks.cast::<u8>().add(known), size - known) };
    let refused = beyond.iter().any(|byte| *byte != 0).then(|| {
        Error::new(ErrorKind::Unsupported, "ha_callbacks has a callback that this version of the library does not know")
    });
    (copy, refused.map_or(Ok(()), Err))
}

fn wrong_size(what: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("ha_callbacks was not set up with HA_CALLBACKS_INIT: {what}"))
}

/// Carries the session's calls over to C.
pub(super) struct Caller {
    pub(super) functions: HaCallbacks,
    pub(super) handle: Owned<HaSession>,
    pub(super) user_data: Arc<UserData>,
}

// SAFETY: function pointers may be called from any thread, as the header says of callbacks; the rest is `Send` itself.
unsafe impl Send for Caller {}

impl Caller {
    /// Lends the event and the handle for one call.
    fn lend<R>(
        &self,
        session: &Session,
        event: &Event,
        call: impl FnOnce(*mut c_void, *mut HaSession, *const HaEvent) -> R,
    ) -> R {
        let session_value: &SessionValue = &self.handle.value;
        session_value.know(session);
        let event = plain::<HaEvent>(EventValue::new(event));
        call(self.user_data.pointer(), pointer::<HaSession>(&self.handle), pointer::<HaEvent>(&event))
    }
}

impl Callbacks for Caller {
    fn on_activate(&mut self, session: &Session, event: &Event) -> Answer {
        let Some(on_activate) = self.functions.on_activate else {
            return Answer::Done;
        };
        // SAFETY: the caller's function; its arguments live for the call.
        let status =
            self.lend(session, event, |user_data, session, event| unsafe { on_activate(user_data, session, event) });
        match status {
            HA_OK => Answer::Done,
            HA_PENDING => Answer::Pending,
            code => Answer::Failed { code, why: format!("on_activate returned {}", status_words(code)) },
        }
    }

    fn on_deactivate(&mut self, session: &Session, event: &Event) -> Answer {
        let Some(on_deactivate) = self.functions.on_deactivate else {
            return Answer::Done;
        };
        // SAFETY: the caller's function; its arguments live for the call.
        let status =
            self.lend(session, event, |user_data, session, event| unsafe { on_deactivate(user_data, session, event) });
        match status {
            HA_PENDING => Answer::Pending,
            _ => Answer::Done,
        }
    }

    fn on_event(&mut self, session: &Session, event: &Event) {
        if let Some(on_event) = self.functions.on_event {
            // SAFETY: the caller's function; its arguments live for the call.
            self.lend(session, event, |user_data, session, event| unsafe {
                on_event(user_data, session, event);
            });
        }
    }
}
