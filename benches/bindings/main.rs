//! The benchmarks of `make bench-bindings`: what the same costs in each language, taken in turns in one run.
//!
//! `bindings [--write] [--language NAME=COMMAND]... [--size WHAT=FILE]... [calls|events|memory|import|sizes]...`: all of them
//! where none is named; `--write` puts the table into docs/performance.md. Rust is always there: it is a child of this program.
//!
//! The program of a language is started as `COMMAND STORE NAME` and speaks JSON, a line at a time. First it says
//! `{"made_by":"gcc 12.2.0"}`; then it does what it is told, a line each:
//!
//! - `start N`: starts sessions until there are N, each with what the language has for callbacks, in roles of their own
//!   (`NAME_0`, …), and waits until all are active: `{"sessions":N}`, in Go with `"goroutines"`.
//! - `calls`: asks the first session 20,000 times each, in ns a call, and beside that what cannot be cheaper:
//!   `{"is_active":…,"beside":…,"holds":…,"beside_holds":…}`.
//! - `watch`: starts an observer of the role `NAME`. For each event, also the first, which says who is active at all:
//!   `{"token":…,"at":…}`, the time on `CLOCK_BOOTTIME` in ns at which the program has it. `watch_async` in Python: by asyncio;
//!   `watch_bare` in Rust: without this library, by the etcd client alone.
//!
//! Where its input ends, it closes everything and exits.

#[path = "../harness/mod.rs"]
mod harness;
mod parts;
mod program;
mod rust;
#[path = "../../tests/support/mod.rs"]
mod support;

use anyhow::{Context, Result, bail, ensure};

use harness::report;
use parts::Bench;
use program::Language;

const PARTS: [&str; 5] = ["calls", "events", "memory", "import", "sizes"];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq("child").is_some() {
        return rust::run(arguments);
    }
    let (mut wanted, mut languages, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut write, mut bench) = (false, false);
    while let Some(argument) = arguments.next() {
        let mut pair = || {
            let value = arguments.next().unwrap_or_default();
            let (name, value) = value.split_once('=').with_context(|| format!("{argument} {value}: no ="))?;
            Ok::<_, anyhow::Error>((name.to_owned(), value.to_owned()))
        };
        match argument.as_str() {
            "--write" => write = true,
            "--language" => languages.push(Language::new(pair()?)),
            "--size" => sizes.push(pair()?),
            // Cargo's own.
            "--bench" => bench = true,
            part if PARTS.contains(&part) => wanted.push(argument),
            _ => bail!("{argument}: none of --write, --language, --size, {}", PARTS.join(", ")),
        }
    }
    if !bench {
        // By `cargo test`: speed is nothing that a test can ask for.
        return Ok(());
    }
    ensure!(!write || wanted.is_empty(), "--write needs all of the benchmarks");
    languages.push(Language::rust()?);
    let before = report::load();
    let bench = Bench::start(wanted, languages, sizes)?;
    let rows = bench.run()?;
    let mut facts = report::facts(&bench.etcd_version, "one member", [before, report::load()]);
    facts.push(format!("The programs by {}", bench.made_by.join(", ")));
    report::print("bench-bindings", &format!("languages={} ", bench.languages.len()), &rows, &facts);
    if write {
        report::write("bench-bindings", &rows, &facts)?;
    }
    Ok(())
}
