//! Starting a term: when a session may, and the two transactions that do it, *free* and *stale*.

use std::time::Duration;

use super::Election;
use super::flaw::flawed;
use super::io::{Output, Reason, StoreRequest, Time};
use super::request::{Kind, Pending, pause};
use super::term::Stage;
use super::view;
use crate::kv::{Compare, LeaseId, Op, Revision};
use crate::record::{Active, Process, Record, Tenure, TermRecord, encode, millis};

/// Above this revision the history of a store is not asked for whole.
const YOUNG_STORE: Revision = 10_000;

/// A chance to campaign: what was seen, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Turn {
    pub(super) active: Revision,
    pub(super) term: Revision,
    pub(super) since: Time,
}

/// How long a standby waits after the newest renewal by a holder that may act for `hold` after it: 1.25 times, so
/// that clocks whose rates differ by 11 % from true cannot make the two overlap.
fn wait_for(hold: Duration) -> Duration {
    hold + hold / 4
}

impl Election {
    /// Why contending is held back, if it is.
    pub(super) fn blocked(&mut self, now: Time) -> Option<Reason> {
        match self.term.as_ref().map(|term| &term.stage) {
            Some(Stage::Gone { tidy: true, .. }) => Some(Reason::CallbackBusy),
            Some(_) => None,
            None if self.paused => Some(Reason::Paused),
            None => match self.due(now, self.contend_after) {
                false => Some(Reason::Backoff),
                true => self.milvus_holder(now).map(|_| Reason::MilvusHolder),
            },
        }
    }

    /// Campaigns when it may and its turn has come; else does what brings that nearer.
    pub(super) fn contend(&mut self, now: Time) {
        if !self.settings.active_standby && self.exclusive_wait_is_over(now) {
            self.finish(now);
            return;
        }
        let Some(term) = self.view.term.clone() else {
            if flawed!(self, AbsentIsPermission) && self.view.active.is_none() {
                self.acquire(now, 0);
            } else {
                self.write_vacant(now);
            }
            return;
        };
        let active = self.view.active.as_ref();
        if !active.is_none_or(|active| self.may_replace(active)) {
            self.turn = None;
            return;
        }
        let active = active.map_or(0, |active| active.revision);
        if self.ask_for_history(now, &term) {
            return;
        }
        let may = self.may_start_at(&term);
        let trusted = now + self.own_hold() / 2 < self.lease_end();
        if !self.due(now, may) || !trusted || self.term.is_some() || self.blocked(now).is_some() {
            self.turn = None;
            return;
        }
        let same = self.turn.filter(|turn| turn.active == active && turn.term == term.revision);
        let turn = same.unwrap_or(Turn { active, term: term.revision, since: now });
        self.turn = Some(turn);
        let wait = self.settings.rank_step * self.view.rank(self.server_id);
        let at = (turn.since + wait).max(self.campaign_after);
        if self.due(now, at) {
            self.acquire(now, term.revision);
        }
    }

    /// Whether an active key that is there may be written over, once the wait is over: its term must be the one that
    /// the term record speaks of, or it must have lost its lease, or be a left-over of this address (exclusive).
    pub(super) fn may_replace(&self, active: &Active) -> bool {
        let ends = self.view.term_matches(active) || self.is_left_over(active);
        active.lease == 0 || (ends && !active.is_milvus())
    }

    fn is_left_over(&self, active: &Active) -> bool {
        let Some(record) = &active.record else { return false };
        let term = self.view.term_record();
        let same_process = self.settings.process.is_some()
            && term.is_some_and(|term| term.server_id == record.server_id && term.process == self.settings.process);
        !self.settings.active_standby
            && record.address == self.settings.address
            && record.server_id < self.server_id
            && !same_process
    }

    /// From when on a term may start, given the term record: at once where it is released, this session's own, of a
    /// dead process, or the first ever; else after the wait.
    pub(super) fn may_start_at(&self, term: &view::Term) -> Time {
        let after = |hold: Duration| {
            let hold = if flawed!(self, OwnHold) { self.own_hold() } else { hold };
            let wait =
                if flawed!(self, ShortWait) { hold.saturating_sub(Duration::from_millis(1)) } else { wait_for(hold) };
            term.seen + wait
        };
        let Some(record) = &term.record else { return after(self.view.longest_hold.max(self.own_hold())) };
        let proven = record.process.is_some() && record.process == self.dead;
        match record.tenure {
            Tenure::Released => Time(0),
            Tenure::Held if record.session_id == self.settings.session_id || proven => Time(0),
            Tenure::Vacant if self.first == Some(term.revision) => Time(0),
            // Its writer may have known less than this session does.
            Tenure::Vacant => after(record.hold().max(self.view.longest_hold)),
            Tenure::Held => after(record.hold()),
        }
    }

    pub(super) fn vacant_record(&self) -> TermRecord {
        let hold_ms = millis(self.view.longest_hold.max(self.own_hold()));
        TermRecord { hold_ms, ..TermRecord::default() }
    }

    /// No term record is no permission: somebody may act by a renewal that nobody has seen.
    fn write_vacant(&mut self, now: Time) {
        let compares = vec![Compare::version(self.keys.term.clone(), 0)];
        let put = self.put_term(&self.vacant_record());
        self.write_if(now, Kind::Vacant, compares, vec![put]);
    }

    /// In a young store, a vacant record that the whole history shows as the first term record needs no wait.
    fn ask_for_history(&mut self, now: Time, term: &view::Term) -> bool {
        let vacant = term.record.as_ref().is_some_and(|record| record.tenure == Tenure::Vacant);
        if !vacant || term.revision.max(self.view.newest) > YOUNG_STORE || self.first_asked == term.revision {
            return false;
        }
        self.first_asked = term.revision;
        let key = self.keys.term.clone();
        self.send(now, Kind::First(term.revision), StoreRequest::First { key });
        true
    }

    fn acquire(&mut self, now: Time, term: Revision) {
        let Some(lease) = self.lease else { return };
        let active_key = self.keys.active.clone();
        let mut compares = Vec::new();
        if !flawed!(self, AcquireIgnoresActive) {
            compares.push(match &self.view.active {
                None => Compare::create_revision(active_key.clone(), 0),
                Some(active) => Compare::mod_revision(active_key.clone(), active.revision),
            });
        }
        if !flawed!(self, AcquireIgnoresTerm) {
            compares.push(Compare::mod_revision(self.keys.term.clone(), term));
        }
        compares.extend(self.milvus_compares());
        let hold = self.own_hold();
        let active = Op::put(active_key, encode(&self.record(&lease)), lease.id);
        let term = self.put_term(&self.term_record(0, hold, 0));
        self.turn = None;
        self.write_if(now, Kind::Acquire { hold, lease: lease.id }, compares, vec![active, term]);
    }

    pub(super) fn term_record(&self, token: Revision, hold: Duration, renewals: u64) -> TermRecord {
        let hold_ms = millis(hold);
        TermRecord { token, hold_ms, renewals, ..self.settings.term_record(self.server_id) }
    }

    /// The transaction that starts a term committed: the term is this session's.
    pub(super) fn acquired(&mut self, now: Time, pending: &Pending, token: Revision, hold: Duration, id: LeaseId) {
        let record: Option<Record> = self.lease.map(|lease| self.record(&lease));
        let active = Active { revision: token, lease: id, record };
        let held = self.term_record(0, hold, 0);
        self.view.wrote_active(token, Some(active));
        self.view.wrote_term(token, held, now);
        self.held_since = None;
        let shown = self.view.active.as_ref().map(|active| active.revision);
        if token <= self.burned || shown != Some(token) || !self.lease_is(id) || self.is_unwilling(now) {
            self.burn(token);
            return;
        }
        let sent = if flawed!(self, DeadlineFromReceive) { now } else { pending.sent };
        self.find(now, token, hold, Some(sent));
        self.activate(now);
    }

    pub(super) fn is_unwilling(&mut self, now: Time) -> bool {
        self.is_leaving() || self.blocked(now).is_some()
    }

    /// A campaign that failed. The first may be tried again at once, by what its answer showed.
    pub(super) fn missed(&mut self, now: Time) {
        if self.misses > 0 {
            self.campaign_after = now + pause(self.misses).min(Duration::from_secs(1));
        }
        self.misses += 1;
    }

    /// Exclusive: says who is in the way, and gives up after the wait.
    fn exclusive_wait_is_over(&mut self, now: Time) -> bool {
        // One that does not contend is in nobody's way, and nobody in its.
        let blocked = self.blocked(now);
        if (self.view.active.is_none() && blocked.is_none()) || blocked.is_some_and(|by| by != Reason::MilvusHolder) {
            self.held_since = None;
            return false;
        }
        let wait = self.settings.exclusive_wait(self.view.active.as_ref(), blocked.is_some());
        let since = *self.held_since.get_or_insert(now);
        if !self.due(now, since + wait) {
            return false;
        }
        let holder = self.view.holder().or_else(|| self.milvus_holder(now)?.1);
        self.fatal = Some(self.settings.role_held(holder));
        true
    }

    /// Asks for proof of the holder's death where it runs on this host.
    pub(super) fn seek_proof(&mut self) {
        let wanted = self.neighbour().cloned();
        if wanted != self.proving {
            self.proving.clone_from(&wanted);
            self.out.push_back(Output::Prove(wanted));
        }
    }

    fn neighbour(&self) -> Option<&Process> {
        let own = self.settings.process.as_ref()?;
        let record = self.view.term_record()?;
        let holder = record.process.as_ref()?;
        let other = record.tenure == Tenure::Held && self.term.is_none() && holder != own;
        (other && !self.is_leaving() && holder.is_neighbour(own)).then_some(holder)
    }
}
