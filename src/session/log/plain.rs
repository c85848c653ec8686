//! The states of a session in our own words.

use super::super::event::{Event, EventKind};
use super::super::reason_name;
use crate::election::Holder;

/// The line of an event.
pub(super) fn line(event: &Event) -> String {
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
        EventKind::Blocked => match event.key() {
            Some(key) => format!(
                "serverName: {role} does not contend, reason: {reason}, the key {} stands in the way, of {}, ID: {}",
                key.escape_ascii(),
                event.address().unwrap_or("a Milvus process"),
                event.server_id()
            ),
            None => format!("serverName: {role} does not contend, reason: {reason}, {}", active_is(event.holder())),
        },
        EventKind::Foreign => {
            format!("serverName: {role} skips the key {}{error}", event.key().unwrap_or_default().escape_ascii())
        }
        EventKind::TxnDone => event.text(),
        EventKind::Ended => format!("serverName: {role} has ended{error}"),
    }
}

/// Who is active.
pub(super) fn active_is(holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { server_id, address, token }) => {
            format!("ACTIVE is {address}, ID: {server_id}, token: {token}")
        }
        None => "nobody is ACTIVE".to_owned(),
    }
}
