//! What `coordha run` serves: while it is in trouble, and to strangers who mean it ill.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

use crate::running::{BUSY, Running, Scene};
use crate::support::ports::Port;
use crate::support::wait::until;

/// Longer than any limit of the server, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Status and body of a GET.
pub(crate) fn get(address: &str, path: &str, accept: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\nAccept: {accept}\r\n\r\n");
    let answer = answer(&mut asked(address, &request));
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn asked(address: &str, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // The server may close it before it has read what was asked.
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8(answer).unwrap(),
    }
}

/// Waits until it is called unhealthy for this reason.
fn unhealthy(address: &str, why: &str) {
    until(&format!("it is not healthy: {why}"), || {
        let (status, body) = get(address, "/healthz", "*/*");
        (status == 503 && body.contains(why)).then_some(())
    });
}

fn healthy(address: &str) {
    until("it is healthy", || (get(address, "/healthz", "*/*").0 == 200).then_some(()));
}

/// Kills the command of which the journal tells, and waits until that is noticed.
fn kill_command(scene: &Scene, run: &Running) {
    let pid = scene.line("A start").rsplit(' ').next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    run.says("the command has ended: signal 9");
}

#[test]
fn a_run_that_hangs_is_not_healthy_though_its_session_is() {
    let scene = Scene::new();
    let port = Port::take();
    let at = port.address();
    let options = ["--listen", &at, "--warm", "--tell", "file:told", "--restart-backoff-ms", "1"];
    let a = scene.start("A", &options, BUSY);
    a.says("is ACTIVE, token");
    healthy(&at);
    // What is next written for a command that stands by, is written into a pipe that nobody reads.
    let draft = scene.folder().join(format!("told.{}", a.pid()));
    mknodat(CWD, &draft, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    kill_command(&scene, &a);
    unhealthy(&at, "it hangs");
    assert_eq!(get(&at, "/role", "*/*").0, 200, "the rest is served");
    // For both, as that waits for nobody.
    let _reader = File::options().read(true).write(true).open(&draft).unwrap();
    healthy(&at);
}

#[test]
fn a_run_that_pauses_after_an_end_of_its_command_is_not_healthy() {
    let scene = Scene::new();
    let port = Port::take();
    let at = port.address();
    let mut a = scene.start("A", &["--listen", &at, "--restart-backoff-ms", "600000"], BUSY);
    a.says("is ACTIVE, token");
    healthy(&at);
    kill_command(&scene, &a);
    unhealthy(&at, "the command has ended, and is not started again for ");
    assert_eq!(a.stop().code(), Some(0));
}

#[test]
fn a_run_that_does_not_contend_is_not_healthy() {
    let scene = Scene::new();
    let port = Port::take();
    let at = port.address();
    let a = scene.start("A", &["--listen", &at, "--set", "election.paused=true"], BUSY);
    a.says("does not contend, reason: PAUSED");
    unhealthy(&at, "election.paused = true");
}

#[test]
fn a_run_that_is_stopping_is_healthy_while_it_holds_the_role() {
    let scene = Scene::new();
    let port = Port::take();
    let at = port.address();
    let script = r#"
        trap 'echo "A drains" >> journal; while [ ! -e gate ]; do sleep 0.02; done; exit 0' TERM
        echo "A start $$" >> journal; while :; do sleep 0.02; done"#;
    let mut a = scene.start("A", &["--listen", &at, "--grace-ms", "3000000"], script);
    a.says("is ACTIVE, token");
    scene.line("A start");
    a.signal(Signal::TERM);
    scene.line("A drains");
    // More than once, as a machine that stands still for a second looks like a run that hangs.
    healthy(&at);
    assert_eq!(get(&at, "/readyz", "*/*").0, 503, "nobody should come to it any more");
    std::fs::write(scene.folder().join("gate"), "").unwrap();
    assert_eq!(a.ended().code(), Some(0));
}

#[test]
fn strangers_hold_up_nobody() {
    let scene = Scene::new();
    let port = Port::take();
    let at = port.address();
    let mut a = scene.start("A", &["--listen", &at], BUSY);
    a.says("is ACTIVE, token");
    // As many as are served at once, and more.
    let mut silent: Vec<_> = (0..80).map(|_| asked(&at, "GET /healthz HTTP/1.1\r\nHost:")).collect();
    healthy(&at);
    let told = answer(&mut silent[0]);
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 408 "), "a head that does not end is waited for: {told}");
    let large = format!("GET /healthz HTTP/1.0\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    let mut stream = TcpStream::connect(&at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(large.as_bytes());
    let mut told = [0; 12];
    let length = stream.read(&mut told).unwrap_or(0);
    assert!(length == 0 || told.starts_with(b"HTTP/1.0 431") || told.starts_with(b"HTTP/1.1 431"), "{told:?}");
    for odd in ["\0\0\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "POST /healthz HTTP/1.0\r\nContent-Length: 9999999\r\n\r\n"]
    {
        assert!(!answer(&mut asked(&at, odd)).contains(" 200 "), "{odd:?}");
    }
    healthy(&at);
    assert_eq!(a.stop().code(), Some(0));
}
