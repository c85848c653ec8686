//! What the session's state asks of the command, step by step.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use coordha::session::activation_failed;
use serde_json::json;

use super::super::child::{Child, Death, Kind, Stage};
use super::super::clock::{self, Instant};
use super::super::exec::Orders;
use super::super::guardian::{Charge, Guardian};
use super::super::restart::Backoff;
use super::super::say;
use super::super::tell::{Activation, Tell, Work, write_file};
use super::{Supervisor, Term};

/// The number of a failed activation in the events' errors.
const COMMAND_FAILED: i32 = 1;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The command, active in the term of this token.
    Active(i64),
    /// Whatever stands by.
    Standby,
    Nothing,
}

impl Supervisor {
    /// Does what can be done now.
    pub(super) fn do_duty(&mut self) {
        self.hear_guardian();
        self.settle_death();
        self.check_ready(clock::now());
        let wanted = self.wanted();
        let now = clock::now();
        match self.child.take() {
            None => self.without_child(wanted),
            Some(mut child) => {
                self.lead(&mut child, wanted, now);
                if child.stage == Stage::Killed && child.is_gone(self.cgroup.as_ref(), &self.spared()) {
                    self.without_child(self.wanted());
                } else {
                    self.child = Some(child);
                }
            }
        }
        self.finish_activation();
        self.keep_guarded(clock::now());
        let mut facts = self.board.facts();
        facts.acts = self.child.as_ref().is_some_and(|child| child.acts && child.stage == Stage::Running);
        facts.pauses_until = self.not_before.max(self.not_armed_before);
        facts.stops = self.stops > 0 || self.outcome.is_some();
    }

    fn wanted(&self) -> Wanted {
        match &self.term {
            _ if self.stops > 0 || self.ended.is_some() || self.outcome.is_some() => Wanted::Nothing,
            Some(term) if term.ending => Wanted::Nothing,
            Some(term) => Wanted::Active(term.token),
            None => Wanted::Standby,
        }
    }

    /// Ends a term whose command is not ready in time.
    fn check_ready(&mut self, now: Instant) {
        let is_late = |term: &&mut Term| !term.ready && !term.ending && now >= term.ready_by;
        let Some(term) = self.term.as_mut().filter(is_late) else { return };
        (term.is_late, term.ending) = (true, true);
        self.activation = None;
        say::warn(format!("{}: it is stopped, then the role is given up", self.plan.not_ready()));
    }

    /// Nothing of a term runs: says so, and makes ready for the next one.
    fn without_child(&mut self, wanted: Wanted) {
        if let Some(term) = self.term.as_mut().filter(|term| term.is_late) {
            term.is_late = false;
            let failed = activation_failed(COMMAND_FAILED, self.plan.not_ready());
            // An error: the role is lost already.
            let _ = self.session.activation_done(term.token, Err(failed));
        }
        if let Some(term) = self.term.take_if(|term| term.is_asked) {
            // An error: the session's patience has ended first.
            let _ = self.session.deactivation_done(term.token);
            self.activation = None;
        } else if wanted != Wanted::Nothing && clock::now() >= self.not_armed_before {
            let stands_by = wanted == Wanted::Standby && self.plan.standby.is_some();
            self.arm(if stands_by { Kind::Standby } else { Kind::Command });
        }
    }

    fn arm(&mut self, kind: Kind) {
        let standby = self.plan.standby.as_ref().filter(|_| kind == Kind::Standby);
        match Child::arm(kind, standby.unwrap_or(&self.plan.command), self.cgroup.as_ref()) {
            Ok(child) => self.child = Some(child),
            Err(error) => self.cannot_start(kind, &error.to_string()),
        }
    }

    fn cannot_start(&mut self, kind: Kind, why: &str) {
        say::warn(format!("the {} cannot be started: {why}", kind.name()));
        let pause = self.backoff(kind).pause(Duration::ZERO);
        self.not_armed_before = clock::now().saturating_add(clock::ns(pause));
        self.give_up_turn(pause, why);
    }

    /// Each has its own: how the one fares says nothing of the other.
    fn backoff(&mut self, kind: Kind) -> &mut Backoff {
        match kind {
            Kind::Command => &mut self.backoff,
            Kind::Standby => &mut self.standby_backoff,
        }
    }

    /// Lets others try, and pauses.
    fn give_up_turn(&mut self, pause: Duration, why: &str) {
        self.not_before = clock::now().saturating_add(clock::ns(pause));
        match &mut self.term {
            Some(term) if term.ending => {}
            Some(term) if term.ready => {
                term.ending = true;
                say::info(format!("resigning: {why}"));
                // An error: the role is lost already.
                let _ = self.session.resign(pause);
            }
            Some(term) => {
                term.ending = true;
                let _ = self.session.activation_done(term.token, Err(activation_failed(COMMAND_FAILED, why)));
            }
            None => {}
        }
    }

    /// Moves the child towards what is wanted.
    fn lead(&mut self, child: &mut Child, wanted: Wanted, now: Instant) {
        let deadline = if child.acts { self.deadline(now) } else { Instant::MAX };
        let kill_at = deadline.saturating_sub(clock::ns(self.plan.kill_margin()));
        let stop_at = kill_at.saturating_sub(clock::ns(self.plan.stop_margin()));
        match child.stage {
            Stage::Killed => child.kill(self.cgroup.as_ref(), &self.spared()),
            Stage::Stopping { kill_at: grace } if now >= grace => self.kill(child, "it did not stop in time"),
            Stage::Stopping { .. } | Stage::Running if self.stops > 1 => self.kill(child, ""),
            _ if now >= kill_at => {
                self.kill(child, "its role is over, or nearly so");
                // Should it be renewed yet: no second command in this term.
                self.give_up_turn(Duration::ZERO, "the role was not renewed in time");
            }
            _ if child.acts && now >= self.unguarded_at() => {
                self.kill(child, "the guardian does not answer");
                self.give_up_turn(Duration::ZERO, "nobody guards the command");
            }
            Stage::Arming | Stage::Armed if wanted == Wanted::Nothing => self.kill(child, ""),
            Stage::Running if wanted == Wanted::Nothing => child.stop(self.plan.stop_signal, self.plan.grace),
            Stage::Running if now >= stop_at => {
                say::warn("the role could not be renewed for long: the command is told to stop");
                child.stop(self.plan.stop_signal, self.plan.grace);
                self.give_up_turn(Duration::ZERO, "the role could not be renewed");
            }
            Stage::Armed | Stage::Running => self.lead_on(child, wanted, now),
            Stage::Arming | Stage::Stopping { .. } => {}
        }
    }

    fn kill(&self, child: &mut Child, why: &str) {
        if !why.is_empty() {
            say::warn(format!("the command is killed: {why}"));
        }
        child.kill(self.cgroup.as_ref(), &self.spared());
    }

    fn lead_on(&mut self, child: &mut Child, wanted: Wanted, now: Instant) {
        let armed = child.stage == Stage::Armed;
        match wanted {
            Wanted::Active(_) if child.kind == Kind::Standby => {
                if armed {
                    self.kill(child, "");
                } else {
                    child.stop(self.plan.stop_signal, self.plan.grace);
                }
            }
            // The term is over, and its end is on its way.
            Wanted::Active(_) if self.deadline(clock::now()) == 0 => {}
            Wanted::Active(token) if armed && !self.plan.warm => self.start(child, Some(token)),
            Wanted::Active(token) if !armed && !child.acts => self.tell_active(child, token),
            // A warm one is first started as one that stands by, and told then.
            Wanted::Active(_) if armed => self.start(child, None),
            Wanted::Standby if armed && now >= self.not_before && (self.plan.warm || child.kind == Kind::Standby) => {
                self.start(child, None);
            }
            _ => {}
        }
    }

    /// Lets an armed child become the program: active in this term, or standing by.
    fn start(&mut self, child: &mut Child, token: Option<i64>) {
        if token.is_none() {
            self.say_standby();
        }
        child.acts = token.is_some();
        let orders = Orders { until: self.charge(child).kill_at, environment: self.environment(token) };
        if let Err(error) = self.guard(child).and_then(|()| child.go(&orders)) {
            say::warn(format!("the command cannot be started: {error}"));
            self.kill(child, "it could not be started");
            return;
        }
        if let Some(token) = token {
            say::info(format!("the command is started as process {}, token: {token}", child.pid()));
            self.activate(child, Vec::new());
        }
    }

    /// Tells a warm command.
    fn tell_active(&mut self, child: &mut Child, token: i64) {
        child.acts = true;
        if let Err(error) = self.guard(child) {
            self.kill(child, &format!("it is not guarded: {error}"));
            return;
        }
        say::info(format!("the command, process {}, is told that it is active, token: {token}", child.pid()));
        self.activate(child, self.plan.tells.clone());
    }

    /// Says "ready" once it is.
    fn activate(&mut self, child: &Child, tells: Vec<Tell>) {
        if tells.is_empty() && self.plan.ready_url.is_none() {
            self.say_ready();
            return;
        }
        let pidfd = child.program.as_ref().ok_or(io::ErrorKind::NotFound.into()).and_then(|it| it.pidfd.try_clone());
        let work = pidfd.map(|pidfd| Work {
            tells,
            notice: self.notice("active", self.term.as_ref().map_or(0, |term| term.token)),
            ready_url: self.plan.ready_url.clone(),
            pid: child.pid(),
            pidfd,
        });
        match work.and_then(|work| Activation::start(work, std::sync::Arc::clone(self.board.wake()))) {
            Ok(activation) => self.activation = Some(activation),
            Err(error) => self.give_up_turn(Duration::ZERO, &error.to_string()),
        }
    }

    fn finish_activation(&mut self) {
        let Some(activation) = &self.activation else { return };
        if let Some(trouble) = activation.take_trouble() {
            say::info(format!("the command is not ready yet: {trouble}"));
        }
        if activation.is_done() {
            self.activation = None;
            self.say_ready();
        }
    }

    fn say_ready(&mut self) {
        // One whose first command came too late is ready already.
        if let Some(term) = self.term.as_mut().filter(|term| !term.ending && !term.ready) {
            // An error: the term is over, and its end is on its way.
            term.ready = self.session.activation_done(term.token, Ok(())).is_ok();
        }
    }

    /// What the file of a warm command says while it stands by.
    fn say_standby(&self) {
        for tell in &self.plan.tells {
            if let Tell::File(path) = tell
                && let Err(error) = write_file(path, &self.notice("standby", 0))
            {
                say::warn(format!("{tell}: {error}"));
            }
        }
    }

    fn notice(&self, state: &str, token: i64) -> String {
        let notice = json!({
            "state": state, "role": self.session.role_name(), "token": token,
            "server_id": self.session.server_id(), "address": &*self.board.address,
            "active_key": String::from_utf8_lossy(self.session.active_key()),
        });
        notice.to_string()
    }

    fn environment(&self, token: Option<i64>) -> BTreeMap<String, Option<String>> {
        let state = if token.is_some() { "active" } else { "standby" };
        let key = String::from_utf8_lossy(self.session.active_key()).into_owned();
        let variables = [
            ("HA_ROLE", Some(self.session.role_name().to_owned())),
            ("HA_ADDRESS", Some(self.board.address.to_string())),
            ("HA_TOKEN", token.map(|token| token.to_string())),
            ("HA_SERVER_ID", Some(self.session.server_id()).filter(|id| *id != 0).map(|id| id.to_string())),
            ("HA_ACTIVE_KEY", Some(key)),
            ("HA_STATE", Some(state.to_owned())),
        ];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// When the guardian is to kill it.
    fn charge(&self, child: &Child) -> Charge {
        let now = clock::now();
        let kill_at = match child.acts && child.stage != Stage::Killed {
            true => (self.deadline(now).saturating_sub(clock::ns(self.plan.kill_margin() / 2))).max(1),
            false => 0,
        };
        // In whole ms, as it is told again only where it has changed.
        let kill_at = kill_at.div_ceil(1_000_000) * 1_000_000;
        Charge { group: child.pid(), keeper: child.keeper.as_raw(), kill_at }
    }

    /// Tells the guardian of a command that is about to act.
    fn guard(&mut self, child: &Child) -> io::Result<()> {
        let charge = self.charge(child);
        self.guarded_until = charge.kill_at;
        self.guardian.tell(charge)
    }

    fn hear_guardian(&mut self) {
        let Some(charge) = self.guardian.hear() else { return };
        if charge.kill_at != 0 && self.child.as_ref().is_some_and(|child| child.pid() == charge.group) {
            self.guarded_until = charge.kill_at;
        }
    }

    fn keep_guarded(&mut self, now: Instant) {
        let is_silent = self.guardian.silent_at(self.plan.hold).is_some_and(|at| now >= at);
        let has_died = std::mem::take(&mut self.guardian_died);
        if has_died || is_silent {
            if !has_died {
                self.guardian.discard();
            }
            let why = if has_died { "has died" } else { "does not answer" };
            say::warn(format!("the guardian {why}: another one is started"));
            match Guardian::start(self.cgroup.as_ref()) {
                Ok(guardian) => self.guardian = guardian,
                Err(error) => self.cannot_be_guarded(&error),
            }
        }
        let charge = self.child.as_ref().map(|child| self.charge(child)).unwrap_or_default();
        // One that does not read acts by what it was told last: the earlier deadline. It is replaced in time.
        let _ = self.guardian.tell(charge);
    }

    fn cannot_be_guarded(&mut self, error: &io::Error) {
        self.guardian.excuse();
        let why = format!("no guardian can be started: {error}");
        say::warn(why.clone());
        self.failure = Some(why);
        self.session.request_stop();
        self.stops = self.stops.max(1);
    }

    /// The first process of the child is dead: of its own accord?
    fn settle_death(&mut self) {
        let spared = self.spared();
        let Some(child) = &mut self.child else { return };
        let (Some(death), false) = (child.death, child.stage == Stage::Killed) else { return };
        let (stage, kind, acts) = (child.stage, child.kind, child.acts);
        let ran = Duration::from_nanos(clock::now().saturating_sub(child.since));
        child.kill(self.cgroup.as_ref(), &spared);
        let was_late = child.was_late();
        match stage {
            Stage::Running if was_late => say::warn("the command was not started: its term was nearly over by then"),
            // Killed for that by the guardian, or ended because of it: nothing that --restart is about.
            Stage::Running if acts && self.is_over(clock::now()) => {
                say::warn(format!("the command has ended: {death}; its role is over, or nearly so"));
                self.give_up_turn(Duration::ZERO, "the role was not renewed in time");
            }
            Stage::Running => self.ended_by_itself(death, kind, acts, ran),
            Stage::Stopping { .. } => say::info(format!("the command has stopped: {death}")),
            _ => self.cannot_start(kind, &death.to_string()),
        }
    }

    /// Whether the role is over, or was to the guardian, which may have killed the command.
    fn is_over(&self, now: Instant) -> bool {
        now >= self.guarded_until || self.deadline(now) == 0
    }

    fn ended_by_itself(&mut self, death: Death, kind: Kind, acts: bool, ran: Duration) {
        self.activation = None;
        if kind == Kind::Command && !self.plan.restart.wants_more(death) {
            say::info(format!("the command has ended: {death}"));
            self.outcome = Some(death);
            self.session.request_stop();
            return;
        }
        let pause = self.backoff(kind).pause(ran);
        let what = kind.name();
        say::warn(format!("the {what} has ended: {death}; it is started again after {} ms", pause.as_millis()));
        if acts {
            self.give_up_turn(pause, &format!("the command has ended: {death}"));
        } else {
            self.not_before = clock::now().saturating_add(clock::ns(pause));
        }
    }
}
