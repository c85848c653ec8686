//! Watches. All watches that a store opens at one endpoint share one stream, so that a thousand sessions cost one stream
//! and not a thousand: etcd limits the streams of a connection (to 250 with TLS, before 3.4.28 and 3.5.10).
//!
//! A stream is never read slower for the sake of one watch: one that is not read ends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use etcd_client::{Event, WatchOptions, WatchRequestSender, WatchResponse, WatchResponseStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tonic::Code;
use tracing::debug;

use super::connect::{Access, Pool, lock};
use super::error::Failure;
use super::txn::{bounds, key_value};
use crate::kv::{KeyRange, Revision, StoreError, WatchEvent, WatchItem};
use crate::store::WatchStream;

/// Items that wait in a watch that is not read, one more for the end.
const QUEUE: usize = 128;

/// Opens a watch.
pub(super) async fn watch(
    pool: &Arc<Pool>,
    ranges: Vec<KeyRange>,
    from: Revision,
    limit: Duration,
) -> Result<WatchStream, StoreError> {
    if ranges.is_empty() || from < 1 {
        let message = format!("a watch of {} ranges from revision {from}", ranges.len());
        return Err(StoreError::Invalid(message));
    }
    let bounds = ranges.iter().map(bounds).collect::<Result<Vec<_>, _>>()?;
    let creates: Vec<_> = bounds
        .into_iter()
        .map(|(key, end)| {
            let options = WatchOptions::new().with_start_revision(from);
            let options = match end {
                Some(end) => options.with_range(end),
                None => options,
            };
            (key, options)
        })
        .collect();
    pool.ask(limit, |access: Access| {
        let creates = creates.clone();
        async move { join(access, creates).await }
    })
    .await
}

type Create = (Vec<u8>, WatchOptions);

/// Joins the stream of the endpoint, or opens one.
async fn join(access: Access, creates: Vec<Create>) -> Result<WatchStream, Failure> {
    let mut current = access.endpoint.hub.lock().await;
    // A stream keeps the token it was opened with.
    let usable = current.as_ref().filter(|hub| hub.generation == access.login.generation);
    if let Some(stream) = usable.and_then(|hub| hub.add(&creates)) {
        return Ok(stream);
    }
    let (hub, stream) = Hub::open(&access, creates).await?;
    *current = Some(hub);
    Ok(stream)
}

/// One stream with the watches on it. Where it is dropped the stream goes on until its last watch is over.
pub(super) struct Hub {
    generation: u64,
    table: Arc<Mutex<Table>>,
}

impl Hub {
    async fn open(access: &Access, creates: Vec<Create>) -> Result<(Self, WatchStream), Failure> {
        let (requests, inbox) = mpsc::unbounded_channel();
        let table = Arc::new(Mutex::new(Table { requests: Some(requests), ..Table::default() }));
        let hub = Self { generation: access.login.generation, table };
        let mut creates = creates.into_iter();
        let Some((key, options)) = creates.next() else {
            let error = StoreError::Invalid("a watch of nothing".into());
            return Err(Failure::refused(error));
        };
        // The client opens a stream with a first watch, so that one does not go through the inbox.
        let rest: Vec<_> = creates.collect();
        let Some(stream) = Table::add(&hub.table, 1, &rest) else {
            let error = StoreError::Unavailable("the watch stream is closed".into());
            return Err(Failure::refused(error));
        };
        let opened = access.login.watch.clone().watch(key, Some(options)).await;
        let (sender, receiver) = opened.map_err(|error| access.failure(error))?.split();
        tokio::spawn(send(sender, inbox));
        let reader = Reader {
            pool: access.pool.clone(),
            index: access.endpoint.index,
            generation: hub.generation,
            table: hub.table.clone(),
        };
        tokio::spawn(reader.run(receiver));
        Ok((hub, stream))
    }

    /// `None` where the stream has ended.
    fn add(&self, creates: &[Create]) -> Option<WatchStream> {
        Table::add(&self.table, 0, creates)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        table.is_retired = true;
        table.close_if_idle();
    }
}

enum Request {
    Create(Create),
    Cancel(i64),
}

/// Passes requests on. Ends when the stream does, or when the table closes it.
async fn send(mut sender: WatchRequestSender, mut inbox: mpsc::UnboundedReceiver<Request>) {
    while let Some(request) = inbox.recv().await {
        let sent = match request {
            Request::Create((key, options)) => sender.watch(key, Some(options)).await,
            Request::Cancel(id) => sender.cancel(id).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// A watch of the store's, which has one of etcd's for each of its ranges.
struct Watch {
    items: mpsc::Sender<WatchItem>,
    /// Room for the last item.
    last: mpsc::OwnedPermit<WatchItem>,
    /// Ends with the watch; tells the table when it is no longer read.
    listener: AbortHandle,
    /// etcd's names for its ranges.
    ids: Vec<i64>,
    /// Ranges that do not stand yet. Until then events wait.
    missing: usize,
    waiting: Vec<WatchItem>,
}

#[derive(Default)]
struct Table {
    watches: BTreeMap<u64, Watch>,
    next: u64,
    /// Watches by etcd's names.
    routes: BTreeMap<i64, u64>,
    /// Whose ranges were asked for, in that order, which is the order of the answers.
    creating: VecDeque<u64>,
    /// `None` where the stream has ended.
    requests: Option<mpsc::UnboundedSender<Request>>,
    /// No watch is added any more.
    is_retired: bool,
}

impl Table {
    /// Adds a watch and asks for its ranges; `asked` more of them were asked for already.
    fn add(shared: &Arc<Mutex<Self>>, asked: usize, creates: &[Create]) -> Option<WatchStream> {
        let (items, stream) = mpsc::channel(QUEUE + 1);
        let last = items.clone().try_reserve_owned().ok()?;
        let mut table = lock(shared);
        let requests = table.requests.clone()?;
        let number = table.next;
        table.next += 1;
        for create in creates {
            requests.send(Request::Create(create.clone())).ok()?;
        }
        let missing = asked + creates.len();
        table.creating.extend(std::iter::repeat_n(number, missing));
        let listener = tokio::spawn(Self::listen(shared.clone(), number, items.clone()));
        let watch =
            Watch { items, last, listener: listener.abort_handle(), ids: Vec::new(), missing, waiting: Vec::new() };
        table.watches.insert(number, watch);
        Some(stream)
    }

    /// Ends a watch that is no longer read.
    async fn listen(shared: Arc<Mutex<Self>>, number: u64, items: mpsc::Sender<WatchItem>) {
        items.closed().await;
        lock(&shared).remove(number);
    }

    fn cancel(&self, id: i64) {
        if let Some(requests) = &self.requests {
            // Where the stream is gone, so is the watch.
            let _ = requests.send(Request::Cancel(id));
        }
    }

    fn remove(&mut self, number: u64) -> Option<mpsc::OwnedPermit<WatchItem>> {
        let watch = self.watches.remove(&number)?;
        watch.listener.abort();
        for id in watch.ids {
            if self.routes.remove(&id).is_some() {
                self.cancel(id);
            }
        }
        self.close_if_idle();
        Some(watch.last)
    }

    fn finish(&mut self, number: u64, item: WatchItem) {
        if let Some(last) = self.remove(number) {
            last.send(item);
        }
    }

    fn deliver(&mut self, number: u64, item: WatchItem) {
        let Some(watch) = self.watches.get_mut(&number) else {
            return;
        };
        if watch.missing > 0 {
            watch.waiting.push(item);
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = watch.items.try_send(item) {
            let error = StoreError::Unavailable("the watch was not read in time".into());
            self.finish(number, WatchItem::Failed(error));
        }
    }

    /// One range of the watch that is next in turn stands, under this name.
    fn created(&mut self, id: i64) {
        let Some(number) = self.creating.pop_front() else {
            return;
        };
        let Some(watch) = self.watches.get_mut(&number) else {
            // It was dropped meanwhile.
            self.cancel(id);
            return;
        };
        watch.ids.push(id);
        watch.missing -= 1;
        self.routes.insert(id, number);
        if watch.missing == 0 {
            let waiting = std::mem::take(&mut watch.waiting);
            self.deliver(number, WatchItem::Started);
            for item in waiting {
                self.deliver(number, item);
            }
        }
    }

    fn close_if_idle(&mut self) {
        if self.is_retired && self.watches.is_empty() {
            self.requests = None;
        }
    }

    /// The stream has ended; `error` is for its watches.
    fn end(&mut self, error: Option<&StoreError>) {
        self.requests = None;
        while let Some(number) = self.watches.keys().next().copied() {
            match error {
                Some(error) => self.finish(number, WatchItem::Failed(error.clone())),
                None => drop(self.remove(number)),
            }
        }
    }
}

/// Reads a stream and shares its responses out.
struct Reader {
    pool: Arc<Pool>,
    index: usize,
    generation: u64,
    table: Arc<Mutex<Table>>,
}

impl Reader {
    async fn run(self, mut stream: WatchResponseStream) {
        let mut closing = self.pool.closing.clone();
        let endpoint = &self.pool.endpoints[self.index];
        let error = loop {
            let response = tokio::select! {
                // The store is gone.
                _ = closing.changed() => return lock(&self.table).end(None),
                response = stream.message() => response,
            };
            match response {
                Ok(Some(response)) => self.share(&response),
                Ok(None) => {
                    let message = format!("{}: the watch stream ended", endpoint.name);
                    break StoreError::Unavailable(message);
                }
                Err(error) => break Failure::new(&endpoint.name, error).error,
            }
        };
        debug!(endpoint = endpoint.name, ?error, "watch stream ended");
        let mut table = lock(&self.table);
        // Where it was closed here, nothing is wrong with the endpoint.
        if table.requests.is_some() {
            self.pool.fault(self.index, &error);
        }
        table.end(Some(&error));
    }

    fn share(&self, response: &WatchResponse) {
        let mut table = lock(&self.table);
        if response.created() && !response.canceled() {
            table.created(response.watch_id());
        } else if response.canceled() {
            // One that could not be created has no name.
            let number =
                if response.created() { table.creating.pop_front() } else { table.routes.remove(&response.watch_id()) };
            if let Some(number) = number {
                table.finish(number, self.canceled(response));
            }
        } else if !response.events().is_empty()
            && let Some(number) = table.routes.get(&response.watch_id()).copied()
        {
            let events = response.events().iter().filter_map(event).collect();
            table.deliver(number, WatchItem::Events(events));
        }
    }

    fn canceled(&self, response: &WatchResponse) -> WatchItem {
        if response.compact_revision() > 0 {
            return WatchItem::Compacted { revision: response.compact_revision() };
        }
        let endpoint = &self.pool.endpoints[self.index];
        let reason = match response.cancel_reason() {
            "" => "the watch was canceled",
            reason => reason,
        };
        let failure = Failure::from_reply(&endpoint.name, Code::Unavailable, reason);
        // etcd 3.4 says "permission denied" of a token that has died, too.
        let is_denied = matches!(failure.error, StoreError::Permission(_));
        if (failure.is_login_stale || is_denied) && endpoint.has_credentials() {
            endpoint.forget_login(self.generation);
        }
        WatchItem::Failed(failure.error)
    }
}

/// Only a deletion has version 0. The type itself cannot be asked for: the client panics at one it does not know.
fn event(event: &Event) -> Option<WatchEvent> {
    let kv = event.kv()?;
    Some(match kv.version() {
        0 => WatchEvent::Delete { key: kv.key().to_vec(), revision: kv.mod_revision() },
        _ => WatchEvent::Put(key_value(kv.clone())),
    })
}
