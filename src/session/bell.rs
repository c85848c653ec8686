//! The descriptor that tells a poller of waiting events.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

use crate::error::{Error, ErrorKind, Result};

/// More than any reader can take away one by one.
const FOR_EVER: u64 = 1 << 62;

/// A counter in semaphore mode: each ring is an edge, and whoever reads from it takes one ring away, not all of them.
#[derive(Debug)]
pub(crate) struct Bell {
    fd: OwnedFd,
}

impl Bell {
    pub(crate) fn new() -> Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE;
        match eventfd(0, flags) {
            Ok(fd) => Ok(Self { fd }),
            Err(errno) => Err(Error::new(ErrorKind::Resources, format!("no event descriptor: {errno}"))),
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Readable, with a new edge.
    pub(crate) fn ring(&self) {
        self.add(1);
    }

    /// Not readable any more.
    pub(crate) fn hush(&self) {
        let mut count = [0; 8];
        while rustix::io::read(&self.fd, &mut count).is_ok() {}
    }

    /// Readable from now on, whatever anybody reads.
    pub(crate) fn ring_for_ever(&self) {
        self.add(FOR_EVER);
    }

    fn add(&self, rings: u64) {
        // Fails where it is full, and then it is readable.
        let _ = rustix::io::write(&self.fd, &rings.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn is_readable(bell: &Bell) -> bool {
        let mut ready = [PollFd::from_borrowed_fd(bell.fd(), PollFlags::IN)];
        let no_time = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut ready, Some(&no_time)).unwrap() == 1
    }

    fn read_once(bell: &Bell) {
        rustix::io::read(bell.fd(), &mut [0; 8]).unwrap();
    }

    #[test]
    fn it_rings_until_it_is_hushed() {
        let bell = Bell::new().unwrap();
        assert!(!is_readable(&bell));
        bell.ring();
        bell.ring();
        assert!(is_readable(&bell));
        read_once(&bell);
        assert!(is_readable(&bell));
        bell.hush();
        assert!(!is_readable(&bell));
    }

    #[test]
    fn no_reader_silences_one_that_rings_for_ever() {
        let bell = Bell::new().unwrap();
        bell.ring_for_ever();
        for _ in 0..100 {
            read_once(&bell);
        }
        assert!(is_readable(&bell));
    }
}
