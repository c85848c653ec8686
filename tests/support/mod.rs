//! What the tests share: a real etcd, certificates, a proxy with switches, free ports, and the ways to wait.
//!
//! Nothing here outlives its test: servers are ended when they are dropped, also in a panic, and by the kernel where
//! the test's process is killed.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::print_stderr,
    reason = "each test binary uses its own part of it, is no crate, and speaks where a test fails"
)]

pub mod certs;
pub mod etcd;
pub mod ports;
pub mod proxy;
pub mod seen;
pub mod wait;

/// Says, also where the harness keeps what tests print, that a test is left out and why.
pub fn skip(test: &str, why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}
