//! A store that answers reads and refuses writes, as where it has no space left or the user may only read.

use coordha::election::{Event, Role, StoreRequest};
use coordha::kv::Op;

use super::world::{Fate, MS, World, settings};

#[test]
fn a_store_that_takes_no_writes_is_told_of_once_and_asked_ever_less_often() {
    let mut world = World::new();
    world.fate = Box::new(|_, request| match request {
        StoreRequest::Txn(txn) if txn.success.iter().any(|op| matches!(op, Op::Put { .. })) => Fate::NoSpace,
        _ => Fate::Answer,
    });
    let a = world.start(settings(1));
    world.pass(20_000 * MS);
    let node = &world.nodes[a];
    let told = node.log.iter().filter(|event| matches!(event, Event::Degraded(_) | Event::Recovered)).count();
    assert!(told == 1 && node.sent.len() < 60, "{told} times, {} requests", node.sent.len());
    world.fate = Box::new(|_, _| Fate::Answer);
    world.until("active", |w| w.status(a).role == Role::Active);
    assert!(world.nodes[a].log.iter().any(|event| matches!(event, Event::Recovered)));
}
