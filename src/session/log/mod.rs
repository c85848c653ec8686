//! The log lines of a session's states: close in words to what operators of Milvus 2.2.3 know, or in those very words
//! ([`LogFormat`]). They are written by a calling thread, in order. Who brings them holds a session's lock and may be the
//! clock thread, so no receiver is called here, not even to ask what it wants.

mod milvus;
mod plain;

use std::sync::{Arc, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing::{Level, debug, info, warn};

use self::milvus::{Field, Line, Wording};
use super::event::{Event, EventKind};
use crate::config::{Config, LogFormat, Resolved, keys};
use crate::driver::Driver;
use crate::election::{Election, Reason};

/// How a session's lines are worded.
pub(super) struct Log {
    /// In Milvus's words; `None`: in ours.
    milvus: Option<Mutex<Wording>>,
}

impl Log {
    pub(super) fn new(resolved: &Resolved) -> Self {
        let is_milvus = resolved.log_format == LogFormat::Milvus;
        Self { milvus: is_milvus.then(|| Mutex::new(Wording::new(resolved))) }
    }

    /// Writes the lines of an event.
    pub(super) fn event(&self, driver: &Arc<Driver>, server_id: i64, event: &Event) {
        if let Some(wording) = &self.milvus {
            let mut wording = wording.lock().unwrap_or_else(PoisonError::into_inner);
            let words = wording.event(&String::from_utf8_lossy(driver.active_key()), server_id, event);
            words.lines.into_iter().for_each(|line| write(driver, line));
            if words.is_all {
                return;
            }
        }
        if level(event) > LevelFilter::current() {
            return;
        }
        let (span, event) = (Arc::clone(driver.span()), event.clone());
        driver.shared().log(move || {
            let _inside = span.enter();
            let line = plain::line(&event);
            if level(&event) == Level::WARN {
                warn!(server_id, event = event.kind().name(), "{line}");
            } else {
                info!(server_id, event = event.kind().name(), "{line}");
            }
        });
    }

    /// Writes the line of a session that goes on standing by, and what keeps it from contending.
    pub(super) fn still_standby(&self, driver: &Arc<Driver>, role: &Arc<str>, election: &Election) {
        if self.milvus.is_some() {
            write(driver, milvus::still_standby(role));
        } else {
            let (role, holder) = (Arc::clone(role), election.holder());
            let line = move || format!("serverName: {role} is in STANDBY ..., {}", plain::active_is(holder.as_ref()));
            say(driver, Level::INFO, line);
        }
        // Milvus has no word for it, and says the same of one that waits in vain.
        if let Some((reason, key)) = election.told_blocked.clone() {
            let role = Arc::clone(role);
            say(driver, blocked_level(reason), move || plain::blocked(&role, reason, key.as_deref()));
        }
    }
}

/// Says which mode is in effect, and who says so. By the thread that starts the session, before it has any lock.
pub(super) fn mode(config: &Config, resolved: &Resolved) {
    let (role, origin) = (resolved.role.as_str(), config.origin(keys::ACTIVE_STANDBY_ENABLED));
    if resolved.active_standby {
        info!(role, "serverName: {role} starts, active-standby is on ({origin})");
    } else {
        info!(
            role,
            "serverName: {role} starts, active-standby is off ({origin}): while another one is ACTIVE, it waits and then fails"
        );
    }
}

fn level(event: &Event) -> Level {
    match (event.kind(), event.reason()) {
        (EventKind::Jeopardy | EventKind::Degraded | EventKind::Foreign, _) => Level::WARN,
        (EventKind::Blocked, Some(reason)) => blocked_level(reason),
        _ => Level::INFO,
    }
}

/// A Milvus process in the way may stay there until somebody acts; the other reasons are the application's own.
fn blocked_level(reason: Reason) -> Level {
    if reason == Reason::MilvusHolder { Level::WARN } else { Level::INFO }
}

/// Writes a line that is about no event.
fn say(driver: &Arc<Driver>, level: Level, line: impl FnOnce() -> String + Send + 'static) {
    if level > LevelFilter::current() {
        return;
    }
    let (span, server_id) = (Arc::clone(driver.span()), driver.published().server_id());
    driver.shared().log(move || {
        let _inside = span.enter();
        let line = line();
        if level == Level::WARN { warn!(server_id, "{line}") } else { info!(server_id, "{line}") }
    });
}

/// Writes a line of Milvus's, with its fields alone.
fn write(driver: &Arc<Driver>, line: Line) {
    if line.level > LevelFilter::current() {
        return;
    }
    let span = Arc::clone(driver.span());
    driver.shared().log(move || {
        let _inside = span.enter();
        let Line { level, message, field } = line;
        match field {
            Some(Field::Key(key)) => info!(key, "{message}"),
            Some(Field::Add(seen)) => info!(ADD = seen, "{message}"),
            Some(Field::Delete(seen)) => info!(DELETE = seen, "{message}"),
            None if level == Level::WARN => warn!("{message}"),
            None if level == Level::DEBUG => debug!("{message}"),
            None => info!("{message}"),
        }
    });
}
