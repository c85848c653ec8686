//! The tester of the scenarios for Rust: does what it is told on stdin and says what happens on stdout. The protocol stands at
//! the head of `tests/scenarios/scenarios.toml`.
#![allow(clippy::print_stdout, reason = "its lines are there to be read")]

#[path = "../../support/wait.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests share it")]
mod wait;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordha::config::Config;
use coordha::error::{Error, ErrorKind, Result};
use coordha::session::{Answer, BodyResult, Callbacks, Event, EventKind, Observer, Session, Term, TxnBuilder, Until};
use fork::Fork;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

type Sessions = Arc<Mutex<BTreeMap<String, Session>>>;

/// What a session of the tester does when it is called.
struct Application {
    name: String,
    activate: String,
    deactivate: String,
    sessions: Sessions,
}

impl Callbacks for Application {
    fn on_activate(&mut self, session: &Session, event: &Event) -> Answer {
        say_event(&self.name, event);
        match self.activate.as_str() {
            "pending" => return Answer::Pending,
            "fail" => return Answer::Failed { code: 10001, why: "no disk".into() },
            "throw" => panic!("boom"),
            "stop" => session.request_stop(),
            "free" => {
                let own = self.sessions.lock().unwrap_or_else(|e| e.into_inner()).remove(&self.name);
                if let Some(own) = own {
                    own.close();
                }
            }
            "hang" => {
                wait::until("the end of the term", || session.is_ending(event.token()).then_some(()));
            }
            _ => {}
        }
        Answer::Done
    }

    fn on_deactivate(&mut self, _: &Session, event: &Event) -> Answer {
        say_event(&self.name, event);
        if self.deactivate == "pending" { Answer::Pending } else { Answer::Done }
    }

    fn on_event(&mut self, _: &Session, event: &Event) {
        say_event(&self.name, event);
    }
}

fn say_event(name: &str, event: &Event) {
    let mut line = format!("! {name} {}", event.kind().name());
    let mut field = |name: &str, value: String| write!(line, " {name}={value}").unwrap_or_default();
    if event.token() != 0 {
        field("token", event.token().to_string());
    }
    if let Some(reason) = event.reason() {
        field("reason", (reason as i32).to_string());
    }
    if event.kind() == EventKind::Deactivate {
        field("held", event.held().to_string());
    }
    if event.server_id() != 0 {
        field("server_id", event.server_id().to_string());
    }
    if let Some(address) = event.address() {
        field("address", address.into());
    }
    if let Some(key) = event.key() {
        field("key", key.escape_ascii().to_string());
    }
    if let Some(error) = event.error() {
        field("error", error.kind().name().into());
        if let Some(code) = error.detail("code") {
            field("code", code.into());
        }
    }
    if event.missed() != 0 {
        field("missed", event.missed().to_string());
    }
    println!("{line}");
}

fn error_line(error: &Error) -> String {
    let mut line = format!("error {}", error.kind().name());
    for name in ["key", "value", "allowed", "holder_address", "holder_server_id", "code"] {
        if let Some(detail) = error.detail(name) {
            let _ = write!(line, " {name}={}", detail.replace(' ', "_"));
        }
    }
    line
}

#[derive(Default)]
struct Tester {
    sessions: Sessions,
    observers: Mutex<BTreeMap<String, Observer>>,
}

/// The words `key=value` as a configuration; those that begin with `@` are for the tester.
fn configuration(words: &[&str]) -> Result<Config> {
    let mut config = Config::new();
    for word in words.iter().filter(|word| !word.starts_with('@')) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        config.set(key, value)?;
    }
    Ok(config)
}

fn wish<'a>(words: &[&'a str], name: &str) -> &'a str {
    let value = words.iter().find_map(|word| word.strip_prefix('@')?.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_default()
}

fn number<T: std::str::FromStr>(words: &[&str], at: usize) -> T {
    let word = words.get(at).and_then(|word| word.parse().ok());
    word.unwrap_or_else(|| panic!("{words:?}: no number at {at}"))
}

fn milliseconds(words: &[&str], at: usize) -> Duration {
    Duration::from_millis(number(words, at))
}

impl Tester {
    fn session(&self, name: &str) -> Result<Session> {
        let sessions = self.sessions.lock().unwrap_or_else(|e| e.into_inner());
        sessions.get(name).cloned().ok_or_else(|| Error::new(ErrorKind::Closed, "no such session"))
    }

    /// Does a command; the answer without its mark.
    fn answer(&self, words: &[&str]) -> Result<String> {
        let (command, name) = (words[0], words.get(1).copied().unwrap_or_default());
        match command {
            "start" => return self.start(name, &words[2..]),
            "check" => configuration(&words[1..])?.check()?,
            "observe" => return self.observe(name, &words[2..]),
            "metrics" => return Ok(metrics(name)),
            "unobserve" => {
                let observer = self.observers.lock().unwrap_or_else(|e| e.into_inner()).remove(name);
                observer.iter().for_each(Observer::request_stop);
            }
            "cycle" => {
                for _ in 0..number(words, 1) {
                    let session = Session::start(&configuration(&words[2..])?, None)?;
                    session.stop(Some(Duration::from_secs(20)))?;
                }
            }
            "ready" => self.session(name)?.activation_done(number(words, 2), Ok(()))?,
            "fail" => {
                let failed = coordha::session::activation_failed(number(words, 3), "no disk");
                self.session(name)?.activation_done(number(words, 2), Err(failed))?;
            }
            "left" => self.session(name)?.deactivation_done(number(words, 2))?,
            "request_stop" => self.session(name)?.request_stop(),
            "stop" => self.session(name)?.stop(Some(milliseconds(words, 2)))?,
            "resign" => self.session(name)?.resign(milliseconds(words, 2))?,
            "pause" => self.session(name)?.pause()?,
            "resume" => self.session(name)?.resume()?,
            "wait" => {
                let until = match words[2] {
                    "registered" => Until::Registered,
                    "active" => Until::Active,
                    "term_ending" => Until::TermEnding,
                    _ => Until::Ended,
                };
                self.session(name)?.wait(until, Some(milliseconds(words, 3)))?;
            }
            "next" => say_event(name, &self.session(name)?.next_event(Some(milliseconds(words, 2)))?),
            "free" => {
                let session = self.session(name)?;
                self.sessions.lock().unwrap_or_else(|e| e.into_inner()).remove(name);
                session.close();
            }
            "state" => return Ok(state(&self.session(name)?, number(words, 2))),
            "holder" => {
                let holder = self.session(name)?.holder();
                let of = |h: &coordha::election::Holder| format!(" address={} server_id={}", h.address, h.server_id);
                return Ok(format!("ok{}", holder.as_ref().map_or(String::new(), of)));
            }
            "fork" => return Ok(in_child(&self.session(name)?, number(words, 2))),
            "txn" => return transaction(self.session(name)?.txn(number(words, 2)), &words[3..]),
            other => panic!("{other}: no such command"),
        }
        Ok("ok".into())
    }

    fn observe(&self, name: &str, words: &[&str]) -> Result<String> {
        let observer = Observer::start(&configuration(words)?)?;
        let (said, source) = (name.to_owned(), observer.clone());
        std::thread::spawn(move || {
            while let Ok(event) = source.next_event(None) {
                say_event(&said, &event);
            }
        });
        self.observers.lock().unwrap_or_else(|e| e.into_inner()).insert(name.into(), observer);
        Ok("ok".into())
    }

    fn start(&self, name: &str, words: &[&str]) -> Result<String> {
        let config = configuration(words)?;
        let (pull, body) = (words.contains(&"@pull"), wish(words, "body").to_owned());
        let application = Application {
            name: name.into(),
            activate: wish(words, "activate").into(),
            deactivate: wish(words, "deactivate").into(),
            sessions: Arc::clone(&self.sessions),
        };
        // A callback may come before the start has returned.
        let mut sessions = self.sessions.lock().unwrap_or_else(|e| e.into_inner());
        let callbacks: Option<Box<dyn Callbacks>> =
            if pull || !body.is_empty() { None } else { Some(Box::new(application)) };
        let session = Session::start(&config, callbacks)?;
        if !body.is_empty() {
            let (name, session) = (name.to_owned(), session.clone());
            std::thread::spawn(move || run(&name, &session, &body));
        } else if pull && !words.contains(&"@unread") {
            let (name, session) = (name.to_owned(), session.clone());
            std::thread::spawn(move || {
                while let Ok(event) = session.next_event(None) {
                    say_event(&name, &event);
                }
            });
        }
        sessions.insert(name.into(), session);
        Ok("ok".into())
    }
}

/// Runs a session by a term body, to its end.
fn run(name: &str, session: &Session, what: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let ended = runtime.block_on(session.run_with(|term| body(term, what), |event| say_event(name, &event)));
    // The last event has said it.
    drop(ended);
}

/// The body of each term, which does what the scenario wishes.
async fn body(term: Term, what: &str) -> BodyResult {
    match what {
        "early" => return Ok(()),
        "throw" => panic!("boom"),
        _ => term.ready()?,
    }
    match what {
        "return" => return Ok(()),
        "late" => return Err("boom".into()),
        _ => term.ending().await,
    }
    match what {
        "drain" => return Err("boom".into()),
        "hang" => term.lost().await,
        _ => {}
    }
    Ok(())
}

fn state(session: &Session, token: i64) -> String {
    format!(
        "ok role={} is_active={} holds={} is_ending={} remaining={} token={} server_id={}",
        session.role() as i32,
        session.is_active(),
        session.holds(token),
        session.is_ending(token),
        session.remaining_ms() > 0,
        session.fencing_token(),
        session.server_id()
    )
}

/// The names of the metrics, and those of their lines that begin so.
fn metrics(prefix: &str) -> String {
    let text = coordha::metrics::text();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let lines = text.lines().filter(|line| line.starts_with(prefix));
    let words = names.chain(lines).map(|word| format!(" {}", word.replace(' ', "_")));
    format!("ok{}", words.collect::<String>())
}

/// What the session says in a child of its process, which then goes without a trace.
fn in_child(session: &Session, token: i64) -> String {
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    let Fork::Parent(pid) = fork::fork().expect("a child") else {
        let stop = session.stop(Some(Duration::ZERO)).map_or_else(|error| error.kind().name(), |()| "OK");
        let _ = write!(writer, "ok is_active={} holds={} stop={stop}", session.is_active(), session.holds(token));
        let _ = kill_process(getpid(), Signal::KILL);
        unreachable!("it is dead");
    };
    drop(writer);
    let mut said = String::new();
    reader.read_to_string(&mut said).expect("what the child says");
    waitpid(Pid::from_raw(pid), WaitOptions::empty()).expect("the end of the child");
    said
}

fn transaction(mut txn: TxnBuilder, words: &[&str]) -> Result<String> {
    for word in words {
        let (what, rest) = word.split_once(':').unwrap_or((word, ""));
        let (key, value) = rest.split_once(':').unwrap_or((rest, ""));
        match what {
            "if" => drop(txn.if_revision(key, value.parse().unwrap_or_default())),
            "ifv" => drop(txn.if_value(key, value)),
            "put" => drop(txn.put(key, value)),
            "leased" => drop(txn.put_leased(key, value)),
            "del" => drop(txn.delete(key)),
            _ => drop(txn.get(key)),
        }
    }
    let done = txn.commit(Some(Duration::from_secs(5)))?;
    let mut line = format!("ok revision={} count={}", done.revision, done.kvs.len());
    for kv in &done.kvs {
        let _ = write!(line, " {}={}", kv.key.escape_ascii(), kv.value.escape_ascii());
    }
    Ok(line)
}

fn main() {
    let tester = Tester::default();
    for line in std::io::stdin().lines().map_while(std::io::Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == "quit" {
            break;
        }
        let answer = tester.answer(&words).unwrap_or_else(|error| error_line(&error));
        println!("= {answer}");
    }
}
