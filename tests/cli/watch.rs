//! `coordha watch`: as a log, and on a terminal.

use std::io::Write as _;
use std::process::{ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::command::{Killed, PATIENCE, all_of};
use crate::stream::Stream;
use crate::support::etcd::Etcd;
use crate::support::wait::until;
use crate::world::{Milvus, World};

#[test]
fn a_line_tells_each_change() {
    let world = World::local();
    let first = world.active("worker", "127.0.0.1:5001");
    let mut watch = Stream::start(&mut world.command("watch --log"));
    watch.line(&["worker: 127.0.0.1:5001 (server ID 1, coordha) is active, token "]);
    let second = world.registered("worker", "127.0.0.1:5002");
    watch.line(&["worker: 127.0.0.1:5002 (server ID 2, coordha) stands by, rank 0"]);
    first.stop(Some(PATIENCE)).unwrap();
    watch.line(&["127.0.0.1:5002 (server ID 2, coordha) is active"]);
    second.stop(Some(PATIENCE)).unwrap();
    watch.line(&["127.0.0.1:5002 (server ID 2, coordha)", "nobody is active"]);
    assert_eq!(watch.end(Signal::INT), Some(0));
}

#[test]
fn what_is_foreign_blocked_or_gone_is_told_as_json() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    milvus.raw("id", "30", None);
    let mut watch = Stream::start(&mut world.command("watch --json"));
    milvus.put("rootcoord-15", "rootcoord", 15, "2.4.0", &lease);
    watch.line(&[r#""role":"rootcoord","event":"standby""#, r#""server_id":15"#, r#""holder":"milvus""#]);
    milvus.put("rootcoord", "rootcoord", 15, "2.4.0", &lease);
    watch.line(&[r#""event":"active""#, r#""server_id":15"#, r#""token":"#]);
    milvus.raw("rootcoord-16", "not JSON", Some(&lease));
    watch.line(&[r#""event":"unknown""#, "rootcoord-16"]);
    milvus.delete("rootcoord-16");
    watch.line(&[r#""event":"unknown_gone""#]);
    // Another one wrote it: it stays when its session goes.
    milvus.put("rootcoord-17", "rootcoord", 17, "2.4.0", &lease);
    milvus.raw("rootcoord-17", r#"{"ServerID":17,"Version":"2.4.0"}"#, None);
    watch.line(&[r#""event":"blocked""#, "no lease"]);
    milvus.delete("rootcoord-17");
    watch.line(&[r#""event":"gone""#, r#""server_id":17"#]);
    milvus.delete("rootcoord");
    watch.line(&[r#""event":"inactive""#, "has lost the active key"]);
}

#[test]
fn it_goes_on_when_the_store_comes_back() {
    let mut etcd = Etcd::start();
    let world = World::etcd(&etcd);
    let mut watch = Stream::start(&mut world.command("watch --log --set election.reread_ms=200"));
    let lease = Milvus(&etcd).lease();
    Milvus(&etcd).put("rootcoord", "rootcoord", 15, "2.4.0", &lease);
    watch.line(&["server ID 15"]);
    etcd.kill(0);
    watch.line(&["the store does not answer"]);
    etcd.restart(0);
    etcd.wait_healthy(0);
    watch.line(&["the store answers again"]);
    Milvus(&etcd).delete("rootcoord");
    watch.line(&["nobody is active"]);
}

#[test]
fn a_store_that_was_set_back_is_told() {
    let mut etcd = Etcd::start();
    let world = World::etcd(&etcd);
    etcd.ctl(&["put", "other", "x"]);
    let backup = etcd.backup(0);
    let lease = Milvus(&etcd).lease();
    Milvus(&etcd).put("rootcoord", "rootcoord", 15, "2.4.0", &lease);
    let seen = world.json("status").0["revision"].as_i64().unwrap();
    let mut watch = Stream::start(&mut world.command("watch --json --set election.reread_ms=200"));
    watch.line(&["server ID 15", "is active"]);
    etcd.restore(0, &backup);
    let line = watch.line(&[r#""event":"store_restored","weight":"trouble""#]);
    assert!(line.contains(&format!("it shows revision 2, this watch has seen {seen}")), "{line}");
    watch.line(&[r#""event":"role_gone""#]);
    // It is followed from there on.
    etcd.wait_healthy(0);
    let lease = Milvus(&etcd).lease();
    Milvus(&etcd).put("rootcoord", "rootcoord", 16, "2.4.0", &lease);
    watch.line(&["server ID 16", "is active"]);
}

#[test]
fn renewals_that_do_not_come_are_told() {
    let etcd = Etcd::start();
    let world = World::etcd(&etcd);
    let lease = Milvus(&etcd).lease();
    // A session that has died right after it became active. Half of its hold time is long enough to be told by itself.
    let ours = r#""Coordha":{"SessionID":"00000000000000000000000000000001","Priority":0,"HoldMs":8000,"TtlMs":60000}"#;
    let record = format!(
        r#"{{"ServerID":3,"Address":"10.0.0.3:1","Exclusive":true,"TriggerKill":true,"Version":"2.5.0",{ours}}}"#
    );
    Milvus(&etcd).raw("rootcoord", &record, Some(&lease));
    let token = world.json("status").0["roles"][0]["active"]["mod_revision"].as_i64().unwrap();
    let session = "00000000000000000000000000000001";
    let term = format!(
        r#"{{"State":"held","Token":{token},"HoldMs":8000,"Renewals":0,"SessionID":"{session}","ServerID":3}}"#
    );
    etcd.ctl(&["put", "by-dev/meta/ha/rootcoord/term", &term]);
    let mut watch = Stream::start(&mut world.command("watch --log"));
    watch.line(&["rootcoord: no renewal for "]);
    watch.line(&["rootcoord: no renewal for 8 s: its holder may act no longer"]);
    etcd.ctl(&["put", "by-dev/meta/ha/rootcoord/term", &term.replace(r#""Renewals":0"#, r#""Renewals":1"#)]);
    watch.line(&["renewed again"]);
}

/// Runs it on a terminal, by `script`; ends it as `end` does, once the role is shown. Returns all that the terminal got.
fn on_a_terminal(world: &World, end: impl FnOnce(&mut ChildStdin)) -> String {
    on_a_terminal_of(world, "rows 30 cols 120", end)
}

fn on_a_terminal_of(world: &World, size: &str, end: impl FnOnce(&mut ChildStdin)) -> String {
    let transcript = world.path().join("transcript");
    // A terminal without a size shows nothing.
    let command = format!("stty {size}; exec {} watch --store {}", env!("CARGO_BIN_EXE_coordha"), world.url);
    let mut script = Command::new("script");
    script.args(["--quiet", "--flush", "--return", "--command", &command]).arg(&transcript);
    script.env_remove("COORDHA_LOG").env("TERM", "xterm").stdin(Stdio::piped()).stdout(Stdio::piped());
    // Where it is killed the terminal is hung up, which ends what runs on it.
    let mut script = Killed(script.spawn().unwrap());
    let mut stdin = script.0.stdin.take().unwrap();
    let all = all_of(script.0.stdout.take().unwrap());
    until("the role is on the screen", || {
        let shown = std::fs::read(&transcript).unwrap_or_default();
        String::from_utf8_lossy(&shown).contains("worker").then_some(())
    });
    end(&mut stdin);
    let status = script.ended("what runs on the terminal");
    assert!(status.success(), "{status}");
    drop(stdin);
    String::from_utf8_lossy(&all.recv_timeout(PATIENCE).unwrap()).into_owned()
}

/// The alternate screen was entered, and left last of all; the cursor is shown again.
fn is_restored(output: &str) {
    let (enter, leave) = (output.find("\x1b[?1049h").unwrap(), output.rfind("\x1b[?1049l").unwrap());
    assert!(enter < leave, "{output:?}");
    assert!(output.rfind("\x1b[?25h") > output.rfind("\x1b[?25l"), "{output:?}");
    assert!(!output[leave..].contains("worker"), "{output:?}");
}

#[test]
fn the_terminal_is_given_back_on_q() {
    let world = World::local();
    let _session = world.active("worker", "127.0.0.1:5001");
    let output = on_a_terminal(&world, |stdin| stdin.write_all(b"q").unwrap());
    is_restored(&output);
    assert!(output.contains("127.0.0.1:5001"), "{output:?}");
}

#[test]
fn the_terminal_is_given_back_on_a_signal() {
    let world = World::local();
    let _session = world.active("worker", "127.0.0.1:5001");
    let output = on_a_terminal(&world, |_| {
        let pid = watch_of(&world);
        kill_process(pid, Signal::TERM).unwrap();
    });
    is_restored(&output);
}

#[test]
fn a_small_terminal_and_one_that_is_resized_are_drawn() {
    let world = World::local();
    let _session = world.active("worker", "127.0.0.1:5001");
    let output = on_a_terminal_of(&world, "rows 5 cols 20", |stdin| {
        let screen = || std::fs::read(world.path().join("transcript")).unwrap_or_default();
        let terminal = std::fs::read_link(format!("/proc/{}/fd/1", watch_of(&world).as_raw_nonzero())).unwrap();
        for (size, words) in [("rows 30 cols 120", "quit"), ("rows 1 cols 9", "worker"), ("rows 16 cols 50", "quit")] {
            let before = screen().len();
            let resized = Command::new("stty").arg("-F").arg(&terminal).args(size.split(' ')).status().unwrap();
            assert!(resized.success());
            until("it is drawn anew", || String::from_utf8_lossy(&screen()[before..]).contains(words).then_some(()));
        }
        stdin.write_all(b"q").unwrap();
    });
    is_restored(&output);
    let first = output.split("\x1b[2J").next().unwrap();
    assert!(first.contains("worker 127.0.0.1:500") && !first.contains('┌'), "{first:?}");
}

/// The process that watches this world's store.
fn watch_of(world: &World) -> Pid {
    let is_it = |pid: i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        words.first().is_some_and(|word| word.ends_with("/coordha")) && words.iter().any(|word| *word == world.url)
    };
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let pid = processes.into_iter().find(|pid| is_it(*pid)).unwrap();
    Pid::from_raw(pid).unwrap()
}
