//! One member of etcd hangs: it takes connections and answers nothing, while the others have a quorum.

use rustix::process::Signal;

use crate::stream::Stream;
use crate::support::etcd::Etcd;
use crate::support::wait::until;
use crate::world::{Milvus, World};

/// Three members, of which the first, which clients ask first, follows; and a role that Milvus holds.
fn three() -> (Etcd, World, String) {
    let etcd = Etcd::builder().members(3).start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    if etcd.leader() == 0 {
        etcd.pause(0);
        etcd.leader_other_than(0);
        etcd.resume(0);
    }
    let lease = milvus.lease();
    milvus.raw("id", "30", None);
    milvus.put("rootcoord", "rootcoord", 15, "2.4.0", &lease);
    (etcd, world, lease)
}

#[test]
fn all_that_looks_asks_the_next_member() {
    let (etcd, world, _) = three();
    pause(&etcd, 0);
    // Long enough for a busy machine; a share of it is not.
    let limit = "--role rootcoord --set store.request_timeout_ms=15000";
    for look in ["status", "observe --once", "ids"] {
        let ran = world.ran(&format!("{look} {limit}"));
        assert_eq!(ran.code, 0, "{look}: {ran:?}");
        assert!(ran.stdout.contains("10.0.0.15:53100"), "{look}: {ran:?}");
    }
    for look in ["observe", "watch --log"] {
        let mut look = Stream::start(&mut world.command(&format!("{look} {limit}")));
        look.line(&["10.0.0.15:53100 (server ID 15"]);
        assert_eq!(look.end(Signal::TERM), Some(0));
    }
    etcd.resume(0);
}

#[test]
fn doctor_says_that_one_member_is_silent_and_nothing_else() {
    let (etcd, world, _) = three();
    pause(&etcd, 0);
    let (findings, code) = world.json("doctor --write --set store.request_timeout_ms=9000");
    let bad: Vec<_> = findings.as_array().unwrap().iter().filter(|finding| finding["level"] == "bad").collect();
    assert_eq!((bad.len(), code), (1, 5), "{findings:#}");
    assert_eq!(bad[0]["check"], "endpoint", "{findings:#}");
    assert!(bad[0]["text"].as_str().unwrap().starts_with(&etcd.endpoint(0)), "{findings:#}");
    assert!(bad[0]["advice"].as_str().unwrap().contains("others answer"), "{findings:#}");
    etcd.resume(0);
}

#[test]
fn where_none_answers_all_are_named() {
    let etcd = Etcd::builder().members(3).start();
    (0..3).for_each(|member| etcd.pause(member));
    let ran = World::etcd(&etcd).ran("status --set store.request_timeout_ms=6000");
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{ran:?}");
    for endpoint in etcd.endpoints() {
        assert!(ran.stderr.contains(&format!("{endpoint}: no answer within")), "{ran:?}");
    }
    (0..3).for_each(|member| etcd.resume(member));
}

/// The member, by index, at which a watch stands; on a machine that was busy it need not be the first.
fn watched(etcd: &Etcd, other_than: Option<usize>) -> usize {
    until("a watch stands", || {
        (0..3).filter(|member| Some(*member) != other_than).find(|member| {
            let watches = etcd.metric(*member, "etcd_debugging_mvcc_watcher_total");
            watches >= Some(1.0)
        })
    })
}

/// Pauses a member, and waits until the others have a leader.
fn pause(etcd: &Etcd, member: usize) {
    etcd.pause(member);
    etcd.leader_other_than(member);
}

/// Writes through the members that are not paused.
fn ctl(etcd: &Etcd, paused: usize, arguments: &[&str]) {
    let mut others = etcd.endpoints();
    others.remove(paused);
    let arguments = [&["--command-timeout=60s", "--dial-timeout=60s"][..], arguments].concat();
    // The new leader may need longer than etcd lets a request wait.
    until("it is written", || etcd.ctl_command(&others, &arguments).output().unwrap().status.success().then_some(()));
}

/// Has another one become active.
fn takes(etcd: &Etcd, paused: usize, id: i64, lease: &str) {
    let key = "by-dev/meta/session/rootcoord";
    let record = format!(r#"{{"ServerID":{id},"Address":"10.0.0.{id}:53100","Version":"2.4.0"}}"#);
    ctl(etcd, paused, &["del", key]);
    ctl(etcd, paused, &["put", key, &record, &format!("--lease={lease}")]);
}

#[test]
fn a_watch_goes_on_at_the_next_member_and_tells_all_that_came_meanwhile() {
    let (etcd, world, lease) = three();
    let mut watch = Stream::start(&mut world.command("watch --log --set store.request_timeout_ms=15000"));
    watch.line(&["server ID 15", "is active"]);
    let paused = watched(&etcd, None);
    pause(&etcd, paused);
    takes(&etcd, paused, 16, &lease);
    takes(&etcd, paused, 17, &lease);
    watch.line(&["server ID 15", "nobody is active"]);
    watch.line(&["server ID 16", "is active"]);
    watch.line(&["server ID 16", "nobody is active"]);
    watch.line(&["server ID 17", "is active"]);
    etcd.resume(paused);
}

#[test]
fn an_observer_leaves_a_member_whose_read_fails_and_not_only_a_dead_connection() {
    let (etcd, world, lease) = three();
    let mut command = world.command("observe --role rootcoord --set election.reread_ms=200");
    for key in ["keepalive_ms", "keepalive_timeout_ms"] {
        command.args(["--set", &format!("store.etcd.{key}=60000")]);
    }
    let mut observe = Stream::start(&mut command);
    observe.line(&["server ID 15"]);
    let paused = watched(&etcd, None);
    pause(&etcd, paused);
    watched(&etcd, Some(paused));
    takes(&etcd, paused, 16, &lease);
    observe.line(&["server ID 16"]);
    etcd.resume(paused);
}
