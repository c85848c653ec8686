//! Every store passes the same suite: a lab and one line for each.

#![cfg(feature = "testkit")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coordha::kv::Revision;
use coordha::store::Store;
use coordha::store::conformance::Lab;
use coordha::store::sim::{SimOptions, SimStore};

/// A simulated store, whose time is the runtime's paused clock.
struct SimLab(SimStore);

impl SimLab {
    fn start() -> Self {
        tokio::time::pause();
        Self(SimStore::new(SimOptions { min_ttl_ms: 1000, ..SimOptions::default() }))
    }
}

#[async_trait]
impl Lab for SimLab {
    fn client(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }

    async fn compact(&self, revision: Revision) {
        self.0.with_state(|state| state.compact(revision));
    }

    fn min_ttl(&self) -> Duration {
        Duration::from_secs(1)
    }
}

coordha::conformance!(sim, SimLab::start());
#[cfg(feature = "local")]
mod local_lab {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use coordha::kv::Revision;
    use coordha::store::Store;
    use coordha::store::conformance::Lab;
    use coordha::store::local::LocalStore;
    use tempfile::TempDir;

    const LIMIT: Duration = Duration::from_secs(20);

    /// A directory of its own.
    pub(super) struct LocalLab(TempDir);

    impl LocalLab {
        pub(super) fn new() -> Self {
            Self(TempDir::new().expect("a directory"))
        }

        fn open(&self) -> LocalStore {
            LocalStore::open(self.0.path(), LIMIT).expect("the store opens")
        }
    }

    #[async_trait]
    impl Lab for LocalLab {
        fn client(&self) -> Arc<dyn Store> {
            Arc::new(self.open())
        }

        async fn compact(&self, revision: Revision) {
            let compacted = self.open().compact(revision, LIMIT).await;
            compacted.expect("the history is dropped");
        }

        fn min_ttl(&self) -> Duration {
            LocalStore::MIN_TTL
        }
    }
}

#[cfg(feature = "local")]
coordha::conformance!(local, local_lab::LocalLab::new());

#[cfg(feature = "etcd")]
mod etcd {
    use coordha::store::etcd::{EtcdOptions, EtcdStore};

    use super::*;
    use crate::support::etcd::{Etcd, Version};

    /// An etcd of its own, one member.
    struct EtcdLab(Etcd);

    impl EtcdLab {
        fn start(version: Version) -> Self {
            Self(Etcd::builder().version(version).start())
        }
    }

    #[async_trait]
    impl Lab for EtcdLab {
        fn client(&self) -> Arc<dyn Store> {
            let options = EtcdOptions::new(self.0.endpoints());
            Arc::new(EtcdStore::new(&options).expect("the options are right"))
        }

        async fn compact(&self, revision: Revision) {
            self.0.ctl(&["compact", &revision.to_string()]);
        }

        fn min_ttl(&self) -> Duration {
            Duration::from_secs(1)
        }
    }

    coordha::conformance!(v3_4, EtcdLab::start(Version::V3_4));
    coordha::conformance!(v3_6, EtcdLab::start(Version::V3_6));
    coordha::conformance!(v3_7, EtcdLab::start(Version::V3_7));
}
