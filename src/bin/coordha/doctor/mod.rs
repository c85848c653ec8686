//! `coordha doctor`: what is wrong, or will be, each with what to do.

mod bugs;
mod certificates;
mod finding;
mod holders;
mod keys;
mod own;
mod store;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use coordha::config::Config;
use coordha::inspect::Inspector;

use self::finding::{Finding, Level, bad, ok, skip};
use crate::exit::{FOUND, Failure};
use crate::options::Options;
use crate::{help, inspecting, json, output};

/// Time to live that the round trip asks for: less than etcd gives at its default settings, so that it says its smallest.
const PROBE_TTL: Duration = Duration::from_secs(1);

/// Look for what is wrong: configuration, etcd, certificates, clock, keys; each with what to do about it
///
/// A line for each check: ok, warn, bad, or skip. Nothing is written, but with --write. A store that cannot be reached is
/// one of the things that are found. Where a role has standbys and nobody active, somebody to take it is waited for, up to
/// store.request_timeout_ms. Settings of etcd that its API does not show (auto-compaction, heartbeat, quota before 3.6) are
/// not checked.
#[derive(Parser)]
#[command(after_long_help = help::end(
    &["coordha doctor --role rootcoord --config milvus.yaml", "coordha doctor --store etcd://etcd-0:2379 --write"],
    &[("0", "nothing is bad"), help::FAILED, help::USAGE, ("5", "something is bad")],
))]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// Also write: grant a lease, keep it alive, commit a key below <root>/ha/.doctor/, delete both, and measure
    #[arg(long)]
    write: bool,
    /// As a JSON array
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let (config, warnings) = own::load(&args.options)?;
    let mut findings = warnings;
    findings.extend(own::configuration(&config));
    findings.push(own::clock());
    findings.extend(certificates::check(&config));
    let runtime = inspecting::runtime()?;
    findings.extend(inspecting::quietly(|| runtime.block_on(look(&config, args.write))));
    let code = if findings.iter().any(|finding| finding.level == Level::Bad) { FOUND } else { 0 };
    if args.json {
        output::write(&json::pretty(&findings)?)?;
    } else {
        output::lines(&finding::lines(&findings))?;
    }
    Ok(ExitCode::from(code))
}

async fn look(config: &Config, write: bool) -> Vec<Finding> {
    let inspector = match Inspector::open(config) {
        Ok(inspector) => inspector,
        Err(error) => {
            return vec![bad("store", error.message(), "correct what it names; nothing else was checked")];
        }
    };
    let (health, read) = tokio::join!(inspector.health(inspector.limit()), read(&inspector));
    let mut findings = store::health(&health, config);
    let (snapshot, whole) = match read {
        Ok(read) => read,
        Err(error) => {
            findings.push(store::failed("read", error.kind(), error.message()));
            return findings;
        }
    };
    let revision = snapshot.revision();
    findings.push(ok("read", format!("{} was read at revision {revision}", inspector.root())));
    if !whole {
        findings.push(skip("roles", "the user may read one role only: others were not looked at"));
    }
    findings.push(store::compaction(inspector.compacted().await, revision));
    let snapshot = holders::look_again(&inspector, &snapshot).await.unwrap_or(snapshot);
    findings.extend(keys::check(&snapshot, inspector.role()));
    findings.extend(holders::check(&snapshot, inspector.role()));
    findings.push(if write { probe(&inspector).await } else { skip("write", "no round trip without --write") });
    findings
}

/// All roles, where they may be read.
async fn read(inspector: &Inspector) -> coordha::error::Result<(coordha::inspect::Snapshot, bool)> {
    match inspector.read_all().await {
        Err(error) if error.kind() == coordha::error::ErrorKind::Permission && inspector.role().is_some() => {
            Ok((inspector.read().await?, false))
        }
        read => Ok((read?, true)),
    }
}

async fn probe(inspector: &Inspector) -> Finding {
    let ms = |us: u64| format!("{}.{} ms", us / 1000, us % 1000 / 100);
    match inspector.probe(PROBE_TTL).await {
        Ok(probe) => {
            let (grant, keepalive, commit) = (ms(probe.grant_us), ms(probe.keepalive_us), ms(probe.commit_us));
            let smallest = crate::words::seconds(probe.ttl_ms);
            ok(
                "write",
                format!("grant {grant}, keepalive {keepalive}, commit {commit}; the smallest lease is {smallest}"),
            )
        }
        Err(error) => store::failed("write", error.kind(), error.message()),
    }
}
