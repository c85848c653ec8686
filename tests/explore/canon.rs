//! The canonical form of a state: what can have no effect any more is gone, revisions are renumbered.

use std::sync::Arc;

use crate::input::In;
use crate::lab::{Lab, Outcome};
use crate::names::ACTIVE;
use crate::state::{Mail, Part, Post, Rev, Seat, State};
use crate::store;

/// Brings a state into its canonical form.
pub(crate) fn settle(state: &mut State, lab: &mut Lab) {
    bury(state, lab);
    renumber(state, lab);
}

/// Drops what can have no effect, and gives one form to what can only fail.
fn bury(state: &mut State, lab: &mut Lab) {
    let mail = std::mem::take(&mut state.mail);
    let mut kept = Vec::with_capacity(mail.len());
    for mut mail in mail {
        let keep = match mail.post {
            Post::Request(_) => {
                if let Some(doomed) = store::doomed(state, lab, &mail.part) {
                    mail.part = doomed;
                }
                true
            }
            Post::Stray => store::may_write(state, lab, &mail.part),
            Post::Answer(_) => true,
            Post::Notice(_) => is_news(&state.seats[mail.seat as usize], lab, &mail),
        };
        if keep {
            kept.push(mail);
        }
    }
    state.mail = kept;
}

/// Whether a notice changes anything for the session; one that does not now never will, as it knows more and more.
fn is_news(seat: &Seat, lab: &mut Lab, mail: &Mail) -> bool {
    let at = mail.seat as usize;
    let (notice, tick) = (In::Changes(mail.part), In::Tick);
    let shown = lab.step(at, &seat.part, &notice);
    let ticked = lab.step(at, &seat.part, &tick);
    !same(
        (&shown, &notice.all(&seat.part)),
        (&ticked, &tick.all(&seat.part)),
    )
}

fn same(a: (&Arc<Outcome>, &[Rev]), b: (&Arc<Outcome>, &[Rev])) -> bool {
    let real = |all: &[Rev], ranks: &[Rev]| -> Vec<Rev> {
        ranks.iter().map(|rank| all[*rank as usize - 1]).collect()
    };
    let equal = |x: &[Rev], y: &[Rev]| real(a.1, x) == real(b.1, y);
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
struct Names {
    new: [Rev; 256],
}

impl Names {
    fn new(named: &[bool; 256]) -> Self {
        let mut new = [0; 256];
        let mut next: Rev = 0;
        for (to, _) in new.iter_mut().zip(named).filter(|(_, named)| **named) {
            next = next.checked_add(2).unwrap();
            *to = next;
        }
        Self { new }
    }

    fn of(&self, rev: Rev) -> Rev {
        self.new[rev as usize]
    }

    /// What a bound is called that is only compared with these: as the highest of them that it reaches, or as what
    /// lies just above that.
    fn bound(&self, bound: Rev, with: &[bool; 256]) -> Rev {
        if bound == 0 {
            return 0;
        }
        match (1..=bound).rev().find(|r| with[*r as usize]) {
            None => 1,
            Some(r) if r == bound => self.of(r),
            Some(r) => self.of(r) + 1,
        }
    }
}

fn add(to: &mut [bool; 256], revs: impl IntoIterator<Item = Rev>) {
    for r in revs {
        to[r as usize] = r != 0;
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
    let mut all = [false; 256];
    for cell in state.cells.iter().flatten() {
        add(&mut all, [cell.token, cell.created, cell.modified]);
    }
    for mail in &state.mail {
        add(&mut all, mail.part.revs().iter().copied());
    }
    for (seat, bounds) in state.seats.iter().zip(&bounds) {
        add(&mut all, named(&seat.part, *bounds));
        add(&mut all, [seat.app]);
    }
    let names = Names::new(&all);
    for i in 0..state.seats.len() {
        renumber_seat(state, lab, i, bounds[i], &names);
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
    top.token = names.bound(top.token, &all);
    if top.token % 2 == 1 {
        (top.client, top.over) = (0, true);
    }
}

fn renumber_seat(state: &mut State, lab: &mut Lab, i: usize, bounds: u32, names: &Names) {
    // All that what this session knows can still be compared with.
    let mut with = [false; 256];
    let seat = &state.seats[i];
    add(&mut with, named(&seat.part, bounds));
    let mine = state.mail.iter().filter(|m| m.seat as usize == i);
    mine.for_each(|m| add(&mut with, m.part.revs().iter().copied()));
    let active = state.cells[ACTIVE as usize].as_ref();
    add(&mut with, active.map(|cell| cell.modified));
    let mut part = seat.part;
    for (slot, r) in part.revs_mut().iter_mut().enumerate() {
        *r = if bounds & 1 << slot == 0 {
            names.of(*r)
        } else {
            names.bound(*r, &with)
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
