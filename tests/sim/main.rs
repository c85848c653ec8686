//! wip
mod faults;
mod plan;
#[path = "../support/world/mod.rs"]
mod world;
use coordha::election::Flaw;
use plan::Plan;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n: u64 = args.get(1).and_then(|x| x.parse().ok()).unwrap_or(100);
    let seed: u64 = args.get(2).and_then(|x| x.parse().ok()).unwrap_or(1);
    let t = std::time::Instant::now();
    if args.get(3).is_some_and(|x| x == "bad") {
        for flaw in Flaw::ALL {
            let mut k = 0;
            for i in 0.. {
                let o = Plan::random(seed * 1_000_003 + i).run(Some(*flaw), false);
                k += o.takeovers;
                if let Some(v) = o.violation {
                    println!(
                        "{} after {k} ({i}): {} {}",
                        flaw.name(),
                        v.invariant.name(),
                        v.what
                    );
                    break;
                }
                if k > n {
                    println!("{} NOT caught in {k}", flaw.name());
                    break;
                }
            }
        }
        println!("{:?}", t.elapsed());
        return;
    }
    let mut k = 0;
    let mut i = 0;
    let mut last = 0;
    let mut viol = std::collections::BTreeMap::new();
    while k < n {
        let plan = Plan::random(seed * 1_000_003 + i);
        let o = plan.run(None, false);
        k += o.takeovers;
        last += o.lasted;
        if let Some(v) = o.violation {
            let e: &mut (u64, u64, String) =
                viol.entry(v.invariant.name()).or_insert((0, i, v.what));
            e.0 += 1;
        }
        i += 1;
    }
    for (k, v) in &viol {
        println!("{k}: {v:?}");
    }
    println!(
        "takeovers {k} runs {i} virtual {} s in {:?}",
        last / 1_000_000_000,
        t.elapsed()
    );
    if let Some(s) = args.get(3).and_then(|x| x.parse::<u64>().ok()) {
        let plan = Plan::random(seed * 1_000_003 + s);
        let o = plan.run(None, true);
        println!("{:#?}", plan.injections);
        for n in &plan.world.nodes {
            println!("{n:?}");
        }
        println!("{:?}", plan.world.net);
        for l in o.trace {
            println!("{}", l.chars().take(260).collect::<String>());
        }
        println!("{:?}", o.violation);
    }
}
