//! Who is active, for those who stand in no election: clients, proxies, dashboards.

mod follow;
mod mailbox;

use std::fmt;
use std::future::poll_fn;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::task::AbortHandle;
use tracing::Instrument;

use self::follow::Follower;
use self::mailbox::Mailbox;
use super::{Event, stores};
use crate::config::{Config, ObserverOptions};
use crate::driver::{Guest, Shared};
use crate::error::Result;
use crate::metrics::{self, Live};
use crate::record::Keys;
use crate::store::Store;

/// Follows who is active in one role, without standing in its election: nothing is registered, and no address is needed.
///
/// It gives events of the kind [`EventKind::Holder`](super::EventKind::Holder): [`Event::address`], [`Event::server_id`]
/// and [`Event::token`] of the active one, all none or 0 while nobody is. The first one comes as soon as the store has
/// answered; those that name a holder come by growing token. Only the newest waits to be read: [`Event::missed`] says how
/// many were replaced by it unread, so however slow the reader is, what it reads is what is known.
///
/// What it says is what the store says, a moment ago: an active one that is cut off is named until another has taken over.
/// A store that cannot be reached is tried again for ever, and what was known last stays [`Observer::current`].
///
/// A handle: clones are the same observer. Everything may be called from many threads at once. Dropping the last one ends
/// it. In the child of a `fork` it says [`ErrorKind::Forked`](crate::error::ErrorKind::Forked).
///
/// ```
/// # use std::time::Duration;
/// # use coordha::config::{Config, keys};
/// # use coordha::session::{Observer, Session};
/// # let directory = tempfile::tempdir().unwrap();
/// # let url = format!("local:{}", directory.path().display());
/// let mut config = Config::new();
/// config.set(keys::ROLE, "rootcoord")?;
/// config.set(keys::STORE_URL, &url)?;
/// let observer = Observer::start(&config)?;
/// assert_eq!(observer.next_event(Some(Duration::from_secs(30)))?.address(), None);
/// # config.set(keys::ADDRESS, "127.0.0.1:53100")?;
/// # config.set(keys::ACTIVATION_AUTO, "true")?;
/// # let session = Session::start(&config, None)?;
/// let event = observer.next_event(Some(Duration::from_secs(30)))?;
/// assert_eq!(event.address(), Some("127.0.0.1:53100"));
/// # session.stop(None)?;
/// # Ok::<(), coordha::error::Error>(())
/// ```
#[derive(Clone)]
pub struct Observer {
    inner: Arc<Inner>,
}

struct Inner {
    mailbox: Arc<Mailbox>,
    task: AbortHandle,
    /// `None` only while it is dropped.
    guest: Option<Guest>,
}

impl Observer {
    /// Starts an observer. Checks the configuration, of which it uses the role, the root, the store and
    /// `election.reread_ms`, and returns without waiting for the network.
    ///
    /// # Errors
    /// Those of [`Config::resolve_observer`]; what opening the store may say;
    /// [`ErrorKind::Resources`](crate::error::ErrorKind::Resources);
    /// [`ErrorKind::Forked`](crate::error::ErrorKind::Forked) in the child of a process that has sessions or observers.
    pub fn start(config: &Config) -> Result<Self> {
        let options = config.resolve_observer()?;
        let shared = Shared::of_process()?;
        let store = shared.store(options.store.clone(), stores::open)?;
        Ok(Self::follow(&options, shared, store))
    }

    /// [`Observer::start`] on a store of the caller's own, for tests; `store.url` only names it.
    ///
    /// # Errors
    /// As [`Observer::start`].
    #[cfg(feature = "testkit")]
    pub fn start_on(store: Arc<dyn Store>, config: &Config) -> Result<Self> {
        Ok(Self::follow(&config.resolve_observer()?, Shared::of_process()?, store))
    }

    fn follow(options: &ObserverOptions, shared: Arc<Shared>, store: Arc<dyn Store>) -> Self {
        let mailbox = Arc::new(Mailbox::new(&options.role, &options.root));
        metrics::register(Arc::downgrade(&mailbox) as Weak<dyn Live>);
        let follower = Follower {
            store,
            mailbox: Arc::clone(&mailbox),
            shared: Arc::downgrade(&shared),
            active_key: Keys::new(&options.root, &options.role).active,
            limit: options.store.request_timeout.min(Duration::from_secs(1).max(options.hold / 4)),
            reread: options.reread,
        };
        let span = tracing::info_span!("observer", role = options.role);
        let task = shared.handle().spawn(follower.follow().instrument(span)).abort_handle();
        let guest = Some(Guest::new(shared, Arc::<Mailbox>::clone(&mailbox)));
        Self { inner: Arc::new(Inner { mailbox, task, guest }) }
    }

    /// The role's name, such as `rootcoord`.
    pub fn role_name(&self) -> &str {
        self.inner.mailbox.role_name()
    }

    /// Who is active, as far as is known now: an event of the kind Holder. Does not wait, and takes nothing from
    /// [`Observer::next_event`].
    ///
    /// # Errors
    /// Why the store has not answered yet ([`ErrorKind::Unavailable`](crate::error::ErrorKind::Unavailable),
    /// [`ErrorKind::Auth`](crate::error::ErrorKind::Auth), …); those of [`Observer::next_event`] after its end.
    pub fn current(&self) -> Result<Event> {
        self.inner.refuse_child()?;
        self.inner.mailbox.current()
    }

    /// The next change of who is active, or who is at all, if that was not read yet. Waits for at most `limit` (zero: not
    /// at all; `None`: for ever). Each goes to one caller.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`](crate::error::ErrorKind::Timeout); for ever
    /// [`ErrorKind::Ended`](crate::error::ErrorKind::Ended) after [`Observer::request_stop`], or
    /// [`ErrorKind::Regressed`](crate::error::ErrorKind::Regressed) where the store was restored from a backup, so that
    /// tokens would not grow, or [`ErrorKind::Corrupt`](crate::error::ErrorKind::Corrupt) where a local one is damaged.
    pub fn next_event(&self, limit: Option<Duration>) -> Result<Event> {
        self.inner.refuse_child()?;
        self.inner.mailbox.next(limit)
    }

    /// [`Observer::next_event`] for async code under any runtime. Dropping it loses no event.
    ///
    /// # Errors
    /// As [`Observer::next_event`], but for the time-out.
    pub async fn event(&self) -> Result<Event> {
        self.inner.refuse_child()?;
        self.inner.mailbox.next_async().await
    }

    /// All events as a stream, which ends where [`Observer::event`] says an error.
    pub fn events(&self) -> HolderEvents {
        HolderEvents { next: Box::pin(next(self.clone())) }
    }

    /// Counts an event that was taken and that nobody will look at.
    #[cfg(feature = "capi")]
    pub(crate) fn count_missed(&self) {
        self.inner.mailbox.count_missed();
    }

    /// A descriptor to poll: readable while an event waits and for ever after the end, with a new edge at each arrival.
    /// Wait for it, then call [`Observer::next_event`] with a limit of zero until it says
    /// [`ErrorKind::Timeout`](crate::error::ErrorKind::Timeout). Made at the first call, owned by the observer, never to
    /// be closed. Non-blocking, close-on-exec.
    ///
    /// # Errors
    /// [`ErrorKind::Resources`](crate::error::ErrorKind::Resources).
    pub fn event_fd(&self) -> Result<BorrowedFd<'_>> {
        self.inner.refuse_child()?;
        self.inner.mailbox.event_fd()
    }

    /// Ends it: whoever waits is woken, and nothing is given out any more. Returns at once; twice is harmless. From any
    /// thread and from a signal handler: it is one store and one write.
    pub fn request_stop(&self) {
        if let Some(guest) = self.inner.guest.as_ref().filter(|guest| !guest.in_child()) {
            self.inner.mailbox.set_stopping();
            guest.wake();
        }
    }
}

impl Inner {
    fn refuse_child(&self) -> Result<()> {
        self.guest.as_ref().map_or(Ok(()), Guest::refuse_child)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.refuse_child().is_err() {
            // The threads that its end would wait for do not exist, and its locks may never open.
            std::mem::forget(self.guest.take());
            return;
        }
        self.task.abort();
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("role_name", &self.role_name()).finish_non_exhaustive()
    }
}

/// All events of an observer, as a stream: see [`Observer::events`]. It is a handle of the observer like any other.
pub struct HolderEvents {
    next: Pin<Box<dyn Future<Output = (Observer, Option<Event>)> + Send + Sync>>,
}

async fn next(observer: Observer) -> (Observer, Option<Event>) {
    let event = observer.event().await.ok();
    (observer, event)
}

impl Stream for HolderEvents {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let (observer, event) = std::task::ready!(self.next.as_mut().poll(context));
        self.next = Box::pin(next(observer));
        Poll::Ready(event)
    }
}

impl HolderEvents {
    /// The next event; `None` after the end.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl fmt::Debug for HolderEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HolderEvents").finish_non_exhaustive()
    }
}
