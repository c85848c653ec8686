//! Whole sessions through the public API, on the local store and on a store with switches.

#![cfg(feature = "testkit")]

mod callbacks;
mod etcd;
mod events;
mod lifecycle;
mod limits;
mod logs;
#[path = "../support/mod.rs"]
mod support;
mod switched;
mod takeover;
mod txn;
mod waiting;
mod world;
