//! Whether a standby could win now, and if not, why.

use serde::Serialize;

use super::old_roles::OldKeys;
use super::role::{Kind, SessionView, Tenure, TermView};
use super::seconds;
use crate::kv::KeyValue;

/// Where a standby stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The role is free: it may take it at once.
    Now,
    /// The role is held; it takes over when it becomes free.
    Ready,
    /// What the store shows does not tell.
    Perhaps,
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
    /// Of a mixed coordinator's role: what is below the old roles' names.
    pub(super) old: &'a OldKeys,
    /// A Milvus session that is registered, with a lease.
    pub(super) milvus: Option<&'a SessionView>,
    /// For how long sessions that are configured as this process leave the role alone after a Milvus holder.
    pub(super) takeover_delay_ms: u64,
}

fn chance(standing: Standing, why: impl Into<String>) -> Chance {
    Chance { standing, why: why.into() }
}

impl Situation<'_> {
    pub(super) fn chance(&self, session: &SessionView, rank: Option<u32>) -> Chance {
        let fault = own_fault(session);
        if let Some(fault) = fault.as_ref().filter(|fault| fault.standing == Standing::Blocked) {
            return fault.clone();
        }
        let other = self.active.is_none_or(|active| active.server_id != session.server_id);
        if let Some(key) = self.old.active.as_ref().filter(|_| other) {
            return chance(Standing::Blocked, format!("{key} is there, and keeps every mixcoord from the role"));
        }
        if let Some(key) = self.old.listed.as_ref().filter(|_| other && session.kind == Kind::Milvus) {
            return chance(
                Standing::Blocked,
                format!("{key} is there, and keeps every mixcoord of Milvus from the role"),
            );
        }
        let found = match (self.active_key, self.active) {
            (Some(kv), active) if kv.lease == 0 => Self::over_no_lease(active, session),
            (Some(_), Some(active)) => self.behind(active, session),
            (Some(_), None) => chance(Standing::Blocked, "the active key cannot be read; it goes with its lease"),
            (None, _) => self.free(session, rank),
        };
        match fault {
            Some(fault) if matches!(found.standing, Standing::Now | Standing::Ready | Standing::Perhaps) => fault,
            _ => found,
        }
    }

    /// The active key has lost its lease to a stranger's put: it goes with nobody, and nobody holds the role by it.
    fn over_no_lease(active: Option<&SessionView>, session: &SessionView) -> Chance {
        let what = if active.is_some() { "the active key has" } else { "the active key cannot be read and has" };
        match session.kind {
            Kind::Coordha => {
                chance(Standing::Waits, format!("{what} no lease: it is taken when whoever held it can act no more"))
            }
            Kind::Milvus => chance(Standing::Blocked, format!("{what} no lease: it stays until somebody deletes it")),
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
        let copied = self.old.copied.as_ref();
        if copied.is_some_and(|of| of.server_id == session.server_id) {
            let why = "its copies under the old roles' names show that it has held the role: it may still act, and tries no more";
            return chance(Standing::Blocked, why);
        }
        if session.kind == Kind::Milvus && copied.is_none() {
            return chance(Standing::Perhaps, "it tries a free role at once, unless it has held it or hangs");
        }
        if let Some(milvus) = copied.or(self.milvus) {
            let who = format!("Milvus's server ID {} ({}) is registered", milvus.server_id, milvus.address);
            // Who saw one of ours release the role knows that this one does not hold it.
            let knows = copied.is_none() && self.term.is_some_and(|term| term.tenure == Tenure::Released);
            return match knows {
                true => {
                    chance(Standing::Perhaps, format!("{who}: where it has held the role, until its member key goes"))
                }
                false => chance(Standing::Waits, format!("{who} and may still act: until its member key goes")),
            };
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
                if self.takeover_delay_ms > 0 {
                    let delay = seconds(self.takeover_delay_ms);
                    let why = format!("the role is free{turn}; after a Milvus holder it is left alone for {delay}");
                    return chance(Standing::Perhaps, why);
                }
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

/// What is wrong with the standby itself: it cannot win, or it is not known whether it lives.
fn own_fault(session: &SessionView) -> Option<Chance> {
    if session.lease == 0 {
        return Some(chance(Standing::Blocked, "its member key has no lease: somebody else wrote it"));
    }
    let lease = session.lease_left?;
    if lease.left_ms == 0 && lease.granted_ms == 0 {
        return Some(chance(Standing::Blocked, "its lease is over"));
    }
    let left = format!("{} of {} left", seconds(lease.left_ms), seconds(lease.granted_ms));
    // The store says whole seconds, rounded down.
    let most_ms = lease.left_ms + 999;
    // One of ours starts no term that its lease would not outlast for half a hold time, by 0.8 of the lease.
    let needed_ms = session.hold_ms.map_or(0, |hold_ms| lease.granted_ms / 5 + hold_ms / 2);
    if most_ms < needed_ms {
        return Some(chance(Standing::Blocked, format!("its lease runs out ({left}): it starts no term with that")));
    }
    // Who lives renews at a third of it, so that two thirds are left at least.
    let why = || format!("its lease was not renewed lately ({left}): it may be gone");
    (most_ms * 10 < lease.granted_ms * 6).then(|| chance(Standing::Perhaps, why()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::LeaseLeft;

    fn session(kind: Kind, left_ms: u64) -> SessionView {
        let ours = kind == Kind::Coordha;
        SessionView {
            key: "r/session/q-2".into(),
            role: "q".into(),
            is_active: false,
            kind,
            server_id: 2,
            address: "h:1".into(),
            host_name: String::new(),
            version: String::new(),
            stopping: false,
            lease: 7,
            record_lease: 7,
            lease_left: Some(LeaseLeft { left_ms, granted_ms: 60_000 }),
            create_revision: 3,
            mod_revision: 3,
            priority: ours.then_some(0),
            hold_ms: ours.then_some(5000),
            ttl_ms: ours.then_some(60_000),
        }
    }

    fn term(tenure: Tenure) -> TermView {
        TermView {
            tenure,
            token: 5,
            hold_ms: 5000,
            renewals: 0,
            server_id: 1,
            pid: None,
            mod_revision: 6,
            is_current: false,
            lasted_ms: 0,
        }
    }

    static NO_OLD_KEYS: OldKeys = OldKeys { active: None, listed: None, copied: None };

    fn free(term: Option<&TermView>) -> Situation<'_> {
        Situation { active_key: None, active: None, term, old: &NO_OLD_KEYS, milvus: None, takeover_delay_ms: 0 }
    }

    #[test]
    fn a_free_role_is_taken_at_once_where_nobody_may_act() {
        let ours = session(Kind::Coordha, 50_000);
        let standing = |situation: &Situation<'_>| situation.chance(&ours, Some(0)).standing;
        let (released, held, vacant) = (term(Tenure::Released), term(Tenure::Held), term(Tenure::Vacant));
        assert_eq!(standing(&free(Some(&released))), Standing::Now);
        assert_eq!(standing(&free(Some(&held))), Standing::Waits);
        assert_eq!(standing(&free(Some(&vacant))), Standing::Waits);
        assert_eq!(standing(&free(None)), Standing::Waits);
        // What only the sessions themselves know: whether a Milvus process has held the role meanwhile.
        let milvus = SessionView { server_id: 9, ..session(Kind::Milvus, 50_000) };
        assert_eq!(standing(&Situation { milvus: Some(&milvus), ..free(Some(&released)) }), Standing::Perhaps);
        assert_eq!(standing(&Situation { milvus: Some(&milvus), ..free(Some(&vacant)) }), Standing::Waits);
        assert_eq!(standing(&Situation { takeover_delay_ms: 1, ..free(Some(&released)) }), Standing::Perhaps);
        assert_eq!(standing(&Situation { takeover_delay_ms: 1, ..free(Some(&held)) }), Standing::Waits);
    }

    #[test]
    fn whose_lease_is_not_renewed_may_be_gone_and_later_cannot_win() {
        let released = term(Tenure::Released);
        let chance = |kind, left_ms| free(Some(&released)).chance(&session(kind, left_ms), Some(0));
        let at = |kind, left_ms| chance(kind, left_ms).standing;
        assert!(chance(Kind::Milvus, 34_000).why.starts_with("its lease was not renewed lately"));
        assert_eq!([at(Kind::Coordha, 36_000), at(Kind::Coordha, 34_000)], [Standing::Now, Standing::Perhaps]);
        // 0.2 of the lease and half a hold time: 14.5 s.
        assert_eq!([at(Kind::Coordha, 14_000), at(Kind::Milvus, 14_000)], [Standing::Perhaps; 2]);
        assert_eq!([at(Kind::Coordha, 13_000), at(Kind::Milvus, 13_000)], [Standing::Blocked, Standing::Perhaps]);
        // A lease of 2 s that was just renewed is told to have 1 s.
        let mut short = session(Kind::Coordha, 1000);
        (short.lease_left, short.hold_ms) = (Some(LeaseLeft { left_ms: 1000, granted_ms: 2000 }), Some(1000));
        assert_eq!(free(Some(&released)).chance(&short, Some(0)).standing, Standing::Now);
        short.lease_left = Some(LeaseLeft { left_ms: 0, granted_ms: 0 });
        assert_eq!(free(Some(&released)).chance(&short, Some(0)).standing, Standing::Blocked);
    }

    #[test]
    fn a_milvus_member_may_win_a_free_role_where_it_has_not_held_it() {
        let (released, milvus) = (term(Tenure::Released), session(Kind::Milvus, 50_000));
        let chance = free(Some(&released)).chance(&milvus, None);
        assert_eq!(chance.standing, Standing::Perhaps);
        assert!(chance.why.contains("unless it has held it or hangs"), "{}", chance.why);
        // One whose copies are there has held it; who stands by beside it waits, whatever the term record says.
        let old = OldKeys { copied: Some(milvus.clone()), ..OldKeys::default() };
        let situation = Situation { milvus: Some(&milvus), old: &old, ..free(Some(&released)) };
        let of = |kind, server_id| situation.chance(&SessionView { server_id, ..session(kind, 50_000) }, None);
        let standings = [of(Kind::Milvus, 2), of(Kind::Milvus, 3), of(Kind::Coordha, 4)].map(|chance| chance.standing);
        assert_eq!(standings, [Standing::Blocked, Standing::Waits, Standing::Waits]);
    }

    #[test]
    fn an_active_key_without_a_lease_keeps_milvus_alone_away() {
        let kv = KeyValue {
            key: b"r/session/q".to_vec(),
            value: Vec::new(),
            create_revision: 4,
            mod_revision: 5,
            version: 2,
            lease: 0,
        };
        let active = SessionView { lease: 0, server_id: 1, is_active: true, ..session(Kind::Milvus, 0) };
        for active in [Some(&active), None] {
            let situation = Situation { active_key: Some(&kv), active, ..free(None) };
            let standing = |kind| situation.chance(&session(kind, 50_000), None).standing;
            assert_eq!([standing(Kind::Coordha), standing(Kind::Milvus)], [Standing::Waits, Standing::Blocked]);
        }
    }
}
