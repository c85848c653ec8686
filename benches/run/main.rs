//! The benchmarks of `make bench-run`: how soon the standby's command runs under `coordha run`, beside what etcd's own tool and
//! a coordinator of Milvus take, in one run.
//!
//! `run [--write] [--rounds N] [command|run|memory|status]...`: all of them where none is named; `--write` puts the table into
//! docs/performance.md. The Milvus coordinator is taken from `target/bench`, and left out with a word where it is not there:
//! `make bench-run` builds it.

#[path = "../harness/mod.rs"]
mod harness;
mod marks;
mod memory;
mod parts;
mod rivals;
mod standing;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use harness::report;
use parts::Bench;

const PARTS: [&str; 4] = ["command", "run", "memory", "status"];

/// Takeovers of each kind, where `--rounds` says nothing.
const ROUNDS: usize = 100;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq("child").is_some() {
        return marks::leave_one(arguments);
    }
    let (mut wanted, mut write, mut bench, mut rounds) = (Vec::new(), false, false, ROUNDS);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--write" => write = true,
            "--rounds" => rounds = arguments.next().unwrap_or_default().parse().context("--rounds: a number")?,
            // Cargo's own.
            "--bench" => bench = true,
            part if PARTS.contains(&part) => wanted.push(argument),
            _ => bail!("{argument}: none of --write, --rounds, {}", PARTS.join(", ")),
        }
    }
    if !bench {
        // By `cargo test`: speed is nothing that a test can ask for.
        return Ok(());
    }
    ensure!(rounds > 0, "--rounds: at least 1");
    ensure!(!write || wanted.is_empty(), "--write needs all of the benchmarks");
    let before = report::load();
    let bench = Bench::start(wanted, rounds, programs()?)?;
    let rows = bench.run()?;
    let facts = report::facts(&bench.etcd_version, "one member or three on one host", [before, report::load()]);
    report::print("bench-run", "", &rows, &facts);
    if write {
        ensure!(!bench.is_any_left_out(), "something was left out, so nothing is written");
        report::write("bench-run", &rows, &facts)?;
    }
    Ok(())
}

/// `target/bench`, from `target/release/deps/run-…`.
fn programs() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(3).context("not in a target folder")?;
    Ok(target.join("bench"))
}
