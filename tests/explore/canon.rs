//! The canonical form of a state: what can have no effect any more is gone, revisions are renumbered.

use std::sync::Arc;

use crate::input::In;
use crate::lab::{Lab, Outcome};
use crate::names::ACTIVE;
use crate::state::{Mail, Part, Post, Rev, RevList, Revs, Seat, State};
use crate::store;

/// Brings a state into its canonical form; `from` is the one before it, which was in it.
pub(crate) fn settle(state: &mut State, from: Option<&State>, lab: &mut Lab) {
    bury(state, from, lab);
    renumber(state, lab);
}

/// Drops what can have no effect, and gives one form to what can only fail.
fn bury(state: &mut State, from: Option<&State>, lab: &mut Lab) {
    let mut mail = std::mem::take(&mut state.mail);
    let mut strays = 0;
    mail.retain_mut(|mail| {
        let keep = match mail.post {
            Post::Request(_) => {
                if let Some(doomed) = store::doomed(state, lab, &mail.part) {
                    mail.part = doomed;
                }
                true
            }
            Post::Stray => {
                strays += 1;
                let keep = strays <= lab.plan.strays && store::may_write(state, lab, &mail.part);
                strays -= usize::from(!keep);
                keep
            }
            Post::Answer(_) => true,
            Post::Notice(_) => {
                let seat = mail.seat as usize;
                // Where nothing has changed it is still the news that it was.
                let still = from.is_some_and(|from| {
                    from.seats[seat].part.revs() == state.seats[seat].part.revs()
                        && from.seats[seat].part.shape == state.seats[seat].part.shape
                        && from.mail.contains(mail)
                });
                still || is_news(&state.seats[seat], lab, mail)
            }
        };
        keep
    });
    state.mail = mail;
}

/// Whether a notice changes anything for the session; one that does not now never will, as it knows more and more.
fn is_news(seat: &Seat, lab: &mut Lab, mail: &Mail) -> bool {
    let at = mail.seat as usize;
    let (notice, tick) = (In::Changes(mail.part), In::Tick);
    let shown = lab.step(at, &seat.part, &notice);
    let ticked = lab.step(at, &seat.part, &tick);
    !same(
        (&shown, &notice.all(&seat.part).list()),
        (&ticked, &tick.all(&seat.part).list()),
    )
}

fn same(a: (&Arc<Outcome>, &RevList), b: (&Arc<Outcome>, &RevList)) -> bool {
    let equal = |x: &[Rev], y: &[Rev]| {
        let (x, y) = (x.iter().map(|r| a.1.at(*r)), y.iter().map(|r| b.1.at(*r)));
        x.eq(y)
    };
    let (x, y) = (a.0, b.0);
    (x.shape, x.kept, x.sends.len()) == (y.shape, y.kept, y.sends.len())
        && x.watch.is_none()
        && y.watch.is_none()
        && equal(&x.revs, &y.revs)
        && x.sends
            .iter()
            .zip(&y.sends)
            .all(|(s, t)| (s.lane, s.body) == (t.lane, t.body) && equal(&s.revs, &t.revs))
}

/// Revisions that name something, and what each is called from now on.
#[derive(Clone, Copy)]
struct Names(Revs);

impl Names {
    fn of(self, rev: Rev) -> Rev {
        if rev == 0 { 0 } else { self.0.rank(rev) * 2 }
    }

    /// What a bound is called that is only compared with these: as the highest of them that it reaches, or as what
    /// lies just above that.
    fn bound(self, bound: Rev, with: Revs) -> Rev {
        if bound == 0 {
            return 0;
        }
        match with.floor(bound) {
            None => 1,
            Some(r) if r == bound => self.of(r),
            Some(r) => self.of(r) + 1,
        }
    }
}

/// The revisions of a session that are more than bounds.
fn named(part: &Part, bounds: u32) -> impl Iterator<Item = Rev> {
    let revs = part.revs().iter().copied().enumerate();
    revs.filter_map(move |(i, r)| (bounds & 1 << i == 0).then_some(r))
}

fn renumber(state: &mut State, lab: &mut Lab) {
    let bounds: Vec<u32> = state
        .seats
        .iter()
        .map(|seat| lab.shape(seat.part.shape).bounds)
        .collect();
    let mut all = Revs::default();
    for cell in state.cells.iter().flatten() {
        all.add([cell.token, cell.created, cell.modified]);
    }
    for mail in &state.mail {
        all.add(mail.part.revs().iter().copied());
    }
    for (seat, bounds) in state.seats.iter().zip(&bounds) {
        all.add(named(&seat.part, *bounds));
        all.add([seat.app]);
    }
    let names = Names(all);
    for i in 0..state.seats.len() {
        renumber_seat(state, lab, i, bounds[i], names);
    }
    for cell in state.cells.iter_mut().flatten() {
        for r in [&mut cell.token, &mut cell.created, &mut cell.modified] {
            *r = names.of(*r);
        }
    }
    for mail in &mut state.mail {
        mail.part
            .revs_mut()
            .iter_mut()
            .for_each(|r| *r = names.of(*r));
    }
    state.mail.sort_unstable();
    state.mail.dedup();
    let top = &mut state.top;
    top.token = names.bound(top.token, all);
    if top.token % 2 == 1 {
        (top.client, top.over) = (0, true);
    }
}

fn renumber_seat(state: &mut State, lab: &mut Lab, i: usize, bounds: u32, names: Names) {
    // All that what this session knows can still be compared with.
    let mut with = Revs::default();
    let seat = &state.seats[i];
    with.add(named(&seat.part, bounds));
    let mine = state.mail.iter().filter(|m| m.seat as usize == i);
    mine.for_each(|m| with.add(m.part.revs().iter().copied()));
    let active = state.cells[ACTIVE as usize].as_ref();
    with.add(active.map(|cell| cell.modified));
    let mut part = seat.part;
    for (slot, r) in part.revs_mut().iter_mut().enumerate() {
        *r = if bounds & 1 << slot == 0 {
            names.of(*r)
        } else {
            names.bound(*r, with)
        };
    }
    if part.revs().windows(2).any(|pair| pair[0] == pair[1]) {
        let mut ranks = Vec::with_capacity(part.revs().len());
        let mut revs: Vec<Rev> = Vec::with_capacity(part.revs().len());
        for r in part.revs() {
            if revs.last() != Some(r) {
                revs.push(*r);
            }
            ranks.push(revs.len() as u8);
        }
        part = Part::new(lab.merge(i, part.shape, &ranks), revs);
    }
    let seat = &mut state.seats[i];
    seat.part = part;
    seat.app = names.of(seat.app);
}
