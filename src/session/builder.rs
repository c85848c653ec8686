//! How a session is started.

use std::time::Duration;

use crate::election::Settings;
use crate::error::Result;

use super::{Callbacks, Session};

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoreOptions {
    /// `etcd://host:port[,host:port…]` or `local:<directory>`.
    pub url: String,
}

/// What a session is started with, checked.
#[derive(Clone, Debug)]
pub struct Options {
    /// The election's part.
    pub settings: Settings,
    /// The store.
    pub store: StoreOptions,
    /// Most droppable events waiting (`events.queue`).
    pub events_queue: usize,
    /// Most transactions under way (`txn.inflight`).
    pub txn_inflight: usize,
    /// Pause between two STANDBY lines in the log; `None`: none are written.
    pub log_standby: Option<Duration>,
}

/// Builds a session from configuration keys and values: see [`Session::builder`].
#[derive(Default)]
pub struct SessionBuilder {
    callbacks: Option<Box<dyn Callbacks>>,
}

impl SessionBuilder {
    /// Sets a configuration key. A wrong key or value is the error of [`SessionBuilder::start`].
    #[must_use]
    pub fn set(self, key: &str, value: impl ToString) -> Self {
        let _ = (key, value.to_string());
        self
    }

    /// Calls these instead of queueing events.
    #[must_use]
    pub fn callbacks(mut self, callbacks: impl Callbacks) -> Self {
        self.callbacks = Some(Box::new(callbacks));
        self
    }

    /// Starts it: see [`Session::start`].
    pub fn start(self) -> Result<Session> {
        Err(crate::error::Error::new(
            crate::error::ErrorKind::Unsupported,
            "not built",
        ))
    }
}

impl std::fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionBuilder").finish_non_exhaustive()
    }
}
