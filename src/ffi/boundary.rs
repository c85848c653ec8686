//! The border: panics stop here, pointers from outside are checked here, handles are cast here
//! and nowhere else.

use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::ErrorValue;
use super::process;
use super::types::HaError;
use crate::driver::panic_text;
use crate::error::{Error, ErrorKind, Result};

/// What an export returns where it could not do its work.
pub(super) trait Failure {
    fn failure(kind: ErrorKind) -> Self;
}

impl Failure for i32 {
    fn failure(kind: ErrorKind) -> Self {
        kind.code()
    }
}

impl Failure for () {
    fn failure(_: ErrorKind) -> Self {}
}

impl<T> Failure for *const T {
    fn failure(_: ErrorKind) -> Self {
        std::ptr::null()
    }
}

impl<T> Failure for *mut T {
    fn failure(_: ErrorKind) -> Self {
        std::ptr::null_mut()
    }
}

/// Functions that answer with a value, not with a status code: the value says "no" by being 0.
macro_rules! zero_on_failure {
    ($($type:ty),*) => {$(
        impl Failure for Value<$type> {
            fn failure(_: ErrorKind) -> Self {
                Self(<$type>::default())
            }
        }
    )*};
}

/// A number that is an answer, not a status code.
pub(super) struct Value<T>(pub(super) T);

zero_on_failure!(i32, i64, u64, usize);

impl Failure for bool {
    fn failure(_: ErrorKind) -> Self {
        false
    }
}

/// Runs an export's body. A panic becomes the failure value of its return type.
pub(super) fn guard<R: Failure>(body: impl FnOnce() -> R) -> R {
    caught(body).unwrap_or_else(|_| R::failure(ErrorKind::Internal))
}

/// Runs `body`; a panic is logged and becomes an INTERNAL error.
fn caught<R>(body: impl FnOnce() -> R) -> Result<R> {
    catch_unwind(AssertUnwindSafe(|| {
        #[cfg(test)]
        super::tests::panic_if_armed();
        body()
    }))
    .map_err(|payload| {
        let words = format!("a defect of the library, caught: {}", panic_text(payload.as_ref()));
        let error = Error::new(ErrorKind::Internal, words);
        // A second panic, in the log or in the payload's own destructor, must not cross either.
        let _ = catch_unwind(|| tracing::error!("{}", error.message()));
        std::mem::forget(payload);
        error
    })
}

/// An opaque type of the header, and what is behind it.
pub(super) trait Handle {
    /// What is behind the pointer.
    type Value: Send + Sync;
    /// Tells this type from others, so that a wrong handle is an error and not a crash. Never 0.
    const TAG: u64;

    /// A panic was caught inside a call on it.
    fn spoil(value: &Self::Value) {
        let _ = value;
    }
}

/// A handle's memory.
#[repr(C)]
pub(super) struct Slot<V> {
    tag: AtomicU64,
    /// The process it is of no use outside of; 0 for plain data.
    process: u64,
    pub(super) value: V,
}

impl<V> Drop for Slot<V> {
    fn drop(&mut self) {
        // What still points here is likely to be told from a live handle.
        self.tag.store(0, Ordering::Relaxed);
    }
}

/// A share in a handle's memory.
pub(super) type Owned<H> = Arc<Slot<<H as Handle>::Value>>;

/// Makes a handle of plain data.
pub(super) fn plain<H: Handle>(value: H::Value) -> Owned<H> {
    slot::<H>(0, value)
}

/// Makes a handle that belongs to this process. Refused in a child of `fork` whose parent had a
/// session.
pub(super) fn bound<H: Handle>(value: impl FnOnce() -> H::Value) -> Result<Owned<H>> {
    let process = process::claim().ok_or_else(|| refusal(ErrorKind::Forked))?;
    Ok(slot::<H>(process, value()))
}

fn slot<H: Handle>(process: u64, value: H::Value) -> Owned<H> {
    Arc::new(Slot { tag: AtomicU64::new(H::TAG), process, value })
}

/// The pointer that C knows a handle by. It owns nothing.
pub(super) fn pointer<H: Handle>(owned: &Owned<H>) -> *mut H {
    Arc::as_ptr(owned).cast_mut().cast()
}

/// Gives an owned handle to C.
pub(super) fn give<H: Handle>(owned: Owned<H>) -> *mut H {
    Arc::into_raw(owned).cast_mut().cast()
}

/// What is behind a handle, or why it cannot be used: NULL, of another type or freed, of the
/// process before a fork.
///
/// # Safety
///
/// `handle` is NULL or points to a live handle of this library, of whatever type.
unsafe fn look<'a, H: Handle>(handle: *const H) -> std::result::Result<&'a H::Value, ErrorKind> {
    let slot = handle.cast::<Slot<H::Value>>();
    if slot.is_null() {
        return Err(ErrorKind::Null);
    }
    if !slot.is_aligned() {
        return Err(ErrorKind::InvalidArgument);
    }
    // SAFETY: every handle begins with its tag, so this much may be read of any of them.
    let tag = unsafe { &*handle.cast::<AtomicU64>() };
    if tag.load(Ordering::Relaxed) != H::TAG {
        return Err(ErrorKind::InvalidArgument);
    }
    // SAFETY: the tag says that it is a slot of this very type, and the caller keeps it alive.
    let slot = unsafe { &*slot };
    if slot.process != 0 && slot.process != process::tag() {
        return Err(ErrorKind::Forked);
    }
    Ok(&slot.value)
}

/// Another handle among the arguments.
///
/// # Safety
///
/// As for [`look`].
pub(super) unsafe fn reach<'a, H: Handle>(handle: *const H) -> Result<&'a H::Value> {
    // SAFETY: passed on from the caller.
    unsafe { look(handle) }.map_err(refusal)
}

/// Takes a handle back from C. `None` for NULL, for what is no such handle, and in a forked
/// child, where it is left alone.
///
/// # Safety
///
/// As for [`look`]; and C does not use the handle any more.
pub(super) unsafe fn take<H: Handle>(handle: *mut H) -> Option<Owned<H>> {
    // SAFETY: passed on from the caller.
    unsafe { look(handle) }.ok()?;
    // SAFETY: `give` made the pointer from an `Arc`, and this ends C's share of it.
    Some(unsafe { Arc::from_raw(handle.cast::<Slot<H::Value>>()) })
}

/// A question to a handle: an answer, or its type's failure value.
///
/// # Safety
///
/// As for [`look`].
pub(super) unsafe fn ask<H: Handle, R: Failure>(handle: *const H, body: impl FnOnce(&H::Value) -> R) -> R {
    // SAFETY: passed on from the caller.
    match unsafe { look(handle) } {
        Err(kind) => R::failure(kind),
        Ok(value) => caught(|| body(value)).unwrap_or_else(|_| {
            spoil::<H>(value);
            R::failure(ErrorKind::Internal)
        }),
    }
}

/// After a panic the session can no longer be trusted to lead.
fn spoil<H: Handle>(value: &H::Value) {
    let _ = catch_unwind(AssertUnwindSafe(|| H::spoil(value)));
}

/// A question whose answer is a number, 0 where there is none.
///
/// # Safety
///
/// As for [`look`].
pub(super) unsafe fn ask_number<H: Handle, N>(handle: *const H, body: impl FnOnce(&H::Value) -> N) -> N
where
    Value<N>: Failure,
{
    // SAFETY: passed on from the caller.
    unsafe { ask(handle, |value| Value(body(value))) }.0
}

/// A question about a string of the caller's.
///
/// # Safety
///
/// `text` is NULL or a NUL-terminated string.
pub(super) unsafe fn ask_text<R: Failure>(text: *const c_char, body: impl FnOnce(&str) -> R) -> R {
    // SAFETY: passed on from the caller.
    guard(|| match unsafe { string(text, "name") } {
        Ok(text) => body(text),
        Err(error) => R::failure(error.kind()),
    })
}

/// A question to a handle about a string of the caller's.
///
/// # Safety
///
/// As for [`look`]; `text` is NULL or a NUL-terminated string.
pub(super) unsafe fn ask_about<H: Handle, R: Failure>(
    handle: *const H,
    text: *const c_char,
    body: impl FnOnce(&H::Value, &str) -> R,
) -> R {
    // SAFETY: passed on from the caller.
    unsafe {
        ask(handle, |value| match string(text, "the string") {
            Ok(text) => body(value, text),
            Err(error) => R::failure(error.kind()),
        })
    }
}

/// A deed on a handle: a status code, and the error where the caller wants it.
///
/// # Safety
///
/// As for [`look`]; `err` is NULL or may be written.
pub(super) unsafe fn act<H: Handle>(
    handle: *const H,
    err: *mut *mut HaError,
    body: impl FnOnce(&H::Value) -> Result<()>,
) -> i32 {
    // SAFETY: passed on from the caller.
    let result = match unsafe { look(handle) } {
        Err(kind) => Err(refusal(kind)),
        Ok(value) => caught(|| body(value)).unwrap_or_else(|error| {
            spoil::<H>(value);
            Err(error)
        }),
    };
    // SAFETY: passed on from the caller.
    unsafe { finish(err, result) }
}

/// A deed without a handle.
///
/// # Safety
///
/// `err` is NULL or may be written.
pub(super) unsafe fn attempt(err: *mut *mut HaError, body: impl FnOnce() -> Result<()>) -> i32 {
    let result = caught(body).and_then(|result| result);
    // SAFETY: passed on from the caller.
    unsafe { finish(err, result) }
}

/// Why a handle was refused, in words.
pub(super) fn refusal(kind: ErrorKind) -> Error {
    let words = match kind {
        ErrorKind::Null => "NULL was given where a handle is needed",
        ErrorKind::Forked => "this process is a child of the one that started the session; it has no part in it",
        _ => "this is no handle of the type that is needed, or it was freed",
    };
    Error::new(kind, words)
}

/// Writes the error out, always, and gives the status code.
unsafe fn finish(err: *mut *mut HaError, result: Result<()>) -> i32 {
    let (code, error) = match result {
        Ok(()) => (super::error::HA_OK, std::ptr::null_mut()),
        Err(error) if err.is_null() => (error.kind().code(), std::ptr::null_mut()),
        Err(error) => (
            error.kind().code(),
            caught(|| give::<HaError>(plain::<HaError>(ErrorValue::new(&error)))).unwrap_or(std::ptr::null_mut()),
        ),
    };
    // SAFETY: passed on from the caller.
    unsafe { write(err, error) };
    code
}

/// Writes an out-parameter; NULL is skipped.
///
/// # Safety
///
/// `out` is NULL or may be written.
pub(super) unsafe fn write<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: the caller says that it may be written. Nothing is read or dropped: it may be uninitialised.
        unsafe { out.write(value) };
    }
}

/// A time limit of the caller's: 0 = do not wait, -1 = for ever.
pub(super) fn limit(ms: i64) -> Result<Option<Duration>> {
    match u64::try_from(ms) {
        Ok(ms) => Ok(Some(Duration::from_millis(ms))),
        Err(_) if ms == super::session::HA_FOREVER => Ok(None),
        Err(_) => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("a time limit of {ms} ms: neither 0 or more, nor HA_FOREVER"),
        )),
    }
}

/// Refuses NULL for the argument called `name`.
pub(super) fn required<T>(pointer: *const T, name: &str) -> Result<()> {
    if pointer.is_null() {
        return Err(Error::new(ErrorKind::Null, format!("{name} is NULL")).with("key", name));
    }
    Ok(())
}

/// The caller's string, which must be UTF-8. Where it is not, the error does not show it: it might be a secret.
///
/// # Safety
///
/// `text` is NULL or a NUL-terminated string that lives as long as the result is used.
pub(super) unsafe fn string<'a>(text: *const c_char, name: &str) -> Result<&'a str> {
    required(text, name)?;
    // SAFETY: the caller says that it is NUL-terminated.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|why| {
        let words = format!("{name} is not UTF-8 from its byte {} on", why.valid_up_to());
        Error::new(ErrorKind::InvalidArgument, words).with("key", name)
    })
}

/// The caller's bytes; `(NULL, 0)` is empty.
///
/// # Safety
///
/// `start` is NULL or points to `length` bytes that live as long as the result is used.
pub(super) unsafe fn bytes<'a>(start: *const c_void, length: usize, name: &str) -> Result<&'a [u8]> {
    if length == 0 {
        return Ok(&[]);
    }
    required(start, name)?;
    if isize::try_from(length).is_err() {
        return Err(Error::new(ErrorKind::InvalidArgument, format!("{name} has an impossible length, {length}")));
    }
    // SAFETY: the caller says so, it is not NULL, and the length was checked.
    Ok(unsafe { std::slice::from_raw_parts(start.cast(), length) })
}
