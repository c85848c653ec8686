//! Each side reads what the other one writes.

use std::collections::BTreeSet;

use coordha::session::EventKind;

use crate::peer::address;
use crate::place::{FAMILIES, Place, of};

#[test]
fn f45_milvus_lists_our_records_and_we_know_a_milvus_holder() {
    let Some(place) = Place::start("f45, records") else { return };
    place.each(&FAMILIES, |arena| {
        let peer = arena.peer(1);
        let revision = peer.active();
        let ours = arena.ours(7);
        ours.nth(EventKind::Standby, 1);
        assert_eq!(ours.sees(peer.id(), &address(1)), revision);
        let listed = arena.listed().unwrap();
        let names: Vec<_> = listed.iter().map(|(name, _)| name.as_str()).collect();
        let member = |id| format!("{}-{id}", arena.role);
        assert_eq!(names, [arena.role, member(peer.id()).as_str(), member(ours.id()).as_str()]);
        let record = &listed[2].1;
        assert_eq!(record["ServerID"], ours.id());
        assert_eq!(record["ServerName"], arena.role);
        assert_eq!(record["Address"], "127.0.0.1:7");
        assert_eq!(record["Exclusive"], true);
        let version = semver::Version::parse(record["Version"].as_str().unwrap()).unwrap();
        let least = if arena.role == "mixcoord" { "2.6.0-dev" } else { "2.2.3" };
        assert!(version >= semver::Version::parse(least).unwrap(), "{version}");
        // As the holder too.
        peer.stop();
        ours.active_after(revision);
        let listed = arena.listed().unwrap();
        assert_eq!(listed[0].0, arena.role);
        assert_eq!(listed[0].1, listed[1].1);
        ours.stop();
    });
}

#[test]
fn server_ids_are_unique_between_both() {
    let Some(place) = Place::start("server IDs") else { return };
    place.each(&FAMILIES, |arena| {
        let peers: Vec<_> = (1..5).map(|number| arena.peer(number)).collect();
        let ours: Vec<_> = (1..5).map(|number| arena.ours(number)).collect();
        let ids: BTreeSet<_> = peers.iter().map(|peer| peer.id()).chain(ours.iter().map(|ours| ours.id())).collect();
        assert_eq!(ids.len(), 8, "{ids:?}");
        let next: i64 = arena.value(&arena.key("id")).unwrap().parse().unwrap();
        assert!(ids.iter().all(|id| (1..next).contains(id)), "{ids:?}, next {next}");
    });
}

#[test]
fn a_record_that_milvus_cannot_decode_breaks_its_listing_and_not_ours() {
    let Some(place) = Place::start("records that do not decode") else { return };
    let arena = place.arena(of("2.4.0"));
    let first = arena.ours(1);
    let token = first.active_after(0);
    let second = arena.ours(2);
    assert_eq!(second.sees(first.id(), "127.0.0.1:1"), token);
    for garbage in ["12", r#"{"ServerID":"15"}"#, r#"{"Version":"v2.4.0"}"#] {
        arena.etcd.ctl(&["put", &arena.member_key(99), garbage]);
        arena.listed().unwrap_err();
    }
    second.nth(EventKind::Foreign, 1);
    first.stop();
    assert!(second.active_after(token) > token);
    second.stop();
}
