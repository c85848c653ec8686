//! Sessions that share one server ID and one lease: those of a process with `session.shared`, the same store, root and
//! address. Each core acts as if it were alone; what it asks of its lease is done here as one of many.
//!
//! A core that asks for a lease is answered with a keepalive of the one that is there, sent after it asked. So its
//! deadline still counts from before a keepalive that was answered.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use super::{Driver, requests};
use crate::election::{Election, Reply, Settings, StoreRequest};
use crate::kv::{Compare, LeaseId, LeaseReply, Op, StoreError, Txn, TxnReply};
use crate::record::{Keys, Record};
use crate::store::Store;

/// The right to take the server ID of a group, or to read it where it is taken: 0 is none.
pub(super) type IdTurn = OwnedMutexGuard<i64>;

/// What sessions with the same store, root and address share.
pub(super) struct Group {
    store: Arc<dyn Store>,
    root: String,
    address: String,
    server_id: Arc<tokio::sync::Mutex<i64>>,
    /// Only one session at a time takes a new lease.
    granting: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lease: Option<LeaseId>,
    /// The sessions that may use it, by session ID.
    users: BTreeSet<u128>,
}

impl Group {
    pub(super) fn new(store: &Arc<dyn Store>, root: &str, address: &str) -> Self {
        Self {
            store: Arc::clone(store),
            root: root.to_owned(),
            address: address.to_owned(),
            server_id: Arc::default(),
            granting: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }
    }

    pub(super) fn is_for(&self, store: &Arc<dyn Store>, root: &str, address: &str) -> bool {
        let same_store = std::ptr::addr_eq(Arc::as_ptr(&self.store), Arc::as_ptr(store));
        same_store && self.root == root && self.address == address
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lease that is there, kept alive; where there is none, a new one.
    async fn lease(&self, ttl: Duration, limit: Duration) -> Result<LeaseReply, StoreError> {
        // Twice: it may have ended, and the next one may come from another session meanwhile.
        for _ in 0..2 {
            let lease = self.state().lease;
            if let Some(lease) = lease {
                let reply = self.keep(lease, limit).await?;
                if reply.ttl_ms > 0 {
                    return Ok(reply);
                }
            }
            let Ok(_granting) = timeout(limit, self.granting.lock()).await else {
                break;
            };
            if self.state().lease.is_none() {
                let reply = self.store.grant(ttl, limit).await?;
                self.state().lease = Some(reply.lease);
                return Ok(reply);
            }
        }
        let why = "the shared lease was not to be had in time";
        Err(StoreError::Unavailable(why.into()))
    }

    async fn keep(&self, lease: LeaseId, limit: Duration) -> Result<LeaseReply, StoreError> {
        let reply = self.store.keepalive(lease, limit).await?;
        if reply.ttl_ms == 0 {
            self.forget(lease);
        }
        Ok(reply)
    }

    /// The lease is gone.
    fn forget(&self, lease: LeaseId) {
        self.state().lease.take_if(|current| *current == lease);
    }

    /// Takes a session out. True: nobody is left to use the lease, so that it is to be revoked.
    fn quit(&self, session_id: u128, lease: LeaseId) -> bool {
        let mut state = self.state();
        state.users.remove(&session_id);
        if !state.users.is_empty() && state.lease == Some(lease) {
            return false;
        }
        state.lease.take_if(|current| *current == lease);
        true
    }
}

/// A session's place in its group.
#[derive(Clone)]
pub(super) struct Member {
    group: Arc<Group>,
    keys: Arc<Keys>,
    session_id: u128,
}

impl Member {
    pub(super) fn join(group: Arc<Group>, settings: &Settings) -> Self {
        let session_id = settings.session_id;
        group.state().users.insert(session_id);
        let keys = Arc::new(Keys::new(&settings.root, &settings.role));
        Self { group, keys, session_id }
    }

    /// The session has ended without having asked for the end of its lease, so that is done now: once, as well as may be.
    async fn leave(&self, limit: Duration) {
        let lease = {
            let mut state = self.group.state();
            let last = state.users.is_empty();
            state.lease.take_if(|_| last)
        };
        let done = match lease {
            Some(lease) => self.group.store.revoke(lease, limit).await,
            None => self.withdraw(limit).await,
        };
        if let Err(error) = done {
            tracing::debug!(?error, "keys of the session are left behind");
        }
    }

    /// The turn at the server ID, if nobody has it.
    pub(super) fn try_id_turn(&self) -> Option<IdTurn> {
        Arc::clone(&self.group.server_id).try_lock_owned().ok()
    }

    /// Waits for the turn at the server ID.
    pub(super) async fn id_turn(&self) -> IdTurn {
        Arc::clone(&self.group.server_id).lock_owned().await
    }

    /// Does a request of the core's.
    pub(super) async fn perform(&self, request: StoreRequest, limit: Duration) -> Reply {
        let group = &*self.group;
        match request {
            StoreRequest::Grant { ttl } => Reply::Lease(group.lease(ttl, limit).await),
            StoreRequest::KeepAlive { lease } => Reply::Lease(group.keep(lease, limit).await),
            StoreRequest::Revoke { lease } if group.quit(self.session_id, lease) => {
                Reply::Revoked(group.store.revoke(lease, limit).await)
            }
            StoreRequest::Revoke { .. } => Reply::Revoked(self.withdraw(limit).await),
            StoreRequest::Txn(txn) => {
                let lease = lease_of(&txn);
                let reply = group.store.txn(txn, limit).await;
                if let (Err(StoreError::LeaseNotFound), Some(lease)) = (&reply, lease) {
                    group.forget(lease);
                }
                Reply::Txn(reply)
            }
            request @ StoreRequest::First { .. } => requests::perform(&*group.store, request, limit).await,
        }
    }

    /// What the end of the lease would do: deletes the session's own keys, while others go on with the lease.
    async fn withdraw(&self, limit: Duration) -> Result<(), StoreError> {
        // Twice: the last of the others may end the lease meanwhile, and the keys with it.
        for _ in 0..2 {
            let read = Txn { success: vec![Op::read(self.keys.role_range())], ..Txn::default() };
            let found = self.group.store.txn(read, limit).await?;
            let txn = self.without_own(&found);
            if txn.success.is_empty() || self.group.store.txn(txn, limit).await?.succeeded {
                return Ok(());
            }
        }
        let why = "a key of the session changed while it was to be deleted";
        Err(StoreError::Unavailable(why.into()))
    }

    fn without_own(&self, found: &TxnReply) -> Txn {
        let own = found.kvs().filter(|kv| Record::decode(&kv.value).is_ok_and(|record| record.is_of(self.session_id)));
        let mut txn = Txn::default();
        for kv in own {
            let compare = Compare::mod_revision(kv.key.clone(), kv.mod_revision);
            txn.compares.push(compare);
            txn.success.push(Op::delete(kv.key.clone()));
        }
        txn
    }
}

fn lease_of(txn: &Txn) -> Option<LeaseId> {
    txn.success.iter().find_map(|op| match op {
        Op::Put { lease, .. } if *lease != 0 => Some(*lease),
        _ => None,
    })
}

impl Driver {
    /// Starts the core. One that shares its server ID has to wait for it, or for its turn to take it.
    pub(super) fn begin(self: &Arc<Self>) {
        let Some(member) = self.member.clone() else {
            self.step(Election::start);
            return;
        };
        self.step(|election, now| {
            election.await_server_id();
            election.start(now);
        });
        if let Some(turn) = member.try_id_turn() {
            self.take_id_turn(turn);
            return;
        }
        let driver = Arc::downgrade(self);
        self.spawn(async move {
            let turn = member.id_turn().await;
            if let Some(driver) = driver.upgrade() {
                driver.take_id_turn(turn);
            }
        });
    }

    /// The server ID is known, or it is this session that has to take it.
    fn take_id_turn(self: &Arc<Self>, turn: IdTurn) {
        self.locked(|core| {
            if core.ledger.is_over() {
                return;
            }
            let server_id = *turn;
            core.id_turn = Some(turn).filter(|_| server_id == 0);
            self.mutate(core, |election, now| {
                election.adopt_server_id(now, server_id);
            });
        });
    }

    /// The session has ended.
    pub(super) fn leave_group(&self) {
        let Some(member) = self.member.clone() else {
            return;
        };
        if member.group.state().users.remove(&member.session_id) {
            let limit = self.request_timeout;
            self.spawn(async move { member.leave(limit).await });
        }
    }
}
