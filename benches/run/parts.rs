//! The benchmarks one by one, and the rows that they make.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness;
use crate::harness::child::Talker;
use crate::harness::report::Row;
use crate::harness::samples::{Ms, Samples, now_ns};
use crate::harness::wants;
use crate::support::etcd::Etcd;
use crate::support::ports::Port;
use crate::support::wait::until;

pub(crate) const PARTS: [&str; 4] = ["kill", "stop", "lock", "memory"];

/// Beyond the start of the command itself.
const AIM_MS: f64 = 10.0;

pub(crate) struct Bench {
    wanted: Vec<String>,
    quick: bool,
    one: Etcd,
    three: Etcd,
    /// How long the command itself takes from its start to its first line.
    own_start: Samples,
    pub(crate) etcd_version: String,
}

/// What ends the active command.
#[derive(Clone, Copy)]
enum End {
    /// SIGKILL to the command.
    Killed,
    /// SIGTERM to `coordha run`.
    Stopped,
}

/// A `coordha run`, and where it says how it is.
struct Run {
    talker: Talker,
    port: Port,
}

impl Bench {
    pub(crate) fn start(wanted: Vec<String>, quick: bool) -> Result<Self> {
        let one = harness::etcd().own_settings().start();
        let three = harness::etcd().own_settings().members(3).start();
        let etcd_version = harness::version(&one)?;
        let mut own_start = Samples::default();
        for _ in 0..if quick { 5 } else { 50 } {
            let at = now_ns();
            own_start.add(at, Talker::start_own(&[])?.expect("running")?);
        }
        Ok(Self { wanted, quick, one, three, own_start, etcd_version })
    }

    pub(crate) fn run(&self) -> Result<Vec<Row>> {
        let mut rows = vec![Row::of("The command itself: from its start to its first line", &self.own_start)];
        let stores = [(&self.one, "one member"), (&self.three, "three members")];
        let mut killed = f64::NAN;
        for (part, end, what) in [
            ("kill", End::Killed, "kill -9 of the command to the standby's command running"),
            ("stop", End::Stopped, "SIGTERM to `coordha run` to the standby's command running"),
        ] {
            if !wants("bench-run", &self.wanted, part) {
                continue;
            }
            for (index, (etcd, members)) in stores.into_iter().enumerate() {
                let samples = self.takeovers(etcd, part, end)?;
                if part == "kill" && index == 0 {
                    killed = samples.p50();
                }
                let beyond = samples.p50() - self.own_start.p50();
                let aim = format!("p50 under {} beyond the command's own start", Ms(AIM_MS));
                rows.push(Row::of(format!("{what}, etcd, {members}"), &samples).aim(aim, beyond < AIM_MS));
            }
        }
        if wants("bench-run", &self.wanted, "lock") {
            let samples = self.locks()?;
            let row = Row::of(
                "`etcdctl lock -- command`: kill -9 of the command to the next one's command running",
                &samples,
            );
            rows.push(row.beside(format!("ours {}", Ms(killed)), samples.p50() / killed));
        }
        if wants("bench-run", &self.wanted, "memory") {
            rows.extend(self.memory()?);
        }
        Ok(rows)
    }

    fn times(&self) -> usize {
        if self.quick { 5 } else { 100 }
    }

    /// Each in an election of its own.
    fn takeovers(&self, etcd: &Etcd, part: &str, end: End) -> Result<Samples> {
        let mut samples = Samples::default();
        for turn in 0..self.times() {
            let role = format!("{part}{turn}");
            let a = Run::start(etcd, &role)?;
            let command = a.talker.expect("pid")?;
            a.talker.expect("running")?;
            let b = Run::start(etcd, &role)?;
            b.until_standby();
            let at = now_ns();
            match end {
                End::Killed => kill(command)?,
                End::Stopped => a.talker.terminate()?,
            }
            samples.add(at, b.talker.expect("running")?);
            // The standby first, or it would take over.
            for run in [b, a] {
                run.talker.terminate()?;
                run.talker.wait()?;
            }
        }
        Ok(samples)
    }

    fn locks(&self) -> Result<Samples> {
        let mut samples = Samples::default();
        for turn in 0..self.times() {
            let lock = format!("lock{turn}");
            let start = || {
                let mut command = Command::new(harness_etcdctl());
                command.arg(format!("--endpoints={}", self.one.endpoint(0))).args(["lock", &lock]);
                command.arg(std::env::current_exe()?).arg("child");
                Talker::start(&command)
            };
            let a = start()?;
            let command = a.expect("pid")?;
            a.expect("running")?;
            let b = start()?;
            until("the second one waits", || {
                let listed = self.one.ctl(&["get", "--prefix", "--keys-only", &lock]);
                (listed.lines().filter(|line| !line.is_empty()).count() == 2).then_some(())
            });
            let at = now_ns();
            kill(command)?;
            let next = b.expect("pid")?;
            samples.add(at, b.expect("running")?);
            kill(next)?;
        }
        Ok(samples)
    }

    /// What one that stands by takes.
    fn memory(&self) -> Result<Vec<Row>> {
        let a = Run::start(&self.one, "memory")?;
        a.talker.expect("running")?;
        let b = Run::start(&self.one, "memory")?;
        b.until_standby();
        let own = b.talker.pid();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
        let mut pids = vec![own];
        pids.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        let mut kb = Vec::new();
        for pid in &pids {
            kb.push(pss_kb(*pid)?);
        }
        let all: u64 = kb.iter().sum();
        let told = format!("{:.1} MB; with guardian and waiting command {:.1} MB", mb(kb[0]), mb(all));
        for run in [b, a] {
            run.talker.terminate()?;
            run.talker.wait()?;
        }
        Ok(vec![Row::new("`coordha run` that stands by: memory (PSS)", told)])
    }
}

impl Run {
    fn start(etcd: &Etcd, role: &str) -> Result<Self> {
        let port = Port::take();
        let endpoints = etcd.endpoints().join(",");
        let mut command = Command::new("env");
        command.args(["COORDHA_LOG=error", env!("CARGO_BIN_EXE_coordha"), "run", "--active-standby"]);
        command.args(["--role", role, "--store", &format!("etcd://{endpoints}"), "--address", &port.address()]);
        command.args(["--listen", &port.address(), "--restart-backoff-ms", "60000", "--"]);
        command.arg(std::env::current_exe()?).arg("child");
        Ok(Self { talker: Talker::start(&command)?, port })
    }

    fn until_standby(&self) {
        let url = format!("http://{}/role", self.port.address());
        until("it stands by", || {
            let told = ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()?;
            let told: serde_json::Value = serde_json::from_str(&told).ok()?;
            (told["state"] == "STANDBY" && !told["holder"].is_null()).then_some(())
        });
    }
}

fn harness_etcdctl() -> std::path::PathBuf {
    use crate::support::etcd::Version;
    let newest = Version::V3_6.etcdctl();
    if newest.exists() { newest } else { Version::V3_4.etcdctl() }
}

fn kill(pid: i64) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?).context("no PID")?;
    Ok(kill_process(pid, Signal::KILL)?)
}

/// What a process has for itself, and its share of what it has in common with others.
fn pss_kb(pid: u32) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn mb(kb: u64) -> f64 {
    kb as f64 / 1000.0
}
