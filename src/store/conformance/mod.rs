//! The suite that every store passes: the rules of [`crate::store`], one case each.
//!
//! A store brings a [`Lab`], and one line in `tests/stores.rs` makes a test of every case:
//!
//! ```ignore
//! coordha::conformance!(etcd, EtcdLab::start().await);
//! ```
//!
//! Each case gets a lab of its own, whose store is empty and used by nobody else. The cases panic where a rule is broken.
//!
//! No case asserts on time. Where one waits, it waits for an event, and calls [`Lab::pass`] until the event comes.

pub mod clients;
pub mod lease;
pub mod range;
pub mod txn;
pub mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Store, WatchStream};
use crate::kv::{
    Compare, KeyRange, KeyValue, LeaseId, Op, OpReply, Revision, StoreError, Txn, TxnReply, WatchEvent, WatchItem,
};

/// Limit of one request.
const LIMIT: Duration = Duration::from_secs(20);

/// How much time may pass in the lab before an awaited event counts as missing.
const PATIENCE: Duration = Duration::from_secs(60);

/// The step in which time passes while an event is awaited.
const STEP: Duration = Duration::from_millis(50);

/// An empty store under test, with all that a test may do to it. Dropping it ends the store.
#[async_trait]
pub trait Lab: Send + Sync {
    /// A new client of this store, which shares nothing with the ones before it but the store. Its requests are
    /// answered without [`Lab::pass`].
    fn client(&self) -> Arc<dyn Store>;

    /// Discards the history before `revision`, which is then the lowest one that can be watched. Returns when that is done.
    async fn compact(&self, revision: Revision);

    /// The smallest time to live that the store grants.
    fn min_ttl(&self) -> Duration;

    /// Lets time pass: real time, unless the store has its own. Its future may be dropped half-way.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Makes a test of every case: `conformance!(name, lab)`, where `lab` is an expression in an async function that
/// gives a fresh [`Lab`](crate::store::conformance::Lab). The tests stand in a module `name`.
#[macro_export]
macro_rules! conformance {
    ($store:ident, $lab:expr) => {
        mod $store {
            use super::*;
            $crate::conformance!(@tests $lab, txn,
                every_compare_target_decides_the_branch
                absent_key_compares_as_zero_and_equals_no_value
                one_compare_that_fails_is_enough
                failing_branch_writes_and_answers
                writes_of_one_transaction_share_one_revision
                operations_of_a_branch_are_done_in_order
                key_written_twice_in_a_branch_is_refused
                key_may_be_written_in_either_branch
                transaction_without_operation_is_refused
                more_than_128_of_a_kind_are_too_many
                empty_key_is_refused
                deleted_keys_are_counted
                rewritten_key_keeps_its_creation_and_counts_versions
                deleted_key_begins_anew
                each_writing_transaction_adds_one_revision
                reads_and_vain_deletes_add_no_revision
            );
            $crate::conformance!(@tests $lab, range,
                keys_come_in_byte_order
                limit_cuts_the_range_and_says_so
                prefix_reads_that_prefix_alone
                range_without_end_reads_to_the_last_key
                absent_key_is_an_empty_range
                bytes_come_back_unchanged
                big_range_comes_whole
                read_carries_the_revision_of_the_store
            );
            $crate::conformance!(@tests $lab, lease,
                granted_time_is_at_least_what_was_asked
                leases_differ
                leases_add_no_revision
                kept_lease_outlives_an_unkept_one
                unkept_lease_ends_with_all_its_keys
                keepalive_answers_the_granted_time
                keepalive_of_a_lease_that_is_gone_answers_zero
                revoke_deletes_all_keys_in_one_revision
                revoke_of_a_lease_that_is_gone_is_no_error
                unknown_lease_fails_the_whole_transaction
                revoked_lease_takes_no_key
                put_without_lease_frees_the_key
                put_with_another_lease_moves_the_key
            );
            $crate::conformance!(@tests $lab, watch,
                past_revision_shows_all_since
                future_revision_shows_nothing_earlier
                changes_of_one_revision_come_together
                big_revision_comes_in_one_item
                only_the_ranges_are_shown
                two_ranges_are_both_shown
                deletes_are_shown_with_their_revision
                change_between_a_read_and_its_watch_is_not_missed
                compacted_revision_is_refused_with_the_lowest_left
                lowest_revision_left_can_be_watched
                compaction_leaves_a_running_watch_alone
                dropped_watch_leaves_the_others_alone
                unread_watch_holds_up_nobody_and_skips_nothing
                many_watches_see_every_change
            );
            $crate::conformance!(@tests $lab, clients,
                answered_write_is_read_by_another_client
                racing_increments_are_all_counted
                one_of_many_creates_a_key
                lease_of_one_client_is_known_to_another
                health_names_an_endpoint
            );
        }
    };
    (@tests $lab:expr, $group:ident, $($case:ident)*) => {
        mod $group {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    let lab = $lab;
                    $crate::store::conformance::$group::$case(&lab).await;
                }
            )*
        }
    };
}

async fn txn(store: &dyn Store, txn: Txn) -> TxnReply {
    store.txn(txn, LIMIT).await.expect("the transaction is done")
}

/// An unconditional transaction.
async fn apply(store: &dyn Store, success: Vec<Op>) -> TxnReply {
    let reply = txn(store, Txn { success, ..Txn::default() }).await;
    assert!(reply.succeeded, "no compare, so it holds");
    reply
}

async fn put(store: &dyn Store, key: &str, value: &str) -> Revision {
    put_leased(store, key, value, 0).await
}

async fn put_leased(store: &dyn Store, key: &str, value: &str, lease: LeaseId) -> Revision {
    let reply = apply(store, vec![Op::put(key, value, lease)]).await;
    assert_eq!(reply.replies, [OpReply::Put]);
    reply.revision
}

async fn delete(store: &dyn Store, key: &str) -> Revision {
    apply(store, vec![Op::delete(key)]).await.revision
}

async fn read(store: &dyn Store, range: KeyRange) -> Vec<KeyValue> {
    let reply = store.range(range, 0, LIMIT).await.expect("the read is answered");
    assert!(!reply.more, "without a limit nothing is left out");
    reply.kvs
}

async fn key(store: &dyn Store, key: &str) -> Option<KeyValue> {
    read(store, KeyRange::key(key)).await.pop()
}

async fn revision(store: &dyn Store) -> Revision {
    store.range(KeyRange::key("no such key"), 0, LIMIT).await.expect("the read is answered").revision
}

async fn grant(store: &dyn Store, ttl: Duration) -> LeaseId {
    let reply = store.grant(ttl, LIMIT).await.expect("the lease is granted");
    assert_ne!(reply.lease, 0, "0 is no lease");
    reply.lease
}

/// Whether `compare` holds; adds no revision.
async fn holds(store: &dyn Store, compare: Compare) -> bool {
    let check = Txn {
        compares: vec![compare],
        success: vec![Op::read(KeyRange::key("x"))],
        failure: vec![Op::read(KeyRange::key("x"))],
    };
    txn(store, check).await.succeeded
}

async fn refused(store: &dyn Store, request: Txn) -> StoreError {
    match store.txn(request.clone(), LIMIT).await {
        Err(error) => error,
        Ok(reply) => panic!("{request:?} was not refused: {reply:?}"),
    }
}

fn names(kvs: &[KeyValue]) -> Vec<String> {
    kvs.iter().map(|kv| kv.key.escape_ascii().to_string()).collect()
}

fn changes(events: &[WatchEvent]) -> Vec<(String, Revision)> {
    events.iter().map(|event| (event.key().escape_ascii().to_string(), event.revision())).collect()
}

/// A watch, and the lab in which it is awaited.
struct Watched<'a> {
    lab: &'a dyn Lab,
    stream: WatchStream,
}

impl<'a> Watched<'a> {
    /// A watch whose first item is not read yet.
    async fn open(lab: &'a dyn Lab, store: &dyn Store, ranges: Vec<KeyRange>, from: Revision) -> Self {
        let stream = store.watch(ranges, from, LIMIT).await.expect("the watch is under way");
        Self { lab, stream }
    }

    /// A watch that stands.
    async fn start(lab: &'a dyn Lab, store: &dyn Store, ranges: Vec<KeyRange>, from: Revision) -> Self {
        let mut watch = Self::open(lab, store, ranges, from).await;
        assert_eq!(watch.item().await, WatchItem::Started);
        watch
    }

    /// A watch of all keys that begin with `prefix`.
    async fn prefix(lab: &'a dyn Lab, store: &dyn Store, prefix: &str, from: Revision) -> Self {
        Self::start(lab, store, vec![KeyRange::prefix(prefix)], from).await
    }

    async fn item(&mut self) -> WatchItem {
        let mut passed = Duration::ZERO;
        while passed < PATIENCE {
            tokio::select! {
                biased;
                item = self.stream.recv() => return item.expect("the watch goes on"),
                () = self.lab.pass(STEP) => passed += STEP,
            }
        }
        panic!("the watch brought nothing for {PATIENCE:?}");
    }

    async fn events(&mut self) -> Vec<WatchEvent> {
        match self.item().await {
            WatchItem::Events(events) => events,
            other => panic!("events were due, not {other:?}"),
        }
    }

    /// Reads on until `count` changes were seen.
    async fn changes(&mut self, count: usize) -> Vec<(String, Revision)> {
        let mut seen = Vec::new();
        while seen.len() < count {
            seen.extend(changes(&self.events().await));
        }
        seen
    }
}
