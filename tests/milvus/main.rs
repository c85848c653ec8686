//! Next to Milvus, on a real etcd: sessions of ours in one election with `peer`, which does what a Milvus coordinator does,
//! release by release. Without Go, which builds it, all is left out.

#![cfg(feature = "etcd")]

mod child;
mod exclusive;
mod follows;
mod force;
mod leads;
mod lines;
mod lives_on;
mod mixcoord;
mod mixed;
mod observers;
mod ours;
mod peer;
mod place;
mod records;
mod refuses;
mod sessions;
mod spin;
mod stuck;
#[path = "../support/mod.rs"]
mod support;
