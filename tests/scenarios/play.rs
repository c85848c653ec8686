//! Plays a scenario, and writes down what was asked and said.

use std::collections::HashMap;

use coordha::election::{Reason, Role};
use coordha::kv::Op;
use coordha::session::reason_name;

use crate::place::Place;
use crate::script::Scenario;
use crate::tester::{Kind, Tester};

/// Seats a, b and c.
pub(crate) const SEATS: usize = 3;
const SEAT_LETTERS: [&str; SEATS] = ["a", "b", "c"];
/// So many more threads or descriptors are no leak.
const SPARE: usize = 10;
/// How a line begins that says that a tester did not end well.
pub(crate) const ENDED_BADLY: &str = "ended badly: ";
const ROLE: &str = "scenario";
const ROOT: &str = "scenarios/meta";

const REASONS: [Reason; 14] = [
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
    Reason::MilvusHolder,
];

pub(crate) struct Play<'a> {
    scenario: &'a Scenario,
    place: Place,
    kind: Kind<'a>,
    seats: [Option<Tester>; SEATS],
    observers: Vec<String>,
    /// Threads and descriptors of a seat when they were first counted.
    resources: Option<(usize, usize)>,
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
        let plain = |word: &str| match word.split_once('=') {
            Some(("token", number)) => format!("token={}", self.of("T", number)),
            Some((name @ ("server_id" | "holder_server_id"), number)) => format!("{name}={}", self.of("S", number)),
            Some(("revision", _)) => "revision=R".into(),
            Some((name @ ("reason" | "role"), number)) => format!("{name}={}", word_for(name, number)),
            _ => word.to_owned(),
        };
        line.split(' ').map(plain).collect::<Vec<_>>().join(" ")
    }
}

impl<'a> Play<'a> {
    pub(crate) fn new(scenario: &'a Scenario, place: Place, kind: Kind<'a>) -> Self {
        let (seats, names, transcript) = (Default::default(), Names::default(), Vec::new());
        Self { scenario, place, kind, seats, observers: Vec::new(), resources: None, names, transcript }
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
        // While the store is still there.
        for (seat, tester) in self.seats.iter_mut().enumerate() {
            let Some(tester) = tester else { continue };
            if let Err(why) = tester.quit() {
                self.transcript.push(format!("{ENDED_BADLY}{why}"));
            }
            let letter = SEAT_LETTERS[seat];
            self.transcript.extend(tester.disorder().iter().map(|wrong| format!("out of order: {letter}: {wrong}")));
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
            [seat, mark, kind, with @ ..] if mark.starts_with('!') => {
                let latest = self.tester(seat_of(seat)?)?.latest.clone();
                let session = if *mark == "!" { &latest } else { &mark[1..] };
                self.event(seat, session, kind, with)?;
            }
            [seat, "drain", session] => {
                self.say(step.into());
                let at = seat_of(seat)?;
                loop {
                    let answer = self.tester(at)?.ask(&format!("next {session} 1000"))?;
                    if answer != "= ok" {
                        self.hear(seat, &answer);
                        break;
                    }
                }
            }
            ["resources", seat] => {
                let (threads, descriptors) = self.tester(seat_of(seat)?)?.resources();
                let before = *self.resources.get_or_insert((threads, descriptors));
                // A garbage collector or a pool may add a few; what leaks here leaks a thousand times.
                let is_same = threads <= before.0 + SPARE && descriptors <= before.1 + SPARE;
                let now = format!("{threads} threads and {descriptors} descriptors after {before:?}");
                self.say(format!("{step}: {}", if is_same { "as before" } else { now.as_str() }));
            }
            [seat, ..] => {
                let at = seat_of(seat)?;
                let command = self.command(at, &words[1..])?;
                self.say(step.into());
                if let ["start" | "observe", session, ..] = words[1..] {
                    self.tester(at)?.latest = session.to_owned();
                }
                if let ["observe", observer, ..] = words[1..] {
                    self.observers.push(observer.to_owned());
                }
                let line = self.tester(at)?.ask(&command)?;
                self.hear(seat, &line);
            }
            [] => {}
        }
        Ok(())
    }

    /// Waits for an event, and writes down that and those before it that are never dropped.
    fn event(&mut self, seat: &str, session: &str, kind: &str, with: &[&str]) -> Result<(), String> {
        let said = self.tester(seat_of(seat)?)?.event(session, kind, with)?;
        let may_skip = self.observers.iter().any(|observer| observer == session) && !with.contains(&"missed");
        for line in said {
            let line = match line.contains(" missed=") {
                // On a busy machine an observer is told of the newest holder alone.
                true if may_skip => without_missed(&line),
                // What the first one after a gap tells is a matter of time.
                true => format!("! {session} {kind} missed=some"),
                false => line,
            };
            self.hear(seat, &line);
        }
        Ok(())
    }

    fn say(&mut self, step: String) {
        self.transcript.push(step);
    }

    fn hear(&mut self, seat: &str, line: &str) {
        let line = self.names.plain(line);
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
            // A stop waits for it, on a busy machine too.
            every.push("release.timeout_ms=20000".into());
            every.extend(self.scenario.config.iter().cloned());
        }
        sent.splice(at..at, every);
        Ok(sent.join(" "))
    }

    fn tester(&mut self, seat: usize) -> Result<&mut Tester, String> {
        let kind = self.kind;
        match &mut self.seats[seat] {
            Some(tester) => Ok(tester),
            empty => Ok(empty.insert(Tester::start(kind)?)),
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

fn without_missed(line: &str) -> String {
    line.split(' ').filter(|word| !word.starts_with("missed=")).collect::<Vec<_>>().join(" ")
}

fn seat_of(letter: &str) -> Result<usize, String> {
    SEAT_LETTERS.iter().position(|seat| *seat == letter).ok_or_else(|| format!("{letter}: no such seat"))
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
