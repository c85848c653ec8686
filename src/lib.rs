//! Active-standby for coordinators.
//!
//! Processes of one role stand in an election on etcd, or on a directory where all are on one host. One of them is
//! active and serves; when it stops, hangs, dies or is cut off, a standby takes over; and what the old one writes late
//! does no harm, as each write that matters carries a fencing token.
//!
#![doc = concat!("```no_run\n", include_str!("../examples/rust/minimal.rs"), "```")]
//!
//! # Where to find what
//!
//! | To | there is |
//! |---|---|
//! | say which role, which address, which store, which times | [`Config`] and its [`keys`] |
//! | begin | [`Session::builder`] or [`Session::start`] |
//! | serve a term, in async code | [`Session::run`], with a [`Term`] |
//! | be told what happens | [`Session::run_with`], [`Session::events`], [`Session::next_event`], or [`Callbacks`] |
//! | ask whether new work may be taken | [`Session::is_active`] |
//! | ask whether work begun in a term may still act | [`Session::holds`], [`Session::is_ending`] |
//! | write so that a late writer cannot | [`Session::txn`] |
//! | write without waiting for the answer | [`TxnBuilder::submit`] |
//! | send clients to the active one | [`Session::holder`] |
//! | know who is active without standing in the election | [`Observer`] |
//! | let Prometheus read what goes on in the process | [`metrics::text`] |
//! | leave; step down; not contend for a while; be tried earlier | [`Session::request_stop`]; [`Session::resign`]; [`Session::pause`]; [`Session::set_priority`] |
//! | learn what went wrong | [`Error`] and its [`ErrorKind`] |
//!
//! # The life of a session
//!
//! It registers, stands by, and is given the role for a *term*, with a fencing token larger than all before. A body that
//! [`Session::run`] calls lives one term. Below it, and for those who pull events themselves, each term goes the same way:
//!
//! 1. [`EventKind::Activate`]: load what the active one needs, then say [`Session::activation_done`]. From then on the
//!    session is active.
//! 2. [`EventKind::Deactivate`]: finish what runs where the role is still [held], else only clean up; then say
//!    [`Session::deactivation_done`]: nothing of the term runs any more. Until that is said this session does not contend
//!    again; others take over in the meantime.
//! 3. [`EventKind::TermEnded`], before or after that answer: the instant at which the role is gone.
//!
//! A term is over when its deadline passes without a renewal, whatever any thread does: each question reads the clock.
//! What is guaranteed by that, and what is not, stands in the repository's `README.md`; why it holds, in
//! `docs/protocol.md`.
//!
//! # Threads
//!
//! The library has threads of its own, shared by all sessions of the process, from the first start to the last end. Its
//! `async` functions work under any runtime. It logs through [`tracing`]. In a child of `fork` the sessions of the
//! parent are not active, and refuse every call. The build needs `protoc` (feature `etcd`).
//!
//! # Features
//!
//! | Feature | Default | Brings |
//! |---|---|---|
//! | `etcd` | yes | the store on etcd |
//! | `local` | yes | the store in a directory, for the processes of one host |
//! | `tls` | yes | TLS to etcd |
//! | `metrics` | yes | metrics as Prometheus text |
//! | `yaml` | yes | configuration from YAML files |
//! | `capi` | no | the C functions of `coordha.h`, in `ffi` |
//! | `cli` | no | the command `coordha` |
//! | `testkit` | no | the simulated store and the conformance suite, for tests of this crate |
//!
//! [`session`], [`config`], [`metrics`] and [`error`] are the API, with [`kv::Revision`] and [`kv::KeyValue`]. The rest of [`kv`],
//! [`store`] and [`election`] are public for tests of stores and of the election's core, and `inspect` for the command; they may
//! change at any time.
//!
//! [`Config`]: config::Config
//! [`keys`]: config::keys
//! [`Session::builder`]: session::Session::builder
//! [`Session::start`]: session::Session::start
//! [`Session::run`]: session::Session::run
//! [`Session::run_with`]: session::Session::run_with
//! [`Term`]: session::Term
//! [`Session::events`]: session::Session::events
//! [`Session::next_event`]: session::Session::next_event
//! [`Callbacks`]: session::Callbacks
//! [`Session::is_active`]: session::Session::is_active
//! [`Session::holds`]: session::Session::holds
//! [`Session::is_ending`]: session::Session::is_ending
//! [`Session::txn`]: session::Session::txn
//! [`Session::holder`]: session::Session::holder
//! [`TxnBuilder::submit`]: session::TxnBuilder::submit
//! [`Observer`]: session::Observer
//! [`Session::request_stop`]: session::Session::request_stop
//! [`Session::resign`]: session::Session::resign
//! [`Session::pause`]: session::Session::pause
//! [`Session::set_priority`]: session::Session::set_priority
//! [`Session::activation_done`]: session::Session::activation_done
//! [`Session::deactivation_done`]: session::Session::deactivation_done
//! [`EventKind::Activate`]: session::EventKind::Activate
//! [`EventKind::Deactivate`]: session::EventKind::Deactivate
//! [`EventKind::TermEnded`]: session::EventKind::TermEnded
//! [held]: session::Event::held
//! [`Error`]: error::Error
//! [`ErrorKind`]: error::ErrorKind

pub mod config;
mod driver;
pub mod election;
pub mod error;
#[cfg(feature = "capi")]
pub mod ffi;
mod host;
#[cfg(feature = "cli")]
pub mod inspect;
pub mod kv;
pub mod metrics;
mod record;
pub mod session;
pub mod store;
