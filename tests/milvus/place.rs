//! Where the elections are held: one etcd for all families of releases, a root for each.

use std::path::Path;
use std::process::Command;

use coordha::config::{Config, keys};

use crate::ours::Ours;
use crate::peer::{self, Peer};
use crate::support::etcd::Etcd;

/// Hold time of our sessions, in ms: the default, as a busy machine may stand still for 2 or 3 s.
pub(crate) const HOLD_MS: u64 = 5_000;

/// Time to live of their leases, in ms.
pub(crate) const OUR_TTL_MS: u64 = 15_000;

/// A family of releases that behave alike, by one of them, and a role that it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub(crate) release: &'static str,
    pub(crate) role: &'static str,
    /// It ends when its active key is deleted.
    pub(crate) minds_its_key: bool,
    /// With which code it ends when it loses its lease.
    pub(crate) lost_code: i32,
}

const fn family(release: &'static str, role: &'static str, minds_its_key: bool, lost_code: i32) -> Family {
    Family { release, role, minds_its_key, lost_code }
}

impl Family {
    /// Its first keepalive waits for the answer to a question for its lease.
    pub(crate) fn asks_for_its_lease(self) -> bool {
        ["2.6.7", "2.6.15", "3.0.0-beta"].contains(&self.release)
    }
}

/// One release of each family.
pub(crate) const FAMILIES: [Family; 9] = [
    family("2.2.3", "rootcoord", false, 0),
    family("2.2.10", "indexcoord", true, 0),
    family("2.3.1", "rootcoord", true, 0),
    family("2.4.0", "querycoord", true, 1),
    family("2.5.4", "datacoord", true, 1),
    family("2.6.6", "mixcoord", true, 1),
    family("2.6.7", "mixcoord", false, 1),
    family("2.6.15", "mixcoord", false, 1),
    family("3.0.0-beta", "mixcoord", false, 80),
];

/// The family of a release that is in the table.
pub(crate) fn of(release: &str) -> Family {
    *FAMILIES.iter().find(|family| family.release == release).unwrap()
}

pub(crate) struct Place {
    pub(crate) etcd: Etcd,
    program: &'static Path,
}

impl Place {
    /// `None` where the peer cannot be built, which is said.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let program = peer::program(test)?;
        Some(Self { etcd: Etcd::start(), program })
    }

    /// Holds an election with each family, all at once.
    pub(crate) fn each(&self, families: &[Family], test: impl Fn(&Arena<'_>) + Sync) {
        at_once(families, |family| test(&self.arena(family)));
    }

    /// The same, with an etcd for each.
    pub(crate) fn each_alone(name: &str, families: &[Family], test: impl Fn(&Arena<'_>) + Sync) {
        at_once(families, |family| {
            if let Some(place) = Self::start(name) {
                test(&place.arena(family));
            }
        });
    }

    pub(crate) fn arena(&self, family: Family) -> Arena<'_> {
        let root = format!("{}/meta", family.release);
        Arena { etcd: &self.etcd, program: self.program, root, role: family.role, release: family.release, family }
    }
}

fn at_once(families: &[Family], test: impl Fn(Family) + Sync) {
    std::thread::scope(|scope| {
        let test = &test;
        let tests: Vec<_> =
            families.iter().map(|family| (family.release, scope.spawn(move || test(*family)))).collect();
        let failed: Vec<_> =
            tests.into_iter().filter_map(|(name, test)| test.join().is_err().then_some(name)).collect();
        assert!(failed.is_empty(), "fails next to {failed:?}: see above");
    });
}

/// One election.
pub(crate) struct Arena<'a> {
    pub(crate) etcd: &'a Etcd,
    pub(crate) program: &'static Path,
    pub(crate) root: String,
    pub(crate) role: &'static str,
    pub(crate) release: &'static str,
    pub(crate) family: Family,
}

impl Arena<'_> {
    /// The same root, seen by a coordinator of another role or release.
    pub(crate) fn with(&self, role: &'static str, release: &'static str) -> Arena<'_> {
        Arena { etcd: self.etcd, program: self.program, root: self.root.clone(), role, release, family: self.family }
    }

    pub(crate) fn endpoints(&self) -> String {
        self.etcd.endpoints().join(",")
    }

    /// A Milvus coordinator that stands by, or is active where nobody is.
    pub(crate) fn peer(&self, number: u16) -> Peer {
        Peer::start(self, number, &["--active-standby"], |_| {})
    }

    /// One whose switch is off.
    pub(crate) fn exclusive_peer(&self, number: u16) -> Peer {
        Peer::start(self, number, &[], |_| {})
    }

    /// The keys and values of a session of ours: `number` tells it from others.
    pub(crate) fn pairs(&self, number: u16) -> Vec<(&'static str, String)> {
        vec![
            (keys::ROLE, self.role.into()),
            (keys::ROOT, self.root.clone()),
            (keys::ADDRESS, format!("127.0.0.1:{number}")),
            (keys::STORE_URL, format!("etcd://{}", self.endpoints())),
            (keys::ACTIVE_STANDBY_ENABLED, "true".into()),
            (keys::ACTIVATION_AUTO, "true".into()),
            (keys::ELECTION_HOLD_MS, HOLD_MS.to_string()),
            (keys::LEASE_TTL_MS, OUR_TTL_MS.to_string()),
            (keys::ELECTION_REREAD_MS, "1000".into()),
            (keys::ELECTION_SAME_HOST_PROOF, "false".into()),
            (keys::RELEASE_TIMEOUT_MS, "20000".into()),
        ]
    }

    pub(crate) fn config(&self, number: u16, more: &[(&str, &str)]) -> Config {
        let mut config = Config::new();
        for (key, value) in self.pairs(number) {
            config.set(key, &value).unwrap();
        }
        for (key, value) in more {
            config.set(key, value).unwrap();
        }
        config
    }

    pub(crate) fn ours(&self, number: u16) -> Ours {
        self.ours_with(number, &[])
    }

    pub(crate) fn ours_with(&self, number: u16, more: &[(&str, &str)]) -> Ours {
        Ours::start(&format!("ours no. {number} next to {}", self.release), &self.config(number, more))
    }

    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}/session/{name}", self.root)
    }

    pub(crate) fn active_key(&self) -> String {
        self.key(self.role)
    }

    pub(crate) fn member_key(&self, id: i64) -> String {
        self.key(&format!("{}-{id}", self.role))
    }

    /// The value of a key; `None`: absent.
    pub(crate) fn value(&self, key: &str) -> Option<String> {
        let text = self.etcd.ctl(&["get", "--print-value-only", key]).trim_end().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// The server ID in the record of the active key.
    pub(crate) fn holder(&self) -> Option<i64> {
        let record: serde_json::Value = serde_json::from_str(&self.value(&self.active_key())?).unwrap();
        record["ServerID"].as_i64()
    }

    pub(crate) fn delete(&self, key: &str) {
        assert_eq!(self.etcd.ctl(&["del", key]).trim(), "1", "{key} is not there");
    }

    pub(crate) fn revoke(&self, lease: &str) {
        self.etcd.ctl(&["lease", "revoke", lease]);
    }

    /// What a Milvus process lists of the role; an error: the listing fails as a whole.
    pub(crate) fn listed(&self) -> Result<Vec<(String, serde_json::Value)>, String> {
        let mut command = Command::new(self.program);
        command.args(["list", "--endpoints", &self.endpoints(), "--root", &self.root, "--role", self.role]);
        let output = command.output().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8(output.stdout).unwrap();
        let records = text.lines().map(|line| line.split_once(' ').unwrap());
        Ok(records.map(|(key, record)| (key.to_owned(), serde_json::from_str(record).unwrap())).collect())
    }
}
