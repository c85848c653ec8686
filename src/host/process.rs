//! Processes of this host: what tells one from another, and the proof that one is dead.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

/// What can be said about the life of a process.
#[derive(Debug)]
pub(crate) enum Life {
    /// It is dead: proven.
    Dead,
    /// It lives. The descriptor becomes readable when all of its threads are gone: that proves its death, even where the
    /// PID was taken by another one meanwhile.
    Alive(OwnedFd),
    /// Nothing can be proven from here.
    Unknown(Errno),
}

/// Whether the process with this PID, in the PID namespace of this one, is dead. Proof is: no process has the PID, or one
/// has it that was not started at `start`; that is for processes of the same time namespace, else `None` is to be given.
pub(crate) fn life(pid: u32, start: Option<u64>) -> Life {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Life::Unknown(Errno::INVAL);
    };
    // Without PIDFD_THREAD: readable only when all of its threads are gone.
    match pidfd_open(pid, PidfdFlags::empty()) {
        // After the open: if the PID was used again in between, the start time says so.
        Ok(_) if start.is_some_and(|start| was_replaced(pid, start)) => Life::Dead,
        Ok(pidfd) => Life::Alive(pidfd),
        Err(Errno::SRCH) => Life::Dead,
        Err(errno) => Life::Unknown(errno),
    }
}

/// Whether the PID belongs to a process that was started at another time. An entry of `/proc` that cannot be read proves
/// nothing, it may be hidden.
fn was_replaced(pid: Pid, start: u64) -> bool {
    own_pid().is_some() && start_time(&pid.to_string()).is_some_and(|now| now != start)
}

/// The own PID, where `/proc` shows this PID namespace.
pub(crate) fn own_pid() -> Option<Pid> {
    let pid = getpid();
    let shown = fs::read_link("/proc/self").ok()?;
    (shown.to_str()? == pid.to_string()).then_some(pid)
}

/// Which boot of the kernel this is.
pub(crate) fn boot_id() -> io::Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}

/// Inode of a namespace of this process; `None` where it cannot be read.
pub(crate) fn namespace(kind: &str) -> Option<u64> {
    Some(fs::metadata(format!("/proc/self/ns/{kind}")).ok()?.ino())
}

/// When `/proc/<process>` was started, in clock ticks since boot.
pub(crate) fn start_time(process: &str) -> Option<u64> {
    parse_start_time(&fs::read(format!("/proc/{process}/stat")).ok()?)
}

/// Field 22 of a `stat` file. The second field is the command in parentheses, which may hold anything.
fn parse_start_time(stat: &[u8]) -> Option<u64> {
    let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let fields = std::str::from_utf8(&stat[after_name..]).ok()?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    /// A process that lives until its input ends, and when it was started.
    fn child() -> (Child, u64) {
        let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let start = start_time(&child.id().to_string()).unwrap();
        (child, start)
    }

    #[test]
    fn a_command_with_parentheses_and_strange_bytes_does_not_shift_the_start_time() {
        let after = b"S 1 1 1 0 -1 4194560 2 3 4 5 6 7 8 9 20 0 1 0 4711 1 2";
        assert_eq!(parse_start_time(&[b"9 (a) b (c\xff)) ", &after[..]].concat()), Some(4711));
        assert_eq!(parse_start_time(b"9 (a) S 1"), None);
        assert_eq!(parse_start_time(b""), None);
    }

    #[test]
    fn a_killed_process_makes_its_descriptor_readable_before_it_is_reaped() {
        let (mut child, start) = child();
        let Life::Alive(pidfd) = life(child.id(), Some(start)) else {
            panic!("it lives");
        };
        child.kill().unwrap();
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
        assert_eq!(poll(&mut fds, Some(&patience)).unwrap(), 1);
        child.wait().unwrap();
        assert!(matches!(life(child.id(), Some(start)), Life::Dead), "its PID is free");
    }

    #[test]
    fn a_pid_that_is_used_again_is_told_by_its_start_time_alone() {
        let (mut child, start) = child();
        assert!(matches!(life(child.id(), Some(start - 1)), Life::Dead));
        assert!(matches!(life(child.id(), None), Life::Alive(_)));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_pid_that_cannot_be_proves_nothing() {
        for pid in [0, u32::MAX] {
            assert!(matches!(life(pid, Some(1)), Life::Unknown(Errno::INVAL)));
        }
    }
}
