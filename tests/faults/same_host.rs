//! What proves on one host that a holder is dead, and what does not.

use std::os::unix::fs::MetadataExt;
use std::process::{Child as Process, Command, Stdio};
use std::time::Duration;

use coordha::config::keys;
use coordha::kv::{Op, Txn};
use coordha::session::EventKind;
use coordha::store::Store;
use coordha::store::etcd::{EtcdOptions, EtcdStore};

use crate::place::{ACTIVE_KEY, Place, TERM_KEY};
use crate::referee::boot_ns;
use crate::support::skip;
use crate::support::wait::until;

/// H of a holder that must be waited for, and the wait: 1.25 times that.
pub(crate) const WAITED_MS: i64 = 4_000;
const WAIT_MS: i64 = 5_000;

/// H of a holder that is proven dead: 75 s would be more than the test waits.
pub(crate) const PROVEN_MS: i64 = 60_000;

const SESSION_ID: &str = "0123456789abcdef0123456789abcdef";

pub(crate) const PROOF: (&str, &str) = (keys::ELECTION_SAME_HOST_PROOF, "true");

/// Any process, to be named as the holder. Dropping it kills it.
pub(crate) struct Holder(Process);

impl Holder {
    pub(crate) fn start(command: &mut Command) -> Self {
        // Lives until its input ends.
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The fields of `/proc/<pid>/stat` after the command: the state is the first of them, the start time the 20th.
fn stat(pid: u32) -> Vec<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_ascii_whitespace().map(str::to_owned).collect()
}

pub(crate) fn start_time(pid: u32) -> u64 {
    stat(pid)[19].parse().unwrap()
}

/// Inode of a namespace of this process.
pub(crate) fn namespace(kind: &str) -> u64 {
    std::fs::metadata(format!("/proc/self/ns/{kind}")).unwrap().ino()
}

fn hold(place: &Place, pid: u32, start_time: u64, hold_ms: i64) -> i64 {
    hold_with(place, (pid, start_time), None, hold_ms)
}

/// Writes what a holder of the role would have written who is this process of this host, alone or with a cgroup; gives
/// when, in ms since boot.
pub(crate) fn hold_with(place: &Place, process: (u32, u64), cgroup: Option<serde_json::Value>, hold_ms: i64) -> i64 {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let mut named = serde_json::json!({
        "BootId": boot_id.trim(), "PidNamespace": namespace("pid"), "TimeNamespace": namespace("time"),
        "Pid": process.0, "StartTime": process.1,
    });
    if let Some(cgroup) = cgroup {
        named["Cgroup"] = cgroup;
    }
    let term = serde_json::json!({
        "State": "held", "Token": 0, "HoldMs": hold_ms, "Renewals": 0, "ServerID": 77,
        "SessionID": SESSION_ID,
        "Process": named,
    });
    let options = EtcdOptions::new(place.etcd.endpoints());
    let limit = Duration::from_secs(30);
    let work = async {
        let store = EtcdStore::new(&options).unwrap();
        let lease = store.grant(Duration::from_secs(300), limit).await.unwrap().lease;
        let active = serde_json::json!({
            "ServerID": 77, "ServerName": "rootcoord", "Address": "127.0.0.1:77", "Exclusive": true,
            "TriggerKill": true, "Version": "2.5.0", "LeaseID": lease, "HostName": "here",
            "Coordha": {"SessionID": SESSION_ID, "Priority": 0, "HoldMs": hold_ms, "TtlMs": 300_000},
        });
        let txn = Txn {
            success: vec![Op::put(ACTIVE_KEY, active.to_string(), lease), Op::put(TERM_KEY, term.to_string(), 0)],
            ..Txn::default()
        };
        store.txn(txn, limit).await.unwrap();
    };
    let at = boot_ns() / 1_000_000;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work);
    at
}

/// A standby in this process takes over: from one who is proven dead, or else after the wait.
pub(crate) fn standby_takes_over(place: Place, since: i64, is_proven: bool) {
    let mut config = place.config(2);
    config.set(PROOF.0, PROOF.1).unwrap();
    let b = place.coordinator("B", &config);
    b.active_after(0);
    let (_, won) = b.nth(EventKind::Activate, 1);
    let waited = won.at_ms() - since;
    assert!(is_proven || waited >= WAIT_MS, "after {waited} ms");
    place.everyone_can_win(vec![b]);
}

#[test]
fn f70_a_pid_that_does_not_exist_is_proof() {
    let place = Place::start();
    let mut holder = Holder::start(&mut Command::new("cat"));
    let start = start_time(holder.pid());
    holder.kill();
    let since = hold(&place, holder.pid(), start, PROVEN_MS);
    standby_takes_over(place, since, true);
}

#[test]
fn f70_a_pidfd_that_becomes_readable_is_proof() {
    let place = Place::start();
    let mut holder = Holder::start(&mut Command::new("cat"));
    hold(&place, holder.pid(), start_time(holder.pid()), PROVEN_MS);
    let mut config = place.config(2);
    config.set(PROOF.0, PROOF.1).unwrap();
    let b = place.coordinator("B", &config);
    b.nth(EventKind::Standby, 1);
    holder.kill();
    b.active_after(0);
    place.everyone_can_win(vec![b]);
}

#[test]
fn f70_a_pid_used_again_is_proof() {
    let place = Place::start();
    let other = Holder::start(&mut Command::new("cat"));
    let earlier = start_time(other.pid()) - 1;
    let since = hold(&place, other.pid(), earlier, PROVEN_MS);
    standby_takes_over(place, since, true);
    drop(other);
}

#[test]
fn f70_a_living_process_that_has_stopped_renewing_is_waited_for() {
    let place = Place::start();
    let holder = Holder::start(&mut Command::new("cat"));
    let since = hold(&place, holder.pid(), start_time(holder.pid()), WAITED_MS);
    standby_takes_over(place, since, false);
    drop(holder);
}

#[test]
fn f70_a_process_whose_main_thread_alone_is_gone_is_waited_for() {
    let place = Place::start();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("leaderless");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/leaderless.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-pthread", "-o"]).arg(&program).arg(source);
    assert!(compiler.status().unwrap().success());
    let holder = Holder::start(&mut Command::new(&program));
    until("its main thread is gone", || (stat(holder.pid())[0] == "Z").then_some(()));
    let since = hold(&place, holder.pid(), start_time(holder.pid()), WAITED_MS);
    standby_takes_over(place, since, false);
    drop(holder);
}

/// Whether this user may run that on this kernel; else it is said that the test is left out.
fn may(test: &str, command: &[&str]) -> bool {
    let tried = Command::new(command[0]).args(&command[1..]).arg("true").output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        skip(test, &format!("{command:?} is not allowed here"));
    }
    may
}

/// A standby takes over in a process that `command` starts, whose clock is `ahead_ms` ahead of the host's; after the wait.
fn standby_waits_in(place: Place, command: &[&str], since: i64, ahead_ms: i64) {
    let mut starter = Command::new(command[0]);
    starter.args(&command[1..]);
    let b = place.child_by(starter, "B", 2, &[PROOF]);
    b.active_after(0);
    let waited = b.event_after(0, "ACTIVATE").at_ms - ahead_ms - since;
    assert!((WAIT_MS..3_600_000).contains(&waited), "after {waited} ms");
    place.all_can_win(vec![Box::new(b)]);
}

/// The holder is dead, and its PID is nobody's in the namespace of the standby: so are those of all that live elsewhere.
fn another_pid_namespace(test: &str, command: &[&str]) {
    if !may(test, command) {
        return;
    }
    let place = Place::start();
    let mut holder = Holder::start(&mut Command::new("cat"));
    let start = start_time(holder.pid());
    holder.kill();
    let since = hold(&place, holder.pid(), start, WAITED_MS);
    standby_waits_in(place, command, since, 0);
}

#[test]
fn f70_a_pid_of_another_namespace_is_waited_for() {
    let command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    another_pid_namespace("f70 with a PID namespace", &command);
}

#[test]
fn f70_a_pid_is_waited_for_where_proc_is_of_another_namespace() {
    let command = ["unshare", "--pid", "--fork", "--kill-child"];
    another_pid_namespace("f70 with a foreign /proc", &command);
}

#[test]
fn f70_a_start_time_by_the_clock_of_another_time_namespace_is_no_proof() {
    let command = ["unshare", "--time", "--boottime", "100000", "--fork", "--kill-child"];
    if !may("f70 with a time namespace", &command) {
        return;
    }
    let place = Place::start();
    let holder = Holder::start(&mut Command::new("cat"));
    let since = hold(&place, holder.pid(), start_time(holder.pid()), WAITED_MS);
    standby_waits_in(place, &command, since, 100_000_000);
    drop(holder);
}

#[test]
fn f70_a_process_that_proc_hides_is_waited_for() {
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
    let mount = "mount -t proc -o hidepid=2,gid=65534 proc /proc && exec \"$@\"";
    let mounted = ["unshare", "--mount", "sh", "-c", mount, "sh"];
    if !may("f70 with hidepid", &nobody) || !may("f70 with hidepid", &mounted) {
        return;
    }
    let place = Place::start();
    let holder = Holder::start(Command::new(nobody[0]).args(&nobody[1..]).arg("cat"));
    until("the holder is another user's", || {
        let owner = std::fs::metadata(format!("/proc/{}", holder.pid())).unwrap().uid();
        (owner == 65_534).then_some(())
    });
    let since = hold(&place, holder.pid(), start_time(holder.pid()), WAITED_MS);
    // Nothing is started where the holder can be seen, and the test fails.
    let unseen = format!("test ! -e /proc/{} && exec \"$@\"", holder.pid());
    let blind = ["setpriv", "--bounding-set=-sys_ptrace", "--", "sh", "-c", &unseen, "sh"];
    standby_waits_in(place, &[&mounted[..], &blind[..]].concat(), since, 0);
    drop(holder);
}
