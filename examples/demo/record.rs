//! What happened on one store, as the processes and the client told it.

use crate::check::{Ids, Term};
use crate::line::{EventLine, Status};

/// A pause between two IDs that counts as one without service.
const OUT_OF_SERVICE_MS: i64 = 100;

/// All that happened on one store. Times are ms of `CLOCK_BOOTTIME`.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) started_ms: i64,
    pub(crate) lives: Vec<Life>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) takeovers: Vec<Takeover>,
    /// When something else began to hold, and what, in words.
    pub(crate) phases: Vec<(i64, String)>,
    pub(crate) ids: Ids,
    /// Each ID and when it came, in order.
    id_times: Vec<(u64, i64)>,
    /// From when to when the client was given IDs without a noticeable pause.
    pub(crate) served: Vec<(i64, i64)>,
}

/// One process, from its start to its end. A name may have several, one after another.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) name: &'static str,
    pub(crate) started_ms: i64,
    pub(crate) events: Vec<EventLine>,
    /// When it was killed, or else seen to be gone.
    pub(crate) ended_ms: Option<i64>,
    /// All that it said has been read.
    pub(crate) silent: bool,
    /// Token and time of each answer in which it called itself active.
    said_active: Vec<(i64, i64)>,
}

/// What was done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Start,
    Kill,
    Terminate,
}

#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at_ms: i64,
    pub(crate) kind: FaultKind,
    pub(crate) name: &'static str,
}

/// From what was done to the active one until another was active.
#[derive(Clone, Debug)]
pub(crate) struct Takeover {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
}

impl Takeover {
    pub(crate) fn ms(&self) -> i64 {
        self.to_ms - self.from_ms
    }
}

/// What a process is at some time, as its events tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Starting,
    Standby,
    Active,
    /// Asked to leave: takes no new work, still holds the role.
    Leaving,
    Gone,
}

impl Record {
    pub(crate) fn new(started_ms: i64) -> Self {
        Self {
            started_ms,
            lives: Vec::new(),
            faults: Vec::new(),
            takeovers: Vec::new(),
            phases: Vec::new(),
            ids: Ids::default(),
            id_times: Vec::new(),
            served: Vec::new(),
        }
    }

    pub(crate) fn id(&mut self, id: u64, at_ms: i64) {
        self.ids.add(id);
        self.id_times.push((id, at_ms));
        match self.served.last_mut() {
            Some((_, to)) if at_ms - *to <= OUT_OF_SERVICE_MS => *to = at_ms,
            _ => self.served.push((at_ms, at_ms)),
        }
    }

    /// The first ID that came at this time or later: the ID, when it came, and how long after the one before, if any.
    pub(crate) fn first_id_from(&self, at_ms: i64) -> Option<(u64, i64, Option<i64>)> {
        let index = self.id_times.partition_point(|(_, came_ms)| *came_ms < at_ms);
        let (id, came_ms) = *self.id_times.get(index)?;
        let before = index.checked_sub(1).map(|before| self.id_times[before].1);
        Some((id, came_ms, before.map(|before_ms| came_ms - before_ms)))
    }

    /// Notes an answer to `GET /status`; the term says which life it was, as the address does not.
    pub(crate) fn status(&mut self, name: &str, status: &Status) {
        let lives = self.lives.iter_mut().rev();
        let mut of_name = lives.filter(|life| life.name == name);
        if !status.active {
            return;
        }
        if let Some(life) = of_name.find(|life| life.activated(status.token)) {
            life.said_active.push((status.token, status.at_ms));
        }
    }

    /// Who is active now, with the token.
    pub(crate) fn active(&self) -> Option<(&'static str, i64)> {
        let active = |life: &&Life| life.state() == State::Active;
        let life = self.lives.iter().find(active)?;
        let term = life.terms().pop()?;
        Some((life.name, term.token))
    }

    /// Whose last life is in this state.
    pub(crate) fn count(&self, state: State) -> usize {
        let lives = self.lives.iter();
        lives.filter(|life| life.state() == state).count()
    }

    /// The first activation with a higher token: who, when, and its token.
    pub(crate) fn activation_after(&self, token: i64) -> Option<(&'static str, i64, i64)> {
        let events = self.lives.iter().flat_map(|life| {
            let name = life.name;
            life.events.iter().map(move |event| (name, event))
        });
        let active = events.filter(|(_, event)| event.kind == "ACTIVE" && event.token > token);
        let first = active.min_by_key(|(_, event)| event.token);
        first.map(|(name, event)| (name, event.at_ms, event.token))
    }

    pub(crate) fn terms(&self) -> Vec<Term> {
        self.lives.iter().flat_map(Life::terms).collect()
    }
}

impl Life {
    pub(crate) fn new(name: &'static str, started_ms: i64) -> Self {
        Self { name, started_ms, events: Vec::new(), ended_ms: None, silent: false, said_active: Vec::new() }
    }

    /// Its states one after another, each with when it began.
    pub(crate) fn states(&self) -> Vec<(i64, State)> {
        let mut states = vec![(self.started_ms, State::Starting)];
        states.extend(self.events.iter().filter_map(|event| {
            let state = match event.kind.as_str() {
                "STANDBY" => State::Standby,
                "ACTIVE" => State::Active,
                "DEACTIVATE" => State::Leaving,
                "TERM_ENDED" => State::Starting,
                "ENDED" => State::Gone,
                _ => return None,
            };
            Some((event.at_ms, state))
        }));
        states.extend(self.ended_ms.map(|at_ms| (at_ms, State::Gone)));
        states
    }

    pub(crate) fn state(&self) -> State {
        self.states().last().map_or(State::Starting, |(_, state)| *state)
    }

    fn activated(&self, token: i64) -> bool {
        let mut events = self.events.iter();
        events.any(|event| event.kind == "ACTIVE" && event.token == token)
    }

    /// Its terms: from `ACTIVE` to `TERM_ENDED` or its own end, and longer where it still called itself active afterwards.
    pub(crate) fn terms(&self) -> Vec<Term> {
        let starts = self.events.iter().filter(|event| event.kind == "ACTIVE");
        let term = |start: &EventLine| {
            let token = start.token;
            let mut ends = self.events.iter();
            let ended = ends.find(|event| event.kind == "TERM_ENDED" && event.token == token);
            let ended = ended.map(|event| event.at_ms).or(self.ended_ms);
            let said = self.said_active.iter().filter(|(of, _)| *of == token);
            let said = said.map(|(_, at_ms)| *at_ms).max();
            Term {
                process: self.name.to_owned(),
                token,
                start_ms: start.at_ms,
                end_ms: ended.unwrap_or(i64::MAX).max(said.unwrap_or(i64::MIN)),
            }
        };
        starts.map(term).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::overlaps;

    fn life(name: &'static str, lines: &[&str]) -> Life {
        let mut life = Life::new(name, 0);
        life.events = lines
            .iter()
            .map(|line| {
                let line = format!("event server_id=1 {line} text=");
                EventLine::parse(&line).unwrap()
            })
            .collect();
        life
    }

    fn record(lives: Vec<Life>) -> Record {
        let mut record = Record::new(0);
        record.lives = lives;
        record
    }

    fn a_kill_and_a_takeover() -> Record {
        let mut a = life("a", &["at_ms=10 kind=ACTIVE token=5"]);
        a.ended_ms = Some(100);
        let b = life(
            "b",
            &[
                "at_ms=12 kind=STANDBY token=5",
                "at_ms=104 kind=ACTIVE token=9",
                "at_ms=200 kind=DEACTIVATE token=9",
                "at_ms=201 kind=TERM_ENDED token=9",
            ],
        );
        record(vec![a, b])
    }

    #[test]
    fn a_term_ends_with_its_event_or_with_its_process() {
        let record = a_kill_and_a_takeover();
        let spans: Vec<_> = record.terms().iter().map(|term| (term.start_ms, term.end_ms)).collect();
        assert_eq!(spans, [(10, 100), (104, 201)]);
        assert!(overlaps(&record.terms()).is_empty());
    }

    #[test]
    fn one_that_becomes_active_before_the_kill_is_flagged() {
        let mut record = a_kill_and_a_takeover();
        record.lives[0].ended_ms = Some(105);
        assert_eq!(overlaps(&record.terms()).len(), 1);
    }

    #[test]
    fn a_term_without_an_end_overlaps_the_next() {
        let mut record = a_kill_and_a_takeover();
        record.lives[0].ended_ms = None;
        assert_eq!(overlaps(&record.terms()).len(), 1);
    }

    #[test]
    fn one_that_calls_itself_active_too_long_is_flagged() {
        let mut record = a_kill_and_a_takeover();
        let status = |at_ms, active| Status { at_ms, active, token: 5 };
        record.status("a", &status(104, true));
        record.status("a", &status(150, false));
        assert!(overlaps(&record.terms()).is_empty());
        record.status("a", &status(105, true));
        assert_eq!(overlaps(&record.terms()).len(), 1);
    }

    #[test]
    fn a_takeover_is_the_first_activation_with_a_higher_token() {
        let record = a_kill_and_a_takeover();
        assert_eq!(record.activation_after(4), Some(("a", 10, 5)));
        assert_eq!(record.activation_after(5), Some(("b", 104, 9)));
        assert_eq!(record.activation_after(9), None);
    }

    #[test]
    fn states_follow_the_events() {
        let record = a_kill_and_a_takeover();
        let states: Vec<_> = record.lives[1].states().iter().map(|(_, s)| *s).collect();
        use State::{Active, Leaving, Standby, Starting};
        assert_eq!(states, [Starting, Standby, Active, Leaving, Starting]);
        assert_eq!(record.active(), None);
        assert_eq!(record.count(State::Gone), 1);
    }

    #[test]
    fn the_first_id_after_a_takeover_tells_the_pause() {
        let mut record = Record::new(0);
        for (id, at_ms) in [(1, 10), (2, 20), (5, 32), (6, 33)] {
            record.id(id, at_ms);
        }
        assert_eq!(record.first_id_from(0), Some((1, 10, None)));
        assert_eq!(record.first_id_from(21), Some((5, 32, Some(12))));
        assert_eq!(record.first_id_from(34), None);
    }

    #[test]
    fn a_pause_between_ids_parts_the_served_time() {
        let mut record = Record::new(0);
        for (id, at_ms) in [(1, 10), (2, 20), (3, 200), (4, 210)] {
            record.id(id, at_ms);
        }
        assert_eq!(record.served, [(10, 20), (200, 210)]);
    }
}
