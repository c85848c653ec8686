//! The commands of docs/milvus.md, by which a program stands in one election with Milvus.

use crate::command::{coordha, ran};
use crate::running::Running;
use crate::support::etcd::Etcd;
use crate::support::wait::until;
use crate::world::{Milvus, World};

/// The commands of the section, in words each.
fn commands() -> Vec<Vec<String>> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/milvus.md")).unwrap();
    let (_, section) = page.split_once("\n## Standing in one election, by release\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0.replace("\\\n", " "));
    blocks.map(|block| block.split_whitespace().map(str::to_owned).collect()).collect()
}

#[test]
fn the_page_shows_commands_that_stand_by_behind_a_milvus_holder_and_follow_it() {
    let commands = commands();
    assert_eq!(commands.len(), 2, "{commands:?}");
    for command in commands {
        let etcd = Etcd::start();
        let (world, milvus) = (World::etcd(&etcd), Milvus(&etcd));
        let role = &command[command.iter().position(|word| word == "--role").unwrap() + 1];
        let version = if role == "mixcoord" { "2.6.15" } else { "2.4.0" };
        let switch = if role == "mixcoord" { "" } else { "rootCoord:\n  enableActiveStandby: true\n" };
        let file = format!("etcd:\n  endpoints: [{}]\n{switch}", etcd.endpoint(0));
        std::fs::write(world.path().join("milvus.yaml"), file).unwrap();
        milvus.raw("id", "16", None);
        let lease = milvus.lease();
        milvus.put(&format!("{role}-15"), role, 15, version, &lease);
        milvus.put(role, role, 15, version, &lease);
        let (options, program) = command.split_at(command.iter().position(|word| word == "--").unwrap());
        assert_eq!((options[0].as_str(), program.len()), ("coordha", 2));
        // Not to be waited for here; and its end is the test's.
        let more = ["--restart", "never", "--set", "election.milvus_takeover_delay_ms=0", "--", "true"];
        let mut ours = coordha(world.path(), options[1..].iter().map(String::as_str).chain(more));
        ours.env("PATH", std::env::var_os("PATH").unwrap());
        let mut ours = Running::start("ours", ours);
        until("ours stands by", || {
            let (status, _) = world.json(&format!("status --role {role}"));
            let standby = status["roles"][0]["standbys"][0].clone();
            (standby["address"] == "10.0.0.6:53100" && standby["chance"]["standing"] == "ready").then_some(())
        });
        let doctor = ran(world.command(&format!("doctor --role {role}")).args(["--config", "milvus.yaml"]));
        assert!(doctor.code == 0 && doctor.stdout.contains(role.as_str()), "{doctor:?}");
        milvus.delete(role);
        milvus.delete(&format!("{role}-15"));
        // It has run the program, and ends with that.
        assert_eq!(ours.ended().code(), Some(0));
    }
}
