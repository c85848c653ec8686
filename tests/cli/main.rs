//! The command `coordha`, as its users run it: what it says, where, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod advice;
mod beside_milvus;
#[path = "../support/bless.rs"]
mod bless;
mod command;
mod config;
mod doctor;
mod doctor_holders;
mod exit_codes;
mod help;
mod hung;
mod ids;
mod json;
#[path = "../../src/bin/coordha/lines.rs"]
mod lines;
mod log_lines;
mod observe;
mod refusals;
mod run;
mod run_faults;
mod run_guard;
mod run_served;
mod run_ways;
mod running;
mod screen;
mod status;
mod strangers;
mod stream;
#[path = "../support/mod.rs"]
mod support;
mod walkthrough;
mod watch;
mod world;
