//! The tests' own tools do what they say: a fault that is not injected proves nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../benches/harness/mod.rs"]
mod harness;
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use harness::report::{Row, renewed};
use harness::samples::Samples;
use support::certs::Authority;
use support::etcd::{Etcd, Version};
use support::proxy::Proxy;
use support::wait::until;

/// A server that sends back what it gets.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let (mut from, mut to) = (stream.try_clone().unwrap(), stream);
                let _ = std::io::copy(&mut from, &mut to);
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

fn exchange(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).unwrap();
    let mut reply = vec![0; text.len()];
    stream.read_exact(&mut reply).unwrap();
    String::from_utf8(reply).unwrap()
}

#[test]
fn proxy_forwards_both_ways() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    assert_eq!(exchange(&mut stream, "one"), "one");
    assert_eq!(exchange(&mut stream, "two"), "two");
    assert_eq!((proxy.accepted(), proxy.request_bytes()), (1, 6));
}

#[test]
fn dropped_replies_are_lost_for_good_and_end_the_connection() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    assert_eq!(exchange(&mut stream, "one"), "one");
    proxy.drop_replies();
    stream.write_all(b"lost").unwrap();
    until("the server has answered", || (proxy.vanished_reply_bytes() == 4).then_some(()));
    proxy.forward();
    assert!(stream.read(&mut [0; 8]).is_err(), "reset, not a reply with a gap");
    assert_eq!(exchange(&mut connect(&proxy), "new"), "new");
}

#[test]
fn held_bytes_arrive_later() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    assert_eq!(exchange(&mut stream, "one"), "one");
    proxy.hold_replies();
    stream.write_all(b"two").unwrap();
    until("the server was given it", || (proxy.request_bytes() == 6).then_some(()));
    stream.set_nonblocking(true).unwrap();
    assert!(stream.read(&mut [0; 8]).is_err(), "nothing is there yet");
    stream.set_nonblocking(false).unwrap();
    proxy.forward();
    let mut reply = [0; 3];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"two");

    proxy.hold_requests();
    stream.write_all(b"three").unwrap();
    assert_eq!(proxy.request_bytes(), 6, "the server has nothing of it");
    proxy.forward();
    let mut reply = [0; 5];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"three");
}

#[test]
fn black_hole_takes_connections_and_answers_nothing() {
    let proxy = Proxy::start(echo());
    proxy.black_hole();
    let mut stream = connect(&proxy);
    stream.write_all(b"hello").unwrap();
    until("the connection is taken", || (proxy.accepted() == 1).then_some(()));
    assert_eq!(proxy.request_bytes(), 0);
    proxy.forward();
    assert_eq!(exchange(&mut connect(&proxy), "new"), "new");
}

#[test]
fn cut_resets_open_connections_and_new_ones() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    assert_eq!(exchange(&mut stream, "one"), "one");
    proxy.cut();
    assert!(stream.read(&mut [0; 8]).is_err());
    let mut new = connect(&proxy);
    assert!(new.read(&mut [0; 8]).is_err());
    proxy.forward();
    assert_eq!(exchange(&mut connect(&proxy), "new"), "new");
}

#[test]
fn delayed_bytes_keep_their_order() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    proxy.delay(Duration::from_millis(20), Duration::from_millis(20));
    for text in ["one", "two", "three"] {
        assert_eq!(exchange(&mut stream, text), text);
    }
}

#[test]
fn etcd_of_every_version_starts_and_is_gone_when_dropped() {
    for version in [Version::V3_4, Version::V3_6, Version::V3_7] {
        let etcd = Etcd::builder().version(version).start();
        etcd.ctl(&["put", "k", "v"]);
        assert_eq!(etcd.ctl(&["get", "k"]), "k\nv\n");
        let proc = format!("/proc/{}", etcd.pid(0));
        assert!(std::fs::exists(&proc).unwrap());
        drop(etcd);
        assert!(!std::fs::exists(&proc).unwrap());
    }
}

#[test]
fn members_can_be_paused_killed_and_restarted() {
    let mut etcd = Etcd::builder().members(3).start();
    let leader = etcd.leader();
    etcd.pause(leader);
    let next = etcd.leader_other_than(leader);
    etcd.resume(leader);
    until("the old leader follows", || (etcd.leaders() == [next]).then_some(()));
    etcd.kill(next);
    let third = etcd.leader_other_than(next);
    etcd.restart(next);
    etcd.wait_healthy(next);
    etcd.stop(third);
    etcd.leader_other_than(third);
    etcd.restart(third);
    etcd.wait_healthy(third);
}

#[test]
fn tls_users_and_quota_are_in_force() {
    let authority = Authority::new();
    let etcd =
        Etcd::builder().mutual_tls(&authority).root_password("secret").token_ttl_s(1).quota_bytes(64 << 20).start();
    etcd.ctl(&["put", "k", "v"]);
    let endpoints = etcd.endpoints();
    let no_user = std::process::Command::new("etcdctl")
        .env("ETCDCTL_API", "3")
        .arg(format!("--endpoints=https://{}", endpoints[0]))
        .arg("--cacert")
        .arg(&authority.cert)
        .args(["--dial-timeout=2s", "get", "k"])
        .output()
        .unwrap();
    assert!(!no_user.status.success(), "no certificate, no entry");
}

#[test]
fn etcd_dies_with_the_process_that_started_it() {
    if let Ok(file) = std::env::var("COORDHA_TEST_DIES") {
        let etcd = Etcd::start();
        std::fs::write(&file, etcd.pid(0).to_string()).unwrap();
        std::process::abort();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let own = std::env::current_exe().unwrap();
    let status = std::process::Command::new(own)
        .args(["--exact", "etcd_dies_with_the_process_that_started_it"])
        .env("COORDHA_TEST_DIES", &file)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success(), "it aborts");
    let pid = std::fs::read_to_string(&file).unwrap();
    until("the kernel has ended etcd", || {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        (name.trim() != "etcd" || is_zombie(&pid)).then_some(())
    });
}

fn is_zombie(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("State:\tZ")
}

#[test]
fn a_quantile_is_one_of_the_samples() {
    let mut samples = Samples::default();
    (1..=200).rev().for_each(|n| samples.push(f64::from(n)));
    let found = [0.5, 0.99, 1.0].map(|part| samples.quantile(part));
    assert_eq!((samples.len(), found), (200, [100.0, 198.0, 200.0]));
}

#[test]
fn a_benchmark_renews_its_own_table_and_says_what_was_missed() {
    let mark = |target: &str| format!("<!-- measured by `make {target} WRITE=1` -->\n");
    let table = "old\n<!-- end -->\n";
    let page = format!("one\n{}{table}two\n{}{table}three\n", mark("bench"), mark("bench-bindings"));
    let row = Row::new("call", "120 ns").beside("empty 60 ns", 2.0).aim("at most 100 ns", false);
    let written = renewed(&page, "bench-bindings", &[row], &["Date: today".into()]).unwrap();
    let (same, rest) = page.split_at(page.find(&mark("bench-bindings")).unwrap());
    let new = written.strip_prefix(same).unwrap();
    assert!(new.contains("\n- Date: today\n\n| What "), "{new}");
    assert!(new.contains("\n| call | 120 ns | empty 60 ns | 2.00 | at most 100 ns | **NO** |\n"), "{new}");
    assert!(new.ends_with("\n<!-- end -->\nthree\n") && !new.contains("old") && rest.contains("old"), "{new}");
    assert!(renewed(&page, "other", &[], &[]).is_none());
}
