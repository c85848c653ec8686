//! `coordha run`: the processes that see to it that its command dies with the role, and what becomes of it where one of them is in
//! trouble itself.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _, pipe};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Stdio;

use rustix::fs::OFlags;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::command::coordha;
use crate::running::{BRIEF, BUSY, LONG, Running, Scene, is_stopped, until_dead};
use crate::support::wait::until;

/// Writes to a pipe until it is full.
fn fill(path: &str) {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    let mut pipe = OpenOptions::new().write(true).custom_flags(nonblocking).open(path).unwrap();
    for piece in [&[b'\n'; 4096][..], b"\n"] {
        loop {
            match pipe.write(piece) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{path}: {error}"),
            }
        }
    }
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// The PID of the command that is started as the `n`th, from 0 on.
fn started(scene: &Scene, n: usize) -> String {
    until(&format!("start {n} of the command"), || {
        let line = scene.journal().into_iter().filter(|line| line.starts_with("A start")).nth(n)?;
        Some(line.rsplit(' ').next().unwrap().to_owned())
    })
}

/// Of each command that was started, in this order.
fn tokens(scene: &Scene) -> impl Iterator<Item = String> {
    let starts = scene.journal().into_iter().filter(|line| line.starts_with("A start"));
    starts.map(|line| line.split(' ').nth(2).unwrap().to_owned())
}

fn starts(scene: &Scene) -> usize {
    scene.journal().iter().filter(|line| line.starts_with("A start")).count()
}

/// Waits until the command has done something more.
fn lives_on(scene: &Scene, pid: &str) {
    let line = format!("A lives {pid}");
    let before = scene.count(&line);
    until("the command goes on", || (scene.count(&line) > before + 2).then_some(()));
}

/// Another one than that, which has shown that it listens.
fn next_guardian(a: &Running, old: i32) -> i32 {
    until("another guardian", || Some(a.guardian()).filter(|pid| *pid != old))
}

#[test]
fn f71_the_guardian_kills_though_nobody_reads_what_is_said() {
    let scene = Scene::new();
    let (_reader, writer) = pipe().unwrap();
    let options = [&BRIEF[..], &["--cgroup", "off", "--restart-backoff-ms", "1"]].concat();
    let command = scene.usual("A", &options, BUSY);
    let a = Running::start_with("A", command, Stdio::from(writer.try_clone().unwrap()));
    let mut pid = started(&scene, 0);
    fill(&format!("/proc/self/fd/{}", writer.as_raw_fd()));
    // The first time the guardian has something to say; it must be there the second time.
    for next in [1, 2] {
        a.signal(Signal::STOP);
        until_dead(&pid);
        a.signal(Signal::CONT);
        pid = started(&scene, next);
    }
    // A busy machine may have ended more terms than these.
    let tokens: Vec<String> = tokens(&scene).collect();
    let different: BTreeSet<&String> = tokens.iter().collect();
    assert_eq!(different.len(), tokens.len(), "a command that was killed is followed by none in its term: {tokens:?}");
    a.signal(Signal::STOP);
    until_dead(&pid);
    a.signal(Signal::CONT);
    let pid = started(&scene, 3);
    a.signal(Signal::KILL);
    until_dead(&pid);
}

#[test]
fn f71_a_guardian_that_is_stopped_is_replaced() {
    let scene = Scene::new();
    let a = scene.start("A", &["--cgroup", "off"], BUSY);
    let pid = started(&scene, 0);
    let guardian = a.guardian();
    signal(guardian, Signal::STOP);
    a.says("the guardian does not answer: another one is started");
    next_guardian(&a, guardian);
    until_dead(&guardian.to_string());
    lives_on(&scene, &pid);
    assert_eq!(starts(&scene), 1, "the command has not noticed");
    a.signal(Signal::STOP);
    until_dead(&pid);
    a.says("the guardian has killed the command: its role was not renewed in time");
}

#[test]
fn f71_a_guardian_whose_pipe_is_full_does_not_hold_the_run_up() {
    let scene = Scene::new();
    // It is replaced a quarter of the hold time after it was stopped, and its pipe is gone by then.
    let mut a = scene.start("A", &[&LONG[..], &["--cgroup", "off"]].concat(), BUSY);
    let pid = started(&scene, 0);
    let guardian = a.guardian();
    signal(guardian, Signal::STOP);
    until("it is stopped", || is_stopped(Pid::from_raw(guardian).unwrap()).then_some(()));
    fill(&format!("/proc/{guardian}/fd/0"));
    next_guardian(&a, guardian);
    lives_on(&scene, &pid);
    assert_eq!(starts(&scene), 1);
    assert_eq!(a.stop().code(), Some(0));
}

/// Takes from a run what it would need for another guardian, and kills the one it has.
fn without_guardian(a: &Running) {
    let none = Rlimit { current: Some(3), maximum: Some(3) };
    prlimit(Some(a.pid()), Resource::Nofile, none).unwrap();
    signal(a.guardian(), Signal::KILL);
}

#[test]
fn f71_a_run_that_can_start_no_guardian_gives_the_role_up() {
    let scene = Scene::new();
    let mut a = scene.start("A", &["--cgroup", "off"], BUSY);
    let pid = started(&scene, 0);
    a.says("is ACTIVE, token");
    without_guardian(&a);
    assert_eq!(a.ended().code(), Some(1));
    a.says("coordha: no guardian can be started: ");
    until_dead(&pid);
}

#[test]
fn f71_a_run_that_gives_up_ends_though_nobody_reads_why() {
    let scene = Scene::new();
    let (_reader, writer) = pipe().unwrap();
    let command = scene.usual("A", &["--cgroup", "off"], BUSY);
    let mut a = Running::start_with("A", command, Stdio::from(writer.try_clone().unwrap()));
    let pid = started(&scene, 0);
    fill(&format!("/proc/self/fd/{}", writer.as_raw_fd()));
    without_guardian(&a);
    assert_eq!(a.ended().code(), Some(1));
    until_dead(&pid);
}

#[test]
fn f71_a_keeper_that_is_killed_takes_the_command_with_it() {
    let scene = Scene::new();
    let mut a = scene.start("A", &["--cgroup", "off", "--restart-backoff-ms", "1"], BUSY);
    let pid = started(&scene, 0);
    signal(a.part("__keep"), Signal::KILL);
    until_dead(&pid);
    a.says("the command has ended: signal 9; it is started again after 1 ms");
    started(&scene, 1);
    assert_eq!(a.stop().code(), Some(0));
}

#[test]
fn f71_a_keeper_that_is_stopped_goes_on() {
    let scene = Scene::new();
    let script = r#"
        trap 'exit 0' TERM
        sh -c 'setsid sh -c "echo \"A orphan \$\$\" >> journal; exec sleep 600" & '
        echo "A start $$" >> journal; while :; do sleep 0.02; done"#;
    let mut a = scene.start("A", &["--cgroup", "off"], script);
    started(&scene, 0);
    let orphan = scene.line("A orphan");
    let keeper = a.part("__keep");
    signal(keeper, Signal::STOP);
    until("it goes on", || (!is_stopped(Pid::from_raw(keeper).unwrap())).then_some(()));
    assert_eq!(a.stop().code(), Some(0));
    until_dead(&orphan);
}

#[test]
fn f71_guardian_and_keeper_that_are_stopped_see_the_run_die() {
    let scene = Scene::new();
    for options in [&[][..], &["--cgroup", "off"]] {
        let a = scene.start("A", options, BUSY);
        let pid = started(&scene, 0);
        let parts = [a.part("__guard"), a.part("__keep")];
        // First this one, which would continue and replace them.
        for stopped in [a.pid().as_raw_nonzero().get(), parts[0], parts[1]] {
            signal(stopped, Signal::STOP);
            until("it is stopped", || is_stopped(Pid::from_raw(stopped).unwrap()).then_some(()));
        }
        a.signal(Signal::KILL);
        for left in [pid, parts[0].to_string(), parts[1].to_string()] {
            until_dead(&left);
        }
        fs::remove_file(scene.folder().join("journal")).unwrap();
    }
}

#[test]
fn each_process_has_its_name() {
    let scene = Scene::new();
    let a = scene.start("A", &[], BUSY);
    let pid = started(&scene, 0);
    let b = scene.start("B", &[], BUSY);
    b.says("enter STANDBY mode");
    let name = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim().to_owned();
    let args = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().replace('\0', " ");
    assert_eq!(name(&a.pid().to_string()), "coordha");
    assert_eq!(name(&pid), "sh", "it is the command");
    for of in [&a, &b] {
        for (part, expected) in [("__guard", "coordha-guard"), ("__keep", "coordha-keep")] {
            let pid = of.part(part).to_string();
            until(expected, || (name(&pid) == expected).then_some(()));
            assert!(args(&pid).starts_with(&format!("coordha {part} --parent {} ", of.pid())), "{}", args(&pid));
        }
    }
    let armed = until("what will be the command", || {
        let keeper = b.part("__keep");
        let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
        children.split_whitespace().next().map(str::to_owned)
    });
    until("it has its name", || (name(&armed) == "coordha-exec").then_some(()));
    assert!(args(&armed).starts_with("coordha __exec "), "{}", args(&armed));
}

#[test]
fn a_command_whose_orders_come_too_late_is_not_started() {
    let scene = Scene::new();
    for (until_ns, code, starts) in [("1", 125, 0), ("18446744073709551615", 0, 1), ("0", 0, 2)] {
        let orders = scene.folder().join("orders");
        fs::write(&orders, "").unwrap();
        let own = std::process::id().to_string();
        let part = ["__exec", "--parent", &own, "--orders", "orders", "--", "/bin/sh", "-c", "echo $TOLD >> journal"];
        let mut process = Running::start("exec", coordha(scene.folder(), part));
        until("it stands ready", || is_stopped(process.pid()).then_some(()));
        fs::write(&orders, format!(r#"{{"until":{until_ns},"environment":{{"TOLD":"told"}}}}"#)).unwrap();
        process.signal(Signal::CONT);
        assert_eq!(process.ended().code(), Some(code), "{until_ns}");
        assert_eq!(fs::read(&orders).unwrap() == b"late", code == 125, "{until_ns}");
        assert_eq!(scene.count("told"), starts, "{until_ns}");
    }
}
