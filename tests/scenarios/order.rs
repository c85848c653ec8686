//! The order of events, which holds in every scenario: what comes in which order, whoever waits for it.

use std::collections::HashMap;

/// Where a session is in its terms, by the events that it has said.
#[derive(Default)]
struct Said {
    /// The token of the last term.
    token: i64,
    is_active: bool,
    /// Of this term, which has begun.
    deactivate: bool,
    term_ended: bool,
    has_ended: bool,
}

impl Said {
    /// Nothing of the last term is to come.
    fn is_between_terms(&self) -> bool {
        self.token == 0 || (self.deactivate && self.term_ended)
    }

    /// Takes in an event. Error: it cannot come here.
    fn hear(&mut self, kind: &str, token: i64) -> Result<(), &'static str> {
        if self.has_ended {
            return Err("after the end");
        }
        let is_of_the_term = token == self.token && self.token != 0;
        match kind {
            "ACTIVATE" if !self.is_between_terms() => return Err("in the middle of a term"),
            "ACTIVATE" if token <= self.token => return Err("with a token that does not grow"),
            "ACTIVATE" => *self = Self { token, ..Self::default() },
            "ACTIVE" | "DEACTIVATE" | "TERM_ENDED" if !is_of_the_term => return Err("of another term"),
            "ACTIVE" if self.is_active || self.deactivate || self.term_ended => return Err("too late, or twice"),
            "ACTIVE" => self.is_active = true,
            "DEACTIVATE" if self.deactivate => return Err("twice"),
            "DEACTIVATE" => self.deactivate = true,
            "TERM_ENDED" if self.term_ended => return Err("twice"),
            "TERM_ENDED" => self.term_ended = true,
            "ENDED" if !self.is_between_terms() => return Err("in the middle of a term"),
            "ENDED" => self.has_ended = true,
            _ => {}
        }
        Ok(())
    }
}

/// Watches the events of a tester's sessions.
#[derive(Default)]
pub(crate) struct Order {
    sessions: HashMap<String, Said>,
    wrong: Vec<String>,
}

impl Order {
    /// Whether an event is of a kind that is never dropped.
    pub(crate) fn keeps(line: &str) -> bool {
        matches!(line.split(' ').nth(2), Some("ACTIVATE" | "ACTIVE" | "DEACTIVATE" | "TERM_ENDED" | "ENDED"))
    }

    pub(crate) fn hear(&mut self, line: &str) {
        let mut words = line.split(' ').skip(1);
        let (session, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let token = words.find_map(|word| word.strip_prefix("token=")?.parse().ok()).unwrap_or(0);
        let said = self.sessions.entry(session.to_owned()).or_default();
        if let Err(why) = said.hear(kind, token) {
            self.wrong.push(format!("{kind} of {session} comes {why}"));
        }
    }

    pub(crate) fn wrong(&self) -> &[String] {
        &self.wrong
    }
}
