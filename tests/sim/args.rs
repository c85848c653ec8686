//! The command line. `make sim` gives the long options; `cargo test` gives whatever it gives to every test program.

use coordha::election::Flaw;

/// What to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Run plans until so many takeovers have happened.
    Takeovers(u64),
    /// Find the known-bad variants, each within so many takeovers; one alone with the shortest trace of it.
    Bad(Vec<Flaw>, u64),
    /// Run one plan and print its trace.
    Replay(u64, Option<Flaw>),
    /// A quick run of both, as a test.
    Test,
    /// A test filter that names none of this program's tests, or the wish for a list of them.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) job: Job,
    pub(crate) seed: Option<u64>,
}

pub(crate) const USAGE: &str = "usage: sim [--takeovers N] [--bad all|NAME] [--replay PLAN] [--seed S]";

impl Args {
    pub(crate) fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut words = words.peekable();
        let (mut takeovers, mut bad, mut replay, mut seed) = (None, None, None, None);
        let mut filtered = false;
        while let Some(word) = words.next() {
            let mut number = || {
                let value = words.next().unwrap_or_default();
                value.parse::<u64>().map_err(|_| format!("{word} takes a number, not {value:?}\n{USAGE}"))
            };
            match word.as_str() {
                "--takeovers" => takeovers = Some(number()?),
                "--replay" => replay = Some(number()?),
                "--seed" => seed = Some(number()?),
                "--bad" => bad = Some(flaws(&words.next().unwrap_or_default())?),
                "--list" => filtered = true,
                // Options of the usual test runner, which mean nothing here.
                "--test-threads" | "--format" | "--color" | "--skip" | "-Z" => drop(words.next()),
                option if option.starts_with('-') => {}
                filter => filtered |= !"sim".contains(filter),
            }
        }
        let job = match (replay, bad, takeovers) {
            (Some(plan), bad, _) => Job::Replay(plan, bad.and_then(|flaws| flaws.first().copied())),
            (None, Some(flaws), takeovers) => Job::Bad(flaws, takeovers.unwrap_or(super::BOUND)),
            (None, None, Some(takeovers)) => Job::Takeovers(takeovers),
            (None, None, None) if filtered => Job::Nothing,
            (None, None, None) => Job::Test,
        };
        Ok(Self { job, seed })
    }
}

fn flaws(name: &str) -> Result<Vec<Flaw>, String> {
    if name == "all" {
        return Ok(Flaw::ALL.to_vec());
    }
    match Flaw::ALL.iter().find(|flaw| flaw.name() == name) {
        Some(flaw) => Ok(vec![*flaw]),
        None => {
            let names: Vec<_> = Flaw::ALL.iter().map(|flaw| flaw.name()).collect();
            Err(format!("--bad takes all, or one of {}; not {name:?}", names.join(", ")))
        }
    }
}
