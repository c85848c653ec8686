//! The faults that can befall a world. Each begins at an instant; most last until they are undone.

use std::time::Duration;

use coordha::election::Request;
use coordha::kv::{KeyRange, Op, StoreError, Txn, WatchItem};

use super::clock::Ns;
use super::config::AppConfig;
use super::message::Step;
use super::milvus::Milvus;
use super::network::{Filter, Way};
use super::node::Run;
use super::stranger::{Habit, Stranger};
use super::{World, note};

/// Keys that somebody may delete or write over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Active,
    Term,
    /// The member key of a node.
    Member(usize),
    /// The next server ID.
    Id,
    /// All keys of the role, in one transaction.
    Everything,
}

/// What happens to a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchFault {
    /// It brings nothing any more, and does not say so.
    Silent,
    /// The connection breaks.
    Cut,
    /// It is told that its revision is compacted.
    Compacted,
    /// One change is left out.
    Skips,
}

/// A fault. Where it names a node, it is an index.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The link of a node fails, each way in its own manner.
    Cut {
        node: usize,
        up: Way,
        down: Way,
    },
    /// Some messages fail.
    Filter(Filter),
    /// A node talks to a deposed leader of the store, which answers keepalives and nothing else.
    Deposed(usize),
    /// A process is stopped, its clock goes on.
    Freeze(usize),
    /// A whole host sleeps: what is sent to it meanwhile is lost.
    Suspend(usize),
    /// A process is killed, and a new one started after a while.
    Kill {
        node: usize,
        restart: Option<Ns>,
    },
    /// A process leaves in order, and a new one starts.
    Stop {
        node: usize,
        restart: Option<Ns>,
    },
    Resign {
        node: usize,
        standby: Ns,
    },
    Pause(usize),
    /// Somebody revokes the lease of a session: a deposed leader's queue, an operator.
    RevokeLease(usize),
    /// A new leader of the store lets all leases live longer.
    ExtendLeases(Ns),
    /// No lease ends.
    LeasesLive,
    /// The store does not answer.
    Silence,
    /// The store says that it cannot serve.
    Refusal,
    NoSpace,
    Compact,
    Delete(Which),
    /// Somebody writes a text over a key, with a lease of so many ms, or none.
    Put {
        which: Which,
        text: &'static str,
        ttl_ms: u64,
    },
    /// Somebody puts the active key 100 times a second.
    Storm,
    /// A Milvus process contends, with a lease of so many ms.
    Milvus {
        ttl_ms: u64,
    },
    /// A Milvus session stands for the role.
    MilvusSession(Milvus),
    /// A coordinator of before mixcoord lives, with a lease of so many ms.
    OldSession {
        ttl_ms: u64,
    },
    Watch {
        node: usize,
        fault: WatchFault,
    },
    /// All that watches bring comes so much later.
    WatchLate {
        node: usize,
        by: Ns,
    },
    /// The application of a node behaves otherwise.
    App {
        node: usize,
        app: AppConfig,
    },
}

impl World {
    /// A fault begins. The answer names it for `undo`.
    pub(crate) fn inject(&mut self, fault: Fault) -> u64 {
        note!(self, "* {fault:?}");
        self.store.set_time(self.now);
        let name = self.next_fault;
        self.next_fault += 1;
        self.begin(name, &fault);
        self.faults.insert(name, fault);
        self.pump();
        self.queue_scan();
        name
    }

    fn begin(&mut self, name: u64, fault: &Fault) {
        match fault {
            Fault::Cut { node, up, down } => {
                (self.nodes[*node].up, self.nodes[*node].down) = (*up, *down);
            }
            Fault::Filter(filter) => self.filters.push((name, *filter)),
            Fault::Deposed(node) => self.nodes[*node].deposed = true,
            Fault::Freeze(node) => self.freeze(*node),
            Fault::Suspend(node) => {
                self.freeze(*node);
                (self.nodes[*node].up, self.nodes[*node].down) = (Way::Lost, Way::Lost);
            }
            Fault::Kill { node, restart } => {
                self.kill(*node);
                self.restart(*node, *restart);
            }
            Fault::Stop { node, restart } => {
                self.ask_if_up(*node, Request::Stop);
                self.restart(*node, *restart);
            }
            Fault::Resign { node, standby } => {
                let standby = Duration::from_nanos(*standby);
                self.ask_if_up(*node, Request::Resign { standby });
            }
            Fault::Pause(node) => self.ask_if_up(*node, Request::Pause),
            Fault::LeasesLive => self.server.lets_leases_live += 1,
            Fault::Silence => self.server.silent += 1,
            Fault::Refusal => self.server.refuses += 1,
            Fault::Storm => self.add_stranger(name, Habit::Storms),
            Fault::Milvus { ttl_ms } => {
                let habit = Habit::Contends { lease: 0, ttl_ms: *ttl_ms };
                self.add_stranger(name, habit);
            }
            Fault::MilvusSession(milvus) => self.add_stranger(name, Habit::Session(*milvus)),
            Fault::OldSession { ttl_ms } => {
                self.add_stranger(name, Habit::Old { lease: 0, ttl_ms: *ttl_ms });
            }
            Fault::Watch { node, fault } => self.break_watch(*node, *fault),
            Fault::WatchLate { node, by } => self.nodes[*node].watch_delay = *by,
            Fault::App { node, app } => self.nodes[*node].config.app = app.clone(),
            _ => self.change_store(fault),
        }
    }

    fn change_store(&mut self, fault: &Fault) {
        match fault {
            Fault::RevokeLease(node) => {
                let lease = self.nodes[*node].lease;
                self.store.revoke(lease);
            }
            Fault::ExtendLeases(extra) => self.store.extend_leases(*extra),
            Fault::NoSpace => self.store.set_no_space(true),
            Fault::Compact => {
                let revision = self.store.revision();
                self.store.compact(revision);
            }
            Fault::Delete(which) => {
                let success = self.ranges(*which).into_iter().map(Op::Delete).collect();
                let delete = Txn { success, ..Txn::default() };
                let done = self.store.apply_txn(&delete);
                note!(self, "deleted: {done:?}");
            }
            Fault::Put { which, text, ttl_ms } => {
                let granted = (*ttl_ms > 0).then(|| self.store.grant(*ttl_ms));
                let lease = granted.and_then(Result::ok).map_or(0, |granted| granted.lease);
                for range in self.ranges(*which) {
                    self.stranger_puts(range.start, text.as_bytes(), lease);
                }
                if *which == Which::Active {
                    self.roles[0].stranger = self.store.revision();
                }
            }
            _ => unreachable!("all others are no change of the store"),
        }
    }

    /// A fault ends. Harmless where it has ended already.
    pub(crate) fn undo(&mut self, name: u64) {
        let Some(fault) = self.faults.remove(&name) else {
            return;
        };
        self.store.set_time(self.now);
        self.filters.retain(|(other, _)| *other != name);
        let lasts = match &fault {
            Fault::Cut { node, .. } => {
                self.mend_link(*node);
                true
            }
            Fault::Deposed(node) => {
                self.nodes[*node].deposed = false;
                true
            }
            Fault::Freeze(node) => {
                self.thaw(*node);
                true
            }
            Fault::Suspend(node) => {
                self.nodes[*node].inbox.retain(|step| !matches!(step, Step::Reply { .. } | Step::Watched { .. }));
                if let Some(watch) = &mut self.nodes[*node].watch {
                    watch.silent = true;
                }
                self.mend_link(*node);
                self.thaw(*node);
                true
            }
            Fault::Pause(node) => {
                self.ask_if_up(*node, Request::Resume);
                true
            }
            Fault::LeasesLive => {
                self.server.lets_leases_live -= 1;
                true
            }
            Fault::Silence => {
                self.server.silent -= 1;
                true
            }
            Fault::Refusal => {
                self.server.refuses -= 1;
                true
            }
            Fault::NoSpace => {
                self.store.set_no_space(false);
                true
            }
            Fault::Storm | Fault::Milvus { .. } | Fault::MilvusSession(_) | Fault::OldSession { .. } => {
                self.remove_stranger(name);
                true
            }
            Fault::WatchLate { node, .. } => {
                self.nodes[*node].watch_delay = 0;
                true
            }
            Fault::App { node, .. } => {
                self.nodes[*node].config.app = self.config.nodes[*node].app.clone();
                true
            }
            Fault::Filter(_) => true,
            _ => false,
        };
        if lasts {
            note!(self, "* over: {fault:?}");
            self.pump();
            self.queue_scan();
        }
    }

    fn ask_if_up(&mut self, node: usize, request: Request) {
        if self.nodes[node].run == Run::Up {
            let _ = self.ask(node, request);
        }
    }

    fn restart(&mut self, node: usize, after: Option<Ns>) {
        if let Some(after) = after {
            self.push(self.now + after, Step::Start { node });
        }
    }

    fn freeze(&mut self, node: usize) {
        if self.nodes[node].run == Run::Up {
            self.nodes[node].run = Run::Frozen;
        }
    }

    /// A process goes on: what has come for it meanwhile is taken in now, its timers before or after it.
    pub(crate) fn thaw(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.run != Run::Frozen {
            return;
        }
        node.run = Run::Up;
        let mut steps = std::mem::take(&mut node.inbox);
        if node.rng.bool() {
            steps.sort_by_key(|step| !matches!(step, Step::Timer { .. }));
        }
        for step in steps {
            self.push(self.now, step);
        }
    }

    fn mend_link(&mut self, node: usize) {
        (self.nodes[node].up, self.nodes[node].down) = (Way::Open, Way::Open);
        self.release_held(node);
    }

    fn add_stranger(&mut self, fault: u64, habit: Habit) {
        self.strangers.push(Stranger { fault, role: 0, habit });
        if !self.strangers_queued {
            self.strangers_queued = true;
            self.push(self.now, Step::Stranger);
        }
    }

    fn remove_stranger(&mut self, fault: u64) {
        let gone: Vec<_> = self.strangers.iter().filter(|s| s.fault == fault).copied().collect();
        self.strangers.retain(|stranger| stranger.fault != fault);
        for stranger in gone {
            self.store.revoke(stranger.lease());
        }
    }

    fn break_watch(&mut self, node: usize, fault: WatchFault) {
        let revision = self.store.lowest_watchable();
        let Some(watch) = self.nodes[node].watch.as_mut() else {
            return;
        };
        match fault {
            WatchFault::Silent => watch.silent = true,
            WatchFault::Skips => {
                watch.skips = true;
                self.skipped = true;
            }
            WatchFault::Cut => {
                self.show(node, WatchItem::Failed(StoreError::Unavailable("connection reset".into())));
            }
            WatchFault::Compacted => self.show(node, WatchItem::Compacted { revision }),
        }
    }

    fn ranges(&self, which: Which) -> Vec<KeyRange> {
        let keys = &self.roles[0].keys;
        match which {
            Which::Active => vec![KeyRange::key(keys.active.clone())],
            Which::Term => vec![KeyRange::key(keys.term.clone())],
            Which::Id => vec![KeyRange::key(keys.id.clone())],
            Which::Member(node) => vec![KeyRange::key(self.member_key(node))],
            Which::Everything => vec![keys.role_range(), KeyRange::key(keys.term.clone())],
        }
    }
}
