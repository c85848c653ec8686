//! Processes of this host: how this one is named, and the proof that another one is dead.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::election::Process;

/// This process, or `None` where `/proc` does not tell it, or is of another PID namespace: then nobody can prove its
/// death, and it can prove nobody's.
pub(crate) fn current() -> Option<Process> {
    let pid = own_pid()?;
    Some(Process {
        boot_id: fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned(),
        pid_namespace: namespace("pid")?,
        time_namespace: namespace("time")?,
        pid: u32::try_from(pid.as_raw_nonzero().get()).ok()?,
        start_time: start_time("/proc/self/stat")?,
    })
}

/// Returns once `process` is proven dead. `process` must be a neighbour of this one
/// ([`Process::is_neighbour`]). Where that cannot be proven it never returns; an error says that it will not.
/// Needs the async runtime.
pub(crate) async fn death(process: &Process) -> io::Result<()> {
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw).ok_or(Errno::INVAL)?;
    // Without PIDFD_THREAD: readable only when all of its threads are gone.
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    };
    // After the open: if the PID was used again in between, the start time says so. An entry of /proc that cannot be
    // read proves nothing, it may be hidden.
    if own_pid().is_some()
        && let Some(start_time) = start_time(&format!("/proc/{pid}/stat"))
        && start_time != process.start_time
    {
        return Ok(());
    }
    wait_readable(pidfd).await
}

#[expect(deprecated, reason = "what takes its place is unsafe; an OwnedFd keeps the promise that is asked for there")]
async fn wait_readable(pidfd: OwnedFd) -> io::Result<()> {
    let pidfd = AsyncFd::with_interest(pidfd, Interest::READABLE)?;
    let ready = pidfd.readable().await?;
    drop(ready);
    Ok(())
}

/// The own PID, where `/proc` shows this PID namespace.
fn own_pid() -> Option<Pid> {
    let pid = getpid();
    let shown = fs::read_link("/proc/self").ok()?;
    (shown.to_str()? == pid.to_string()).then_some(pid)
}

fn namespace(kind: &str) -> Option<u64> {
    Some(fs::metadata(format!("/proc/self/ns/{kind}")).ok()?.ino())
}

/// Field 22 of a `stat` file. The second field is the command in parentheses, which may hold anything.
fn start_time(path: &str) -> Option<u64> {
    parse_start_time(&fs::read_to_string(path).ok()?)
}

fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn child() -> Child {
        // Lives until its input ends.
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
    }

    fn named(child: &Child) -> Process {
        Process {
            pid: child.id(),
            start_time: start_time(&format!("/proc/{}/stat", child.id())).unwrap(),
            ..current().unwrap()
        }
    }

    fn wait<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn this_process_is_its_own_neighbour() {
        let process = current().unwrap();
        assert!(process.is_neighbour(&current().unwrap()));
        assert_eq!(process.pid, std::process::id());
        assert!(process.start_time > 0);
    }

    #[test]
    fn a_command_with_parentheses_and_spaces_does_not_shift_the_start_time() {
        let after = "S 1 1 1 0 -1 4194560 2 3 4 5 6 7 8 9 20 0 1 0 4711 1 2";
        assert_eq!(parse_start_time(&format!("9 (a) b (c)) {after}")), Some(4711));
        assert_eq!(parse_start_time("9 (a) S 1"), None);
        assert_eq!(parse_start_time(""), None);
    }

    #[test]
    fn a_killed_process_is_proven_dead_while_its_parent_has_not_reaped_it() {
        let mut child = child();
        let process = named(&child);
        wait(async {
            let mut proof = std::pin::pin!(death(&process));
            tokio::select! {
                biased;
                proven = &mut proof => panic!("it lives: {proven:?}"),
                () = tokio::task::yield_now() => {}
            }
            child.kill().unwrap();
            proof.await.unwrap();
        });
        child.wait().unwrap();
        wait(death(&process)).unwrap();
    }

    #[test]
    fn a_pid_that_is_used_again_is_told_by_its_start_time() {
        let mut child = child();
        let process = named(&child);
        let earlier = Process { start_time: process.start_time - 1, ..process };
        wait(death(&earlier)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_pid_that_cannot_be_is_an_error_and_no_proof() {
        let impossible = Process { pid: u32::MAX, ..current().unwrap() };
        assert!(wait(death(&impossible)).is_err());
    }
}
