//! Version and features.

use std::ffi::c_char;

use super::boundary::{Value, ask_text, guard};

const NUMBER: i32 =
    number(env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH"));

const fn number(major: &str, minor: &str, patch: &str) -> i32 {
    decimal(major) * 1_000_000 + decimal(minor) * 1_000 + decimal(patch)
}

const fn decimal(text: &str) -> i32 {
    let digits = text.as_bytes();
    let mut value = 0;
    let mut at = 0;
    while at < digits.len() {
        value = value * 10 + (digits[at] - b'0') as i32;
        at += 1;
    }
    value
}

/// The version of the library that runs: MAJOR * 1000000 + MINOR * 1000 + PATCH, as
/// HA_VERSION_NUMBER is that of this header. A program that needs a function of a later version
/// compares them.
///
/// @return The version. Never fails.
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ha_version_number() -> i32 {
    guard(|| Value(NUMBER)).0
}

/// The same as text, such as "0.1.0".
///
/// @return Static: valid for ever, never freed. Any thread. Never fails.
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ha_version_string() -> *const c_char {
    guard(|| {
        const TEXT: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
        TEXT.as_ptr().cast()
    })
}

/// Whether this build of the library has a feature.
///
/// @param name "etcd", "local", "tls", "yaml", "metrics", "mirror" or "handover".
/// @return false also for a name that is not known, and for NULL. Any thread.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_has_feature(name: *const c_char) -> bool {
    let features = [
        ("etcd", cfg!(feature = "etcd")),
        ("local", cfg!(feature = "local")),
        ("tls", cfg!(feature = "tls")),
        ("yaml", cfg!(feature = "yaml")),
        ("metrics", cfg!(feature = "metrics")),
    ];
    // SAFETY: the caller's string, as the header asks.
    unsafe { ask_text(name, |name| features.contains(&(name, true))) }
}
