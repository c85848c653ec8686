//! The real core of the election, explored exhaustively within bounds: two or three sessions, a store, and messages
//! that may be lost, late, repeated and out of order. `docs/exploration.md` explains the model.
//!
//! Without arguments: a quick round. `--full`: what CI explores; `--states N` then bounds each plan; `--plan TEXT`: only those whose name
//! has it in it; `--sessions 3`: three sessions, a bounded plan and random walks in place of the plans of two; `--bad all` (or a name): the
//! known-bad variants must be caught.

mod blind;
mod body;
mod canon;
mod check;
mod input;
mod lab;
mod moves;
mod names;
mod plan;
mod search;
mod state;
mod store;
mod suite;
mod table;
mod trace;
mod walk;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use coordha::election::Flaw;
use plan::Plan;
use search::{Found, Limits, Search};

/// So many random walks of three sessions.
const WALKS: usize = 1_000;

/// No plan has more: some 140 bytes a state, so at most 8 GB.
const MOST_STATES: usize = 55_000_000;

/// Within so many states each known-bad variant must be caught.
const BAD_STATES: usize = 3_000_000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = args.iter().position(|a| a == name)?;
        args.get(at + 1).cloned()
    };
    let number = |name: &str| value(name).map(|n| n.parse().expect("a number"));
    let sessions = number("--sessions").unwrap_or(2);
    let states = number("--states");
    if let Some(name) = value("--bad") {
        return bad(&name, states.unwrap_or(BAD_STATES));
    }
    if args.iter().any(|a| a == "--full") || states.is_some() || sessions != 2 {
        let seed = number("--seed").map_or_else(|| fastrand::u64(..), |seed| seed as u64);
        return full(sessions, states, seed, &value("--plan").unwrap_or_default());
    }
    quick()
}

fn search(plan: Plan, states: usize, workers: usize) -> Found {
    let plan = Arc::new(plan);
    let limits = Limits { states, depth: usize::MAX, workers, chatty: false };
    let found = Search::new(&plan, limits).unwrap().run();
    if let Some(broken) = found.breach.as_ref().filter(|_| plan.flaw.is_none()) {
        trace::print(&plan, broken);
    }
    found
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// Explores some plans, says how far each came, and ends with the sum. Answers how many broke a rule, and whether
/// those that have an end were explored to it.
fn explore(sessions: usize, plans: Vec<(Plan, usize)>) -> (usize, bool) {
    let start = Instant::now();
    let (mut states, mut depth, mut violations) = (0, 0, 0);
    let (mut ends, mut ended) = (0, 0);
    for (plan, bound) in plans {
        let bound = bound.min(MOST_STATES);
        let name = plan.name;
        let begun = Instant::now();
        let found = search(plan, bound, 2);
        println!(
            "  plan={name:?} states={} depth={} complete={} recover={} not_followed={} seconds={:.1}",
            found.states,
            found.depth,
            yes(found.complete),
            found.recovered,
            found.open,
            begun.elapsed().as_secs_f64()
        );
        states += found.states;
        depth = depth.max(found.depth);
        ends += usize::from(bound == MOST_STATES);
        ended += usize::from(bound == MOST_STATES && found.complete);
        violations += usize::from(found.breach.is_some());
    }
    let complete = ends > 0 && ended == ends;
    println!(
        "explore sessions={sessions} states={states} depth={depth} complete={} violations={violations} seconds={:.1}",
        yes(complete),
        start.elapsed().as_secs_f64()
    );
    (violations, complete)
}

/// Three sessions at random, for long. Answers whether a rule was broken.
fn walks(walks: usize, seed: u64) -> bool {
    let start = Instant::now();
    println!("  walks seed={seed}");
    let plan = Arc::new(suite::anything());
    let walked = walk::walk(&plan, walks, seed);
    if let Some(broken) = &walked.breach {
        trace::print(&plan, broken);
    }
    println!(
        "  walks sessions=3 walks={walks} steps={} takeovers={} cut={} violations={} seconds={:.1}",
        walked.steps,
        walked.takeovers,
        walked.cut,
        usize::from(walked.breach.is_some()),
        start.elapsed().as_secs_f64()
    );
    walked.breach.is_some()
}

fn full(sessions: usize, states: Option<usize>, seed: u64, only: &str) -> ExitCode {
    let mut plans = if sessions == 3 {
        vec![(suite::three(), states.unwrap_or(1_000_000))]
    } else {
        let mut plans = suite::plans(states.unwrap_or(400_000));
        plans.extend(suite::closed().map(|plan| (plan, MOST_STATES)));
        plans
    };
    plans.retain(|(plan, _)| plan.name.contains(only));
    let broken = sessions == 3 && walks(WALKS, seed);
    let (violations, complete) = explore(sessions, plans);
    // The plans of two that have an end must come to it.
    code(violations == 0 && (complete || sessions != 2 || !only.is_empty()) && !broken)
}

fn code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the known-bad variants are caught.
fn bad(name: &str, states: usize) -> ExitCode {
    let flaws = Flaw::ALL.iter().filter(|f| (name == "all" || f.name() == name) && suite::shows(**f));
    let mut missed = 0;
    let mut known = 0;
    for flaw in flaws {
        known += 1;
        missed += usize::from(!is_caught(*flaw, states));
    }
    println!("bad variants={known} missed={missed}");
    code(missed == 0 && known > 0)
}

fn is_caught(flaw: Flaw, states: usize) -> bool {
    let found = search(suite::against(flaw), states, 2);
    let caught = found.breach.is_some();
    let at = if caught { format!("caught_at_depth={}", found.depth) } else { "caught=no".into() };
    println!("bad variant={} {at} states={}", flaw.name(), found.states);
    caught
}

/// A round that takes seconds even without optimisation.
fn quick() -> ExitCode {
    let mut passed = 0;
    let mut failed = 0;
    let mut count = |good: bool| {
        passed += usize::from(good);
        failed += usize::from(!good);
    };
    let mut plans = suite::plans(3_000);
    plans.extend(suite::closed().map(|plan| (plan, 3_000)));
    for (plan, states) in plans {
        count(explore(2, vec![(plan, states)]).0 == 0);
    }
    for flaw in [Flaw::AbsentIsPermission, Flaw::AcquireIgnoresActive] {
        count(is_caught(flaw, 100_000));
    }
    let seed = 1;
    let sound = walk::walk(&Arc::new(suite::anything()), 20, seed);
    count(sound.breach.is_none() && sound.takeovers > 0);
    for flaw in [Flaw::AcquireIgnoresTerm, Flaw::ReuseTerm] {
        let mut flawed = suite::anything();
        flawed.flaw = Some(flaw);
        count(walk::walk(&Arc::new(flawed), 60, seed).breach.is_some());
    }
    println!("{passed} passed, {failed} failed");
    code(failed == 0)
}
