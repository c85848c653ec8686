//! A real etcd behind a store that does to single calls what no network can be told to do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use coordha::kv::{
    KeyRange, LeaseId, LeaseReply, Op, RangeReply, Revision, StoreError, Txn, TxnReply, WatchEvent, WatchItem,
};
use coordha::store::etcd::{EtcdOptions, EtcdStore};
use coordha::store::{Health, Store, WatchStream};
use tokio::sync::{mpsc, watch};

use crate::place::{ACTIVE_KEY, TERM_KEY};

/// A transaction of the election that a test lays hands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// One that starts a term.
    Acquire,
    /// One that releases it.
    Release,
}

/// What goes wrong. All false: nothing does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// The next transaction of this kind that commits loses its reply.
    pub(crate) lose_reply_of: Option<Target>,
    /// Transactions of this kind wait here, however long it takes.
    pub(crate) hold: Option<Target>,
    /// Keepalives arrive, their replies do not.
    pub(crate) lose_keepalive_replies: bool,
    /// Keepalives do not arrive.
    pub(crate) drop_keepalives: bool,
    /// Watches hide that the active key was deleted, and what came with it.
    pub(crate) hide_deletes: bool,
    /// Running watches break, and new ones wait here.
    pub(crate) hold_watches: bool,
    /// Each call holds up the thread of the runtime that makes it.
    pub(crate) block_threads: bool,
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Calls of any kind.
    pub(crate) calls: AtomicUsize,
    /// Transactions that would start a term.
    pub(crate) acquisitions: AtomicUsize,
    /// Transactions and watches that wait for the test.
    pub(crate) held: AtomicUsize,
    /// Replies that were lost.
    pub(crate) lost_replies: AtomicUsize,
    /// Deletions that were hidden.
    pub(crate) hidden: AtomicUsize,
    /// Watches that were told that their revision is compacted.
    pub(crate) compacted: AtomicUsize,
}

pub(crate) struct Faulty {
    inner: EtcdStore,
    faults: watch::Sender<Faults>,
    pub(crate) counts: Arc<Counts>,
    /// Revisions of the transactions that started a term.
    pub(crate) committed: Mutex<Vec<Revision>>,
    unblocked: (Mutex<bool>, Condvar),
}

impl Faulty {
    pub(crate) fn new(endpoints: &[String]) -> Arc<Self> {
        Arc::new(Self {
            inner: EtcdStore::new(&EtcdOptions::new(endpoints)).unwrap(),
            faults: watch::Sender::new(Faults::default()),
            counts: Arc::default(),
            committed: Mutex::default(),
            unblocked: (Mutex::new(true), Condvar::new()),
        })
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Faults)) {
        self.faults.send_modify(change);
        *self.unblocked.0.lock().unwrap() = !self.faults.borrow().block_threads;
        self.unblocked.1.notify_all();
    }

    fn count(&self, counter: impl Fn(&Counts) -> &AtomicUsize) {
        counter(&self.counts).fetch_add(1, Ordering::SeqCst);
    }

    fn called(&self) {
        self.count(|counts| &counts.calls);
        let blocked = self.unblocked.0.lock().unwrap();
        drop(self.unblocked.1.wait_while(blocked, |open| !*open));
    }

    /// Waits while `is_held` is so. `Unavailable` where the test is over.
    async fn wait_while(&self, is_held: impl Fn(&Faults) -> bool) {
        let mut faults = self.faults.subscribe();
        if is_held(&faults.borrow_and_update()) {
            self.count(|counts| &counts.held);
            // The sender lives as long as this does.
            let _ = faults.wait_for(|faults| !is_held(faults)).await;
            self.counts.held.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn lose_reply(&self, target: Target) -> bool {
        let mut lost = false;
        self.faults.send_if_modified(|faults| {
            lost = faults.lose_reply_of == Some(target);
            if lost {
                faults.lose_reply_of = None;
            }
            lost
        });
        if lost {
            self.count(|counts| &counts.lost_replies);
        }
        lost
    }
}

fn target(txn: &Txn) -> Option<Target> {
    let active = ACTIVE_KEY.as_bytes();
    txn.success.iter().find_map(|op| match op {
        Op::Put { key, .. } if key == active => Some(Target::Acquire),
        Op::Delete(range) if range.start == active => Some(Target::Release),
        _ => None,
    })
}

fn lost() -> StoreError {
    StoreError::Unknown("the reply is lost, as the test asks".into())
}

#[async_trait]
impl Store for Faulty {
    async fn grant(&self, ttl: Duration, limit: Duration) -> Result<LeaseReply, StoreError> {
        self.called();
        self.inner.grant(ttl, limit).await
    }

    async fn keepalive(&self, lease: LeaseId, limit: Duration) -> Result<LeaseReply, StoreError> {
        self.called();
        if self.faults.borrow().drop_keepalives {
            return Err(StoreError::Unavailable("not sent, as the test asks".into()));
        }
        let reply = self.inner.keepalive(lease, limit).await?;
        if self.faults.borrow().lose_keepalive_replies {
            self.count(|counts| &counts.lost_replies);
            return Err(lost());
        }
        Ok(reply)
    }

    async fn revoke(&self, lease: LeaseId, limit: Duration) -> Result<(), StoreError> {
        self.called();
        self.inner.revoke(lease, limit).await
    }

    async fn range(&self, range: KeyRange, max: i64, limit: Duration) -> Result<RangeReply, StoreError> {
        self.called();
        self.inner.range(range, max, limit).await
    }

    async fn txn(&self, txn: Txn, limit: Duration) -> Result<TxnReply, StoreError> {
        self.called();
        let target = target(&txn);
        if target == Some(Target::Acquire) {
            self.count(|counts| &counts.acquisitions);
        }
        if target.is_some() {
            self.wait_while(|faults| faults.hold == target).await;
        }
        let reply = self.inner.txn(txn, limit).await?;
        if let Some(target) = target.filter(|_| reply.succeeded) {
            if target == Target::Acquire {
                self.committed.lock().unwrap().push(reply.revision);
            }
            if self.lose_reply(target) {
                return Err(lost());
            }
        }
        Ok(reply)
    }

    async fn watch(&self, ranges: Vec<KeyRange>, from: Revision, limit: Duration) -> Result<WatchStream, StoreError> {
        self.called();
        self.wait_while(|faults| faults.hold_watches).await;
        let stream = self.inner.watch(ranges, from, limit).await?;
        let (items, shown) = mpsc::channel(16);
        tokio::spawn(pass_on(stream, items, self.faults.subscribe(), Arc::clone(&self.counts)));
        Ok(shown)
    }

    fn health(&self) -> Health {
        self.inner.health()
    }
}

/// Shows a watch's items as the faults have it.
async fn pass_on(
    mut stream: WatchStream,
    items: mpsc::Sender<WatchItem>,
    mut faults: watch::Receiver<Faults>,
    counts: Arc<Counts>,
) {
    loop {
        let item = tokio::select! {
            biased;
            held = faults.wait_for(|faults| faults.hold_watches) => {
                let broken = StoreError::Unavailable("broken, as the test asks".into());
                held.is_ok().then_some(WatchItem::Failed(broken))
            }
            item = stream.recv() => item,
            () = items.closed() => None,
        };
        let item = match item {
            Some(WatchItem::Events(events)) if faults.borrow().hide_deletes => WatchItem::Events(hide(events, &counts)),
            Some(item) => item,
            None => return,
        };
        if matches!(item, WatchItem::Compacted { .. }) {
            counts.compacted.fetch_add(1, Ordering::SeqCst);
        }
        let last = matches!(item, WatchItem::Failed(_) | WatchItem::Compacted { .. });
        let empty = matches!(&item, WatchItem::Events(events) if events.is_empty());
        if !empty && items.send(item).await.is_err() || last {
            return;
        }
    }
}

/// Without the deletion of the active key, and without the mark of release that comes in the same revision.
fn hide(mut events: Vec<WatchEvent>, counts: &Counts) -> Vec<WatchEvent> {
    let is_hidden = |event: &WatchEvent| match event {
        WatchEvent::Delete { key, .. } => key == ACTIVE_KEY.as_bytes(),
        WatchEvent::Put(kv) => {
            kv.key == TERM_KEY.as_bytes() && String::from_utf8_lossy(&kv.value).contains("\"released\"")
        }
    };
    events.retain(|event| {
        let hidden = is_hidden(event);
        if hidden {
            counts.hidden.fetch_add(1, Ordering::SeqCst);
        }
        !hidden
    });
    events
}
