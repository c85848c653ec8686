//! What changes: read, watch from there, read again now and then.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::snapshot::Snapshot;
use super::{Inspector, ranges};
use crate::error::Error;
use crate::kv::WatchItem;
use crate::store::WatchStream;

/// How long what the same revision has changed elsewhere may take to come.
const OTHER_RANGE: Duration = Duration::from_millis(100);

/// What came.
#[derive(Clone, Debug)]
pub enum Update {
    /// All, read anew, or changed by what a watch has shown.
    Seen(Box<Snapshot>),
    /// The store does not answer, or refuses. It is asked again.
    Lost(Error),
}

/// Follows what changes in a role, or in all roles, across everything that the store may do.
pub struct Follow {
    inspector: Inspector,
    snapshot: Option<Snapshot>,
    stream: Option<WatchStream>,
    next_read: Instant,
    failures: u32,
}

impl Follow {
    pub(super) fn new(inspector: Inspector) -> Self {
        Self { inspector, snapshot: None, stream: None, next_read: Instant::now(), failures: 0 }
    }

    /// What comes next; first what is there. To be given up only together with the whole.
    pub async fn next(&mut self) -> Update {
        loop {
            let event = match &mut self.stream {
                None => None,
                Some(stream) => tokio::select! {
                    item = stream.recv() => Some(item),
                    () = sleep_until(self.next_read) => None,
                },
            };
            match event {
                None => return self.read().await,
                Some(Some(WatchItem::Events(events))) => {
                    let Some(snapshot) = &mut self.snapshot else { continue };
                    snapshot.apply(&events);
                    // The two ranges of a watch have no order between them. With a release, the term record tells it from a loss.
                    if snapshot.lost_active(&events)
                        && let Some(stream) = &mut self.stream
                        && let Ok(Some(WatchItem::Events(more))) = timeout(OTHER_RANGE, stream.recv()).await
                    {
                        snapshot.apply(&more);
                    }
                    return Update::Seen(Box::new(snapshot.clone()));
                }
                Some(Some(WatchItem::Started)) => {}
                Some(_) => self.stream = None,
            }
        }
    }

    async fn read(&mut self) -> Update {
        sleep_until(self.next_read).await;
        let result = self.inspector.read().await;
        let snapshot = match result {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.stream = None;
                self.next_read = Instant::now() + Duration::from_millis(50 << self.failures.min(5));
                self.failures += 1;
                return Update::Lost(error);
            }
        };
        self.failures = 0;
        self.next_read = Instant::now() + self.inspector.options.reread;
        if self.stream.is_none() {
            let ranges = ranges(self.inspector.root(), self.inspector.role());
            let limit = self.inspector.limit();
            // One that cannot be had is asked for again after the next read.
            self.stream = self.inspector.store.watch(ranges, snapshot.after(), limit).await.ok();
            if self.stream.is_none() {
                self.next_read = Instant::now() + Duration::from_millis(500);
            }
        }
        self.snapshot = Some(snapshot.clone());
        Update::Seen(Box::new(snapshot))
    }
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow").field("failures", &self.failures).finish_non_exhaustive()
    }
}
