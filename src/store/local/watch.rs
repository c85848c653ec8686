//! Watches: each reads the history from its own revision on, at its own pace.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rusqlite::Connection;
use tokio::sync::mpsc::{self, OwnedPermit, error::SendError};

use super::bell::Alarm;
use super::history::{self, State};
use crate::kv::{KeyRange, Revision, StoreError, WatchEvent, WatchItem};

/// Items that wait for a reader of a watch. One that falls behind further reads the history later.
const QUEUE: usize = 64;

/// So many changes, or bytes of them, in an item are enough; a revision is never split.
const ITEM_EVENTS: usize = 1_000;
const ITEM_BYTES: usize = 4 << 20;

type Room = Pin<Box<dyn Future<Output = Result<OwnedPermit<WatchItem>, SendError<()>>> + Send>>;

/// One watch, as the thread that feeds it knows it.
pub(super) struct Watch {
    ranges: Vec<KeyRange>,
    /// All before this revision is sent.
    next: Revision,
    sender: mpsc::Sender<WatchItem>,
    /// Kept free for the item that ends it.
    last: Option<OwnedPermit<WatchItem>>,
    started: bool,
    /// Waits until its queue has room again.
    room: Option<Room>,
    /// Changes of the item that is being put together.
    item: Vec<WatchEvent>,
}

impl Watch {
    /// A new watch, and where its items come out.
    pub(super) fn new(ranges: Vec<KeyRange>, from: Revision) -> (Self, mpsc::Receiver<WatchItem>) {
        let (sender, receiver) = mpsc::channel(QUEUE + 1);
        let watch = Self {
            ranges,
            next: from,
            last: sender.clone().try_reserve_owned().ok(),
            sender,
            started: false,
            room: None,
            item: Vec::new(),
        };
        (watch, receiver)
    }

    fn wants(&self, revision: Revision, key: &[u8]) -> bool {
        self.next <= revision && self.ranges.iter().any(|range| range.contains(key))
    }

    /// Sends its last item.
    fn end(&mut self, item: WatchItem) {
        if let Some(last) = self.last.take() {
            last.send(item);
        }
    }

    fn send(&mut self, item: WatchItem) -> bool {
        if self.sender.try_send(item).is_ok() {
            return true;
        }
        self.room = Some(Box::pin(self.sender.clone().reserve_owned()));
        false
    }

    /// Whether there is room in its queue. Where there is none, `waker` is woken when there is.
    fn has_room(&mut self, waker: &Waker) -> bool {
        if let Some(room) = &mut self.room {
            match room.as_mut().poll(&mut Context::from_waker(waker)) {
                Poll::Pending => return false,
                // The place is given back, and taken again by the item: nobody else sends here.
                Poll::Ready(_) => self.room = None,
            }
        }
        !self.sender.is_closed()
    }

    /// Sends what was put together of the revisions up to `through`. `false`: it fell behind.
    fn flush(&mut self, through: Revision) -> bool {
        let item = std::mem::take(&mut self.item);
        if !item.is_empty() && !self.send(WatchItem::Events(item)) {
            return false;
        }
        self.next = self.next.max(through + 1);
        true
    }
}

/// All watches of a store.
pub(super) struct Watches {
    all: Vec<Watch>,
    waker: Waker,
}

impl Watches {
    /// `alarm` is raised when a watch that fell behind can go on.
    pub(super) fn new(alarm: Arc<Alarm>) -> Self {
        Self { all: Vec::new(), waker: alarm.into() }
    }

    pub(super) fn add(&mut self, watch: Watch) {
        self.all.push(watch);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Ends all of them.
    pub(super) fn fail(&mut self, error: &StoreError) {
        for mut watch in self.all.drain(..) {
            watch.end(WatchItem::Failed(error.clone()));
        }
    }

    /// Shows each of them what has been committed; to be called in a transaction that has read `state`.
    pub(super) fn feed(&mut self, connection: &Connection, state: &State) -> rusqlite::Result<()> {
        self.all.retain_mut(|watch| {
            if watch.next < state.compacted {
                watch.end(WatchItem::Compacted { revision: state.compacted });
            }
            watch.last.is_some() && !watch.sender.is_closed()
        });
        for watch in self.all.iter_mut().filter(|watch| !watch.started) {
            watch.started = watch.send(WatchItem::Started);
        }
        // Each round leaves a watch at the newest revision, or without room; one that has room again goes on.
        loop {
            let mut behind: Vec<&mut Watch> = Vec::new();
            for watch in &mut self.all {
                if watch.next <= state.revision && watch.has_room(&self.waker) {
                    behind.push(watch);
                }
            }
            let Some(first) = behind.iter().map(|watch| watch.next).min() else {
                return Ok(());
            };
            replay(connection, first, &mut behind)?;
            for watch in &mut behind {
                watch.flush(state.revision);
            }
        }
    }
}

/// Puts all changes from `first` on together for those who want them. What is left in the watches that are still in
/// `behind` is for the caller to flush.
fn replay(connection: &Connection, first: Revision, behind: &mut Vec<&mut Watch>) -> rusqlite::Result<()> {
    let (mut last, mut events, mut bytes) = (first, 0, 0);
    let mut failure = None;
    history::replay(connection, first, |revision, key, event| {
        if revision != last && (events >= ITEM_EVENTS || bytes >= ITEM_BYTES) {
            behind.retain_mut(|watch| watch.flush(last));
            (events, bytes) = (0, 0);
        }
        last = revision;
        for watch in behind.iter_mut().filter(|watch| watch.wants(revision, key)) {
            match event() {
                Ok(event) => {
                    bytes += size(&event);
                    watch.item.push(event);
                }
                Err(error) => failure = Some(error),
            }
            events += 1;
        }
        failure.is_none() && !behind.is_empty()
    })?;
    failure.map_or(Ok(()), Err)
}

fn size(event: &WatchEvent) -> usize {
    match event {
        WatchEvent::Put(kv) => kv.key.len() + kv.value.len(),
        WatchEvent::Delete { key, .. } => key.len(),
    }
}
