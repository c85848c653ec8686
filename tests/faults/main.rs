//! The fault catalogue (docs/faults.md) against a real etcd: each test injects exactly the fault of its row.

#![cfg(all(feature = "testkit", feature = "etcd"))]

mod application;
mod child;
mod cluster;
mod coordinator;
mod faulty;
mod keys;
mod leases;
mod life;
mod many;
mod milvus;
mod network;
mod place;
mod processes;
mod referee;
mod same_host;
mod starts;
#[path = "../support/mod.rs"]
mod support;
mod workers;
