//! Every store passes the same suite: a lab and one line for each.

#![cfg(feature = "testkit")]

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
        Self(SimStore::new(SimOptions {
            min_ttl_ms: 1000,
            ..SimOptions::default()
        }))
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
