//! The C ABI: translation only. What it promises stands in `include/coordha.h`, which `build.rs`
//! makes from the doc comments of this module's files, one section for each file.
//!
//! Every export runs inside `boundary`: no panic crosses, NULL and foreign handles are answered
//! with an error code, and a forked child is refused. No other module of the crate has unsafe
//! code.

#![expect(unsafe_code, reason = "the C ABI: raw pointers come in, symbols go out")]
#![expect(
    clippy::missing_safety_doc,
    reason = "the conventions at the top of the header hold for every function and are not repeated at each"
)]

mod boundary;
mod logging;
mod process;
mod text;

pub mod callbacks;
pub mod config;
pub mod error;
pub mod event;
pub mod log;
pub mod metrics;
pub mod observer;
pub mod role;
pub mod session;
pub mod txn;
pub mod types;
pub mod version;

#[cfg(test)]
mod tests;
