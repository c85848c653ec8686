//! What a takeover can never be quicker than: one commit, the notice of it in another process, and that one's commit. Done
//! with the bare etcd client, a put each.

use std::thread;

use anyhow::{Context, Result, bail};
use etcd_client::{Client, PutOptions, WatchOptions};
use tokio::runtime::{Builder, Runtime};

use crate::candidate::{SETTLE, say};
use crate::harness::child::Talker;
use crate::harness::samples::{Samples, now_ns};

/// As long as a member record of ours.
const VALUE: [u8; 320] = [b'x'; 320];

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// The first of the two processes, with the second one as its child.
pub(crate) struct Relay {
    runtime: Runtime,
    client: Client,
    second: Talker,
    /// From the first put to the answer to the second one's.
    pub(crate) whole: Samples,
    /// The first put alone.
    pub(crate) commit: Samples,
}

impl Relay {
    pub(crate) fn start(endpoint: &str) -> Result<Self> {
        let runtime = runtime()?;
        let client = runtime.block_on(Client::connect([endpoint], None))?;
        let second = Talker::start_own(&["relay".to_owned(), endpoint.to_owned()])?;
        second.expect("standby")?;
        Ok(Self { runtime, client, second, whole: Samples::default(), commit: Samples::default() })
    }

    /// One more run, after as long a silence as before each of those that it stands beside: who was busy a moment ago is
    /// quicker.
    pub(crate) fn run(&mut self) -> Result<()> {
        thread::sleep(SETTLE);
        let from = now_ns();
        let put = self.client.put("relay/first", VALUE, None);
        self.runtime.block_on(put)?;
        self.commit.add(from, now_ns());
        self.whole.add(from, self.second.expect("active")?);
        Ok(())
    }
}

/// The child: answers each change of one key by a put of another.
pub(crate) fn second(endpoint: &str) -> Result<()> {
    runtime()?.block_on(async {
        let mut client = Client::connect([endpoint], None).await?;
        let options = WatchOptions::new().with_progress_notify();
        let mut changes = client.watch("relay/first", Some(options)).await?;
        let created = changes.message().await?.context("no watch")?;
        if !created.created() {
            bail!("the watch was not created");
        }
        say("standby", now_ns());
        while let Some(change) = changes.message().await? {
            for _ in change.events() {
                let options = Some(PutOptions::new());
                client.put("relay/second", VALUE, options).await?;
                say("active", now_ns());
            }
        }
        Ok(())
    })
}
