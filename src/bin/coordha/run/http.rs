//! What `coordha run` serves on `--listen`.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use coordha::config::keys;
use coordha::metrics;
use coordha::session::{Role, Session};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::event::{EventfdFlags, eventfd};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::clock::{self, Instant};
use crate::exit::{FAILED, Failure, USAGE};

/// How long the head of a request may take.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection may last in all.
const CONNECTION_LIMIT: Duration = Duration::from_secs(60);
/// How large the head of a request may be.
const HEAD_BYTES: usize = 16 * 1024;
/// How many connections there may be at once; for one more the oldest is closed, which has had the time to be answered.
const CONNECTIONS: usize = 64;
/// How long after it is woken the supervisor may take to turn.
const TURN_LIMIT: Duration = Duration::from_secs(1);

/// What the supervisor knows and the session does not.
#[derive(Clone, Default)]
pub(super) struct Facts {
    /// Why the store is no use now.
    pub(super) trouble: Option<String>,
    /// The session does not contend, by configuration.
    pub(super) paused: bool,
    /// It does not yet, as a Milvus process may act for the role.
    pub(super) milvus_holder: bool,
    /// Until when nothing is started, after an end of the command.
    pub(super) pauses_until: Instant,
    /// It is about to end.
    pub(super) stops: bool,
    /// The command acts for the role.
    pub(super) acts: bool,
}

impl Facts {
    /// There is a holder, or nobody is waited for any more.
    pub(super) fn contends(&mut self) {
        self.milvus_holder = false;
    }

    /// Why it could not win now, if so.
    fn obstacle(&self) -> Option<String> {
        let now = clock::now();
        let pause = self.pauses_until.saturating_sub(now).div_ceil(1_000_000);
        match self {
            Self { trouble: Some(trouble), .. } => Some(trouble.clone()),
            Self { stops: true, .. } => Some("it is about to end".into()),
            Self { paused: true, .. } => Some(format!("it does not contend: {} = true", keys::ELECTION_PAUSED)),
            Self { milvus_holder: true, .. } => Some("a Milvus process may still act for the role".into()),
            _ if pause > 0 => Some(format!("the command has ended, and is not started again for {pause} ms")),
            _ => None,
        }
    }
}

#[derive(Clone)]
pub(super) struct Board {
    pub(super) session: Session,
    pub(super) address: Arc<str>,
    facts: Arc<Mutex<Facts>>,
    /// Wakes the supervisor.
    wake: Arc<OwnedFd>,
    /// How often that has turned.
    turns: Arc<watch::Sender<u64>>,
}

impl Board {
    pub(super) fn new(session: Session, address: &str) -> io::Result<Self> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let turns = Arc::new(watch::Sender::new(0));
        Ok(Self { session, address: address.into(), facts: Arc::default(), wake, turns })
    }

    pub(super) fn wake(&self) -> &Arc<OwnedFd> {
        &self.wake
    }

    /// To be called by the supervisor before it looks at what it was woken for.
    pub(super) fn take_wake(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&*self.wake, &mut count);
    }

    /// The supervisor has seen to everything once more.
    pub(super) fn has_turned(&self) {
        self.turns.send_modify(|turns| *turns += 1);
    }

    /// Whether the supervisor does anything when it is woken: it may hang, and still have a session that renews the role.
    async fn turns(&self) -> bool {
        let mut turns = self.turns.subscribe();
        // Full: then it is awake already.
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        matches!(timeout(TURN_LIMIT, turns.changed()).await, Ok(Ok(())))
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this one could win now, or holds the role.
    async fn is_healthy(&self) -> Result<(), String> {
        if !self.turns().await {
            return Err(format!("it hangs: it has not turned for {} ms", TURN_LIMIT.as_millis()));
        }
        if self.session.holds(self.session.fencing_token()) {
            return Ok(());
        }
        if let Some(obstacle) = self.facts().obstacle() {
            return Err(obstacle);
        }
        match self.session.role() {
            Role::Starting => Err("not registered yet".into()),
            Role::Ended => Err("the session has ended".into()),
            _ => Ok(()),
        }
    }

    fn is_ready(&self) -> Result<(), String> {
        if self.session.is_active() && self.facts().acts {
            Ok(())
        } else {
            Err(format!("not active: {}", state(self.session.role())))
        }
    }

    fn role(&self) -> Value {
        let session = &self.session;
        let holder = session
            .holder()
            .map(|holder| json!({"server_id": holder.server_id, "address": holder.address, "token": holder.token}));
        json!({
            "role": session.role_name(),
            "state": state(session.role()),
            "server_id": session.server_id(),
            "address": &*self.address,
            "token": session.fencing_token(),
            "remaining_ms": session.remaining_ms(),
            "holder": holder,
        })
    }
}

fn state(role: Role) -> &'static str {
    match role {
        Role::Starting => "STARTING",
        Role::Standby => "STANDBY",
        Role::Activating => "ACTIVATING",
        Role::Active => "ACTIVE",
        Role::Deactivating => "DEACTIVATING",
        Role::Ended => "ENDED",
    }
}

pub(super) fn bind(listen: &str) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(listen).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    let allowed = "allowed: HOST:PORT of this host that is free";
    bound.map_err(|error| Failure::new(USAGE, format!("--listen {listen}: {error} ({allowed})")))
}

/// Serves until the process ends.
pub(super) fn serve(listener: TcpListener, board: Board) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(FAILED, format!("--listen: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let routes = Router::new()
        .route(
            "/healthz",
            get(async |headers: HeaderMap, State(board): State<Board>| answer(&headers, board.is_healthy().await)),
        )
        .route(
            "/readyz",
            get(async |headers: HeaderMap, State(board): State<Board>| answer(&headers, board.is_ready())),
        )
        .route(
            "/role",
            get(async |State(board): State<Board>| typed("application/json", format!("{}\n", board.role()))),
        )
        .route("/metrics", get(async || typed(metrics::CONTENT_TYPE, metrics::text())))
        .with_state(board);
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        accept(&listener, &routes).await;
        Ok::<_, io::Error>(())
    };
    let thread = std::thread::Builder::new().name("coordha-http".into()).spawn(move || {
        if let Err(error) = runtime.block_on(serve) {
            tracing::error!(target: "coordha::run", %error, "the HTTP server has ended");
        }
    });
    thread.map(drop).map_err(failed)
}

/// For ever. What a stranger does on one connection holds up no other, and not for long.
async fn accept(listener: &tokio::net::TcpListener, routes: &Router) {
    let mut open: VecDeque<JoinHandle<()>> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, or a connection that is gone already.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(HEAD_BYTES);
        // Or the limit would end a request of one that asks now and then.
        server.keep_alive(false);
        let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes.clone()));
        open.push_back(tokio::spawn(async move {
            // How it ends is nobody's concern.
            let _ = timeout(CONNECTION_LIMIT, connection).await;
        }));
    }
}

/// `OK`, or why not; as JSON where that is asked for.
fn answer(headers: &HeaderMap, found: Result<(), String>) -> Response {
    let status = if found.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let wants_json = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|v| v.contains("json"));
    let body = if wants_json {
        let why = found.as_ref().err();
        typed("application/json", format!("{}\n", json!({"ok": found.is_ok(), "why": why})))
    } else {
        typed("text/plain; charset=utf-8", found.map_or_else(|why| format!("{why}\n"), |()| "OK\n".into()))
    };
    (status, body).into_response()
}

fn typed(kind: &'static str, text: String) -> Response {
    ([(CONTENT_TYPE, kind)], text).into_response()
}
