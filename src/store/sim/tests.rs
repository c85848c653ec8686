//! What the conformance suite cannot see: virtual time, bounded history, faults of the state itself.

use super::{SimOptions, SimState};
use crate::kv::{Compare, KeyRange, Op, StoreError, Txn, WatchEvent};

const MS: u64 = 1_000_000;

fn put(state: &mut SimState, key: &str, lease: i64) -> Result<i64, StoreError> {
    let txn = Txn { success: vec![Op::put(key, "v", lease)], ..Txn::default() };
    state.apply_txn(&txn).map(|reply| reply.revision)
}

#[test]
fn leases_end_in_the_order_of_their_deadlines_each_in_one_revision() {
    let mut state = SimState::default();
    let slow = state.grant(2000).unwrap().lease;
    let quick = state.grant(1000).unwrap().lease;
    put(&mut state, "a", quick).unwrap();
    put(&mut state, "b", slow).unwrap();
    put(&mut state, "c", quick).unwrap();
    assert_eq!(state.next_expiry(), Some(1000 * MS));

    assert_eq!(state.advance(3000 * MS), vec![quick, slow]);
    assert_eq!(state.revision(), 6);
    let all = [KeyRange::prefix("")];
    let deletions = state.events_since(5, &all).unwrap();
    let gone = |key: &str, revision| WatchEvent::Delete { key: key.into(), revision };
    assert_eq!(deletions, [vec![gone("a", 5), gone("c", 5)], vec![gone("b", 6)]]);
}

#[test]
fn a_lease_that_is_due_but_not_deleted_yet_cannot_be_kept_alive() {
    let mut state = SimState::default();
    let lease = state.grant(1000).unwrap().lease;
    put(&mut state, "a", lease).unwrap();
    state.set_time(999 * MS);
    assert_eq!(state.keepalive(lease).ttl_ms, 1000);
    state.set_time(1999 * MS);
    assert_eq!(state.keepalive(lease).ttl_ms, 0);
    assert!(state.get(b"a").is_some());
    assert_eq!(state.expire(), [lease]);
    assert!(state.get(b"a").is_none());
}

#[test]
fn a_new_leader_of_etcd_makes_leases_live_longer() {
    let mut state = SimState::default();
    let lease = state.grant(1000).unwrap().lease;
    state.set_time(900 * MS);
    state.extend_leases(100 * MS);
    assert!(state.advance(1999 * MS).is_empty());
    assert_eq!(state.advance(2000 * MS), [lease]);
}

#[test]
fn small_times_to_live_are_raised() {
    let mut state = SimState::new(SimOptions { min_ttl_ms: 2000, ..SimOptions::default() });
    assert_eq!(state.grant(5).unwrap().ttl_ms, 2000);
    assert_eq!(state.grant(3000).unwrap().ttl_ms, 3000);
}

#[test]
fn bounded_history_counts_as_compacted() {
    let mut state = SimState::new(SimOptions { history: 2, ..SimOptions::default() });
    let all = [KeyRange::prefix("")];
    assert_eq!(state.first_event(b"k"), Ok(None));
    for _ in 0..2 {
        put(&mut state, "k", 0).unwrap();
    }
    assert_eq!(state.first_event(b"k"), Ok(Some(2)));
    put(&mut state, "k", 0).unwrap();
    assert_eq!(state.events_since(2, &all), Err(3));
    assert_eq!(state.first_event(b"k"), Err(3));
    assert_eq!(state.events_since(3, &all).unwrap().len(), 2);
    assert_eq!(state.events_since(5, &all), Ok(vec![]));
    state.compact(4);
    assert_eq!(state.events_since(3, &all), Err(4));
    assert_eq!(state.events_since(4, &all).unwrap().len(), 1);
}

#[test]
fn without_space_only_what_needs_none_is_done() {
    let mut state = SimState::default();
    let lease = state.grant(1000).unwrap().lease;
    put(&mut state, "a", lease).unwrap();
    state.set_no_space(true);
    assert!(matches!(state.grant(1000), Err(StoreError::NoSpace(_))));
    assert!(matches!(put(&mut state, "a", 0), Err(StoreError::NoSpace(_))));
    assert_eq!(state.keepalive(lease).ttl_ms, 1000);
    let delete = Txn { compares: vec![Compare::version("a", 1)], success: vec![Op::delete("a")], failure: vec![] };
    assert!(state.apply_txn(&delete).unwrap().succeeded);
    assert!(state.revoke(lease));
    state.set_no_space(false);
    assert!(put(&mut state, "a", 0).is_ok());
}

#[test]
fn what_changes_nothing_has_no_revision() {
    let mut state = SimState::default();
    let delete = Txn { success: vec![Op::delete("absent")], ..Txn::default() };
    assert_eq!(state.apply_txn(&delete).unwrap().revision, 1);
    let lease = state.grant(10).unwrap().lease;
    assert!(state.revoke(lease));
    assert!(!state.revoke(lease));
    assert_eq!(state.revision(), 1);
}
