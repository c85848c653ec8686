//! Next to Milvus. A Milvus process that held the role may act on though its key is gone: releases from 2.6.7 on do not
//! look whether it is there, and others take up to 31 s to leave. So a free active key is not enough to start a term.

use std::time::Duration;

use super::Election;
use super::flaw::flawed;
use super::io::{Holder, Time};
use super::view::View;
use crate::kv::Compare;
use crate::record::Active;

/// So long a Milvus process goes on trying to register.
const MILVUS_TRIES: Duration = Duration::from_secs(81);

impl View {
    /// Before a change that was seen now: up to here a Milvus holder was in the way, if one was.
    pub(super) fn mark_milvus(&mut self, seen: Time) {
        if self.active.as_ref().is_some_and(Active::is_held_by_milvus) || self.trail.suspect(&self.members).is_some() {
            self.milvus_seen = Some(seen);
        }
    }
}

impl Election {
    /// What of Milvus keeps this session from a free active key: a key, and the process behind it.
    pub(super) fn milvus_holder(&mut self, now: Time) -> Option<(Vec<u8>, Option<Holder>)> {
        let active = self.view.active.as_ref();
        // One that this session has just taken may be too late: the campaign was long under way.
        if active.is_some_and(|active| active.lease != 0) && !self.view.active_is_of(self.settings.session_id) {
            return None;
        }
        let trail = &self.view.trail;
        let holder = |server_id, address| Some(Holder { server_id, address, token: 0 });
        let suspect = trail.suspect(&self.view.members).filter(|_| !flawed!(self, MilvusMemberIgnored));
        if let Some((id, address)) = suspect {
            return Some((self.keys.member(id), holder(id, address)));
        }
        if let Some(key) = trail.old.as_ref().filter(|_| !flawed!(self, OldSessionsIgnored)) {
            return Some((key.clone(), None));
        }
        let last = trail.holders.iter().next_back().and_then(|(id, address)| holder(*id, address.clone()));
        let until = self.view.milvus_seen? + self.settings.milvus_takeover_delay;
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

    /// How long an exclusive session waits for a holder, or a `past` one of Milvus's, which do not say their time to live.
    pub(super) fn exclusive_wait(&self, past: bool) -> Duration {
        let active = self.view.active.as_ref();
        let ours = active.and_then(|active| active.record.as_ref()?.coordha.as_ref());
        let ttl = ours.map_or(self.settings.ttl, |ours| Duration::from_millis(ours.ttl_ms)) + Duration::from_secs(5);
        let milvus = past || active.is_some_and(Active::is_milvus);
        let wait = if milvus { ttl.max(MILVUS_TRIES) + self.settings.milvus_takeover_delay } else { ttl };
        self.settings.exclusive_wait.unwrap_or(wait.max(self.settings.exclusive_wait_floor))
    }
}
