//! The store's side: it answers requests, serves watches, and ends leases.

use std::rc::Rc;

use coordha::election::{Reply, RequestId, StoreRequest, WatchId};
use coordha::kv::{Compare, LeaseReply, Op, Revision, StoreError, Txn, WatchItem};

use super::clock::MS;
use super::message::{Kind, Proc, Step, failed};
use super::node::{Run, ServedWatch, Shown};
use super::{World, note};

/// What ails the store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    /// It answers nothing.
    pub(crate) silent: u32,
    /// It refuses everything.
    pub(crate) refuses: u32,
    /// It does not look for leases that are due.
    pub(crate) lets_leases_live: u32,
    scan_queued: bool,
}

impl World {
    /// A request arrives at the store.
    pub(crate) fn arrive(
        &mut self,
        at: usize,
        proc: Proc,
        id: RequestId,
        (kind, saw): (Kind, &Shown),
        request: &StoreRequest,
    ) {
        self.store.set_time(self.now);
        if self.server.silent > 0 {
            return;
        }
        if self.server.refuses > 0 {
            let reply = failed(kind, StoreError::Unavailable("no leader".into()));
            self.answer(at, proc, id, kind, reply);
            return;
        }
        if self.nodes[at].deposed {
            // Keepalives do not go through the log: a deposed leader answers them, and renews nothing.
            if let StoreRequest::KeepAlive { lease } = request {
                let ttl_ms = self.store.lease_ttl_ms(*lease);
                let lease = LeaseReply { lease: *lease, ttl_ms };
                self.answer(at, proc, id, kind, Reply::Lease(Ok(lease)));
            }
            return;
        }
        let reply = self.serve(at, proc, (kind, saw), request);
        if let Some(reply) = reply {
            self.answer(at, proc, id, kind, reply);
        }
        self.pump();
        self.queue_scan();
    }

    fn serve(&mut self, at: usize, proc: Proc, (kind, saw): (Kind, &Shown), request: &StoreRequest) -> Option<Reply> {
        Some(match request {
            StoreRequest::Grant { ttl } => {
                let granted = self.store.grant(ttl.as_millis() as u64);
                if let (Ok(granted), true) = (&granted, self.nodes[at].proc == proc) {
                    self.nodes[at].lease = granted.lease;
                }
                Reply::Lease(granted)
            }
            StoreRequest::KeepAlive { lease } => Reply::Lease(Ok(self.store.keepalive(*lease))),
            StoreRequest::Revoke { lease } => {
                self.store.revoke(*lease);
                Reply::Revoked(Ok(()))
            }
            StoreRequest::First { key } => match self.store.first_event(key) {
                Ok(Some(revision)) => Reply::First(Ok(Some(revision))),
                // The watch goes on waiting for one.
                Ok(None) => return None,
                Err(_) => Reply::First(Ok(None)),
            },
            StoreRequest::Txn(txn) => {
                let before = self.before_commit(at, kind, saw);
                let reply = self.store.apply_txn(txn);
                if let Ok(reply) = &reply {
                    note!(
                        self,
                        "store: {kind:?} of n{at} {} at {}",
                        if reply.succeeded { "done" } else { "refused" },
                        reply.revision
                    );
                    self.check_commit(at, proc, kind, before, reply);
                }
                Reply::Txn(reply)
            }
        })
    }

    pub(crate) fn open_watch(&mut self, at: usize, proc: Proc, id: WatchId, from: Revision) {
        let node = &mut self.nodes[at];
        if node.proc != proc || node.run == Run::Down || self.server.silent > 0 || node.deposed {
            return;
        }
        let Some(election) = &node.election else {
            return;
        };
        let ranges = Rc::new(election.ranges());
        node.watch = Some(ServedWatch { id, next: from, ranges, silent: false, skips: false, last: 0 });
        if self.server.refuses > 0 {
            self.show(at, WatchItem::Failed(StoreError::Unavailable("no leader".into())));
            return;
        }
        self.show(at, WatchItem::Started);
        self.pump_one(at);
    }

    /// Shows to all watches what is new.
    pub(crate) fn pump(&mut self) {
        let revision = self.store.revision();
        for at in 0..self.nodes.len() {
            if self.nodes[at].watch.as_ref().is_some_and(|watch| watch.next <= revision) {
                self.pump_one(at);
            }
        }
    }

    fn pump_one(&mut self, at: usize) {
        let revision = self.store.revision();
        let node = &mut self.nodes[at];
        if node.deposed || self.server.silent > 0 {
            return;
        }
        let Some(watch) = node.watch.as_mut().filter(|watch| !watch.silent) else {
            return;
        };
        let found = self.store.events_since(watch.next, &watch.ranges);
        watch.next = watch.next.max(revision + 1);
        match found {
            Err(revision) => self.show(at, WatchItem::Compacted { revision }),
            Ok(found) => {
                for events in found {
                    let skips = self.nodes[at].watch.as_mut().map(|watch| &mut watch.skips);
                    if skips.is_none_or(|skips| !std::mem::take(skips)) {
                        self.show(at, WatchItem::Events(events));
                    }
                }
            }
        }
    }

    /// Sees to it that leases end: the store looks for them in steps.
    pub(crate) fn queue_scan(&mut self) {
        if self.server.scan_queued {
            return;
        }
        if let Some(expiry) = self.store.next_expiry() {
            self.server.scan_queued = true;
            let step = self.config.scan.max(1);
            self.push(expiry.div_ceil(step) * step, Step::Scan);
        }
    }

    pub(crate) fn scan(&mut self) {
        self.server.scan_queued = false;
        self.store.set_time(self.now);
        if self.server.lets_leases_live > 0 {
            self.server.scan_queued = true;
            self.push(self.now + 100 * MS, Step::Scan);
            return;
        }
        let ended = self.store.expire();
        if !ended.is_empty() {
            note!(self, "store: leases {ended:?} end");
            self.pump();
        }
        self.queue_scan();
    }

    /// An application that held the role when it sent this writes to the store, guarded by its token, and to a ledger
    /// outside of it.
    pub(crate) fn guarded_write(&mut self, at: usize, proc: Proc, token: Revision) {
        self.store.set_time(self.now);
        let role = self.nodes[at].role;
        let active = self.roles[role].keys.active.clone();
        let key = format!("data/{}", self.roles[role].name);
        let value = format!("{token} by {proc}");
        let txn = Txn {
            compares: vec![Compare::mod_revision(active.clone(), token)],
            success: vec![Op::put(key, value, 0)],
            failure: vec![Op::read(coordha::kv::KeyRange::key(active))],
        };
        if self.server.silent + self.server.refuses == 0
            && let Ok(reply) = self.store.apply_txn(&txn)
        {
            note!(self, "store: write of n{at} with {token} {}", if reply.succeeded { "done" } else { "refused" });
            self.check_write(role, proc, token, reply.succeeded);
        }
        self.check_ledger(role, proc, token);
        self.pump();
    }
}
