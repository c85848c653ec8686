//! What is wrong is told in one message that names it, with the exit code for it, and nothing is left behind.

use crate::command::ran;
use crate::support::certs::Authority;
use crate::support::etcd::Etcd;
use crate::world::World;

/// What looks at a store; each with a role, and so that it would end.
const LOOKS: [&str; 5] = [
    "status --role rootcoord",
    "watch --log --role rootcoord",
    "observe --role rootcoord",
    "observe --once --role rootcoord",
    "ids --role rootcoord",
];

/// Runs each of them; each must end with this code and one line on stderr that has these words.
fn refused(world: &World, more: &[&str], code: i32, words: &[&str]) {
    for look in LOOKS {
        let ran = ran(world.command(look).args(more));
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{look} {more:?}: {ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{look} {more:?}: {ran:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "{look} {more:?}: {word} in {ran:?}");
        }
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let world = World::local();
    refused(&world, &["--set", "lease.ttl_ms=1"], 2, &["lease.ttl_ms", "from 2000 to 300000"]);
    refused(&world, &["--set", "lease.tl_ms=1"], 2, &["lease.tl_ms", "lease.ttl_ms"]);
    refused(&world, &["--set", "role"], 2, &["KEY=VALUE"]);
    refused(&world, &["--set", "role=No"], 2, &["role", "[a-z]"]);
    refused(&world, &["--set", "role=rootcoordx"], 2, &["rootcoordx", "Milvus"]);
    refused(&world, &["--config", "gone.yaml"], 2, &["gone.yaml"]);
    refused(&world, &["--root", "a//../b"], 2, &["root"]);
    refused(&world, &["--set", "store.url=http://x"], 2, &["store.url", "etcd://host:port"]);
    refused(&world, &["--set", "store.etcd.user=me"], 2, &["store.etcd.password"]);
    for look in LOOKS.iter().chain(&["doctor"]) {
        let ran = world.ran(&format!("{look} --no-such-flag"));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains("--no-such-flag"), "{ran:?}");
    }
    for args in ["observe", "observe --once"] {
        let ran = world.ran(args);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("role is required"), "{ran:?}");
    }
    assert!(!world.path().join("store").exists());
}

#[test]
fn a_store_that_cannot_be_reached_is_exit_code_3() {
    let port = crate::support::ports::Port::take();
    let folder = tempfile::TempDir::new().unwrap();
    let world = World { folder, url: format!("etcd://{}", port.address()) };
    refused(&world, &[], 3, &[&port.address()]);
    let (findings, code) = world.json("doctor");
    assert_eq!(code, 5);
    let bad: Vec<_> = findings.as_array().unwrap().iter().filter(|finding| finding["level"] == "bad").collect();
    assert!(bad.iter().any(|finding| finding["text"].as_str().unwrap().contains(&port.address())), "{findings:#}");
}

#[test]
fn a_store_that_is_silent_is_given_up_within_the_request_timeout() {
    let etcd = Etcd::start();
    etcd.pause(0);
    let world = World::etcd(&etcd);
    refused(&world, &["--set", "store.request_timeout_ms=300"], 3, &[&etcd.endpoint(0), "300ms"]);
    etcd.resume(0);
}

#[test]
fn wrong_certificates_are_exit_code_3_and_right_ones_are_taken() {
    let (authority, other) = (Authority::new(), Authority::new());
    let etcd = Etcd::builder().mutual_tls(&authority).start();
    let world = World::etcd(&etcd);
    let with = |ca: &Authority, identity: Option<&Authority>| {
        let set = |key: &str, path: &std::path::Path| {
            ["--set".to_owned(), format!("store.etcd.tls.{key}={}", path.display())]
        };
        let mut args = vec!["--set".to_owned(), "store.etcd.tls.enabled=true".to_owned()];
        args.extend(set("ca", &ca.cert));
        if let Some(identity) = identity {
            let pair = identity.client("root");
            args.extend(set("cert", &pair.cert));
            args.extend(set("key", &pair.key));
        }
        args
    };
    let right = with(&authority, Some(&authority));
    let ran = ran(world.command("status").args(&right));
    assert_eq!(ran.code, 4, "{ran:?}");
    for (args, words) in [
        (with(&other, Some(&authority)), "TLS"),
        (with(&authority, None), "TLS"),
        (with(&authority, Some(&other)), "TLS"),
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        refused(&world, &args, 3, &[&etcd.endpoint(0), words]);
    }
    let gone = ["--set", "store.etcd.tls.enabled=true", "--set", "store.etcd.tls.ca=gone.pem"];
    refused(&world, &gone, 2, &["store.etcd.tls.ca", "gone.pem"]);
    let doctor = crate::command::ran(world.command("doctor --json").args(&right));
    assert!(doctor.stdout.contains("TLS, a client certificate"), "{doctor:?}");
}

#[test]
fn a_wrong_password_is_exit_code_3_and_the_right_one_is_taken() {
    let etcd = Etcd::builder().root_password("right").start();
    let world = World::etcd(&etcd);
    let user = |password: &str| {
        [
            "--set".to_owned(),
            "store.etcd.user=root".to_owned(),
            "--set".to_owned(),
            format!("store.etcd.password={password}"),
        ]
    };
    let right = ran(world.command("status").args(user("right")));
    assert_eq!(right.code, 4, "{right:?}");
    let wrong = user("wrong");
    let args: Vec<&str> = wrong.iter().map(String::as_str).collect();
    refused(&world, &args, 3, &["invalid user ID or password"]);
    refused(&world, &[], 3, &["user name is empty"]);
}
