//! `coordha ids`: the counter, and every session.

use crate::support::etcd::Etcd;
use crate::world::{Milvus, World};

#[test]
fn the_counter_and_every_session_are_shown_by_id() {
    let world = World::local();
    let _sessions = [world.active("rootcoord", "127.0.0.1:5001"), world.active("worker", "127.0.0.1:5002")];
    let (ids, code) = world.json("ids");
    assert_eq!(
        (code, &ids["counter"]["next"], &ids["problems"]),
        (0, &3.into(), &Vec::<String>::new().into()),
        "{ids:#}"
    );
    let sessions = ids["sessions"].as_array().unwrap();
    let row = |session: &serde_json::Value| {
        let text = |name: &str| session[name].as_str().unwrap().to_owned();
        (session["server_id"].as_i64().unwrap(), text("role"), session["is_active"].as_bool().unwrap())
    };
    let rows: Vec<_> = sessions.iter().map(row).collect();
    let want = [(1, "rootcoord", false), (1, "rootcoord", true), (2, "worker", false), (2, "worker", true)];
    assert_eq!(rows, want.map(|(id, role, active)| (id, role.to_owned(), active)), "{ids:#}");
    let (ids, _) = world.json("ids --role worker");
    assert_eq!(ids["sessions"].as_array().unwrap().len(), 2, "{ids:#}");
    let text = world.ran("ids").stdout;
    assert!(text.contains("next server ID 3"), "{text}");
}

#[test]
fn garbage_in_the_counter_and_ids_that_are_given_twice_are_found() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    let problems = || {
        let (ids, code) = world.json("ids");
        let problems: Vec<String> = serde_json::from_value(ids["problems"].clone()).unwrap();
        assert_eq!(code, if problems.is_empty() { 0 } else { 5 });
        problems
    };
    assert!(problems().is_empty());
    milvus.put("rootcoord-15", "rootcoord", 15, "2.4.0", &lease);
    assert!(problems()[0].contains("is missing"), "{:?}", problems());
    milvus.raw("id", "fifteen", None);
    assert!(problems()[0].contains("\"fifteen\" is no number"), "{:?}", problems());
    milvus.raw("id", "15", None);
    assert!(problems()[0].contains("server ID 15 is not below the counter (15)"), "{:?}", problems());
    assert!(problems()[0].ends_with("; write 16 or more to by-dev/meta/session/id"), "{:?}", problems());
    let doctor = world.ran("doctor").stdout;
    assert!(doctor.contains("-> write 16 or more to by-dev/meta/session/id\n"), "{doctor}");
    milvus.raw("id", "16", None);
    assert!(problems().is_empty());
    let record = r#"{"ServerID":15,"ServerName":"datacoord","Address":"10.0.0.9:1","Version":"2.4.0"}"#;
    milvus.raw("datacoord-15", record, Some(&lease));
    assert!(problems()[0].contains("two sessions"), "{:?}", problems());
}
