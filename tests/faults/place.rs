//! A place for an election on a real etcd, its coordinators, and what every row checks at its end.

use std::sync::Arc;

use coordha::config::{Config, keys};
use coordha::kv::Revision;
use coordha::session::EventKind;

use crate::child::Child;
use crate::coordinator::{Coordinator, Manner};
use crate::faulty::Faulty;
use crate::referee::Referee;
use crate::support::etcd::{Builder, Etcd};
use crate::support::wait::until;

pub(crate) const ACTIVE_KEY: &str = "by-dev/meta/session/rootcoord";
pub(crate) const TERM_KEY: &str = "by-dev/meta/ha/rootcoord/term";

/// Hold time of the sessions of these tests, in ms: the default, as a busy machine may stand still for 2 or 3 s.
pub(crate) const HOLD_MS: u64 = 5_000;

/// One that can stand in the election: a session of this process or of another one.
pub(crate) trait Contender {
    fn is_active(&self) -> bool;
    fn token(&self) -> Revision;
    /// Ends it in order, and waits for its end.
    fn stop(self: Box<Self>);
}

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
        Self { etcd: builder.start(), referee: Arc::new(Referee::start()) }
    }

    /// The configuration of a coordinator: `number` tells it from others. The same-host proof is off, or all tests
    /// in one process would be neighbours of themselves.
    pub(crate) fn config(&self, number: u16) -> Config {
        self.config_at(number, &self.etcd.endpoints())
    }

    /// The same, with the store reached at other addresses, such as a proxy's.
    pub(crate) fn config_at(&self, number: u16, endpoints: &[String]) -> Config {
        let mut config = Config::new();
        for (key, value) in self.pairs(number, endpoints) {
            config.set(key, &value).unwrap();
        }
        config
    }

    /// The keys and values of such a configuration.
    pub(crate) fn pairs(&self, number: u16, endpoints: &[String]) -> Vec<(&'static str, String)> {
        vec![
            (keys::ROLE, "rootcoord".into()),
            (keys::ADDRESS, format!("127.0.0.1:{number}")),
            (keys::STORE_URL, format!("etcd://{}", endpoints.join(","))),
            (keys::ACTIVE_STANDBY_ENABLED, "true".into()),
            (keys::ELECTION_HOLD_MS, HOLD_MS.to_string()),
            (keys::LEASE_TTL_MS, "30000".into()),
            (keys::ELECTION_REREAD_MS, "1000".into()),
            (keys::ELECTION_SAME_HOST_PROOF, "false".into()),
            (keys::RELEASE_TIMEOUT_MS, "20000".into()),
        ]
    }

    pub(crate) fn coordinator(&self, name: &str, config: &Config) -> Coordinator {
        Coordinator::start(name, config, Manner::Prompt, &self.referee)
    }

    /// One of another role, which the referee does not compare with the rest.
    pub(crate) fn apart(&self, name: &str, config: &Config) -> Coordinator {
        let referee = Arc::new(Referee::start());
        Coordinator::start(name, config, Manner::Prompt, &referee)
    }

    pub(crate) fn coordinator_of(&self, name: &str, config: &Config, manner: Manner) -> Coordinator {
        Coordinator::start(name, config, manner, &self.referee)
    }

    /// One whose calls of the store go through `store`.
    pub(crate) fn coordinator_on(&self, name: &str, store: &Arc<Faulty>, config: &Config) -> Coordinator {
        Coordinator::start_on(name, store, config, &self.referee)
    }

    /// One in a process of its own, with these keys and values beside the usual ones.
    pub(crate) fn child(&self, name: &str, number: u16, more: &[(&'static str, &str)]) -> Child {
        Child::start(name, &self.child_pairs(number, more), &self.referee)
    }

    /// One that a command starts to which the child's own command line is added.
    pub(crate) fn child_by(
        &self,
        command: std::process::Command,
        name: &str,
        number: u16,
        more: &[(&'static str, &str)],
    ) -> Child {
        Child::start_by(command, name, &self.child_pairs(number, more), &self.referee)
    }

    fn child_pairs(&self, number: u16, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        let mut pairs = self.pairs(number, &self.etcd.endpoints());
        pairs.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
        pairs
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

    /// The term record; `None`: absent.
    pub(crate) fn term_record(&self) -> Option<serde_json::Value> {
        Some(serde_json::from_str(&self.value(TERM_KEY)?).unwrap())
    }

    /// How often the term has been renewed.
    pub(crate) fn renewals(&self) -> u64 {
        let record = self.term_record();
        record.and_then(|r| r["Renewals"].as_u64()).unwrap_or(0)
    }

    /// Waits until the store has shown `count` renewals more.
    pub(crate) fn wait_for_renewals(&self, count: u64) {
        let before = self.renewals();
        until("renewals", || (self.renewals() >= before + count).then_some(()));
    }

    pub(crate) fn member_key(coordinator: &Coordinator) -> String {
        format!("{ACTIVE_KEY}-{}", coordinator.session.server_id())
    }

    /// The lease of a coordinator, in hexadecimal as etcdctl wants it.
    pub(crate) fn lease(&self, coordinator: &Coordinator) -> String {
        let record = self.value(&Self::member_key(coordinator)).expect("a member record");
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        format!("{:x}", record["LeaseID"].as_i64().expect("LeaseID"))
    }

    /// Whether a lease still lives in the store.
    pub(crate) fn lease_lives(&self, lease: &str) -> bool {
        let answer = self.etcd.ctl(&["lease", "timetolive", lease]);
        !answer.contains("already expired")
    }

    /// Waits until exactly one of them is active, and gives its index.
    pub(crate) fn winner(&self, coordinators: &[&Coordinator]) -> usize {
        until("one active coordinator", || coordinators.iter().position(|c| c.session.is_active()))
    }

    /// The end of each row: one becomes active without a restart, then each of the others is able to win, as each
    /// winner leaves. Then the referee judges.
    pub(crate) fn everyone_can_win(self, coordinators: Vec<Coordinator>) {
        let boxed = |coordinator| -> Box<dyn Contender> { Box::new(coordinator) };
        self.all_can_win(coordinators.into_iter().map(boxed).collect());
    }

    pub(crate) fn all_can_win(self, mut contenders: Vec<Box<dyn Contender>>) {
        let mut last = 0;
        while !contenders.is_empty() {
            let winner = until("one active contender", || contenders.iter().position(|c| c.is_active()));
            let winner = contenders.remove(winner);
            let token = winner.token();
            assert!(token > last, "token {token} after {last}");
            last = token;
            winner.stop();
        }
        self.judge();
    }

    /// What the referee says of a row whose contenders are gone.
    pub(crate) fn judge(self) {
        Arc::into_inner(self.referee).expect("all coordinators are gone").judge();
    }
}
