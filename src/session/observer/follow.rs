//! Follows the active key through whatever the store does: read, watch from there, read again now and then.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::mailbox::{Mailbox, Seen};
use crate::driver::Shared;
use crate::election::Holder;
use crate::error::{Error, ErrorKind, Result};
use crate::kv::{KeyRange, KeyValue, Revision, WatchEvent, WatchItem};
use crate::record::Record;
use crate::store::Store;

/// What follows one role's active key, as a task of the runtime.
pub(super) struct Follower {
    pub(super) store: Arc<dyn Store>,
    pub(super) mailbox: Arc<Mailbox>,
    /// Weak: its own runtime must not be kept alive by it.
    pub(super) shared: Weak<Shared>,
    pub(super) active_key: Vec<u8>,
    /// Limit of a read, and of the request for a watch.
    pub(super) limit: Duration,
    /// Pause between two reads while a watch stands.
    pub(super) reread: Duration,
}

/// What a read has shown.
struct Shown {
    revision: Revision,
    news: bool,
}

impl Follower {
    /// Never returns but where the store was restored from a backup.
    pub(super) async fn follow(self) {
        let mut failures = 0;
        loop {
            match self.read().await {
                Ok(shown) => {
                    failures = 0;
                    self.watch(shown.revision + 1).await;
                }
                Err(error) if error.is_fatal() => {
                    self.mailbox.end(error);
                    return;
                }
                Err(_) => failures += 1,
            }
            sleep(pause(failures)).await;
        }
    }

    /// A linearizable read.
    async fn read(&self) -> Result<Shown> {
        let newest = self.mailbox.newest();
        let range = KeyRange::key(self.active_key.as_slice());
        let reply = match self.store.range(range, 0, self.limit).await {
            Ok(reply) => reply,
            Err(error) => {
                let error = unanswered(error.into()).with("endpoint", self.store.health().endpoint);
                self.tell_trouble(&error);
                return Err(error);
            }
        };
        if reply.revision < newest {
            let revision = reply.revision;
            let message =
                format!("the store was restored: it shows revision {revision}, this observer has seen {newest}");
            return Err(Error::new(ErrorKind::Regressed, message));
        }
        if self.mailbox.recover() {
            self.log(|role| info!(role, "the observer reaches the store again"));
        }
        let holder = reply.kvs.first().and_then(|kv| self.holder(kv));
        let news = self.mailbox.show(reply.revision, holder);
        Ok(Shown { revision: reply.revision, news })
    }

    /// Shows what the watch shows, until it is over, or is found not to show what is there.
    async fn watch(&self, from: Revision) {
        let range = KeyRange::key(self.active_key.as_slice());
        let Ok(mut stream) = self.store.watch(vec![range], from, self.limit).await else {
            return;
        };
        let mut next_read = Instant::now() + self.reread;
        loop {
            tokio::select! {
                item = stream.recv() => match item {
                    Some(WatchItem::Started) => {}
                    Some(WatchItem::Events(events)) => events.iter().for_each(|event| self.show(event)),
                    Some(WatchItem::Compacted { .. } | WatchItem::Failed(_)) | None => return,
                },
                () = sleep_until(next_read) => {
                    match self.read().await {
                        Ok(shown) if !shown.news => next_read = Instant::now() + self.reread,
                        // Where an endpoint hangs, its watch is silent long before its connection is given up.
                        _ => return,
                    }
                }
            }
        }
    }

    fn show(&self, event: &WatchEvent) {
        let holder = match event {
            WatchEvent::Put(kv) => self.holder(kv),
            WatchEvent::Delete { .. } => None,
        };
        self.mailbox.show(event.revision(), holder);
    }

    /// Who is active by this record; one that cannot be read names nobody.
    fn holder(&self, kv: &KeyValue) -> Option<Seen> {
        match Record::decode(&kv.value) {
            Ok(record) => {
                let is_milvus = record.coordha.is_none();
                let Record { server_id, address, .. } = record;
                Some(Seen { holder: Holder { server_id, address, token: kv.mod_revision }, is_milvus })
            }
            Err(error) => {
                let key = kv.key.escape_ascii().to_string();
                self.log(move |role| warn!(role, key, "the active key cannot be read: {error}"));
                None
            }
        }
    }

    /// Told once, until the store answers again.
    fn tell_trouble(&self, error: &Error) {
        if self.mailbox.fail(error.clone()) {
            let error = error.clone();
            self.log(move |role| warn!(role, "the observer has trouble with the store: {error}"));
        }
    }

    fn log(&self, line: impl FnOnce(&str) + Send + 'static) {
        if let Some(shared) = self.shared.upgrade() {
            let mailbox = Arc::clone(&self.mailbox);
            shared.log(move || line(mailbox.role_name()));
        }
    }
}

/// A read that was not answered has changed nothing.
fn unanswered(error: Error) -> Error {
    match error.kind() {
        ErrorKind::UnknownOutcome => Error::new(ErrorKind::Unavailable, error.message()),
        _ => error,
    }
}

/// The pause before the next try after so many failures: 50 ms doubling to 3.2 s.
fn pause(failures: u32) -> Duration {
    Duration::from_millis(50 << failures.min(6))
}
