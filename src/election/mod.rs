//! The election core: a pure state machine. Inputs go in, outputs come out; it knows no I/O, no clock, no thread, no
//! randomness, and no store but the shape of its transactions.
//!
//! # Contract
//!
//! - One mutation, then drain: after each [`Election::start`], [`Election::handle`] or [`Election::request`], take all outputs with
//!   [`Election::poll_output`] and carry them out in order, before the next mutation; then read [`Election::status`] and
//!   publish it, and arm one timer for [`Election::next_timer`].
//! - `now` is read from the clock just before the call and never goes back. It is the time at which an answer or
//!   event *arrived*; a request counts as sent at the `now` of the call that put it out, so put it on the wire after that.
//! - Whoever publishes the status does so before it carries out the outputs: a release must not be on its way while
//!   another thread still reads "active".
//! - Replies may be late, lost, repeated or out of order; watches may be silent. Only a committed write is believed.
//!
//! Why its rules are safe stands in `docs/protocol.md`. Of the files, `lease` registers the session, `campaign` starts
//! terms, `term` holds and ends them, `release` leaves nothing behind, `milvus` is for who else may act, `view` is what has been seen of the store, `request`
//! sends and sorts answers.
//!
//! A handover to a named session would be a third way to start a term, beside the two in `campaign`.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod campaign;
mod flaw;
mod io;
mod lease;
mod milvus;
#[cfg(feature = "testkit")]
mod normal;
mod release;
mod request;
mod term;
mod view;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "testkit")]
pub use flaw::Flaw;
pub use io::{
    Event, Holder, Input, Output, Reason, Reply, Request, RequestId, Role, Settings, Status, StoreRequest, Time,
    WatchId,
};
#[cfg(feature = "testkit")]
pub use normal::{Mark, Renumber};

pub use crate::record::{Cgroup, Process};

use self::campaign::Turn;
use self::lease::Lease;
use self::request::{Kind, Lane, Pending, Source};
use self::term::{Stage, Term};
use self::view::View;
use crate::error::{Error, ErrorKind, Result};
use crate::kv::{KeyRange, LeaseId, Revision, StoreError, WatchItem};
use crate::record::{Active, Keys};

/// One session's side of the election. See the contract on the module's page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Election {
    settings: Arc<Settings>,
    keys: Arc<Keys>,
    #[cfg(feature = "testkit")]
    flawed: flaw::Flawed,
    server_id: i64,
    /// Its server ID is taken by another session.
    awaits_id: bool,
    /// No coordinator of Milvus's is in its place that its keys would keep from starting.
    admitted: bool,
    lease: Option<Lease>,
    lease_after: Time,
    /// Leases lost in a row without one answered keepalive.
    pub(crate) lost_leases: u32,
    registered: bool,
    view: View,
    term: Option<Term>,
    /// Terms with this token or a lower one are never used again.
    burned: Revision,
    /// An acquisition was not answered: whether it holds the role shows in the next read.
    uncertain: bool,
    turn: Option<Turn>,
    /// Acquisitions in a row that failed.
    misses: u32,
    campaign_after: Time,
    /// The vacant record that is known to be the first term record ever.
    first: Option<Revision>,
    /// The vacant record whose history was asked for last.
    first_asked: Revision,
    paused: bool,
    /// No contending before this: a back-off.
    contend_after: Time,
    /// Activations in a row that failed.
    failed_activations: u32,
    /// Exclusive: since when somebody else is in the way.
    held_since: Option<Time>,
    /// The process whose death is waited for, and the one known to be dead.
    proving: Option<Process>,
    dead: Option<Process>,
    pending: Vec<Pending>,
    next_id: u64,
    op_after: Time,
    op_failures: u32,
    read_after: Time,
    watch: Option<WatchId>,
    watch_failures: u32,
    /// Reads in a row that showed what the watch should have shown.
    pub(crate) silent: u32,
    /// What fails, and how it was told.
    degraded: Option<(Source, ErrorKind)>,
    stopping: bool,
    fatal: Option<Error>,
    /// When the end is no longer waited for.
    end_by: Option<Time>,
    told_role: Role,
    told_holder: Option<Holder>,
    pub(crate) told_blocked: Option<(Reason, Option<Vec<u8>>)>,
    out: VecDeque<Output>,
    wake: Option<Time>,
}

impl Election {
    /// A session that has not begun. Nothing is sent before [`Election::start`].
    pub fn new(settings: Settings) -> Self {
        let keys = Keys::new(&settings.root, &settings.role);
        Self {
            admitted: keys.newer.is_empty(),
            keys: Arc::new(keys),
            paused: settings.paused,
            settings: Arc::new(settings),
            ..Self::default()
        }
    }

    /// Begins: takes a server ID and a lease, registers, and contends.
    pub fn start(&mut self, now: Time) {
        self.run(now);
    }

    /// Before [`Election::start`]: takes no server ID, but waits for [`Election::adopt_server_id`].
    pub fn await_server_id(&mut self) {
        self.awaits_id = true;
    }

    /// Ends that wait: with the server ID that another session of this process has taken, or 0: it takes one itself.
    pub fn adopt_server_id(&mut self, now: Time, server_id: i64) {
        if self.told_role == Role::Ended || !std::mem::take(&mut self.awaits_id) {
            return;
        }
        self.server_id = server_id;
        self.check_deadline(now);
        self.run(now);
    }

    /// Takes in what the world says.
    pub fn handle(&mut self, now: Time, input: Input) {
        if self.told_role == Role::Ended {
            return;
        }
        // First, so that nothing that arrives late can revive a term whose deadline has passed.
        self.check_deadline(now);
        match input {
            Input::Tick => {}
            Input::Reply { id, reply } => self.answered(now, id, reply),
            Input::Watch { id, item } if self.watch == Some(id) => self.watched(now, item),
            Input::Watch { .. } => {}
            Input::Died(process) => self.dead = Some(process),
        }
        self.run(now);
    }

    /// Takes in what the user asks. An error (`Fenced`, `State`, `Ended`) says that it came too late or too early,
    /// and has changed nothing.
    pub fn request(&mut self, now: Time, request: Request) -> Result<()> {
        if self.told_role == Role::Ended {
            return match request {
                Request::Stop => Ok(()),
                _ => Err(Error::new(ErrorKind::Ended, "the session has ended")),
            };
        }
        self.check_deadline(now);
        let mut result = Ok(());
        match request {
            Request::ActivationDone { token, result: done } => result = self.activation_done(now, token, done),
            Request::DeactivationDone { token } => result = self.deactivation_done(now, token),
            Request::Stop => {
                self.stopping = true;
                if self.server_id == 0 {
                    // Nothing waits for a server ID any more.
                    self.op_after = now;
                }
                self.drain(now, Reason::Stop, Duration::ZERO);
            }
            Request::Resign { standby } => {
                let pause = if standby.is_zero() { self.settings.activation_backoff } else { standby };
                self.drain(now, Reason::Resign, pause);
            }
            Request::Pause => self.paused = true,
            Request::Resume => self.paused = false,
            Request::SetPriority(priority) => Arc::make_mut(&mut self.settings).priority = priority,
        }
        self.run(now);
        result
    }

    /// The next thing to do; `None` when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Tick`] is due at the latest; `None`: not before the next input.
    pub fn next_timer(&self) -> Option<Time> {
        self.wake
    }

    /// What may be published now.
    pub fn status(&self) -> Status {
        let mut status =
            Status { role: self.role(), token: 0, deadline: Time(0), ending: false, server_id: self.server_id };
        if let Some(term) = self.term.as_ref().filter(|term| term.acts()) {
            status.token = term.token;
            status.deadline = self.deadline(term);
            status.ending = matches!(term.stage, Stage::Draining { .. });
        }
        #[cfg(feature = "testkit")]
        self.flawed_status(&mut status);
        status
    }

    /// Who is active, as far as this session knows.
    pub fn holder(&self) -> Option<Holder> {
        // A term of its own that has ended is nobody's, even while its key is still there.
        let own = |active: &Active| active.is_of(self.settings.session_id) && active.revision <= self.burned;
        self.view.active.as_ref().filter(|active| !own(active)).and_then(Holder::of)
    }

    /// The token of the holder that was told last, 0 where nobody is; and how many member keys there are.
    pub(crate) fn seen(&self) -> (Revision, usize) {
        (self.told_holder.as_ref().map_or(0, |holder| holder.token), self.view.members.len())
    }

    /// The session's lease; 0: it has none.
    pub fn lease(&self) -> LeaseId {
        self.lease.map_or(0, |lease| lease.id)
    }

    /// The active key, which guarded transactions compare.
    pub fn active_key(&self) -> Vec<u8> {
        self.keys.active.clone()
    }

    /// What to watch: the role's records and its term record.
    pub fn ranges(&self) -> Vec<KeyRange> {
        vec![self.keys.role_range(), self.keys.term_range()]
    }

    fn role(&self) -> Role {
        match self.term.as_ref().map(|term| &term.stage) {
            _ if self.told_role == Role::Ended => Role::Ended,
            Some(Stage::Activating { .. }) => Role::Activating,
            Some(Stage::Active) => Role::Active,
            Some(Stage::Draining { .. } | Stage::Gone { .. }) => Role::Deactivating,
            _ if self.is_leaving() => match self.told_role {
                Role::Activating | Role::Active => Role::Deactivating,
                role => role,
            },
            Some(Stage::Found { .. }) | None => {
                if self.registered && self.settings.active_standby && self.view.known > 0 {
                    Role::Standby
                } else {
                    Role::Starting
                }
            }
        }
    }

    /// Does all that is due at `now`, and finds when the next thing will be.
    fn run(&mut self, now: Time) {
        self.wake = None;
        self.expire_requests(now);
        self.check_term(now);
        self.drive_lease(now);
        self.drive_operation(now);
        self.drive_read(now);
        self.announce(now);
    }

    /// Whether `at` has come; if not, the session wakes up then.
    fn due(&mut self, now: Time, at: Time) -> bool {
        if now < at {
            self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
        }
        now >= at
    }

    /// The next transaction, in the order of what matters most: keep or end the term, leave nothing behind, be registered, contend.
    fn drive_operation(&mut self, now: Time) {
        if self.is_busy(Lane::Operation) || self.told_role == Role::Ended {
            return;
        }
        if self.term.as_ref().is_some_and(Term::is_held) {
            if !self.renew(now) {
                self.register(now);
            }
            return;
        }
        // Until the application has left the last term, or its limit has passed, that term is not touched.
        let stage = self.term.as_ref().map(|term| &term.stage);
        let waits = matches!(stage, Some(Stage::Gone { tidy: false, .. }));
        if self.is_leaving() && !waits {
            let end_by = self.end_by(now);
            let late = self.due(now, end_by);
            if late || (self.due(now, self.op_after) && !self.tidy(now)) {
                self.finish(now);
            }
            return;
        }
        if !self.due(now, self.op_after) || (!waits && !self.uncertain && self.tidy(now)) {
            return;
        }
        let registering = !self.is_leaving() && self.register(now);
        if !registering && self.registered && self.view.known > 0 && !waits && !self.uncertain {
            self.contend(now);
        }
    }

    fn drive_read(&mut self, now: Time) {
        let wanted = self.uncertain || (self.registered && !self.is_leaving());
        let ended = self.told_role == Role::Ended;
        if wanted && !ended && !self.is_busy(Lane::Read) && self.due(now, self.read_after) {
            self.read(now, Kind::Read, self.read_all());
        }
    }

    fn watched(&mut self, now: Time, item: WatchItem) {
        match item {
            WatchItem::Started => {}
            WatchItem::Events(changes) => {
                for change in &changes {
                    self.view.event(&self.keys, change, now);
                }
                self.watch_failures = 0;
                self.silent = 0;
                self.recovered(Source::Watch);
            }
            WatchItem::Compacted { .. } => self.watch_ended(now),
            WatchItem::Failed(error @ StoreError::Regressed(_)) => self.end_regressed(now, error.into()),
            WatchItem::Failed(error) => {
                if self.watch_failures > 0 {
                    self.degrade(Source::Watch, error.into());
                }
                self.watch_ended(now);
            }
        }
        self.tell_seen();
        self.check_owner(now);
    }

    /// Reads again, and then watches from there.
    fn watch_ended(&mut self, now: Time) {
        self.watch = None;
        let at = now + request::pause(self.watch_failures);
        self.read_after = self.read_after.min(at);
        self.watch_failures += 1;
    }

    fn is_leaving(&self) -> bool {
        self.stopping || self.fatal.is_some()
    }

    fn tell(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn tell_seen(&mut self) {
        self.out.extend(self.view.told.drain(..).map(Output::Event));
    }

    /// Tells what has changed for the user since the last time.
    fn announce(&mut self, now: Time) {
        if self.told_role == Role::Ended {
            return;
        }
        let (role, holder) = (self.role(), self.holder());
        if role == Role::Standby && self.told_role != role {
            self.told_holder.clone_from(&holder);
            self.tell(Event::Standby(holder.clone()));
        }
        self.told_role = role;
        if self.told_holder != holder {
            self.told_holder.clone_from(&holder);
            self.tell(Event::Holder(holder));
        }
        let blocked = self.blocked(now).filter(|_| self.registered && self.view.known > 0 && !self.is_leaving());
        let milvus = (blocked == Some(Reason::MilvusHolder)).then(|| self.milvus_holder(now)).flatten();
        let (key, holder) = milvus.map_or((None, self.holder()), |(key, holder)| (Some(key), holder));
        let blocked = blocked.map(|reason| (reason, key));
        if blocked != self.told_blocked {
            self.told_blocked.clone_from(&blocked);
            if let Some((reason, key)) = blocked {
                self.tell(Event::Blocked { reason, holder, key });
            }
        }
        self.seek_proof();
    }
}
