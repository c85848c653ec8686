//! Two that ask over HTTP all the time: a client that wants IDs, and one that asks every coordinator whether it is active.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use ureq::Agent;

use crate::clock::now_ms;
use crate::line::Status;

/// Patience with one request.
const REQUEST: Duration = Duration::from_secs(1);
/// Before the next try where nobody gave an ID.
const RETRY: Duration = Duration::from_millis(1);
/// Between two rounds of asking everybody.
const ROUND: Duration = Duration::from_millis(20);

/// What the two report.
#[derive(Debug)]
pub(crate) enum Heard {
    /// An ID, and when it came.
    Id(u64, i64),
    /// What the coordinator of this index says of itself.
    Status(usize, Status),
    /// An answer that no coordinator may give.
    Nonsense(String),
}

/// Threads that ask. Dropped, they stop.
#[derive(Debug)]
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    pub(crate) fn start<M>(addresses: &[String], outbox: &Sender<M>, wrap: fn(Heard) -> M) -> Self
    where
        M: Send + 'static,
    {
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |work: fn(&[String], &AtomicBool, &mut dyn FnMut(Heard))| {
            let (addresses, stop) = (addresses.to_vec(), Arc::clone(&stop));
            let outbox = outbox.clone();
            thread::spawn(move || {
                // Nobody listens any more once the story is told.
                let mut tell = |heard| drop(outbox.send(wrap(heard)));
                work(&addresses, &stop, &mut tell);
            })
        };
        let threads = vec![spawn(ask_for_ids), spawn(ask_for_status)];
        Self { stop, threads }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

pub(crate) fn agent(limit: Duration) -> Agent {
    let config = Agent::config_builder().timeout_global(Some(limit));
    config.http_status_as_error(false).build().into()
}

/// Status and body.
pub(crate) fn get(agent: &Agent, url: &str) -> Result<(u16, String)> {
    let mut response = agent.get(url).call()?;
    let body = response.body_mut().read_to_string()?;
    Ok((response.status().as_u16(), body))
}

/// Asks one coordinator for IDs, one after another, and moves on to the one that a standby names, or else to the next.
fn ask_for_ids(addresses: &[String], stop: &AtomicBool, tell: &mut dyn FnMut(Heard)) {
    let agent = agent(REQUEST);
    let mut at = 0;
    while !stop.load(Ordering::Acquire) {
        let answer = get(&agent, &format!("http://{}/next", addresses[at]));
        match &answer {
            Ok((200, body)) => {
                let came = now_ms();
                tell(match body.trim().parse() {
                    Ok(id) => Heard::Id(id, came),
                    Err(_) => Heard::Nonsense(format!("{} gave the ID {body:?}", addresses[at])),
                });
                continue;
            }
            Ok((503, body)) => at = named(addresses, at, body.trim()),
            _ => at = (at + 1) % addresses.len(),
        }
        thread::sleep(RETRY);
    }
}

/// The coordinator at the address that a standby named; the next one where it named nobody we know.
fn named(addresses: &[String], asked: usize, address: &str) -> usize {
    let found = addresses.iter().position(|known| known == address);
    found.unwrap_or((asked + 1) % addresses.len())
}

fn ask_for_status(addresses: &[String], stop: &AtomicBool, tell: &mut dyn FnMut(Heard)) {
    let agent = agent(REQUEST);
    while !stop.load(Ordering::Acquire) {
        for (index, address) in addresses.iter().enumerate() {
            // No answer is the usual thing where the coordinator is dead.
            let Ok((200, body)) = get(&agent, &format!("http://{address}/status")) else {
                continue;
            };
            tell(match Status::parse(&body) {
                Ok(status) => Heard::Status(index, status),
                Err(error) => Heard::Nonsense(format!("{address}: {error:#}")),
            });
        }
        thread::sleep(ROUND);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_goes_where_a_standby_points() {
        let addresses = ["h:1", "h:2", "h:3"].map(str::to_owned);
        assert_eq!(named(&addresses, 1, "h:1"), 0);
        assert_eq!(named(&addresses, 1, ""), 2, "nobody is named");
        assert_eq!(named(&addresses, 2, "h:9"), 0, "a stranger is named");
    }
}
