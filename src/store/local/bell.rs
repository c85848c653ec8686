//! How the processes of one store wake each other: a file that is read where something has changed, and watched by
//! inotify for being read. A ring writes nothing, so it costs no disk, and works where the disk is full.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Wake;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{FlockOperation, flock, inotify};
use rustix::io::Errno;

/// The bell file of a store.
#[derive(Debug)]
pub(super) struct Bell {
    path: PathBuf,
    file: File,
}

impl Bell {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        // Only a read that brings a byte is an event.
        if file.metadata()?.len() == 0 {
            file.write_all(b"\n")?;
        }
        Ok(Self { path: path.to_owned(), file })
    }

    /// Wakes all who listen, in this process too. Where it fails, they notice at their next look.
    pub(super) fn ring(&self) {
        let mut byte = [0_u8; 1];
        if let Err(error) = rustix::io::pread(&self.file, &mut byte, 0) {
            tracing::debug!(%error, "cannot ring the bell");
        }
    }

    /// A descriptor that becomes readable at each ring.
    pub(super) fn listen(&self) -> io::Result<OwnedFd> {
        let listener = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        inotify::add_watch(&listener, &self.path, inotify::WatchFlags::ACCESS)?;
        Ok(listener)
    }

    /// Says that this process waits for the database's write lock; `false`: it is over.
    ///
    /// SQLite polls for that lock, so whoever writes without a pause would keep it for ever; it asks
    /// [`Bell::others_wait`] and makes a pause. A lock on the file says it, since that ends with its process.
    pub(super) fn wait_for_lock(&self, wait: bool) {
        let operation = if wait { FlockOperation::NonBlockingLockShared } else { FlockOperation::NonBlockingUnlock };
        // One that fails costs fairness, nothing else.
        let _ = flock(&self.file, operation);
    }

    /// Whether another one waits for the write lock.
    pub(super) fn others_wait(&self) -> bool {
        match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                self.wait_for_lock(false);
                false
            }
            Err(error) => error == Errno::WOULDBLOCK,
        }
    }
}

/// Reads a non-blocking descriptor empty.
pub(super) fn drain(fd: &OwnedFd) {
    let mut buffer = [0_u8; 4096];
    while rustix::io::read(fd, &mut buffer).is_ok_and(|read| read > 0) {}
}

/// Wakes one thread of this process out of its poll.
#[derive(Debug)]
pub(super) struct Alarm(OwnedFd);

impl Alarm {
    pub(super) fn new() -> io::Result<Arc<Self>> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self(fd)))
    }

    pub(super) fn raise(&self) {
        // It fails only where 2^64 - 2 raises wait, and then the thread is awake.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.0
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.raise();
    }
}
