//! `coordha doctor`: each thing that is wrong is found and named, with what to do.

use serde_json::Value;

use std::process::Command;

use crate::command::ran;
use crate::support::certs::Authority;
use crate::support::etcd::{Etcd, Version};
use crate::world::{Milvus, World, full_etcd};

/// The findings of a check at a level, and the exit code: 5 where any is bad.
pub(crate) fn findings(world: &World, args: &str, check: &str, level: &str) -> (Vec<String>, i32) {
    let (all, code) = world.json(format!("doctor {args}").trim_end());
    let wanted = |finding: &&Value| finding["check"] == check && finding["level"] == level;
    let found = all.as_array().unwrap().iter().filter(wanted);
    let found: Vec<String> = found.map(|finding| finding["text"].as_str().unwrap().to_owned()).collect();
    for finding in all.as_array().unwrap() {
        let is_told = matches!(finding["level"].as_str(), Some("warn" | "bad"));
        assert_eq!(finding["advice"].is_string(), is_told, "{finding:#}");
    }
    let is_bad = all.as_array().unwrap().iter().any(|finding| finding["level"] == "bad");
    assert_eq!(code, if is_bad { 5 } else { 0 }, "{all:#}");
    (found, code)
}

/// Exactly one such finding, with these words.
pub(crate) fn finds(world: &World, check: &str, level: &str, words: &[&str]) {
    let (found, _) = findings(world, "", check, level);
    let hits = found.iter().filter(|text| words.iter().all(|word| text.contains(word))).count();
    assert_eq!(hits, 1, "{check} {level} {words:?} in {found:#?}");
}

#[test]
fn three_healthy_members_are_fine() {
    let etcd = Etcd::builder().members(3).start();
    let world = World::etcd(&etcd);
    let _sessions = [world.active("rootcoord", "127.0.0.1:5001"), world.active("worker", "127.0.0.1:5002")];
    let ran = world.ran("doctor --write");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains(" bad=0 skipped=0"), "{}", ran.stdout);
    assert!(ran.stdout.contains("all agree on member"), "{}", ran.stdout);
    assert!(ran.stdout.contains("the smallest lease is 1 s"), "{}", ran.stdout);
    assert!(ran.stdout.contains("3 members, 3 endpoints"), "{}", ran.stdout);
    // The probe is gone again.
    assert_eq!(etcd.ctl(&["get", "--prefix", "by-dev/meta/ha/.doctor"]), "");
}

#[test]
fn a_member_that_is_down_is_bad() {
    let mut etcd = Etcd::builder().members(3).start();
    let world = World::etcd(&etcd);
    let down = (etcd.leader() + 1) % 3;
    etcd.kill(down);
    finds(&world, "endpoint", "bad", &[&etcd.endpoint(down)]);
}

#[test]
fn the_known_defects_of_an_old_release_are_named() {
    if Command::new("etcd").arg("--version").output().is_err() {
        return crate::support::skip("the_known_defects_of_an_old_release_are_named", "Debian's etcd is not installed");
    }
    let etcd = Etcd::builder().version(Version::V3_4).start();
    let world = World::etcd(&etcd);
    for words in ["etcd#15247", "revoked", "DELETE", "without a password", "250 streams"] {
        finds(&world, "version", "warn", &["3.4.", words]);
    }
    finds(&world, "cluster", "warn", &["1 member"]);
}

#[test]
fn a_store_that_is_full_is_bad() {
    let etcd = full_etcd();
    let world = World::etcd(&etcd);
    finds(&world, "alarms", "bad", &["NOSPACE"]);
    let (found, code) = findings(&world, "--write", "write", "bad");
    assert_eq!((found.len(), code), (1, 5), "{found:?}");
}

#[test]
fn keys_that_cannot_be_read_or_have_no_lease_are_found() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    milvus.raw("id", "30", None);
    milvus.raw("rootcoord-7", "not JSON", Some(&lease));
    milvus.raw("rootcoord-x", "{}", Some(&lease));
    finds(&world, "keys", "bad", &["rootcoord-7", "no JSON object"]);
    finds(&world, "keys", "bad", &["rootcoord-x", "no key of an election"]);
    milvus.raw("rootcoord-8", r#"{"ServerID":9,"Version":"2.4.0"}"#, Some(&lease));
    finds(&world, "keys", "bad", &["rootcoord-8", "of server ID 9, not 8"]);
    milvus.raw("datacoord", r#"{"ServerID":9,"Version":"2.4.0"}"#, None);
    finds(&world, "leases", "bad", &["session/datacoord has no lease"]);
    let other = milvus.lease();
    milvus.put("querycoord-4", "querycoord", 4, "2.4.0", &lease);
    etcd.ctl(&[
        "put",
        "by-dev/meta/session/querycoord-4",
        &value_of(&etcd, "querycoord-4"),
        &format!("--lease={other}"),
    ]);
    finds(&world, "leases", "warn", &["querycoord-4 goes with lease"]);
}

fn value_of(etcd: &Etcd, key: &str) -> String {
    etcd.ctl(&["get", "--print-value-only", &format!("by-dev/meta/session/{key}")]).trim().to_owned()
}

#[test]
fn what_milvus_cannot_live_with_is_found() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    milvus.raw("id", "30", None);
    let _root = world.registered("rootcoord", "127.0.0.1:5001");
    milvus.put("mixcoord-15", "mixcoord", 15, "2.6.8", &lease);
    finds(&world, "roles", "bad", &["session/rootcoord-", "beside a mixcoord"]);
    milvus.delete("mixcoord-15");
    assert!(findings(&world, "", "roles", "bad").0.is_empty());
    let _index = world.registered("indexcoord", "127.0.0.1:5002");
    milvus.put("datacoord", "datacoord", 16, "2.4.3", &lease);
    let (found, _) = findings(&world, "", "roles", "bad");
    assert!(
        found.iter().all(|text| text.contains("indexcoord") && text.contains("2.4.3")) && !found.is_empty(),
        "{found:?}"
    );
    milvus.put("mixcoord-17", "mixcoord", 17, "2.5.0", &lease);
    finds(&world, "versions", "bad", &["mixcoord-17", "2.5.0"]);
    milvus.put("rootcoordx", "rootcoordx", 18, "2.4.0", &lease);
    finds(&world, "names", "warn", &["rootcoordx", "rootcoord"]);
}

#[test]
fn milvuss_own_keys_of_the_old_roles_are_found_beside_a_mixcoord_and_its_copies_are_not() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let [lease, other] = [milvus.lease(), milvus.lease()];
    milvus.raw("id", "80", None);
    milvus.mixcoord(15, &lease);
    assert!(findings(&world, "", "roles", "bad").0.is_empty());
    // Of a process that hangs, and one that was left.
    milvus.put("rootcoord-2", "rootcoord", 2, "2.5.27", &other);
    milvus.raw("querycoord-77", r#"{"ServerID":77,"Address":"10.0.0.77:1","Version":"2.5.27"}"#, None);
    for key in ["session/rootcoord-2", "session/querycoord-77"] {
        finds(&world, "roles", "bad", &[key, "beside a mixcoord"]);
    }
    assert_eq!(findings(&world, "", "roles", "bad").0.len(), 2);
    // Nobody wins, neither it nor ours.
    milvus.delete("mixcoord");
    milvus.ours("mixcoord-16", 16, &other);
    for key in ["rootcoord", "datacoord", "querycoord"] {
        milvus.delete(key);
    }
    finds(&world, "holder", "bad", &["mixcoord: nobody is active. ", "CANNOT WIN: by-dev/meta/session/querycoord-77"]);
}

#[test]
fn all_on_one_host_is_a_warning() {
    let world = World::local();
    let _first = world.active("worker", "127.0.0.1:5001");
    assert!(findings(&world, "", "hosts", "warn").0.is_empty());
    let _second = world.registered("worker", "127.0.0.1:5002");
    finds(&world, "hosts", "warn", &["all 2 sessions of worker"]);
}

#[test]
fn the_spelling_that_milvus_ignores_is_a_warning_and_both_that_differ_are_bad() {
    let world = World::local();
    let _session = world.active("rootcoord", "127.0.0.1:5001");
    let doctor = |text: &str| {
        std::fs::write(world.path().join("milvus.yaml"), text).unwrap();
        ran(&mut world.command("doctor --role rootcoord --config milvus.yaml"))
    };
    let right = doctor("rootCoord:\n  enableActiveStandby: true\n");
    assert_eq!(right.code, 0, "{right:?}");
    assert!(right.stdout.contains("is active-standby") && !right.stdout.contains("warn  config"), "{right:?}");
    let wrong = doctor("rootCoord:\n  activeStandby:\n    enabled: true\n");
    assert_eq!(wrong.code, 0, "{wrong:?}");
    assert!(wrong.stdout.contains("warn  config      milvus.yaml:3: rootCoord.activeStandby.enabled"), "{wrong:?}");
    assert_eq!(wrong.stderr, "", "{wrong:?}");
    let both = doctor("rootCoord:\n  enableActiveStandby: true\n  activeStandby:\n    enabled: false\n");
    assert_eq!(both.code, 5, "{both:?}");
    assert!(both.stdout.contains("bad   config") && both.stdout.contains("Milvus reads the first alone"), "{both:?}");
    let garbage = doctor("rootCoord:\n  enableActiveStandby: yes\n");
    assert_eq!(garbage.code, 2, "{garbage:?}");
    assert!(garbage.stderr.contains("milvus.yaml:2"), "{garbage:?}");
}

#[test]
fn times_that_do_not_suit_are_warnings() {
    let world = World::local();
    let _session = world.active("worker", "127.0.0.1:5001");
    let ran = world.ran("doctor --set election.hold_ms=500 --set deactivation.timeout_ms=60000");
    assert_eq!(ran.code, 0, "{ran:?}");
    for words in ["warn  times", "warn  stop", "terminationGracePeriodSeconds: 64"] {
        assert!(ran.stdout.contains(words), "{words} in {}", ran.stdout);
    }
}

#[test]
fn the_end_of_certificates_is_told() {
    let authority = Authority::new();
    let date = |when: &str| {
        let date = Command::new("date").args(["--utc", "--date", when, "+%Y %m %d"]).output().unwrap();
        let date = String::from_utf8(date.stdout).unwrap();
        let [year, month, day] = [0, 1, 2].map(|index| date.trim().split(' ').nth(index).unwrap().parse().unwrap());
        (year, u8::try_from(month).unwrap(), u8::try_from(day).unwrap())
    };
    let world = World::local();
    let told = |until: (i32, u8, u8)| {
        let pair = authority.client_until(until);
        let mut command = world.command("doctor");
        for (key, path) in [("ca", &authority.cert), ("cert", &pair.cert), ("key", &pair.key)] {
            command.args(["--set", &format!("store.etcd.tls.{key}={}", path.display())]);
        }
        ran(command.args(["--set", "store.etcd.tls.enabled=true"])).stdout
    };
    for (until, line) in [
        ((2020, 1, 31), "bad   certs       store.etcd.tls.cert = "),
        (date("+11 days"), "warn  certs       store.etcd.tls.cert = "),
        (date("+60 days"), "ok    certs       store.etcd.tls.cert = "),
        ((2090, 12, 31), "ok    certs       store.etcd.tls.cert = "),
    ] {
        let told = told(until);
        assert!(told.contains(line), "{line} in {told}");
        assert!(told.contains("ok    certs       store.etcd.tls.ca = "), "{told}");
    }
    assert!(told(date("+11 days")).contains(": ends in 10 d "), "{}", told(date("+11 days")));
}
