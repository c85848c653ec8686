//! The benchmarks one by one, and the rows that they make.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use etcd_client::Client;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::harness;
use crate::harness::report::{Row, describe};
use crate::harness::samples::{Ms, Samples, now_ns};
use crate::harness::wants;
use crate::program::{Calls, Language, Program};
use crate::support::etcd::Etcd;

/// How often each program asks its 20,000 questions.
const TURNS: usize = 200;
const EVENTS: usize = 300;
/// So many come before, for whatever is only done once.
const EVENTS_BEFORE: usize = 10;
/// Of silence before each event.
const SILENCE: Duration = Duration::from_millis(20);
/// The threads for callbacks end when they have had nothing to do for a moment.
const REST: Duration = Duration::from_secs(3);
const FURTHER: usize = 100;
const MANY: usize = 1000;
const IMPORTS: usize = 40;
const IMPORT_AIM_MS: f64 = 20.0;

pub(crate) struct Bench {
    wanted: Vec<String>,
    pub(crate) languages: Vec<Language>,
    sizes: Vec<(String, String)>,
    pub(crate) made_by: Vec<String>,
    etcd: Etcd,
    pub(crate) etcd_version: String,
}

/// The key by which observers of a role know who is active, with the default root.
pub(crate) fn active_key(role: &str) -> String {
    format!("by-dev/meta/session/{role}")
}

impl Bench {
    pub(crate) fn start(wanted: Vec<String>, languages: Vec<Language>, sizes: Vec<(String, String)>) -> Result<Self> {
        let etcd = harness::etcd().own_settings().start();
        let etcd_version = harness::version(&etcd)?;
        let made_by = languages.iter().filter(|language| language.name != "Rust");
        let made_by = made_by.map(|language| {
            let program = language.start("etcd://127.0.0.1:1", "bench")?;
            let made_by = program.made_by.clone();
            program.end()?;
            Ok::<_, anyhow::Error>(made_by)
        });
        let made_by = made_by.collect::<Result<_>>()?;
        Ok(Self { wanted, languages, sizes, made_by, etcd, etcd_version })
    }

    pub(crate) fn run(&self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        if self.wants("calls") {
            rows.extend(self.calls()?);
        }
        if self.wants("events") {
            rows.extend(self.events()?);
        }
        if self.wants("import") {
            rows.extend(self.import()?);
        }
        if self.wants("memory") {
            rows.extend(self.memory()?);
        }
        if self.wants("sizes") {
            rows.extend(self.sizes()?);
        }
        Ok(rows)
    }

    fn wants(&self, part: &str) -> bool {
        wants("bench-bindings", &self.wanted, part)
    }

    fn url(&self) -> String {
        format!("etcd://{}", self.etcd.endpoint(0))
    }

    fn calls(&self) -> Result<Vec<Row>> {
        let start = |(n, language): (usize, &Language)| {
            let mut program = language.start(&self.url(), &format!("calls{n}"))?;
            program.sessions(1)?;
            Ok(program)
        };
        let mut programs = self.languages.iter().enumerate().map(start).collect::<Result<Vec<_>>>()?;
        let mut times: Vec<[Samples; 4]> = vec![Default::default(); programs.len()];
        for _ in 0..TURNS {
            for n in turn_of(programs.len()) {
                let Calls { is_active, beside, holds, beside_holds } = programs[n].calls()?;
                for (samples, ns) in times[n].iter_mut().zip([is_active, beside, holds, beside_holds]) {
                    samples.push(ns);
                }
            }
        }
        programs.into_iter().try_for_each(Program::end)?;
        let mut rows = Vec::new();
        for (question, at) in [("is_active", 0), ("holds", 2)] {
            for (language, times) in self.languages.iter().zip(&times) {
                rows.push(row_of_calls(question, &language.name, times[at].p50(), times[at + 1].p50()));
            }
        }
        Ok(rows)
    }

    /// From a commit to the programs of all languages, one after another.
    fn events(&self) -> Result<Vec<Row>> {
        let rust = self.languages.last().context("no Rust")?;
        let mut watches = Vec::new();
        for language in &self.languages {
            watches.push((language.name.as_str(), language, "watch"));
            if language.name == "Python" {
                watches.push(("Python, asyncio", language, "watch_async"));
            }
        }
        watches.push(("the bare etcd client (Rust)", rust, "watch_bare"));
        let mut watchers = Vec::new();
        for (n, (name, language, how)) in watches.into_iter().enumerate() {
            let role = format!("events{n}");
            let mut program = language.start(&self.url(), &role)?;
            program.watch(how)?;
            watchers.push(Watcher { name, program, role, whole: Samples::default(), since_answer: Samples::default() });
        }
        let mut committer = Committer::start(&self.etcd.endpoint(0))?;
        for n in 0..EVENTS_BEFORE + EVENTS {
            for at in turn_of(watchers.len()) {
                let watcher = &mut watchers[at];
                thread::sleep(SILENCE);
                let commit = committer.commit(&watcher.role, n)?;
                let at = watcher.program.seen(commit.revision)?;
                if n >= EVENTS_BEFORE {
                    watcher.whole.add(commit.called, at);
                    watcher.since_answer.add(commit.answered, at);
                }
            }
        }
        let bare = watchers.pop().context("no bare watch")?;
        let c = watchers.iter().find(|watcher| watcher.name == "C").map(|watcher| watcher.whole.p50());
        let mut rows = Vec::new();
        for watcher in &watchers {
            let (what, beside) = match c {
                Some(c) if watcher.name != "C" => ("C", c),
                _ => (bare.name, bare.whole.p50()),
            };
            rows.push(watcher.row().beside(format!("{what} {}", Ms(beside)), watcher.whole.p50() / beside));
        }
        let answer = committer.answers.p50();
        rows.push(bare.row().beside(format!("commit to its answer {}", Ms(answer)), bare.whole.p50() / answer));
        watchers.push(bare);
        watchers.into_iter().try_for_each(|watcher| watcher.program.end())?;
        Ok(rows)
    }

    fn language(&self, name: &str) -> Option<&Language> {
        self.languages.iter().find(|language| language.name == name)
    }

    fn import(&self) -> Result<Vec<Row>> {
        let Some(python) = self.language("Python") else {
            return Ok(Vec::new());
        };
        let codes = ["pass", "import coordha", "import asyncio", "import coordha.aio"];
        let mut times: [Samples; 4] = Default::default();
        for _ in 0..IMPORTS {
            for (code, samples) in codes.iter().zip(&mut times) {
                let from = now_ns();
                let status = Command::new(python.program()).args(["-I", "-c", code]).stdin(Stdio::null()).status()?;
                samples.add(from, now_ns());
                ensure!(status.success(), "{code} fails");
            }
        }
        let [nothing, package, asyncio, aio] = times.map(|samples| samples.p50());
        let takes = package - nothing;
        Ok(vec![
            Row::new("`import coordha`", format!("{}", Ms(takes)))
                .beside(
                    format!("an interpreter that imports nothing, from start to exit {}", Ms(nothing)),
                    takes / nothing,
                )
                .aim(format!("at most {IMPORT_AIM_MS} ms"), takes <= IMPORT_AIM_MS),
            Row::new("`import coordha.aio`", format!("{}", Ms(aio - nothing)))
                .beside(format!("`import asyncio` {}", Ms(asyncio - nothing)), (aio - nothing) / (asyncio - nothing)),
        ])
    }

    /// What a process grows by, in a process of its own for each language.
    fn memory(&self) -> Result<Vec<Row>> {
        let (mut rows, mut further, mut many) = (Vec::new(), Vec::new(), Vec::new());
        let mut in_c = None;
        for (n, language) in self.languages.iter().enumerate() {
            let mut program = language.start(&self.url(), &format!("memory{n}"))?;
            let before = program.needs()?;
            program.sessions(1)?;
            thread::sleep(REST);
            let one = program.needs()?;
            program.sessions(1 + FURTHER)?;
            thread::sleep(REST);
            let all = program.needs()?;
            let mb = |kb: f64| kb / 1000.0;
            let grown = mb(one.resident - before.resident);
            let own = mb(one.anonymous - before.anonymous);
            let row = Row::new(
                format!("First session, {}", language.name),
                format!("+ {grown:.1} MB, of it {own:.1} MB anonymous"),
            );
            let beside = format!("the program before it {:.1} MB", mb(before.resident));
            rows.push(row.beside(beside, grown / mb(before.resident)));
            let each = (all.resident - one.resident) / FURTHER as f64;
            let row =
                Row::new(format!("Each further session of {FURTHER}, {}", language.name), format!("+ {each:.1} kB"));
            further.push(match in_c {
                Some(c) => row.beside(format!("C {c:.1} kB"), each / c),
                None => row,
            });
            if language.name == "C" {
                in_c = Some(each);
            }
            if language.name == "Go" {
                program.sessions(MANY)?;
                thread::sleep(REST);
                let goroutines = program.sessions(MANY)?.goroutines.context("no number of goroutines")?;
                let needs = program.needs()?;
                let what = format!("{MANY} sessions in a Go process");
                many.push(
                    Row::new(format!("{what}: threads"), needs.threads.to_string())
                        .beside(format!("with one session {}", one.threads), needs.threads / one.threads),
                );
                many.push(Row::new(format!("{what}: goroutines"), goroutines.to_string()));
                many.push(Row::new(format!("{what}: memory"), format!("{:.1} MB", mb(needs.resident))));
            }
            program.end()?;
        }
        rows.extend(further);
        rows.extend(many);
        Ok(rows)
    }

    fn sizes(&self) -> Result<Vec<Row>> {
        let row = |(what, file): &(String, String)| {
            let bytes = fs::metadata(file).with_context(|| file.clone())?.len();
            Ok(Row::new(what, format!("{:.2} MB", bytes as f64 / 1e6)))
        };
        self.sizes.iter().map(row).collect()
    }
}

/// A turn of so many, in a new order each time: what ran just before may be felt.
fn turn_of(count: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..count).collect();
    fastrand::shuffle(&mut order);
    order
}

fn row_of_calls(question: &str, language: &str, ns: f64, beside: f64) -> Row {
    let ratio = ns / beside;
    let what = match language {
        "C++" => "the same from C",
        "Go" => "an empty call from Go to C",
        "Python" if question == "is_active" => "`real` of an `int`",
        "Python" => "`__contains__` of an empty `frozenset`",
        _ => "`clock_gettime(CLOCK_BOOTTIME)`",
    };
    let row = Row::new(format!("`{question}` from {language}"), format!("{ns:.1} ns"))
        .beside(format!("{what} {beside:.1} ns"), ratio);
    match language {
        "C" => row.aim("at most 40 ns and 1.3 ×", ns <= 40.0 && ratio <= 1.3),
        "C++" => row.aim("at most 1.05 ×", ratio <= 1.05),
        // Where the empty call alone costs more, that is what it goes by.
        "Go" | "Python" if beside > 100.0 => row.aim("at most 1.3 ×", ratio <= 1.3),
        "Go" | "Python" => row.aim("at most 100 ns", ns <= 100.0),
        _ => row,
    }
}

struct Watcher<'a> {
    name: &'a str,
    program: Program,
    role: String,
    /// From the call that commits to the program's having the event.
    whole: Samples,
    /// From the answer to that call; less than nothing where the event was quicker.
    since_answer: Samples,
}

impl Watcher<'_> {
    fn row(&self) -> Row {
        let [p50, p99] = [0.5, 0.99].map(|part| self.since_answer.quantile(part) * 1000.0);
        let whole = describe(&self.whole);
        let measured = format!("{whole}; after the commit's answer p50 {p50:.0} µs, p99 {p99:.0} µs");
        Row::new(format!("Commit to event, {}", self.name), measured)
    }
}

/// Says to etcd that somebody is active.
struct Committer {
    runtime: Runtime,
    client: Client,
    /// From the call to the answer.
    answers: Samples,
}

impl Committer {
    fn start(endpoint: &str) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let client = runtime.block_on(Client::connect([endpoint], None))?;
        Ok(Self { runtime, client, answers: Samples::default() })
    }

    fn commit(&mut self, role: &str, n: usize) -> Result<Commit> {
        let record = json!({"ServerID": n + 1, "ServerName": role, "Address": "127.0.0.1:53100", "Exclusive": true});
        let called = now_ns();
        let answer = self.runtime.block_on(self.client.put(active_key(role), record.to_string(), None))?;
        let answered = now_ns();
        self.answers.add(called, answered);
        Ok(Commit { called, answered, revision: answer.header().context("no revision")?.revision() })
    }
}

/// When it was asked for and when answered, and the revision that it made.
struct Commit {
    called: i64,
    answered: i64,
    revision: i64,
}
