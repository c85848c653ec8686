//! A place for an election on a real etcd, its coordinators, and what every row checks at its end.

use std::sync::Arc;

use coordha::config::{Config, keys};
use coordha::kv::Revision;
use coordha::session::{EventKind, Role};

use crate::coordinator::{Coordinator, Manner};
use crate::referee::Referee;
use crate::support::etcd::{Builder, Etcd};
use crate::support::wait::until;

pub(crate) const ACTIVE_KEY: &str = "by-dev/meta/session/rootcoord";
pub(crate) const TERM_KEY: &str = "by-dev/meta/ha/rootcoord/term";

/// Hold time of the sessions of these tests, in ms: short, and long enough for a busy machine.
pub(crate) const HOLD_MS: u64 = 1_500;

pub(crate) struct Place {
    pub(crate) etcd: Etcd,
    referee: Arc<Referee>,
}

impl Place {
    /// One member.
    pub(crate) fn start() -> Self {
        Self::with(Etcd::builder())
    }

    pub(crate) fn with(builder: Builder) -> Self {
        Self {
            etcd: builder.start(),
            referee: Arc::new(Referee::start()),
        }
    }

    /// The configuration of a coordinator: `number` tells it from others. The same-host proof is off, or all tests
    /// in one process would be neighbours of themselves.
    pub(crate) fn config(&self, number: u16) -> Config {
        self.config_at(number, &self.etcd.endpoints())
    }

    /// The same, with the store reached at other addresses, such as a proxy's.
    pub(crate) fn config_at(&self, number: u16, endpoints: &[String]) -> Config {
        let mut config = Config::new();
        for (key, value) in [
            (keys::ROLE, "rootcoord"),
            (keys::ADDRESS, &format!("127.0.0.1:{number}")),
            (keys::STORE_URL, &format!("etcd://{}", endpoints.join(","))),
            (keys::ACTIVE_STANDBY_ENABLED, "true"),
            (keys::ELECTION_HOLD_MS, &HOLD_MS.to_string()),
            (keys::LEASE_TTL_MS, "10000"),
            (keys::ELECTION_REREAD_MS, "1000"),
            (keys::ELECTION_SAME_HOST_PROOF, "false"),
        ] {
            config.set(key, value).unwrap();
        }
        config
    }

    pub(crate) fn coordinator(&self, name: &str, config: &Config) -> Coordinator {
        Coordinator::start(name, config, Manner::Prompt, &self.referee)
    }

    /// One of another role, which the referee does not compare with the rest.
    pub(crate) fn apart(&self, name: &str, config: &Config) -> Coordinator {
        let referee = Arc::new(Referee::start());
        Coordinator::start(name, config, Manner::Prompt, &referee)
    }

    pub(crate) fn coordinator_of(
        &self,
        name: &str,
        config: &Config,
        manner: Manner,
    ) -> Coordinator {
        Coordinator::start(name, config, manner, &self.referee)
    }

    /// A is active, B stands by; with A's token.
    pub(crate) fn pair(&self) -> (Coordinator, Coordinator, Revision) {
        let a = self.coordinator("A", &self.config(1));
        let token = a.active_after(0);
        let b = self.coordinator("B", &self.config(2));
        b.nth(EventKind::Standby, 1);
        (a, b, token)
    }

    /// The value of a key, as etcdctl shows it; `None`: absent.
    pub(crate) fn value(&self, key: &str) -> Option<String> {
        let text = self.etcd.ctl(&["get", "--print-value-only", key]);
        let text = text.trim_end().to_owned();
        (!text.is_empty()).then_some(text)
    }

    pub(crate) fn member_key(coordinator: &Coordinator) -> String {
        format!("{ACTIVE_KEY}-{}", coordinator.session.server_id())
    }

    /// The lease of a coordinator, in hexadecimal as etcdctl wants it.
    pub(crate) fn lease(&self, coordinator: &Coordinator) -> String {
        let record = self
            .value(&Self::member_key(coordinator))
            .expect("a member record");
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        format!("{:x}", record["LeaseID"].as_i64().expect("LeaseID"))
    }

    /// Waits until exactly one of them is active, and gives its index.
    pub(crate) fn winner(&self, coordinators: &[&Coordinator]) -> usize {
        until("one active coordinator", || {
            coordinators.iter().position(|c| c.session.is_active())
        })
    }

    /// The end of each row: one becomes active without a restart, then each of the others is able to win, as each
    /// winner leaves. Then the referee judges.
    pub(crate) fn everyone_can_win(self, mut coordinators: Vec<Coordinator>) {
        let mut last = 0;
        while !coordinators.is_empty() {
            let winner = self.winner(&coordinators.iter().collect::<Vec<_>>());
            let winner = coordinators.remove(winner);
            let token = winner.session.fencing_token();
            assert!(token > last, "token {token} after {last}");
            last = token;
            let standbys = coordinators
                .iter()
                .all(|c| c.session.role() != Role::Active);
            assert!(standbys, "two active");
            winner.stop();
        }
        Arc::into_inner(self.referee)
            .expect("all coordinators are gone")
            .judge();
    }
}
