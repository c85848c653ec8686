//! Leases: they end by time or by `revoke`, and take their keys with them in one revision.

use super::{Lease, SimState};
use crate::kv::{LeaseId, LeaseReply, StoreError};

const NS_PER_MS: u64 = 1_000_000;

impl SimState {
    /// Grants a lease of at least `ttl_ms`, counted from now.
    pub fn grant(&mut self, ttl_ms: u64) -> Result<LeaseReply, StoreError> {
        if self.no_space {
            return Err(StoreError::NoSpace("the store's space is used up".into()));
        }
        let ttl_ms = ttl_ms.max(self.options.min_ttl_ms);
        let ttl = ttl_ms.saturating_mul(NS_PER_MS);
        let lease = self.next_lease;
        self.next_lease += 1;
        self.leases.push(Lease { id: lease, ttl, deadline: self.now.saturating_add(ttl) });
        Ok(LeaseReply { lease, ttl_ms })
    }

    /// Keeps a lease alive for its full time to live from now; `ttl_ms` 0: it is gone, or due and only not deleted yet.
    pub fn keepalive(&mut self, lease: LeaseId) -> LeaseReply {
        let now = self.now;
        let found = self.find_lease(lease).filter(|found| found.deadline > now);
        let ttl_ms = found.map_or(0, |found| {
            found.deadline = now.saturating_add(found.ttl);
            found.ttl / NS_PER_MS
        });
        LeaseReply { lease, ttl_ms }
    }

    /// Ends a lease and deletes its keys. False: there is none.
    pub fn revoke(&mut self, lease: LeaseId) -> bool {
        let Ok(at) = self.leases.binary_search_by_key(&lease, |found| found.id) else {
            return false;
        };
        self.leases.remove(at);
        let keys = self.keys.iter().filter(|kv| kv.lease == lease).map(|kv| kv.key.clone()).collect();
        let mut events = Vec::new();
        self.remove(keys, &mut events);
        self.commit(events);
        true
    }

    /// Sets the time, which never goes back, but ends no lease: those that are due stay until [`SimState::expire`], as
    /// etcd only looks for them every now and then.
    pub fn set_time(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    /// Ends all leases that are due, in the order of their deadlines, and names them.
    pub fn expire(&mut self) -> Vec<LeaseId> {
        let mut due: Vec<_> = self
            .leases
            .iter()
            .filter(|lease| lease.deadline <= self.now)
            .map(|lease| (lease.deadline, lease.id))
            .collect();
        due.sort_unstable();
        for (_, lease) in &due {
            self.revoke(*lease);
        }
        due.into_iter().map(|(_, lease)| lease).collect()
    }

    /// Sets the time and ends all leases that are due by then.
    pub fn advance(&mut self, now: u64) -> Vec<LeaseId> {
        self.set_time(now);
        self.expire()
    }

    /// When the next lease is due, in ns; `None`: there is no lease.
    pub fn next_expiry(&self) -> Option<u64> {
        self.leases.iter().map(|lease| lease.deadline).min()
    }

    /// Lets every lease live for its full time to live and `extra` ns more from now, as a new leader of etcd does.
    pub fn extend_leases(&mut self, extra: u64) {
        for lease in &mut self.leases {
            lease.deadline = self.now.saturating_add(lease.ttl).saturating_add(extra);
        }
    }

    /// The full time to live of a lease, in ms; 0: there is none. A deposed leader of etcd answers keepalives with it.
    pub fn lease_ttl_ms(&self, lease: LeaseId) -> u64 {
        self.leases.binary_search_by_key(&lease, |found| found.id).map_or(0, |at| self.leases[at].ttl / NS_PER_MS)
    }

    /// All leases that have not ended, in the order in which they were granted.
    pub fn leases(&self) -> impl Iterator<Item = LeaseId> + '_ {
        self.leases.iter().map(|lease| lease.id)
    }

    pub(super) fn lease_exists(&self, lease: LeaseId) -> bool {
        self.leases.binary_search_by_key(&lease, |found| found.id).is_ok()
    }

    fn find_lease(&mut self, lease: LeaseId) -> Option<&mut Lease> {
        let at = self.leases.binary_search_by_key(&lease, |found| found.id).ok()?;
        self.leases.get_mut(at)
    }
}
