//! `coordha observe`: follows who is active, and runs a command at each change.

mod command;

use std::process::ExitCode;

use clap::Parser;
use coordha::inspect::{Inspector, Kind, RoleView};
use coordha::session::{Event, Observer};
use serde::Serialize;
use tokio::sync::mpsc::{self, Receiver};

use self::command::Runner;
use crate::exit::{FAILED, Failure, ROLE};
use crate::options::Options;
use crate::signals::Ends;
use crate::{help, inspecting, json, output, words};

/// Follow who is active: a line for each change, and a command to run
///
/// Goes on across compactions, restarts of the store and of the active one on the same address, and Milvus processes. What
/// came while it was busy is coalesced: what it says is always the newest. Ends by SIGINT, SIGTERM, SIGHUP or
/// SIGQUIT, with exit code 0, once the command has ended, and what that has started in its process group.
#[derive(Parser)]
#[command(after_long_help = help::end(
    &[
        "coordha observe --role rootcoord --exec 'notify \"$HA_ADDRESS\" \"$HA_TOKEN\"'",
        "coordha observe --role rootcoord --once",
    ],
    &[
        ("0", "ended by a signal as above, or nobody reads it any more; with --once, somebody is active"),
        ("1", "with --once and --exec, the command failed or was ended; or stdout cannot be written"),
        help::USAGE,
        ("3", "the store cannot be reached at the start, or refuses; later it is tried again for ever"),
        ("4", "nobody is active (--once)"),
    ],
))]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// Run this by `sh -c` for each change, one at a time; changes meanwhile are coalesced to the newest. In its environment:
    /// HA_ROLE, HA_ADDRESS, HA_SERVER_ID, HA_TOKEN (empty: nobody is active), HA_HOLDER (coordha, milvus; empty: nobody).
    /// Default: none
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Say who is active now, and end: with exit code 4 where nobody is
    #[arg(long)]
    once: bool,
    /// A JSON object for each change
    #[arg(long)]
    json: bool,
}

/// Who is active.
#[derive(Clone, Debug, Serialize)]
struct Change {
    role: String,
    /// None while nobody is.
    address: Option<String>,
    server_id: Option<i64>,
    token: Option<i64>,
    /// `coordha` or `milvus`.
    holder: Option<&'static str>,
    /// How many changes were replaced by this one unread.
    coalesced: u64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let config = args.options.load()?;
    config.resolve_observer()?;
    inspecting::runtime()?.block_on(async {
        let mut ends = Ends::listen()?;
        let mut runner = args.exec.as_deref().map(Runner::new).transpose()?;
        let inspector = Inspector::open(&config)?;
        // What is wrong with the store is told at once; later it is tried again for ever.
        let now = inspector.read().await?.roles().remove(0);
        let result = if args.once {
            once(&now, args.json, runner.as_mut(), &mut ends).await
        } else {
            let changes = changes(Observer::start(&config)?);
            follow(changes, args.json, runner.as_mut(), &mut ends).await
        };
        // Whatever it was that has ended it.
        if let Some(runner) = runner {
            runner.stop().await;
        }
        result
    })
}

/// Says who is active, and runs the command for that.
async fn once(role: &RoleView, json: bool, runner: Option<&mut Runner>, ends: &mut Ends) -> Result<ExitCode, Failure> {
    let active = role.active.as_ref();
    let change = Change {
        role: role.role.clone(),
        address: active.map(|active| active.address.clone()),
        server_id: active.map(|active| active.server_id),
        token: active.map(|active| active.mod_revision),
        holder: active.map(|active| active.kind.name()),
        coalesced: 0,
    };
    say(&change, json)?;
    if let Some(runner) = runner {
        runner.start(&change)?;
        let ended = tokio::select! {
            ended = runner.ended() => ended,
            () = ends.come() => Err("ended by a signal before the command was done".to_owned()),
        };
        ended.map_err(|why| Failure::new(FAILED, format!("--exec: {why}")))?;
    }
    Ok(if change.token.is_some() { ExitCode::SUCCESS } else { ExitCode::from(ROLE) })
}

/// Says each change, and runs the command for the newest, until it is told to end or nobody reads.
async fn follow(
    mut changes: Receiver<Result<Change, Failure>>,
    json: bool,
    mut runner: Option<&mut Runner>,
    ends: &mut Ends,
) -> Result<ExitCode, Failure> {
    // What the command is to be run for next.
    let mut waiting = None;
    loop {
        let ended = async {
            match &mut runner {
                Some(runner) => runner.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(change) = changes.recv() => {
                let change = change?;
                if !say(&change, json)? {
                    return Ok(ExitCode::SUCCESS);
                }
                waiting = Some(change);
            }
            ended = ended => {
                if let Err(why) = ended {
                    let _ = Failure::new(FAILED, format!("--exec: {why}")).tell();
                }
            }
            () = ends.come() => return Ok(ExitCode::SUCCESS),
        }
        if let Some(runner) = runner.as_mut().filter(|runner| !runner.is_running())
            && let Some(change) = waiting.take()
            && let Err(why) = runner.start(&change)
        {
            let _ = why.tell();
        }
    }
}

/// What the observer says; an error is the last.
fn changes(observer: Observer) -> Receiver<Result<Change, Failure>> {
    let (send, changes) = mpsc::channel(1);
    tokio::spawn(async move {
        // What comes while nobody takes the last one is coalesced by the observer.
        while let Ok(place) = send.reserve().await {
            let change = observer.event().await.map(|event| change(&event)).map_err(Failure::from);
            let is_last = change.is_err();
            place.send(change);
            if is_last {
                return;
            }
        }
    });
    changes
}

fn change(event: &Event) -> Change {
    let token = (event.token() != 0).then(|| event.token());
    let kind = event.is_milvus().map(|is_milvus| if is_milvus { Kind::Milvus } else { Kind::Coordha });
    Change {
        role: event.role_name().to_owned(),
        address: event.address().map(str::to_owned),
        server_id: token.map(|_| event.server_id()),
        token,
        holder: kind.map(Kind::name),
        coalesced: event.missed(),
    }
}

/// Whether somebody still reads.
fn say(change: &Change, json: bool) -> Result<bool, Failure> {
    if json {
        return output::line(&json::line(change)?);
    }
    let line = match (&change.address, change.server_id, change.token) {
        (Some(address), Some(id), Some(token)) => {
            let holder = change.holder.map_or(String::new(), |holder| format!(", {holder}"));
            format!("{}: {address} (server ID {id}, token {token}{holder})", change.role)
        }
        _ => format!("{}: nobody is active", change.role),
    };
    output::line(&words::escaped(&line))
}
