//! Active-standby for coordinators on etcd.

pub mod config;
mod driver;
pub mod election;
pub mod error;
pub mod kv;
mod record;
pub mod session;
pub mod store;
