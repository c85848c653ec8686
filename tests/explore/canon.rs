//! The canonical form of a state: what can have no effect any more is gone, revisions are renumbered.

use std::sync::Arc;

use coordha::election::Mark;

use crate::blind;
use crate::input::In;
use crate::lab::{Lab, Outcome, Shape};
use crate::names::ACTIVE;
use crate::state::{MOST, Mail, Part, Post, Rev, RevList, Revs, Seat, State};
use crate::store;

/// Brings a state into its canonical form; `from` is the one before it, which was in it.
pub(crate) fn settle(state: &mut State, from: Option<&State>, lab: &mut Lab) {
    bury(state, from, lab);
    blind::settle(state, lab);
    renumber(state, lab);
}

/// Drops what can have no effect, and gives one form to what can only fail.
fn bury(state: &mut State, from: Option<&State>, lab: &mut Lab) {
    let mut mail = std::mem::take(&mut state.mail);
    let mut strays = 0;
    mail.retain_mut(|mail| {
        match mail.post {
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
        }
    });
    state.mail = mail;
}

/// Whether a notice changes anything for the session; one that does not now never will, as it knows more and more.
fn is_news(seat: &Seat, lab: &mut Lab, mail: &Mail) -> bool {
    let at = mail.seat as usize;
    let (notice, tick) = (In::Changes(mail.part), In::Tick);
    let shown = lab.step(at, &seat.part, &notice);
    let ticked = lab.step(at, &seat.part, &tick);
    !same((&shown, &notice.all(&seat.part).list()), (&ticked, &tick.all(&seat.part).list()))
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
        && x.sends.iter().zip(&y.sends).all(|(s, t)| (s.lane, s.body) == (t.lane, t.body) && equal(&s.revs, &t.revs))
}

/// Numbers up to this are for what one session alone remembers.
const PRIVATE: Rev = 20;

/// What revisions are called from now on: those that something under way or in the store names, and those of the
/// terms of sessions, by their rank.
#[derive(Clone, Copy)]
struct Names {
    live: Revs,
    /// Of one session: what it remembers and nobody else will ever speak of again.
    stale: Revs,
}

impl Names {
    fn of(self, rev: Rev) -> Rev {
        match rev {
            0 => 0,
            r if self.stale.has(r) => self.stale.rank(r) * 2,
            r => PRIVATE + self.live.rank(r) * 2,
        }
    }

    /// What a revision is called that is only asked whether these are above it.
    fn reach(self, bound: Rev, with: Revs) -> Rev {
        let below = with.list_up_to(bound);
        below.map(|r| self.of(r)).max().unwrap_or(1)
    }

    /// What a revision is called that is asked which of these are above it, and which one it is.
    fn between(self, bound: Rev, with: Revs) -> Rev {
        match with.floor(bound) {
            None => 1,
            Some(r) if r == bound => self.of(r),
            Some(r) => self.of(r) + 1,
        }
    }
}

fn renumber(state: &mut State, lab: &mut Lab) {
    let mut live = Revs::default();
    for cell in state.cells.iter().flatten() {
        live.add([cell.token, cell.created, cell.modified]);
    }
    for mail in &state.mail {
        live.add(mail.part.revs().iter().copied());
    }
    let mut shapes = Vec::with_capacity(state.seats.len());
    for seat in &state.seats {
        let shape = Arc::clone(lab.shape(seat.part.shape));
        live.add([seat.app]);
        live.add(marked(&seat.part, &shape, |mark| mark == Mark::Token));
        shapes.push(shape);
    }
    let mut stale = Vec::with_capacity(state.seats.len());
    for (seat, shape) in state.seats.iter().zip(&shapes) {
        let (private, pinned) = stale_of(&seat.part, shape, live);
        live.add(pinned.iter());
        stale.push(private);
    }
    for (i, shape) in shapes.iter().enumerate() {
        let names = Names { live, stale: stale[i] };
        state.seats[i].part = renumber_seat(state, lab, i, shape, names);
    }
    let names = Names { live, stale: Revs::default() };
    for cell in state.cells.iter_mut().flatten() {
        for r in [&mut cell.token, &mut cell.created, &mut cell.modified] {
            *r = names.of(*r);
        }
    }
    for mail in &mut state.mail {
        mail.part.revs_mut().iter_mut().for_each(|r| *r = names.of(*r));
    }
    state.mail.sort_unstable();
    state.mail.dedup();
    state.seats.iter_mut().for_each(|s| s.app = names.of(s.app));
    let top = &mut state.top;
    if top.over {
        // No other term may be acted in by this token or a lower one.
        (top.token, top.client) = (names.reach(top.token, live), 0);
    } else {
        top.token = names.of(top.token);
    }
}

/// The revisions of a session that are marked so.
fn marked(part: &Part, shape: &Shape, mark: impl Fn(Mark) -> bool) -> impl Iterator<Item = Rev> {
    let marks = shape.marks.iter().filter(move |(m, _)| mark(*m));
    marks.map(|(_, slot)| part.at(*slot))
}

fn is_name(mark: Mark) -> bool {
    matches!(mark, Mark::Name | Mark::Token | Mark::Active)
}

/// What a session remembers that nothing under way and no key has any more: it can only be found different, whatever
/// it was, unless it is asked whether it is burned; then it must stay where it is.
fn stale_of(part: &Part, shape: &Shape, live: Revs) -> (Revs, Revs) {
    let burned = marked(part, shape, |mark| mark == Mark::Burned).next();
    let burned = burned.unwrap_or(0);
    let (mut stale, mut pinned) = (Revs::default(), Revs::default());
    for r in marked(part, shape, is_name).filter(|r| !live.has(*r)) {
        if r > burned && live.floor(burned).is_some() {
            pinned.add([r]);
        } else {
            stale.add([r]);
        }
    }
    (stale, pinned)
}

fn renumber_seat(state: &State, lab: &mut Lab, i: usize, shape: &Shape, names: Names) -> Part {
    let part = &state.seats[i].part;
    let [mut members, mut owner, mut term, mut tokens, mut all_keys] = [Revs::default(); 5];
    for mail in state.mail.iter().filter(|m| m.seat as usize == i) {
        let shows = lab.shows(mail.part.shape);
        for (with, slots) in [&mut members, &mut owner, &mut term, &mut tokens].into_iter().zip(&*shows) {
            with.add(slots.iter().map(|slot| mail.part.at(*slot)));
        }
        let of_role = [&shows[0], &shows[1]].into_iter().flatten();
        all_keys.add(of_role.map(|slot| mail.part.at(*slot)));
    }
    owner.add(marked(part, shape, |mark| mark == Mark::Token));
    tokens.add(marked(part, shape, |mark| matches!(mark, Mark::Token | Mark::Active)));
    let active = state.cells[ACTIVE as usize].as_ref();
    tokens.add(active.map(|cell| cell.modified));
    assert!(shape.marks.len() <= 2 * MOST);
    let mut new = [0; 2 * MOST];
    let mut all = Revs::default();
    for (new, (mark, slot)) in new.iter_mut().zip(&shape.marks) {
        let r = part.at(*slot);
        *new = match mark {
            Mark::Name | Mark::Token | Mark::Active => names.of(r),
            Mark::Newest if !lab.plan.newest => 0,
            Mark::Members if lab.plan.members_stay() => 1,
            Mark::Newest | Mark::Members => names.between(r, members),
            Mark::Doubt => names.between(r, all_keys),
            Mark::ActiveKnown => names.reach(r, owner),
            Mark::TermKnown => names.reach(r, term),
            Mark::Burned => names.reach(r, tokens),
        };
        all.add([*new]);
    }
    let new = &mut new[..shape.marks.len()];
    new.iter_mut().for_each(|r| *r = if *r == 0 { 0 } else { all.rank(*r) });
    let same = new.iter().zip(&shape.marks).all(|(r, (_, slot))| r == slot);
    let number = if same { part.shape } else { lab.renumber(i, part.shape, new) };
    Part::new(number, all.iter())
}
