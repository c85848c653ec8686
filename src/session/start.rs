//! Starting a session: from a configuration to a driver at work.

use std::path::Path;
use std::sync::Arc;

use super::outbox::Outbox;
use super::{Callbacks, Session, log, stores};
use crate::config::{Config, Resolved};
use crate::driver::{Driver, Setup, Shared, current_process};
use crate::error::{Error, ErrorKind, Result};
use crate::store::Store;

impl Session {
    /// Starts a session. Checks and copies the configuration, and returns without waiting for the network: an
    /// unreachable store is an event ([`EventKind::Degraded`](super::EventKind::Degraded)) and is tried
    /// again. Callbacks may run before this has returned.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use coordha::config::{Config, keys};
    /// # use coordha::session::{Session, Until};
    /// # let directory = tempfile::tempdir().unwrap();
    /// let mut config = Config::new();
    /// config.set(keys::ROLE, "rootcoord")?;
    /// config.set(keys::ADDRESS, "127.0.0.1:53100")?;
    /// config.set(keys::STORE_URL, &format!("local:{}", directory.path().display()))?;
    /// config.set(keys::ACTIVATION_AUTO, "true")?;
    /// let session = Session::start(&config, None)?;
    /// session.wait(Until::Active, Some(Duration::from_secs(30)))?;
    /// assert!(session.is_active());
    /// session.stop(None)?;
    /// assert!(!session.is_active());
    /// # Ok::<(), coordha::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Config::resolve`]; what opening the store may say (an embedded one that cannot be used);
    /// [`ErrorKind::AlreadyStarted`]; [`ErrorKind::Resources`]; [`ErrorKind::Forked`] in the child of a
    /// process that has sessions. Nothing is started then, and `callbacks` is dropped before this returns.
    pub fn start(config: &Config, callbacks: Option<Box<dyn Callbacks>>) -> Result<Self> {
        session(config, callbacks, None)
    }

    /// [`Session::start`] on a store of the caller's own, for tests; `store.url` only names it.
    ///
    /// # Errors
    /// As [`Session::start`].
    #[cfg(feature = "testkit")]
    pub fn start_on(store: Arc<dyn Store>, config: &Config, callbacks: Option<Box<dyn Callbacks>>) -> Result<Self> {
        start(&config.resolve()?, Shared::of_process()?, store, callbacks, None)
    }
}

/// [`Session::start`] where all that act for the role are in a cgroup.
pub(super) fn session(
    config: &Config,
    callbacks: Option<Box<dyn Callbacks>>,
    cgroup: Option<&Path>,
) -> Result<Session> {
    let resolved = config.resolve()?;
    let shared = Shared::of_process()?;
    let store = shared.store(resolved.store.clone(), stores::open)?;
    log::mode(config, &resolved);
    start(&resolved, shared, store, callbacks, cgroup)
}

fn start(
    resolved: &Resolved,
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    callbacks: Option<Box<dyn Callbacks>>,
    cgroup: Option<&Path>,
) -> Result<Session> {
    let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let process = if resolved.same_host_proof { current_process(cgroup)? } else { None };
    let settings = resolved.settings(host_name, random_id()?, process);
    let outbox = Arc::new(Outbox::new(resolved, callbacks));
    let driver = Driver::start(Setup {
        name: [resolved.store.url.to_string(), resolved.root.clone(), resolved.role.clone(), resolved.address.clone()],
        settings,
        shared,
        store,
        shares: resolved.shared,
        sink: Arc::<Outbox>::clone(&outbox),
        standby_log: resolved.standby_log,
    })?;
    Ok(Session::first(driver, outbox))
}

fn random_id() -> Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| Error::new(ErrorKind::Resources, format!("no random numbers: {e}")))?;
    Ok(u128::from_ne_bytes(bytes))
}
