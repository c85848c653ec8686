//! A session's states in the words of Milvus 2.2.3, in its order.

use coordha::config::keys;
use coordha::session::{Session, Until};

use crate::logs::Lines;
use crate::support::wait::until;
use crate::world::{PATIENCE, Place, with};

const KEY: &str = "by-dev/meta/session/querycoord";

/// What the lines of each session of the role say, sessions in the order of their first lines.
fn by_session(lines: &Lines, role: &str) -> Vec<Vec<String>> {
    let mut sessions: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines.of(&format!("role=\"{role}\" session_id=")) {
        let (_, rest) = line.split_once("session_id=").unwrap();
        let (id, rest) = rest.split_once('}').unwrap();
        let said = rest.split_once("coordha::session::log: ").map(|(_, said)| said.to_owned());
        match sessions.iter_mut().find(|(of, _)| of == id) {
            Some((_, known)) => known.extend(said),
            None => sessions.push((id.to_owned(), said.into_iter().collect())),
        }
    }
    sessions.into_iter().map(|(_, said)| said).collect()
}

#[test]
fn a_takeover_reads_as_in_milvus() {
    let lines = Lines::of_process();
    let place = Place::new();
    let config = |port| {
        let config = with(place.config(port), keys::ROLE, "querycoord");
        let config = with(config, keys::ROOT, "by-dev/meta");
        let config = with(config, keys::ACTIVATION_AUTO, "true");
        let config = with(config, keys::LOG_FORMAT, "milvus");
        with(config, keys::LOG_STANDBY_MS, "20")
    };
    let first = Session::start(&config(1), None).unwrap();
    first.wait(Until::Active, Some(PATIENCE)).unwrap();
    let second = Session::start(&config(2), None).unwrap();
    let again = "serverName: querycoord is in STANDBY ...";
    until("two STANDBY lines after the one at the start", || {
        let said = by_session(&lines, "querycoord").into_iter().nth(1)?;
        (said.iter().filter(|line| *line == again).count() >= 3).then_some(())
    });
    first.stop(Some(PATIENCE)).unwrap();
    second.wait(Until::Active, Some(PATIENCE)).unwrap();
    let last = "QueryCoord start done ...";
    let mut said = until("the last line", || {
        let said = by_session(&lines, "querycoord").into_iter().nth(1)?;
        said.iter().any(|line| line == last).then_some(said)
    });
    said.dedup();
    // Where the store is slow, it stands by for another while before its key is there.
    let mut is_deleted = false;
    said.retain(|line| {
        is_deleted |= line.starts_with("watch the ACTIVE key DELETE");
        !(is_deleted && line == again)
    });
    let expected = [
        "QueryCoord enter standby mode successfully",
        &format!("put session key into etcd key=\"{KEY}-2\""),
        "serverName: querycoord registered, ID: 2, TTL: 36000 ms server_id=2 event=\"REGISTERED\"",
        "serverName: querycoord enter STANDBY mode",
        again,
        "try to register as ACTIVE querycoord service...",
        "ACTIVE querycoord has already been registered",
        &format!("querycoord start to watch ACTIVE key {KEY}"),
        again,
        &format!("watch the ACTIVE key DELETE=\"key:\\\"{KEY}\\\" \""),
        &format!("stop watching ACTIVE key {KEY}"),
        "try to register as ACTIVE querycoord service...",
        "register ACTIVE querycoord",
        "serverName: querycoord quit STANDBY mode, this node will become ACTIVE",
        "QueryCoord switch from standby to active, activating",
        "QueryCoord startup success",
        "QueryCoord Register Finished",
        last,
    ];
    assert_eq!(said, expected);
    second.stop(Some(PATIENCE)).unwrap();
    assert!(lines.of("session_id").iter().filter(|line| line.contains("\"querycoord\"")).all(|l| l.contains("INFO")));
}

#[test]
fn an_exclusive_session_says_who_is_in_the_way_and_a_role_of_ones_own_its_name() {
    let lines = Lines::of_process();
    let place = Place::new();
    let config = |port| {
        let config = with(place.config(port), keys::ROLE, "shardcoord");
        let config = with(config, keys::ACTIVE_STANDBY_ENABLED, "false");
        let config = with(config, keys::ACTIVATION_AUTO, "true");
        let config = with(config, keys::EXCLUSIVE_WAIT_MS, "0");
        with(config, keys::LOG_FORMAT, "milvus")
    };
    let first = Session::start(&config(1), None).unwrap();
    first.wait(Until::Active, Some(PATIENCE)).unwrap();
    let second = Session::start(&config(2), None).unwrap();
    second.wait(Until::Active, Some(PATIENCE)).unwrap_err();
    first.stop(Some(PATIENCE)).unwrap();
    let [first, second] = until("the last lines", || {
        let said: [Vec<String>; 2] = by_session(&lines, "shardcoord").try_into().ok()?;
        said.iter().all(|said| said.iter().any(|line| line.contains("has ended"))).then_some(said)
    });
    let at = |said: &[String], words: &str| {
        said.iter().position(|line| line.starts_with(words)).unwrap_or_else(|| panic!("no {words:?} in {said:#?}"))
    };
    assert!(at(&first, "put session key into etcd key=") < at(&first, "shardcoord Register Finished"));
    assert!(at(&first, "shardcoord Register Finished") < at(&first, "shardcoord start done ..."));
    let refused = at(&second, "function CompareAndSwap error for compare is false for key: shardcoord");
    assert!(second[refused + 1].starts_with("ACTIVE is 127.0.0.1:1,"), "{second:#?}");
    assert!(!first.iter().chain(&second).any(|line| line.contains("STANDBY")), "{first:#?} {second:#?}");
}

#[test]
fn each_coordinator_of_milvus_calls_itself_as_there() {
    let lines = Lines::of_process();
    for (role, switcher, server) in [
        ("rootcoord", "RootCoord", "RootCoord"),
        ("datacoord", "DataCoord", "DataCoord"),
        ("indexcoord", "IndexCoord", "IndexCoord"),
        ("mixcoord", "mixCoord", "MixCoord"),
    ] {
        let place = Place::new();
        let config = with(with(place.config(1), keys::ROLE, role), keys::ACTIVATION_AUTO, "true");
        let session = Session::start(&with(config, keys::LOG_FORMAT, "milvus"), None).unwrap();
        session.wait(Until::Active, Some(PATIENCE)).unwrap();
        for line in [
            format!("{server} enter standby mode successfully"),
            format!("serverName: {role} enter STANDBY mode"),
            format!("{switcher} switch from standby to active, activating"),
            format!("{server} start done ..."),
        ] {
            until(&line, || by_session(&lines, role).concat().contains(&line).then_some(()));
        }
        session.stop(Some(PATIENCE)).unwrap();
    }
}
