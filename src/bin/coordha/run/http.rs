//! What `coordha run` serves on `--listen`.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use coordha::metrics;
use coordha::session::{Role, Session};
use serde_json::{Value, json};

use crate::exit::{FAILED, Failure, USAGE};

/// What the supervisor knows and the session does not.
#[derive(Clone, Default)]
pub(super) struct Facts {
    /// Why the store is no use now.
    pub(super) trouble: Option<String>,
    /// The command acts for the role.
    pub(super) acts: bool,
}

#[derive(Clone)]
pub(super) struct Board {
    pub(super) session: Session,
    pub(super) address: Arc<str>,
    facts: Arc<Mutex<Facts>>,
}

impl Board {
    pub(super) fn new(session: Session, address: &str) -> Self {
        Self { session, address: address.into(), facts: Arc::default() }
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this one could win now, or holds the role.
    fn is_healthy(&self) -> Result<(), String> {
        if self.session.holds(self.session.fencing_token()) {
            return Ok(());
        }
        if let Some(trouble) = self.facts().trouble.clone() {
            return Err(trouble);
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
    bound.map_err(|error| Failure::new(USAGE, format!("--listen {listen}: {error}")))
}

/// Serves until the process ends.
pub(super) fn serve(listener: TcpListener, board: Board) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(FAILED, format!("--listen: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let routes = Router::new()
        .route(
            "/healthz",
            get(async |headers: HeaderMap, State(board): State<Board>| answer(&headers, board.is_healthy())),
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
        axum::serve(listener, routes).await
    };
    let thread = std::thread::Builder::new().name("coordha-http".into()).spawn(move || {
        if let Err(error) = runtime.block_on(serve) {
            tracing::error!(target: "coordha::run", %error, "the HTTP server has ended");
        }
    });
    thread.map(drop).map_err(failed)
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
