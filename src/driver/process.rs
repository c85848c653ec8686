//! The death of another process of this host, waited for.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::election::{Cgroup, Process};
use crate::error::{Error, ErrorKind, Result};
use crate::host::cgroup;
use crate::host::process::{self, Life};

/// How often a cgroup is looked at that gives no notice.
const LOOK: Duration = Duration::from_millis(100);

/// This process, or `None` where `/proc` does not tell it, or is of another PID namespace: then nobody can prove its
/// death, and it can prove nobody's. With the directory of the cgroup in which others act for it.
///
/// Error: [`ErrorKind::InvalidArgument`]: that is no cgroup.
pub(crate) fn current(directory: Option<&Path>) -> Result<Option<Process>> {
    let cgroup = directory.map(named).transpose()?;
    Ok(alone().map(|process| Process { cgroup, ..process }))
}

fn named(directory: &Path) -> Result<Cgroup> {
    let refused = |why: &str| Error::new(ErrorKind::InvalidArgument, format!("cgroup {}: {why}", directory.display()));
    let (path, inode) = cgroup::name(directory).map_err(|error| refused(&error.to_string()))?;
    let namespace = process::namespace("cgroup").ok_or_else(|| refused("its namespace cannot be read"))?;
    Ok(Cgroup { path, namespace, inode })
}

fn alone() -> Option<Process> {
    let pid = process::own_pid()?;
    Some(Process {
        boot_id: process::boot_id().ok()?,
        pid_namespace: process::namespace("pid")?,
        time_namespace: process::namespace("time")?,
        pid: u32::try_from(pid.as_raw_nonzero().get()).ok()?,
        start_time: process::start_time("self")?,
        cgroup: None,
    })
}

/// Returns once `process` is proven dead, with all that act for it. `process` must be a neighbour of this one
/// ([`Process::is_neighbour`]). Where that cannot be proven it never returns; an error says that it will not.
/// Needs the async runtime.
pub(crate) async fn death(process: &Process) -> io::Result<()> {
    match process::life(process.pid, Some(process.start_time)) {
        Life::Dead => {}
        Life::Alive(pidfd) => wait_for(pidfd, Interest::READABLE).await?,
        Life::Unknown(errno) => return Err(errno.into()),
    }
    // Only afterwards: while it lived it could start more.
    match &process.cgroup {
        None => Ok(()),
        Some(cgroup) => emptiness(cgroup).await,
    }
}

/// Returns once nobody in the cgroup lives.
async fn emptiness(cgroup: &Cgroup) -> io::Result<()> {
    if process::namespace("cgroup") != Some(cgroup.namespace) {
        return Err(io::Error::other("its cgroup is named from another namespace"));
    }
    while let Some(events) = cgroup::living(&cgroup.path, cgroup.inode)? {
        // Whatever comes of it, what the file says counts.
        let _ = tokio::time::timeout(LOOK, wait_for(events, Interest::PRIORITY)).await;
    }
    Ok(())
}

#[expect(deprecated, reason = "what takes its place is unsafe; an owned descriptor keeps the promise asked for there")]
async fn wait_for(fd: impl AsRawFd, interest: Interest) -> io::Result<()> {
    let fd = AsyncFd::with_interest(fd, interest)?;
    let ready = fd.ready(interest).await?;
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
            ..alone().unwrap()
        }
    }

    fn wait<T>(work: impl Future<Output = T>) -> T {
        let limited = async { tokio::time::timeout(Duration::from_secs(30), work).await.unwrap() };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(limited)
    }

    #[test]
    fn this_process_is_its_own_neighbour() {
        let process = alone().unwrap();
        assert!(process.is_neighbour(&alone().unwrap()));
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
        let impossible = Process { pid: u32::MAX, ..alone().unwrap() };
        assert!(wait(death(&impossible)).is_err());
    }
}
