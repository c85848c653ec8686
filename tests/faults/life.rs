//! What a coordinator in a process of its own does: it tells its parent all that happens, and does what its parent says.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coordha::config::Config;
use coordha::kv::{Compare, Op, Revision, Txn};
use coordha::session::{Event, EventKind, Session, reason_name};
use coordha::store::Store;
use coordha::store::etcd::{EtcdOptions, EtcdStore};
use tokio::signal::unix::{SignalKind, signal};

use crate::child::{CONFIG, MARK, PULSE};
use crate::coordinator::PATIENCE;
use crate::faulty::Faulty;
use crate::place::ACTIVE_KEY;
use crate::referee::{Span, boot_ns};

/// Does nothing, unless a test has started this process as a child.
#[test]
fn child() {
    let Ok(text) = std::env::var(CONFIG) else {
        return;
    };
    let pairs: Vec<(String, String)> = serde_json::from_str(&text).unwrap();
    let mut config = Config::new();
    let mut endpoints = Vec::new();
    for (key, value) in pairs {
        config.set(&key, &value).unwrap();
        if let Some(list) = value.strip_prefix("etcd://") {
            endpoints = list.split(',').map(str::to_owned).collect();
        }
    }
    let store = Faulty::new(&endpoints);
    let session = Session::start_on(Arc::<Faulty>::clone(&store), &config, None).unwrap();
    stop_at_sigterm(session.clone());
    let life = Life { session, store, endpoints, drains: false, span: None };
    life.live(&commands());
}

fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{MARK}{text}").unwrap();
    stdout.flush().unwrap();
}

/// As a coordinator's own code would: the library takes no signal.
fn stop_at_sigterm(session: Session) {
    let runtime = runtime();
    // Before this process says anything: from then on it may be told to end.
    let mut term = {
        let _inside = runtime.enter();
        signal(SignalKind::terminate()).unwrap()
    };
    let wait = async move {
        term.recv().await;
        session.request_stop();
        // The handle is kept, or its end would end the session.
        std::future::pending::<()>().await;
        drop(session);
    };
    std::thread::spawn(move || runtime.block_on(wait));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The lines of the parent; without a parent this process ends.
fn commands() -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                return;
            }
        }
        std::process::exit(0);
    });
    receiver
}

struct Life {
    session: Session,
    store: Arc<Faulty>,
    endpoints: Vec<String>,
    /// It says "left" only when it is told to.
    drains: bool,
    span: Option<(Revision, Span)>,
}

impl Life {
    fn live(mut self, commands: &Receiver<String>) {
        say(&format!("pid {}", std::process::id()));
        loop {
            self.sample();
            while let Ok(command) = commands.try_recv() {
                self.obey(&command);
            }
            let Ok(event) = self.session.next_event(Some(PULSE)) else {
                continue;
            };
            self.sample();
            self.told(&event);
            if event.kind() == EventKind::Ended {
                return;
            }
        }
    }

    /// Says "active" or, once, that it is not any more.
    fn sample(&mut self) {
        let span = Span::sample(&self.session, self.span);
        match span {
            Some((token, Span { first, last })) => say(&format!("active {token} {first} {last}")),
            None if self.span.is_some() => say("idle"),
            None => {}
        }
        self.span = span;
    }

    fn told(&self, event: &Event) {
        let (kind, token) = (event.kind(), event.token());
        let reason = event.reason().map_or("-", reason_name);
        say(&format!("event {} {token} {reason} {}", kind.name(), event.at_ms()));
        // A late answer is an error, and no harm.
        match kind {
            EventKind::Activate => drop(self.session.activation_done(token, Ok(()))),
            EventKind::Deactivate if !self.drains => self.left(token),
            _ => {}
        }
    }

    fn left(&self, token: Revision) {
        say(&format!("left {token} {}", boot_ns() / 1_000_000));
        drop(self.session.deactivation_done(token));
    }

    fn obey(&mut self, command: &str) {
        let words: Vec<&str> = command.split(' ').collect();
        let number = |word: &str| word.parse::<Revision>().unwrap();
        match words.as_slice() {
            ["stop"] => self.session.request_stop(),
            ["resign"] => self.session.resign(Duration::ZERO).unwrap(),
            ["drain"] => {
                self.drains = true;
                say("reply drains");
            }
            ["left", token] => self.left(number(token)),
            ["check", token] => say(&format!("reply {}", self.session.holds(number(token)))),
            ["write", token, key] => self.write(number(token), key),
            ["guarded", token, key] => self.guarded(number(token), key),
            ["starve", on] => self.store.set(|faults| faults.block_threads = *on == "on"),
            ["clock"] => {
                let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                say(&format!("reply {}", wall.as_millis()));
            }
            _ => panic!("no such command: {command}"),
        }
    }

    /// A guarded transaction of the session's.
    fn write(&self, token: Revision, key: &str) {
        let mut txn = self.session.txn(token);
        txn.put(key, token.to_string());
        match txn.commit(Some(PATIENCE)) {
            Ok(reply) => say(&format!("reply wrote {token} {}", reply.revision)),
            Err(error) => say(&format!("reply refused {}", error.kind().name())),
        }
    }

    /// The same by a client of its own, which asks the session nothing: what counts is the compare in the store.
    fn guarded(&self, token: Revision, key: &str) {
        let txn = Txn {
            compares: vec![Compare::mod_revision(ACTIVE_KEY, token)],
            success: vec![Op::put(key, token.to_string(), 0)],
            failure: Vec::new(),
        };
        let options = EtcdOptions::new(&self.endpoints);
        let reply = runtime().block_on(async {
            let store = EtcdStore::new(&options).unwrap();
            store.txn(txn, PATIENCE).await.unwrap()
        });
        if reply.succeeded {
            say(&format!("reply wrote {token} {}", reply.revision));
        } else {
            say("reply refused BY_THE_STORE");
        }
    }
}
