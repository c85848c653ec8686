//! What the store refuses is told with the keys concerned and what to do, and so is what is no etcd at all: exit code 3.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::command::{Ran, ran};
use crate::support::certs::Authority;
use crate::support::etcd::Etcd;
use crate::world::World;

/// The message of every subcommand that looks at once, one line each, and what doctor finds.
fn told(world: &World, settings: &[String]) -> Vec<String> {
    let with = |args: &str| -> Ran {
        let mut command = world.command(args);
        for setting in settings {
            command.args(["--set", setting]);
        }
        ran(&mut command)
    };
    let looks = ["status", "ids", "watch --log", "observe --role rootcoord", "observe --once --role rootcoord"];
    let mut told: Vec<String> = looks
        .iter()
        .map(|look| {
            let ran = with(look);
            assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{look}: {ran:?}");
            assert_eq!(ran.stderr.lines().count(), 1, "{look}: {ran:?}");
            ran.stderr
        })
        .collect();
    let doctor = with("doctor");
    assert_eq!(doctor.code, 5, "{doctor:?}");
    told.push(doctor.stdout);
    told
}

fn advises(world: &World, settings: &[&str], words: &[&str]) {
    let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
    for told in told(world, &settings) {
        for word in words {
            assert!(told.contains(word), "{word} in {told}");
        }
    }
}

#[test]
fn users_and_what_they_may_do() {
    let etcd = Etcd::builder().root_password("right").start();
    let world = World::etcd(&etcd);
    etcd.ctl(&["user", "add", "me:mine"]);
    advises(&world, &[], &["etcd asks for a user: set store.etcd.user and store.etcd.password"]);
    let user =
        |name: &str, password: &str| [format!("store.etcd.user={name}"), format!("store.etcd.password={password}")];
    for [user, password] in [user("root", "wrong"), user("nobody", "x")] {
        advises(
            &world,
            &[&user, &password],
            &["set store.etcd.user and store.etcd.password to a user that etcd knows"],
        );
    }
    let [user, password] = user("me", "mine");
    advises(&world, &[&user, &password], &["permission denied", "store.etcd.user", "grant-permission"]);
}

#[test]
fn certificates() {
    let (authority, other) = (Authority::new(), Authority::new());
    let etcd = Etcd::builder().mutual_tls(&authority).start();
    let world = World::etcd(&etcd);
    let on = "store.etcd.tls.enabled=true";
    let ca = |authority: &Authority| format!("store.etcd.tls.ca={}", authority.cert.display());
    advises(&world, &[on, &ca(&other)], &["set store.etcd.tls.ca to the authority"]);
    advises(&world, &[on, &ca(&authority)], &["set store.etcd.tls.cert and store.etcd.tls.key"]);
    advises(&world, &[], &["store.url", "set store.etcd.tls.enabled"]);
    let plain = Etcd::start();
    advises(&World::etcd(&plain), &[on, &ca(&authority)], &["set store.etcd.tls.enabled to false"]);
    let named = Etcd::builder().tls_for(&authority, &["elsewhere.example"]).start();
    let words = ["name the host in store.url, or store.etcd.tls.server_name, as etcd's certificate does"];
    advises(&World::etcd(&named), &[on, &ca(&authority)], &words);
}

/// Something that listens on a port and does this with each connection.
fn listens(serve: impl Fn(TcpStream) + Send + 'static) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("etcd://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    World { folder: tempfile::TempDir::new().unwrap(), url }
}

#[test]
fn what_is_no_etcd() {
    let web = listens(|mut stream| {
        let _ = stream.read(&mut [0; 1000]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    advises(&web, &[], &["check that store.url names etcd's client port"]);
    let silent = listens(std::mem::forget);
    let limit = "store.request_timeout_ms=300";
    advises(&silent, &[limit], &["no answer within 300ms", "check that store.url names etcd's client port"]);
    let port = crate::support::ports::Port::take();
    let gone = World { folder: tempfile::TempDir::new().unwrap(), url: format!("etcd://{}", port.address()) };
    advises(&gone, &[], &[&port.address(), "check store.url"]);
    let unknown = World { folder: tempfile::TempDir::new().unwrap(), url: "etcd://no-such-host.invalid".into() };
    advises(&unknown, &[], &["no-such-host.invalid", "check store.url"]);
}
