//! Free loopback ports, also for tests that run at the same time in other processes.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range from which the kernel takes the ports of outgoing connections, which would otherwise take the port
/// of a server that is about to start again.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A port of 127.0.0.1 that no other holder of a `Port` uses, as long as this lives. Nothing listens on it yet.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Locked, and thereby taken in the eyes of all processes; the kernel unlocks it whatever way this one ends.
    _taken: File,
}

impl Port {
    /// Takes a free one.
    pub fn take() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = std::env::temp_dir().join("coordha-test-ports");
        fs::create_dir_all(&folder).expect("the folder of port locks can be made");
        for _ in 0..COUNT {
            let turn = NEXT.fetch_add(1, Ordering::Relaxed);
            let spread = std::process::id().wrapping_mul(977).wrapping_add(turn);
            let number = FIRST + (spread % u32::from(COUNT)) as u16;
            let taken = File::create(folder.join(number.to_string())).expect("a lock file can be made");
            let is_free = taken.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok();
            if is_free {
                return Self { number, _taken: taken };
            }
        }
        panic!("no loopback port is free");
    }

    /// The port.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}
