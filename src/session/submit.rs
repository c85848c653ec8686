//! Transactions that are sent without waiting: their end is an event.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::event::Event;
use super::outbox::Outbox;
use super::txn::{Answered, TxnBuilder, TxnResults, no_answer};
use crate::error::{Error, ErrorKind, Result};

/// How a submitted transaction ended: what [`EventKind::TxnDone`](super::EventKind::TxnDone) carries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TxnDone {
    /// The tag that it was submitted with.
    pub tag: u64,
    /// What it read; as [`TxnBuilder::results`].
    pub results: TxnResults,
    /// Why it failed, as [`TxnBuilder::commit`] would say; `None`: committed.
    pub error: Option<Error>,
}

impl TxnBuilder {
    /// Sends it and returns at once. The outcome comes as an event of the kind
    /// [`EventKind::TxnDone`](super::EventKind::TxnDone) with the tag: exactly one for each call that returned `Ok`, before
    /// `Ended`, and never dropped. The event's error is what [`TxnBuilder::commit`] would have said; where the session ends
    /// before the answer comes, it is [`ErrorKind::UnknownOutcome`].
    ///
    /// `limit` is as for [`TxnBuilder::commit`]. What another one wants with the same tag is its own affair.
    ///
    /// # Errors
    /// Nothing was sent then, and no event follows. [`ErrorKind::Busy`]: `txn.inflight` transactions were submitted whose
    /// events were not read yet; this one may be submitted again. [`ErrorKind::State`] with callbacks, and where it was
    /// sent before; [`ErrorKind::Fenced`] where the term is over already; [`ErrorKind::Timeout`] where `limit` is zero;
    /// [`ErrorKind::Ended`]; and what was wrong with a key, value or number.
    pub fn submit(&mut self, tag: u64, limit: Option<Duration>) -> Result<()> {
        self.refuse_child()?;
        let outbox = Arc::clone(self.outbox());
        outbox.reserve()?;
        let (txn, limit) = self.prepare(limit).inspect_err(|_| outbox.give_back())?;
        let number = outbox.submitted(tag)?;
        let (token, own_reads) = self.guarded();
        let flight = Flight { outbox, number, token, own_reads, reply: None };
        self.send(txn, limit, move |reply| flight.land(reply));
        Ok(())
    }
}

/// One that was sent. Where it is lost on its way, its end is told all the same.
struct Flight {
    outbox: Arc<Outbox>,
    number: u64,
    token: i64,
    own_reads: usize,
    reply: Option<Answered>,
}

impl Flight {
    fn land(mut self, reply: Answered) {
        self.reply = Some(reply);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let reply = self.reply.take().unwrap_or_else(|| Err(no_answer()));
        let (results, result) = TxnResults::read(reply, self.token, self.own_reads);
        self.outbox.landed(self.number, results, result.err());
    }
}

impl Outbox {
    /// Takes a place among the submitted ones, until its event was read or it is given back.
    fn reserve(&self) -> Result<()> {
        if self.has_callbacks {
            let why = "the session was started with callbacks: only one that pulls its events is told the end";
            return Err(Error::new(ErrorKind::State, why));
        }
        let mut state = self.state();
        if state.progress.ended.is_some() {
            return Err(Error::new(ErrorKind::Ended, "the session has ended"));
        }
        if state.places >= self.inflight {
            let most = self.inflight;
            let why = format!("{most} transactions were submitted whose events were not read (txn.inflight)");
            return Err(Error::new(ErrorKind::Busy, why));
        }
        state.places += 1;
        Ok(())
    }

    fn give_back(&self) {
        self.state().places -= 1;
    }

    /// It is about to be sent, and its end will be told. Gives its number.
    fn submitted(&self, tag: u64) -> Result<u64> {
        let mut state = self.state();
        if state.progress.ended.is_some() {
            state.places -= 1;
            return Err(Error::new(ErrorKind::Ended, "the session has ended"));
        }
        let number = state.next_flight;
        state.next_flight += 1;
        state.flights.insert(number, tag);
        Ok(number)
    }

    /// Its answer has come, or never will. Whose end was told already is not told again.
    fn landed(&self, number: u64, results: TxnResults, error: Option<Error>) {
        let mut state = self.state();
        let Some(tag) = state.flights.remove(&number) else {
            return;
        };
        let done = TxnDone { tag, results, error };
        state.version += 1;
        self.push(&mut state, Event::txn_done(Arc::clone(&self.role_name), done));
        self.ring(&state);
        drop(state);
        self.tell_waiters();
    }

    /// The session ends: those still on their way may be done or not.
    pub(super) fn ground_all(&self, state: &mut super::outbox::State) {
        for tag in std::mem::take(&mut state.flights).into_values() {
            let why = "sent, and the session ended before the answer came";
            let error = Some(Error::new(ErrorKind::UnknownOutcome, why));
            let done = TxnDone { tag, results: TxnResults::default(), error };
            self.push(state, Event::txn_done(Arc::clone(&self.role_name), done));
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("role_name", &self.role_name).finish_non_exhaustive()
    }
}
