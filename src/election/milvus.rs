//! Next to Milvus. A Milvus process that held the role may act on though its key is gone: releases from 2.6.7 on do not
//! look whether it is there, and others take up to 31 s to leave. So a free active key is not enough to start a term.

use super::Election;
use super::flaw::flawed;
use super::io::{Holder, Time};
use super::view::View;
use crate::kv::Compare;
use crate::record::Active;

impl View {
    /// Before a change that was seen now: up to here a Milvus holder was in the way, if one was.
    pub(super) fn mark_milvus(&mut self, seen: Time) {
        let holds = self.active.as_ref().is_some_and(Active::is_held_by_milvus);
        // A doubt that ends has left no trace of a holder.
        if holds || self.trail.known_suspect(&self.members).is_some() {
            self.milvus_seen = Some(seen);
        }
    }
}

impl Election {
    /// What of Milvus keeps this session from an active key that it may take otherwise: a key, and the process behind it.
    pub(super) fn milvus_holder(&mut self, now: Time) -> Option<(Vec<u8>, Option<Holder>)> {
        // One that this session has just taken may be too late: the campaign was long under way.
        let (own, active) = (self.settings.session_id, self.view.active.as_ref());
        let other = active.filter(|active| active.lease != 0 && !active.is_of(own));
        let waited = || self.view.term.as_ref().is_some_and(|term| self.may_start_at(term) <= now);
        if other.is_some_and(|active| !self.may_replace(active) || !waited()) {
            return None;
        }
        let (trail, free) = (&self.view.trail, other.is_none());
        let holder = |server_id, address| Some(Holder { server_id, address, token: 0 });
        let suspect = trail.suspect(&self.view.members).filter(|_| free && !flawed!(self, MilvusMemberIgnored));
        if let Some((id, address)) = suspect {
            return Some((self.keys.member(id), holder(id, address)));
        }
        if let Some(key) = trail.old.as_ref().filter(|_| !flawed!(self, OldSessionsIgnored)) {
            return Some((key.clone(), None));
        }
        let last = trail.holders.iter().next_back().and_then(|(id, address)| holder(*id, address.clone()));
        let until = self.view.milvus_seen.filter(|_| free)? + self.settings.milvus_takeover_delay;
        let waits = !self.due(now, until) && !flawed!(self, TakeoverDelayIgnored);
        waits.then(|| (self.keys.active.clone(), last))
    }

    /// What *free* and *stale* compare beside their own keys.
    pub(super) fn milvus_compares(&self) -> Vec<Compare> {
        let mut compares = self.view.trail.compares(&self.keys, &self.view.members);
        compares.retain(|compare| match self.keys.member_id(&compare.key) {
            Some(_) => !flawed!(self, MilvusMemberIgnored),
            None => !flawed!(self, OldSessionsIgnored),
        });
        compares
    }
}
