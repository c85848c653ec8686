//! A cgroup (v2) for the command and all that it starts: so that all of it can be killed at once, and seen to be gone.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

use super::clock;

/// How the names of those that this program makes begin.
const NAME: &str = "coordha-run-";

/// A cgroup of this process's own, below the one it is in. Dropping it removes it, where it is empty.
pub(super) struct Cgroup {
    directory: PathBuf,
    events: File,
    /// The lock that says so, where it is this process's own. It ends with this process, however that ends.
    owned: Option<File>,
}

impl Cgroup {
    /// Makes one below `parent`, or below the cgroup of this process, and tries it.
    pub(super) fn create(parent: Option<&Path>) -> io::Result<Self> {
        let parent = match parent {
            Some(parent) => parent.to_owned(),
            None => own_directory()?,
        };
        remove_left_over(&parent);
        // Never used again while the host is up.
        let name = format!("{NAME}{}-{}", std::process::id(), clock::now());
        let directory = parent.join(name);
        fs::create_dir(&directory)?;
        let made = lock(&directory).and_then(|lock| Ok((lock, File::open(directory.join("cgroup.events"))?)));
        let cgroup = match made {
            Ok((lock, events)) => Self { directory, events, owned: Some(lock) },
            Err(error) => {
                let _ = fs::remove_dir(&directory);
                return Err(error);
            }
        };
        let mut probe = Command::new(super::exec::program()?);
        probe.args(["__exec", "--probe", "--parent", &std::process::id().to_string(), "--cgroup"]);
        if probe.arg(&cgroup.directory).arg("--").arg("true").status()?.success() {
            Ok(cgroup)
        } else {
            Err(io::Error::other("no process can join it"))
        }
    }

    /// One that somebody else made and removes.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let events = File::open(directory.join("cgroup.events"))?;
        Ok(Self { directory: directory.to_owned(), events, owned: None })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Becomes urgent (`POLLPRI`) when the answer of [`Cgroup::is_empty`] changes.
    pub(super) fn events(&self) -> &File {
        &self.events
    }

    /// Whether no process in it lives. Where that cannot be read it has been removed, which only an empty one can be.
    pub(super) fn is_empty(&self) -> bool {
        let mut buffer = [0; 256];
        match self.events.read_at(&mut buffer, 0) {
            Ok(length) => String::from_utf8_lossy(&buffer[..length]).lines().any(|line| line == "populated 0"),
            Err(_) => !self.directory.exists(),
        }
    }

    /// Kills all that is in it.
    pub(super) fn kill(&self) {
        if fs::write(self.directory.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        // Linux before 5.14. Whoever is started meanwhile is found the next time: this is called until it is empty.
        let listed = fs::read_to_string(self.directory.join("cgroup.procs")).unwrap_or_default();
        for pid in listed.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }

    /// Removes it, where it is empty.
    pub(super) fn remove(&self) {
        // The other one of guardian and parent may have done so.
        let _ = fs::remove_dir(&self.directory);
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.owned.is_some() {
            self.remove();
        }
    }
}

/// The lock of whoever made it; an error while that one lives.
fn lock(directory: &Path) -> io::Result<File> {
    let opened = File::open(directory)?;
    flock(&opened, FlockOperation::NonBlockingLockExclusive)?;
    Ok(opened)
}

/// Removes those below `parent` that others have made who are dead, guardian included. One that is not empty stays: no
/// other can be removed.
fn remove_left_over(parent: &Path) {
    let found = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in found.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(NAME.as_bytes())) {
        if let Ok(_lock) = lock(&entry.path()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Puts the calling process into the cgroup.
pub(super) fn join(directory: &Path) -> io::Result<()> {
    fs::write(directory.join("cgroup.procs"), "0")
}

/// The directory of the cgroup that this process is in.
fn own_directory() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let memberships = fs::read_to_string("/proc/self/cgroup")?;
    let path = memberships.lines().find_map(|line| line.strip_prefix("0::"));
    let path = path.ok_or_else(|| io::Error::other("no cgroup v2 on this host"))?;
    mounts
        .lines()
        .find_map(|line| directory_in(line, path))
        .ok_or_else(|| io::Error::other(format!("no mount of cgroup v2 shows {path}")))
}

/// Where the mount of this line of `mountinfo` shows a path of the hierarchy of cgroup v2.
fn directory_in(line: &str, path: &str) -> Option<PathBuf> {
    let (place, kind) = line.split_once(" - ")?;
    let mut fields = place.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let below = path.strip_prefix(root.trim_end_matches('/'))?;
    let fits = kind.starts_with("cgroup2 ") && (below.is_empty() || below.starts_with('/'));
    fits.then(|| Path::new(point).join(below.trim_start_matches('/')))
}
