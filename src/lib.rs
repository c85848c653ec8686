//! Active-standby for coordinators on etcd.

pub mod config;
mod driver;
pub mod election;
pub mod error;
#[cfg(feature = "capi")]
pub mod ffi;
pub mod kv;
mod record;
pub mod session;
pub mod store;
