//! The normal form of a state, for exploration: states that differ only in where the clock and the numbering of
//! revisions and requests began behave alike, and must count as one.

use std::time::Duration;

use super::Election;
use super::io::{RequestId, Time};
use super::request::Kind;
use super::term::Stage;
use crate::kv::Revision;

/// How a state is rewritten.
pub trait Renumber {
    /// The new number of a revision (0 stays 0).
    fn revision(&mut self, revision: Revision) -> Revision;
    /// The new number of a request or watch.
    fn id(&mut self, id: u64) -> u64;
}

impl Election {
    /// The normal form at `now`: the clock then reads `horizon`, what lies further back than that counts as that far
    /// back, what is due counts as due just now. `horizon` must be longer than every wait. All outputs must be taken.
    #[must_use]
    pub fn normal(&self, now: Time, horizon: Duration, numbers: &mut dyn Renumber) -> Self {
        let mut s = self.clone();
        let base = now.before(horizon);
        let past = |t: &mut Time| *t = Time(t.0.max(base.0) - base.0);
        let next = |t: &mut Time| *t = Time(t.0.max(now.0) - base.0);
        for t in [
            &mut s.lease_after,
            &mut s.campaign_after,
            &mut s.contend_after,
            &mut s.op_after,
            &mut s.read_after,
        ] {
            next(t);
        }
        s.end_by.iter_mut().for_each(next);
        s.held_since.iter_mut().for_each(past);
        s.wake = None;
        normal_lease_and_term(&mut s, &past, &next, numbers);
        if let Some((token, deadline)) = &mut s.ghost {
            *token = numbers.revision(*token);
            next(deadline);
        }
        if let Some(turn) = &mut s.turn {
            past(&mut turn.since);
            turn.active = numbers.revision(turn.active);
            turn.term = numbers.revision(turn.term);
        }
        s.burned = numbers.revision(s.burned);
        s.first = s.first.map(|r| numbers.revision(r));
        s.first_asked = numbers.revision(s.first_asked);
        s.told_holder = s.told_holder.map(|mut h| {
            h.token = numbers.revision(h.token);
            h
        });
        if let Some(watch) = &mut s.watch {
            watch.0 = numbers.id(watch.0);
        }
        s.next_id = 0;
        s.misses = s.misses.min(2);
        s.op_failures = s.op_failures.min(1);
        s.watch_failures = s.watch_failures.min(1);
        s.silent = s.silent.min(2);
        s.failed_activations = s.failed_activations.min(1);
        s.view.normalise(&past, numbers);
        s
    }

    /// All revisions in the state, for ordering them before they are renumbered.
    pub fn revisions(&self) -> Vec<Revision> {
        struct Collect(Vec<Revision>);
        impl Renumber for Collect {
            fn revision(&mut self, revision: Revision) -> Revision {
                self.0.push(revision);
                revision
            }
            fn id(&mut self, id: u64) -> u64 {
                id
            }
        }
        let mut collect = Collect(Vec::new());
        let _ = self.normal(Time(u64::MAX / 2), Duration::ZERO, &mut collect);
        collect.0
    }
}

fn normal_lease_and_term(
    s: &mut Election,
    past: &dyn Fn(&mut Time),
    next: &dyn Fn(&mut Time),
    numbers: &mut dyn Renumber,
) {
    if let Some(lease) = &mut s.lease {
        past(&mut lease.kept);
        next(&mut lease.next);
    }
    for pending in &mut s.pending {
        past(&mut pending.sent);
        next(&mut pending.expires);
        pending.id = RequestId(numbers.id(pending.id.0));
        pending.newest = numbers.revision(pending.newest);
        match &mut pending.kind {
            Kind::First(r) | Kind::Renew(r) | Kind::Release(r) => *r = numbers.revision(*r),
            _ => {}
        }
    }
    if let Some(term) = &mut s.term {
        term.token = numbers.revision(term.token);
        term.renewals = 0;
        term.renewed.iter_mut().for_each(past);
        next(&mut term.next);
        match &mut term.stage {
            Stage::Found { until }
            | Stage::Activating { until }
            | Stage::Draining { until, .. }
            | Stage::Gone { until, .. } => {
                next(until);
            }
            Stage::Active => {}
        }
    }
}
