//! What changes: read, watch from there, read again now and then.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::snapshot::Snapshot;
use super::{Inspector, ranges};
use crate::error::Error;
use crate::kv::{Revision, WatchEvent, WatchItem};
use crate::store::WatchStream;

/// How long what the same revision has changed elsewhere may take to come.
const OTHER_RANGE: Duration = Duration::from_millis(100);

/// How long a watch may be silent before the store is asked whether it is there.
const PULSE: Duration = Duration::from_secs(1);

/// How long a watch that goes on elsewhere may take to stand, and then to show what came meanwhile, before all is read anew.
const RESUME: Duration = Duration::from_secs(1);

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
    /// What the watch has shown and was not told yet, by revision: what comes at once, late, did not happen at once.
    shown: BTreeMap<Revision, Vec<WatchEvent>>,
    /// The endpoint that the watch is at.
    endpoint: String,
    /// Where a watch that broke off is to go on.
    from: Option<Revision>,
    /// The watch went on there, and has shown nothing yet.
    is_resumed: bool,
    next_read: Instant,
    failures: u32,
}

impl Follow {
    pub(super) fn new(inspector: Inspector) -> Self {
        Self {
            inspector,
            snapshot: None,
            stream: None,
            shown: BTreeMap::new(),
            endpoint: String::new(),
            from: None,
            is_resumed: false,
            next_read: Instant::now(),
            failures: 0,
        }
    }

    /// What comes next; first what is there. To be given up only together with the whole.
    pub async fn next(&mut self) -> Update {
        loop {
            if let Some((revision, events)) = self.shown.pop_first()
                && let Some(snapshot) = self.tell(revision, &events).await
            {
                return Update::Seen(Box::new(snapshot));
            }
            if self.stream.is_none() {
                sleep_until(self.next_read).await;
                self.resume().await;
            }
            let Some(stream) = &mut self.stream else { return self.read().await };
            let tick = self.next_read.min(Instant::now() + PULSE);
            let item = tokio::select! {
                biased;
                item = stream.recv() => item,
                () = sleep_until(tick) => {
                    if self.inspector.answering().await != self.endpoint {
                        self.break_off();
                    } else if Instant::now() >= self.next_read && stream.is_empty() {
                        return self.read().await;
                    }
                    continue;
                }
            };
            match item {
                Some(WatchItem::Events(events)) => {
                    self.is_resumed = false;
                    self.keep(events);
                }
                Some(WatchItem::Started) => {}
                Some(WatchItem::Failed(_)) | None if !self.is_resumed => self.break_off(),
                // After a pause it is read.
                Some(WatchItem::Compacted { .. } | WatchItem::Failed(_)) | None => self.stream = None,
            }
        }
    }

    fn keep(&mut self, events: Vec<WatchEvent>) {
        for event in events {
            self.shown.entry(event.revision()).or_default().push(event);
        }
    }

    /// What is known after the changes of one revision.
    async fn tell(&mut self, revision: Revision, events: &[WatchEvent]) -> Option<Snapshot> {
        // The two ranges of a watch have no order between them. With a release, the term record tells it from a loss.
        if self.snapshot.as_ref()?.lost_active(events)
            && let Some(stream) = &mut self.stream
            && let Ok(Some(WatchItem::Events(more))) = timeout(OTHER_RANGE, stream.recv()).await
        {
            self.keep(more);
        }
        let snapshot = self.snapshot.as_mut()?;
        snapshot.apply(events);
        if let Some(more) = self.shown.remove(&revision) {
            snapshot.apply(&more);
        }
        Some(snapshot.clone())
    }

    /// The watch shows nothing any more.
    fn break_off(&mut self) {
        self.stream = None;
        self.next_read = Instant::now();
        self.from = self.snapshot.as_ref().map(|snapshot| snapshot.revision() + 1);
    }

    /// Watches on where the last watch broke off, so that nothing of the story is lost; where that can be.
    async fn resume(&mut self) {
        let Some(from) = self.from.take() else { return };
        self.watch(from, self.inspector.limit().min(RESUME)).await;
        self.is_resumed = self.stream.is_some();
        if self.is_resumed {
            self.next_read = Instant::now() + RESUME;
        }
    }

    async fn watch(&mut self, from: Revision, limit: Duration) {
        let ranges = ranges(self.inspector.root(), self.inspector.role());
        self.stream = self.inspector.store.watch(ranges, from, limit).await.ok();
        self.endpoint = self.inspector.store.health().endpoint;
    }

    async fn read(&mut self) -> Update {
        let snapshot = match self.inspector.read().await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.break_off();
                self.next_read += Duration::from_millis(50 << self.failures.min(5));
                self.failures += 1;
                return Update::Lost(error);
            }
        };
        (self.failures, self.is_resumed) = (0, false);
        self.next_read = Instant::now() + self.inspector.options.reread;
        if self.snapshot.as_ref().is_some_and(|before| snapshot.revision() < before.revision()) {
            // The store was set back: the watch waits for revisions that are long to come.
            self.stream = None;
        }
        if self.stream.is_none() {
            self.watch(snapshot.after(), self.inspector.limit()).await;
            // One that cannot be had is asked for again after the next read.
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
