//! `coordha ids`: the counter of server IDs, and every session by ID.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser;
use coordha::inspect::{Counter, SessionView, Snapshot};
use serde::Serialize;

use crate::exit::{FOUND, Failure};
use crate::options::Options;
use crate::{help, inspecting, json, output, words};

/// Show the counter of server IDs and every session below the root by its ID, with what is wrong with them
///
/// With --role, the sessions of that role only; IDs are compared over all roles. An ID is taken from one counter by all
/// roles, Milvus's nodes too, and is never given back.
#[derive(Parser)]
#[command(after_long_help = help::end(
    &["coordha ids --store etcd://etcd-0:2379"],
    &[("0", "nothing is wrong"), help::FAILED, help::USAGE, help::STORE, ("5", "something is wrong with the IDs")],
))]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Ids {
    counter: Counter,
    sessions: Vec<SessionView>,
    problems: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let ids = inspecting::look(&args.options, async |inspector| {
        let snapshot = inspector.read_all().await?;
        let mut sessions = snapshot.sessions();
        sessions.sort_by_key(|session| (session.server_id, session.is_active, session.key.clone()));
        sessions.retain(|session| inspector.role().is_none_or(|role| session.role == role));
        let problems = problems(&snapshot).into_iter().map(|(text, advice)| format!("{text}; {advice}")).collect();
        Ok(Ids { counter: snapshot.counter(), sessions, problems })
    })?;
    if args.json {
        output::write(&json::pretty(&ids)?)?;
    } else {
        output::lines(&lines(&ids))?;
    }
    Ok(if ids.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

/// What is wrong with the IDs below a root, over all roles, each with what to do.
pub(crate) fn problems(snapshot: &Snapshot) -> Vec<(String, String)> {
    let (counter, sessions) = (snapshot.counter(), snapshot.sessions());
    let free = sessions.iter().map(|session| session.server_id).max().unwrap_or(0).saturating_add(1);
    let mut problems = Vec::new();
    let mut add = |text: String, advice: String| problems.push((text, advice));
    if let Some(garbage) = &counter.garbage {
        let text = format!("{} = {garbage:?} is no number: no session can start", counter.key);
        add(text, format!("write an ID there that was never used, in decimal digits: {free} or more"));
    } else if counter.next.is_none() && !sessions.is_empty() {
        let text = format!("{} is missing: the next session takes ID 1 again", counter.key);
        add(text, format!("write an ID there that was never used: {free} or more"));
    }
    let next = counter.next.unwrap_or(i64::MAX);
    for session in sessions.iter().filter(|session| session.server_id >= next) {
        let (key, id) = (&session.key, session.server_id);
        let text = format!("{key}: server ID {id} is not below the counter ({next}), which will give it out again");
        add(text, format!("write {free} or more to {}", counter.key));
    }
    // One process may have one ID for all its roles, on several ports.
    let host = |session: &SessionView| session.address.rsplit_once(':').map(|(host, _)| host.to_owned());
    let mut owners: BTreeMap<i64, &SessionView> = BTreeMap::new();
    for session in &sessions {
        let first = *owners.entry(session.server_id).or_insert(session);
        let two = first.role == session.role && first.address != session.address || host(first) != host(session);
        if two {
            let (keys, id) = (format!("{} and {}", first.key, session.key), session.server_id);
            let text = format!("{keys}: two sessions ({}, {}) have server ID {id}", first.address, session.address);
            add(text, "restart one of the two: it takes another ID".to_owned());
        }
    }
    problems
}

fn lines(ids: &Ids) -> Vec<String> {
    let next = ids.counter.next.map_or("none".to_owned(), |next| next.to_string());
    let mut lines = vec![format!("next server ID {next} ({})", ids.counter.key), String::new()];
    let head = ["ID", "ROLE", "KIND", "ADDRESS", "HOST", "BY", "LEASE LEFT"].map(str::to_owned);
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(ids.sessions.iter().map(row)).collect();
    let widths: Vec<usize> =
        (0..7).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        lines.push(cells.join("  ").trim_end().to_owned());
    }
    for problem in &ids.problems {
        lines.extend([String::new(), format!("PROBLEM {problem}")]);
    }
    lines
}

fn row(session: &SessionView) -> [String; 7] {
    let lease = match session.lease_left {
        _ if session.lease == 0 => "no lease".to_owned(),
        Some(lease) => format!("{} of {}", words::seconds(lease.left_ms), words::seconds(lease.granted_ms)),
        None => "?".to_owned(),
    };
    [
        session.server_id.to_string(),
        session.role.clone(),
        if session.is_active { "active" } else { "member" }.to_owned(),
        words::escaped(&session.address),
        words::escaped(&session.host_name),
        session.kind.name().to_owned(),
        lease,
    ]
}
