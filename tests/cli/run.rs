//! `coordha run`: when its command is started and stopped, and how it ends.

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use crate::command::{below, coordha, not_under_nohup, ran};
use crate::running::{BRIEF, BUSY, LONG, Running, Scene, is_stopped, lives, until_dead};
use crate::support::skip;
use crate::support::wait::until;

#[test]
fn the_command_is_started_by_the_active_one_alone_and_finds_its_environment() {
    let scene = Scene::new();
    let script =
        r#"echo "$NAME $HA_STATE $HA_ROLE $HA_ADDRESS $HA_TOKEN $HA_SERVER_ID $HA_ACTIVE_KEY" >> journal; sleep 600"#;
    let mut a = scene.start("A", &[], script);
    let told = scene.line("A ");
    let words: Vec<&str> = told.split(' ').collect();
    let [state, role, address, token, server_id, key] = words[..] else { panic!("{told}") };
    assert_eq!((state, role, address), ("active", "rootcoord", "127.0.0.1:1065"));
    assert!(token.parse::<i64>().unwrap() > 0 && server_id.parse::<i64>().unwrap() > 0);
    assert_eq!(key, "by-dev/meta/session/rootcoord");

    let mut b = scene.start("B", &[], script);
    b.says("enter STANDBY mode, ACTIVE is 127.0.0.1:1065");
    assert_eq!(b.stop().code(), Some(0));
    assert_eq!(a.stop().code(), Some(0));
    assert_eq!(scene.journal().len(), 1, "the standby has started nothing");
}

#[test]
fn a_killed_command_frees_the_role_and_the_standbys_command_runs() {
    let scene = Scene::new();
    let mut a = scene.start("A", &["--restart-backoff-ms", "60000"], BUSY);
    let first = scene.line("A start");
    let mut b = scene.start("B", &[], BUSY);
    b.says("enter STANDBY mode");
    let (token, pid) = first.split_once(' ').unwrap();
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    let next = scene.line("B start");
    assert!(next.split_once(' ').unwrap().0.parse::<i64>().unwrap() > token.parse().unwrap());
    a.says("the command has ended: signal 9; it is started again after 60000 ms");
    a.says("resigning: the command has ended: signal 9");
    scene.assert_ended_before("A", "B");
    assert_eq!(b.stop().code(), Some(0));
    assert_eq!(a.stop().code(), Some(0));
}

#[test]
fn a_planned_stop_keeps_the_role_until_the_command_has_ended() {
    let scene = Scene::new();
    let script = r#"
        trap 'echo "A drains" >> journal; sleep 0.3; echo "A has drained" >> journal; exit 0' TERM
        echo "A start" >> journal; while :; do sleep 0.02; done"#;
    let mut a = scene.start("A", &[], script);
    scene.line("A start");
    let mut b = scene.start("B", &[], BUSY);
    b.says("enter STANDBY mode");
    assert_eq!(a.stop().code(), Some(0));
    scene.line("B start");
    scene.assert_ended_before("A", "B");
    assert_eq!(scene.count("A has drained"), 1);
    b.stop();
}

#[test]
fn a_command_that_ignores_its_signal_is_killed_after_the_grace() {
    let scene = Scene::new();
    let script =
        r#"trap 'echo "A ignores" >> journal' HUP; echo "A start $$" >> journal; while :; do sleep 0.02; done"#;
    // A grace in which it can say so on a busy machine.
    let usual = scene.usual("A", &["--stop-signal", "SIGHUP", "--grace-ms", "4000"], script);
    let mut a = Running::start("A", not_under_nohup(&usual));
    let pid = scene.line("A start");
    assert_eq!(a.stop().code(), Some(0));
    assert_eq!(scene.count("A ignores"), 1, "it was told first, by its own signal");
    a.says("the command is killed: it did not stop in time");
    until_dead(&pid);
}

#[test]
fn a_second_signal_kills_the_command_at_once() {
    let scene = Scene::new();
    // It says so after the time in which two signals are one.
    let script = r#"
        trap 'sleep 0.6; echo "A ignores" >> journal' TERM
        echo "A start" >> journal; while :; do sleep 0.02; done"#;
    let mut a = scene.start("A", &["--grace-ms", "3000000"], script);
    scene.line("A start");
    a.signal(Signal::TERM);
    scene.line("A ignores");
    assert_eq!(a.stop().code(), Some(0), "a grace of 50 minutes is not waited for");
    a.says("asked to stop once more: the command is killed");
}

#[test]
fn two_signals_at_the_same_time_leave_the_command_its_grace() {
    let scene = Scene::new();
    let script = r#"
        trap 'sleep 0.1; echo "A has drained" >> journal; exit 0' TERM
        echo "A start" >> journal; while :; do sleep 0.02; done"#;
    let mut a = scene.start("A", &["--grace-ms", "3000000"], script);
    scene.line("A start");
    // Both are there when it looks.
    a.signal(Signal::STOP);
    until("it is stopped", || is_stopped(a.pid()).then_some(()));
    a.signal(Signal::TERM);
    a.signal(Signal::INT);
    a.signal(Signal::CONT);
    assert_eq!(a.ended().code(), Some(0));
    assert_eq!(scene.count("A has drained"), 1);
}

#[test]
fn a_hangup_that_is_ignored_as_by_nohup_stays_ignored() {
    let scene = Scene::new();
    let script = r#"echo "A start $$" >> journal; while :; do echo "A lives $$" >> journal; sleep 0.02; done"#;
    let run = scene.usual("A", &["--restart-backoff-ms", "1"], script);
    let mut a = Running::start("A", below(&run, "/bin/sh", &["-c", r#"trap "" HUP; exec "$@""#, "sh"]));
    let first = scene.line("A start");
    let pid = Pid::from_raw(first.parse().unwrap()).unwrap();
    a.signal(Signal::HUP);
    kill_process(pid, Signal::HUP).unwrap();
    let written = scene.count(&format!("A lives {first}"));
    until("the command lives on", || (scene.count(&format!("A lives {first}")) > written + 5).then_some(()));
    kill_process(pid, Signal::KILL).unwrap();
    a.says("the command has ended: signal 9; it is started again after 1 ms");
    until("the next one", || scene.journal().iter().filter(|line| line.starts_with("A start")).nth(1).map(drop));
    assert_eq!(a.stop().code(), Some(0));
}

/// In the group of the command, in a group of its own, and an orphan in a session of its own.
const FAMILY: &str = r#"
    sleep 600 & echo "A child $!" >> journal
    setsid sh -c 'echo "A apart $$" >> journal; exec sleep 600' &
    sh -c 'setsid sh -c "echo \"A orphan \$\$\" >> journal; exec sleep 600" & '
    echo "A start $$" >> journal
    wait"#;
const MEMBERS: [&str; 4] = ["A child", "A apart", "A orphan", "A start"];

fn family_goes(options: &[&str], end: impl Fn(&mut Running)) {
    let scene = Scene::new();
    let mut a = scene.start("A", options, FAMILY);
    let pids = MEMBERS.map(|member| scene.line(member));
    end(&mut a);
    for pid in pids {
        until_dead(&pid);
    }
}

#[test]
fn all_that_a_command_has_started_ends_before_the_role_is_released() {
    let end = |a: &mut Running| {
        let cgroup = a.cgroup();
        assert_eq!(a.stop().code(), Some(0));
        if let Some(cgroup) = cgroup {
            assert!(!cgroup.exists(), "{cgroup:?} is left behind");
        }
    };
    family_goes(&[], end);
    family_goes(&["--cgroup", "off"], end);
}

#[test]
fn children_of_a_shell_that_has_become_coordha_run_are_left_alone() {
    let scene = Scene::new();
    let run = scene.command("A", &["--cgroup", "off"], BUSY);
    let mut a = Running::start(
        "A",
        below(&run, "/bin/sh", &["-c", r#"sleep 600 & echo "other $!" >> journal; exec "$@""#, "sh"]),
    );
    scene.line("A start");
    let other = scene.line("other");
    assert_eq!(a.stop().code(), Some(0));
    assert!(lives(&other));
    kill_process(Pid::from_raw(other.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn f71_a_killed_run_takes_its_command_and_all_that_it_has_started_with_it() {
    let kill = |a: &mut Running| {
        let cgroup = a.cgroup();
        a.signal(Signal::KILL);
        let Some(cgroup) = cgroup else { return };
        until("the cgroup is gone", || (!cgroup.exists()).then_some(()));
    };
    let scene = Scene::new();
    let mut probe = scene.start("A", &[], "sleep 600");
    let has_cgroup = probe.cgroup().is_some();
    probe.stop();
    if has_cgroup {
        family_goes(&[], kill);
    } else {
        skip("f71_a_killed_run_takes_its_command_and_all_that_it_has_started_with_it", "no cgroup can be made here");
    }
}

#[test]
fn f71_without_a_cgroup_a_killed_run_takes_the_group_of_its_command_with_it() {
    let scene = Scene::new();
    let script = r#"sleep 600 & echo "A child $!" >> journal; echo "A start $$" >> journal; wait"#;
    let a = scene.start("A", &["--cgroup", "off"], script);
    let pids = ["A child", "A start"].map(|member| scene.line(member));
    a.signal(Signal::KILL);
    for pid in pids {
        until_dead(&pid);
    }
}

#[test]
fn cgroups_that_dead_runs_have_left_behind_are_removed_and_no_other_ones() {
    let name = "cgroups_that_dead_runs_have_left_behind_are_removed_and_no_other_ones";
    let scene = Scene::new();
    let mut a = scene.start("A", &[], BUSY);
    scene.line("A start");
    let Some(own) = a.cgroup() else { return skip(name, "no cgroup can be made here") };
    let parent = own.parent().unwrap();
    let left = parent.join(format!("coordha-run-{}-1", std::process::id()));
    let foreign = parent.join(format!("coordha-{}", std::process::id()));
    let anothers = parent.join(format!("coordha-run-{}-2", std::process::id()));
    for folder in [&left, &foreign] {
        std::fs::create_dir(folder).unwrap();
    }
    // As whoever has made it holds it for as long as it lives, though it may be empty for a moment. The run of another
    // test may remove it before it is held.
    let _lock = until("it is held", || {
        let _ = std::fs::create_dir(&anothers);
        let lock = std::fs::File::open(&anothers).ok()?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
        anothers.exists().then_some(lock)
    });
    let mut b = scene.start("B", &[], BUSY);
    b.says("enter STANDBY mode");
    assert!(!left.exists(), "it was left behind");
    assert!(own.exists() && foreign.exists() && anothers.exists());
    let held = std::fs::File::open(&own).unwrap();
    assert!(flock(&held, FlockOperation::NonBlockingLockExclusive).is_err(), "A lives");
    std::fs::remove_dir(&anothers).unwrap();
    std::fs::remove_dir(&foreign).unwrap();
    b.stop();
    a.stop();
}

#[test]
fn f71_without_a_cgroup_what_has_left_the_group_dies_with_a_killed_run_too() {
    family_goes(&["--cgroup", "off"], |a| a.signal(Signal::KILL));
}

#[test]
fn f71_without_a_cgroup_what_has_left_the_group_dies_at_the_deadline_of_a_stopped_run() {
    family_goes(&[&BRIEF[..], &["--cgroup", "off"]].concat(), |a| a.signal(Signal::STOP));
}

#[test]
fn a_command_that_ends_by_itself_passes_its_status_on_where_it_is_not_restarted() {
    let scene = Scene::new();
    let cases = [
        ("never", "exit 0", 0),
        ("never", "exit 7", 7),
        ("never", "kill -KILL $$", 128 + 9),
        ("never", "kill -TERM $$", 128 + 15),
        ("on-failure", "exit 0", 0),
    ];
    for (restart, script, code) in cases {
        let mut run = scene.start("A", &["--restart", restart], script);
        assert_eq!(run.ended().code(), Some(code), "--restart {restart}: {script}: {:#?}", run.said());
    }
}

#[test]
fn a_command_that_ends_again_and_again_is_started_after_pauses_that_double() {
    let scene = Scene::new();
    for restart in ["always", "on-failure"] {
        let mut a = scene.start(
            "A",
            &["--restart", restart, "--restart-backoff-ms", "10"],
            r#"echo "exit" >> journal; exit 3"#,
        );
        for pause in [10, 20, 40, 80] {
            a.says(&format!("the command has ended: exit status 3; it is started again after {pause} ms"));
        }
        assert_eq!(a.stop().code(), Some(0), "it was asked to end");
    }
    assert!(scene.count("exit") >= 8);
}

#[test]
fn an_exclusive_one_runs_alone_and_a_second_one_names_who_is_in_its_way() {
    let scene = Scene::new();
    let exclusive = |name| scene.command(name, &[&LONG[..], &["--set", "exclusive.wait_ms=0"]].concat(), BUSY);
    let mut a = Running::start("A", exclusive("A"));
    scene.line("A start");
    let second = ran(&mut exclusive("B"));
    assert_eq!(second.code, 4, "{}", second.stderr);
    let last = second.stderr.lines().last().unwrap();
    assert!(last.starts_with("coordha: ") && last.contains("127.0.0.1:1065"), "{last}");
    assert_eq!(a.stop().code(), Some(0));
    assert!(scene.journal().iter().all(|line| line.starts_with('A')));
}

#[test]
fn what_is_wrong_is_said_in_one_message_before_anything_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("local:{}", folder.path().join("store").display());
    let usual = ["run", "--role", "rootcoord", "--store", &store, "--address", "127.0.0.1:1"];
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    std::fs::create_dir(folder.path().join("directory")).unwrap();
    let deep = format!("socket:{}", "x".repeat(108));
    let cases: [(&[&str], &str); 31] = [
        (&["--", "no-such-command"], "no-such-command"),
        (&["--", "./no-such-file"], "./no-such-file"),
        (&["--", "/etc/passwd"], "not executable"),
        (&[], "COMMAND"),
        (&["--stop-signal", "SIGNOTHING", "--", "true"], "SIGNOTHING"),
        (&["--stop-signal", "STOP", "--", "true"], "'--stop-signal <SIGNAL>': no command can act by it (allowed: TERM"),
        (&["--grace-ms", "-1", "--", "true"], "-1"),
        (&["--grace-ms", "3599001", "--", "true"], "'--grace-ms <MS>': 3599001 is not in 0..=3599000"),
        (
            &["--grace-ms", "4501", "--set", "deactivation.timeout_ms=5000", "--", "true"],
            "--grace-ms 4501: too long for deactivation.timeout_ms = 5000 (allowed: 0 to 4500, or",
        ),
        (&["--restart-backoff-ms", "600001", "--", "true"], "'--restart-backoff-ms <MS>': 600001 is not in 0..=600000"),
        (&["--restart", "sometimes", "--", "true"], "always"),
        (&["--warm", "--", "true"], "--tell"),
        (&["--warm", "--tell", "pigeon:1", "--", "true"], "signal:NAME, file:PATH, socket:PATH"),
        (&["--warm", "--tell", "signal:KILL", "--", "true"], "'--tell <HOW>': no command can act by it (allowed: TERM"),
        (
            &["--warm", "--tell", "file:no/such/x", "--", "true"],
            "--tell file:no/such/x: no folder to write in (allowed",
        ),
        (
            &["--warm", "--tell", "file:directory", "--", "true"],
            "--tell file:directory: not a file (allowed: a file that is there, or none yet)",
        ),
        (&["--warm", "--tell", "file:x/", "--", "true"], "--tell file:x/: not a file"),
        (&["--warm", "--tell", "file:/dev/null", "--", "true"], "--tell file:/dev/null: not a file"),
        (
            &["--warm", "--tell", "socket:directory", "--", "true"],
            "--tell socket:directory: a directory (allowed: the path of a Unix socket",
        ),
        (&["--warm", "--tell", &deep, "--", "true"], &format!("--tell {deep}: path must be shorter than SUN_LEN (al")),
        (&["--tell", "file:x", "--", "true"], "--warm"),
        (&["--warm", "--tell", "file:x", "--standby", "true", "--", "true"], "--standby"),
        (&["--ready-url", "https://x/", "--", "true"], "http://HOST:PORT/PATH"),
        (&["--ready-url", "http:// /", "--", "true"], "http://HOST:PORT/PATH"),
        (&["--ready-url", "http://:80/", "--", "true"], "http://HOST:PORT/PATH"),
        (&["--set", "activation.auto=true", "--", "true"], "activation.auto = true"),
        (&["--listen", "nowhere", "--", "true"], "--listen nowhere: "),
        (&["--listen", "127.0.0.1:0x1", "--", "true"], "(allowed: HOST:PORT of this host that is free)"),
        (&["--set", "lease.ttl_ms=1", "--", "true"], "lease.ttl_ms"),
        (&["--cgroup", "no/such/folder", "--", "true"], "--cgroup no/such/folder"),
        (&["--listen", &taken, "--", "true"], &taken),
    ];
    for (options, named) in cases {
        let mut command = coordha(folder.path(), usual.iter().chain(options));
        let ran = ran(command.env("PATH", "/usr/bin:/bin"));
        assert_eq!(ran.code, 2, "{options:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(named), "{options:?}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{options:?}");
        assert!(!folder.path().join("store").exists(), "{options:?} has touched the store");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["directory"], "what the test has made, and no more");
}

#[test]
fn a_store_that_cannot_be_used_ends_it_with_nothing_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("store"), "a file").unwrap();
    let store = format!("local:{}", folder.path().join("store").display());
    let args = ["run", "--role", "r", "--store", &store, "--address", ":1", "--", "true"];
    let ran = ran(coordha(folder.path(), args).env("PATH", "/usr/bin:/bin"));
    assert!(ran.code == 2 || ran.code == 3, "{}: {}", ran.code, ran.stderr);
    assert!(ran.stderr.lines().last().unwrap().starts_with("coordha: "), "{}", ran.stderr);
}
