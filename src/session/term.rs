//! One term, as the body that serves it sees it.

use super::{Session, TxnBuilder};
use crate::election::Reason;
use crate::error::{Error, Result};
use crate::kv::Revision;

/// A term of the role, given to the body that [`Session::run`] calls.
///
/// A handle: clones are the same term, and may go to tasks and threads of the body's. Like a clone of the [`Session`] it
/// keeps the session going.
///
/// ```
/// # use coordha::config::keys;
/// # use coordha::session::{BodyResult, Session, Term};
/// # let directory = tempfile::tempdir()?;
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// async fn serve(term: Term) -> BodyResult {
///     term.ready()?;
///     let beside = term.clone();
///     let work = async move {
///         for step in 0..3 {
///             // Fenced where the term is over, however late this comes.
///             beside.txn().put("app/step", step.to_string()).commit_async(None).await?;
///         }
///         Ok::<_, coordha::error::Error>(beside.session().request_stop())
///     };
///     let mut tasks = tokio::task::JoinSet::new(); // owned by the body, so that they end with it
///     tasks.spawn(work);
///     term.ending().await;
///     while let Some(done) = tasks.join_next().await {
///         done??;
///     }
///     Ok(())
/// }
/// # let session = Session::builder()
/// #     .set(keys::ROLE, "rootcoord")
/// #     .set(keys::ADDRESS, "127.0.0.1:53100")
/// #     .set(keys::STORE_URL, format!("local:{}", directory.path().display()))
/// #     .start()?;
/// session.run(serve).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Term {
    session: Session,
    token: Revision,
}

impl Term {
    pub(super) fn new(session: Session, token: Revision) -> Self {
        Self { session, token }
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The fencing token. Let it go with everything that the work of the term writes.
    pub fn token(&self) -> Revision {
        self.token
    }

    /// Says "ready": [`Session::is_active`] is true when it has returned.
    ///
    /// # Errors
    /// [`ErrorKind::Fenced`](crate::error::ErrorKind::Fenced): too late, the term is over or was asked to end;
    /// [`ErrorKind::State`](crate::error::ErrorKind::State): it was said already;
    /// [`ErrorKind::Ended`](crate::error::ErrorKind::Ended).
    pub fn ready(&self) -> Result<()> {
        self.session.activation_done(self.token, Ok(()))
    }

    /// Waits until the term is asked to end, or is lost. [`Term::held`] says which, [`Term::reason`] why. Works in any
    /// task, under any runtime.
    pub async fn ending(&self) {
        self.session.outbox.wait_async(|| self.is_told().then_some(())).await;
    }

    /// Should the work of this term wind up? True from a request to stop or resign on, and once it is lost. No lock.
    #[inline]
    pub fn is_ending(&self) -> bool {
        self.session.is_ending(self.token)
    }

    /// May a step of this term's work still act? True while the role is held, also while draining. No lock.
    #[inline]
    pub fn held(&self) -> bool {
        self.session.holds(self.token)
    }

    /// Waits until the role is gone. For tasks beside the body: the body itself is dropped then.
    pub async fn lost(&self) {
        self.session.outbox.wait_async(|| (!self.held()).then_some(())).await;
    }

    /// Why the term ends, once [`Term::ending`] has returned. `None` before, and once a later term ends.
    pub fn reason(&self) -> Option<Reason> {
        self.ends().map(|(reason, _)| reason)
    }

    /// What went wrong, where that is why the term ends; otherwise as [`Term::reason`].
    pub fn error(&self) -> Option<Error> {
        self.ends().and_then(|(_, error)| error)
    }

    /// Begins a transaction that commits while this term lasts, and never after.
    pub fn txn(&self) -> TxnBuilder {
        self.session.txn(self.token)
    }

    fn is_told(&self) -> bool {
        // In a forked child the lock may never open, and nothing of the parent's is to be done.
        self.session.driver.refuse_child().is_err() || {
            let state = self.session.outbox.state();
            let told = state.progress.ending.as_ref().is_some_and(|ending| ending.token >= self.token);
            told || state.progress.ended.is_some()
        }
    }

    fn ends(&self) -> Option<(Reason, Option<Error>)> {
        self.session.driver.refuse_child().ok()?;
        let state = self.session.outbox.state();
        let ending = state.progress.ending.as_ref().filter(|ending| ending.token == self.token)?;
        Some((ending.reason, ending.error.clone()))
    }
}
