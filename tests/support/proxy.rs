//! A loopback proxy between a client and a server, with switches for each direction.
//!
//! | Switch | Requests | Replies | Open connections | New connections |
//! |---|---|---|---|---|
//! | [`Proxy::forward`] | pass | pass | go on, unless bytes of theirs were dropped: those are reset | pass |
//! | [`Proxy::drop_replies`] | pass | vanish | stay | the same |
//! | [`Proxy::hold_requests`], [`Proxy::hold_replies`] | wait in the proxy | wait in the proxy | stay | the same |
//! | [`Proxy::black_hole`] | vanish | vanish | stay: half-open | are accepted, answer nothing |
//! | [`Proxy::cut`] | – | – | are reset | are reset at once |
//!
//! [`Proxy::delay`] adds to any of them. A switch holds from its call on for every byte that has not been read yet.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// What becomes of the bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Pass,
    Hold,
    Vanish,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Switches {
    requests: Flow,
    replies: Flow,
    request_delay: Duration,
    reply_delay: Duration,
    cut: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Replies,
}

impl Switches {
    fn flow(&self, direction: Direction) -> Flow {
        match direction {
            Direction::Requests => self.requests,
            Direction::Replies => self.replies,
        }
    }

    fn delay(&self, direction: Direction) -> Duration {
        match direction {
            Direction::Requests => self.request_delay,
            Direction::Replies => self.reply_delay,
        }
    }
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    requests: AtomicU64,
    vanished_replies: AtomicU64,
}

/// A running proxy, in a thread of its own. Dropping it resets its connections and frees its port.
pub struct Proxy {
    address: SocketAddr,
    switches: watch::Sender<Switches>,
    counters: Arc<Counters>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Proxy {
    /// A proxy that forwards to `target` (`host:port`).
    pub fn start(target: impl Into<String>) -> Self {
        let target = target.into();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("a listener");
        let (switches, changes) = watch::channel(Switches {
            requests: Flow::Pass,
            replies: Flow::Pass,
            request_delay: Duration::ZERO,
            reply_delay: Duration::ZERO,
            cut: false,
        });
        let counters = Arc::new(Counters::default());
        let shared = counters.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(listener, target, changes, shared));
        });
        Self { address, switches, counters, thread: Some(thread) }
    }

    /// Where clients connect, `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Both directions pass.
    pub fn forward(&self) {
        self.set(|s| {
            s.requests = Flow::Pass;
            s.replies = Flow::Pass;
            s.cut = false;
        });
    }

    /// Requests arrive, their replies are lost for good.
    pub fn drop_replies(&self) {
        self.set(|s| s.replies = Flow::Vanish);
    }

    /// Requests wait in the proxy until [`Proxy::forward`].
    pub fn hold_requests(&self) {
        self.set(|s| s.requests = Flow::Hold);
    }

    /// Replies wait in the proxy until [`Proxy::forward`].
    pub fn hold_replies(&self) {
        self.set(|s| s.replies = Flow::Hold);
    }

    /// Half-open: connections stay and carry nothing.
    pub fn black_hole(&self) {
        self.set(|s| {
            s.requests = Flow::Vanish;
            s.replies = Flow::Vanish;
        });
    }

    /// All connections are reset, and new ones at once.
    pub fn cut(&self) {
        self.set(|s| s.cut = true);
    }

    /// Every byte read from now on is passed on so much later; zero ends that.
    pub fn delay(&self, requests: Duration, replies: Duration) {
        self.set(|s| {
            s.request_delay = requests;
            s.reply_delay = replies;
        });
    }

    /// Connections accepted so far, those reset at once included.
    pub fn accepted(&self) -> u64 {
        self.counters.accepted.load(Ordering::SeqCst)
    }

    /// Bytes of requests that the server was given so far.
    pub fn request_bytes(&self) -> u64 {
        self.counters.requests.load(Ordering::SeqCst)
    }

    /// Bytes of replies that vanished so far: proof that the server has answered.
    pub fn vanished_reply_bytes(&self) -> u64 {
        self.counters.vanished_replies.load(Ordering::SeqCst)
    }

    fn set(&self, change: impl FnOnce(&mut Switches)) {
        self.switches.send_modify(change);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Without a sender all tasks end.
        let (gone, _) = watch::channel(*self.switches.borrow());
        drop(std::mem::replace(&mut self.switches, gone));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    target: String,
    mut changes: watch::Receiver<Switches>,
    counters: Arc<Counters>,
) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    loop {
        let client = tokio::select! {
            gone = closed(&mut changes) => return gone,
            accepted = listener.accept() => accepted,
        };
        let Ok((client, _)) = client else { continue };
        counters.accepted.fetch_add(1, Ordering::SeqCst);
        let _ = client.set_nodelay(true);
        tokio::spawn(carry(client, target.clone(), changes.clone(), counters.clone()));
    }
}

/// Returns when the proxy is dropped.
async fn closed(changes: &mut watch::Receiver<Switches>) {
    while changes.changed().await.is_ok() {}
}

/// Carries one connection until either side ends it, the proxy does, or a switch resets it.
async fn carry(mut client: TcpStream, target: String, mut changes: watch::Receiver<Switches>, counters: Arc<Counters>) {
    if changes.borrow().cut {
        let _ = client.set_zero_linger();
        return;
    }
    let Ok(mut server) = TcpStream::connect(&target).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = server.set_nodelay(true);
    let (client_reads, client_writes) = client.split();
    let (server_reads, server_writes) = server.split();
    let requests = Pump::new(Direction::Requests, &changes, &counters);
    let replies = Pump::new(Direction::Replies, &changes, &counters);
    let end = tokio::select! {
        end = requests.run(client_reads, server_writes) => end,
        end = replies.run(server_reads, client_writes) => end,
        _ = changes.wait_for(|switches| switches.cut) => End::Reset,
    };
    if end == End::Reset {
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// One side has closed it, and all it sent has been passed on.
    Closed,
    /// It cannot go on.
    Reset,
}

/// Moves the bytes of one direction of one connection.
struct Pump<'a> {
    direction: Direction,
    changes: watch::Receiver<Switches>,
    counters: &'a Counters,
}

impl<'a> Pump<'a> {
    fn new(direction: Direction, changes: &watch::Receiver<Switches>, counters: &'a Counters) -> Self {
        Self { direction, changes: changes.clone(), counters }
    }

    async fn run(&self, from: impl AsyncRead + Unpin, to: impl AsyncWrite + Unpin) -> End {
        let (queue, due) = mpsc::unbounded_channel();
        let (read, written) = tokio::join!(self.read(from, queue), self.write(to, due));
        if written == End::Reset { written } else { read }
    }

    /// Returns once the direction is not held; `Err` where the proxy is gone.
    async fn open(&self) -> Result<(), watch::error::RecvError> {
        let is_open = |switches: &Switches| switches.flow(self.direction) != Flow::Hold;
        self.changes.clone().wait_for(is_open).await.map(|_| ())
    }

    async fn read(&self, mut from: impl AsyncRead + Unpin, queue: mpsc::UnboundedSender<(Instant, Vec<u8>)>) -> End {
        let mut changes = self.changes.clone();
        let mut buffer = vec![0; 64 * 1024];
        let mut has_lost = false;
        loop {
            if self.open().await.is_err() {
                return End::Reset;
            }
            let read = tokio::select! {
                changed = changes.changed() => match changed {
                    Ok(()) if has_lost && changes.borrow().flow(self.direction) == Flow::Pass => Err(()),
                    Ok(()) => continue,
                    Err(_) => Err(()),
                },
                read = from.read(&mut buffer) => read.map_err(|_| ()),
            };
            let switches = *self.changes.borrow();
            match (read, switches.flow(self.direction)) {
                (Err(()), _) => return End::Reset,
                (Ok(0), _) => return if has_lost { End::Reset } else { End::Closed },
                (Ok(count), Flow::Vanish) => {
                    has_lost = true;
                    if self.direction == Direction::Replies {
                        self.counters.vanished_replies.fetch_add(count as u64, Ordering::SeqCst);
                    }
                }
                // What comes after a gap makes no sense to the other side.
                (Ok(_), _) if has_lost => return End::Reset,
                (Ok(count), _) => {
                    let due = Instant::now() + switches.delay(self.direction);
                    if queue.send((due, buffer[..count].to_vec())).is_err() {
                        return End::Reset;
                    }
                }
            }
        }
    }

    async fn write(
        &self,
        mut to: impl AsyncWrite + Unpin,
        mut due: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
    ) -> End {
        while let Some((at, bytes)) = due.recv().await {
            tokio::time::sleep_until(at).await;
            if self.open().await.is_err() || to.write_all(&bytes).await.is_err() {
                return End::Reset;
            }
            if self.direction == Direction::Requests {
                self.counters.requests.fetch_add(bytes.len() as u64, Ordering::SeqCst);
            }
        }
        End::Closed
    }
}
