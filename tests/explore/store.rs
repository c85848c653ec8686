//! The store: cells, leases, and what its watches have to show.

use std::sync::Arc;

use crate::blind;
use crate::body::{Body, Change, Item, Reads, Slot, Want, Write};
use crate::lab::Lab;
use crate::names::{ACTIVE, ID, KEYS, MILVUS, TERM};
use crate::plan::Fault;
use crate::state::{Cell, LEASES_EACH, MILVUS_LEASE, Mail, Part, Post, Rev, State};

/// What breaks a rule that the store can see.
pub(crate) type Breach = String;

/// No breach, but the model's end: a session was granted as many leases as it can name.
pub(crate) const LEASES_USED_UP: &str = "the leases of the model are used up";

/// Does a request and answers it. `client` is who asks for a lease.
pub(crate) fn apply(state: &mut State, lab: &mut Lab, request: &Part, client: u8) -> Result<Part, Breach> {
    let at = state.next_revision();
    let body = Arc::clone(lab.body(request.shape));
    let reply = match &*body {
        Body::Txn { compares, success, shows, failure } => {
            let holds = compares.iter().all(|(key, want)| holds(state, *key, want, request));
            if !holds {
                return Ok(read(state, lab, *failure, false, at));
            }
            let dead = |write: &Write| matches!(write, Write::Put { lease, .. } if !state.lives(*lease));
            if success.iter().any(dead) {
                Body::LeaseNotFound
            } else {
                let changed = write(state, success, request, at)?;
                notify(state, lab, &changed, at);
                return Ok(read(state, lab, *shows, true, at));
            }
        }
        Body::Doomed(reads) => return Ok(read(state, lab, *reads, false, at)),
        Body::Grant => {
            let mut leases = (0..LEASES_EACH).map(|n| client * LEASES_EACH + n + 1);
            let lease = leases.find(|lease| state.ended & 1 << lease == 0);
            let lease = lease.ok_or(LEASES_USED_UP)?;
            state.leases |= 1 << lease;
            keep(state, lab, lease);
            Body::Lease { lease, dead: false }
        }
        Body::KeepAlive(lease) => {
            let dead = !state.lives(*lease);
            if !dead {
                keep(state, lab, *lease);
            }
            Body::Lease { lease: *lease, dead }
        }
        Body::Revoke(lease) => {
            end_lease(state, lab, *lease);
            Body::Revoked
        }
        answer => panic!("{answer:?} is no request"),
    };
    Ok(Part::new(lab.body_number(reply), []))
}

fn keep(state: &mut State, lab: &Lab, lease: u8) {
    if let Some((_, ticks)) = lab.plan.ttl {
        state.left[lease as usize] = ticks;
    }
}

/// Whether a compare holds.
fn holds(state: &State, key: u8, want: &Want, request: &Part) -> bool {
    let cell = state.cells[key as usize].as_ref();
    match want {
        Want::Absent => cell.is_none(),
        Want::Modified(slot) => cell.is_some_and(|cell| cell.modified == request.at(*slot)),
        Want::Value(value) => cell.is_some_and(|cell| cell.value == *value),
    }
}

fn write(state: &mut State, writes: &[Write], request: &Part, at: Rev) -> Result<Vec<u8>, Breach> {
    let mut changed = Vec::new();
    for write in writes {
        match write {
            Write::Put { key, value, token, lease } => {
                let old = state.cells[*key as usize];
                if *key == ACTIVE && old.is_some_and(|old| old.lease == MILVUS_LEASE) {
                    return Err("a put of ours landed on a key that a Milvus coordinator holds".into());
                }
                let acts = state.cells[MILVUS as usize].is_some() || state.left[MILVUS_LEASE as usize] > 0;
                if *key == ACTIVE && acts {
                    return Err("a term was started while a Milvus coordinator acts for the role".into());
                }
                put(state, *key, *value, request.at(*token), *lease, at);
                changed.push(*key);
            }
            Write::Delete { key } => {
                if state.cells[*key as usize].take().is_some() {
                    changed.push(*key);
                }
            }
        }
    }
    let starts = |w: &Write| matches!(w, Write::Put { key: ACTIVE, .. });
    let records = |w: &Write| matches!(w, Write::Put { key: TERM, .. });
    if writes.iter().any(starts) && !writes.iter().any(records) {
        return Err("a term was started without its record".into());
    }
    Ok(changed)
}

fn put(state: &mut State, key: u8, value: u16, token: Rev, lease: u8, at: Rev) {
    let cell = &mut state.cells[key as usize];
    // Only the age of members is ever asked for.
    let created = cell.map_or(at, |old| old.created);
    let has_age = key > TERM;
    *cell = Some(Cell {
        value,
        token,
        created: if has_age { created } else { 0 },
        modified: if key == ID { 0 } else { at },
        lease,
    });
}

/// Somebody else's put (with a value), or delete.
pub(crate) fn by_hand(state: &mut State, lab: &mut Lab, key: u8, value: Option<&[u8]>, lease: u8) {
    let at = state.next_revision();
    match value {
        Some(value) => {
            let value = lab.value(value);
            put(state, key, value, 0, lease, at);
        }
        None => state.cells[key as usize] = None,
    }
    notify(state, lab, &[key], at);
}

/// A lease ends, and its keys with it, in one revision.
pub(crate) fn end_lease(state: &mut State, lab: &mut Lab, lease: u8) {
    if state.leases & 1 << lease == 0 {
        return;
    }
    state.leases &= !(1 << lease);
    state.ended |= 1 << lease;
    state.left[lease as usize] = if lease == MILVUS_LEASE { lab.plan.lingers } else { 0 };
    let at = state.next_revision();
    let keys = (0..KEYS as u8).filter(|key| {
        let cell = &mut state.cells[*key as usize];
        cell.take_if(|cell| cell.lease == lease).is_some()
    });
    let keys: Vec<u8> = keys.collect();
    notify(state, lab, &keys, at);
}

/// Something whose revisions are not slots yet: what they are is pushed beside it.
struct Packing {
    revs: Vec<Rev>,
}

impl Packing {
    fn new(mut revs: Vec<Rev>) -> Self {
        revs.retain(|r| *r != 0);
        revs.sort_unstable();
        revs.dedup();
        Self { revs }
    }

    fn slot(&self, rev: Rev) -> Slot {
        match rev {
            0 => 0,
            r => self.revs.iter().position(|known| *known == r).unwrap() as Slot + 1,
        }
    }

    fn item(&self, key: u8, cell: &Cell) -> Item {
        Item {
            key,
            value: cell.value,
            token: self.slot(cell.token),
            created: self.slot(match cell.created {
                0 => cell.modified,
                created => created,
            }),
            modified: self.slot(cell.modified),
            lease: cell.lease,
        }
    }
}

/// The answer of a transaction that read these at this revision.
fn read(state: &State, lab: &mut Lab, reads: Reads, succeeded: bool, at: Rev) -> Part {
    let keys = match reads {
        Reads::Nothing => 0..0,
        Reads::Id => ID..ID + 1,
        Reads::Role => ACTIVE..KEYS as u8,
    };
    let cells = keys.filter_map(|key| Some((key, state.cells[key as usize]?)));
    let cells: Vec<(u8, Cell)> = cells.collect();
    let mut revs = vec![at];
    for (_, cell) in &cells {
        revs.extend([cell.token, cell.created, cell.modified]);
    }
    let pack = Packing::new(revs);
    let items = cells.iter().map(|(key, cell)| pack.item(*key, cell));
    let body = Body::Done { succeeded, at: pack.slot(at), items: items.collect() };
    Part::new(lab.body_number(body), pack.revs)
}

/// Puts what these keys have become on its way to every watch.
fn notify(state: &mut State, lab: &mut Lab, keys: &[u8], at: Rev) {
    for seat in 0..state.seats.len() as u8 {
        if state.seats[seat as usize].watching {
            show(state, lab, seat, keys, at);
        }
    }
}

/// Puts what these keys have become on its way to one watch. What was on its way and has not been shown is shown
/// together with it, each key as it is at last.
pub(crate) fn show(state: &mut State, lab: &mut Lab, seat: u8, keys: &[u8], at: Rev) {
    for range in 0..2 {
        let in_range = |key: &u8| match range {
            0 => *key != TERM && *key != ID,
            _ => *key == TERM,
        };
        let mut keys: Vec<u8> = keys.iter().copied().filter(in_range).collect();
        if keys.is_empty() {
            continue;
        }
        keys.sort_unstable();
        let post = Post::Notice(range);
        let old = state.mail.iter().position(|mail| mail.post == post && mail.seat == seat);
        let old = old.map(|i| state.mail.swap_remove(i).part);
        let part = merge(state, lab, old, &keys, at);
        state.mail.push(Mail { post, seat, part });
    }
}

fn merge(state: &State, lab: &mut Lab, old: Option<Part>, keys: &[u8], at: Rev) -> Part {
    let mut shown: Vec<(u8, Option<Cell>, Rev)> = Vec::new();
    if let Some(old) = &old {
        let body = Arc::clone(lab.body(old.shape));
        let Body::Changes(changes) = &*body else {
            panic!("{body:?} is no notice");
        };
        // No watch leaves out that a Milvus coordinator took the role.
        for change in changes.iter().filter(|c| !keys.contains(&c.key()) || blind::is_milvus_put(c)) {
            shown.push(match change {
                Change::Put(item) => (item.key, Some(cell_of(item, old)), 0),
                Change::Delete { key, at } => (*key, None, old.at(*at)),
            });
        }
    }
    for key in keys {
        shown.push((*key, state.cells[*key as usize], at));
    }
    shown.sort_unstable_by_key(|(key, cell, at)| (cell.map_or(*at, |cell| cell.modified), *key));
    let mut revs = Vec::new();
    for (_, cell, at) in &shown {
        match cell {
            Some(cell) => revs.extend([cell.token, cell.created, cell.modified]),
            None => revs.push(*at),
        }
    }
    let pack = Packing::new(revs);
    let changes = shown.iter().map(|(key, cell, at)| match cell {
        Some(cell) => Change::Put(pack.item(*key, cell)),
        None => Change::Delete { key: *key, at: pack.slot(*at) },
    });
    let body = Body::Changes(changes.collect());
    Part::new(lab.body_number(body), pack.revs)
}

fn cell_of(item: &Item, part: &Part) -> Cell {
    Cell {
        value: item.value,
        token: part.at(item.token),
        created: part.at(item.created),
        modified: part.at(item.modified),
        lease: item.lease,
    }
}

/// Whether a request can still change anything, if the store does it later on.
pub(crate) fn may_write(state: &State, lab: &mut Lab, request: &Part) -> bool {
    let body = Arc::clone(lab.body(request.shape));
    match &*body {
        Body::Txn { compares, success, .. } => {
            let dead = |w: &Write| matches!(w, Write::Put { lease, .. } if !state.lives(*lease));
            !success.is_empty()
                && !success.iter().any(dead)
                && compares.iter().all(|(key, want)| may_hold(state, *key, want, request, success))
        }
        Body::Revoke(lease) => state.lives(*lease),
        Body::KeepAlive(lease) => state.lives(*lease) && lab.plan.ttl.is_some(),
        _ => false,
    }
}

/// Whether a compare of a transaction that does these writes holds, or may hold again.
fn may_hold(state: &State, key: u8, want: &Want, request: &Part, writes: &[Write]) -> bool {
    let cell = &state.cells[key as usize];
    match want {
        Want::Absent if key == TERM => cell.is_none() || state.budget[Fault::Term as usize] > 0,
        // A member key goes with its lease alone; where that is the one it would be written with, then for ever.
        Want::Absent if key > TERM => cell
            .is_none_or(|cell| !writes.iter().any(|w| matches!(w, Write::Put { lease, .. } if *lease == cell.lease))),
        Want::Absent => true,
        _ => holds(state, key, want, request),
    }
}

/// The same request, where it can only fail, as one that does; `None`: it may succeed.
pub(crate) fn doomed(state: &State, lab: &mut Lab, request: &Part) -> Option<Part> {
    let body = Arc::clone(lab.body(request.shape));
    let Body::Txn { compares, success, failure, .. } = &*body else {
        return None;
    };
    let may = compares.iter().all(|(key, want)| may_hold(state, *key, want, request, success));
    (!may).then(|| Part::new(lab.body_number(Body::Doomed(*failure)), []))
}
