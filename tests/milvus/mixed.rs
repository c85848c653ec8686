//! Three of ours and two of Milvus's in one election, through a sequence of ends.

use std::sync::{Arc, Mutex};

use rustix::process::Signal;

use crate::child::Child;
use crate::peer::Peer;
use crate::place::{Arena, Place, of};
use crate::support::wait::until;

/// Who became active and who ceased to be, in the order in which it was told.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<(usize, bool)>>>);

impl Journal {
    fn write(&self, actor: usize, active: bool) {
        self.0.lock().unwrap().push((actor, active));
    }

    /// What a line of an actor says.
    fn reader(&self, actor: usize) -> impl Fn(&str) + Send + 'static {
        let journal = self.clone();
        move |line| match line.split(' ').next().unwrap() {
            "ACTIVE" | "active" => journal.write(actor, true),
            "TERM_ENDED" | "lost" | "exit" => journal.write(actor, false),
            _ => {}
        }
    }

    /// Who is active now. Never are two.
    fn active(&self) -> Option<usize> {
        let journal = self.0.lock().unwrap();
        let mut holder = None;
        for (actor, active) in journal.iter().copied() {
            if active {
                assert!(holder.is_none_or(|holder| holder == actor), "two at once: {journal:?}");
                holder = Some(actor);
            } else if holder == Some(actor) {
                holder = None;
            }
        }
        holder
    }
}

enum Actor {
    Ours(Child),
    Milvus(Peer),
}

impl Actor {
    fn id(&self) -> i64 {
        match self {
            Self::Ours(child) => child.id(),
            Self::Milvus(peer) => peer.id(),
        }
    }

    fn kill(self) {
        match self {
            Self::Ours(mut child) => child.kill(),
            Self::Milvus(peer) => peer.kill(),
        }
    }

    fn leave(&self) {
        match self {
            Self::Ours(child) => child.leave(),
            Self::Milvus(peer) => peer.signal(Signal::TERM),
        }
    }
}

fn start(arena: &Arena<'_>, journal: &Journal) -> Vec<Option<Actor>> {
    (0..5)
        .map(|actor: usize| {
            let number = u16::try_from(actor).unwrap() + 1;
            let each = journal.reader(actor);
            let actor = if [0, 2, 4].contains(&actor) {
                Actor::Ours(Child::start(arena, number, &[], each))
            } else {
                Actor::Milvus(Peer::start(arena, number, &["--active-standby"], each))
            };
            actor.id();
            Some(actor)
        })
        .collect()
}

#[test]
fn f45_five_of_both_kinds_are_active_one_at_a_time_through_all_their_ends() {
    let Some(place) = Place::start("f45, five") else { return };
    let families = ["2.2.3", "2.4.0", "2.6.7", "2.6.15"].map(of);
    place.each(&families, |arena| {
        let journal = Journal::default();
        let mut actors = start(arena, &journal);
        let mut left = Vec::new();
        for end in 0..4 {
            let active = until("one active", || journal.active());
            let actor = actors[active].take().expect("an end is an end");
            assert_eq!(until("the holder's record", || arena.holder()), actor.id());
            // From here on another one may begin.
            journal.write(active, false);
            if end == 0 || end == 2 {
                actor.kill();
            } else {
                actor.leave();
                left.push(actor);
            }
        }
        let last = until("one active", || journal.active());
        let actor = actors[last].take().unwrap();
        assert!(actors.iter().all(Option::is_none));
        assert_eq!(arena.holder(), Some(actor.id()));
    });
}
