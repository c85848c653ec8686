//! Strangers: other processes that use the store, none of which is a session of this library.

use coordha::kv::{Compare, LeaseId, Op, Txn};

use super::clock::{MS, Ns};
use super::message::Step;
use super::milvus::{Milvus, old_keys};
use super::{World, note};

/// What a stranger does, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Contends as a Milvus coordinator does: puts the active key, with a lease, where it is absent.
    Contends { lease: LeaseId, ttl_ms: u64 },
    /// Puts the active key 100 times a second, without a lease.
    Storms,
    /// Is a whole Milvus session.
    Session(Milvus),
    /// Is a coordinator of before mixcoord, with a lease.
    Old { lease: LeaseId, ttl_ms: u64 },
}

/// A stranger at work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stranger {
    pub(crate) fault: u64,
    pub(crate) role: usize,
    pub(crate) habit: Habit,
}

impl Stranger {
    pub(crate) fn milvus(&self) -> Option<&Milvus> {
        match &self.habit {
            Habit::Session(milvus) => Some(milvus),
            _ => None,
        }
    }

    pub(crate) fn forget_milvus(&mut self) {
        if let Habit::Session(milvus) = &mut self.habit {
            milvus.forget();
        }
    }

    /// The lease that ends with it.
    pub(crate) fn lease(&self) -> LeaseId {
        match self.habit {
            Habit::Contends { lease, .. } | Habit::Old { lease, .. } => lease,
            Habit::Session(milvus) => milvus.lease(),
            Habit::Storms => 0,
        }
    }

    pub(crate) fn pause(&self) -> Ns {
        match self.habit {
            Habit::Storms | Habit::Session(_) => 10 * MS,
            Habit::Contends { .. } | Habit::Old { .. } => 20 * MS,
        }
    }
}

/// The record of a Milvus session.
pub(crate) fn record(role: &str, id: i64, lease: LeaseId) -> String {
    format!(
        r#"{{"ServerID":{id},"ServerName":"{role}","Address":"10.0.9.{id}:53100","Exclusive":true,"TriggerKill":true,"Version":"2.5.27","IndexEngineVersion":{{}},"LeaseID":{lease},"HostName":"m{id}"}}"#
    )
}

/// The record of a Milvus coordinator.
pub(crate) const MILVUS: &str = r#"{"ServerID":99,"ServerName":"rootcoord","Address":"10.0.9.9:53100","Exclusive":true,"TriggerKill":true,"Version":"2.4.0","IndexEngineVersion":{},"LeaseID":7,"HostName":"m"}"#;

impl World {
    /// All strangers do what they do.
    pub(crate) fn stranger_acts(&mut self) {
        self.store.set_time(self.now);
        let mut next: Option<Ns> = None;
        for at in 0..self.strangers.len() {
            let stranger = self.strangers[at];
            let habit = self.act(stranger.role, stranger.habit);
            self.strangers[at].habit = habit;
            let pause = stranger.pause();
            next = Some(next.map_or(pause, |next| next.min(pause)));
        }
        self.strangers_queued = next.is_some();
        if let Some(pause) = next {
            self.push(self.now + pause, Step::Stranger);
        }
        self.pump();
        self.queue_scan();
    }

    fn act(&mut self, role: usize, habit: Habit) -> Habit {
        let active = self.roles[role].keys.active.clone();
        match habit {
            Habit::Storms => {
                self.stranger_puts(active, MILVUS.as_bytes(), 0);
                habit
            }
            Habit::Session(milvus) => Habit::Session(self.milvus_acts(role, milvus)),
            Habit::Old { mut lease, ttl_ms } => {
                if lease == 0 || self.store.keepalive(lease).ttl_ms == 0 {
                    lease = self.store.grant(ttl_ms).map_or(0, |granted| granted.lease);
                    let [_, datacoord, _] = old_keys();
                    self.stranger_puts(datacoord, record("datacoord", 98, lease).as_bytes(), lease);
                }
                Habit::Old { lease, ttl_ms }
            }
            Habit::Contends { mut lease, ttl_ms } => {
                if lease == 0 || self.store.keepalive(lease).ttl_ms == 0 {
                    lease = self.store.grant(ttl_ms).map_or(0, |granted| granted.lease);
                }
                if lease != 0 && self.store.get(&active).is_none() {
                    let txn = Txn {
                        compares: vec![Compare::version(active.clone(), 0)],
                        success: vec![Op::put(active, MILVUS, lease)],
                        failure: vec![],
                    };
                    let done = self.store.apply_txn(&txn);
                    note!(self, "a Milvus process takes the active key: {done:?}");
                    self.forget_milvus(role);
                }
                Habit::Contends { lease, ttl_ms }
            }
        }
    }

    /// A stranger puts a key, whatever was there.
    pub(crate) fn stranger_puts(&mut self, key: Vec<u8>, value: &[u8], lease: LeaseId) {
        let txn = Txn { success: vec![Op::put(key, value, lease)], ..Txn::default() };
        let _ = self.store.apply_txn(&txn);
    }
}
