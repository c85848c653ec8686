//! Guarded transactions: every outcome, and everything that is refused.

use std::sync::Arc;
use std::time::Duration;

use coordha::error::{ErrorKind, Result};
use coordha::session::{Session, TxnBuilder, TxnResults};

use crate::support::wait::until;
use crate::switched::{Fault, Switched};
use crate::world::{Place, activate, config, leave, stop};

fn kind(result: Result<TxnResults>) -> ErrorKind {
    result.unwrap_err().kind()
}

fn value(session: &Session, token: i64, key: &str) -> Option<Vec<u8>> {
    let read = session.txn(token).get(key).commit(None).unwrap();
    read.kvs.into_iter().next().map(|kv| kv.value)
}

#[test]
fn what_is_written_is_read_at_its_revision() {
    let place = Place::new();
    let (session, token) = place.active(1);
    let written = session
        .txn(token)
        .if_revision("app/a", 0)
        .put("app/a", "1")
        .put(b"app/\0b".as_slice(), b"\xff\0".as_slice())
        .commit(None)
        .unwrap();
    assert!(written.revision > token && written.kvs.is_empty());
    let mut txn = session.txn(token);
    txn.get("app/a").get("app/none").get_prefix("app/", 1).get_prefix("app/", 0);
    let read = txn.commit(None).unwrap();
    let keys: Vec<_> = read.kvs.iter().map(|kv| kv.key.as_slice()).collect();
    assert_eq!(keys, [b"app/a".as_slice(), b"app/\0b", b"app/\0b", b"app/a"]);
    assert!(read.kvs.iter().all(|kv| kv.mod_revision == written.revision));
    assert_eq!(txn.results(), &read);
    session.txn(token).delete("app/a").commit(None).unwrap();
    assert_eq!(value(&session, token, "app/a"), None);
    session.txn(token).delete_prefix("app/").put("other", "1").commit(None).unwrap();
    assert_eq!(value(&session, token, "app/\0b"), None);
    // Nothing but the guard: it proves the term.
    assert!(session.txn(token).commit(None).unwrap().kvs.is_empty());
    // The library's own keys may be read with others, never written.
    let all = session.txn(token).get_prefix("by-dev/", 0).commit(None).unwrap();
    assert!(all.kvs.iter().any(|kv| kv.key == session.active_key()));
    stop(&session);
}

#[test]
fn a_failed_compare_writes_nothing_and_tells_the_present_values() {
    let place = Place::new();
    let (session, token) = place.active(1);
    let first = session.txn(token).put("app/a", "1").commit(None).unwrap();
    let mut txn = session.txn(token);
    txn.if_value("app/a", "2").if_revision("app/a", 3).if_revision("app/none", 0);
    txn.put("app/b", "1");
    assert_eq!(kind(txn.commit(None)), ErrorKind::CompareFailed);
    let [present] = txn.results().kvs.as_slice() else {
        panic!("{:?}", txn.results());
    };
    assert_eq!((present.value.as_slice(), present.mod_revision), (b"1".as_slice(), first.revision));
    assert_eq!(value(&session, token, "app/b"), None);
    assert_eq!(kind(txn.commit(None)), ErrorKind::State);
    stop(&session);
}

#[test]
fn a_term_that_is_over_or_not_ones_own_is_fenced() {
    let place = Place::new();
    let (first, old) = place.active(1);
    let second = place.standby(2);
    for token in [0, old - 1, old + 1] {
        assert_eq!(kind(first.txn(token).put("app/a", "1").commit(None)), ErrorKind::Fenced);
    }
    assert_eq!(kind(second.txn(old).put("app/a", "1").commit(None)), ErrorKind::Fenced);
    first.request_stop();
    // Draining: the role is held.
    first.txn(old).put("app/a", "drained").commit(None).unwrap();
    let mut begun = first.txn(old);
    begun.put("app/a", "late");
    leave(&first);
    assert_eq!(kind(begun.commit(None)), ErrorKind::Fenced);
    let new = activate(&second);
    assert_eq!(value(&second, new, "app/a").unwrap(), b"drained");
    stop(&second);
}

#[test]
fn the_store_itself_refuses_a_term_whose_key_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Switched::open(directory.path()));
    let url = format!("local:{}", directory.path().display());
    let start = |port| {
        let store: Arc<Switched> = Arc::clone(&store);
        Session::start_on(store, &config(&url, port), None).unwrap()
    };
    let first = start(1);
    let token = activate(&first);
    // Held up on its way, while the role changes hands: the local check cannot see it.
    store.block(true);
    let writer = {
        let first = first.clone();
        std::thread::spawn(move || {
            let limit = Some(Duration::from_secs(5));
            first.txn(token).put("app/a", "late").commit(limit)
        })
    };
    until("the write is held up", || (store.held_up() > 0).then_some(()));
    let other = coordha::store::local::LocalStore::open(directory.path(), Duration::from_secs(30));
    let other = other.unwrap();
    let delete = coordha::kv::Txn { success: vec![coordha::kv::Op::delete(first.active_key())], ..Default::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use coordha::store::Store as _;
        other.txn(delete, Duration::from_secs(30)).await.unwrap();
    });
    store.block(false);
    until("the end of the commit", || writer.is_finished().then_some(()));
    let outcome = writer.join().unwrap();
    // Fenced, where the answer came in time on a busy machine; written it is in no case.
    assert!(matches!(kind(outcome), ErrorKind::Fenced | ErrorKind::UnknownOutcome));
    let next = activate_again(&first, token);
    assert_eq!(value(&first, next, "app/a"), None);
    stop(&first);
}

/// The session lost its term; it cleans up and wins another one.
fn activate_again(session: &Session, lost: i64) -> i64 {
    crate::world::expect(session, coordha::session::EventKind::Deactivate);
    session.deactivation_done(lost).unwrap();
    activate(session)
}

#[test]
fn what_was_not_sent_and_what_is_not_known_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Switched::open(directory.path()));
    let url = format!("local:{}", directory.path().display());
    let session = {
        let store: Arc<Switched> = Arc::clone(&store);
        Session::start_on(store, &config(&url, 1), None).unwrap()
    };
    let token = activate(&session);
    store.set(Fault::Refuse);
    let refused = session.txn(token).put("app/a", "1").commit(None);
    assert_eq!(kind(refused), ErrorKind::Unavailable);
    store.set(Fault::LoseReply);
    let lost = session.txn(token).if_revision("app/a", 0).put("app/a", "1").commit(None);
    assert_eq!(kind(lost), ErrorKind::UnknownOutcome);
    store.set(Fault::None);
    // Sent again with the same compare: it fails, so the first one did commit.
    let mut again = session.txn(token);
    again.if_revision("app/a", 0).put("app/a", "1");
    assert_eq!(kind(again.commit(None)), ErrorKind::CompareFailed);
    assert_eq!(again.results().kvs[0].value, b"1");
    let no_time = session.txn(token).put("app/b", "1").commit(Some(Duration::ZERO));
    assert_eq!(kind(no_time), ErrorKind::Timeout);
    assert!(session.is_active());
    stop(&session);
}

#[test]
fn a_leased_value_goes_with_the_session() {
    let place = Place::new();
    let (first, token) = place.active(1);
    let second = place.standby(2);
    let mut txn = first.txn(token);
    txn.put_leased("app/leased", "1").put("app/kept", "1").commit(None).unwrap();
    assert!(value(&first, token, "app/leased").is_some());
    stop(&first);
    let token = activate(&second);
    assert_eq!(value(&second, token, "app/leased"), None);
    assert!(value(&second, token, "app/kept").is_some());
    stop(&second);
}

#[test]
fn what_a_transaction_may_not_have_is_refused_by_name() {
    let place = Place::new();
    let (session, token) = place.active(1);
    let refused = |expected: ErrorKind, build: &dyn Fn(&mut TxnBuilder)| {
        let mut txn = session.txn(token);
        build(&mut txn);
        // The first error sticks.
        txn.put("", "");
        let error = txn.commit(None).unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
    };
    let invalid = ErrorKind::InvalidArgument;
    refused(invalid, &|t| {
        t.put("by-dev/meta/session/rootcoord", "x");
    });
    refused(invalid, &|t| {
        t.delete("by-dev/meta/ha/rootcoord/term");
    });
    refused(invalid, &|t| {
        t.get("by-dev/meta/session/id");
    });
    refused(invalid, &|t| {
        t.if_revision("by-dev/meta/session/id", 0);
    });
    refused(invalid, &|t| {
        t.delete_prefix("by-dev/");
    });
    refused(invalid, &|t| {
        t.delete_prefix("by-dev/meta/session/x");
    });
    refused(invalid, &|t| {
        t.get_prefix("by-dev/meta/ha/", 0);
    });
    refused(invalid, &|t| {
        t.put("a", "1").delete("a");
    });
    refused(invalid, &|t| {
        t.delete_prefix("a").put("ab", "1");
    });
    refused(invalid, &|t| {
        t.put("ab", "1").delete_prefix("a");
    });
    refused(invalid, &|t| {
        t.get("");
    });
    refused(invalid, &|t| {
        t.if_revision("a", -1);
    });
    refused(invalid, &|t| {
        t.get_prefix("a", -1);
    });
    let too_large = ErrorKind::TooLarge;
    refused(too_large, &|t| {
        t.put(vec![b'k'; 4097], "");
    });
    refused(too_large, &|t| {
        t.put("a", vec![0; 1 << 20]);
    });
    refused(too_large, &|t| {
        for n in 0..101 {
            t.put(format!("k{n}"), "");
        }
    });
    stop(&session);
}

#[test]
fn the_largest_transaction_and_keys_beside_the_librarys_own_are_allowed() {
    let place = Place::new();
    let (session, token) = place.active(1);
    let mut most = session.txn(token);
    most.put(vec![b'k'; 4096], vec![0; 1000]);
    for n in 0..49 {
        most.if_revision(format!("app/{n}"), 0).put(format!("app/{n}"), "1");
    }
    most.get("app/0");
    most.commit(None).unwrap();
    // Keys beside the library's own are anybody's.
    let mut beside = session.txn(token);
    beside.put("by-dev/meta/sessions", "1").put("by-dev/meta/kv/a", "1").commit(None).unwrap();
    stop(&session);
}
