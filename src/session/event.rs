//! What a session tells its user: one event with its kind, its numbers and its words.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::{TxnDone, reason_name};
use crate::driver;
use crate::election::{self, Holder, Reason, Time};
use crate::error::Error;
use crate::kv::Revision;

/// What an event says. The numbers are those of the C header and never change.
///
/// 16 is kept for a handover's call to get ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum EventKind {
    /// A server ID and a lease were taken: [`Event::server_id`], [`Event::ttl_ms`].
    Registered = 1,
    /// Standing by; the holder, if known.
    Standby = 2,
    /// The term was won: get ready. Never dropped.
    Activate = 10,
    /// "Ready" was said: the session is active. Never dropped.
    Active = 11,
    /// Half of the hold time is gone without a renewal; the role is still held.
    Jeopardy = 12,
    /// Renewed again after a jeopardy.
    Safe = 13,
    /// Leave: drain where [`Event::held`], else only clean up. Never dropped.
    Deactivate = 14,
    /// The role is gone: nothing of that term may act any more. Never dropped.
    TermEnded = 15,
    /// Who is active now; server ID 0: nobody. In exclusive mode: who is in the way.
    Holder = 20,
    /// The store cannot be reached, or refuses: [`Event::error`].
    Degraded = 21,
    /// The store answers again.
    Recovered = 22,
    /// Contending is held back: [`Event::reason`].
    Blocked = 23,
    /// A key cannot be read: [`Event::key`], [`Event::error`].
    Foreign = 24,
    /// A submitted transaction is done: [`Event::txn`]. Never dropped.
    TxnDone = 30,
    /// Over for ever; the last event. The error that ended the session, or none after an orderly stop. Never dropped.
    Ended = 99,
}

impl EventKind {
    /// Every kind, in the order of the numbers.
    pub const ALL: &'static [Self] = &[
        Self::Registered,
        Self::Standby,
        Self::Activate,
        Self::Active,
        Self::Jeopardy,
        Self::Safe,
        Self::Deactivate,
        Self::TermEnded,
        Self::Holder,
        Self::Degraded,
        Self::Recovered,
        Self::Blocked,
        Self::Foreign,
        Self::TxnDone,
        Self::Ended,
    ];

    /// Its number in the C header.
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// Its name in the C header, without `HA_EVENT_`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registered => "REGISTERED",
            Self::Standby => "STANDBY",
            Self::Activate => "ACTIVATE",
            Self::Active => "ACTIVE",
            Self::Jeopardy => "JEOPARDY",
            Self::Safe => "SAFE",
            Self::Deactivate => "DEACTIVATE",
            Self::TermEnded => "TERM_ENDED",
            Self::Holder => "HOLDER",
            Self::Degraded => "DEGRADED",
            Self::Recovered => "RECOVERED",
            Self::Blocked => "BLOCKED",
            Self::Foreign => "FOREIGN",
            Self::TxnDone => "TXN_DONE",
            Self::Ended => "ENDED",
        }
    }

    /// Whether an event of this kind is kept however slowly it is read.
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Activate | Self::Active | Self::Deactivate | Self::TermEnded | Self::TxnDone | Self::Ended)
    }
}

/// One event of a session. Owned by whoever received it; it outlives the session. What a kind lacks is 0 or `None`.
#[derive(Clone, Debug)]
pub struct Event {
    role_name: Arc<str>,
    at: Time,
    deadline: Time,
    missed: u64,
    is_milvus: Option<bool>,
    detail: Detail,
}

/// What an event is about.
#[derive(Clone, Debug)]
enum Detail {
    Election(election::Event),
    Txn(Arc<TxnDone>),
}

impl Event {
    pub(super) fn new(role_name: Arc<str>, at: Time, deadline: Time, detail: election::Event) -> Self {
        Self { role_name, at, deadline, missed: 0, is_milvus: None, detail: Detail::Election(detail) }
    }

    /// The end of a submitted transaction.
    pub(super) fn txn_done(role_name: Arc<str>, done: TxnDone) -> Self {
        let detail = Detail::Txn(Arc::new(done));
        Self { role_name, at: driver::now(), deadline: Time(0), missed: 0, is_milvus: None, detail }
    }

    /// One that happens now, outside the order of the others.
    pub(super) fn now(role_name: Arc<str>, detail: election::Event) -> Self {
        Self::new(role_name, driver::now(), Time(0), detail)
    }

    pub(super) fn set_missed(&mut self, missed: u64) {
        self.missed = missed;
    }

    pub(super) fn set_milvus(&mut self, is_milvus: Option<bool>) {
        self.is_milvus = is_milvus;
    }

    /// What it says.
    pub fn kind(&self) -> EventKind {
        use election::Event as E;
        let Some(detail) = self.detail() else {
            return EventKind::TxnDone;
        };
        match detail {
            E::Registered { .. } => EventKind::Registered,
            E::Standby(_) => EventKind::Standby,
            E::Activate { .. } => EventKind::Activate,
            E::Active { .. } => EventKind::Active,
            E::Jeopardy { .. } => EventKind::Jeopardy,
            E::Safe { .. } => EventKind::Safe,
            E::Deactivate { .. } => EventKind::Deactivate,
            E::TermEnded { .. } => EventKind::TermEnded,
            E::Holder(_) => EventKind::Holder,
            E::Degraded(_) => EventKind::Degraded,
            E::Recovered => EventKind::Recovered,
            E::Blocked { .. } => EventKind::Blocked,
            E::Foreign { .. } => EventKind::Foreign,
            E::Ended(_) => EventKind::Ended,
        }
    }

    /// Everything that the kind carries, to match on; `None` for [`EventKind::TxnDone`], see [`Event::txn`].
    pub fn detail(&self) -> Option<&election::Event> {
        match &self.detail {
            Detail::Election(event) => Some(event),
            Detail::Txn(_) => None,
        }
    }

    /// [`EventKind::TxnDone`]: the tag of the transaction; 0 for all others.
    pub fn tag(&self) -> u64 {
        self.txn().map_or(0, |done| done.tag)
    }

    /// [`EventKind::TxnDone`]: how the transaction ended.
    pub fn txn(&self) -> Option<&TxnDone> {
        match &self.detail {
            Detail::Txn(done) => Some(done),
            Detail::Election(_) => None,
        }
    }

    /// The role's name, such as `rootcoord`.
    pub fn role_name(&self) -> &str {
        &self.role_name
    }

    /// When it happened: ms on the host's clock that counts suspend (`CLOCK_BOOTTIME`).
    pub fn at_ms(&self) -> i64 {
        to_ms(self.at.0)
    }

    /// How many events were dropped unread just before this one.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The fencing token of the term it is about; for [`EventKind::Holder`] and [`EventKind::Standby`] the
    /// holder's. 0: none.
    pub fn token(&self) -> Revision {
        use election::Event as E;
        match self.detail() {
            Some(
                E::Activate { token }
                | E::Active { token }
                | E::Jeopardy { token }
                | E::Safe { token }
                | E::Deactivate { token, .. }
                | E::TermEnded { token, .. },
            ) => *token,
            _ => self.holder().map_or(0, |holder| holder.token),
        }
    }

    /// Why the term ends or has ended, or why contending is held back.
    pub fn reason(&self) -> Option<Reason> {
        use election::Event as E;
        match self.detail()? {
            E::Deactivate { reason, .. } | E::TermEnded { reason, .. } | E::Blocked { reason, .. } => Some(*reason),
            _ => None,
        }
    }

    /// [`EventKind::Deactivate`]: the role is still held, and renewed, until "left" is said. False for all others.
    pub fn held(&self) -> bool {
        matches!(self.detail(), Some(election::Event::Deactivate { held: true, .. }))
    }

    /// Time from [`Event::at_ms`] to the term's deadline as it was then, in ms; 0 where no term was held.
    pub fn remaining_ms(&self) -> i64 {
        to_ms(self.deadline.0.saturating_sub(self.at.0))
    }

    /// [`EventKind::Registered`]: the granted time to live in ms.
    pub fn ttl_ms(&self) -> i64 {
        match self.detail() {
            Some(election::Event::Registered { ttl, .. }) => duration_ms(*ttl),
            _ => 0,
        }
    }

    /// [`EventKind::Registered`]: the session's own server ID; where a holder is named: the holder's. 0: none.
    pub fn server_id(&self) -> i64 {
        match self.detail() {
            Some(election::Event::Registered { server_id, .. }) => *server_id,
            _ => self.holder().map_or(0, |holder| holder.server_id),
        }
    }

    /// The holder it names, if any.
    pub fn holder(&self) -> Option<&Holder> {
        use election::Event as E;
        match self.detail()? {
            E::Standby(holder) | E::Holder(holder) | E::Blocked { holder, .. } => holder.as_ref(),
            _ => None,
        }
    }

    /// Where clients reach the holder it names.
    pub fn address(&self) -> Option<&str> {
        self.holder().map(|holder| holder.address.as_str())
    }

    /// Whether the holder it names is a Milvus process, or writes as one, and no session of this library. `None`: it names
    /// nobody, or is not an [`Observer`](super::Observer)'s.
    pub fn is_milvus(&self) -> Option<bool> {
        self.is_milvus
    }

    /// [`EventKind::Foreign`]: the key that cannot be read. [`EventKind::Blocked`] by a Milvus holder: the key that
    /// stands in the way.
    pub fn key(&self) -> Option<&[u8]> {
        match self.detail()? {
            election::Event::Foreign { key, .. } => Some(key),
            election::Event::Blocked { key, .. } => key.as_deref(),
            _ => None,
        }
    }

    /// What went wrong, if anything did.
    pub fn error(&self) -> Option<&Error> {
        use election::Event as E;
        let Some(detail) = self.detail() else {
            return self.txn()?.error.as_ref();
        };
        match detail {
            E::Deactivate { error, .. } | E::TermEnded { error, .. } | E::Ended(error) => error.as_ref(),
            E::Degraded(error) | E::Foreign { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The event in one line of plain words, without its time.
    pub fn text(&self) -> String {
        use election::Event as E;
        let mut text = format!("{} {}", self.role_name, self.kind().name());
        if let Some(done) = self.txn() {
            append(&mut text, format_args!(" tag={} revision={}", done.tag, done.results.revision));
        }
        match self.detail() {
            Some(E::Registered { server_id, .. }) => {
                append(&mut text, format_args!(" server_id={server_id} ttl_ms={}", self.ttl_ms()));
            }
            Some(E::Activate { token } | E::Active { token } | E::Jeopardy { token } | E::Safe { token }) => {
                append(&mut text, format_args!(" token={token} remaining_ms={}", self.remaining_ms()));
            }
            Some(E::Deactivate { token, .. }) => {
                append(&mut text, format_args!(" token={token} held={}", self.held()));
            }
            Some(E::TermEnded { token, .. }) => append(&mut text, format_args!(" token={token}")),
            Some(E::Holder(None)) => text.push_str(" nobody"),
            _ => {}
        }
        if let Some(reason) = self.reason() {
            append(&mut text, format_args!(" reason={}", reason_name(reason)));
        }
        if let Some(holder) = self.holder() {
            append(
                &mut text,
                format_args!(" holder={} server_id={} token={}", holder.address, holder.server_id, holder.token),
            );
        }
        if let Some(key) = self.key() {
            append(&mut text, format_args!(" key={}", key.escape_ascii()));
        }
        if let Some(error) = self.error() {
            append(&mut text, format_args!(" error={} ({error})", error.kind().name()));
        }
        text
    }
}

fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
}

fn to_ms(ns: u64) -> i64 {
    i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX)
}

fn duration_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
