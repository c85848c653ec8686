//! Whole processes that are killed, told to end, stopped, or shown another time.

use std::time::Instant;

use coordha::config::keys;
use coordha::session::EventKind;
use rustix::process::Signal;

use crate::child::Child;
use crate::place::{ACTIVE_KEY, Place};
use crate::support::wait::until;

/// A hold time that nobody can have waited for before a test gives up.
const LONG_HOLD: &[(&str, &str)] = &[(keys::LEASE_TTL_MS, "300000"), (keys::ELECTION_HOLD_MS, "60000")];

/// A lease as short as etcd grants it.
const SHORT_LEASE: &[(&str, &str)] = &[(keys::LEASE_TTL_MS, "2000"), (keys::ELECTION_HOLD_MS, "1000")];

/// When a child said "left". Another may be known to be active before what this one said has been read.
fn left_at(child: &Child) -> i64 {
    let line = child.line("left", 1);
    let (_, at) = line.rsplit_once(' ').unwrap();
    at.parse().unwrap()
}

#[test]
fn f01_a_killed_holder_is_followed_within_the_time_of_its_lease() {
    let place = Place::start();
    let mut a = place.child("A", 1, &[]);
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    let ttl = b.nth(EventKind::Registered, 1).1.ttl_ms();
    let killed = Instant::now();
    a.kill();
    b.active_after(token);
    let (active, _) = b.nth(EventKind::Active, 1);
    let took = active.duration_since(killed).as_millis();
    assert!(took < ttl as u128 + 1_000, "{took} ms");
    drop(a);
    place.everyone_can_win(vec![b]);
}

#[test]
fn f02_a_holder_told_to_end_has_left_before_the_next_one_begins() {
    let place = Place::start();
    let mut a = place.child("A", 1, LONG_HOLD);
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    a.signal(Signal::TERM);
    // By the hold time it would be 75 s, more than the test waits.
    b.active_after(token);
    a.event_after(0, "ENDED");
    let (_, won) = b.nth(EventKind::Activate, 1);
    assert!(left_at(&a) <= won.at_ms());
    assert_eq!(a.event_after(token, "TERM_ENDED").reason, "STOP");
    a.end();
    drop(a);
    place.everyone_can_win(vec![b]);
}

#[test]
fn f03_a_holder_that_drains_for_5_s_keeps_the_role_until_it_has() {
    let place = Place::start();
    let mut a = place.child("A", 1, &[(keys::DEACTIVATION_TIMEOUT_MS, "60000")]);
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    assert_eq!(a.ask("drain"), "drains");
    a.signal(Signal::TERM);
    a.event_after(token, "DEACTIVATE");
    // Renewed all the while, each 1.25 s, and past the wait of B.
    place.wait_for_renewals(6);
    assert_eq!(a.ask(&format!("check {token}")), "true");
    assert!(a.ask(&format!("write {token} app/a")).starts_with("wrote"));
    assert_eq!(b.count(EventKind::Activate), 0);
    a.tell(&format!("left {token}"));
    let new = b.active_after(token);
    b.write(new, "app/a").unwrap();
    let (_, won) = b.nth(EventKind::Activate, 1);
    assert!(left_at(&a) <= won.at_ms());
    a.event_after(0, "ENDED");
    a.end();
    drop(a);
    place.everyone_can_win(vec![b]);
}

#[test]
fn f07_a_standby_told_to_end_does_so_and_takes_its_key_along() {
    let place = Place::start();
    let a = place.coordinator("A", &place.config(1));
    let token = a.active_after(0);
    let mut b = place.child("B", 2, LONG_HOLD);
    b.standby();
    let members = || place.etcd.ctl(&["get", "--prefix", "--keys-only", ACTIVE_KEY]);
    assert_eq!(members().split_whitespace().count(), 3);
    b.signal(Signal::TERM);
    b.event_after(0, "ENDED");
    b.end();
    assert_eq!(members().split_whitespace().count(), 2);
    assert!(a.session.holds(token));
    drop(b);
    place.everyone_can_win(vec![a]);
}

#[test]
fn f23_a_holder_that_was_frozen_past_its_lease_knows_it_at_once() {
    let place = Place::start();
    let mut a = place.child("A", 1, SHORT_LEASE);
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    a.signal(Signal::STOP);
    let new = b.active_after(token);
    b.write(new, "app/a").unwrap();
    until("the lease of A has expired", || {
        let keys = place.etcd.ctl(&["get", "--prefix", "--keys-only", ACTIVE_KEY]);
        (keys.split_whitespace().count() == 2).then_some(())
    });
    // It waits there when A wakes up.
    a.tell(&format!("check {token}"));
    a.signal(Signal::CONT);
    assert_eq!(a.reply(1), "false");
    assert_eq!(a.ask(&format!("write {token} app/a")), "refused FENCED");
    assert_eq!(a.event_after(token, "TERM_ENDED").reason, "EXPIRED");
    until("A is registered again", || {
        let events = a.lines("event");
        let registered = events.iter().filter(|e| e.starts_with("REGISTERED"));
        (registered.count() >= 2).then_some(())
    });
    place.all_can_win(vec![Box::new(a), Box::new(b)]);
}

/// A place outside of etcd that takes a write only with the highest token that it has seen.
#[derive(Default)]
struct Ledger {
    highest: i64,
    taken: Vec<(i64, &'static str)>,
}

impl Ledger {
    fn write(&mut self, token: i64, writer: &'static str) -> bool {
        let taken = token >= self.highest;
        if taken {
            self.highest = token;
            self.taken.push((token, writer));
        }
        taken
    }
}

#[test]
fn f24_a_holder_frozen_between_its_check_and_its_write_is_refused_by_the_token() {
    let place = Place::start();
    let mut a = place.child("A", 1, &[]);
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    let mut ledger = Ledger::default();
    assert!(a.ask(&format!("guarded {token} app/a")).starts_with("wrote"));
    assert!(ledger.write(token, "A"));
    // What A has checked here it acts on when it wakes up, and checks nothing more.
    assert_eq!(a.ask(&format!("check {token}")), "true");
    a.signal(Signal::STOP);
    let new = b.active_after(token);
    b.write(new, "app/a").unwrap();
    assert!(ledger.write(new, "B"));
    a.signal(Signal::CONT);
    assert_eq!(a.ask(&format!("guarded {token} app/a")), "refused BY_THE_STORE");
    assert!(!ledger.write(token, "A"));
    assert_eq!(ledger.taken, [(token, "A"), (new, "B")]);
    assert_eq!(place.value("app/a"), Some(new.to_string()));
    a.event_after(token, "TERM_ENDED");
    place.all_can_win(vec![Box::new(a), Box::new(b)]);
}

/// The library that moves a child's wall clock, built into `folder`.
fn wall_clock(folder: &std::path::Path) -> std::path::PathBuf {
    let library = folder.join("wall_clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/wall_clock.c");
    let built = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([library.as_os_str(), source.as_ref()])
        .status();
    assert!(built.unwrap().success());
    library
}

/// A child whose wall clock goes wrong by what `offset` says, such as `+3600`.
fn misled(place: &Place, name: &str, number: u16, offset: &std::path::Path, library: &std::path::Path) -> Child {
    let mut command = std::process::Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).env("LD_PRELOAD", library).env("WALL_CLOCK_OFFSET", offset);
    place.child_by(command, name, number, &[])
}

#[test]
fn f26_a_wall_clock_that_jumps_an_hour_changes_nothing() {
    let place = Place::start();
    let folder = tempfile::tempdir().unwrap();
    let library = wall_clock(folder.path());
    let offset = folder.path().join("offset");
    let jump = |seconds: &str| std::fs::write(&offset, seconds).unwrap();
    jump("+0");
    let mut a = misled(&place, "A", 1, &offset, &library);
    let token = a.active_after(0);
    let mut b = misled(&place, "B", 2, &offset, &library);
    b.standby();
    for seconds in [3_600, -3_600] {
        let wall = |child: &mut Child| child.ask("clock").parse::<i64>().unwrap();
        jump("+0");
        let before = [wall(&mut a), wall(&mut b)];
        jump(&format!("{seconds:+}"));
        for (child, before) in [&mut a, &mut b].into_iter().zip(before) {
            let jumped = wall(child) - before - seconds * 1_000;
            assert!((0..600_000).contains(&jumped), "{jumped} ms off");
        }
        place.wait_for_renewals(8);
        assert_eq!(a.ask(&format!("check {token}")), "true");
        let told = a.lines("event").join("\n");
        assert!(!told.contains("TERM_ENDED"), "{told}");
    }
    assert!(!b.lines("event").join("\n").contains("ACTIVATE"));
    place.all_can_win(vec![Box::new(a), Box::new(b)]);
}

#[test]
fn f27_a_starved_runtime_cannot_delay_the_end_of_a_term() {
    let place = Place::start();
    let mut a = place.child("A", 1, &[]);
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    a.tell("starve on");
    let ended = a.event_after(token, "TERM_ENDED");
    assert_eq!(ended.reason, "EXPIRED");
    assert_eq!(a.ask(&format!("check {token}")), "false");
    let newer = b.active_after(token);
    let (_, won) = b.nth(EventKind::Activate, 1);
    assert!(ended.at_ms <= won.at_ms());
    // Ten seconds of it, by the renewals of B.
    place.wait_for_renewals(8);
    a.tell("starve off");
    a.event_after(newer, "HOLDER");
    place.all_can_win(vec![Box::new(a), Box::new(b)]);
}
