//! The states of a session in the words of Milvus 2.2.3, each where Milvus says it.
//!
//! An operator's eyes, filters and alarms know these lines, so they stay as they are, with what is odd in them.

use tracing::Level;

use super::super::event::{Event, EventKind};
use crate::config::Resolved;
use crate::election::{Holder, Reason};

/// One line.
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) field: Option<Field>,
}

/// The field of a line that has one.
pub(super) enum Field {
    Key(String),
    Add(String),
    Delete(String),
}

/// What Milvus says of an event.
#[derive(Default)]
pub(super) struct Words {
    pub(super) lines: Vec<Line>,
    /// Nothing is left to be said in our own words.
    pub(super) is_all: bool,
}

/// Says what Milvus would, and remembers what was said for that.
pub(super) struct Wording {
    role: String,
    /// The role as its server calls itself.
    server: String,
    active_standby: bool,
    /// The session stands by, and has said so.
    standing: bool,
    /// It has said that it watches the active key.
    watching: bool,
    /// In exclusive mode: its key is there.
    is_put: bool,
    /// A line of a standby is wanted again and again.
    repeats: bool,
}

impl Wording {
    pub(super) fn new(resolved: &Resolved) -> Self {
        Self {
            role: resolved.role.clone(),
            server: server(&resolved.role).to_owned(),
            active_standby: resolved.active_standby,
            standing: false,
            watching: false,
            is_put: false,
            repeats: resolved.standby_log.is_some(),
        }
    }

    /// The lines of an event of the session whose active key is `key`.
    pub(super) fn event(&mut self, key: &str, server_id: i64, event: &Event) -> Words {
        let lines = match event.kind() {
            // The TTL that was granted is said in our own words.
            EventKind::Registered if self.active_standby => {
                return Words { lines: self.registered(key, server_id), is_all: false };
            }
            EventKind::Standby => self.standby(key, event.holder()),
            // Itself: that is in the lines of its activation.
            EventKind::Holder if event.holder().is_some_and(|holder| holder.server_id == server_id) => Vec::new(),
            EventKind::Holder if self.standing => self.seen(key, event.holder()),
            EventKind::Holder if !self.active_standby && !self.is_put => return self.in_the_way(event.holder()),
            EventKind::Activate => self.activate(key),
            EventKind::Active => self.active(),
            EventKind::TermEnded => return self.term_ended(event.reason()),
            _ => return Words::default(),
        };
        Words { lines, is_all: true }
    }

    fn registered(&self, key: &str, server_id: i64) -> Vec<Line> {
        vec![info(format!("{} enter standby mode successfully", self.server)), put(format!("{key}-{server_id}"))]
    }

    fn standby(&mut self, key: &str, holder: Option<&Holder>) -> Vec<Line> {
        (self.standing, self.watching) = (true, false);
        let mut lines = vec![info(format!("serverName: {} enter STANDBY mode", self.role))];
        if self.repeats {
            lines.push(still_standby(&self.role));
        }
        lines.push(self.try_to_register());
        lines.extend(self.already_registered(key, holder));
        lines
    }

    /// Another holder, or none.
    fn seen(&mut self, key: &str, holder: Option<&Holder>) -> Vec<Line> {
        let mut lines = Vec::new();
        if std::mem::take(&mut self.watching) {
            let seen = match holder {
                Some(holder) => Field::Add(format!("key:{key:?} mod_revision:{} ", holder.token)),
                None => Field::Delete(format!("key:{key:?} ")),
            };
            lines.push(Line { field: Some(seen), ..info("watch the ACTIVE key".to_owned()) });
            lines.push(info(format!("stop watching ACTIVE key {key}")));
            lines.push(self.try_to_register());
        }
        lines.extend(self.already_registered(key, holder));
        lines
    }

    fn try_to_register(&self) -> Line {
        info(format!("try to register as ACTIVE {} service...", self.role))
    }

    fn already_registered(&mut self, key: &str, holder: Option<&Holder>) -> Vec<Line> {
        if holder.is_none() {
            return Vec::new();
        }
        self.watching = true;
        vec![
            info(format!("ACTIVE {} has already been registered", self.role)),
            info(format!("{} start to watch ACTIVE key {key}", self.role)),
        ]
    }

    /// Of an exclusive session; who it is, is said in our own words.
    fn in_the_way(&self, holder: Option<&Holder>) -> Words {
        let line = || info(format!("function CompareAndSwap error for compare is false for key: {}", self.role));
        Words { lines: holder.map(|_| line()).into_iter().collect(), is_all: false }
    }

    fn activate(&mut self, key: &str) -> Vec<Line> {
        if !self.active_standby {
            self.is_put = true;
            return vec![put(key.to_owned())];
        }
        let mut lines = Vec::new();
        // The key of a dead holder was taken over while it was there.
        if self.watching {
            lines.extend([info(format!("stop watching ACTIVE key {key}")), self.try_to_register()]);
        }
        (self.standing, self.watching) = (false, false);
        let switcher = if self.role == "mixcoord" { "mixCoord" } else { &self.server };
        lines.extend([
            info(format!("register ACTIVE {}", self.role)),
            info(format!("serverName: {} quit STANDBY mode, this node will become ACTIVE", self.role)),
            info(format!("{switcher} switch from standby to active, activating")),
        ]);
        lines
    }

    fn active(&self) -> Vec<Line> {
        let server = &self.server;
        let mut lines = Vec::new();
        if self.active_standby {
            lines.push(info(format!("{server} startup success")));
        }
        lines.extend([
            info(format!("{server} Register Finished")),
            info(format!("{server} start done ...")),
            Line { level: Level::DEBUG, ..info(format!("{server} successfully started")) },
        ]);
        lines
    }

    /// Milvus's process ends then, and ours need not: the rest is said in our own words.
    fn term_ended(&mut self, reason: Option<Reason>) -> Words {
        self.is_put = false;
        let warn = |message: &str| Line { level: Level::WARN, ..info(message.to_owned()) };
        let lines = match reason {
            Some(Reason::LeaseLost) => {
                vec![warn("session keepalive channel closed"), warn("connection lost detected, shuting down")]
            }
            _ => Vec::new(),
        };
        Words { lines, is_all: false }
    }
}

/// The line of a session that goes on standing by.
pub(super) fn still_standby(role: &str) -> Line {
    info(format!("serverName: {role} is in STANDBY ..."))
}

fn put(key: String) -> Line {
    Line { field: Some(Field::Key(key)), ..info("put session key into etcd".to_owned()) }
}

fn info(message: String) -> Line {
    Line { level: Level::INFO, message, field: None }
}

/// How the server of a role calls itself: a role of one's own by its name.
fn server(role: &str) -> &str {
    match role {
        "rootcoord" => "RootCoord",
        "datacoord" => "DataCoord",
        "querycoord" => "QueryCoord",
        "indexcoord" => "IndexCoord",
        "mixcoord" => "MixCoord",
        own => own,
    }
}
