//! The death of a whole process, seen by another one of the same host.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use coordha::config::keys;
use coordha::session::{EventKind, Session};

use crate::world::{PATIENCE, activate, config, expect, stop, with};

const URL: &str = "COORDHA_TEST_URL";

/// A coordinator in a process of its own: this test, called by another one.
#[test]
fn child() {
    let Ok(url) = std::env::var(URL) else {
        return;
    };
    // One that hangs is ended.
    nix::unistd::alarm::set(180);
    let session = Session::start(&slow(&url, 1), None).unwrap();
    println!("token {}", activate(&session));
    while session.next_event(Some(PATIENCE)).is_ok() {}
}

/// H so long that nobody who waits for it can be in time for the test.
fn slow(url: &str, port: u16) -> coordha::config::Config {
    let config = with(config(url, port), keys::LEASE_TTL_MS, "300000");
    with(config, keys::ELECTION_HOLD_MS, "60000")
}

/// This very binary once more, for one of its tests. Dropped, it is killed.
pub(crate) struct Again(pub(crate) Child);

impl Again {
    pub(crate) fn start(test: &str, variable: &str, value: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(variable, value).stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_child(url: &str) -> (Again, i64) {
    let mut child = Again::start("takeover::child", URL, url);
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let token = lines.find_map(|line| {
        let line = line.unwrap();
        line.rsplit_once("token ").and_then(|(_, token)| token.parse().ok())
    });
    (child, token.unwrap())
}

pub(crate) fn a_killed_process_is_followed(url: &str) {
    let (mut child, old) = start_child(url);
    let session = Session::start(&slow(url, 2), None).unwrap();
    let standby = expect(&session, EventKind::Standby);
    assert_eq!(standby.token(), old);
    child.0.kill().unwrap();
    // 75 s by the hold time alone; the event must come in 60.
    let new = activate(&session);
    assert!(new > old);
    child.0.wait().unwrap();
    stop(&session);
}

#[test]
fn f01_a_killed_process_of_this_host_is_followed_without_waiting_for_its_hold_time() {
    let directory = tempfile::tempdir().unwrap();
    a_killed_process_is_followed(&format!("local:{}", directory.path().display()));
}
