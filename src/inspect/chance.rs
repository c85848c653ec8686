//! Whether a standby could win now, and if not, why.

use serde::Serialize;

use super::role::{Kind, SessionView, Tenure, TermView};
use crate::kv::KeyValue;

/// Where a standby stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The role is free: it may take it at once.
    Now,
    /// The role is held; it takes over when it becomes free.
    Ready,
    /// Nobody is active, and it has to wait.
    Waits,
    /// As things are, it cannot win.
    Blocked,
}

/// Whether a standby could win, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chance {
    /// In a word.
    pub standing: Standing,
    /// In words.
    pub why: String,
}

/// What all standbys of a role have before them.
pub(super) struct Situation<'a> {
    pub(super) active_key: Option<&'a KeyValue>,
    pub(super) active: Option<&'a SessionView>,
    pub(super) term: Option<&'a TermView>,
    pub(super) old_role: Option<&'a str>,
    /// A Milvus session that is registered.
    pub(super) milvus: Option<&'a SessionView>,
}

fn chance(standing: Standing, why: impl Into<String>) -> Chance {
    Chance { standing, why: why.into() }
}

impl Situation<'_> {
    pub(super) fn chance(&self, session: &SessionView, rank: Option<u32>) -> Chance {
        if let Some(why) = own_fault(session) {
            return chance(Standing::Blocked, why);
        }
        let key = self.old_role.filter(|_| self.active.is_none_or(|active| active.server_id != session.server_id));
        if let Some(key) = key {
            return chance(Standing::Blocked, format!("{key} is there, and keeps every mixcoord from the role"));
        }
        match (self.active_key, self.active) {
            (Some(_), Some(active)) => self.behind(active, session),
            (Some(kv), None) if kv.lease == 0 => {
                chance(Standing::Waits, "the active key cannot be read and has no lease")
            }
            (Some(_), None) => chance(Standing::Blocked, "the active key cannot be read; it goes with its lease"),
            (None, _) => self.free(session, rank),
        }
    }

    /// Somebody is active.
    fn behind(&self, active: &SessionView, session: &SessionView) -> Chance {
        let lease = active.lease_left.map_or("with its lease".to_owned(), |lease| {
            format!("with its lease ({} of {} left)", seconds(lease.left_ms), seconds(lease.granted_ms))
        });
        let current = self.term.filter(|term| term.is_current && term.tenure == Tenure::Held);
        match (active.kind, session.kind, current) {
            (Kind::Coordha, Kind::Coordha, Some(term)) => {
                let wait = seconds(term.hold_ms + term.hold_ms / 4);
                let why = format!("when the role is released at once, else {wait} after the last renewal");
                chance(Standing::Ready, why)
            }
            _ => chance(Standing::Ready, format!("when the active key goes: released, or {lease}")),
        }
    }

    /// Nobody is active.
    fn free(&self, session: &SessionView, rank: Option<u32>) -> Chance {
        if session.kind == Kind::Milvus {
            return chance(Standing::Now, "the role is free");
        }
        let others = self.milvus.filter(|milvus| milvus.server_id != session.server_id);
        if let Some(milvus) = others {
            let why = format!(
                "Milvus's server ID {} ({}) is registered and may still act: until its member key goes",
                milvus.server_id, milvus.address
            );
            return chance(Standing::Waits, why);
        }
        let wait = |hold_ms: u64| seconds(hold_ms + hold_ms / 4);
        match self.term {
            None => {
                let hold = session.hold_ms.unwrap_or(0);
                chance(
                    Standing::Waits,
                    format!("there is no term record: {} from the start of the first standby", wait(hold)),
                )
            }
            Some(term) if term.tenure == Tenure::Released || term.server_id == session.server_id => {
                let turn = rank.filter(|rank| *rank > 0);
                let turn = turn.map_or(String::new(), |rank| format!(", after {rank} before it"));
                chance(Standing::Now, format!("the role is free{turn}"))
            }
            Some(term) if term.tenure == Tenure::Held => {
                let why = format!("the last holder (server ID {}) may still act", term.server_id);
                chance(Standing::Waits, format!("{why}: {} from its last renewal", wait(term.hold_ms)))
            }
            Some(term) => {
                chance(Standing::Waits, format!("the term record is vacant: {} from its write", wait(term.hold_ms)))
            }
        }
    }
}

/// What is wrong with the standby itself.
fn own_fault(session: &SessionView) -> Option<String> {
    if session.lease == 0 {
        return Some("its member key has no lease: somebody else wrote it".into());
    }
    let lease = session.lease_left?;
    if lease.left_ms == 0 {
        return Some("its lease is over".into());
    }
    // Who lives renews at a third of it, so that two thirds are left at least.
    let why = || format!("its lease is not renewed ({} of {} left)", seconds(lease.left_ms), seconds(lease.granted_ms));
    (lease.left_ms * 10 < lease.granted_ms * 6).then(why)
}

/// `6.25 s`.
fn seconds(ms: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "it is shown")]
    let seconds = ms as f64 / 1000.0;
    format!("{seconds} s")
}
