//! A session from keys and values in one expression.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Callbacks, Session, start};
use crate::config::{Config, Dialect};
use crate::error::{Error, Result};

/// Builds a session from configuration keys and values: see [`Session::builder`].
///
/// ```no_run
/// use coordha::config::keys;
/// use coordha::session::Session;
///
/// let session = Session::builder()
///     .set(keys::ROLE, "rootcoord")
///     .set(keys::ADDRESS, "10.0.0.5:53100")
///     .set(keys::STORE_URL, "etcd://etcd-0:2379,etcd-1:2379,etcd-2:2379")
///     .set(keys::ACTIVE_STANDBY_ENABLED, true)
///     .start()?;
/// # Ok::<(), coordha::error::Error>(())
/// ```
#[derive(Default)]
pub struct SessionBuilder {
    config: Config,
    callbacks: Option<Box<dyn Callbacks>>,
    cgroup: Option<PathBuf>,
    error: Option<Error>,
}

impl SessionBuilder {
    /// Begins with these keys and values in place of the ones set so far.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets a configuration key. The first thing that is wrong is the error of [`SessionBuilder::start`].
    #[must_use]
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        let set = self.config.set(key, &value.to_string());
        self.error = self.error.or(set.err());
        self
    }

    /// Proposes a value, which file and environment may overrule: see [`Config::set_default`].
    #[must_use]
    pub fn set_default(mut self, key: &str, value: impl ToString) -> Self {
        let set = self.config.set_default(key, &value.to_string());
        self.error = self.error.or(set.err());
        self
    }

    /// Loads a file: see [`Config::load_yaml`].
    #[must_use]
    pub fn load_yaml(mut self, path: impl AsRef<Path>, dialect: Dialect) -> Self {
        let loaded = self.config.load_yaml(path, dialect);
        self.error = self.error.or(loaded.err());
        self
    }

    /// Loads the environment: see [`Config::load_env`].
    #[must_use]
    pub fn load_env(mut self, dialect: Dialect) -> Self {
        let loaded = self.config.load_env(dialect);
        self.error = self.error.or(loaded.err());
        self
    }

    /// Calls these instead of queueing events.
    #[must_use]
    pub fn callbacks(mut self, callbacks: impl Callbacks) -> Self {
        self.callbacks = Some(Box::new(callbacks));
        self
    }

    /// Other processes act for the role, all of them in this cgroup (v2): its directory. Where this process is killed, a
    /// standby of the same host then takes the term for ended once nobody in that cgroup lives either; without this, as
    /// soon as this process is dead ([`keys::ELECTION_SAME_HOST_PROOF`](crate::config::keys::ELECTION_SAME_HOST_PROOF)).
    /// The cgroup must never be used again for anything else.
    ///
    /// Where it is none of this host, [`SessionBuilder::start`] says [`ErrorKind::InvalidArgument`](crate::error::ErrorKind::InvalidArgument).
    #[must_use]
    pub fn cgroup(mut self, directory: impl AsRef<Path>) -> Self {
        self.cgroup = Some(directory.as_ref().to_owned());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// Those of [`Config::set`] and [`Session::start`].
    pub fn start(self) -> Result<Session> {
        match self.error {
            Some(error) => Err(error),
            None => start::session(&self.config, self.callbacks, self.cgroup.as_deref()),
        }
    }
}

impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder")
            .field("config", &self.config)
            .field("callbacks", &self.callbacks.is_some())
            .finish_non_exhaustive()
    }
}
