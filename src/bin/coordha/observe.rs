//! `coordha observe`: follows who is active, and runs a command at each change.

use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use clap::Parser;
use coordha::inspect::Inspector;
use coordha::session::{Event, Observer};
use rustix::process::kill_process_group;
use serde::Serialize;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::exit::{FAILED, Failure, ROLE, USAGE};
use crate::options::Options;
use crate::{help, inspecting, output};

/// How long a command has between SIGTERM and SIGKILL when this one is told to end.
const GRACE: Duration = Duration::from_secs(10);

/// Follow who is active: a line for each change, and a command to run
///
/// Goes on across compactions, restarts of the store and of the active one on the same address, and Milvus processes. What
/// came while it was busy is coalesced: what it says is always the newest. Ends by SIGINT or SIGTERM, with exit code 0.
#[derive(Parser)]
#[command(after_long_help = help::end(
    &[
        "coordha observe --role rootcoord --exec 'notify \"$HA_ADDRESS\" \"$HA_TOKEN\"'",
        "coordha observe --role rootcoord --once",
    ],
    &[
        ("0", "ended by SIGINT or SIGTERM, or nobody reads it any more; with --once, somebody is active"),
        ("1", "with --once and --exec, the command failed; or stdout cannot be written"),
        help::USAGE,
        ("3", "the store cannot be reached at the start, or refuses; later it is tried again for ever"),
        ("4", "nobody is active (--once)"),
    ],
))]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// Run this by `sh -c` for each change, one at a time; changes meanwhile are coalesced to the newest. In its environment:
    /// HA_ROLE, HA_ADDRESS, HA_SERVER_ID, HA_TOKEN (empty: nobody is active), HA_HOLDER (coordha, milvus, or empty).
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
        let inspector = Inspector::open(&config)?;
        // What is wrong with the store is told at once; later it is tried again for ever.
        let now = inspector.read().await?;
        if args.once {
            let change = once(&now.roles().remove(0));
            say(&change, args.json)?;
            return match &args.exec {
                Some(command) => only(command, &change).await,
                None => Ok(if change.token.is_some() { ExitCode::SUCCESS } else { ExitCode::from(ROLE) }),
            };
        }
        let observer = Observer::start(&config)?;
        Following { observer, inspector, exec: args.exec.clone(), json: args.json, running: None, waiting: None }
            .follow()
            .await
    })
}

fn once(role: &coordha::inspect::RoleView) -> Change {
    let active = role.active.as_ref();
    Change {
        role: role.role.clone(),
        address: active.map(|active| active.address.clone()),
        server_id: active.map(|active| active.server_id),
        token: active.map(|active| active.mod_revision),
        holder: active.map(|active| active.kind.name()),
        coalesced: 0,
    }
}

/// Runs the command for the one change there is.
async fn only(command: &str, change: &Change) -> Result<ExitCode, Failure> {
    let ended = start(command, change)?.wait().await.map_err(|error| Failure::new(FAILED, error.to_string()))?;
    match failure(ended) {
        Some(why) => Err(Failure::new(FAILED, format!("--exec: {why}"))),
        None if change.token.is_none() => Ok(ExitCode::from(ROLE)),
        None => Ok(ExitCode::SUCCESS),
    }
}

struct Following {
    observer: Observer,
    inspector: Inspector,
    exec: Option<String>,
    json: bool,
    running: Option<Child>,
    /// What the command is to be run for next.
    waiting: Option<Change>,
}

impl Following {
    async fn follow(mut self) -> Result<ExitCode, Failure> {
        let [mut interrupt, mut terminate] = [listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?];
        loop {
            tokio::select! {
                event = self.observer.event() => {
                    let change = self.change(&event?).await;
                    if !say(&change, self.json)? {
                        break;
                    }
                    if self.exec.is_some() {
                        self.waiting = Some(change);
                    }
                }
                ended = ended(&mut self.running) => {
                    self.running = None;
                    if let Some(why) = ended.map_or_else(|error| Some(error.to_string()), failure) {
                        warn(&format!("--exec: {why}"));
                    }
                }
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
            }
            self.run_next();
        }
        if let Some(child) = &mut self.running {
            stop(child).await;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn run_next(&mut self) {
        let Some(command) = self.exec.as_ref().filter(|_| self.running.is_none()) else { return };
        let Some(change) = self.waiting.take() else { return };
        match start(command, &change) {
            Ok(child) => self.running = Some(child),
            Err(why) => {
                let _ = why.tell();
            }
        }
    }

    /// What the event says, and whose the active key is.
    async fn change(&self, event: &Event) -> Change {
        let token = (event.token() != 0).then(|| event.token());
        let mut holder = None;
        if let Some(token) = token
            && let Ok(snapshot) = self.inspector.read().await
        {
            let role = snapshot.role(event.role_name());
            // Another one meanwhile: the observer says so next.
            holder = role.active.filter(|active| active.mod_revision == token).map(|active| active.kind.name());
        }
        Change {
            role: event.role_name().to_owned(),
            address: event.address().map(str::to_owned),
            server_id: token.map(|_| event.server_id()),
            token,
            holder,
            coalesced: event.missed(),
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::new(FAILED, format!("signals: {error}")))
}

async fn ended(running: &mut Option<Child>) -> std::io::Result<ExitStatus> {
    match running {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

fn start(command: &str, change: &Change) -> Result<Child, Failure> {
    let text = |number: Option<i64>| number.map_or(String::new(), |number| number.to_string());
    let started = Command::new("sh")
        .args(["-c", command])
        .env("HA_ROLE", &change.role)
        .env("HA_ADDRESS", change.address.as_deref().unwrap_or_default())
        .env("HA_SERVER_ID", text(change.server_id))
        .env("HA_TOKEN", text(change.token))
        .env("HA_HOLDER", change.holder.unwrap_or_default())
        .stdin(Stdio::null())
        // Of its own, so that all that it starts can be ended.
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    started.map_err(|error| Failure::new(USAGE, format!("--exec {command:?}: sh cannot be run: {error}")))
}

fn failure(status: ExitStatus) -> Option<String> {
    (!status.success()).then(|| format!("the command ended with {status}"))
}

/// SIGTERM to it and what it has started, and SIGKILL where that does not help.
async fn stop(child: &mut Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process_group(pid, rustix::process::Signal::TERM);
    }
    if timeout(GRACE, child.wait()).await.is_err() {
        if let Some(pid) = pid {
            let _ = kill_process_group(pid, rustix::process::Signal::KILL);
        }
        let _ = child.wait().await;
    }
}

/// One line to stderr.
fn warn(text: &str) {
    let _ = Failure::new(FAILED, text).tell();
}

/// Whether somebody still reads.
fn say(change: &Change, json: bool) -> Result<bool, Failure> {
    if json {
        let line = serde_json::to_string(change).map_err(|error| Failure::new(FAILED, error.to_string()))?;
        return output::line(&line);
    }
    let line = match (&change.address, change.server_id, change.token) {
        (Some(address), Some(id), Some(token)) => {
            let holder = change.holder.map_or(String::new(), |holder| format!(", {holder}"));
            format!("{}: {address} (server ID {id}, token {token}{holder})", change.role)
        }
        _ => format!("{}: nobody is active", change.role),
    };
    output::line(&line)
}
