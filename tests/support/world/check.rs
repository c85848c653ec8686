//! The invariants, checked as the world goes on.

use coordha::election::{Event, Output, Status};
use coordha::kv::{Revision, TxnReply};

use super::clock::{Ns, SECOND};
use super::message::{Keys, Kind, Proc};
use super::milvus::old_keys;
use super::node::Shown;
use super::{World, note};

/// Most requests that one session may send in a second.
const BUSY: u32 = 120;

/// The four invariants of `docs/faults.md`, and what else no session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invariant {
    /// 1: tokens strictly increase from term to term.
    TokensGrow,
    /// 2: no guarded write, and no renewal, of a past holder commits; a ledger never goes back.
    WritesAreFenced,
    /// 3: the intervals in which sessions hold the role do not overlap.
    OneHolder,
    /// 4: once the faults have ended, exactly one session becomes active.
    OneBecomesActive,
    /// 4: and every live session is able to win.
    EverySessionCanWin,
    /// A term that was over is not taken up again.
    TermsEndForGood,
    /// A session holds a term that its own transaction started.
    TokenIsOwn,
    /// Each ACTIVATE is followed by one DEACTIVATE and one TERM_ENDED, before the next.
    EventsPair,
    /// Nothing comes after ENDED.
    EndedIsLast,
    /// No session floods the store.
    NoHotLoop,
    /// A key that a stranger holds by a lease is not written over.
    StrangersAreRespected,
    /// No term starts while a Milvus session that can be known of acts for the role.
    MilvusIsAwaited,
}

impl Invariant {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TokensGrow => "tokens-grow",
            Self::WritesAreFenced => "writes-are-fenced",
            Self::OneHolder => "one-holder",
            Self::OneBecomesActive => "one-becomes-active",
            Self::EverySessionCanWin => "every-session-can-win",
            Self::TermsEndForGood => "terms-end-for-good",
            Self::TokenIsOwn => "token-is-own",
            Self::EventsPair => "events-pair",
            Self::EndedIsLast => "ended-is-last",
            Self::NoHotLoop => "no-hot-loop",
            Self::StrangersAreRespected => "strangers-are-respected",
            Self::MilvusIsAwaited => "milvus-is-awaited",
        }
    }
}

/// An invariant that was broken.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) what: String,
}

/// Who is in the way of a term that is about to start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InTheWay {
    /// A stranger holds the active key.
    stranger: bool,
    /// A Milvus session acts, by its server ID; 0: it is of a coordinator before mixcoord.
    milvus: Option<i64>,
}

/// What is known of one role from outside of all sessions.
pub(crate) struct RoleWatch {
    pub(crate) name: &'static str,
    pub(crate) keys: Keys,
    /// Which process started the term of which token.
    pub(crate) owners: Vec<(Revision, Proc)>,
    /// Token of the newest term in which a session was told to activate.
    pub(crate) token: Revision,
    /// How many such terms there were.
    pub(crate) terms: u64,
    /// Who holds now, or was the last to.
    pub(crate) holder: Option<usize>,
    /// The highest token that the ledger has seen.
    pub(crate) ledger: Revision,
    /// When the last renewal committed, an acquisition counted as one.
    pub(crate) renewed: Ns,
    /// H of the newest term.
    pub(crate) hold: Ns,
    /// When a stranger put the active key last by hand.
    pub(crate) stranger: Revision,
    /// Campaigns that reached the store since the newest term began.
    pub(crate) campaigns: u32,
    /// The same for the term before.
    pub(crate) last_campaigns: u32,
}

impl RoleWatch {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            keys: Keys::of(name),
            owners: Vec::new(),
            token: 0,
            terms: 0,
            holder: None,
            ledger: 0,
            renewed: 0,
            hold: SECOND,
            stranger: 0,
            campaigns: 0,
            last_campaigns: 0,
        }
    }

    fn owner(&self, token: Revision) -> Option<Proc> {
        let at = self.owners.binary_search_by_key(&token, |(token, _)| *token).ok()?;
        Some(self.owners[at].1)
    }
}

impl World {
    pub(crate) fn violate(&mut self, invariant: Invariant, what: String) {
        note!(self, "VIOLATED {}: {what}", invariant.name());
        if self.violation.is_none() {
            self.violation = Some(Violation { invariant, what });
        }
    }

    /// All terms that were started, over all roles.
    pub(crate) fn terms(&self) -> u64 {
        self.roles.iter().map(|role| role.terms).sum()
    }

    /// The status of a session becomes visible to its process's other threads.
    pub(crate) fn publish(&mut self, at: usize, status: Status) {
        let now = self.now;
        let before = std::mem::replace(&mut self.nodes[at].status, status);
        if before == status || status.token == 0 {
            return;
        }
        let node = &self.nodes[at];
        if !node.holds(now) {
            return;
        }
        let token = status.token;
        let (role, proc) = (node.role, node.proc);
        let over = node.over;
        let held_before = before.token == token && node.clock.read(now) < before.deadline;
        if token <= over || (before.token == token && !held_before) {
            self.violate(Invariant::TermsEndForGood, format!("n{at} holds {token} again, after it was over"));
        }
        if self.roles[role].owner(token) != Some(proc) {
            self.violate(Invariant::TokenIsOwn, format!("n{at} holds {token}, which it never started"));
        }
        let other = (0..self.nodes.len()).find(|other| {
            let node = &self.nodes[*other];
            *other != at && node.role == role && node.holds(now)
        });
        if let Some(other) = other {
            let theirs = self.nodes[other].status.token;
            self.violate(Invariant::OneHolder, format!("n{at} holds {token} while n{other} holds {theirs}"));
        }
        self.roles[role].holder = Some(at);
        if before.token != token || before.deadline != status.deadline {
            note!(
                self,
                "n{at} holds {token} until {:?}, {} us from now",
                status.deadline,
                self.nodes[at].clock.when(status.deadline).saturating_sub(now) / 1000
            );
        }
    }

    pub(crate) fn check_output(&mut self, at: usize, output: &Output) {
        if self.nodes[at].ended.is_some() {
            self.violate(Invariant::EndedIsLast, format!("n{at} after ENDED: {output:?}"));
        }
        if self.nodes[at].window.1 > BUSY {
            let what = format!("n{at} has sent {BUSY} requests within a second");
            self.violate(Invariant::NoHotLoop, what);
        }
    }

    pub(crate) fn check_event(&mut self, at: usize, event: &Event) {
        let (role, auto) = (self.nodes[at].role, self.nodes[at].config.auto);
        if let Event::Holder(Some(holder)) | Event::Standby(Some(holder)) = event {
            self.nodes[at].shown.told.push(holder.token);
        }
        let told = &mut self.nodes[at].told;
        let open = |told: &super::node::Told| told.token != 0 && (told.deactivate, told.ended) != (1, 1);
        let mut wrong = None;
        match event {
            Event::Activate { token } => {
                if open(told) || (told.token != 0 && !told.acknowledged && !auto) {
                    wrong = Some(format!("ACTIVATE {token} before the end of {told:?}"));
                }
                *told = super::node::Told { token: *token, ..Default::default() };
                let watch = &mut self.roles[role];
                if *token <= watch.token {
                    let what = format!("n{at} activates {token} after {}", watch.token);
                    self.violate(Invariant::TokensGrow, what);
                } else {
                    watch.token = *token;
                    watch.terms += 1;
                }
                self.fire_on_activate();
            }
            Event::Deactivate { token, .. } => {
                told.deactivate += 1;
                if told.token != *token || told.deactivate > 1 {
                    wrong = Some(format!("DEACTIVATE {token} after {told:?}"));
                }
            }
            Event::TermEnded { token, .. } => {
                told.ended += 1;
                if told.token != *token || told.ended > 1 {
                    wrong = Some(format!("TERM_ENDED {token} after {told:?}"));
                }
                self.nodes[at].over = *token;
                if self.nodes[at].holds(self.now) && self.nodes[at].status.token == *token {
                    let what = format!("n{at} still holds {token} after TERM_ENDED");
                    self.violate(Invariant::TermsEndForGood, what);
                }
            }
            Event::Active { token } | Event::Jeopardy { token } | Event::Safe { token }
                if told.token != *token || told.ended > 0 =>
            {
                wrong = Some(format!("{event:?} after {told:?}"));
            }
            Event::Ended(_) if open(told) => wrong = Some(format!("ENDED after {told:?}")),
            _ => {}
        }
        if let Some(wrong) = wrong {
            self.violate(Invariant::EventsPair, format!("n{at}: {wrong}"));
        }
    }

    /// What must be known of the store before a transaction of a session is done: who is in its way. `saw`: what the session knew
    /// of who held the role.
    pub(crate) fn before_commit(&mut self, at: usize, kind: Kind, saw: &Shown) -> InTheWay {
        if kind != Kind::Campaign {
            return InTheWay::default();
        }
        let index = self.nodes[at].role;
        let overlapped = self.overlapped_milvus(index, saw).filter(|_| !self.skipped);
        let role = &mut self.roles[index];
        role.campaigns += 1;
        let active = self.store.get(&role.keys.active);
        let stranger = active.is_some_and(|kv| kv.lease != 0 && role.owner(kv.mod_revision).is_none());
        let old = role.name == "mixcoord" && old_keys().iter().any(|key| self.store.get(key).is_some());
        InTheWay { stranger, milvus: overlapped.or(old.then_some(0)) }
    }

    pub(crate) fn check_commit(&mut self, at: usize, proc: Proc, kind: Kind, before: InTheWay, reply: &TxnReply) {
        if !reply.succeeded {
            return;
        }
        let (now, role) = (self.now, self.nodes[at].role);
        let hold = self.nodes[at].hold(self.config.min_ttl);
        let watch = &mut self.roles[role];
        match kind {
            Kind::Campaign => {
                watch.owners.push((reply.revision, proc));
                watch.renewed = now;
                watch.hold = hold;
                watch.last_campaigns = std::mem::take(&mut watch.campaigns);
                if let Some(id) = before.milvus {
                    let what = format!("n{at} starts a term while Milvus {id} acts (0: one of before mixcoord)");
                    self.violate(Invariant::MilvusIsAwaited, what);
                }
                self.forget_milvus(role);
                if before.stranger {
                    let what = format!("n{at} wrote over the key that a stranger holds");
                    self.violate(Invariant::StrangersAreRespected, what);
                }
            }
            Kind::Renew => {
                watch.renewed = now;
                let active = self.store.get(&watch.keys.active);
                let owner = active.and_then(|kv| watch.owner(kv.mod_revision));
                if owner != Some(proc) {
                    let what = format!("a renewal of n{at} committed, and the role is not its own");
                    self.violate(Invariant::WritesAreFenced, what);
                }
            }
            _ => {}
        }
        self.fire_on_commit(kind);
    }

    pub(crate) fn check_write(&mut self, role: usize, proc: Proc, token: Revision, done: bool) {
        let watch = &self.roles[role];
        let current = self.store.get(&watch.keys.active).map_or(0, |kv| kv.mod_revision);
        if done != (current == token) || (done && watch.owner(token) != Some(proc)) {
            let what = format!("a write guarded by {token} done: {done}, the active key is at {current}");
            self.violate(Invariant::WritesAreFenced, what);
        }
    }

    /// The ledger refuses a token below the highest it has seen, so all that it takes is of the newest writer.
    pub(crate) fn check_ledger(&mut self, role: usize, proc: Proc, token: Revision) {
        let watch = &mut self.roles[role];
        if token < watch.ledger {
            return;
        }
        watch.ledger = token;
        if watch.owner(token) != Some(proc) {
            let what = format!("the ledger took {token} of a process that never held it");
            self.violate(Invariant::WritesAreFenced, what);
        }
    }
}
