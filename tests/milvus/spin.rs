//! What a watching Milvus standby does after a put on the active key that nothing follows: it loops. After ours it must not.

use coordha::config::keys;
use coordha::kv::Revision;

use crate::child::Child;
use crate::peer::Peer;
use crate::place::{Arena, Family, Place, of};
use crate::support::wait::until;

/// The kinds that watch, and the mixed coordinator, which does so next to one of ours.
fn families() -> [Family; 5] {
    ["2.2.3", "2.2.10", "2.4.0", "2.6.6", "2.6.15"].map(of)
}

/// So many campaigns are no spin. etcd serves a watch that begins in the past every 100 ms, so a spin has ten a second;
/// on a busy machine the write that ends one may come 2 s late.
const FEW: i64 = 25;

/// Renewals are 5 s apart, so that they do not end a spin soon.
const HOLD_MS: &str = "20000";

#[test]
fn f52_a_watching_milvus_standby_does_not_spin_after_we_took_over() {
    // Any write to the store ends a spin, so each has a store of its own.
    Place::each_alone("f52", &families(), |arena| {
        let more = [(keys::ELECTION_HOLD_MS, HOLD_MS), (keys::LEASE_TTL_MS, "60000")];
        let mut first = Child::start(arena, 1, &more, |_| {});
        let token = first.active();
        let second = arena.ours_with(2, &more);
        second.sees(first.id(), "127.0.0.1:1");
        let mut peer = Peer::start(arena, 1, &["--active-standby", "--ttl", "60"], |_| {});
        until("its first campaign", || (peer.campaigns() > 0).then_some(()));
        // One who leaves in order revokes its lease after the next one has begun: that would be a later write.
        first.kill();
        let token = second.active_after(token);
        renewed_twice(arena, token);
        let campaigns = peer.campaigns();
        assert!(campaigns < FEW, "{campaigns} campaigns");
        second.stop();
        peer.active();
        peer.stop();
    });
}

/// Waits until our holder has renewed its term twice.
fn renewed_twice(arena: &Arena<'_>, token: Revision) {
    let key = format!("{}/ha/{}/term", arena.root, arena.role);
    let renewals = || {
        let record: serde_json::Value = serde_json::from_str(&arena.value(&key)?).ok()?;
        assert!(record["Token"].as_i64()? <= token);
        record["Renewals"].as_u64()
    };
    let before = until("the term record", renewals);
    until("two renewals", || renewals().filter(|now| *now >= before + 2));
}

#[test]
fn a_put_that_nothing_follows_makes_a_watching_milvus_standby_spin() {
    let Some(place) = Place::start("a put that nothing follows") else { return };
    // One after the other: any write to the store ends the spin of another one.
    // A mixed coordinator of 2.6.8 or later watches next to one of ours alone.
    for family in families().into_iter().filter(|family| family.release != "2.6.15") {
        let arena = place.arena(family);
        let mut peer = arena.peer(1);
        peer.active();
        let mut standby = arena.peer(2);
        standby.lines.nth("standby", 1);
        let record = arena.value(&arena.active_key()).unwrap();
        arena.etcd.ctl(&["put", &arena.active_key(), &record]);
        until("a spin", || (standby.campaigns() >= 2 * FEW).then_some(()));
        peer.campaigns();
        for peer in [peer, standby] {
            let lease = peer.lease();
            peer.kill();
            arena.revoke(&lease);
        }
    }
}
