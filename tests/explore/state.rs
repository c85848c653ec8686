//! A state of the whole: sessions, store, and what is on its way between them. Revisions are small numbers, of which
//! only the order matters: even ones name something, odd ones lie somewhere between two that do.

use crate::body::Value;
use crate::names::{CLIENTS, KEYS};
use crate::plan::FAULTS;

/// A revision, renumbered.
pub(crate) type Rev = u8;

/// A set of revisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Revs(u128);

impl Revs {
    /// Adds all but 0.
    pub(crate) fn add(&mut self, revs: impl IntoIterator<Item = Rev>) {
        for r in revs {
            assert!(r < 128, "more revisions than the model has room for");
            self.0 |= 1 << r;
        }
        self.0 &= !1;
    }

    fn up_to(self, rev: Rev) -> u128 {
        self.0 & (u128::MAX >> (127 - rev))
    }

    /// Which one it is, from 1 on.
    pub(crate) fn rank(self, rev: Rev) -> u8 {
        self.up_to(rev).count_ones() as u8
    }

    /// The highest one that is not above this.
    pub(crate) fn floor(self, rev: Rev) -> Option<Rev> {
        match self.up_to(rev) {
            0 => None,
            set => Some(127 - set.leading_zeros() as u8),
        }
    }

    pub(crate) fn has(self, rev: Rev) -> bool {
        self.0 & 1 << rev != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Rev> {
        self.list_up_to(127)
    }

    /// Those that are not above this, in order.
    pub(crate) fn list_up_to(self, rev: Rev) -> impl Iterator<Item = Rev> {
        let mut set = self.up_to(rev);
        std::iter::from_fn(move || {
            let next = (set != 0).then_some(set.trailing_zeros() as Rev);
            set &= set.wrapping_sub(1);
            next
        })
    }

    /// All of them, in order.
    pub(crate) fn list(self) -> RevList {
        let (mut list, mut set) = ([0; 128], self.0);
        let mut len = 0;
        while set != 0 {
            list[len] = set.trailing_zeros() as u8;
            len += 1;
            set &= set - 1;
        }
        RevList(list)
    }
}

/// Revisions by their rank.
pub(crate) struct RevList([Rev; 128]);

impl RevList {
    pub(crate) fn at(&self, rank: u8) -> Rev {
        self.0[rank as usize - 1]
    }
}
/// Most revisions in one session or message.
pub(crate) const MOST: usize = 26;
/// Most sessions at once.
pub(crate) const SEATS: usize = 3;
/// Leases that one session ever has.
pub(crate) const LEASES_EACH: u8 = 3;
/// The lease of the Milvus coordinator.
pub(crate) const MILVUS_LEASE: u8 = CLIENTS as u8 * LEASES_EACH + 1;
/// That of the Milvus coordinator that is stuck: it never ends.
pub(crate) const STUCK_LEASE: u8 = MILVUS_LEASE + 1;

/// A shape, and what its revisions stand for, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) shape: u32,
    len: u8,
    revs: [Rev; MOST],
}

impl Part {
    pub(crate) fn new(shape: u32, revs: impl IntoIterator<Item = Rev>) -> Self {
        let mut part = Self { shape, len: 0, revs: [0; MOST] };
        for r in revs {
            part.revs[part.len as usize] = r;
            part.len += 1;
        }
        part
    }

    pub(crate) fn revs(&self) -> &[Rev] {
        &self.revs[..self.len as usize]
    }

    pub(crate) fn revs_mut(&mut self) -> &mut [Rev] {
        &mut self.revs[..self.len as usize]
    }

    /// The revision in a slot of its shape.
    pub(crate) fn at(&self, slot: u8) -> Rev {
        match slot {
            0 => 0,
            n => self.revs()[n as usize - 1],
        }
    }
}

/// A place where one session after another lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) part: Part,
    pub(crate) client: u8,
    pub(crate) watching: bool,
    pub(crate) stopped: bool,
    /// The term in which the application is; 0: in none.
    pub(crate) app: Rev,
}

/// A key of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) value: Value,
    pub(crate) token: Rev,
    pub(crate) created: Rev,
    pub(crate) modified: Rev,
    pub(crate) lease: u8,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Post {
    /// A request on this lane, whose answer is waited for.
    Request(u8),
    /// A request whose answer nobody waits for; the store may yet do it, more than once.
    Stray,
    /// An answer.
    Answer(u8),
    /// What the watch of the role's records, or that of the term record, shows.
    Notice(u8),
}

impl Post {
    const ALL: [Self; 9] = [
        Self::Request(0),
        Self::Request(1),
        Self::Request(2),
        Self::Stray,
        Self::Answer(0),
        Self::Answer(1),
        Self::Answer(2),
        Self::Notice(0),
        Self::Notice(1),
    ];

    fn code(self) -> u8 {
        match self {
            Self::Request(lane) => lane,
            Self::Stray => 3,
            Self::Answer(lane) => 4 + lane,
            Self::Notice(range) => 7 + range,
        }
    }
}

/// A message under way; that of a stray names no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mail {
    pub(crate) post: Post,
    pub(crate) seat: u8,
    pub(crate) part: Part,
}

/// The highest token that was ever acted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Top {
    pub(crate) token: Rev,
    pub(crate) client: u8,
    /// Its term is over.
    pub(crate) over: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) seats: Vec<Seat>,
    pub(crate) cells: [Option<Cell>; KEYS],
    /// Leases that live, as bits.
    pub(crate) leases: u32,
    /// Leases that have ended, as bits.
    pub(crate) ended: u32,
    /// Ticks that each lease has left; kept only where the plan says so.
    pub(crate) left: [u8; STUCK_LEASE as usize + 1],
    pub(crate) mail: Vec<Mail>,
    pub(crate) budget: [u8; FAULTS],
    pub(crate) clients: u8,
    pub(crate) top: Top,
    /// Seats that cannot know of a Milvus coordinator that has lost its key, as bits.
    pub(crate) blind: u8,
    /// Those of which a campaign is under way that was sent so.
    pub(crate) sent_blind: u8,
}

impl State {
    pub(crate) fn lives(&self, lease: u8) -> bool {
        lease == 0 || self.leases & 1 << lease != 0
    }

    /// A revision above all that exist.
    pub(crate) fn next_revision(&self) -> Rev {
        let cells = self.cells.iter().flatten();
        let cells = cells.map(|cell| cell.modified.max(cell.created).max(cell.token));
        let mail = self.mail.iter().map(|mail| &mail.part);
        let parts = self.seats.iter().map(|seat| &seat.part).chain(mail);
        let parts = parts.filter_map(|part| part.revs().last().copied());
        let highest = cells.chain(parts).max().unwrap_or(0).max(self.top.token);
        (highest | 1).checked_add(1).unwrap()
    }

    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        to.push(self.seats.len() as u8);
        for seat in &self.seats {
            let flags = u8::from(seat.watching) | u8::from(seat.stopped) << 1 | seat.client << 2;
            to.extend([flags, seat.app]);
            encode_part(&seat.part, to);
        }
        for cell in &self.cells {
            match cell {
                None => to.push(0),
                Some(cell) => {
                    to.push(cell.lease + 1);
                    to.extend(cell.value.to_le_bytes());
                    to.extend([cell.token, cell.created, cell.modified]);
                }
            }
        }
        to.extend(self.leases.to_le_bytes());
        to.extend(self.ended.to_le_bytes());
        to.extend(self.left);
        to.push(self.mail.len() as u8);
        for mail in &self.mail {
            to.extend([mail.post.code(), mail.seat]);
            encode_part(&mail.part, to);
        }
        to.extend(self.budget);
        to.push(self.clients);
        to.extend([self.top.token, self.top.client, u8::from(self.top.over), self.blind, self.sent_blind]);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let mut from = Reader(bytes);
        let seats = (0..from.byte()).map(|_| {
            let [flags, app] = from.bytes();
            Seat { watching: flags & 1 != 0, stopped: flags & 2 != 0, client: flags >> 2, app, part: from.part() }
        });
        let seats = seats.collect();
        let cells = std::array::from_fn(|_| {
            let lease = from.byte().checked_sub(1)?;
            let value = Value::from_le_bytes(from.bytes());
            let [token, created, modified] = from.bytes();
            Some(Cell { value, token, created, modified, lease })
        });
        let leases = u32::from_le_bytes(from.bytes());
        let ended = u32::from_le_bytes(from.bytes());
        let left = from.bytes();
        let mail = (0..from.byte()).map(|_| {
            let [post, seat] = from.bytes();
            Mail { post: Post::ALL[post as usize], seat, part: from.part() }
        });
        let mail = mail.collect();
        let budget = from.bytes();
        let clients = from.byte();
        let [token, client, over, blind, sent_blind] = from.bytes();
        let top = Top { token, client, over: over != 0 };
        Self { seats, cells, leases, ended, left, mail, budget, clients, top, blind, sent_blind }
    }
}

fn encode_part(part: &Part, to: &mut Vec<u8>) {
    to.extend(part.shape.to_le_bytes());
    to.push(part.len);
    to.extend(part.revs());
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self.0.split_at(N);
        self.0 = rest;
        first.try_into().unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    fn part(&mut self) -> Part {
        let shape = u32::from_le_bytes(self.bytes());
        let len = self.byte() as usize;
        let (revs, rest) = self.0.split_at(len);
        self.0 = rest;
        Part::new(shape, revs.iter().copied())
    }
}
