//! All that can happen next.

use std::sync::Arc;

use coordha::election::Role;

use crate::blind;
use crate::body::{Body, Reads, Write};
use crate::canon;
use crate::check;
use crate::input::{In, User};
use crate::lab::{Lab, Outcome};
use crate::names::{ACTIVE, CLIENTS, ID, KEYS, MEMBER, MILVUS, STUCK, TERM};
use crate::plan::{ALWAYS, Fault};
use crate::state::{LEASES_EACH, MILVUS_LEASE, Mail, Part, Post, Rev, Revs, SEATS, STUCK_LEASE, Seat, State, Top};
use crate::store::{self, Breach};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// A message reaches its session.
    Deliver(Mail),
    /// The store does a request.
    Apply(Mail),
    /// A session looks at its clock.
    Tick(usize),
    /// Time passes.
    Time,
    LeaseEnds(u8),
    User(usize, User),
    /// A session starts in the place of one that has ended.
    Start(usize),
    Crash(usize),
    WatchFails(usize),
    Refuse(Mail),
    ByHand(Fault),
}

/// No seat: nobody waits for the answer.
const NOBODY: u8 = u8::MAX;

/// The lane of reads.
const READS: u8 = 1;

/// The start: all sessions are registered, one after the other, undisturbed.
pub(crate) fn start(lab: &mut Lab) -> Result<State, Breach> {
    let plan = Arc::clone(&lab.plan);
    let empty = Seat { part: Part::new(0, []), client: 0, watching: false, stopped: false, app: 0 };
    let mut state = State {
        seats: Vec::with_capacity(SEATS),
        cells: [None; KEYS],
        leases: 1 << MILVUS_LEASE | 1 << STUCK_LEASE,
        ended: 0,
        left: [0; STUCK_LEASE as usize + 1],
        mail: Vec::new(),
        budget: plan.budget,
        clients: 0,
        top: Top::default(),
        blind: 0,
        sent_blind: 0,
    };
    for seat in 0..plan.sessions {
        state.seats.push(empty);
        sit(&mut state, lab, seat)?;
    }
    // What they have to tell each other about that is told.
    while let Some(at) = state.mail.iter().position(|m| matches!(m.post, Post::Notice(_))) {
        let mail = state.mail.remove(at);
        step(&mut state, lab, mail.seat as usize, &In::Changes(mail.part));
    }
    check::check(&mut state, lab)?;
    canon::settle(&mut state, None, lab);
    Ok(state)
}

/// Starts the next session at a seat, up to where it is registered.
fn sit(state: &mut State, lab: &mut Lab, seat: usize) -> Result<(), Breach> {
    let client = state.clients;
    state.clients += 1;
    state.seats[seat] = Seat { part: Part::new(0, []), client, watching: false, stopped: false, app: 0 };
    let outcome = lab.start(seat, client);
    take(state, lab, seat, &outcome, Revs::default());
    loop {
        let mine = |mail: &Mail| mail.seat as usize == seat;
        let next = state.mail.iter().position(|mail| {
            let registers = matches!(mail.post, Post::Request(_)) && mine(mail);
            registers && is_registration(lab.body(mail.part.shape))
        });
        let Some(at) = next else {
            return Ok(());
        };
        let mail = state.mail.remove(at);
        let Post::Request(lane) = mail.post else {
            continue;
        };
        let body = store::apply(state, lab, &mail.part, client)?;
        step(state, lab, seat, &In::Answer { lane, body });
    }
}

fn is_registration(body: &Body) -> bool {
    match body {
        Body::Grant => true,
        Body::Txn { success, shows, .. } => {
            let registers = |w: &Write| matches!(w, Write::Put { key, .. } if *key == ID || *key >= MEMBER);
            success.iter().all(registers) && (*shows != Reads::Nothing || !success.is_empty())
        }
        _ => false,
    }
}

/// Runs a session, and puts what it did into the state.
fn step(state: &mut State, lab: &mut Lab, seat: usize, input: &In) -> Arc<Outcome> {
    let part = state.seats[seat].part;
    let all = input.all(&part);
    let outcome = lab.step(seat, &part, input);
    take(state, lab, seat, &outcome, all);
    outcome
}

fn take(state: &mut State, lab: &mut Lab, seat: usize, outcome: &Outcome, all: Revs) {
    let all = all.list();
    let real = |rank: Rev| all.at(rank);
    state.seats[seat].part = Part::new(outcome.shape, outcome.revs.iter().map(|r| real(*r)));
    disown(state, seat, |lane| outcome.kept & 1 << lane == 0);
    for send in &outcome.sends {
        let part = Part::new(send.body, send.revs.iter().map(|r| real(*r)));
        blind::sends(state, lab, seat as u8, &part);
        state.mail.push(Mail { post: Post::Request(send.lane), seat: seat as u8, part });
    }
    if let Some(token) = outcome.activate.filter(|_| lab.plan.by_hand) {
        state.seats[seat].app = real(token);
    }
    if let Some(behind) = outcome.watch {
        watch(state, lab, seat, real(behind));
    }
}

/// Nobody waits any more for the answers in these lanes.
fn disown(state: &mut State, seat: usize, of: impl Fn(u8) -> bool) {
    for mail in state.mail.iter_mut().filter(|m| m.seat as usize == seat) {
        match mail.post {
            Post::Request(lane) if of(lane) => (mail.post, mail.seat) = (Post::Stray, NOBODY),
            Post::Answer(lane) if of(lane) => mail.seat = NOBODY,
            _ => {}
        }
    }
    state.mail.retain(|mail| mail.seat != NOBODY || mail.post == Post::Stray);
}

fn unwatch(state: &mut State, seat: usize) {
    state.seats[seat].watching = false;
    let notice = |mail: &Mail| mail.seat as usize == seat && matches!(mail.post, Post::Notice(_));
    state.mail.retain(|mail| !notice(mail));
}

/// A watch begins: what has changed since is on its way to it.
fn watch(state: &mut State, lab: &mut Lab, seat: usize, behind: Rev) {
    unwatch(state, seat);
    state.seats[seat].watching = true;
    let at = state.next_revision();
    if at <= behind + 2 {
        return;
    }
    let missed = (ACTIVE..KEYS as u8).filter(|key| match &state.cells[*key as usize] {
        Some(cell) => cell.modified > behind,
        // It may have been deleted since.
        None if *key >= MILVUS => lab.plan.has_milvus(),
        None => *key == ACTIVE || *key == TERM || *key - MEMBER < state.clients,
    });
    let missed: Vec<u8> = missed.collect();
    store::show(state, lab, seat as u8, &missed, at);
}

/// Everything that can happen next, what happens when all is well first.
pub(crate) fn successors(
    from: &State,
    lab: &mut Lab,
    emit: &mut dyn FnMut(&mut Lab, Move, State),
) -> Result<(), (Move, Breach)> {
    let mut next: Vec<(Move, Result<State, Breach>)> = Vec::new();
    well(from, lab, &mut next);
    ill(from, lab, &mut next);
    for (what, state) in next {
        let mut state = state.map_err(|breach| (what, breach))?;
        check::check(&mut state, lab).map_err(|breach| (what, breach))?;
        canon::settle(&mut state, Some(from), lab);
        emit(lab, what, state);
    }
    Ok(())
}

type Next = Vec<(Move, Result<State, Breach>)>;

fn push(next: &mut Next, what: Move, from: &State, change: impl FnOnce(&mut State) -> Result<(), Breach>) {
    let mut state = from.clone();
    let result = change(&mut state);
    next.push((what, result.map(|()| state)));
}

/// What happens when all is well.
fn well(from: &State, lab: &mut Lab, next: &mut Next) {
    for (i, mail) in from.mail.iter().enumerate() {
        let seat = mail.seat as usize;
        if let Post::Answer(lane) = mail.post {
            push(next, Move::Deliver(*mail), from, |s| {
                s.mail.remove(i);
                blind::is_told(s, lab, mail);
                step(s, lab, seat, &In::Answer { lane, body: mail.part });
                Ok(())
            });
        }
    }
    for (i, mail) in from.mail.iter().enumerate() {
        if matches!(mail.post, Post::Request(_)) && blind::may_be_done(from, lab, mail) {
            push(next, Move::Apply(*mail), from, |s| apply(s, lab, i));
        }
    }
    for (i, mail) in from.mail.iter().enumerate() {
        if let Post::Notice(_) = mail.post {
            push(next, Move::Deliver(*mail), from, |s| {
                s.mail.remove(i);
                blind::is_told(s, lab, mail);
                step(s, lab, mail.seat as usize, &In::Changes(mail.part));
                Ok(())
            });
        }
    }
    for seat in 0..from.seats.len() {
        for user in answers(from, lab, seat) {
            push(next, Move::User(seat, user), from, |s| {
                ask(s, lab, seat, user);
                Ok(())
            });
        }
    }
    for seat in 0..from.seats.len() {
        push(next, Move::Tick(seat), from, |s| {
            step(s, lab, seat, &In::Tick);
            Ok(())
        });
    }
    for lease in orphans(from, lab) {
        push(next, Move::LeaseEnds(lease), from, |s| {
            store::end_lease(s, lab, lease);
            Ok(())
        });
    }
    for seat in 0..from.seats.len() {
        if ended(from, lab, seat) && (from.clients as usize) < CLIENTS {
            push(next, Move::Start(seat), from, |s| sit(s, lab, seat));
        }
    }
    pass_time(from, lab, next);
}

fn pass_time(from: &State, lab: &mut Lab, next: &mut Next) {
    let frozen = (0..from.seats.len()).filter(|seat| is_due(from, lab, *seat));
    let frozen = u8::try_from(frozen.count()).unwrap();
    if frozen <= from.budget[Fault::Freeze as usize] {
        push(next, Move::Time, from, |s| {
            (0..frozen).for_each(|_| spend(s, Fault::Freeze));
            for (i, seat) in s.seats.iter_mut().enumerate() {
                seat.part.shape = lab.age(i, seat.part.shape);
            }
            s.left.iter_mut().for_each(|left| *left = left.saturating_sub(1));
            Ok(())
        });
    }
}

/// Whether a session has something to do at this instant.
fn is_due(state: &State, lab: &mut Lab, seat: usize) -> bool {
    let part = &state.seats[seat].part;
    let outcome = lab.step(seat, part, &In::Tick);
    let all = In::Tick.all(part).list();
    outcome.shape != part.shape
        || !outcome.sends.is_empty()
        || !outcome.revs.iter().map(|r| all.at(*r)).eq(part.revs().iter().copied())
}

/// The store does a request; where somebody waits for the answer, that is on its way then.
fn apply(state: &mut State, lab: &mut Lab, at: usize) -> Result<(), Breach> {
    let mail = state.mail[at];
    match mail.post {
        Post::Request(lane) => {
            state.mail.remove(at);
            let client = state.seats[mail.seat as usize].client;
            let part = store::apply(state, lab, &mail.part, client)?;
            state.mail.push(Mail { post: Post::Answer(lane), part, ..mail });
            if lab.plan.twice {
                state.mail.push(Mail { post: Post::Stray, seat: NOBODY, ..mail });
            }
        }
        _ => {
            // It stays: another like it may have been sent.
            store::apply(state, lab, &mail.part, 0)?;
        }
    }
    Ok(())
}

/// What the application may say at this seat.
fn answers(state: &State, lab: &mut Lab, seat: usize) -> Vec<User> {
    let shape = lab.shape(state.seats[seat].part.shape);
    match shape.role {
        _ if state.seats[seat].app == 0 => Vec::new(),
        Role::Activating => vec![User::Ready, User::Failed],
        Role::Deactivating => vec![User::Left],
        _ => Vec::new(),
    }
}

fn ask(state: &mut State, lab: &mut Lab, seat: usize, user: User) {
    let token = match user {
        User::Resign | User::Stop => 0,
        _ => state.seats[seat].app,
    };
    let outcome = step(state, lab, seat, &In::User(user, token));
    if user == User::Left && !outcome.refused {
        state.seats[seat].app = 0;
    }
}

fn ended(state: &State, lab: &mut Lab, seat: usize) -> bool {
    lab.shape(state.seats[seat].part.shape).role == Role::Ended
}

/// Leases that end by themselves: nobody keeps them alive, or not since the time to live.
fn orphans(state: &State, lab: &mut Lab) -> Vec<u8> {
    let mut live = Vec::new();
    for seat in 0..state.seats.len() {
        if !ended(state, lab, seat) {
            live.push(state.seats[seat].client);
        }
    }
    let kept = |lease: u8| live.contains(&((lease - 1) / LEASES_EACH));
    let milvus = milvus_may_end(state, lab);
    let late = |lease: u8| lab.plan.ttl.is_some() && state.left[lease as usize] == 0;
    (1..=MILVUS_LEASE)
        .filter(|lease| state.lives(*lease) && (!kept(*lease) || late(*lease)))
        .filter(|lease| *lease != MILVUS_LEASE || milvus)
        .collect()
}

fn milvus_may_end(state: &State, lab: &mut Lab) -> bool {
    state.cells[MILVUS as usize].is_some() && (lab.plan.lingers == 0 || all_know(state, lab))
}

/// Whether all that happened to the active key is known to those that watch, and no campaign is under way. A Milvus
/// coordinator that comes and goes unseen, and acts on, cannot be known of: the protocol does not promise it.
fn all_know(state: &State, lab: &mut Lab) -> bool {
    is_quiet(state, lab) && !state.mail.iter().any(|mail| mail.post == Post::Notice(0))
}

/// Whether no campaign is under way, and no watch begins: that would show what each key has become, not all that it was.
fn is_quiet(state: &State, lab: &mut Lab) -> bool {
    let watch = |lab: &mut Lab, seat: usize| state.seats[seat].watching || ended(state, lab, seat);
    (0..state.seats.len()).all(|seat| watch(lab, seat))
        && !state.mail.iter().any(|mail| match mail.post {
            Post::Notice(_) => false,
            Post::Answer(lane) => lane == READS,
            Post::Request(_) | Post::Stray => blind::campaigns(lab, &mail.part),
        })
}

/// What goes wrong.
fn ill(from: &State, lab: &mut Lab, next: &mut Next) {
    for (i, mail) in from.mail.iter().enumerate() {
        if mail.post == Post::Stray {
            push(next, Move::Apply(*mail), from, |s| apply(s, lab, i));
        }
    }
    let left = |fault: Fault| from.budget[fault as usize] > 0;
    if left(Fault::Refuse) {
        for (i, mail) in from.mail.iter().enumerate() {
            let Post::Request(lane) = mail.post else {
                continue;
            };
            push(next, Move::Refuse(*mail), from, |s| {
                spend(s, Fault::Refuse);
                s.mail.remove(i);
                let body = Part::new(lab.body_number(Body::Unavailable), []);
                step(s, lab, mail.seat as usize, &In::Answer { lane, body });
                Ok(())
            });
        }
    }
    for seat in 0..from.seats.len() {
        if !ended(from, lab, seat) {
            ill_session(from, lab, seat, next);
        }
    }
    for fault in [Fault::Active, Fault::Term, Fault::Garbage, Fault::Put, Fault::Milvus, Fault::Stuck] {
        let cell = |key: u8| from.cells[key as usize].is_some();
        let possible = match fault {
            Fault::Milvus => !cell(ACTIVE) && !cell(MILVUS) && from.lives(MILVUS_LEASE),
            Fault::Active | Fault::Put if !cell(MILVUS) => cell(ACTIVE),
            Fault::Active | Fault::Put if lab.plan.unseen => cell(ACTIVE) && is_quiet(from, lab),
            Fault::Active | Fault::Put => cell(ACTIVE) && all_know(from, lab),
            Fault::Stuck => cell(ACTIVE) && all_know(from, lab),
            _ => cell(TERM),
        };
        if left(fault) && possible {
            push(next, Move::ByHand(fault), from, |s| {
                spend(s, fault);
                by_hand(s, lab, fault);
                Ok(())
            });
        }
    }
}

fn spend(state: &mut State, fault: Fault) {
    let left = &mut state.budget[fault as usize];
    if *left != ALWAYS {
        *left -= 1;
    }
}

fn ill_session(from: &State, lab: &mut Lab, seat: usize, next: &mut Next) {
    let left = |fault: Fault| from.budget[fault as usize] > 0;
    let client = from.seats[seat].client;
    if left(Fault::Lease) {
        for lease in client * LEASES_EACH + 1..=(client + 1) * LEASES_EACH {
            if from.lives(lease) {
                push(next, Move::LeaseEnds(lease), from, |s| {
                    spend(s, Fault::Lease);
                    store::end_lease(s, lab, lease);
                    Ok(())
                });
            }
        }
    }
    if left(Fault::Watch) && from.seats[seat].watching {
        push(next, Move::WatchFails(seat), from, |s| {
            spend(s, Fault::Watch);
            unwatch(s, seat);
            step(s, lab, seat, &In::WatchFails);
            Ok(())
        });
    }
    for (fault, user) in [(Fault::Resign, User::Resign), (Fault::Stop, User::Stop)] {
        if left(fault) && !from.seats[seat].stopped {
            push(next, Move::User(seat, user), from, |s| {
                spend(s, fault);
                s.seats[seat].stopped = user == User::Stop;
                ask(s, lab, seat, user);
                Ok(())
            });
        }
    }
    if left(Fault::Crash) && (from.clients as usize) < CLIENTS {
        push(next, Move::Crash(seat), from, |s| {
            spend(s, Fault::Crash);
            unwatch(s, seat);
            disown(s, seat, |_| true);
            sit(s, lab, seat)
        });
    }
}

/// What somebody does to the keys by hand, or another kind of process.
fn by_hand(state: &mut State, lab: &mut Lab, fault: Fault) {
    if matches!(fault, Fault::Active | Fault::Put) {
        blind::loses_its_key(state, lab);
    }
    let milvus = br#"{"ServerID":99,"ServerName":"c","Address":"m:1","Version":"2.5.0","LeaseID":99}"#;
    match fault {
        Fault::Active => store::by_hand(state, lab, ACTIVE, None, 0),
        Fault::Term => store::by_hand(state, lab, TERM, None, 0),
        Fault::Garbage => store::by_hand(state, lab, TERM, Some(b"{"), 0),
        Fault::Put => store::by_hand(state, lab, ACTIVE, Some(b"{"), 0),
        Fault::Milvus => {
            store::by_hand(state, lab, MILVUS, Some(milvus), MILVUS_LEASE);
            store::by_hand(state, lab, ACTIVE, Some(milvus), MILVUS_LEASE);
        }
        Fault::Stuck => {
            let stuck = br#"{"ServerID":98,"ServerName":"c","Address":"m:2","Version":"2.5.0","LeaseID":98}"#;
            store::by_hand(state, lab, STUCK, Some(stuck), STUCK_LEASE);
        }
        other => panic!("{other:?} is no deed of a hand"),
    }
}
