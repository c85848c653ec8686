//! A store that answers reads and refuses writes, as where it has no space left or the user may only read.

use coordha::election::{Event, Request, Role, StoreRequest};
use coordha::kv::Op;

use super::world::{Fate, MS, World, settings};

fn writes(request: &StoreRequest) -> bool {
    matches!(request, StoreRequest::Txn(txn) if txn.success.iter().any(|op| matches!(op, Op::Put { .. })))
}

/// How often the node has told of trouble with the store, and of its end.
fn told(world: &World, node: usize) -> (usize, usize) {
    let count = |is: fn(&Event) -> bool| world.nodes[node].log.iter().filter(|event| is(event)).count();
    (count(|event| matches!(event, Event::Degraded(_))), count(|event| matches!(event, Event::Recovered)))
}

#[test]
fn a_store_that_takes_no_writes_is_told_of_once_and_asked_ever_less_often() {
    let mut world = World::new();
    world.fate = Box::new(|_, request| if writes(request) { Fate::NoSpace } else { Fate::Answer });
    let a = world.start(settings(1));
    world.pass(20_000 * MS);
    let sent = world.nodes[a].sent.len();
    assert!(told(&world, a) == (1, 0) && sent < 60, "{:?}, {sent} requests", told(&world, a));
    world.fate = Box::new(|_, _| Fate::Answer);
    world.until("active", |w| w.status(a).role == Role::Active);
    assert_eq!(told(&world, a), (1, 1));
}

#[test]
fn a_store_that_takes_no_more_writes_is_told_of_once_until_it_takes_one() {
    let mut world = World::new();
    let a = world.start(settings(1));
    world.until("active", |w| w.status(a).role == Role::Active);
    world.fate = Box::new(|_, request| if writes(request) { Fate::NoSpace } else { Fate::Answer });
    world.pass(60_000 * MS);
    assert!(!world.holds(a));
    assert_eq!(told(&world, a), (1, 0));
    world.fate = Box::new(|_, _| Fate::Answer);
    world.until("active", |w| w.status(a).role == Role::Active);
    assert_eq!(told(&world, a), (1, 1));
}

#[test]
fn a_refused_write_that_nobody_wants_any_more_is_no_trouble() {
    let mut world = World::new();
    let a = world.start(settings(1));
    world.until("active", |w| w.status(a).role == Role::Active);
    let b = world.start(settings(2));
    world.until("standby", |w| w.status(b).role == Role::Standby);
    world.fate = Box::new(move |node, request| if node == b && writes(request) { Fate::NoSpace } else { Fate::Answer });
    world.ask(a, Request::Stop).unwrap();
    world.until("trouble", |w| told(w, b) == (1, 0));
    let c = world.start(settings(3));
    world.until("active", |w| w.status(c).role == Role::Active);
    world.until("the end of the trouble", |w| told(w, b) == (1, 1));
    world.pass(20_000 * MS);
    assert_eq!(told(&world, b), (1, 1));
}
