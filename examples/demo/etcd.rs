//! A real etcd of the demo's own, on loopback, with its data in a folder that goes with it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::client;
use crate::interrupt::Interrupt;
use crate::ports;
use crate::process::{Process, command};

const START: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// A running etcd. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Etcd {
    _process: Process,
    pub(crate) url: String,
    pub(crate) version: String,
}

impl Etcd {
    /// Starts it with its data in `folder` and waits until it answers.
    pub(crate) fn start(folder: &Path, log: &Path, interrupt: &Interrupt) -> Result<Self> {
        let ports = ports::free(2)?;
        let (client, peer) = (format!("127.0.0.1:{}", ports[0]), format!("127.0.0.1:{}", ports[1]));
        let out = File::create(log).with_context(|| log.display().to_string())?;
        let mut process = Process::start(
            "etcd",
            command([program()])
                .arg("--name=demo")
                .arg(format!("--data-dir={}", folder.display()))
                .arg(format!("--listen-client-urls=http://{client}"))
                .arg(format!("--advertise-client-urls=http://{client}"))
                .arg(format!("--listen-peer-urls=http://{peer}"))
                .arg(format!("--initial-advertise-peer-urls=http://{peer}"))
                .arg(format!("--initial-cluster=demo=http://{peer}"))
                .arg("--logger=zap")
                .stdin(std::process::Stdio::null())
                .stdout(out.try_clone()?)
                .stderr(out),
        )?;
        let since = Instant::now();
        let agent = client::agent(Duration::from_secs(1));
        let ask = |what: &str| client::get(&agent, &format!("http://{client}/{what}"));
        while !ask("health").is_ok_and(|(_, health)| health.contains("true")) {
            interrupt.check()?;
            if let Some(status) = process.ended()? {
                bail!("etcd ended with {status}; its words are in {}", log.display());
            }
            if since.elapsed() > START {
                bail!("etcd is not ready after {START:?}; its words are in {}", log.display());
            }
            thread::sleep(LOOK);
        }
        let (_, version) = ask("version")?;
        Ok(Self {
            _process: process,
            url: format!("etcd://{client}"),
            version: version_of(&version).unwrap_or("of unknown version").to_owned(),
        })
    }
}

/// The newer one, where it was built; else the one on the path.
fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join(".etcd/3.6/bin/etcd");
    if built.is_file() { built } else { "etcd".into() }
}

/// `3.6.1` in `{"etcdserver":"3.6.1",…}`.
fn version_of(answer: &str) -> Option<&str> {
    let (_, rest) = answer.split_once("\"etcdserver\":\"")?;
    rest.split_once('"').map(|(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_stands_in_etcds_answer() {
        let answer = r#"{"etcdserver":"3.6.1","etcdcluster":"3.6.0"}"#;
        assert_eq!(version_of(answer), Some("3.6.1"));
        assert_eq!(version_of("not found"), None);
    }
}
