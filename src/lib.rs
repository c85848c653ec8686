//! Active-standby for coordinators on etcd.

pub mod config;
pub mod election;
pub mod error;
pub mod kv;
pub mod store;
