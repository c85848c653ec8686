#![doc = include_str!("../README.md")]
//!
//! # The Rust API
//!
//! [`Config`](config::Config) says what to be and where; [`Session::start`](session::Session::start) begins; events, callbacks and guarded
//! transactions are in [`session`]. The layers below are public for tests of stores and of the core, and are no part of
//! the stable API: [`kv`], [`store`], [`election`].

pub mod config;
mod driver;
pub mod election;
pub mod error;
#[cfg(feature = "capi")]
pub mod ffi;
mod host;
pub mod kv;
mod record;
pub mod session;
pub mod store;
