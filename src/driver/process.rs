//! The death of another process of this host, waited for.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::election::Process;
use crate::host::process::{self, Life};

/// This process, or `None` where `/proc` does not tell it, or is of another PID namespace: then nobody can prove its
/// death, and it can prove nobody's.
pub(crate) fn current() -> Option<Process> {
    let pid = process::own_pid()?;
    Some(Process {
        boot_id: process::boot_id().ok()?,
        pid_namespace: process::namespace("pid")?,
        time_namespace: process::namespace("time")?,
        pid: u32::try_from(pid.as_raw_nonzero().get()).ok()?,
        start_time: process::start_time("self")?,
    })
}

/// Returns once `process` is proven dead. `process` must be a neighbour of this one
/// ([`Process::is_neighbour`]). Where that cannot be proven it never returns; an error says that it will not.
/// Needs the async runtime.
pub(crate) async fn death(process: &Process) -> io::Result<()> {
    match process::life(process.pid, Some(process.start_time)) {
        Life::Dead => Ok(()),
        Life::Alive(pidfd) => wait_readable(pidfd).await,
        Life::Unknown(errno) => Err(errno.into()),
    }
}

#[expect(deprecated, reason = "what takes its place is unsafe; an OwnedFd keeps the promise that is asked for there")]
async fn wait_readable(pidfd: OwnedFd) -> io::Result<()> {
    let pidfd = AsyncFd::with_interest(pidfd, Interest::READABLE)?;
    let ready = pidfd.readable().await?;
    drop(ready);
    Ok(())
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
            start_time: process::start_time(&child.id().to_string()).unwrap(),
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
