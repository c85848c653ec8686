//! `coordha run`: standby commands, warm commands, readiness, and what it serves.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use serde_json::Value;

use crate::command::PATIENCE;
use crate::run_served::get;
use crate::running::{BUSY, Scene};
use crate::support::ports::Port;
use crate::support::wait::until;

/// Answers each request, at once, as who asks has a second of patience: well once `is_ready` is set.
struct Server {
    url: String,
    is_ready: Arc<AtomicBool>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/ready", listener.local_addr().unwrap());
        let is_ready = Arc::<AtomicBool>::default();
        let now_ready = Arc::clone(&is_ready);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = [0; 1024];
                let length = stream.read(&mut request).unwrap_or(0);
                let is_well = request[..length].starts_with(b"GET /ready ") && now_ready.load(Ordering::Acquire);
                let status = if is_well { "200 OK" } else { "503 Later" };
                // Who asked may be gone.
                let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Self { url, is_ready }
    }
}

#[test]
fn a_standby_command_runs_while_standing_by_and_has_ended_before_the_command_begins() {
    let scene = Scene::new();
    let mut a = scene.start("A", &[], BUSY);
    scene.line("A start");
    let standby = r#"echo "B warms $HA_STATE [$HA_TOKEN]" >> journal; while :; do echo "B standing" >> journal; sleep 0.02; done"#;
    let mut b = scene.start("B", &["--standby", standby], BUSY);
    assert_eq!(scene.line("B warms"), "standby []");
    scene.line("B standing");
    a.stop();
    scene.line("B start");
    scene.assert_ended_before("B standing", "B start");
    assert_eq!(b.stop().code(), Some(0));
}

#[test]
fn a_standby_command_that_ends_is_started_again() {
    let scene = Scene::new();
    let mut a = scene.start("A", &[], BUSY);
    scene.line("A start");
    let mut b = scene.start("B", &["--standby", "exit 1", "--restart-backoff-ms", "5"], BUSY);
    for pause in [5, 10, 20] {
        b.says(&format!("the standby command has ended: exit status 1; it is started again after {pause} ms"));
    }
    a.stop();
    scene.line("B start");
    b.stop();
}

#[test]
fn ends_of_the_standby_command_do_not_count_against_the_command() {
    let scene = Scene::new();
    let mut a = scene.start("A", &[], BUSY);
    scene.line("A start");
    let script = r#"echo "B start" >> journal; exit 3"#;
    let mut b = scene.start("B", &["--standby", "exit 1", "--restart-backoff-ms", "5"], script);
    b.says("the standby command has ended: exit status 1; it is started again after 20 ms");
    a.stop();
    b.says("the command has ended: exit status 3; it is started again after 5 ms");
    b.says("the command has ended: exit status 3; it is started again after 10 ms");
    b.stop();
}

#[test]
fn a_warm_command_is_told_by_signal_and_by_file_once_it_takes_the_signal() {
    let scene = Scene::new();
    let script = r#"
        echo "A $HA_STATE $(cat told)" >> journal
        trap 'echo "A told $(cat told)" >> journal' USR1
        while :; do sleep 0.02; done"#;
    let mut b = scene.start("B", &[], BUSY);
    scene.line("B start");
    let mut a = scene.start("A", &["--warm", "--tell", "file:told", "--tell", "signal:USR1"], script);
    let first: Value = serde_json::from_str(&scene.line("A standby")).unwrap();
    assert_eq!(first["state"], "standby");
    b.stop();
    let told: Value = serde_json::from_str(&scene.line("A told")).unwrap();
    assert_eq!(
        (&told["state"], &told["role"], &told["address"]),
        (&"active".into(), &"rootcoord".into(), &"127.0.0.1:1065".into())
    );
    assert!(told["token"].as_i64().unwrap() > 0 && told["server_id"].as_i64().unwrap() > 0);
    a.says("is ACTIVE, token");
    assert_eq!(a.stop().code(), Some(0));
}

#[test]
fn a_warm_command_is_told_by_a_socket_of_either_kind() {
    let scene = Scene::new();
    let datagrams = UnixDatagram::bind(scene.folder().join("datagrams")).unwrap();
    datagrams.set_read_timeout(Some(PATIENCE)).unwrap();
    let streams = UnixListener::bind(scene.folder().join("streams")).unwrap();
    streams.set_nonblocking(true).unwrap();
    let tells = ["--warm", "--tell", "socket:datagrams", "--tell", "socket:streams"];
    let mut a = scene.start("A", &tells, "sleep 600");
    let mut datagram = [0; 1024];
    let length = datagrams.recv(&mut datagram).unwrap();
    let mut line = String::new();
    let (mut stream, _) = until("it is told by a stream", || streams.accept().ok());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.read_to_string(&mut line).unwrap();
    assert_eq!(line.as_bytes(), &datagram[..length]);
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["state"], "active");
    a.says("is ACTIVE, token");
    assert_eq!(a.stop().code(), Some(0));
}

#[test]
fn a_warm_command_that_loses_the_role_is_started_anew_and_stands_by() {
    let scene = Scene::new();
    let script = r#"
        trap 'echo "$NAME told" >> journal' USR1
        echo "$NAME $HA_STATE" >> journal
        while :; do sleep 0.02; done"#;
    let warm = ["--warm", "--tell", "signal:USR1", "--restart-backoff-ms", "1"];
    let mut a = scene.start("A", &warm, script);
    scene.line("A told");
    let mut b = scene.start("B", &warm, script);
    scene.line("B standby");
    a.stop();
    scene.line("B told");
    assert_eq!(scene.count("B standby"), 1, "the warm one itself became active");
    b.stop();
}

#[test]
fn with_a_ready_url_it_is_active_once_that_answers_well() {
    let scene = Scene::new();
    let server = Server::start();
    let mut a = scene.start("A", &["--ready-url", &server.url], BUSY);
    scene.line("A start");
    a.says("the command is not ready yet: ");
    assert!(!a.said().iter().any(|line| line.contains("is ACTIVE, token")));
    server.is_ready.store(true, Ordering::Release);
    a.says("is ACTIVE, token");
    assert_eq!(a.stop().code(), Some(0));
}

#[test]
fn a_command_that_is_not_ready_in_time_is_told_to_stop_and_the_role_held_until_it_has() {
    let scene = Scene::new();
    let server = Server::start();
    let script = r#"
        trap 'echo "A drains" >> journal; while [ ! -e enough ]; do sleep 0.02; done; echo "A has drained" >> journal; exit 0' TERM
        while echo "A lives" >> journal; do sleep 0.02; done"#;
    // Time to begin, and to drain, on a busy machine.
    let limits = ["--set", "activation.timeout_ms=4000", "--grace-ms", "60000", "--restart-backoff-ms", "60000"];
    let options = [&["--ready-url", &server.url, "--restart", "never"], &limits[..]].concat();
    let mut a = scene.start("A", &options, script);
    scene.line("A lives");
    let mut b = scene.start("B", &[], BUSY);
    b.says("enter STANDBY mode, ACTIVE is");
    a.says("the command was not ready within activation.timeout_ms, 4000 ms: it is stopped, then the role is given up");
    scene.line("A drains");
    std::fs::write(scene.folder().join("enough"), "").unwrap();
    scene.line("B start");
    scene.assert_ended_before("A", "B");
    assert_eq!(scene.count("A has drained"), 1);
    a.says("is no longer ACTIVE, reason: ACTIVATION_FAILED");
    let said = a.said();
    let place = |text: &str| said.iter().position(|line| line.contains(text));
    assert!(place("the command has stopped: exit status 0") < place("reason: ACTIVATION_FAILED"), "{said:#?}");
    assert_eq!(a.stop().code(), Some(0), "it stands by, whatever --restart says");
    b.stop();
}

#[test]
fn a_way_to_tell_that_does_not_work_yet_is_named_as_on_the_command_line() {
    let scene = Scene::new();
    for (way, why) in [("socket:nowhere", "No such file"), ("signal:USR1", "the command does not catch the signal")] {
        let mut a = scene.start("A", &["--warm", "--tell", way], "exec sleep 600");
        a.says(&format!("the command is not ready yet: {way}: {why}"));
        assert_eq!(a.stop().code(), Some(0));
    }
}

#[test]
fn a_file_that_cannot_be_put_in_its_place_is_not_left_behind() {
    let scene = Scene::new();
    let mut b = scene.start("B", &[], BUSY);
    scene.line("B start");
    let script = r#"rm told; mkdir told; echo "A stands by" >> journal; exec sleep 600"#;
    let mut a = scene.start("A", &["--warm", "--tell", "file:told"], script);
    scene.line("A stands by");
    b.stop();
    a.says("the command is not ready yet: file:told: Is a directory");
    assert_eq!(a.stop().code(), Some(0));
    let entries = std::fs::read_dir(scene.folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let drafts: Vec<_> = entries.filter(|name| name.as_encoded_bytes().starts_with(b"told.")).collect();
    assert!(drafts.is_empty(), "{drafts:?}");
}

#[test]
fn a_command_that_dies_before_it_is_ready_is_a_failed_activation() {
    let scene = Scene::new();
    let nobody = Port::take();
    let url = format!("http://{}/", nobody.address());
    let options = ["--ready-url", &url, "--restart-backoff-ms", "10"];
    let mut a = scene.start("A", &options, r#"echo "A start" >> journal; exit 1"#);
    a.says("reason: ACTIVATION_FAILED");
    until("a second try", || (scene.count("A start") > 1).then_some(()));
    assert_eq!(a.stop().code(), Some(0));
}

#[test]
fn health_readiness_and_role_are_served() {
    let scene = Scene::new();
    let (a_port, b_port) = (Port::take(), Port::take());
    let (a_at, b_at) = (a_port.address(), b_port.address());
    let a = scene.start("A", &["--listen", &a_at], BUSY);
    scene.line("A start");
    a.says("is ACTIVE, token");
    let mut b = scene.start("B", &["--listen", &b_at], BUSY);
    b.says("enter STANDBY mode");
    let ready = |address: &str| get(address, "/readyz", "*/*").0;
    until("A is ready", || (ready(&a_at) == 200).then_some(()));
    until("B is healthy", || (get(&b_at, "/healthz", "*/*") == (200, "OK\n".into())).then_some(()));
    assert_eq!(ready(&b_at), 503);
    let json = until("A is healthy", || {
        let (status, json) = get(&a_at, "/healthz", "application/json");
        (status == 200).then_some(json)
    });
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["ok"].as_bool(), Some(true));

    let role = |address: &str| -> Value { serde_json::from_str(&get(address, "/role", "*/*").1).unwrap() };
    let (active, standby) = (role(&a_at), role(&b_at));
    assert_eq!((&active["state"], &standby["state"]), (&"ACTIVE".into(), &"STANDBY".into()));
    assert_eq!((&active["role"], &active["address"]), (&"rootcoord".into(), &"127.0.0.1:1065".into()));
    assert!(active["remaining_ms"].as_i64().unwrap() > 0 && standby["remaining_ms"] == 0);
    assert_eq!(standby["token"], 0);
    for found in [&active, &standby] {
        assert_eq!(found["holder"]["address"], "127.0.0.1:1065");
        assert_eq!(found["holder"]["token"], active["token"]);
    }
    assert_eq!(get(&a_at, "/nothing", "*/*").0, 404);
    for (address, active) in [(&a_at, 1), (&b_at, 0)] {
        let (status, text) = get(address, "/metrics", "*/*");
        let line = text.lines().find(|line| line.starts_with("coordha_session_active{")).unwrap();
        assert_eq!((status, line.rsplit(' ').next()), (200, Some(active.to_string().as_str())), "{text}");
    }

    a.signal(Signal::KILL);
    until("B is ready", || (ready(&b_at) == 200).then_some(()));
    assert_eq!(b.stop().code(), Some(0));
}
