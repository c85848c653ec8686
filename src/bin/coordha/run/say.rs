//! Log lines of the loop that supervises: written by a thread of their own, as a full pipe must not hold the loop up.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Most lines that wait; beyond it the newest are dropped.
const LINES: usize = 1024;
/// How long the end waits for a slow reader.
pub(super) const LAST_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Say {
    lines: SyncSender<(bool, String)>,
    written: Receiver<()>,
}

impl Say {
    pub(super) fn start() -> std::io::Result<Self> {
        let (lines, taken) = sync_channel::<(bool, String)>(LINES);
        let (done, written) = sync_channel(1);
        std::thread::Builder::new().name("coordha-log".into()).spawn(move || {
            for (warns, line) in taken {
                if warns {
                    tracing::warn!(target: "coordha::run", "{line}");
                } else {
                    tracing::info!(target: "coordha::run", "{line}");
                }
            }
            drop(done);
        })?;
        Ok(Self { lines, written })
    }

    pub(super) fn info(&self, line: impl Into<String>) {
        let _ = self.lines.try_send((false, line.into()));
    }

    pub(super) fn warn(&self, line: impl Into<String>) {
        let _ = self.lines.try_send((true, line.into()));
    }

    pub(super) fn end(self) {
        drop(self.lines);
        let _ = self.written.recv_timeout(LAST_WAIT);
    }
}
