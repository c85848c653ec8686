//! One behaviour in every language: each scenario of `scenarios.toml` is played by the tester of each language, on etcd and on the
//! embedded store, and what is said must be the transcript, word for word.
//!
//! `--language NAME=COMMAND` adds one; without any it is Rust alone. `--only NAME`: one scenario. `--bless`: writes the transcripts
//! anew by what the first language says. `--sanitized`: the testers show what they write to stderr, and those that do not end well,
//! as a sanitizer has found something, are counted as reports. Whether differences are found at all is tested by testers that are
//! wrong in one thing each.

#[path = "../support/mod.rs"]
mod support;

mod order;
mod place;
mod play;
mod script;
mod tester;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use place::Place;
use play::{ENDED_BADLY, Play, SEATS};
use script::Scenario;
use tester::{Filter, Kind};

const STORES: [&str; 2] = ["etcd", "local"];
/// So many are played at once.
const AT_ONCE: usize = 4;

struct Language {
    name: String,
    command: String,
}

/// One scenario, in one language, on one store.
struct Job<'a> {
    scenario: &'a Scenario,
    language: &'a Language,
    store: &'static str,
}

impl Job<'_> {
    fn play(&self, filter: Filter, is_sanitized: bool) -> String {
        let place = if self.store == "etcd" { Place::etcd(SEATS) } else { Place::local() };
        let kind = Kind { command: &self.language.command, filter, is_sanitized };
        let lines = Play::new(self.scenario, place, kind).run();
        lines.join("\n") + "\n"
    }
}

fn transcript(scenario: &Scenario) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/transcripts");
    folder.join(format!("{}.txt", scenario.name))
}

fn as_said(line: String) -> Vec<String> {
    vec![line]
}

fn has(line: &str, kind: &str) -> bool {
    line.starts_with("! ") && line.split(' ').nth(2) == Some(kind)
}

/// Testers that are wrong in one thing, each with the scenario in which that must be seen.
const WRONG: &[(&str, &str, Filter)] = &[
    ("a write that was refused is said to be done", "fenced_writes", |line| {
        vec![if line.starts_with("= error FENCED") { "= ok".into() } else { line }]
    }),
    ("the end of a term is said twice", "waiting", |line| {
        let again = has(&line, "TERM_ENDED").then(|| line.clone());
        [line].into_iter().chain(again).collect()
    }),
    ("the end of a term is not said", "waiting", |line| if has(&line, "TERM_ENDED") { Vec::new() } else { vec![line] }),
    ("active once more after the end", "waiting", |line| {
        let again = has(&line, "ENDED").then(|| "! s ACTIVE token=1".to_owned());
        [line].into_iter().chain(again).collect()
    }),
    ("an event that nobody waits for has another reason", "stop_in_a_callback", |line| {
        vec![if has(&line, "DEACTIVATE") { line.replace("reason=1", "reason=2") } else { line }]
    }),
    ("what was missed is not told", "an_event_queue_that_overflows", |line| {
        vec![line.split(' ').filter(|word| !word.starts_with("missed=")).collect::<Vec<_>>().join(" ")]
    }),
];

/// Plays the wrong testers; those that were not found out.
fn unseen(jobs: &[Job<'_>]) -> Vec<&'static str> {
    let mut unseen = Vec::new();
    for (what, scenario, filter) in WRONG {
        let of_it = |job: &&Job<'_>| job.scenario.name == *scenario && job.store == "local";
        println!("known to be wrong: {what}");
        let is_seen = |job| play_all(std::slice::from_ref(job), *filter, false).0 > 0;
        if !jobs.iter().find(of_it).is_some_and(is_seen) {
            unseen.push(*what);
        }
    }
    unseen
}

/// Where the lines part.
fn difference(want: &str, got: &str) -> Option<String> {
    if want == got {
        return None;
    }
    let (mut want, mut got) = (want.lines(), got.lines());
    for number in 1.. {
        match (want.next(), got.next()) {
            (Some(a), Some(b)) if a == b => {}
            (a, b) => {
                let (a, b) = (a.unwrap_or("nothing more"), b.unwrap_or("nothing more"));
                let rest: Vec<&str> = got.take(3).collect();
                return Some(format!(
                    "  line {number}\n    transcript: {a}\n    said:       {b}\n    then:       {rest:?}"
                ));
            }
        }
    }
    None
}

/// Plays all, some at once, and counts what is not as the transcript has it, and the testers that did not end well.
fn play_all(jobs: &[Job<'_>], filter: Filter, is_sanitized: bool) -> (usize, usize) {
    let (next, differences, reports) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let out = Mutex::new(());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let said = job.play(filter, is_sanitized);
                    let bad = said.lines().filter(|line| line.starts_with(ENDED_BADLY)).count();
                    reports.fetch_add(bad, Ordering::Relaxed);
                    let want = std::fs::read_to_string(transcript(job.scenario)).unwrap_or_default();
                    let found = difference(&want, &said);
                    let _one_at_a_time = out.lock().unwrap_or_else(PoisonError::into_inner);
                    let verdict = if found.is_some() { "DIFFERENT" } else { "same" };
                    println!("  {} language={} store={} {verdict}", job.scenario.name, job.language.name, job.store);
                    if let Some(found) = found {
                        println!("{found}");
                        differences.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    (differences.into_inner(), reports.into_inner())
}

fn languages(arguments: &[String]) -> Vec<Language> {
    let named = arguments.windows(2).filter(|pair| pair[0] == "--language");
    let mut all: Vec<Language> = named
        .filter_map(|pair| pair[1].split_once('='))
        .map(|(name, command)| Language { name: name.into(), command: command.into() })
        .collect();
    if all.is_empty() {
        // Beside this program, where cargo puts the examples.
        let here = std::env::current_exe().expect("this program");
        let tester = here.parent().and_then(|deps| deps.parent()).expect("a folder").join("examples/tester");
        all.push(Language { name: "rust".into(), command: tester.display().to_string() });
    }
    all
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let only = arguments.windows(2).find(|pair| pair[0] == "--only").map(|pair| pair[1].as_str());
    let languages = languages(&arguments);
    let scenarios = Scenario::all();
    let scenarios: Vec<&Scenario> = scenarios.iter().filter(|s| only.is_none_or(|only| s.name == only)).collect();
    if scenarios.is_empty() {
        println!("{}: no such scenario", only.unwrap_or_default());
        return ExitCode::FAILURE;
    }
    let mut jobs = Vec::new();
    for scenario in &scenarios {
        for language in &languages {
            let stores = STORES.into_iter().filter(|store| scenario.is_for(store, &language.name));
            jobs.extend(stores.map(|store| Job { scenario, language, store }));
        }
    }
    if arguments.iter().any(|argument| argument == "--bless") {
        for scenario in &scenarios {
            if let Some(job) = jobs.iter().find(|job| job.scenario.name == scenario.name) {
                std::fs::write(transcript(scenario), job.play(as_said, false)).expect("a transcript");
            }
        }
    }
    let is_sanitized = arguments.iter().any(|argument| argument == "--sanitized");
    let (differences, reports) = play_all(&jobs, as_said, is_sanitized);
    let unseen = if only.is_none() { unseen(&jobs) } else { Vec::new() };
    for what in &unseen {
        println!("a wrong tester was not found out: {what}");
    }
    let (name, reports) =
        if is_sanitized { ("sanitize", format!(" reports={reports}")) } else { ("scenarios", String::new()) };
    println!(
        "{name} languages={} stores={} scenarios={} differences={differences}{reports}",
        languages.len(),
        STORES.len(),
        scenarios.len()
    );
    if differences == 0 && unseen.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
