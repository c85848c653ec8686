//! The benchmarks one by one, and the rows that they make.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};

use anyhow::{Result, anyhow, ensure};

use crate::harness::report::{Row, describe};
use crate::harness::samples::{Ms, Samples, now_ns};
use crate::harness::{self, wants};
use crate::memory;
use crate::rivals::{self, ELECTIONS, Kills, Milvus};
use crate::standing::{Contender, End, Kind, Standing, coordha, url};
use crate::support::etcd::Etcd;

/// A takeover on one host may take so much more than the command's own start.
const BEYOND_MS: f64 = 10.0;
const STATUS_MS: f64 = 50.0;

/// What the takeovers of one kind of contenders took.
#[derive(Default)]
struct Quick {
    killed: Samples,
    stopped: Samples,
    bare: Samples,
}

pub(crate) struct Bench {
    wanted: Vec<String>,
    rounds: usize,
    programs: PathBuf,
    one: Etcd,
    three: Etcd,
    pub(crate) etcd_version: String,
    left_out: AtomicBool,
}

impl Bench {
    pub(crate) fn start(wanted: Vec<String>, rounds: usize, programs: PathBuf) -> Result<Self> {
        let one = harness::etcd().own_settings().start();
        let three = harness::etcd().own_settings().members(3).start();
        let etcd_version = harness::version(&one)?;
        Ok(Self { wanted, rounds, programs, one, three, etcd_version, left_out: AtomicBool::new(false) })
    }

    pub(crate) fn is_any_left_out(&self) -> bool {
        self.left_out.load(Ordering::Relaxed)
    }

    fn leave_out(&self, what: &str, why: &str) {
        eprintln!("bench-run: SKIPPED {what}: {why}");
        self.left_out.store(true, Ordering::Relaxed);
    }

    pub(crate) fn run(&self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        thread::scope(|scope| {
            let slow = self.wants("run").then(|| self.slow(scope));
            let mut kills = Vec::new();
            if slow.is_some() {
                kills = self.kills()?;
            }
            if self.wants("command") {
                rows.extend(self.command()?);
            }
            rows.extend(kills);
            if let Some(slow) = slow {
                rows.extend(slow.rows()?);
            }
            if self.wants("memory") {
                rows.extend(memory::rows(&self.one)?);
            }
            if self.wants("status") {
                rows.extend(self.status()?);
            }
            Ok(rows)
        })
    }

    fn wants(&self, part: &str) -> bool {
        wants("bench-run", &self.wanted, part)
    }

    /// The command, or what started it, ends where the next one can know.
    fn command(&self) -> Result<Vec<Row>> {
        let one = self.quick(Kind::Run(&[]), &self.one, self.rounds)?;
        let three = self.quick(Kind::Run(&[]), &self.three, self.rounds)?;
        let lock = self.quick(Kind::Lock, &self.one, self.rounds.div_ceil(3))?;
        let ours = one.killed.p50();
        let lock = Row::of("`etcdctl lock`: kill -9 of the command, one etcd member", &lock.killed)
            .beside(format!("`coordha run` {}", Ms(ours)), lock.killed.p50() / ours);
        Ok(vec![
            one.row("kill -9 of the command to the standby's command running, one etcd member", &one.killed),
            three.row("The same, three members", &three.killed),
            lock,
            one.row("SIGTERM of `coordha run` to the standby's command running, one etcd member", &one.stopped),
            three.row("The same, three members", &three.stopped),
        ])
    }

    /// Kills and stops in turns.
    fn quick(&self, kind: Kind, etcd: &Etcd, rounds: usize) -> Result<Quick> {
        let mut quick = Quick::default();
        let mut standing = Standing::new(kind, etcd, "quick")?;
        let mut active = standing.active()?;
        for n in 0..rounds {
            standing.bare_start(&mut quick.bare)?;
            active = standing.takeover(active, End::KillCommand, &mut quick.killed)?.active;
            // etcdctl does not pass a SIGTERM on, so its command would run on.
            if n % 2 == 0 && matches!(kind, Kind::Run(_)) {
                active = standing.takeover(active, End::Stop, &mut quick.stopped)?.active;
            }
        }
        Contender::leave(active)?;
        Ok(quick)
    }

    /// A SIGKILL of `coordha run` itself.
    fn kills(&self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        if self.has_cgroup()? {
            let known = rivals::kills(Kind::Run(&[]), &self.one, "known", 1, self.rounds.div_ceil(10))?;
            rows.push(overlapping("kill -9 of `coordha run` itself, its command in a cgroup", &known));
        } else {
            self.leave_out("kill -9 of `coordha run` with a cgroup", "no cgroup can be made here");
        }
        Ok(rows)
    }

    /// Whether `coordha run` can give its command a cgroup.
    fn has_cgroup(&self) -> Result<bool> {
        let mut command = coordha();
        command.args(["run", "--role", "probe", "--store", &url(&self.one), "--address", "127.0.0.1:1"]);
        let output = command.args(["--restart", "never", "--", "true"]).output()?;
        ensure!(output.status.success(), "coordha run: {output:?}");
        Ok(!String::from_utf8_lossy(&output.stderr).contains("no cgroup"))
    }

    /// What takes seconds, each of it at its default settings, while the rest is measured.
    fn slow<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Slow<'scope> {
        let one = &self.one;
        let milvus = |release, role| {
            let program = self.programs.join("milvuspeer");
            if !program.exists() {
                self.leave_out("Milvus", "its peer is not built (make bench-run, with Go)");
                return None;
            }
            let milvus = Milvus { program, release, role };
            Some(scope.spawn(move || milvus.kills(one)))
        };
        let times = self.rounds.div_ceil(30);
        Slow {
            unproven: scope
                .spawn(move || rivals::kills(Kind::Run(&["--cgroup", "off"]), one, "unproven", ELECTIONS, times)),
            lock: scope.spawn(move || rivals::kills(Kind::Lock, one, "lock", ELECTIONS, 1)),
            elect: scope.spawn(move || rivals::elect(one)),
            old_milvus: milvus("2.2.3", "rootcoord"),
            new_milvus: milvus("2.6.15", "mixcoord"),
        }
    }

    /// `coordha status`, from its start to its end.
    fn status(&self) -> Result<Vec<Row>> {
        let known = coordha().args(["status", "--help"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if !known.success() {
            self.leave_out("coordha status", "there is no such subcommand");
            return Ok(Vec::new());
        }
        let mut standing = Standing::new(Kind::Run(&[]), &self.one, "status")?;
        let active = standing.active()?;
        let (standby, _) = standing.standby()?;
        let mut samples = Samples::default();
        for _ in 0..self.rounds {
            let mut command = coordha();
            command.args(["status", "--role", "status", "--store", &url(&self.one)]);
            let from = now_ns();
            let output = command.output()?;
            samples.add(from, now_ns());
            ensure!(output.status.success(), "coordha status: {output:?}");
        }
        standby.terminate()?;
        standby.wait()?;
        Contender::leave(active)?;
        let met = samples.quantile(0.99) < STATUS_MS;
        let row = Row::of("`coordha status` of an active one and a standby, from its start to its end", &samples);
        Ok(vec![row.aim(format!("p99 under {STATUS_MS} ms"), met)])
    }
}

impl Quick {
    /// Of takeovers whose share beyond the command's own start has an aim.
    fn row(&self, what: &str, samples: &Samples) -> Row {
        let own = self.bare.p50();
        let [p50, p99] = [0.5, 0.99].map(|part| samples.quantile(part) - own);
        let measured =
            format!("{}; beyond the command's own start p50 {}, p99 {}", describe(samples), Ms(p50), Ms(p99));
        let mut row = Row::new(what, measured).aim(format!("p50 under {BEYOND_MS} ms beyond"), p50 < BEYOND_MS);
        row.beside = format!("the command's own start {}", Ms(own));
        row
    }
}

type Running<'scope, T> = ScopedJoinHandle<'scope, Result<T>>;

struct Slow<'scope> {
    unproven: Running<'scope, Kills>,
    lock: Running<'scope, Kills>,
    elect: Running<'scope, Samples>,
    old_milvus: Option<Running<'scope, Samples>>,
    new_milvus: Option<Running<'scope, Samples>>,
}

impl Slow<'_> {
    fn rows(self) -> Result<Vec<Row>> {
        let unproven = joined(self.unproven)?;
        let ours = unproven.samples.p50();
        let beside = |row: Row, samples: &Samples| {
            row.beside(format!("`coordha run` without a cgroup {}", Ms(ours)), samples.p50() / ours)
        };
        let lock = joined(self.lock)?;
        let elect = joined(self.elect)?;
        let mut rows = vec![
            overlapping("kill -9 of `coordha run` itself, no cgroup, default H (5 s)", &unproven),
            beside(overlapping("`etcdctl lock`: kill -9 of itself, default TTL (10 s)", &lock), &lock.samples),
            beside(Row::of("`etcdctl elect`: kill -9, its TTL (60 s)", &elect), &elect),
        ];
        let milvus = [("2.2.3, default TTL (60 s)", self.old_milvus), ("2.6.15, default TTL (15 s)", self.new_milvus)];
        for (what, running) in milvus {
            if let Some(running) = running {
                let samples = joined(running)?;
                rows.push(beside(Row::of(format!("A session as Milvus {what}: kill -9"), &samples), &samples));
            }
        }
        Ok(rows)
    }
}

fn joined<T>(running: Running<'_, T>) -> Result<T> {
    running.join().map_err(|_| anyhow!("a slow one panicked"))?
}

/// A row of kills that also says how often the command of the dead one ran on.
fn overlapping(what: &str, kills: &Kills) -> Row {
    let all = kills.samples.len();
    let overlap = match kills.overlaps {
        0 => "the old command was dead each time".to_owned(),
        n => format!("**the old command still ran {n} of {all} times**"),
    };
    Row::new(what, format!("{}; {overlap}", describe(&kills.samples)))
}
