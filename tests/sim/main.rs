//! The simulation: many real election cores against one simulated store, in virtual time, with faults whose instants
//! lean towards deadlines. `make sim` runs it; see `args` for the command line.

#![expect(clippy::print_stdout, reason = "this is a program whose results are read by people")]

#[path = "../support/world/mod.rs"]
mod world;

mod args;
mod faults;
mod plan;
mod recipes;
mod shrink;

use std::process::ExitCode;
use std::time::Instant;

use coordha::election::Flaw;

use self::args::{Args, Job};
use self::plan::{Outcome, Plan};
use self::world::check::Violation;

/// Within so many takeovers every known-bad variant must be found.
const BOUND: u64 = 100_000;

/// So many takeovers are simulated by a plain `cargo test`.
const QUICK: u64 = 2_000;

/// The seed of a plain `cargo test`, which is to take the same time each time.
const QUICK_SEED: u64 = 1;

fn main() -> ExitCode {
    let args = match Args::read(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if let Job::Nothing = args.job {
        println!("test result: ok. 0 passed; 0 failed");
        return ExitCode::SUCCESS;
    }
    let test = matches!(args.job, Job::Test);
    let seed = args.seed.unwrap_or_else(|| if test { QUICK_SEED } else { fastrand::u64(0..1 << 32) });
    println!("seed={seed}");
    let passed = match args.job {
        Job::Takeovers(count) => takeovers(seed, count),
        Job::Bad(flaws, bound) => bad(seed, &flaws, bound),
        Job::Replay(plan, flaw) => replay(plan, flaw),
        Job::Test => {
            let results = [takeovers(seed, QUICK), bad(seed, Flaw::ALL, BOUND)];
            let passed = results.iter().filter(|passed| **passed).count();
            let verdict = if passed == results.len() { "ok" } else { "FAILED" };
            println!("test result: {verdict}. {passed} passed; {} failed", results.len() - passed);
            passed == results.len()
        }
        Job::Nothing => true,
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The seed of the `run`-th plan.
fn plan_seed(seed: u64, run: u64) -> u64 {
    fastrand::Rng::with_seed(seed ^ run.wrapping_mul(0x9e37_79b9_7f4a_7c15)).u64(0..1 << 48)
}

/// Runs plans until there were so many takeovers, or one breaks an invariant.
fn run_many(seed: u64, count: u64, flaw: Option<Flaw>) -> (u64, Option<(u64, Violation)>) {
    let mut takeovers = 0;
    let mut run = 0;
    while takeovers < count {
        let plan = plan_seed(seed, run);
        let outcome = Plan::random(plan).run(flaw, false);
        takeovers += outcome.takeovers;
        if let Some(violation) = outcome.violation {
            return (takeovers, Some((plan, violation)));
        }
        run += 1;
    }
    (takeovers, None)
}

fn takeovers(seed: u64, count: u64) -> bool {
    let began = Instant::now();
    let (takeovers, violation) = run_many(seed, count, None);
    let seconds = began.elapsed().as_secs_f64();
    if let Some((plan, violation)) = &violation {
        println!("violated {}: {}", violation.invariant.name(), violation.what);
        println!("seed={seed} plan={plan}; the whole run: sim --replay {plan}");
        let (shortest, outcome) = shrink::shrink(&Plan::random(*plan), violation.invariant, None);
        println!("the shortest trace found:");
        show(&shortest, &outcome);
    }
    let violations = usize::from(violation.is_some());
    println!("sim takeovers={takeovers} violations={violations} seconds={seconds:.1}");
    violation.is_none()
}

fn bad(seed: u64, flaws: &[Flaw], bound: u64) -> bool {
    let began = Instant::now();
    let mut caught = 0;
    for flaw in flaws {
        let name = flaw.name();
        match run_many(seed, bound, Some(*flaw)) {
            (takeovers, Some((plan, violation))) => {
                if flaws.len() == 1 {
                    show_shortest(plan, &violation, Some(*flaw));
                }
                let violated = violation.invariant.name();
                println!("bad variant={name} caught_after_takeovers={takeovers} seed={seed} violated={violated}");
                caught += 1;
            }
            (takeovers, None) => {
                println!("bad variant={name} not_caught_after_takeovers={takeovers} seed={seed}")
            }
        }
    }
    let (variants, seconds) = (flaws.len(), began.elapsed().as_secs_f64());
    println!("sim variants={variants} caught={caught} seconds={seconds:.1}");
    caught == variants
}

fn show_shortest(plan: u64, violation: &Violation, flaw: Option<Flaw>) {
    let (shortest, outcome) = shrink::shrink(&Plan::random(plan), violation.invariant, flaw);
    println!("the shortest trace found:");
    show(&shortest, &outcome);
}

fn replay(plan: u64, flaw: Option<Flaw>) -> bool {
    let plan = Plan::random(plan);
    let outcome = plan.run(flaw, true);
    show(&plan, &outcome);
    outcome.violation.is_none()
}

fn show(plan: &Plan, outcome: &Outcome) {
    for (at, node) in plan.world.nodes.iter().enumerate() {
        println!("n{at}: {node:?}");
    }
    println!("network: {:?}", plan.world.net);
    for injection in &plan.injections {
        println!("fault: {injection:?}");
    }
    for line in &outcome.trace {
        println!("{line}");
    }
    if let Some(violation) = &outcome.violation {
        println!("violated {}: {}", violation.invariant.name(), violation.what);
    }
}
