//! The memory of `coordha run` while nothing happens.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::harness::report::Row;
use crate::standing::{Contender, Kind, Standing};
use crate::support::etcd::Etcd;

/// Until whatever belongs to a start is over.
const QUIET: Duration = Duration::from_secs(3);

/// In kB.
#[derive(Clone, Copy, Default)]
struct Memory {
    resident: u64,
    /// Its own, and its share of what it has in common with others.
    proportional: u64,
}

pub(crate) fn rows(etcd: &Etcd) -> Result<Vec<Row>> {
    let mut standing = Standing::new(Kind::Run(&[]), etcd, "memory")?;
    let active = standing.active()?;
    let (standby, _) = standing.standby()?;
    thread::sleep(QUIET);
    let rows = vec![
        row("An idle `coordha run`, active", "its guardian and the keeper of the command", active.process.pid())?,
        row("An idle `coordha run`, standby", "its guardian, the keeper and what will be the command", standby.pid())?,
    ];
    standby.terminate()?;
    standby.wait()?;
    Contender::leave(active)?;
    Ok(rows)
}

fn row(what: &str, others: &str, pid: u32) -> Result<Row> {
    let own = memory(pid)?;
    let mut all = own;
    let program = fs::read_link(format!("/proc/{pid}/exe"))?;
    let mut parents = vec![pid];
    while let Some(pid) = parents.pop() {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        for child in children.split_whitespace() {
            if fs::read_link(format!("/proc/{child}/exe"))? == program {
                let memory = memory(child.parse()?)?;
                all.resident += memory.resident;
                all.proportional += memory.proportional;
                parents.push(child.parse()?);
            }
        }
    }
    let mb = |kb: u64| format!("{:.1} MB", kb as f64 / 1000.0);
    let measured = format!(
        "RSS {}, PSS {}; with {others} RSS {}, PSS {}",
        mb(own.resident),
        mb(own.proportional),
        mb(all.resident),
        mb(all.proportional)
    );
    Ok(Row::new(what, measured))
}

fn memory(pid: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
        line.and_then(|kb| kb.trim().parse().ok()).with_context(|| format!("{name} of {pid}"))
    };
    Ok(Memory { resident: of("Rss:")?, proportional: of("Pss:")? })
}
