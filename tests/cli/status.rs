//! `coordha status`: who is active, who stands by, and whether each could win.

use serde_json::Value;

use crate::command::PATIENCE;
use crate::support::etcd::Etcd;
use crate::support::wait::until;
use crate::world::{Milvus, World};

/// The one role, once the command says so.
fn role(world: &World, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    until("status says it", || {
        let (status, _) = world.json(&format!("status --role {name}"));
        let role = status["roles"][0].clone();
        is_so(&role).then_some(role)
    })
}

fn standby<'a>(role: &'a Value, address: &str) -> &'a Value {
    let all = role["standbys"].as_array().unwrap();
    all.iter().find(|standby| standby["address"] == address).unwrap_or_else(|| panic!("{address} in {role:#}"))
}

#[test]
fn it_names_the_active_one_and_each_standby_with_its_rank() {
    let etcd = Etcd::start();
    for world in [World::local(), World::etcd(&etcd)] {
        let first = world.active("rootcoord", "127.0.0.1:5001");
        let _second = world.registered("rootcoord", "127.0.0.1:5002");
        let _third = world.registered("rootcoord", "127.0.0.1:5003");
        let seen = role(&world, "rootcoord", |role| !role["active"].is_null());
        assert_eq!(seen["active"]["address"], "127.0.0.1:5001", "{seen:#}");
        assert_eq!(seen["active"]["kind"], "coordha");
        assert_eq!(seen["active"]["mod_revision"], first.fencing_token());
        assert_eq!(seen["active"]["server_id"], first.server_id());
        assert_eq!((&seen["term"]["tenure"], &seen["term"]["is_current"]), (&"held".into(), &true.into()));
        assert_eq!(seen["standbys"].as_array().unwrap().len(), 2, "{seen:#}");
        for (address, rank) in [("127.0.0.1:5002", 0), ("127.0.0.1:5003", 1)] {
            let standby = standby(&seen, address);
            assert_eq!((&standby["rank"], &standby["chance"]["standing"]), (&rank.into(), &"ready".into()), "{seen:#}");
        }
        let text = world.ran("status");
        assert_eq!(text.code, 0, "{text:?}");
        assert!(!text.stdout.contains("coordha doctor"), "{}", text.stdout);
        for words in [
            "active    127.0.0.1:5001, server ID",
            "rank 1",
            "could win: when the role is released at once, else 6.25 s",
        ] {
            assert!(text.stdout.contains(words), "{words} in {}", text.stdout);
        }
        first.stop(Some(PATIENCE)).unwrap();
        // Rank 0 as a rule, but one that gets no core in its turn is overtaken.
        let heirs = ["127.0.0.1:5002", "127.0.0.1:5003"];
        role(&world, "rootcoord", |role| heirs.iter().any(|heir| role["active"]["address"] == *heir));
    }
}

#[test]
fn without_a_role_it_shows_all_roles_and_with_one_that_alone() {
    let world = World::local();
    let _sessions = [world.active("rootcoord", "127.0.0.1:5001"), world.active("worker", "127.0.0.1:5002")];
    let names = |args: &str| -> Vec<String> {
        let (status, code) = world.json(args);
        assert_eq!(code, 0);
        status["roles"].as_array().unwrap().iter().map(|role| role["role"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("status"), ["rootcoord", "worker"]);
    assert_eq!(names("status --role worker"), ["worker"]);
}

#[test]
fn nobody_active_is_exit_code_4() {
    let etcd = Etcd::start();
    let world = World::etcd(&etcd);
    let ran = world.ran("status");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stdout.contains("no role below this root"), "{ran:?}");
    let ran = world.ran("status --role rootcoord");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stdout.contains("nobody; no session is registered"), "{ran:?}");
}

#[test]
fn what_is_left_of_the_hold_time_is_seen_by_waiting_for_a_renewal() {
    let world = World::local();
    let _session = world.active("rootcoord", "127.0.0.1:5001");
    let (status, _) = world.json("status");
    assert!(status["roles"][0]["hold_left_ms"].is_null(), "{status:#}");
    // On a busy machine a renewal can be late.
    let left = until("a renewal was seen", || world.json("status --wait").0["roles"][0]["hold_left_ms"].as_u64());
    assert!(left <= 5000, "{left}");
}

#[test]
fn behind_a_milvus_holder_a_standby_goes_by_its_lease() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    milvus.raw("id", "16", None);
    milvus.put("rootcoord-15", "rootcoord", 15, "2.4.0", &lease);
    milvus.put("rootcoord", "rootcoord", 15, "2.4.0", &lease);
    let _session = world.registered("rootcoord", "127.0.0.1:5001");
    let seen = role(&world, "rootcoord", |role| role["standbys"].as_array().is_some_and(|all| !all.is_empty()));
    assert_eq!((&seen["active"]["kind"], &seen["active"]["host_name"]), (&"milvus".into(), &"h15".into()), "{seen:#}");
    let standby = standby(&seen, "127.0.0.1:5001");
    assert_eq!(standby["chance"]["standing"], "ready");
    assert!(standby["chance"]["why"].as_str().unwrap().contains("of 60 s left"), "{standby:#}");
    let text = world.ran("status");
    assert!(text.stdout.contains("since when is not known: there is no term record of Milvus"), "{}", text.stdout);
    // Its key alone is deleted: it may still act.
    milvus.delete("rootcoord");
    let (status, _) = world.json("status");
    let role = &status["roles"][0];
    if role["active"].is_null() {
        let standby = self::standby(role, "127.0.0.1:5001");
        assert_eq!(standby["chance"]["standing"], "waits", "{role:#}");
    }
}

#[test]
fn what_the_store_does_not_tell_is_said_so() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    world.active("rootcoord", "127.0.0.1:5001").stop(Some(PATIENCE)).unwrap();
    // A standby, whose lease is long enough for this test.
    milvus.ours("rootcoord-30", 30, &milvus.lease());
    let standing = |args: &str| {
        let (status, _) = world.json(&format!("status --role rootcoord {args}"));
        standby(&status["roles"][0], "10.0.0.30:1")["chance"].clone()
    };
    assert_eq!(standing("")["standing"], "now");
    let delayed = standing("--set election.milvus_takeover_delay_ms=31000");
    assert_eq!(delayed["standing"], "perhaps", "{delayed}");
    assert!(delayed["why"].as_str().unwrap().contains("for 31 s"), "{delayed}");
    milvus.put("rootcoord-31", "rootcoord", 31, "2.4.0", &milvus.lease());
    assert_eq!(standing("")["standing"], "perhaps");
    // Nor whether Milvus's own standby has held the role, or hangs: either way it does not take it.
    let seen = role(&world, "rootcoord", |_| true);
    assert_eq!(standby(&seen, "10.0.0.31:53100")["chance"]["standing"], "perhaps", "{seen:#}");
    let text = world.ran("status").stdout;
    assert!(
        text.contains("could win, perhaps: it tries a free role at once, unless it has held it or hangs"),
        "{text}"
    );
    assert!(text.contains("coordha doctor"), "{text}");
    assert!(text.contains("could win, perhaps: Milvus's server ID 31 (10.0.0.31:53100) is registered"), "{text}");
}

#[test]
fn an_active_key_that_cannot_be_read_blocks_the_standbys() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    milvus.raw("rootcoord", "not JSON", Some(&lease));
    let _session = world.registered("rootcoord", "127.0.0.1:5001");
    let seen = role(&world, "rootcoord", |role| role["standbys"].as_array().is_some_and(|all| !all.is_empty()));
    let standby = standby(&seen, "127.0.0.1:5001");
    assert_eq!(standby["chance"]["standing"], "blocked", "{seen:#}");
    assert_eq!(seen["strangers"][0]["key"], "by-dev/meta/session/rootcoord");
    let ran = world.ran("status --role rootcoord");
    assert_eq!(ran.code, 4);
    assert!(ran.stdout.contains("coordha doctor"), "{}", ran.stdout);
}

#[test]
fn a_key_of_an_old_role_blocks_a_mixcoord() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    milvus.put("mixcoord-15", "mixcoord", 15, "2.6.0", &lease);
    milvus.put("rootcoord", "rootcoord", 14, "2.5.0", &lease);
    let seen = role(&world, "mixcoord", |_| true);
    let standby = standby(&seen, "10.0.0.15:53100");
    assert_eq!(standby["chance"]["standing"], "blocked", "{seen:#}");
    assert!(standby["chance"]["why"].as_str().unwrap().contains("by-dev/meta/session/rootcoord"), "{standby:#}");
}

#[test]
fn what_milvus_lists_below_the_old_roles_blocks_its_mixcoord_alone() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    milvus.put("mixcoord-15", "mixcoord", 15, "2.6.15", &milvus.lease());
    milvus.ours("mixcoord-16", 16, &milvus.lease());
    milvus.put("rootcoord-2", "rootcoord", 2, "2.5.27", &milvus.lease());
    let chance = |address: &str| standby(&role(&world, "mixcoord", |_| true), address)["chance"].clone();
    let (theirs, ours) = (chance("10.0.0.15:53100"), chance("10.0.0.16:1"));
    assert_eq!(theirs["standing"], "blocked", "{theirs:#}");
    assert!(theirs["why"].as_str().unwrap().contains("by-dev/meta/session/rootcoord-2"), "{theirs:#}");
    assert_eq!(ours["standing"], "waits", "{ours:#}");
    milvus.delete("rootcoord-2");
    assert_eq!(chance("10.0.0.15:53100")["standing"], "perhaps");
}

#[test]
fn the_copies_of_a_mixcoord_that_has_lost_its_active_key_alone_show_that_it_may_still_act() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    milvus.mixcoord(15, &milvus.lease());
    milvus.put("mixcoord-16", "mixcoord", 16, "2.6.15", &milvus.lease());
    milvus.ours("mixcoord-17", 17, &milvus.lease());
    let standings = || {
        let role = role(&world, "mixcoord", |_| true);
        ["10.0.0.15:53100", "10.0.0.16:53100", "10.0.0.17:1"].map(|address| standby(&role, address)["chance"].clone())
    };
    milvus.delete("mixcoord");
    let [holder, milvuss, ours] = standings();
    assert_eq!(holder["standing"], "blocked", "{holder:#}");
    assert!(holder["why"].as_str().unwrap().contains("it has held the role: it may still act"), "{holder:#}");
    for waits in [milvuss, ours] {
        assert_eq!(waits["standing"], "waits", "{waits:#}");
        let why = waits["why"].as_str().unwrap();
        assert!(why.contains("server ID 15 (10.0.0.15:53100)") && why.ends_with("until its member key goes"), "{why}");
    }
    // They are no roles that anybody holds.
    let (status, code) = world.json("status");
    let names: Vec<_> = status["roles"].as_array().unwrap().iter().map(|role| role["role"].clone()).collect();
    assert_eq!((names, code), (vec!["mixcoord".into()], 4), "{status:#}");
}

#[test]
fn looking_writes_nothing() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    milvus.raw("id", "7", None);
    let revision = || world.json("status").0["revision"].as_i64().unwrap();
    let before = revision();
    for args in ["status --wait", "ids", "doctor", "observe --once --role rootcoord"] {
        world.ran(args);
    }
    assert_eq!(revision(), before);
    let world = World::local();
    for args in ["status", "ids", "observe --role rootcoord", "watch"] {
        let ran = world.ran(args);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.stderr.contains("there is no store"), "{ran:?}");
    }
    assert!(!world.path().join("store").exists());
}

#[test]
fn a_member_that_is_down_is_named_and_the_rest_is_shown() {
    let mut etcd = Etcd::builder().members(3).start();
    let world = World::etcd(&etcd);
    let _session = world.active("rootcoord", "127.0.0.1:5001");
    let down = (etcd.leader() + 1) % 3;
    etcd.kill(down);
    let ran = world.ran("status");
    assert_eq!(ran.code, 0, "{ran:?}");
    let line = ran.stdout.lines().find(|line| line.contains(&etcd.endpoint(down)) && line.contains("DOWN"));
    assert!(line.is_some(), "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().filter(|line| line.contains("answered in")).count(), 2, "{}", ran.stdout);
}
