//! Sessions that do not stand by.

use coordha::election::{Role, Settings};

use crate::world::{MS, World, settings};

#[test]
fn an_exclusive_wait_may_be_made_longer_by_its_floor_and_never_shorter() {
    // By itself it is the holder's time to live and 5 s.
    for (floor, wait) in [(1000 * MS, 15_000 * MS), (40_000 * MS, 40_000 * MS)] {
        let mut world = World::new();
        let exclusive = |n| Settings { active_standby: false, exclusive_wait_floor: floor, ..settings(n) };
        let a = world.start(exclusive(1));
        world.until("active", |w| w.holds(a));
        let b = world.start(exclusive(2));
        let took = world.until("ended", |w| w.status(b).role == Role::Ended);
        assert!((wait..wait + 1000 * MS).contains(&took), "{took:?} with {floor:?}");
    }
}
