//! Whole sessions through the public API, on the local store and on a store with switches.

#![cfg(feature = "testkit")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and a child process speaks to its parent"
)]

mod callbacks;
mod counted;
mod etcd;
mod events;
mod forked;
mod lifecycle;
mod limits;
mod logs;
mod logs_of_milvus;
mod metered;
mod observer;
mod observer_etcd;
mod shared;
mod submit;
#[path = "../support/mod.rs"]
mod support;
mod switched;
mod takeover;
mod term;
mod txn;
mod waiting;
mod watched;
mod world;
