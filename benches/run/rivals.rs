//! What takes its TTL after a kill -9: etcd's own election tool, and a coordinator of Milvus.

use std::path::PathBuf;
use std::process::Command;
use std::thread;

use anyhow::{Result, anyhow};

use crate::harness::child::Talker;
use crate::harness::samples::Samples;
use crate::standing::{Contender, End, Kind, SETTLE, Standing, until_two};
use crate::support::etcd::Etcd;

/// Elections of one kind at the same time: each of them waits most of the time.
pub(crate) const ELECTIONS: usize = 3;

/// What happened in some of them.
#[derive(Default)]
pub(crate) struct Kills {
    pub(crate) samples: Samples,
    /// So often the old one's command ran when that of the new one did.
    pub(crate) overlaps: usize,
}

/// SIGKILLs of what started the command, so many times in each of the elections, each time in a new one: the key of a dead
/// member stays until its lease ends.
pub(crate) fn kills(kind: Kind, etcd: &Etcd, name: &str, elections: usize, times: usize) -> Result<Kills> {
    let one = |election: usize| {
        let mut all = Kills::default();
        for n in 0..times {
            let mut standing = Standing::new(kind, etcd, format!("{name}_{election}_{n}"))?;
            let active = standing.active()?;
            let done = standing.takeover(active, End::Kill, &mut all.samples)?;
            all.overlaps += usize::from(done.old_lives);
            Contender::leave(done.active)?;
        }
        Ok(all)
    };
    let mut all = Kills::default();
    for one in side_by_side(elections, one)? {
        all.samples.extend(&one.samples);
        all.overlaps += one.overlaps;
    }
    Ok(all)
}

/// `etcdctl elect`, at the one TTL that it has: a SIGKILL of the leader to the next one's word that it leads.
pub(crate) fn elect(etcd: &Etcd) -> Result<Samples> {
    one_each(|election| {
        let name = format!("elect{election}");
        let start = |proposal: &str| Talker::start(&etcd.ctl_command(&etcd.endpoints(), &["elect", &name, proposal]));
        let mut active = start("first")?;
        active.says("first")?;
        let standby = start("second")?;
        until_two(etcd, &name);
        takeover(&mut active, &standby, "second")
    })
}

/// A coordinator of Milvus, at the TTL of its release.
pub(crate) struct Milvus {
    pub(crate) program: PathBuf,
    pub(crate) release: &'static str,
    pub(crate) role: &'static str,
}

impl Milvus {
    /// A SIGKILL of the active one to the standby's having the active key.
    pub(crate) fn kills(&self, etcd: &Etcd) -> Result<Samples> {
        one_each(|election| {
            let start = |port: usize| {
                let mut command = Command::new(&self.program);
                command.args(["--release", self.release, "--role", self.role, "--active-standby"]);
                command.args(["--endpoints", &etcd.endpoints().join(",")]);
                command.args(["--root", &format!("milvus{}/{election}", self.release)]);
                command.args(["--address", &format!("127.0.0.1:{port}")]);
                Talker::start_logging(&command)
            };
            let mut active = start(1)?;
            active.says("active role=")?;
            let standby = start(2)?;
            standby.says("standby role=")?;
            takeover(&mut active, &standby, "active role=")
        })
    }
}

fn takeover(active: &mut Talker, standby: &Talker, says: &str) -> Result<Samples> {
    thread::sleep(SETTLE);
    let from = active.kill()?;
    let mut samples = Samples::default();
    samples.add(from, standby.says(says)?);
    standby.terminate()?;
    Ok(samples)
}

fn one_each(one: impl Fn(usize) -> Result<Samples> + Sync) -> Result<Samples> {
    let mut all = Samples::default();
    for samples in side_by_side(ELECTIONS, one)? {
        all.extend(&samples);
    }
    Ok(all)
}

fn side_by_side<T: Send>(elections: usize, one: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let one = &one;
        let running: Vec<_> = (0..elections).map(|election| scope.spawn(move || one(election))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<T>>| {
            thread.join().map_err(|_| anyhow!("a thread panicked"))?
        };
        running.into_iter().map(join).collect()
    })
}
