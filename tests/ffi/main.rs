//! The C ABI from outside: the header, the symbols, and C programs that use the shared library.

#![cfg(feature = "capi")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/bless.rs"]
mod bless;
#[path = "../support/mod.rs"]
mod support;

mod abi;
mod artifacts;
mod calls;
mod examples;
mod exports;
mod header;
mod programs;
