//! Strings for C: owned here, lent to the caller.

use std::ffi::CString;

/// A string that C can read. A NUL inside, which C would take for the end, is shown as `\0`.
pub(super) fn c_string(text: impl Into<String>) -> CString {
    let text = text.into();
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}
