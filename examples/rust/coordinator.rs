//! An ID allocator, as a root coordinator has one: the active one hands out IDs over HTTP, each taken by a fenced write.
//!
//! `coordinator KEY=VALUE…`, keys of the configuration: `role=rootcoord address=127.0.0.1:53100 store.url=local:/tmp/ids`
//!
//! - `GET /next`: 200 and the next ID; 503 and the address of the active one (empty: unknown) where this one is not active.
//! - `GET /status`: `at_ms=… active=… token=… server_id=…`; `at_ms` (`CLOCK_BOOTTIME`) is read before `is_active` is asked.
//! - Each event is a line on stdout: `event at_ms=… kind=… token=… server_id=… text=…`.
//! - SIGTERM and SIGINT: finishes what it has begun, leaves the role to a standby, ends.
#![expect(clippy::print_stdout, reason = "its events are there to be read")]

use std::sync::Arc;

use anyhow::Context as _;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use coordha::config::{Config, keys};
use coordha::error::{Error, ErrorKind, Result};
use coordha::session::{Event, Session, Term, Until};
use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;

struct Allocator {
    session: Session,
    /// The key whose value is the last ID.
    key: String,
    /// Locked while an ID is taken.
    taking: Mutex<()>,
}

impl Allocator {
    /// The next ID, taken in this term alone. One whose write was not confirmed is never handed out: it reads again, and
    /// should that write be done even later, the next compare fails.
    async fn take(&self) -> Result<u64> {
        let _taking = self.taking.lock().await;
        let (token, key) = (self.session.fencing_token(), self.key.as_str());
        if !self.session.is_active() {
            return Err(Error::new(ErrorKind::Fenced, "not active"));
        }
        loop {
            let found = self.session.txn(token).get(key).commit_async(None).await?;
            let (last, revision) = match found.kvs.first() {
                None => (0, 0),
                Some(last) => (parse(&last.value)?, last.mod_revision),
            };
            let mut txn = self.session.txn(token);
            txn.if_revision(key, revision).put(key, (last + 1).to_string());
            match txn.commit_async(None).await {
                Err(error) if matches!(error.kind(), ErrorKind::UnknownOutcome | ErrorKind::CompareFailed) => {}
                done => return done.map(|_| last + 1),
            }
        }
    }
}

fn parse(value: &[u8]) -> Result<u64> {
    let id = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    id.ok_or_else(|| Error::new(ErrorKind::Corrupt, "the last ID is no number"))
}

async fn next(State(allocator): State<Arc<Allocator>>) -> (StatusCode, String) {
    let session = &allocator.session;
    match allocator.take().await {
        Ok(id) => (StatusCode::OK, format!("{id}\n")),
        Err(error) if error.kind() == ErrorKind::Fenced => {
            let active = session.holder().filter(|active| active.server_id != session.server_id());
            let address = active.map_or(String::new(), |active| active.address);
            (StatusCode::SERVICE_UNAVAILABLE, address + "\n")
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

async fn status(State(allocator): State<Arc<Allocator>>) -> String {
    let session = &allocator.session;
    let now = clock_gettime(ClockId::Boottime);
    let at_ms = now.tv_sec * 1000 + now.tv_nsec / 1_000_000;
    let (active, token, server_id) = (session.is_active(), session.fencing_token(), session.server_id());
    format!("at_ms={at_ms} active={active} token={token} server_id={server_id}\n")
}

/// The body of a term. There is nothing to load, as the store knows the last ID.
async fn serve(allocator: &Allocator, term: Term) -> Result<()> {
    term.ready()?;
    term.ending().await;
    // Until the ID that is being taken has been taken.
    drop(allocator.taking.lock().await);
    Ok(())
}

fn tell(event: Event) {
    let (at_ms, kind, token) = (event.at_ms(), event.kind().name(), event.token());
    println!("event at_ms={at_ms} kind={kind} token={token} server_id={} text={}", event.server_id(), event.text());
}

fn configuration() -> anyhow::Result<Config> {
    let mut config = Config::new();
    config.set(keys::ACTIVE_STANDBY_ENABLED, "true")?;
    for argument in std::env::args().skip(1) {
        let (key, value) = argument.split_once('=').with_context(|| format!("{argument}: no KEY=VALUE"))?;
        config.set(key, value)?;
    }
    Ok(config)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let config = configuration()?;
    let value = |key| config.get(key).unwrap_or_default();
    // Before anybody is told of it. An empty host is every address of this one.
    let address = value(keys::ADDRESS);
    let address = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address };
    let listener = TcpListener::bind(address).await.context("nobody can listen at this address")?;
    let (mut sigterm, mut sigint) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let session = Session::start(&config, None)?;
    let stopped = session.clone();
    tokio::spawn(async move {
        tokio::select! { _ = sigterm.recv() => {} _ = sigint.recv() => {} }
        stopped.request_stop();
    });
    let key = format!("{}/ids/{}", value(keys::ROOT), value(keys::ROLE));
    let allocator = Arc::new(Allocator { session: session.clone(), key, taking: Mutex::default() });
    // A HEAD would take an ID that nobody is told of.
    let router = Router::new()
        .route("/next", get(next).head(|| async { StatusCode::METHOD_NOT_ALLOWED }))
        .route("/status", get(status))
        .with_state(Arc::clone(&allocator));
    let ended = session.clone();
    let ended = async move { drop(ended.wait_async(Until::Ended, None).await) };
    let server = axum::serve(listener, router).with_graceful_shutdown(ended);
    let run = session.run_with(|term| async { Ok(serve(&allocator, term).await?) }, tell);
    let (ended, served) = tokio::join!(run, server.into_future());
    served?;
    Ok(ended?)
}
