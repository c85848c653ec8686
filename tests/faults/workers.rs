//! Others act for the holder: when its death, and theirs, is proven on one host.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use coordha::config::keys;
use coordha::error::ErrorKind;
use coordha::session::{EventKind, Session};
use serde_json::{Value, json};

use crate::coordinator::PATIENCE;
use crate::place::{Place, TERM_KEY};
use crate::same_host::{Holder, PROOF, PROVEN_MS, WAITED_MS, hold_with, namespace, standby_takes_over, start_time};
use crate::support::skip;
use crate::support::wait::until;

/// A cgroup of a test's own. Dropping it removes it.
struct Cgroup {
    directory: PathBuf,
    path: String,
}

impl Cgroup {
    /// Below the one of this process; `None` where none can be made, which is said.
    fn make(test: &str) -> Option<Self> {
        let made = Self::try_make(test);
        if made.is_none() {
            skip(test, "no cgroup can be made here");
        }
        made
    }

    fn try_make(test: &str) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::"))?.trim_end_matches('/');
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
        let path = format!("{own}/coordha-test-{}-{test}", std::process::id());
        let directory = PathBuf::from(format!("{}{path}", line.split(' ').nth(4)?));
        fs::create_dir(&directory).ok()?;
        let cgroup = Self { directory, path };
        let tried = cgroup.enter(&mut Command::new("true")).status();
        tried.is_ok_and(|status| status.success()).then_some(cgroup)
    }

    /// The command, in it.
    fn enter(&self, command: &mut Command) -> Command {
        let mut inside = Command::new("sh");
        inside.args(["-c", "echo 0 > \"$0\"/cgroup.procs && exec \"$@\""]).arg(&self.directory);
        inside.arg(command.get_program()).args(command.get_args());
        inside
    }

    fn has(&self, pid: u32) -> bool {
        let (members, pid) = (fs::read_to_string(self.directory.join("cgroup.procs")).unwrap(), pid.to_string());
        members.lines().any(|member| member == pid)
    }

    /// A member that lives until its input ends.
    fn member(&self) -> Holder {
        let member = Holder::start(&mut self.enter(&mut Command::new("cat")));
        until("it is a member", || self.has(member.pid()).then_some(()));
        member
    }

    /// As a term record names it.
    fn named(&self) -> Value {
        let inode = fs::metadata(&self.directory).unwrap().ino();
        json!({"Path": self.path, "Namespace": namespace("cgroup"), "Inode": inode})
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}

/// A process that is dead, and how a record names it.
fn dead() -> (u32, u64) {
    let mut holder = Holder::start(&mut Command::new("cat"));
    let named = (holder.pid(), start_time(holder.pid()));
    holder.kill();
    named
}

#[test]
fn f71_a_dead_holder_is_waited_for_while_its_cgroup_has_a_member() {
    let Some(cgroup) = Cgroup::make("f71_member") else { return };
    let place = Place::start();
    let member = cgroup.member();
    let since = hold_with(&place, dead(), Some(cgroup.named()), WAITED_MS);
    standby_takes_over(place, since, false);
    drop(member);
}

#[test]
fn f71_a_dead_holder_is_followed_when_the_last_member_of_its_cgroup_dies() {
    let Some(cgroup) = Cgroup::make("f71_last") else { return };
    let place = Place::start();
    let mut members = [cgroup.member(), cgroup.member()];
    hold_with(&place, dead(), Some(cgroup.named()), PROVEN_MS);
    let mut config = place.config(2);
    config.set(PROOF.0, PROOF.1).unwrap();
    let b = place.coordinator("B", &config);
    b.nth(EventKind::Standby, 1);
    for member in &mut members {
        member.kill();
    }
    b.active_after(0);
    place.everyone_can_win(vec![b]);
}

#[test]
fn f71_a_cgroup_that_was_removed_had_no_member() {
    let Some(cgroup) = Cgroup::make("f71_removed") else { return };
    let place = Place::start();
    let named = cgroup.named();
    drop(cgroup);
    let since = hold_with(&place, dead(), Some(named), PROVEN_MS);
    standby_takes_over(place, since, true);
}

#[test]
fn f71_a_cgroup_named_from_elsewhere_or_with_another_inode_proves_nothing() {
    let Some(cgroup) = Cgroup::make("f71_elsewhere") else { return };
    for (field, value) in [("Namespace", 1), ("Inode", 1)] {
        let place = Place::start();
        let mut named = cgroup.named();
        named[field] = json!(value);
        let since = hold_with(&place, dead(), Some(named), WAITED_MS);
        standby_takes_over(place, since, false);
    }
}

#[test]
fn f71_a_session_whose_workers_have_a_cgroup_names_it_in_its_term() {
    let Some(cgroup) = Cgroup::make("f71_named") else { return };
    let place = Place::start();
    let builder = || Session::builder().config(place.config(1)).set(PROOF.0, PROOF.1).set(keys::ACTIVATION_AUTO, true);
    let refused = builder().cgroup(Path::new("/etc")).start().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    assert!(refused.message().contains("/etc"), "{refused}");
    let session = builder().cgroup(&cgroup.directory).start().unwrap();
    until("it is active", || session.is_active().then_some(()));
    let record = place.etcd.ctl(&["get", "--print-value-only", TERM_KEY]);
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["Process"]["Cgroup"], cgroup.named());
    session.stop(Some(PATIENCE)).unwrap();
}
