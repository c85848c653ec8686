//! What is explored by default, at length, and for each known-bad variant of the core.

use coordha::election::Flaw;

use crate::plan::{ALWAYS, Fault, Plan};

/// Every kind of thing that goes wrong once, each on its own and some together; with how many states to reach.
pub(crate) fn plans(states: usize) -> Vec<(Plan, usize)> {
    let one = |name, faults: &[(Fault, u8)]| {
        let plan = Plan::new(name).with(Fault::Freeze, 1);
        let plan = faults.iter().fold(plan, |p, (fault, n)| p.with(*fault, *n));
        (plan, states)
    };
    let mut asleep = Plan::new("asleep for any time").with(Fault::Freeze, ALWAYS);
    asleep.newest = true;
    vec![
        (asleep, states),
        one("a lease ends early", &[(Fault::Lease, 1)]),
        one("keys deleted by hand", &[(Fault::Active, 1), (Fault::Term, 1)]),
        one("strangers write", &[(Fault::Garbage, 1), (Fault::Put, 1), (Fault::Milvus, 1)]),
        one("a crash", &[(Fault::Crash, 1)]),
        one("asked to leave", &[(Fault::Resign, 1), (Fault::Stop, 1)]),
        one("watches and connections break", &[(Fault::Watch, 1), (Fault::Refuse, 1)]),
        (without_its_key(), states),
        (unseen().with(Fault::Freeze, 1), states),
        (beside_a_stuck_one().with(Fault::Freeze, 1), states),
        (lingering().with(Fault::Freeze, 1).with(Fault::Resign, 1), states),
    ]
}

/// A Milvus holder loses its key alone, and one of the sessions has not seen it.
fn without_its_key() -> Plan {
    let faults = [(Fault::Milvus, 1), (Fault::Active, 2), (Fault::Watch, 1), (Fault::Crash, 1)];
    let plan = Plan::new("a Milvus holder without its key").with(Fault::Freeze, 1);
    let mut plan = faults.iter().fold(plan, |plan, (fault, n)| plan.with(*fault, *n));
    (plan.twice, plan.strays) = (false, 0);
    plan
}

/// A Milvus holder acts on for two ticks after its end, and the sessions leave the role alone for as long.
fn lingering() -> Plan {
    let mut plan = Plan::new("a Milvus holder that acts on").with(Fault::Milvus, 1);
    (plan.delay_ms, plan.lingers) = (2500, 2);
    (plan.twice, plan.strays) = (false, 0);
    plan
}

/// A Milvus holder comes and loses its key before the watches have told of it; a read shows that nobody holds the role.
fn unseen() -> Plan {
    let mut plan = Plan::new("a Milvus holder that a read does not show").with(Fault::Milvus, 1).with(Fault::Active, 2);
    (plan.twice, plan.strays, plan.unseen) = (false, 0, true);
    plan
}

/// One session has nobody to make it way, so more comes into reach.
fn one_alone(name: &'static str, plan: Plan) -> Plan {
    Plan { name, sessions: 1, ..plan }
}

/// A Milvus standby is stuck, and never holds the role: it is in nobody's way.
fn beside_a_stuck_one() -> Plan {
    let mut plan = Plan::new("a Milvus standby that is stuck").with(Fault::Stuck, 1).with(Fault::Active, 2);
    plan = plan.with(Fault::Lease, 1).with(Fault::Resign, 1);
    (plan.twice, plan.strays) = (false, 0);
    plan
}

/// The plans that are explored to their end.
pub(crate) fn closed() -> [Plan; 3] {
    let mut plan = Plan::new("messages alone, to the end");
    plan.twice = false;
    let unseen = one_alone("one session, and a Milvus holder that a read does not show", unseen());
    let stuck = one_alone("one session, and a Milvus standby that is stuck", beside_a_stuck_one());
    [plan, unseen.with(Fault::Freeze, 1), stuck]
}

/// Three sessions, and a little of everything.
pub(crate) fn three() -> Plan {
    let mut plan = Plan::new("three sessions")
        .with(Fault::Freeze, 2)
        .with(Fault::Lease, 1)
        .with(Fault::Resign, 1)
        .with(Fault::Crash, 1);
    plan.sessions = 3;
    plan
}

/// Three sessions, and everything that can go wrong, some times each.
pub(crate) fn anything() -> Plan {
    let faults = [
        Fault::Lease,
        Fault::Active,
        Fault::Term,
        Fault::Garbage,
        Fault::Put,
        Fault::Crash,
        Fault::Resign,
        Fault::Watch,
        Fault::Refuse,
    ];
    let plan = Plan::new("anything, at random").with(Fault::Freeze, ALWAYS);
    let mut plan = faults.iter().fold(plan, |p, fault| p.with(*fault, 3));
    plan.sessions = 3;
    plan
}

/// Whether a known-bad variant breaks a rule here. The role that is explored is no mixcoord.
pub(crate) fn shows(flaw: Flaw) -> bool {
    flaw != Flaw::OldSessionsIgnored
}

/// The plan that a known-bad variant must be caught by.
pub(crate) fn against(flaw: Flaw) -> Plan {
    let plan = match flaw {
        Flaw::TakeoverDelayIgnored => lingering(),
        Flaw::AnswerEndsDoubt => one_alone(flaw.name(), unseen()),
        _ => Plan::new(flaw.name()),
    };
    let plan = plan.with(Fault::Freeze, ALWAYS);
    let mut plan = match flaw {
        Flaw::MilvusMemberIgnored => plan.with(Fault::Milvus, 1).with(Fault::Active, 1),
        Flaw::AcquireIgnoresActive => plan.with(Fault::Milvus, 1),
        Flaw::ReuseTerm | Flaw::ActUntilReleased => plan.with(Fault::Resign, 1),
        Flaw::RereadExtends => plan.with(Fault::Watch, 1),
        Flaw::AbsentIsPermission => plan.with(Fault::Active, 1).with(Fault::Term, 1),
        _ => plan,
    };
    plan.flaw = Some(flaw);
    plan
}
