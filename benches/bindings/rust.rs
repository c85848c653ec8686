//! The program for Rust, a child of the runner.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use coordha::config::{Config, keys};
use coordha::session::{Answer, Callbacks, Event, Observer, Session, Until};
use etcd_client::{Client, EventType};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tokio::runtime::Builder;

use crate::harness::samples::now_ns;
use crate::parts::active_key;

const CALLS: u32 = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);

struct Nothing;

impl Callbacks for Nothing {
    fn on_activate(&mut self, _: &Session, _: &Event) -> Answer {
        Answer::Done
    }
}

struct Child {
    store: String,
    name: String,
    sessions: Vec<Session>,
}

/// The arguments are `STORE NAME`.
pub(crate) fn run(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut argument = || arguments.next().context("STORE NAME");
    let mut child = Child { store: argument()?, name: argument()?, sessions: Vec::new() };
    println!("{}", json!({"made_by": "rustc"}));
    for line in std::io::stdin().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("start", count) => child.start(count.parse()?)?,
            ("calls", _) => child.calls()?,
            ("watch", _) => child.watch()?,
            ("watch_bare", _) => child.watch_bare()?,
            _ => bail!("{line}: no such command"),
        }
    }
    child.sessions.iter().for_each(Session::request_stop);
    child.sessions.into_iter().for_each(Session::close);
    Ok(())
}

impl Child {
    fn config(&self, role: &str) -> Result<Config> {
        let mut config = Config::new();
        config.set(keys::STORE_URL, &self.store)?;
        config.set(keys::ROLE, role)?;
        Ok(config)
    }

    fn start(&mut self, count: usize) -> Result<()> {
        let first = self.sessions.len();
        for n in first..count {
            let mut config = self.config(&format!("{}_{n}", self.name))?;
            config.set(keys::ADDRESS, &format!("127.0.0.1:{}", n + 1))?;
            config.set(keys::ACTIVE_STANDBY_ENABLED, "true")?;
            self.sessions.push(Session::start(&config, Some(Box::new(Nothing)))?);
        }
        for session in &self.sessions[first..] {
            session.wait(Until::Active, Some(PATIENCE))?;
        }
        println!("{}", json!({"sessions": count}));
        Ok(())
    }

    /// Beside both: the read of the clock that each contains.
    fn calls(&self) -> Result<()> {
        let session = self.sessions.first().context("no session")?;
        let token = session.fencing_token();
        let clock = ns_of(|| clock_gettime(ClockId::Boottime).tv_sec >= 0)?;
        let is_active = ns_of(|| session.is_active())?;
        let holds = ns_of(|| session.holds(token))?;
        println!("{}", json!({"is_active": is_active, "beside": clock, "holds": holds, "beside_holds": clock}));
        Ok(())
    }

    fn watch(&self) -> Result<()> {
        let observer = Observer::start(&self.config(&self.name)?)?;
        std::thread::spawn(move || {
            while let Ok(event) = observer.next_event(None) {
                let at = now_ns();
                println!("{}", json!({"token": event.token(), "at": at}));
            }
        });
        Ok(())
    }

    fn watch_bare(&self) -> Result<()> {
        let endpoint = self.store.strip_prefix("etcd://").context("not on etcd")?.to_owned();
        let key = active_key(&self.name);
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                let mut client = Client::connect([endpoint], None).await?;
                let mut changes = client.watch(key, None).await?;
                while let Some(change) = changes.message().await? {
                    let at = now_ns();
                    if change.created() {
                        println!("{}", json!({"token": 0, "at": at}));
                    }
                    for event in change.events().iter().filter(|event| event.event_type() == EventType::Put) {
                        let revision = event.kv().map_or(0, etcd_client::KeyValue::mod_revision);
                        println!("{}", json!({"token": revision, "at": at}));
                    }
                }
                Ok::<(), anyhow::Error>(())
            })
        });
        Ok(())
    }
}

/// The time of one question. Counts each "yes", so that no call can be left out and none answers "no" unseen.
fn ns_of(mut ask: impl FnMut() -> bool) -> Result<f64> {
    let (from, mut yes) = (now_ns(), 0);
    for _ in 0..CALLS {
        yes += u32::from(black_box(ask()));
    }
    let ns = (now_ns() - from) as f64 / f64::from(CALLS);
    ensure!(yes == CALLS, "the session was not active all the time");
    Ok(ns)
}
