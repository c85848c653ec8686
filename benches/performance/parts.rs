//! The benchmarks one by one, and the rows that they make.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use coordha::config::keys;

use crate::candidate::{Kind, Leaves};
use crate::harness::report::Row;
use crate::harness::samples::{Ms, Samples};
use crate::harness::wants;
use crate::relay::Relay;
use crate::support::etcd::Etcd;
use crate::{crowd, harness, sizes};

/// No takeover may take longer, on one host.
const AT_ONCE_MS: f64 = 20.0;

pub(crate) struct Bench {
    wanted: Vec<String>,
    quick: bool,
    programs: PathBuf,
    etcd: Etcd,
    pub(crate) etcd_version: String,
    left_out: AtomicBool,
}

/// Takeovers that take seconds each, measured while the rest runs.
struct Slow {
    ours: Samples,
    peer: Samples,
}

impl Bench {
    pub(crate) fn start(wanted: Vec<String>, quick: bool, programs: PathBuf) -> Result<Self> {
        let etcd = harness::etcd().own_settings().start();
        let etcd_version = harness::version(&etcd)?;
        Ok(Self { wanted, quick, programs, etcd, etcd_version, left_out: AtomicBool::new(false) })
    }

    pub(crate) fn is_any_left_out(&self) -> bool {
        self.left_out.load(Ordering::Relaxed)
    }

    pub(crate) fn run(&self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        thread::scope(|scope| {
            let slow = scope.spawn(|| self.slow());
            if self.wants("leave") {
                rows.extend(self.leave()?);
            }
            if self.wants("kill") {
                rows.extend(self.kill()?);
            }
            if self.wants("peer") {
                rows.extend(self.peer()?);
                let slow = slow.join().map_err(|_| anyhow!("a slow one panicked"))??;
                rows.extend(slow.map(rows_of_slow).into_iter().flatten());
            }
            // Last: it loads the machine.
            if self.wants("crowd") {
                rows.extend(self.crowd()?);
            }
            if self.wants("sizes") {
                rows.extend(self.sizes()?);
            }
            Ok(rows)
        })
    }

    fn wants(&self, part: &str) -> bool {
        wants("bench", &self.wanted, part)
    }

    fn times(&self, times: usize) -> usize {
        if self.quick { times.div_ceil(10) } else { times }
    }

    fn url(&self) -> String {
        format!("etcd://{}", self.etcd.endpoint(0))
    }

    /// A program that `make bench` builds.
    fn program(&self, name: &str) -> Option<PathBuf> {
        let program = self.programs.join(name);
        if program.exists() {
            return Some(program);
        }
        eprintln!("bench: SKIPPED what needs {name}: not built (make bench)");
        self.left_out.store(true, Ordering::Relaxed);
        None
    }

    fn peer_of(&self, etcd: &Etcd, election: &str, ttl_s: u32) -> Option<Kind> {
        Some(Kind::Peer {
            program: self.program("peer")?,
            endpoint: etcd.endpoint(0),
            election: format!("/peer/{election}"),
            ttl_s,
        })
    }

    fn leave(&self) -> Result<Vec<Row>> {
        let quick = harness::etcd().start();
        let mut rows = self.leave_on(&self.etcd, "etcd")?;
        rows.extend(self.leave_on(&quick, "etcd with `--unsafe-no-fsync`")?);
        Ok(rows)
    }

    /// Ours, and the recipe's where it is there.
    fn leave_on(&self, etcd: &Etcd, what: &str) -> Result<Vec<Row>> {
        let endpoint = etcd.endpoint(0);
        let mut relay = Relay::start(&endpoint)?;
        let mut ours = Leaves::start(Kind::ours(&format!("etcd://{endpoint}"), "leave"))?;
        let peer = self.peer_of(etcd, "leave", 60);
        let mut peer = peer.map(Leaves::start).transpose()?;
        for _ in 0..self.times(100) {
            relay.run()?;
            ours.run()?;
            peer.as_mut().map_or(Ok(()), Leaves::run)?;
        }
        let (ours, bare, commit) = (ours.samples, relay.whole.p50(), relay.commit.p50());
        let ratio = ours.p50() / bare;
        let beside = format!("two commits and a notice {} (a commit {})", Ms(bare), Ms(commit));
        let mut rows = vec![
            Row::of(format!("Planned leave to activation callback, {what}"), &ours)
                .beside(beside, ratio)
                .aim("at most 1.3 ×", ratio <= 1.3),
        ];
        if let Some(Leaves { samples, .. }) = peer {
            let ratio = samples.p50() / ours.p50();
            let row = Row::of(format!("etcd's Go recipe: leave, {what}"), &samples);
            rows.push(row.beside(format!("ours {}", Ms(ours.p50())), ratio));
        }
        Ok(rows)
    }

    fn kill(&self) -> Result<Vec<Row>> {
        let folder = tempfile::tempdir()?;
        let local = format!("local:{}", folder.path().display());
        let at_once =
            |what: &str, samples: &Samples| Row::of(what, samples).aim("p50 under 20 ms", samples.p50() < AT_ONCE_MS);
        // H / 4 of the default hold time.
        let any_time = || Duration::from_millis(fastrand::u64(..1250));
        let local = Kind::ours(&local, "kill").kills(self.times(50), any_time)?;
        let proven = Kind::ours(&self.url(), "kill").kills(self.times(50), any_time)?;
        Ok(vec![
            at_once("kill -9, `local:`", &local),
            at_once("kill -9, etcd, same-host proof on", &proven),
            self.host_loss(500, 40, Some(1.5))?,
            self.host_loss(200, 40, None)?,
        ])
    }

    /// A kill -9 as another host would see it.
    fn host_loss(&self, hold_ms: u64, times: usize, aim: Option<f64>) -> Result<Row> {
        let kind = unproven(&self.url(), &format!("hold{hold_ms}"))
            .with(keys::ELECTION_HOLD_MS, hold_ms)
            .with(keys::LEASE_TTL_MS, 2000);
        let any_time = || Duration::from_millis(fastrand::u64(..hold_ms / 4));
        let samples = kind.kills(self.times(times), any_time)?;
        let ratio = samples.p50() / hold_ms as f64;
        let what = format!("kill -9, etcd, same-host proof off, H = {hold_ms} ms");
        let row = Row::of(what, &samples).beside(format!("H {hold_ms} ms"), ratio);
        Ok(match aim {
            Some(aim) => row.aim(format!("p50 at most {aim} × H"), ratio <= aim),
            None => row,
        })
    }

    fn peer(&self) -> Result<Vec<Row>> {
        // etcd raises it to the smallest that it grants, 2 s by its own settings.
        let smallest = |n: usize| self.peer_of(&self.etcd, &format!("kill{n}"), 1);
        let killed = side_by_side(4, self.times(5), smallest)?;
        if killed.len() == 0 {
            return Ok(Vec::new());
        }
        let fastest = unproven(&self.url(), "beside_peer")
            .with(keys::ELECTION_HOLD_MS, 200)
            .with(keys::LEASE_TTL_MS, 2000)
            .kills(self.times(10), || Duration::from_millis(fastrand::u64(..50)))?
            .p50();
        let what = "etcd's Go recipe: kill -9, smallest TTL (1 s asked, 2 s granted)";
        let beside = format!("ours without proof, smallest H (200 ms) {}", Ms(fastest));
        Ok(vec![Row::of(what, &killed).beside(beside, killed.p50() / fastest)])
    }

    /// Those that take seconds each: the default settings on both sides, as another host would see it.
    fn slow(&self) -> Result<Option<Slow>> {
        if !self.wanted.is_empty() && !self.wanted.iter().any(|part| part == "peer") {
            return Ok(None);
        }
        let peer = |n: usize| self.peer_of(&self.etcd, &format!("default{n}"), 60);
        let peer = side_by_side(3, 1, peer)?;
        let ours = |n: usize| Some(unproven(&self.url(), &format!("default{n}")));
        let ours = side_by_side(3, self.times(4), ours)?;
        Ok((peer.len() > 0).then_some(Slow { ours, peer }))
    }

    fn crowd(&self) -> Result<Vec<Row>> {
        let needs = crowd::run(&self.url(), if self.quick { 100 } else { 1000 })?;
        let n = needs.sessions;
        let memory = (needs.all_kb - needs.one_kb) as f64 / (n - 1) as f64;
        let per_session = needs.cpu_us as f64 / n as f64;
        let row = |what: &str, measured: String| Row::new(format!("{n} sessions: {what}"), measured);
        Ok(vec![
            row("memory", format!("{memory:.1} kB a session; {:.1} MB in all", needs.all_kb as f64 / 1000.0)),
            row(
                "CPU, default settings, all active",
                format!(
                    "{per_session:.0} µs a second and session; {:.0} % of a core in all",
                    needs.cpu_us as f64 / 1e4
                ),
            ),
            row("connections", needs.connections.to_string()),
            row("threads", needs.threads.to_string()),
            row("jeopardies and lost terms in 25 s", needs.trouble.to_string()),
            row("from the first start to all active", format!("{}", Ms(needs.start_ms as f64))),
        ])
    }

    fn sizes(&self) -> Result<Vec<Row>> {
        let Some(folder) = self.program("sizes") else {
            return Ok(Vec::new());
        };
        let sizes = sizes::read(&folder)?;
        let mb = |bytes: u64| format!("{:.2} MB", bytes as f64 / 1e6);
        let adds = |feature: &str, with: u64, without: u64| {
            let measured = format!("+ {}", mb(with.saturating_sub(without)));
            Row::new(format!("feature `{feature}` adds"), measured)
        };
        Ok(vec![
            Row::new("`libcoordha.so` stripped, all stores and TLS", mb(sizes.whole)),
            Row::new("The same without a store (feature `capi` alone)", mb(sizes.bare)),
            adds("etcd", sizes.etcd, sizes.bare),
            adds("tls", sizes.etcd_tls, sizes.etcd),
            adds("local", sizes.local, sizes.bare),
        ])
    }
}

/// Ours, as a standby on another host would be.
fn unproven(url: &str, role: &str) -> Kind {
    Kind::ours(url, role).with(keys::ELECTION_SAME_HOST_PROOF, "false")
}

/// The kills of several elections at once: each of them waits most of the time.
fn side_by_side(elections: usize, times: usize, kind: impl Fn(usize) -> Option<Kind>) -> Result<Samples> {
    let kinds: Vec<_> = (0..elections).filter_map(kind).collect();
    let mut samples = Samples::default();
    thread::scope(|scope| {
        let start = |kind: &Kind| {
            let kind = kind.clone();
            let any_time = || Duration::from_millis(fastrand::u64(..1000));
            scope.spawn(move || kind.kills(times, any_time))
        };
        let running: Vec<_> = kinds.iter().map(start).collect();
        for one in running {
            samples.extend(&one.join().map_err(|_| anyhow!("a thread panicked"))??);
        }
        Ok(samples)
    })
}

fn rows_of_slow(slow: Slow) -> Vec<Row> {
    let Slow { ours, peer } = slow;
    let beside = format!("ours without proof, default H (5 s) {}", Ms(ours.p50()));
    let what = "etcd's Go recipe: kill -9, default TTL (60 s)";
    vec![Row::of(what, &peer).beside(beside, peer.p50() / ours.p50())]
}
