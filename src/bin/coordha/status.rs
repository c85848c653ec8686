//! `coordha status`: who is active, who stands by, and whether each of them could win.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use coordha::inspect::{
    Health, Inspector, LeaseLeft, RoleView, SessionView, Snapshot, StandbyView, Standing, TermView, Update,
};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::exit::{Failure, ROLE};
use crate::inspecting::{self, HEALTH_LIMIT};
use crate::options::Options;
use crate::{help, json, output, words};

/// Show who is active, since when and with which fencing token, and each standby with whether it could win now
///
/// Without --role: all roles below the root. How long a term has lasted is counted from its renewals (a quarter of the hold time
/// each), so it is "about"; of a Milvus process it is not known. How much of the hold time is left cannot be read from a store,
/// only watched: see --wait. Whether a standby is paused is not in the store, and is not shown.
///
/// Without --role it is exit code 4 where a role that has sessions has nobody active, or where nobody is active at all.
#[derive(Parser)]
#[command(after_long_help = help::end(
    &[
        "coordha status --role rootcoord --store etcd://etcd-0:2379",
        "coordha status --wait --json | jq '.roles[].hold_left_ms'",
    ],
    &[("0", "somebody is active"), help::FAILED, help::USAGE, help::STORE, ("4", "nobody is active")],
))]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// Watch until a renewal of each term was seen, a little more than a quarter of the hold time at most, and show how much
    /// of the hold time is left
    #[arg(long)]
    wait: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Status {
    store: String,
    root: String,
    revision: i64,
    roles: Vec<Shown>,
    etcd: Health,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    role: RoleView,
    /// Only with --wait, and where a renewal was seen.
    hold_left_ms: Option<u64>,
    /// For how long one was waited for.
    #[serde(skip)]
    waited: Option<Duration>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let status = inspecting::look(&args.options, async |inspector| look(&inspector, args.wait).await)?;
    let code = if nobody(&status.roles) { ExitCode::from(ROLE) } else { ExitCode::SUCCESS };
    if args.json {
        output::write(&json::pretty(&status)?)?;
    } else {
        output::lines(&lines(&status))?;
    }
    Ok(code)
}

fn nobody(roles: &[Shown]) -> bool {
    let waits = |shown: &Shown| shown.role.active.is_none() && !shown.role.standbys.is_empty();
    roles.iter().any(waits) || roles.iter().all(|shown| shown.role.active.is_none())
}

async fn look(inspector: &Inspector, wait: bool) -> Result<Status, Failure> {
    let (read, health) = tokio::join!(inspector.read(), inspector.health(HEALTH_LIMIT));
    let mut snapshot = read?;
    let mut renewed = BTreeMap::new();
    let begin = Instant::now();
    if wait {
        snapshot = watch(inspector, snapshot, &mut renewed).await?;
    }
    let roles = snapshot.roles().into_iter().map(|role| {
        let held = role.held().map(|term| Duration::from_millis(term.hold_ms));
        let seen = renewed.get(&role.role).zip(held);
        let left = seen.map(|(seen, hold): (&Instant, Duration)| hold.saturating_sub(seen.elapsed()));
        let hold_left_ms = left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        Shown { role, hold_left_ms, waited: wait.then(|| begin.elapsed()) }
    });
    Ok(Status {
        store: inspector.store_url(),
        root: inspector.root().to_owned(),
        revision: snapshot.revision(),
        roles: roles.collect(),
        etcd: health,
    })
}

/// Watches until each term that is held was renewed; says when each was.
async fn watch(
    inspector: &Inspector,
    before: Snapshot,
    renewed: &mut BTreeMap<String, Instant>,
) -> Result<Snapshot, Failure> {
    let records = |snapshot: &Snapshot| -> BTreeMap<String, TermView> {
        let roles = snapshot.roles().into_iter();
        roles.filter_map(|role| Some((role.role.clone(), role.held()?.clone()))).collect()
    };
    let known = records(&before);
    let longest = known.values().map(|term| term.hold_ms).max().unwrap_or(0);
    // A renewal is due each quarter of it.
    let end = Instant::now() + Duration::from_millis(longest / 4 + longest / 16 + 20);
    let (mut follow, mut newest) = (inspector.follow(), before);
    while known.keys().any(|role| !renewed.contains_key(role)) {
        match timeout_at(end, follow.next()).await {
            Ok(Update::Seen(snapshot)) => newest = *snapshot,
            Ok(Update::Lost(error)) => return Err(error.into()),
            Err(_) => break,
        }
        for (role, term) in records(&newest) {
            if known.get(&role).is_none_or(|before| before.mod_revision < term.mod_revision) {
                renewed.entry(role).or_insert_with(Instant::now);
            }
        }
    }
    // What the leases have left has been read long ago.
    Ok(inspector.read().await.unwrap_or(newest))
}

fn lines(status: &Status) -> Vec<String> {
    let mut out = vec![format!("{}, root {}, revision {}", status.store, status.root, status.revision)];
    if status.roles.is_empty() {
        out.extend([String::new(), "no role below this root".to_owned()]);
    }
    for shown in &status.roles {
        out.extend([String::new(), shown.role.role.clone()]);
        role(&mut out, shown);
    }
    if status.roles.iter().any(|shown| is_wrong(&shown.role)) {
        out.extend([String::new(), "`coordha doctor` says what to do about what is wrong".to_owned()]);
    }
    let lines = inspecting::health_lines(&status.etcd);
    if !lines.is_empty() {
        out.extend([String::new(), "etcd".to_owned()]);
    }
    for line in lines {
        out.push(format!("  {line}"));
    }
    out
}

fn is_wrong(role: &RoleView) -> bool {
    let blocked = |standby: &StandbyView| standby.chance.standing == Standing::Blocked;
    let unbound = role.active.as_ref().is_some_and(|active| active.lease == 0);
    let vacant = role.active.is_none() && !role.standbys.is_empty();
    unbound || vacant || !role.strangers.is_empty() || role.standbys.iter().any(blocked)
}

fn role(out: &mut Vec<String>, shown: &Shown) {
    let role = &shown.role;
    match &role.active {
        Some(active) => {
            out.push(format!("  active    {}, token {}", name(active), active.mod_revision));
            out.push(format!("            {}", term(shown, active)));
            out.push(format!("            {}", lease(active)));
        }
        None if role.standbys.is_empty() => {
            out.push("  active    nobody; no session is registered".to_owned());
        }
        None => {
            out.push("  active    NOBODY".to_owned());
        }
    }
    for standby in &role.standbys {
        let rank = standby.rank.map_or("no rank".to_owned(), |rank| format!("rank {rank}"));
        let word = words::standing(standby.chance.standing);
        out.push(format!("  standby   {}, {rank}", name(&standby.session)));
        out.push(format!("            {word}: {}", standby.chance.why));
        out.push(format!("            {}", lease(&standby.session)));
    }
    for stranger in &role.strangers {
        out.push(format!("  unknown   {}: {}", stranger.key, stranger.why));
    }
}

fn name(session: &SessionView) -> String {
    let host = if session.host_name.is_empty() { String::new() } else { format!(", host {}", session.host_name) };
    format!("{}, server ID {}{host}, {}", session.address, session.server_id, session.kind.name())
}

fn term(shown: &Shown, active: &SessionView) -> String {
    let Some(term) = shown.role.held() else {
        let whose = if active.kind.name() == "milvus" { "of Milvus" } else { "of this term" };
        return format!("since when is not known: there is no term record {whose}");
    };
    let hold = words::seconds(term.hold_ms);
    let left = match (shown.hold_left_ms, shown.waited) {
        (Some(left), _) => format!("{} of {hold} left", words::seconds(left)),
        (None, Some(waited)) => format!("{hold}, NOT RENEWED for {:.1} s", waited.as_secs_f32()),
        (None, None) => format!("{hold} after each renewal"),
    };
    let renewals = words::count(usize::try_from(term.renewals).unwrap_or(usize::MAX), "renewal");
    format!("since about {} ({renewals}), hold time {left}", words::long(term.lasted_ms))
}

fn lease(session: &SessionView) -> String {
    match session.lease_left {
        _ if session.lease == 0 => "NO LEASE: this key does not go with its session".to_owned(),
        Some(LeaseLeft { left_ms: 0, .. }) => "lease over".to_owned(),
        Some(lease) => format!("lease {} of {} left", words::seconds(lease.left_ms), words::seconds(lease.granted_ms)),
        None => "how long its lease has left is not known".to_owned(),
    }
}
