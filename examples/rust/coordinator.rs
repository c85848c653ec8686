//! An ID allocator, as a root coordinator has one: the active one hands out IDs over HTTP, each taken by a fenced write.
//!
//! `coordinator --store URL --root R --role R --listen HOST:PORT [--hold-ms N] [--ttl-ms N] [--no-same-host-proof]`
//!
//! - `GET /next`: 200 and the next ID; 503 and the address of the active one (empty: unknown) where this one is not active.
//! - `GET /status`: `at_ms=… active=… token=… server_id=…`; `at_ms` (`CLOCK_BOOTTIME`) is read before `is_active` is asked.
//! - Each event is a line on stdout: `event at_ms=… kind=… token=… server_id=… text=…`.
//! - SIGTERM and SIGINT: finishes what it has begun, leaves the role to a standby, ends.
#![expect(clippy::print_stdout, reason = "its events are there to be read")]

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use axum::{Router, extract::State, http::StatusCode, routing::get};
use coordha::config::{Config, keys};
use coordha::error::ErrorKind::{CompareFailed, Fenced, UnknownOutcome};
use coordha::kv::{KeyValue, Revision};
use coordha::session::{EventKind, Session, Until};
use rustix::time::{ClockId, clock_gettime};
use tokio::signal::{ctrl_c, unix};
use tokio::sync::Mutex;

struct Allocator {
    session: Session,
    /// The key whose value is the last ID.
    key: String,
    /// The last ID and the revision that wrote it; `None`: to be read. Locked while an ID is taken.
    last: Mutex<Option<(u64, Revision)>>,
}

impl Allocator {
    /// The next ID; `None` where this one is not active. An ID whose write was not confirmed is never handed out.
    async fn next(&self) -> Result<Option<u64>> {
        let mut last = self.last.lock().await;
        let (key, token) = (self.key.as_str(), self.session.fencing_token());
        while self.session.is_active() {
            let mut txn = self.session.txn(token);
            let Some((id, revision)) = last.take() else {
                *last = Some(parse(&txn.get(key).commit_async(None).await?.kvs)?);
                continue;
            };
            let id = id + 1;
            txn.if_revision(key, revision).put(key, id.to_string());
            match txn.commit_async(None).await {
                Ok(done) => {
                    *last = Some((id, done.revision));
                    return Ok(Some(id));
                }
                Err(error) if error.kind() == Fenced => break,
                // Read again. Should a write of unknown outcome commit after that, the next compare fails.
                Err(error) if matches!(error.kind(), UnknownOutcome | CompareFailed) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

fn parse(found: &[KeyValue]) -> Result<(u64, Revision)> {
    let Some(counter) = found.first() else {
        return Ok((0, 0));
    };
    let id = str::from_utf8(&counter.value)?.parse();
    Ok((id.context("no number")?, counter.mod_revision))
}

async fn next(State(allocator): State<Arc<Allocator>>) -> (StatusCode, String) {
    let session = &allocator.session;
    let (code, body) = match allocator.next().await {
        Ok(Some(id)) => (StatusCode::OK, id.to_string()),
        Ok(None) => {
            let own = session.server_id();
            let active = session.holder().filter(|active| active.server_id != own);
            let address = active.map_or(String::new(), |active| active.address);
            (StatusCode::SERVICE_UNAVAILABLE, address)
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    (code, body + "\n")
}

async fn status(State(allocator): State<Arc<Allocator>>) -> String {
    let session = &allocator.session;
    let now = clock_gettime(ClockId::Boottime);
    let at_ms = now.tv_sec * 1000 + now.tv_nsec / 1_000_000;
    let (active, token) = (session.is_active(), session.fencing_token());
    let server_id = session.server_id();
    format!("at_ms={at_ms} active={active} token={token} server_id={server_id}\n")
}

/// Says what happens, and answers what must be answered.
async fn follow(allocator: Arc<Allocator>) {
    let session = &allocator.session;
    let mut events = session.events();
    while let Some(event) = events.next().await {
        let (at_ms, kind, token) = (event.at_ms(), event.kind(), event.token());
        let (name, server_id, text) = (kind.name(), event.server_id(), event.text());
        println!("event at_ms={at_ms} kind={name} token={token} server_id={server_id} text={text}");
        // An answer that comes too late is refused; the next event says why.
        let _ = match kind {
            EventKind::Activate => session.activation_done(token, Ok(())),
            EventKind::Deactivate => {
                let _nothing_runs = allocator.last.lock().await;
                session.deactivation_done(token)
            }
            _ => Ok(()),
        };
    }
}

const FLAGS: [(&str, &str); 6] = [
    ("--store", keys::STORE_URL),
    ("--root", keys::ROOT),
    ("--role", keys::ROLE),
    ("--listen", keys::ADDRESS),
    ("--hold-ms", keys::ELECTION_HOLD_MS),
    ("--ttl-ms", keys::LEASE_TTL_MS),
];

fn configuration() -> Result<Config> {
    let mut config = Config::new();
    config.set(keys::ACTIVE_STANDBY_ENABLED, "true")?;
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        if flag == "--no-same-host-proof" {
            config.set(keys::ELECTION_SAME_HOST_PROOF, "false")?;
            continue;
        }
        let known = FLAGS.iter().find(|(name, _)| *name == flag);
        let value = known.and_then(|(_, key)| Some((key, arguments.next()?)));
        let (key, value) = value.ok_or_else(|| anyhow!("{flag}: unknown, or without a value"))?;
        config.set(key, &value)?;
    }
    Ok(config)
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let config = configuration()?;
    let value = |key| config.get(key).unwrap_or_default();
    let listener = tokio::net::TcpListener::bind(value(keys::ADDRESS)).await?;
    let mut sigterm = unix::signal(unix::SignalKind::terminate())?;
    let session = Session::start(&config, None)?;
    let allocator = Arc::new(Allocator {
        session: session.clone(),
        key: format!("{}/ids/{}", value(keys::ROOT), value(keys::ROLE)),
        last: Mutex::default(),
    });
    tokio::spawn(follow(Arc::clone(&allocator)));
    let stopped = session.clone();
    let over = async move {
        tokio::select! {
            _ = sigterm.recv() => stopped.request_stop(),
            _ = ctrl_c() => stopped.request_stop(),
            _ = stopped.wait_async(Until::Ended, None) => {}
        }
        let _ = stopped.wait_async(Until::Ended, None).await;
    };
    let router = Router::new().route("/next", get(next)).route("/status", get(status));
    axum::serve(listener, router.with_state(allocator)).with_graceful_shutdown(over).await?;
    Ok(session.wait_async(Until::Ended, None).await?)
}
