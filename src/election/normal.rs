//! The normal form of a state, for exploration: states that differ only in where the clock and the numbering of
//! revisions and requests began, or in what was told to the user, behave alike, and must count as one.

use std::time::Duration;

use super::io::{RequestId, Role, Time};
use super::request::Kind;
use super::term::{Stage, Term};
use super::view::View;
use super::{Election, Flaw};
use crate::kv::Revision;
use crate::record::Tenure;

/// Requests of a normal form are numbered from here on, so that none is taken for one that [`Renumber::id`] named.
const FIRST_ID: u64 = 1 << 32;

/// What a revision in a state is: what it is compared with, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Names something; only ever compared for equality.
    Name,
    /// The token of a term of this session's.
    Token,
    /// The revision of the active key.
    Active,
    /// An answer from before it shows a restored store.
    Newest,
    /// Up to it the member keys are known.
    Members,
    /// What shows the active key at it or before is no news.
    ActiveKnown,
    /// What shows the term record at it or before is no news.
    TermKnown,
    /// What the watch shows of the role's keys from it on ends a doubt.
    Doubt,
    /// A token that is not above it is never used again.
    Burned,
}

/// How a state is rewritten.
pub trait Renumber {
    /// The new number of a revision (0 stays 0).
    fn revision(&mut self, mark: Mark, revision: Revision) -> Revision;
    /// The new number, below 2^32, of a request or watch.
    fn id(&mut self, id: u64) -> u64;
    /// What counts as the time from now until something is due, for a clock that is read at some instants only.
    fn wait(&mut self, wait: Duration) -> Duration {
        wait
    }
    /// Whether no Milvus process ever stands for the role: then who held it last does not matter.
    fn alone(&self) -> bool {
        false
    }
    /// What counts as the rest of a pause before something is tried again.
    fn pause(&mut self, pause: Duration) -> Duration {
        self.wait(pause)
    }
}

/// Where the clock stood, and how far back it matters.
#[derive(Clone, Copy)]
struct Clock {
    now: Time,
    horizon: Duration,
}

impl Clock {
    /// Something that is good for a while from then on: when that is over, it does not matter how long ago.
    fn past(self, at: &mut Time, good_for: Duration) {
        let age = self.now.since(*at);
        let kept = if age < good_for { age } else { self.horizon };
        *at = (Time(0) + self.horizon).before(kept);
    }

    fn next(self, at: &mut Time, numbers: &mut dyn Renumber) {
        *at = Time(0) + self.horizon + numbers.wait(at.since(self.now));
    }
}

impl Election {
    /// The normal form at `now`: the clock then reads `horizon`, what is over counts as that far back, what is due
    /// counts as due just now; failures in a row, and re-reads that found the watch silent, count as none. `horizon`
    /// must be longer than every wait; a lease that is longer than twice as much counts as endless. All outputs must
    /// be taken.
    #[must_use]
    pub fn normal(&self, now: Time, horizon: Duration, numbers: &mut dyn Renumber) -> Self {
        let mut s = self.clone();
        let clock = Clock { now, horizon };
        for t in [&mut s.lease_after, &mut s.campaign_after, &mut s.contend_after, &mut s.op_after, &mut s.read_after] {
            *t = Time(0) + horizon + numbers.pause(t.since(now));
        }
        s.end_by.iter_mut().for_each(|t| clock.next(t, numbers));
        s.held_since.iter_mut().for_each(|t| clock.past(t, horizon));
        s.wake = None;
        if let Some(seen) = self.settled(now) {
            s.view.term_seen(seen);
        }
        let delay = s.settings.milvus_takeover_delay;
        s.view.milvus_seen = s.view.milvus_seen.filter(|_| !delay.is_zero());
        s.view.milvus_seen.iter_mut().for_each(|t| clock.past(t, delay));
        if numbers.alone() {
            s.view.trail.end_doubt();
            (s.view.trail.start, s.view.milvus_seen) = (false, None);
        }
        s.view.normalise(&|t: &mut Time| clock.past(t, horizon), numbers);
        normal_requests(&mut s, clock, numbers);
        if let Some(lease) = &mut s.lease {
            let good_for = matters(lease.ttl, horizon);
            clock.past(&mut lease.kept, good_for);
            clock.next(&mut lease.next, numbers);
        }
        s.term.iter_mut().for_each(|term| normal_term(term, clock, numbers));
        if let Some((token, deadline)) = &mut s.flawed.ghost {
            *token = numbers.revision(Mark::Token, *token);
            clock.next(deadline, numbers);
        }
        if let Some(turn) = &mut s.turn {
            clock.past(&mut turn.since, horizon);
            turn.active = numbers.revision(Mark::Name, turn.active);
            turn.term = numbers.revision(Mark::Name, turn.term);
        }
        s.burned = numbers.revision(Mark::Burned, s.burned);
        s.first = s.first.map(|r| numbers.revision(Mark::Name, r));
        s.first_asked = numbers.revision(Mark::Name, s.first_asked);
        if let Some(watch) = &mut s.watch {
            watch.0 = numbers.id(watch.0);
        }
        s.next_id = FIRST_ID;
        (s.misses, s.op_failures, s.watch_failures) = (0, 0, 0);
        (s.silent, s.failed_activations, s.lost_leases) = (0, 0, 0);
        s.forget_what_was_told();
        s
    }

    /// Whether the answer to this request would be looked at.
    pub fn awaits(&self, id: RequestId) -> bool {
        self.pending.iter().any(|pending| pending.id == id)
    }

    fn forget_what_was_told(&mut self) {
        self.told_holder = None;
        self.told_blocked = None;
        self.degraded = None;
        if self.told_role != Role::Ended {
            self.told_role = Role::Starting;
        }
        if let Some(term) = &mut self.term {
            term.jeopardy = false;
        }
    }

    /// A time long past, where the wait for the term record is over for good. That for a vacant one, or one that does
    /// not decode, may still grow.
    fn settled(&self, now: Time) -> Option<Time> {
        let term = self.view.term.as_ref()?;
        let tenure = term.record.as_ref()?.tenure;
        (tenure != Tenure::Vacant && self.may_start_at(term) <= now).then_some(Time(0))
    }
}

/// For how long a lease's times matter: one that is longer than all that is looked at counts as endless.
fn matters(ttl: Duration, horizon: Duration) -> Duration {
    if ttl > horizon * 2 { Duration::ZERO } else { ttl }
}

fn normal_requests(s: &mut Election, clock: Clock, numbers: &mut dyn Renumber) {
    let hold = s.term.as_ref().map_or(Duration::ZERO, |term| term.hold);
    let ttl = matters(s.settings.ttl, clock.horizon);
    let all = s.is_flawed(Flaw::WaitFromRequest);
    for pending in &mut s.pending {
        let good_for = match pending.kind {
            _ if all => clock.horizon,
            Kind::Renew(_) => hold,
            Kind::Acquire { hold, .. } => hold,
            Kind::Grant | Kind::KeepAlive(_) => ttl,
            _ => Duration::ZERO,
        };
        clock.past(&mut pending.sent, good_for);
        clock.next(&mut pending.expires, numbers);
        pending.id = RequestId(numbers.id(pending.id.0));
        pending.newest = numbers.revision(Mark::Newest, pending.newest);
        match &mut pending.kind {
            Kind::First(r) | Kind::Renew(r) | Kind::Release(r) => {
                *r = numbers.revision(Mark::Name, *r);
            }
            _ => {}
        }
    }
    // The lanes do not know of one another: in which order they were used does not matter.
    s.pending.sort_by_key(|pending| pending.kind.lane() as u8);
}

fn normal_term(term: &mut Term, clock: Clock, numbers: &mut dyn Renumber) {
    term.token = numbers.revision(Mark::Token, term.token);
    term.renewals = 0;
    if let Some(renewed) = &mut term.renewed {
        clock.past(renewed, term.hold);
    }
    clock.next(&mut term.next, numbers);
    match &mut term.stage {
        Stage::Found { until }
        | Stage::Activating { until }
        | Stage::Draining { until, .. }
        | Stage::Gone { until, .. } => clock.next(until, numbers),
        Stage::Active => {}
    }
}

impl View {
    /// The term record counts as first seen then.
    fn term_seen(&mut self, seen: Time) {
        if let Some(term) = &mut self.term {
            term.seen = seen;
        }
    }

    /// See `Election::normal`.
    fn normalise(&mut self, past: &dyn Fn(&mut Time), numbers: &mut dyn Renumber) {
        for (mark, r) in [
            (Mark::Newest, &mut self.newest),
            (Mark::Members, &mut self.known),
            (Mark::ActiveKnown, &mut self.active_known),
            (Mark::TermKnown, &mut self.term_known),
            (Mark::Doubt, &mut self.trail.doubt),
        ] {
            *r = numbers.revision(mark, *r);
        }
        if let Some(active) = &mut self.active {
            active.revision = numbers.revision(Mark::Active, active.revision);
        }
        if let Some(term) = &mut self.term {
            term.revision = numbers.revision(Mark::Name, term.revision);
            past(&mut term.seen);
            if let Some(record) = &mut term.record {
                record.token = numbers.revision(Mark::Name, record.token);
                record.renewals = 0;
            }
        }
        for member in self.members.values_mut() {
            member.created = numbers.revision(Mark::Name, member.created);
            member.revision = numbers.revision(Mark::Name, member.revision);
        }
    }
}
