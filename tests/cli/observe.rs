//! `coordha observe`: who is active, change by change, and a command for each.

use std::fs;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::command::{Killed, PATIENCE, not_under_nohup};
use crate::stream::Stream;
use crate::support::etcd::Etcd;
use crate::support::wait::until;
use crate::world::{Milvus, World};

#[test]
fn a_line_tells_each_change_and_the_end_is_in_order() {
    let world = World::local();
    let first = world.active("worker", "127.0.0.1:5001");
    let mut observe = Stream::start(&mut world.command("observe --role worker"));
    observe.line(&["worker: 127.0.0.1:5001 (server ID 1, token ", ", coordha)"]);
    let _second = world.registered("worker", "127.0.0.1:5002");
    first.stop(Some(PATIENCE)).unwrap();
    observe.line(&["worker: 127.0.0.1:5002 (server ID 2, token "]);
    assert_eq!(observe.end(Signal::TERM), Some(0));
}

#[test]
fn milvus_holders_are_followed_across_compaction_and_a_restart_of_etcd() {
    let mut etcd = Etcd::start();
    let world = World::etcd(&etcd);
    let lease = Milvus(&etcd).lease();
    let mut observe = Stream::start(&mut world.command("observe --role rootcoord --json"));
    observe.line(&[r#""address":null,"server_id":null,"token":null,"holder":null"#]);
    Milvus(&etcd).put("rootcoord", "rootcoord", 15, "2.4.0", &lease);
    observe.line(&[r#""address":"10.0.0.15:53100","server_id":15"#, r#""holder":"milvus""#]);
    let revision = world.json("status").0["revision"].as_i64().unwrap();
    etcd.ctl(&["compact", &revision.to_string()]);
    Milvus(&etcd).delete("rootcoord");
    observe.line(&[r#""token":null"#]);
    etcd.kill(0);
    etcd.restart(0);
    etcd.wait_healthy(0);
    // The same address, a new term.
    Milvus(&etcd).put("rootcoord", "rootcoord", 15, "2.4.0", &lease);
    observe.line(&[r#""server_id":15"#, r#""holder":"milvus""#]);
    assert_eq!(observe.end(Signal::INT), Some(0));
}

#[test]
fn once_says_who_is_active_and_ends() {
    let etcd = Etcd::start();
    let world = World::etcd(&etcd);
    let nobody = world.ran("observe --once --role rootcoord");
    assert_eq!((nobody.code, nobody.stdout.as_str()), (4, "rootcoord: nobody is active\n"), "{nobody:?}");
    let session = world.active("rootcoord", "127.0.0.1:5001");
    let token = session.fencing_token();
    let ran = world.ran("observe --once --role rootcoord");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stdout, format!("rootcoord: 127.0.0.1:5001 (server ID 1, token {token}, coordha)\n"));
    let mut command = world.command("observe --once --role rootcoord --exec");
    let failed = crate::command::ran(command.arg("exit 7"));
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.stderr.contains("exit status: 7"), "{failed:?}");
}

#[test]
fn the_command_has_the_change_in_its_environment() {
    let world = World::local();
    let session = world.active("worker", "127.0.0.1:5001");
    let mut command = world.command("observe --role worker --exec");
    command.arg("echo \"ran [$HA_ROLE] [$HA_ADDRESS] [$HA_SERVER_ID] [$HA_TOKEN] [$HA_HOLDER]\"");
    let mut observe = Stream::start(&mut command);
    let token = session.fencing_token();
    observe.line(&[&format!("ran [worker] [127.0.0.1:5001] [1] [{token}] [coordha]")]);
    session.stop(Some(PATIENCE)).unwrap();
    observe.line(&["ran [worker] [] [] [] []"]);
}

#[test]
fn changes_while_the_command_runs_are_coalesced_to_the_newest() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    let gate = world.path().join("gate");
    let mut command = world.command("observe --role rootcoord --exec");
    // Without the folder nobody is left who would open the gate.
    let shut = format!("[ -e '{}' ] && [ ! -e '{}' ]", world.path().display(), gate.display());
    command.arg(format!("echo \"ran [$HA_SERVER_ID]\"; while {shut}; do sleep 0.01; done"));
    let mut observe = Stream::start(&mut command);
    observe.line(&["ran []"]);
    for id in [15, 16, 17] {
        milvus.delete("rootcoord");
        milvus.put("rootcoord", "rootcoord", id, "2.4.0", &lease);
        observe.line(&[&format!("(server ID {id}, ")]);
    }
    fs::write(&gate, "").unwrap();
    assert_eq!(observe.line(&["ran ["]), "ran [17]");
}

#[test]
fn a_command_that_fails_is_told_and_the_next_one_is_run() {
    let world = World::local();
    let session = world.active("worker", "127.0.0.1:5001");
    let mut command = world.command("observe --role worker --exec");
    command.arg("echo \"ran [$HA_ADDRESS]\"; exit 3");
    let mut observe = Stream::start(&mut command);
    observe.lines(&["ran [127.0.0.1:5001]", "--exec: the command ended with exit status: 3"]);
    session.stop(Some(PATIENCE)).unwrap();
    observe.line(&["ran []"]);
}

/// A command that has started something, and waits for it.
const WAITS: &str = "sleep 1000 & echo $! >pid; echo started; wait";
/// The same, but it does not wait.
const LEAVES: &str = "sleep 1000 >&- 2>&- & echo $! >pid; echo started";

fn observe(world: &World, args: &str, exec: &str) -> Command {
    let mut command = world.command(&format!("observe --role worker {args}"));
    command.args(["--exec", exec]);
    command
}

/// What the command has started ends.
fn is_ended(world: &World) {
    let pid = fs::read_to_string(world.path().join("pid")).unwrap().trim().to_owned();
    assert!(!pid.is_empty());
    until("what it has started is gone", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Nobody may be there to reap it.
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

#[test]
fn its_end_by_a_signal_ends_the_command_and_what_that_has_started() {
    let world = World::local();
    let _session = world.active("worker", "127.0.0.1:5001");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        for exec in [WAITS, LEAVES] {
            let mut observe = Stream::start(&mut not_under_nohup(&observe(&world, "", exec)));
            observe.line(&["started"]);
            assert_eq!(observe.end(signal), Some(0), "{signal:?} {exec}");
            is_ended(&world);
        }
    }
}

#[test]
fn a_signal_ends_the_command_of_once_too() {
    let world = World::local();
    let _session = world.active("worker", "127.0.0.1:5001");
    let mut once = Stream::start(&mut observe(&world, "--once", WAITS));
    once.line(&["started"]);
    assert_eq!(once.end(Signal::TERM), Some(1));
    is_ended(&world);
    let ran = crate::command::ran(&mut observe(&world, "--once", LEAVES));
    assert_eq!(ran.code, 0, "{ran:?}");
    is_ended(&world);
}

#[test]
fn a_command_that_does_not_mind_sigterm_is_killed() {
    let world = World::local();
    let _session = world.active("worker", "127.0.0.1:5001");
    let mut observe = Stream::start(&mut observe(&world, "", &format!("trap '' TERM; {WAITS}")));
    observe.line(&["started"]);
    assert_eq!(observe.end(Signal::TERM), Some(0));
    is_ended(&world);
}

#[test]
fn the_command_ends_when_nobody_reads_any_more() {
    let world = World::local();
    let session = world.active("worker", "127.0.0.1:5001");
    let mut command = observe(&world, "", "sleep 1000 & echo $! >pid; wait");
    let mut observe = Killed(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let pid = world.path().join("pid");
    until("the command has started", || fs::read_to_string(&pid).ok().filter(|pid| pid.ends_with('\n')));
    drop(observe.0.stdout.take());
    session.stop(Some(PATIENCE)).unwrap();
    assert_eq!(observe.ended("observe").code(), Some(0));
    is_ended(&world);
}

#[test]
fn the_command_ends_when_the_store_is_refused() {
    let mut etcd = Etcd::start();
    let world = World::etcd(&etcd);
    etcd.ctl(&["put", "other", "x"]);
    let backup = etcd.backup(0);
    let lease = Milvus(&etcd).lease();
    Milvus(&etcd).put("worker", "worker", 15, "2.4.0", &lease);
    let mut observe = Stream::start(&mut observe(&world, "--set election.reread_ms=200", WAITS));
    observe.line(&["started"]);
    etcd.restore(0, &backup);
    observe.line(&["coordha: ", "restored"]);
    assert_eq!(observe.wait(), Some(3));
    is_ended(&world);
}

#[test]
fn it_begins_with_one_read_beside_the_observers() {
    let etcd = Etcd::start();
    let world = World::etcd(&etcd);
    let lease = Milvus(&etcd).lease();
    Milvus(&etcd).put("worker", "worker", 15, "2.4.0", &lease);
    let name = r#"grpc_server_handled_total{grpc_code="OK",grpc_method="Txn",grpc_service="etcdserverpb.KV",grpc_type="unary"}"#;
    let count = || etcd.metric(0, name).unwrap_or(0.0);
    let before = count();
    // It is not to read once more before they are counted.
    let mut observe = Stream::start(&mut world.command("observe --role worker --set election.reread_ms=60000"));
    observe.line(&["server ID 15", "milvus"]);
    // Whose the key is stands in what the observer has seen: a new holder is told without another read.
    for id in 16..20 {
        Milvus(&etcd).put("worker", "worker", id, "2.4.0", &lease);
        observe.line(&[&format!("server ID {id}"), "milvus"]);
    }
    // An answer is seen before etcd has counted it.
    let reads = until("a read is counted", || Some(count() - before).filter(|reads| *reads >= 1.0));
    assert!(reads <= 2.0, "{reads}");
}

#[test]
fn a_hangup_that_was_ignored_at_the_start_stays_ignored() {
    let world = World::local();
    let session = world.active("worker", "127.0.0.1:5001");
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "trap '' HUP; exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_coordha"),
        "observe",
        "--role",
        "worker",
    ]);
    let mut observe = Stream::start(command.args(["--store", &world.url]));
    observe.line(&["127.0.0.1:5001"]);
    observe.signal(Signal::HUP);
    session.stop(Some(PATIENCE)).unwrap();
    observe.line(&["nobody is active"]);
    assert_eq!(observe.end(Signal::TERM), Some(0));
}
