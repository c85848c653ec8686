//! `coordha observe`: who is active, change by change, and a command for each.

use std::fs;

use rustix::process::Signal;

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
    first.stop(None).unwrap();
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
    session.stop(None).unwrap();
    observe.line(&["ran [worker] [] [] [] []"]);
}

#[test]
fn changes_while_the_command_runs_are_coalesced_to_the_newest() {
    let etcd = Etcd::start();
    let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
    let lease = milvus.lease();
    let gate = world.path().join("gate");
    let mut command = world.command("observe --role rootcoord --exec");
    command.arg(format!("echo \"ran [$HA_SERVER_ID]\"; while [ ! -e '{}' ]; do sleep 0.01; done", gate.display()));
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
    observe.line(&["ran [127.0.0.1:5001]"]);
    observe.line(&["--exec: the command ended with exit status: 3"]);
    session.stop(None).unwrap();
    observe.line(&["ran []"]);
}

#[test]
fn its_end_ends_the_command_and_what_that_has_started() {
    let world = World::local();
    let _session = world.active("worker", "127.0.0.1:5001");
    let pid_file = world.path().join("pid");
    let mut command = world.command("observe --role worker --exec");
    command.arg(format!("sleep 1000 & echo $! >'{}'; echo started; wait", pid_file.display()));
    let mut observe = Stream::start(&mut command);
    observe.line(&["started"]);
    assert_eq!(observe.end(Signal::TERM), Some(0));
    let pid = fs::read_to_string(&pid_file).unwrap().trim().to_owned();
    until("what it has started is gone", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Nobody may be there to reap it.
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}
