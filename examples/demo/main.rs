//! `make demo`: three coordinators, two in C and one in Rust, stand in one election; the active one is killed, and a standby goes on.
//!
//! The story is told on the embedded store, then on a real etcd. One line an event while it goes on; then one line a store with its numbers;
//! last the name of the picture. Exits with 1 where a number is wrong.
//!
//! `demo --c PROGRAM --rust PROGRAM --out FOLDER`

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
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::etcd::Etcd;
use crate::interrupt::Interrupt;
use crate::picture::Panel;
use crate::record::Record;
use crate::story::{Stage, Story};

struct Arguments {
    c_program: PathBuf,
    rust_program: PathBuf,
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
    let (mut c_program, mut rust_program, mut out) = (None, None, None);
    while let Some(flag) = given.next() {
        let place = match flag.as_str() {
            "--c" => &mut c_program,
            "--rust" => &mut rust_program,
            "--out" => &mut out,
            _ => bail!("unknown flag {flag}: --c PROGRAM --rust PROGRAM --out FOLDER"),
        };
        let value = given.next();
        *place = Some(PathBuf::from(value.with_context(|| format!("{flag} needs a value"))?));
    }
    Ok(Arguments {
        c_program: c_program.context("--c PROGRAM is missing")?,
        rust_program: rust_program.context("--rust PROGRAM is missing")?,
        out: out.context("--out FOLDER is missing")?,
    })
}

/// Tells both stories; says whether every number is right.
fn run(arguments: &Arguments) -> Result<bool> {
    let stage = Stage {
        c_program: arguments.c_program.clone(),
        rust_program: arguments.rust_program.clone(),
        logs: arguments.out.join("logs"),
        interrupt: Interrupt::watch()?,
    };
    if stage.logs.exists() {
        fs::remove_dir_all(&stage.logs)?;
    }
    fs::create_dir_all(&stage.logs)?;
    let folder = tempfile::Builder::new().prefix("coordha-demo-").tempdir()?;

    println!("demo: on the embedded store, without a server");
    let url = format!("local:{}", folder.path().join("store").display());
    let local = Story::new(&stage, "local", url)?.play()?;

    let log = stage.logs.join("etcd.log");
    let etcd = Etcd::start(&folder.path().join("etcd"), &log, &stage.interrupt)?;
    println!("\ndemo: on etcd {}, {}", etcd.version, etcd.url);
    let on_etcd = Story::new(&stage, "etcd", etcd.url.clone())?.play()?;
    let title = format!("etcd://  —  etcd {}, one node on loopback", etcd.version);
    drop(etcd);

    let timeline = arguments.out.join("timeline.svg");
    let panels = [Panel::new("local:  —  embedded store, no server", &local), Panel::new(&title, &on_etcd)];
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
