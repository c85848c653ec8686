//! Joins the election core with a store, the clock and the application's side.
//!
//! Any thread may feed the core: [`Driver::step`] reads the clock, takes the core's lock, lets it take the
//! input in, publishes the status, and only then carries the outputs out. Requests run as tasks on the shared
//! async runtime and step with what they bring; deadlines are kept by the clock thread, which steps by
//! itself. Nothing here decides anything about the election.

mod clock;
mod defect;
mod fence;
mod group;
mod guest;
mod meter;
mod pool;
mod process;
mod published;
mod requests;
mod runtime;
mod threads;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{self, AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tracing::Instrument;

pub(crate) use self::clock::now;
use self::defect::Ledger;
pub(crate) use self::defect::panic_text;
pub(crate) use self::fence::Timed;
use self::fence::TimedId;
use self::group::{IdTurn, Member};
pub(crate) use self::guest::Guest;
use self::meter::Meter;
pub use self::meter::reason_name;
pub(crate) use self::process::current as current_process;
pub(crate) use self::published::Published;
pub(crate) use self::runtime::{Held, SessionName, Shared, settle};
#[cfg(feature = "capi")]
pub(crate) use self::threads::spawn as spawn_thread;
use crate::election::{
    Election, Event, Holder, Input, Output, Process, Request, Role, Settings, Status, Time, WatchId,
};
use crate::error::Result;
use crate::kv::{KeyRange, LeaseId, Revision, StoreError, WatchItem};
use crate::metrics::{self, Live, SessionCounts};
use crate::store::Store;

/// The application's side. Called under the core's lock, so that all threads see one order: each call must be
/// quick, and must not call the driver.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Something happened.
    fn event(self: Arc<Self>, driver: &Arc<Driver>, at: Time, status: &Status, event: Event);

    /// A status was published, and all events that led to it were given out.
    fn published(&self);

    /// The session has been standing by for another while (see [`Setup::standby_log`]).
    fn still_standby(&self, driver: &Arc<Driver>, election: &Election);
}

/// What a driver is made of.
pub(crate) struct Setup {
    pub(crate) settings: Settings,
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sink: Arc<dyn Sink>,
    /// Released when the session has ended.
    pub(crate) name: SessionName,
    /// Shares server ID and lease with the other sessions of the process that do, on this store, root and address.
    pub(crate) shares: bool,
    /// Pause between two calls of [`Sink::still_standby`].
    pub(crate) standby_log: Option<Duration>,
}

/// One session at work. Kept alive by the clock thread until it has ended.
pub(crate) struct Driver {
    published: Published,
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    sink: Arc<dyn Sink>,
    name: SessionName,
    /// Its place among those that share server ID and lease.
    member: Option<Member>,
    active_key: Vec<u8>,
    ranges: Vec<KeyRange>,
    request_timeout: Duration,
    watch_limit: Duration,
    /// Shared, as to clone it calls the log's receiver: nobody does that under the core's lock.
    span: Arc<tracing::Span>,
    standby_log: Option<Duration>,
    counts: Arc<SessionCounts>,
    timer: OnceLock<TimedId>,
    stop_given: AtomicBool,
    /// Nobody is left to say "left": the driver says it itself.
    let_go: AtomicBool,
    core: Mutex<Core>,
}

struct Core {
    election: Election,
    /// It takes the server ID for all that share it.
    id_turn: Option<IdTurn>,
    /// What the application was told and has answered: where the core fails, the rest is told from it.
    ledger: Ledger,
    meter: Meter,
    watch: Option<AbortHandle>,
    proof: Option<AbortHandle>,
    next: Option<Time>,
    log_at: Option<Time>,
}

/// What one mutation of the core led to.
struct Done<T> {
    result: T,
    status: Status,
    outputs: Vec<Output>,
    next: Option<Time>,
}

impl Driver {
    /// A session that begins at once.
    pub(crate) fn start(setup: Setup) -> Result<Arc<Self>> {
        setup.shared.take_name(&setup.name, setup.shares)?;
        let settings = &setup.settings;
        let ledger = Ledger::new(settings.auto, settings.deactivation_timeout);
        let request_timeout = settings.request_timeout;
        // As long as connecting may take; a watch that comes late hurts nobody.
        let watch_limit = request_timeout.min(Duration::from_secs(1).max(settings.hold / 4));
        let span = tracing::info_span!(
            "session",
            role = settings.role,
            session_id = format_args!("{:032x}", settings.session_id),
        );
        let member = setup.shares.then(|| {
            let group = (setup.shared).group(&setup.store, &settings.root, &settings.address);
            Member::join(group, settings)
        });
        let counts = meter::counts(settings);
        let election = Election::new(setup.settings);
        let driver = Arc::new(Self {
            published: Published::new(setup.shared.fork().clone()),
            active_key: election.active_key(),
            ranges: election.ranges(),
            shared: setup.shared,
            store: setup.store,
            sink: setup.sink,
            name: setup.name,
            member,
            request_timeout,
            watch_limit,
            span: Arc::new(span),
            standby_log: setup.standby_log,
            counts: Arc::clone(&counts),
            timer: OnceLock::new(),
            stop_given: AtomicBool::new(false),
            let_go: AtomicBool::new(false),
            core: Mutex::new(Core {
                election,
                id_turn: None,
                ledger,
                meter: Meter::new(counts),
                watch: None,
                proof: None,
                next: None,
                log_at: None,
            }),
        });
        let id = driver.shared.fence.add(Arc::<Self>::clone(&driver));
        let _ = driver.timer.set(id);
        metrics::register(Arc::downgrade(&driver) as Weak<dyn Live>);
        driver.begin();
        Ok(driver)
    }

    /// The status that any thread may read.
    #[inline]
    pub(crate) fn published(&self) -> &Published {
        &self.published
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(crate) fn active_key(&self) -> &[u8] {
        &self.active_key
    }

    /// The root of all keys.
    pub(crate) fn root(&self) -> &str {
        &self.name[1]
    }

    /// Limit of any request.
    pub(crate) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// Where log lines about the session belong.
    pub(crate) fn span(&self) -> &Arc<tracing::Span> {
        &self.span
    }

    /// Who is active, as far as the session knows.
    pub(crate) fn holder(&self) -> Option<Holder> {
        self.refuse_child().ok()?;
        let core = self.lock();
        catch_unwind(AssertUnwindSafe(|| core.election.holder())).unwrap_or(None)
    }

    /// In a forked child the locks may never open, and the threads are not there.
    ///
    /// Error: [`ErrorKind::Forked`](crate::error::ErrorKind::Forked).
    pub(crate) fn refuse_child(&self) -> Result<()> {
        self.shared.fork().refuse_child("session")
    }

    /// The session's lease; 0: it has none.
    pub(crate) fn lease(&self) -> LeaseId {
        self.lock().election.lease()
    }

    /// What the user asks, in its order with everything else.
    pub(crate) fn request(self: &Arc<Self>, request: Request) -> Result<()> {
        self.refuse_child()?;
        self.locked(|core| self.do_request(core, request))
    }

    /// Leaves for ever. One store and one write: safe in a signal handler.
    pub(crate) fn request_stop(&self) {
        if self.shared.fork().in_child() {
            return;
        }
        self.published.set_stopping();
        self.shared.fence.wake();
    }

    /// Stops, and says "left" in the application's place from now on.
    pub(crate) fn let_go(self: &Arc<Self>) {
        self.let_go.store(true, Ordering::Release);
        self.published.set_stopping();
        self.locked(|_| ());
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the core take something in, and does what follows. `None`: the core has failed.
    fn step<T>(self: &Arc<Self>, act: impl FnOnce(&mut Election, Time) -> T) -> Option<T> {
        self.locked(|core| self.mutate(core, act))
    }

    /// Works on the core, with a stop that was requested before and answers that nobody else gives in their place.
    fn locked<T>(self: &Arc<Self>, work: impl FnOnce(&mut Core) -> T) -> T {
        let mut core = self.lock();
        if self.published.stopping() && !self.stop_given.swap(true, Ordering::AcqRel) {
            let _ = self.do_request(&mut core, Request::Stop);
        }
        let result = work(&mut core);
        if self.let_go.load(Ordering::Acquire)
            && let Some(token) = core.ledger.unanswered()
        {
            let _ = self.do_request(&mut core, Request::DeactivationDone { token });
        }
        self.arm(&core);
        result
    }

    fn do_request(self: &Arc<Self>, core: &mut Core, request: Request) -> Result<()> {
        let left = match request {
            Request::DeactivationDone { token } => Some(token),
            _ => None,
        };
        let copy = request.clone();
        match self.mutate(core, |election, now| election.request(now, request)) {
            Some(result) => {
                if let (Ok(()), Some(token)) = (&result, left) {
                    core.ledger.left(token);
                    core.meter.left(now());
                }
                result
            }
            None => self.request_after_defect(core, &copy),
        }
    }

    fn mutate<T>(self: &Arc<Self>, core: &mut Core, act: impl FnOnce(&mut Election, Time) -> T) -> Option<T> {
        if core.ledger.is_defect() {
            return None;
        }
        let now = now();
        let done = catch_unwind(AssertUnwindSafe(|| {
            let result = act(&mut core.election, now);
            core.meter.step(&core.election);
            Done {
                result,
                status: core.election.status(),
                outputs: std::iter::from_fn(|| core.election.poll_output()).collect(),
                next: core.election.next_timer(),
            }
        }));
        let done = match done {
            Ok(done) => done,
            Err(panic) => {
                self.defect(core, now, &*panic);
                return None;
            }
        };
        let Done { result, status, outputs, next } = done;
        let follow = AssertUnwindSafe(|| self.follow(core, now, &status, outputs, next));
        if let Err(panic) = catch_unwind(follow) {
            self.defect(core, now, &*panic);
            return None;
        }
        Some(result)
    }

    /// What a mutation of the core led to.
    fn follow(self: &Arc<Self>, core: &mut Core, now: Time, status: &Status, outputs: Vec<Output>, next: Option<Time>) {
        // Before the outputs: a release must not be on its way while another thread still reads "active".
        self.published.publish(status);
        if let Some(mut turn) = core.id_turn.take_if(|_| status.server_id > 0) {
            *turn = status.server_id;
        }
        core.next = next;
        self.set_log_time(core, now, status.role);
        for output in outputs {
            self.carry_out(core, now, status, output);
        }
        self.sink.published();
    }

    fn carry_out(self: &Arc<Self>, core: &mut Core, now: Time, status: &Status, output: Output) {
        match output {
            Output::Send { id, request, limit } => self.send(id, request, limit),
            Output::Watch { id, from } => {
                core.meter.watch_begins();
                let watch = self.watch(id, from);
                if let Some(before) = core.watch.replace(watch) {
                    before.abort();
                }
            }
            Output::Prove(process) => {
                let proof = process.map(|process| self.prove(process));
                if let Some(before) = std::mem::replace(&mut core.proof, proof) {
                    before.abort();
                }
            }
            Output::Event(event) => self.tell(core, now, status, event),
        }
    }

    fn tell(self: &Arc<Self>, core: &mut Core, now: Time, status: &Status, event: Event) {
        core.ledger.told(&event);
        core.meter.told(now, &event);
        let event = match event {
            Event::Degraded(error) => Event::Degraded(error.with("endpoint", self.store.health().endpoint)),
            Event::Ended(_) => {
                // First: who hears of the end may start the next session at once.
                self.end(core);
                event
            }
            _ => event,
        };
        let last = matches!(event, Event::Ended(_));
        Arc::clone(&self.sink).event(self, now, status, event);
        if last {
            core.ledger.end();
        }
    }

    /// Nothing of the session is left but the last event, and what the application still holds.
    fn end(self: &Arc<Self>, core: &mut Core) {
        for task in [core.watch.take(), core.proof.take()].into_iter().flatten() {
            task.abort();
        }
        core.log_at = None;
        core.next = None;
        core.id_turn = None;
        self.leave_group();
        self.shared.leave_name(&self.name);
        if let Some(&id) = self.timer.get() {
            self.shared.fence.remove(id);
        }
    }

    fn watch(self: &Arc<Self>, id: WatchId, from: Revision) -> AbortHandle {
        let (driver, store) = (Arc::downgrade(self), Arc::clone(&self.store));
        let (ranges, limit) = (self.ranges.clone(), self.watch_limit);
        let watch = async move {
            let mut stream = match store.watch(ranges, from, limit).await {
                Ok(stream) => stream,
                Err(error) => {
                    let item = WatchItem::Failed(error);
                    step_weak(&driver, Input::Watch { id, item });
                    return;
                }
            };
            loop {
                let item = stream
                    .recv()
                    .await
                    .unwrap_or_else(|| WatchItem::Failed(StoreError::Unavailable("the store is gone".into())));
                let last = matches!(item, WatchItem::Compacted { .. } | WatchItem::Failed(_));
                if !step_weak(&driver, Input::Watch { id, item }) || last {
                    return;
                }
            }
        };
        self.spawn(watch)
    }

    fn prove(self: &Arc<Self>, process: Process) -> AbortHandle {
        let driver = Arc::downgrade(self);
        let proof = async move {
            match process::death(&process).await {
                Ok(()) => {
                    step_weak(&driver, Input::Died(process));
                }
                Err(error) => tracing::debug!(%error, ?process, "no proof of its death will come"),
            }
        };
        self.spawn(proof)
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let span = Arc::clone(&self.span);
        let work = async move { work.instrument(tracing::Span::clone(&span)).await };
        self.shared.handle().spawn(work).abort_handle()
    }

    fn set_log_time(&self, core: &mut Core, now: Time, role: Role) {
        core.log_at = match self.standby_log {
            Some(pause) if role == Role::Standby => core.log_at.or(Some(now + pause)),
            _ => None,
        };
    }

    /// Sets the clock thread to the next time at which anything is due.
    fn arm(&self, core: &Core) {
        if let Some(&id) = self.timer.get() {
            let times = [core.next, core.log_at, core.ledger.left_by()];
            self.shared.fence.arm(id, times.into_iter().flatten().min());
        }
    }
}

impl Timed for Driver {
    fn due(self: Arc<Self>) {
        self.locked(|core| {
            let now = now();
            self.mutate(core, |election, now| election.handle(now, Input::Tick));
            self.end_defect_in_time(core, now);
            if core.log_at.is_some_and(|at| at <= now) {
                core.log_at = self.standby_log.map(|pause| now + pause);
                self.sink.still_standby(&self, &core.election);
            }
        });
    }

    fn stop_pending(&self) -> bool {
        self.published.stopping() && !self.stop_given.load(Ordering::Acquire)
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Steps a session that may be gone; false: it is.
fn step_weak(driver: &Weak<Driver>, input: Input) -> bool {
    let Some(driver) = driver.upgrade() else {
        return false;
    };
    driver.step(|election, now| election.handle(now, input));
    true
}
