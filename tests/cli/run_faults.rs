//! `coordha run` in trouble: two commands never run at once, whatever becomes of it, of its role or of the store.

use rustix::process::{Pid, Signal, kill_process};

use crate::run_served::get;
use crate::running::{BRIEF, BUSY, LONG, Running, Scene};
use crate::support::etcd::Etcd;
use crate::support::ports::Port;
use crate::support::wait::until;

const ACTIVE_KEY: &str = "by-dev/meta/session/rootcoord";
const TERM_KEY: &str = "by-dev/meta/ha/rootcoord/term";

/// A is active and B stands by; after `trouble` B's command runs, and A's has ended before.
fn b_follows(scene: &Scene, options: &[&str], trouble: impl FnOnce(&mut Running)) -> (Running, Running) {
    let mut a = scene.start("A", &[options, &["--restart-backoff-ms", "60000"]].concat(), BUSY);
    scene.line("A start");
    let b = scene.start("B", options, BUSY);
    b.says("enter STANDBY mode");
    scene.line("A lives");
    trouble(&mut a);
    scene.line("B start");
    scene.line("B lives");
    scene.assert_ended_before("A", "B");
    (a, b)
}

#[test]
fn f71_a_standby_follows_a_killed_run_once_its_command_is_dead() {
    for options in [BRIEF.to_vec(), [&BRIEF[..], &["--cgroup", "off"]].concat()] {
        let scene = Scene::new();
        let (_, mut b) = b_follows(&scene, &options, |a| a.signal(Signal::KILL));
        assert_eq!(b.stop().code(), Some(0));
    }
}

#[test]
fn f71_a_standby_on_etcd_follows_a_killed_run_once_its_command_is_dead() {
    let etcd = Etcd::start();
    let scene = Scene::on(&etcd.endpoints());
    let (_, mut b) = b_follows(&scene, &BRIEF, |a| a.signal(Signal::KILL));
    assert_eq!(b.stop().code(), Some(0));
}

#[test]
fn f71_the_guardian_kills_the_command_of_a_run_that_is_stopped_past_its_deadline() {
    for options in [&[][..], &["--cgroup", "off"]] {
        let scene = Scene::new();
        let (mut a, mut b) = b_follows(&scene, options, |a| a.signal(Signal::STOP));
        a.says("the guardian has killed the command: its role was not renewed in time");
        a.signal(Signal::CONT);
        a.says("the command has ended: signal 9");
        assert_eq!(b.stop().code(), Some(0));
        assert_eq!(a.stop().code(), Some(0));
    }
}

#[test]
fn a_command_that_is_not_restarted_follows_a_lost_role_all_the_same() {
    let scene = Scene::new();
    for options in [&[][..], &["--cgroup", "off"]] {
        let mut a = scene.start("A", &[options, &["--restart", "never"]].concat(), BUSY);
        let first = scene.line("A start").rsplit(' ').next().unwrap().to_owned();
        a.signal(Signal::STOP);
        crate::running::until_dead(&first);
        a.signal(Signal::CONT);
        a.says("the command has ended: signal 9");
        let next = until("the next term", || {
            let starts = scene.journal().into_iter().filter(|line| line.starts_with("A start"));
            starts.filter_map(|line| line.rsplit(' ').next().map(str::to_owned)).find(|pid| *pid != first)
        });
        // What it does by itself ends all.
        kill_process(Pid::from_raw(next.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
        assert_eq!(a.ended().code(), Some(128 + 9));
        std::fs::remove_file(scene.folder().join("journal")).unwrap();
    }
}

#[test]
fn a_command_that_is_not_restarted_is_started_anew_where_its_role_was_taken_away() {
    let etcd = Etcd::start();
    let scene = Scene::on(&etcd.endpoints());
    let mut a = scene.start("A", &["--restart", "never"], BUSY);
    scene.line("A start");
    a.says("is ACTIVE, token");
    etcd.ctl(&["del", ACTIVE_KEY]);
    a.says("the command is killed: its role is over");
    until("the next term", || scene.journal().iter().filter(|line| line.starts_with("A start")).nth(1).map(drop));
    assert_eq!(a.stop().code(), Some(0));
}

#[test]
fn f71_a_guardian_that_is_killed_is_replaced() {
    let scene = Scene::new();
    let a = scene.start("A", &[], BUSY);
    scene.line("A start");
    let pid = a.guardian();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    a.says("the guardian has died: another one is started");
    assert_ne!(a.guardian(), pid);
    a.signal(Signal::KILL);
    let written = scene.line("A start");
    crate::running::until_dead(written.split_once(' ').unwrap().1);
}

#[test]
fn a_command_whose_role_is_taken_away_is_killed_before_the_next_term() {
    let etcd = Etcd::start();
    let scene = Scene::on(&etcd.endpoints());
    let mut a = scene.start("A", &[], BUSY);
    let first = scene.line("A start");
    let (token, pid) = first.split_once(' ').unwrap();
    scene.line("A lives");
    etcd.ctl(&["del", ACTIVE_KEY]);
    a.says("the command is killed: its role is over");
    // Nobody else stands by: it follows itself.
    until("the next term", || scene.journal().iter().filter(|line| line.starts_with("A start")).nth(1).map(drop));
    let next = scene.journal().into_iter().rfind(|line| line.starts_with("A start")).unwrap();
    scene.assert_ended_before(&format!("A lives {pid}"), &next);
    assert!(next.split(' ').nth(2).unwrap().parse::<i64>().unwrap() > token.parse().unwrap());
    assert_eq!(a.stop().code(), Some(0));
    assert!(etcd.ctl(&["get", TERM_KEY]).contains("\"State\":\"released\""));
}

#[test]
fn a_command_whose_role_cannot_be_renewed_is_told_to_stop_then_killed_before_the_deadline() {
    let mut etcd = Etcd::start();
    let scene = Scene::on(&etcd.endpoints());
    let deaf = r#"
        trap 'echo "A is told" >> journal' TERM
        echo "A start" >> journal
        while :; do echo "A lives" >> journal; sleep 0.02; done"#;
    // Long enough for a busy machine to let it say that it was told.
    let mut a = scene.start("A", &[&LONG[..], &["--restart-backoff-ms", "60000"]].concat(), deaf);
    scene.line("A start");
    let mut b = scene.start("B", &[], BUSY);
    b.says("enter STANDBY mode, ACTIVE is");
    etcd.stop(0);
    a.says("the role could not be renewed for long: the command is told to stop");
    scene.line("A is told");
    a.says("the command is killed: its role is over, or nearly so");
    a.says("is no longer ACTIVE");
    etcd.restart(0);
    scene.line("B start");
    scene.assert_ended_before("A", "B");
    b.stop();
    a.stop();
}

#[test]
fn a_store_that_is_away_for_a_moment_does_not_stop_the_command() {
    let etcd = Etcd::start();
    let scene = Scene::on(&etcd.endpoints());
    // Long enough for a busy machine to let the store come back before the command is told to stop.
    let mut a = scene.start("A", &LONG, BUSY);
    a.says("is ACTIVE, token");
    etcd.pause(0);
    a.says("could not renew, still ACTIVE");
    etcd.resume(0);
    a.says("has renewed again");
    assert_eq!(a.stop().code(), Some(0));
    assert_eq!(scene.journal().iter().filter(|line| line.starts_with("A start")).count(), 1);
}

#[test]
fn why_an_endpoint_failed_is_said_in_plain_words() {
    let etcd = Etcd::start();
    let nobody = Port::take();
    let scene = Scene::on(&[nobody.address(), etcd.endpoint(0)]);
    let mut a = scene.start("A", &[], BUSY);
    let line = a.says("endpoint failed, moving to the next one");
    assert!(line.contains(&format!(" why={}: ", nobody.address())), "{line}");
    assert_eq!(a.stop().code(), Some(0));
}

#[test]
fn a_term_that_an_outage_ends_is_resigned_and_counted_as_jeopardy_too() {
    let mut etcd = Etcd::start();
    let scene = Scene::on(&etcd.endpoints());
    let port = Port::take();
    // Long enough for a busy machine to stop the command before the deadline, where it is told so.
    let mut a = scene.start("A", &[&LONG[..], &["--listen", &port.address()]].concat(), BUSY);
    a.says("is ACTIVE, token");
    etcd.stop(0);
    a.says("resigning: the role could not be renewed");
    a.says("is no longer ACTIVE, reason: RESIGN");
    let metrics = get(&port.address(), "/metrics", "*/*").1;
    let labels = r#"role="rootcoord",root="by-dev/meta""#;
    for line in [
        format!("coordha_jeopardies_total{{{labels}}} 1\n"),
        format!("coordha_terms_ended_total{{{labels},reason=\"resign\"}} 1\n"),
    ] {
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    a.stop();
}
