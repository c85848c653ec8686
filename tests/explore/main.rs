//! The real core of the election, explored exhaustively within bounds: two or three sessions, a store, and messages
//! that may be lost, late, repeated and out of order. `docs/exploration.md` explains the model.

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
mod table;
mod trace;

use std::sync::Arc;
use std::time::Instant;

use plan::{Fault, Plan};
use search::{Limits, Search};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let get = |name: &str| {
        args.iter()
            .position(|a| a == name)
            .and_then(|i| args.get(i + 1))
            .cloned()
    };
    let states = get("--states").map_or(100_000, |n| n.parse().unwrap());
    let depth = get("--depth").map_or(usize::MAX, |n| n.parse().unwrap());
    let mut plan = Plan::new("plain");
    for fault in plan::ALL_FAULTS {
        let name = format!("--{fault:?}").to_lowercase();
        if let Some(n) = get(&name) {
            plan = plan.with(fault, n.parse().unwrap());
        }
    }
    plan.sessions = get("--sessions").map_or(2, |n| n.parse().unwrap());
    if let Some(name) = get("--bad") {
        plan.flaw = coordha::election::Flaw::ALL
            .iter()
            .copied()
            .find(|f| f.name() == name);
    }
    plan.budget[plan::Fault::Freeze as usize] = get("--freeze").map_or(255, |n| n.parse().unwrap());
    plan.strays = get("--strays").map_or(99, |n| n.parse().unwrap());
    if let Some(h) = get("--hold") {
        let v: Vec<u64> = h.split(',').map(|n| n.parse().unwrap()).collect();
        plan.hold_ms[..v.len()].copy_from_slice(&v);
    }
    plan.twice = get("--twice").is_none();
    let limits = Limits {
        states,
        depth,
        workers: 2,
        chatty: true,
    };
    let plan = Arc::new(plan);
    let start = Instant::now();
    let found = Search::new(&plan, limits).unwrap().run();
    println!(
        "states={} depth={} complete={} recovered={} open={} sizes={:?} {:?}",
        found.states,
        found.depth,
        found.complete,
        found.recovered,
        found.open,
        found.sizes,
        start.elapsed()
    );
    if let Some(broken) = &found.breach {
        trace::print(&plan, broken);
    }
}
