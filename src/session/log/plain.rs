//! The states of a session in our own words.

use super::super::event::{Event, EventKind};
use super::super::reason_name;
use crate::election::{Holder, Reason};

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
        EventKind::Blocked => {
            let why = event.reason().map_or_else(String::new, |reason| blocked(role, reason, event.key()));
            match event.key() {
                Some(_) => {
                    let address = event.address().unwrap_or("a Milvus process");
                    format!("{why}, of {address}, ID: {}", event.server_id())
                }
                None => format!("{why}, {}", active_is(event.holder())),
            }
        }
        EventKind::Foreign => {
            format!("serverName: {role} skips the key {}{error}", event.key().unwrap_or_default().escape_ascii())
        }
        EventKind::TxnDone => event.text(),
        EventKind::Ended => format!("serverName: {role} has ended{error}"),
    }
}

/// That the session does not contend, why, and the key that stands in the way, if one does.
pub(super) fn blocked(role: &str, reason: Reason, key: Option<&[u8]>) -> String {
    let key = key.map(|key| format!(", the key {} stands in the way", key.escape_ascii())).unwrap_or_default();
    format!("serverName: {role} does not contend, reason: {}{key}", reason_name(reason))
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
