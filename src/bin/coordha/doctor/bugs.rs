//! Defects of etcd that an election meets, and the releases that have them no more.

use semver::Version;

/// A defect.
pub(super) struct Bug {
    pub(super) what: &'static str,
    /// First release of each line that has it no more: minor and patch. Later lines never had it.
    fixed: &'static [(u64, u64)],
    /// First line that has it.
    since: u64,
    /// It can lose what was committed, which no election survives.
    pub(super) is_grave: bool,
}

pub(super) const BUGS: &[Bug] = &[
    Bug { what: "can lose or corrupt data when a member is killed", fixed: &[(5, 3)], since: 5, is_grave: true },
    Bug {
        what: "a deposed leader goes on renewing leases, and may revoke one that was renewed elsewhere (etcd#15247): the \
               hold time protects coordha's terms, not a Milvus standby or an observer",
        fixed: &[(4, 31), (5, 13)],
        since: 0,
        is_grave: false,
    },
    Bug {
        what: "a lease can seem renewed right after it was revoked: a session may learn late that its lease is gone",
        fixed: &[(4, 38), (5, 23), (6, 5)],
        since: 0,
        is_grave: false,
    },
    Bug {
        what: "a watch can miss a DELETE around a compaction: the re-read (election.reread_ms) finds it",
        fixed: &[(4, 36), (5, 18)],
        since: 0,
        is_grave: false,
    },
    Bug {
        what: "with users on, anybody can keep any lease alive without a password",
        fixed: &[(4, 42), (5, 28), (6, 9)],
        since: 0,
        is_grave: false,
    },
    Bug {
        what: "with TLS, a connection carries at most 250 streams at a time",
        fixed: &[(4, 28), (5, 10)],
        since: 0,
        is_grave: false,
    },
];

impl Bug {
    /// Whether this release has it.
    pub(super) fn is_in(&self, version: &Version) -> bool {
        if version.major != 3 || version.minor < self.since {
            return false;
        }
        match self.fixed.iter().find(|(minor, _)| *minor == version.minor) {
            Some((_, patch)) => version.patch < *patch,
            None => self.fixed.iter().all(|(minor, _)| version.minor < *minor),
        }
    }

    /// The releases without it, in words.
    pub(super) fn cure(&self) -> String {
        self.fixed.iter().map(|(minor, patch)| format!("3.{minor}.{patch}")).collect::<Vec<_>>().join(", ")
    }
}
