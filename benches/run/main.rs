//! The benchmarks of `make bench-run`: how soon the standby's command runs when the active one's ends, beside `etcdctl lock`.
//!
//! `run [--write] [--quick] [kill|stop|lock|memory]...`: all of them where none is named; `--write` puts the table into
//! docs/performance.md.

#[path = "../harness/mod.rs"]
mod harness;
mod parts;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::io::Write as _;

use anyhow::{Result, bail, ensure};

use harness::report;
use harness::samples::now_ns;
use parts::{Bench, PARTS};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq("child").is_some() {
        return child();
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
    ensure!(!write || wanted.is_empty() && !quick, "--write needs all of the benchmarks");
    let before = report::load();
    let bench = Bench::start(wanted, quick)?;
    let rows = bench.run()?;
    let facts = report::facts(&bench.etcd_version, [before, report::load()]);
    let facts: Vec<_> = facts.into_iter().map(|fact| fact.replace("one member,", "one member and three,")).collect();
    report::print("bench-run", "", &rows, &facts);
    if write {
        report::write("bench-run", &rows, &facts)?;
    }
    Ok(())
}

/// The command: says since when it runs, and which process it is, and waits for its end.
fn child() -> Result<()> {
    let at = now_ns();
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "it pid {}\nit running {at}", std::process::id())?;
    stdout.flush()?;
    loop {
        std::thread::park();
    }
}
