//! `coordha watch`: what changes, as a log or on the whole screen.

mod model;
mod terminal;
mod view;

use std::io::{IsTerminal as _, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use coordha::inspect::{Inspector, Update};
use tokio::sync::mpsc::{self, Receiver};

use self::model::{Entry, Model, Moment};
use crate::exit::Failure;
use crate::options::Options;
use crate::signals::Ends;
use crate::{help, inspecting, json, output, words};

/// Watch live who is active, who stands by and what happens: on the whole screen, or as a log
///
/// On a terminal, the whole screen: each role with its active one and token, the hold time as a bar that drops and is filled
/// again by each renewal, the standbys with their ranks, what happened last, and etcd's members; `q` ends it. Elsewhere, or
/// with --log, a line for each change. Without --role: all roles below the root. Nothing is written to the store.
#[derive(Parser)]
#[command(after_long_help = help::end(
    &["coordha watch --store etcd://etcd-0:2379", "coordha watch --role rootcoord --json | jq 'select(.event == \"active\")'"],
    &[
        ("0", "ended by q, SIGINT or SIGTERM, or nobody reads it any more"),
        help::FAILED,
        help::USAGE,
        ("3", "the store cannot be reached at the start, or refuses; later it is tried again for ever"),
    ],
))]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// A line for each change, also on a terminal
    #[arg(long)]
    log: bool,
    /// A JSON object for each change, in a line
    #[arg(long)]
    json: bool,
}

/// Where what is shown comes from.
struct Source {
    inspector: Inspector,
    updates: Receiver<Update>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let is_full = !args.log && !args.json && stdout().is_terminal();
    // No log line may be written over the screen, whatever was asked for.
    let silence = is_full.then(|| tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::new()));
    inspecting::look(&args.options, async |inspector| {
        // What is wrong with the store at the start is told at once; later it is tried again for ever.
        inspector.read().await?;
        let (send, updates) = mpsc::channel(16);
        let mut follow = inspector.follow();
        tokio::spawn(async move { while send.send(follow.next().await).await.is_ok() {} });
        let source = Source { inspector, updates };
        if is_full { terminal::show(source).await } else { log(source, args.json).await }
    })?;
    drop(silence);
    Ok(ExitCode::SUCCESS)
}

/// The present.
fn moment(begin: Instant) -> Moment {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Moment { mono_ms: ms(begin.elapsed()), unix_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, ms) }
}

async fn log(mut source: Source, json: bool) -> Result<(), Failure> {
    let mut ends = Ends::listen()?;
    let (mut model, begin) = (Model::default(), Instant::now());
    loop {
        let due = model.next_tick_ms(moment(begin)).map(Duration::from_millis);
        let tick = async {
            match due {
                Some(due) => tokio::time::sleep(due + Duration::from_millis(1)).await,
                None => std::future::pending().await,
            }
        };
        let entries = tokio::select! {
            update = source.updates.recv() => match update {
                Some(Update::Seen(snapshot)) => model.see(snapshot.revision(), snapshot.roles(), moment(begin)),
                Some(Update::Lost(error)) => model.lost(error.message(), moment(begin)),
                None => return Ok(()),
            },
            () = tick => model.tick(moment(begin)),
            () = ends.come() => return Ok(()),
        };
        for entry in &entries {
            if !say(entry, json)? {
                return Ok(());
            }
        }
    }
}

/// Whether somebody still reads.
fn say(entry: &Entry, json: bool) -> Result<bool, Failure> {
    if !json {
        return output::line(&words::escaped(&entry.line()));
    }
    output::line(&json::line(entry)?)
}
