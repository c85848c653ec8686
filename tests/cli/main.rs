//! The command `coordha`, as its users run it: what it says, where, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;
mod config;
#[path = "../../src/bin/coordha/lines.rs"]
mod lines;
mod log_lines;
mod run;
mod run_faults;
mod run_ways;
mod running;
#[path = "../support/mod.rs"]
mod support;
