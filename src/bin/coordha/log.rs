//! What the command logs: to stderr, from the level on that `COORDHA_LOG` names.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use coordha::config::{Config, keys};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::EitherWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

use crate::exit::{Failure, USAGE};
use crate::lines::Lines;

/// The variable with the level.
const LEVEL: &str = "COORDHA_LOG";

/// The levels that it may name.
const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// Where the level is changed.
static FILTER: OnceLock<Handle<Targets, Registry>> = OnceLock::new();

/// Most lines that wait for a slow reader; beyond it the newest are dropped.
const LINES: usize = 1024;

/// What takes the lines once they are written by a thread of their own.
static DETACHED: OnceLock<NonBlocking> = OnceLock::new();

/// Whether lines have Milvus's form.
static IS_MILVUS: AtomicBool = AtomicBool::new(false);

/// Once, before anything else: warnings and errors are shown, as what is wrong in a configuration file comes before
/// [`init`].
pub(crate) fn begin() -> Result<(), Failure> {
    let (filter, handle) = reload::Layer::new(targets(level(LevelFilter::WARN)?));
    let lines = fmt::layer().with_writer(writer).with_ansi(false).event_format(Lines::new(&IS_MILVUS));
    tracing_subscriber::registry().with(filter).with(lines).init();
    // Once a process, so there was none.
    let _ = FILTER.set(handle);
    Ok(())
}

/// For subcommands whose log is the course of things, once the configuration is known: from `info` on, in its format.
pub(crate) fn init(config: &Config) -> Result<(), Failure> {
    let targets = targets(level(LevelFilter::INFO)?);
    IS_MILVUS.store(config.get(keys::LOG_FORMAT).as_deref() == Some("milvus"), Ordering::Relaxed);
    // Refused only where the subscriber is gone.
    let _ = FILTER.get().map(|filter| filter.reload(targets));
    Ok(())
}

/// From here on lines are written by a thread of their own, with this thread's signal mask: nobody who logs is held up by a
/// full pipe that nobody reads. Dropping what this gives writes the rest, for a second or so at most.
pub(crate) fn detach() -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(LINES).finish(io::stderr());
    // Once a process, so there was none.
    let _ = DETACHED.set(writer);
    guard
}

fn writer() -> EitherWriter<NonBlocking, io::Stderr> {
    DETACHED.get().map_or_else(|| EitherWriter::B(io::stderr()), |writer| EitherWriter::A(writer.clone()))
}

/// Of the libraries below, warnings are enough.
fn targets(level: LevelFilter) -> Targets {
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("coordha", level)
}

/// The level that `COORDHA_LOG` names, or the usual one.
fn level(usual: LevelFilter) -> Result<LevelFilter, Failure> {
    let Some(text) = std::env::var_os(LEVEL).filter(|text| !text.is_empty()) else { return Ok(usual) };
    let text = text.to_string_lossy().to_lowercase();
    let why = || Failure::new(USAGE, format!("{LEVEL} = {text:?}: no level (allowed: {})", LEVELS.join(", ")));
    LEVELS.contains(&text.as_str()).then(|| text.parse().ok()).flatten().ok_or_else(why)
}
