//! What strangers have written reaches no terminal as it is, and every JSON reader whole.

use rustix::process::Signal;

use crate::command::ran;
use crate::stream::Stream;
use crate::support::etcd::Etcd;
use crate::world::{Milvus, World};

/// What clears the screen, begins a line, and turns the direction of reading.
const NASTY: &str = "10.0.0.9:1\u{1b}[2J\nok    keys        fine\u{9b}31m\u{202e}x";

/// As the address of a holder and of a member, as a host, and in a key.
fn write(etcd: &Etcd) {
    let lease = Milvus(etcd).lease();
    let value = serde_json::json!({
        "ServerID": 9_007_199_254_740_993_i64, "ServerName": "rootcoord", "Address": NASTY, "HostName": NASTY,
        "Exclusive": true, "TriggerKill": true, "Version": "2.4.0",
    });
    let value = value.to_string();
    for key in ["rootcoord", "rootcoord-9007199254740993"] {
        Milvus(etcd).raw(key, &value, Some(&lease));
    }
    let member = value.replace("9007199254740993", "7");
    Milvus(etcd).raw("rootcoord-7", &member, Some(&lease));
    Milvus(etcd).raw(&format!("rootcoord-{NASTY}"), "{}", Some(&lease));
    Milvus(etcd).raw("id", NASTY, None);
}

/// Nothing in it moves the cursor, but for the ends of its lines, of which none was made by a stranger.
fn is_plain(what: &str, text: &str) {
    let is_nasty = |c: &char| *c != '\n' && (c.is_control() || *c == '\u{202e}');
    assert_eq!(text.chars().find(is_nasty), None, "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("ok    keys        fine")), "{what}: {text}");
}

#[test]
fn people_see_it_escaped() {
    let etcd = Etcd::start();
    let world = World::etcd(&etcd);
    write(&etcd);
    for args in ["status", "ids", "doctor", "observe --once --role rootcoord"] {
        let ran = world.ran(args);
        is_plain(args, &ran.stdout);
        is_plain(args, &ran.stderr);
        assert!(ran.stdout.contains(r"10.0.0.9:1\u{1b}[2J\n"), "{args}: {}", ran.stdout);
    }
    for args in ["watch --log", "observe --role rootcoord"] {
        let mut stream = Stream::start(&mut world.command(args));
        let line = stream.line(&[r"10.0.0.9:1\u{1b}[2J\n", "9007199254740993"]);
        is_plain(args, &line);
        stream.end(Signal::TERM);
    }
    let mut unknown = world.command("status --role rootcoord");
    let refused = ran(unknown.args(["--set", &format!("election.hold_ms={NASTY}")]));
    assert_eq!(refused.code, 2, "{refused:?}");
    is_plain("status", &refused.stderr);
}

#[test]
fn json_has_it_as_it_is_and_no_number_that_a_reader_would_round() {
    let etcd = Etcd::start();
    let world = World::etcd(&etcd);
    write(&etcd);
    let (status, _) = world.json("status");
    let active = &status["roles"][0]["active"];
    assert_eq!(active["address"], NASTY);
    assert_eq!(active["server_id"], "9007199254740993");
    assert!(active["mod_revision"].is_i64() && status["revision"].is_i64(), "{status:#}");
    let lease: i64 = active["lease"].as_str().unwrap().parse().unwrap();
    assert!(etcd.ctl(&["lease", "list"]).contains(&format!("{lease:x}")), "{lease:x}");
    let member = &status["etcd"]["endpoints"][0]["status"];
    for id in ["member_id", "leader_id", "cluster_id"] {
        assert!(member[id].as_str().unwrap().parse::<u64>().unwrap() > 0, "{member:#}");
    }
    let (ids, _) = world.json("ids");
    assert!(ids["sessions"].as_array().unwrap().iter().any(|session| session["server_id"] == 7), "{ids:#}");
    for args in ["watch --json", "observe --json --role rootcoord"] {
        let mut stream = Stream::start(&mut world.command(args));
        let line = stream.line(&[r#""server_id":"9007199254740993""#]);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["address"], NASTY);
        stream.end(Signal::TERM);
    }
}
