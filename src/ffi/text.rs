//! Strings for C: owned here, lent to the caller.

use std::ffi::{CString, c_char};

/// A string that C can read. A NUL inside, which C would take for the end, is shown as `\0`.
pub(super) fn c_string(text: impl Into<String>) -> CString {
    let text = text.into();
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}

/// A name for C, with NULs up to the end.
#[derive(Clone, Copy)]
pub(super) struct Name([u8; 24]);

impl Name {
    /// Fails to compile where the name is too long.
    pub(super) const fn new(name: &str) -> Self {
        let mut text = [0; 24];
        assert!(name.len() < text.len());
        text.split_at_mut(name.len()).0.copy_from_slice(name.as_bytes());
        Self(text)
    }

    pub(super) fn as_ptr(&'static self) -> *const c_char {
        self.0.as_ptr().cast()
    }
}

/// The names of all these kinds, for C, each with its number.
macro_rules! names {
    ($kind:ty) => {{
        let mut names = [(0, Name::new("")); <$kind>::ALL.len()];
        let mut i = 0;
        while i < names.len() {
            let kind = <$kind>::ALL[i];
            names[i] = (kind.code(), Name::new(kind.name()));
            i += 1;
        }
        names
    }};
}
pub(super) use names;
