//! The benchmarks of `make bench`: what coordha does beside what nobody could do quicker, on the same store in the same run.
//!
//! `performance [--write] [--quick] [leave|kill|peer|crowd|sizes]...`: all of them where none is named; `--write` puts
//! the table into docs/performance.md. What Go and other builds are needed for is taken from `target/bench`, and left out
//! with a word where it is not there: `make bench` builds it.

mod candidate;
mod crowd;
#[path = "../harness/mod.rs"]
mod harness;
mod parts;
mod relay;
mod sizes;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use harness::report;
use parts::Bench;

const PARTS: [&str; 5] = ["leave", "kill", "peer", "crowd", "sizes"];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq("child").is_some() {
        return run_child(arguments);
    }
    let (mut wanted, mut write, mut quick, mut bench) = (Vec::new(), false, false, false);
    for argument in arguments {
        match argument.as_str() {
            "--write" => write = true,
            "--quick" => quick = true,
            // Cargo's own.
            "--bench" => bench = true,
            part if PARTS.contains(&part) => wanted.push(argument),
            _ => bail!("{argument}: none of --write, --quick, {}", PARTS.join(", ")),
        }
    }
    if !bench {
        // By `cargo test`: speed is nothing that a test can ask for.
        return Ok(());
    }
    let is_whole = wanted.is_empty() && !quick;
    ensure!(!write || is_whole, "--write needs all of the benchmarks");
    let before = report::load();
    let bench = Bench::start(wanted, quick, programs()?)?;
    let rows = bench.run()?;
    let facts = report::facts(&bench.etcd_version, "one member", [before, report::load()]);
    report::print("bench", "", &rows, &facts);
    if write {
        ensure!(!bench.is_any_left_out(), "something was left out, so nothing is written");
        report::write("bench", &rows, &facts)?;
    }
    Ok(())
}

/// `target/bench`, from `target/release/deps/performance-…`.
fn programs() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(3).context("not in a target folder")?;
    Ok(target.join("bench"))
}

fn run_child(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let what = arguments.next().unwrap_or_default();
    let mut argument = || arguments.next().context("an argument is missing");
    match what.as_str() {
        "candidate" => candidate::run(arguments),
        "relay" => relay::second(&argument()?),
        "crowd" => crowd::child(&argument()?, argument()?.parse()?),
        _ => bail!("{what}: no such child"),
    }
}
