//! `coordha doctor` of roles that nobody holds, and of holders of which it cannot be known that they live.

use std::process::Stdio;

use crate::doctor::{findings, finds};
use crate::support::etcd::Etcd;
use crate::support::wait::until;
use crate::world::{Milvus, World};

fn has_none(world: &World, args: &str) {
    for level in ["warn", "bad"] {
        let (found, _) = findings(world, args, "holder", level);
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn a_milvus_holder_without_a_member_key_is_a_warning() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    milvus.put("rootcoord", "rootcoord", 15, "2.4.0", &lease);
    finds(&world, "holder", "warn", &["session/rootcoord: the Milvus holder (server ID 15) has no member key"]);
    milvus.put("rootcoord-15", "rootcoord", 15, "2.4.0", &lease);
    has_none(&world, "");
    // Copies have none, and need none.
    let etcd = Etcd::start();
    let world = World::etcd(&etcd);
    Milvus(&etcd).mixcoord(15, &Milvus(&etcd).lease());
    has_none(&world, "");
    has_none(&world, "--role rootcoord");
}

#[test]
fn a_role_that_is_kept_free_by_a_registered_milvus_process_is_bad() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    milvus.raw("id", "16", None);
    milvus.put("rootcoord-15", "rootcoord", 15, "2.6.7", &lease);
    milvus.put("rootcoord", "rootcoord", 15, "2.6.7", &lease);
    let ours = world.registered("rootcoord", "127.0.0.1:5001");
    has_none(&world, "");
    milvus.delete("rootcoord");
    let waits =
        "127.0.0.1:5001 (server ID 16, coordha) has to wait: Milvus's server ID 15 (10.0.0.15:53100) is registered";
    let words = ["rootcoord: nobody is active. ", waits, "10.0.0.15:53100 (server ID 15, milvus) could win, perhaps: "];
    finds(&world, "holder", "bad", &words);
    let told = world.ran("doctor --role rootcoord").stdout;
    let advice =
        "restart that Milvus process; or, where nothing of it acts any more, revoke its lease: etcdctl lease revoke";
    assert!(told.contains(&format!("-> {advice} {lease} (server ID 15)")), "{told}");
    // As it says.
    etcd.ctl(&["lease", "revoke", &lease]);
    until("ours is active", || ours.is_active().then_some(()));
    has_none(&world, "");
}

#[test]
fn a_mixcoord_whose_copies_are_left_is_the_one_to_end() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    milvus.mixcoord(15, &lease);
    milvus.put("mixcoord-16", "mixcoord", 16, "2.6.15", &milvus.lease());
    milvus.delete("mixcoord");
    let told = world.ran("doctor").stdout;
    let line = told.lines().find(|line| line.contains("revoke its lease: ")).unwrap_or_else(|| panic!("{told}"));
    assert!(line.ends_with(&format!("revoke its lease: etcdctl lease revoke {lease} (server ID 15)")), "{line}");
}

#[test]
fn who_waits_for_time_alone_is_a_warning() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    milvus.ours("worker-7", 7, &milvus.lease());
    finds(&world, "holder", "warn", &["worker: nobody is active. 10.0.0.7:1 (server ID 7, coordha) has to wait"]);
    assert!(findings(&world, "", "holder", "bad").0.is_empty());
}

#[test]
fn a_role_that_is_taken_while_the_doctor_looks_is_well() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    milvus.ours("worker-7", 7, &lease);
    let mut doctor = world.command("doctor --set store.request_timeout_ms=60000");
    let doctor = doctor.stdout(Stdio::piped()).spawn().unwrap();
    // It reads, and watches only then.
    let watchers = || etcd.metric(0, "etcd_debugging_mvcc_watcher_total");
    until("the doctor watches", || watchers().filter(|number| *number > 0.0));
    milvus.ours("worker", 7, &lease);
    let output = doctor.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("doctor ok=") && !told.contains("holder"), "{told}");
}

#[test]
fn of_an_active_key_that_was_written_over_it_is_said_that_a_milvus_process_may_still_act() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    milvus.put("rootcoord-15", "rootcoord", 15, "2.3.1", &lease);
    milvus.raw("rootcoord", "not JSON", None);
    let ran = world.ran("doctor");
    assert_eq!(ran.code, 5, "{ran:?}");
    let advice = "and may still act. End that first (server ID 15 is registered), then delete the key";
    for words in
        ["bad   keys        by-dev/meta/session/rootcoord: no JSON", advice, "bad   holder      rootcoord: nobody"]
    {
        assert!(ran.stdout.contains(words), "{words} in {}", ran.stdout);
    }
}
