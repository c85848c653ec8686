//! Plays a scenario, and writes down what was asked and said.

use std::collections::HashMap;

use coordha::election::{Reason, Role};
use coordha::kv::Op;
use coordha::session::reason_name;

use crate::place::Place;
use crate::script::Scenario;
use crate::tester::Tester;

/// Seats a, b and c.
pub(crate) const SEATS: usize = 3;
/// How a line begins that says that a tester did not end well.
pub(crate) const ENDED_BADLY: &str = "ended badly: ";
const ROLE: &str = "scenario";
const ROOT: &str = "scenarios/meta";

const REASONS: [Reason; 13] = [
    Reason::Stop,
    Reason::Resign,
    Reason::Expired,
    Reason::Superseded,
    Reason::KeyDeleted,
    Reason::LeaseLost,
    Reason::Regressed,
    Reason::Internal,
    Reason::ActivationFailed,
    Reason::ActivationTimeout,
    Reason::Paused,
    Reason::CallbackBusy,
    Reason::Backoff,
];

/// What may be done to a line that a tester said: how a tester that is wrong is made.
pub(crate) type Filter = fn(String) -> String;

pub(crate) struct Play<'a> {
    scenario: &'a Scenario,
    place: Place,
    /// The command line of a tester.
    command: &'a str,
    filter: Filter,
    /// Testers end by themselves, and say by their status whether all was well.
    orderly: bool,
    seats: [Option<Tester>; SEATS],
    names: Names,
    transcript: Vec<String>,
}

/// Tokens and server IDs by the order in which they were met.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn of(&mut self, mark: &str, number: &str) -> String {
        if number == "0" {
            return "0".into();
        }
        let next = self.0.keys().filter(|key| key.starts_with(mark)).count() + 1;
        self.0.entry(format!("{mark}{number}")).or_insert_with(|| format!("{mark}{next}")).clone()
    }

    /// The line without what differs from run to run.
    fn plain(&mut self, line: &str) -> String {
        let plain = |word: &str| {
            Some(match word.split_once('=') {
                Some(("token", number)) => format!("token={}", self.of("T", number)),
                Some((name @ ("server_id" | "holder_server_id"), number)) => format!("{name}={}", self.of("S", number)),
                Some(("revision", _)) => "revision=R".into(),
                // How many were passed over by is a matter of time.
                Some(("missed", _)) => return None,
                Some((name @ ("reason" | "role"), number)) => format!("{name}={}", word_for(name, number)),
                _ => word.to_owned(),
            })
        };
        line.split(' ').filter_map(plain).collect::<Vec<_>>().join(" ")
    }
}

impl<'a> Play<'a> {
    pub(crate) fn new(scenario: &'a Scenario, place: Place, command: &'a str, filter: Filter, orderly: bool) -> Self {
        let (seats, names, transcript) = (Default::default(), Names::default(), Vec::new());
        Self { scenario, place, command, filter, orderly, seats, names, transcript }
    }

    /// The whole transcript; where it broke off, the last line says why.
    pub(crate) fn run(mut self) -> Vec<String> {
        let scenario = self.scenario;
        for step in scenario.steps() {
            if let Err(why) = self.step(step) {
                self.transcript.push(format!("{step}\nbroken off: {why}"));
                break;
            }
        }
        if self.orderly {
            // While the store is still there.
            let ends = self.seats.iter_mut().flatten().map(Tester::quit);
            self.transcript.extend(ends.filter_map(Result::err).map(|why| format!("{ENDED_BADLY}{why}")));
        }
        self.transcript
    }

    fn step(&mut self, step: &str) -> Result<(), String> {
        let words: Vec<&str> = step.split(' ').collect();
        match words.as_slice() {
            ["kill", seat] => {
                self.tester(seat_of(seat)?)?.kill();
                self.say(step.into());
            }
            ["revoke", seat] => {
                self.place.revoke(&format!("{ROOT}/session/{ROLE}-"), &address(seat_of(seat)?))?;
                self.say(step.into());
            }
            ["delete", key] => {
                self.place.write(Op::delete(key_of(key)?));
                self.say(step.into());
            }
            ["put", key, text] => {
                self.place.write(Op::put(key_of(key)?, *text, 0));
                self.say(step.into());
            }
            ["proxy", seat, what] => {
                self.place.proxy(seat_of(seat)?, what)?;
                self.say(step.into());
            }
            ["store", what] => {
                self.place.server(what)?;
                self.say(step.into());
            }
            [seat, "!", kind, with @ ..] => {
                let line = self.tester(seat_of(seat)?)?.event(kind, with)?;
                self.hear(seat, line);
            }
            [seat, ..] => {
                let at = seat_of(seat)?;
                let command = self.command(at, &words[1..])?;
                self.say(step.into());
                let line = self.tester(at)?.ask(&command)?;
                self.hear(seat, line);
            }
            [] => {}
        }
        Ok(())
    }

    fn say(&mut self, step: String) {
        self.transcript.push(step);
    }

    fn hear(&mut self, seat: &str, line: String) {
        let line = self.names.plain(&(self.filter)(line));
        self.transcript.push(format!("{seat} {line}"));
    }

    /// The command as it is sent: with the numbers, and with the configuration that every session has.
    fn command(&mut self, seat: usize, words: &[&str]) -> Result<String, String> {
        let mut sent = Vec::new();
        for word in words {
            let word = match word.strip_prefix("$t") {
                Some("") => self.tester(seat)?.token.clone(),
                Some(other) => self.tester(seat_of(other.trim_start_matches('.'))?)?.token.clone(),
                None => word.replace("$root", ROOT),
            };
            sent.push(word);
        }
        let at = match words[0] {
            "start" | "observe" | "cycle" => 2,
            _ => return Ok(sent.join(" ")),
        };
        let mut every = vec![format!("store.url={}", self.place.url(seat)), format!("root={ROOT}")];
        every.push(format!("role={ROLE}"));
        if words[0] != "observe" {
            every.extend([format!("address={}", address(seat)), "active_standby.enabled=true".into()]);
            every.extend(self.scenario.config.iter().cloned());
        }
        sent.splice(at..at, every);
        Ok(sent.join(" "))
    }

    fn tester(&mut self, seat: usize) -> Result<&mut Tester, String> {
        let (command, orderly) = (self.command, self.orderly);
        match &mut self.seats[seat] {
            Some(tester) => Ok(tester),
            empty => Ok(empty.insert(Tester::start(command, orderly)?)),
        }
    }
}

/// The name of a number of the C header.
fn word_for(what: &str, number: &str) -> String {
    const ROLES: [Role; 6] =
        [Role::Starting, Role::Standby, Role::Activating, Role::Active, Role::Deactivating, Role::Ended];
    let number = number.parse().unwrap_or(0);
    let name = match what {
        "role" => ROLES.iter().find(|role| **role as i32 == number).map(|role| format!("{role:?}").to_uppercase()),
        _ => REASONS.iter().find(|reason| **reason as i32 == number).map(|reason| reason_name(*reason).into()),
    };
    name.unwrap_or_else(|| format!("{number}?"))
}

fn seat_of(letter: &str) -> Result<usize, String> {
    ["a", "b", "c"].iter().position(|seat| *seat == letter).ok_or_else(|| format!("{letter}: no such seat"))
}

fn address(seat: usize) -> String {
    format!("127.0.0.1:{}", 7001 + seat)
}

fn key_of(name: &str) -> Result<String, String> {
    match name {
        "active" => Ok(format!("{ROOT}/session/{ROLE}")),
        "term" => Ok(format!("{ROOT}/ha/{ROLE}/term")),
        other => Err(format!("{other}: no such key")),
    }
}
