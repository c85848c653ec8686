//! The log lines of a session's states, at INFO, close in words to what operators of Milvus 2.2.3 know. They
//! are written by a calling thread, in order. Who brings them holds a session's lock and may be the clock thread, so no
//! receiver is called here, not even to ask what it wants.

use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::{Level, info, warn};

use super::event::{Event, EventKind, reason_name};
use crate::driver::Driver;
use crate::election::Holder;

/// Writes the line of an event.
pub(super) fn event(driver: &Arc<Driver>, server_id: i64, event: &Event) {
    if level(event.kind()) > LevelFilter::current() {
        return;
    }
    let (span, event) = (Arc::clone(driver.span()), event.clone());
    driver.shared().log(move || {
        let _inside = span.enter();
        let line = line(&event);
        if level(event.kind()) == Level::WARN {
            warn!(server_id, event = event.kind().name(), "{line}");
        } else {
            info!(server_id, event = event.kind().name(), "{line}");
        }
    });
}

/// Writes the line of a session that goes on standing by.
pub(super) fn still_standby(driver: &Arc<Driver>, role: &Arc<str>, holder: Option<Holder>) {
    if Level::INFO > LevelFilter::current() {
        return;
    }
    let (span, role) = (Arc::clone(driver.span()), Arc::clone(role));
    let server_id = driver.published().server_id();
    driver.shared().log(move || {
        let _inside = span.enter();
        info!(server_id, "serverName: {role} is in STANDBY ..., {}", active_is(holder.as_ref()));
    });
}

fn level(kind: EventKind) -> Level {
    match kind {
        EventKind::Jeopardy | EventKind::Degraded | EventKind::Foreign => Level::WARN,
        _ => Level::INFO,
    }
}

fn line(event: &Event) -> String {
    let role = event.role_name();
    let token = event.token();
    let reason = event.reason().map_or("", reason_name);
    let error = event.error().map(|error| format!(": {error}"));
    let error = error.as_deref().unwrap_or("");
    match event.kind() {
        EventKind::Registered => {
            format!("serverName: {role} registered, ID: {}, TTL: {} ms", event.server_id(), event.ttl_ms())
        }
        EventKind::Standby => format!("serverName: {role} enter STANDBY mode, {}", active_is(event.holder())),
        EventKind::Activate => {
            format!("serverName: {role} quit STANDBY mode, this node will become ACTIVE, token: {token}")
        }
        EventKind::Active => format!("serverName: {role} is ACTIVE, token: {token}"),
        EventKind::Jeopardy => {
            format!("serverName: {role} could not renew, still ACTIVE for {} ms, token: {token}", event.remaining_ms())
        }
        EventKind::Safe => format!("serverName: {role} has renewed again, token: {token}"),
        EventKind::Deactivate if event.held() => {
            format!("serverName: {role} is asked to leave, reason: {reason}, token: {token}{error}")
        }
        EventKind::Deactivate => {
            format!("serverName: {role} cleans up, reason: {reason}, token: {token}{error}")
        }
        EventKind::TermEnded => {
            format!("serverName: {role} is no longer ACTIVE, reason: {reason}, token: {token}{error}")
        }
        EventKind::Holder => active_is(event.holder()),
        EventKind::Degraded => format!("serverName: {role} has trouble with the store{error}"),
        EventKind::Recovered => format!("serverName: {role} reaches the store again"),
        EventKind::Blocked => {
            format!("serverName: {role} does not contend, reason: {reason}, {}", active_is(event.holder()))
        }
        EventKind::Foreign => {
            format!("serverName: {role} skips the key {}{error}", event.key().unwrap_or_default().escape_ascii())
        }
        EventKind::TxnDone => event.text(),
        EventKind::Ended => format!("serverName: {role} has ended{error}"),
    }
}

fn active_is(holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { server_id, address, token }) => {
            format!("ACTIVE is {address}, ID: {server_id}, token: {token}")
        }
        None => "nobody is ACTIVE".to_owned(),
    }
}
