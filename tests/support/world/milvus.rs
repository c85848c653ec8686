//! Milvus sessions: what Milvus's coordinators do to the store, and how long they act for the role.

use coordha::kv::{Compare, LeaseId, Op, Revision, Txn};

use super::clock::{MS, Ns};
use super::config::ROOT;
use super::node::Shown;
use super::stranger::record;
use super::{World, note};

/// The kinds that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// 2.2.10 to 2.6.6: leaves when its active key is deleted, and acts for a while after that.
    Watching,
    /// 2.6.7: does not look whether its active key is there.
    Heedless,
    /// mixcoord from 2.6.8 on: likewise, and writes the old coordinators' keys too.
    Polling,
}

/// What befalls a Milvus session some time after it has become active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its active key is deleted by hand.
    KeyDeleted,
    /// It cannot reach the store any more.
    CutOff,
    Killed,
    LeaseRevoked,
    Leaves,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Starting,
    Standby,
    Active {
        since: Ns,
    },
    /// It has noticed that the role is lost, and acts until then.
    Leaving {
        until: Ns,
    },
    Gone,
}

/// A Milvus session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Milvus {
    pub(crate) release: Release,
    pub(crate) ttl_ms: u64,
    /// For how long it acts on when it has lost the role.
    pub(crate) lingers: Ns,
    /// What ends it, and after how long an active time.
    pub(crate) end: Option<(Ns, End)>,
    server_id: i64,
    lease: LeaseId,
    stage: Stage,
    /// The revision at which it took the role.
    took: Revision,
    cut_off: bool,
    /// Nobody can know of it any more: its member key was deleted or written over, or a term has started since.
    hidden: bool,
}

impl Milvus {
    pub(crate) fn new(release: Release, ttl_ms: u64) -> Self {
        Self {
            release,
            ttl_ms,
            lingers: 0,
            end: None,
            server_id: 0,
            lease: 0,
            stage: Stage::default(),
            took: 0,
            cut_off: false,
            hidden: false,
        }
    }

    pub(crate) fn lease(&self) -> LeaseId {
        self.lease
    }

    /// Whether it acts for the role.
    pub(crate) fn acts(&self, now: Ns) -> bool {
        match self.stage {
            Stage::Active { .. } => true,
            Stage::Leaving { until } => now < until,
            _ => false,
        }
    }

    pub(crate) fn forget(&mut self) {
        self.hidden |= matches!(self.stage, Stage::Active { .. } | Stage::Leaving { .. });
    }

    pub(crate) fn server_id(&self) -> i64 {
        self.server_id
    }
}

/// The keys of the coordinators before mixcoord.
pub(crate) fn old_keys() -> [Vec<u8>; 3] {
    ["rootcoord", "datacoord", "querycoord"].map(|role| format!("{ROOT}/session/{role}").into_bytes())
}

impl World {
    /// A Milvus session does what it does.
    pub(crate) fn milvus_acts(&mut self, role: usize, mut milvus: Milvus) -> Milvus {
        let active = self.roles[role].keys.active.clone();
        let mut member = active.clone();
        member.extend_from_slice(format!("-{}", milvus.server_id).as_bytes());
        let lives = milvus.lease != 0 && self.store.lease_ttl_ms(milvus.lease) > 0;
        match milvus.stage {
            Stage::Gone => return milvus,
            Stage::Starting => self.milvus_registers(role, &mut milvus),
            Stage::Standby if !lives => milvus.stage = Stage::Gone,
            Stage::Standby => {
                self.milvus_keeps_alive(milvus);
                self.milvus_campaigns(role, &mut milvus);
            }
            Stage::Active { since } => {
                milvus.hidden |= lives && self.store.get(&member).is_none_or(|kv| kv.lease != milvus.lease);
                if self.is_over(role, &milvus) {
                    milvus.stage = Stage::Leaving { until: self.now + milvus.lingers };
                    note!(self, "Milvus {} has lost the role", milvus.server_id);
                } else {
                    self.milvus_keeps_alive(milvus);
                    if let Some((_, end)) = milvus.end.filter(|(after, _)| self.now >= since + after) {
                        self.milvus_ends(role, &mut milvus, end);
                    }
                }
            }
            Stage::Leaving { until } if self.now >= until => {
                self.store.revoke(milvus.lease);
                milvus.stage = Stage::Gone;
            }
            Stage::Leaving { .. } => {}
        }
        milvus
    }

    /// Whether it has lost the role, in its own eyes.
    fn is_over(&self, role: usize, milvus: &Milvus) -> bool {
        let watches = milvus.release == Release::Watching;
        self.store.lease_ttl_ms(milvus.lease) == 0
            || (watches && self.store.get(&self.roles[role].keys.active).is_none())
    }

    fn milvus_keeps_alive(&mut self, milvus: Milvus) {
        if !milvus.cut_off {
            let _ = self.store.keepalive(milvus.lease);
        }
    }

    fn milvus_registers(&mut self, role: usize, milvus: &mut Milvus) {
        let keys = self.roles[role].keys.clone();
        let next = self.store.get(&keys.id).map_or(Some(1), |kv| std::str::from_utf8(&kv.value).ok()?.parse().ok());
        let (Some(id), Ok(granted)) = (next, self.store.grant(milvus.ttl_ms)) else { return };
        (milvus.server_id, milvus.lease) = (id, granted.lease);
        let mut member = keys.active;
        member.extend_from_slice(format!("-{id}").as_bytes());
        self.stranger_puts(keys.id, (id + 1).to_string().as_bytes(), 0);
        self.stranger_puts(member, record(self.roles[role].name, id, milvus.lease).as_bytes(), milvus.lease);
        note!(self, "Milvus {id} registers");
        milvus.stage = Stage::Standby;
    }

    fn milvus_campaigns(&mut self, role: usize, milvus: &mut Milvus) {
        let active = self.roles[role].keys.active.clone();
        let keys = match milvus.release {
            Release::Polling => old_keys().into_iter().chain([active]).collect(),
            _ => vec![active],
        };
        if milvus.cut_off || keys.iter().any(|key| self.store.get(key).is_some()) {
            return;
        }
        let record = record(self.roles[role].name, milvus.server_id, milvus.lease);
        let txn = Txn {
            compares: keys.iter().map(|key| Compare::version(key.clone(), 0)).collect(),
            success: keys.iter().map(|key| Op::put(key.clone(), record.as_str(), milvus.lease)).collect(),
            failure: vec![],
        };
        if let Ok(done) = self.store.apply_txn(&txn) {
            note!(self, "Milvus {} takes the role at {}", milvus.server_id, done.revision);
            self.forget_milvus(role);
            (milvus.stage, milvus.took) = (Stage::Active { since: self.now }, done.revision);
        }
    }

    fn milvus_ends(&mut self, role: usize, milvus: &mut Milvus, end: End) {
        note!(self, "Milvus {}: {end:?}", milvus.server_id);
        milvus.end = None;
        match end {
            End::KeyDeleted => {
                let active = Op::delete(self.roles[role].keys.active.clone());
                let _ = self.store.apply_txn(&Txn { success: vec![active], ..Txn::default() });
            }
            End::CutOff => milvus.cut_off = true,
            End::LeaseRevoked => {
                let _ = self.store.revoke(milvus.lease);
            }
            End::Killed => milvus.stage = Stage::Gone,
            End::Leaves => {
                self.store.revoke(milvus.lease);
                milvus.stage = Stage::Gone;
            }
        }
    }

    /// The Milvus session that a term that starts now overlaps, though the one who starts it could know of it: it knew
    /// `saw` of who held the role.
    pub(crate) fn overlapped_milvus(&self, role: usize, saw: &Shown) -> Option<i64> {
        let all = self.strangers.iter().filter(|stranger| stranger.role == role);
        let mut sessions = all.filter_map(|stranger| stranger.milvus());
        let known = |milvus: &&Milvus| {
            let noticed = self.is_over(role, milvus) && milvus.lingers == 0;
            // A read shows its member key. Where a stranger was seen to hold the role since, that is who held it last.
            let lives = self.store.lease_ttl_ms(milvus.lease) > 0;
            // It may have been written over just now.
            let mut member = self.roles[role].keys.active.clone();
            member.extend_from_slice(format!("-{}", milvus.server_id).as_bytes());
            let gone = lives && self.store.get(&member).is_none_or(|kv| kv.lease != milvus.lease);
            let read = lives && milvus.took <= saw.read && milvus.took > self.roles[role].stranger;
            let shown = milvus.took <= saw.blank || read || saw.told.contains(&milvus.took);
            milvus.acts(self.now) && !noticed && !milvus.hidden && !gone && shown
        };
        sessions.find(known).map(|milvus| milvus.server_id)
    }

    /// A term has started all the same, by a campaign that was sent before any of them could be known of, or another Milvus
    /// session has taken the role: from then on those who come take them for standbys.
    pub(crate) fn forget_milvus(&mut self, role: usize) {
        for stranger in self.strangers.iter_mut().filter(|stranger| stranger.role == role) {
            stranger.forget_milvus();
        }
    }

    /// The Milvus sessions that there are.
    pub(crate) fn milvus(&self) -> impl Iterator<Item = &Milvus> {
        self.strangers.iter().filter_map(|stranger| stranger.milvus())
    }
}

/// How long a Milvus session may act on for sessions that leave the role alone for `delay`: as long as that by the fastest
/// clock, less what it takes to notice.
pub(crate) fn longest_linger(delay: Ns) -> Ns {
    (delay / 9 * 8).saturating_sub(50 * MS)
}
