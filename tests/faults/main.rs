//! The fault catalogue (docs/faults.md) against a real etcd: each test injects exactly the fault of its row.

#![cfg(all(feature = "testkit", feature = "etcd"))]

mod coordinator;
mod keys;
mod place;
mod referee;
#[path = "../support/mod.rs"]
mod support;
