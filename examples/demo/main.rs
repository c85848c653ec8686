//! `make demo`: three coordinators, two in C and one in Rust, stand in one election; the active one is killed, and a standby goes on.
//!
//! The story is told on the embedded store, then on a real etcd. One line an event while it goes on; then one line a store with its numbers;
//! last the name of the picture. Exits with 1 where a number is wrong.
//!
//! `demo --out FOLDER --c PROGRAM --rust PROGRAM`
//!
//! `make demo-languages`: one coordinator in each language, in one election on etcd. The active one is killed, again and again, until each
//! has led.
//!
//! `demo --out FOLDER --actor NAME=LANGUAGE=COMMAND…`

#![expect(clippy::print_stdout, reason = "it is there to be looked at")]
#![expect(clippy::print_stderr, reason = "it is there to be looked at")]

mod check;
mod client;
mod clock;
mod etcd;
mod interrupt;
mod line;
mod picture;
mod ports;
mod process;
mod record;
mod story;
mod verdict;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::etcd::Etcd;
use crate::interrupt::Interrupt;
use crate::picture::Panel;
use crate::record::Record;
use crate::story::{Actor, Stage, Story};

const USAGE: &str = "demo --out FOLDER (--c PROGRAM --rust PROGRAM | --actor NAME=LANGUAGE=COMMAND…)";

struct Arguments {
    cast: Vec<Actor>,
    /// Each language leads once.
    in_turns: bool,
    out: PathBuf,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments> {
    let mut given = env::args().skip(1);
    let (mut c, mut rust, mut out, mut actors) = (None, None, None, Vec::new());
    while let Some(flag) = given.next() {
        let value = given.next().with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--c" => c = Some(value),
            "--rust" => rust = Some(value),
            "--out" => out = Some(PathBuf::from(value)),
            "--actor" => actors.push(actor(&value)?),
            _ => bail!("unknown flag {flag}: {USAGE}"),
        }
    }
    let in_turns = !actors.is_empty();
    if !in_turns {
        let (c, rust) = (c.context(USAGE)?, rust.context(USAGE)?);
        let cast = [("c-1", "C", &c), ("rust", "Rust", &rust), ("c-2", "C", &c)];
        actors.extend(cast.map(|(name, language, program)| Actor { name, language, command: vec![program.into()] }));
    }
    Ok(Arguments { cast: actors, in_turns, out: out.context(USAGE)? })
}

/// `NAME=LANGUAGE=COMMAND`. The names live as long as the demo.
fn actor(text: &str) -> Result<Actor> {
    let (name, rest) = text.split_once('=').context(USAGE)?;
    let (language, command) = rest.split_once('=').context(USAGE)?;
    let keep = |word: &str| -> &'static str { Box::leak(word.to_owned().into_boxed_str()) };
    let command = command.split_whitespace().map(Into::into).collect();
    Ok(Actor { name: keep(name), language: keep(language), command })
}

/// Tells the stories; says whether every number is right.
fn run(arguments: &Arguments) -> Result<bool> {
    let stage =
        Stage { cast: arguments.cast.clone(), logs: arguments.out.join("logs"), interrupt: Interrupt::watch()? };
    if stage.logs.exists() {
        fs::remove_dir_all(&stage.logs)?;
    }
    fs::create_dir_all(&stage.logs)?;
    if arguments.in_turns { run_in_turns(&stage) } else { run_both(&stage, &arguments.out) }
}

fn run_in_turns(stage: &Stage) -> Result<bool> {
    let folder = tempfile::Builder::new().prefix("coordha-demo-").tempdir()?;
    let etcd = Etcd::start(&folder.path().join("etcd"), &stage.logs.join("etcd.log"), &stage.interrupt)?;
    println!("demo: {} languages, on etcd {}, {}", stage.cast.len(), etcd.version, etcd.url);
    let record = Story::new(stage, "etcd", etcd.url.clone())?.play_in_turns()?;
    println!();
    let names: Vec<&str> = stage.cast.iter().map(|actor| actor.name).collect();
    let wrongs = verdict::wrongs_in_turns(&names, &record);
    for wrong in &wrongs {
        eprintln!("demo: {wrong}");
    }
    println!("{}", verdict::line_in_turns(&names, &record));
    Ok(wrongs.is_empty())
}

fn run_both(stage: &Stage, out: &Path) -> Result<bool> {
    let folder = tempfile::Builder::new().prefix("coordha-demo-").tempdir()?;

    println!("demo: on the embedded store, without a server");
    let url = format!("local:{}", folder.path().join("store").display());
    let local = Story::new(stage, "local", url)?.play()?;

    let log = stage.logs.join("etcd.log");
    let etcd = Etcd::start(&folder.path().join("etcd"), &log, &stage.interrupt)?;
    println!("\ndemo: on etcd {}, {}", etcd.version, etcd.url);
    let on_etcd = Story::new(stage, "etcd", etcd.url.clone())?.play()?;
    let title = format!("etcd://  —  etcd {}, one node on loopback", etcd.version);
    drop(etcd);

    let timeline = out.join("timeline.svg");
    let panels = [
        Panel::new("local:  —  embedded store, no server", &stage.cast, &local),
        Panel::new(&title, &stage.cast, &on_etcd),
    ];
    picture::write(&timeline, &panels)?;

    println!();
    let right = [conclude("local", &local), conclude("etcd", &on_etcd)];
    println!("timeline: {}", timeline.display());
    Ok(right == [true, true])
}

/// The closing line of a store; what is wrong goes to stderr, a line each.
fn conclude(store: &str, record: &Record) -> bool {
    println!("{}", verdict::line(store, record));
    let wrongs = verdict::wrongs(store, record);
    for wrong in &wrongs {
        eprintln!("demo: {store}: {wrong}");
    }
    wrongs.is_empty()
}
