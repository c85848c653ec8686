//! The records of a role, which anybody who may write to the store may have written. What is accepted is written back
//! equal, whatever the case of its names; what is refused is refused in words.

#![no_main]

use coordha::{error, kv};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde_json::{Map, Value};

/// The private module itself: `error` and `kv` are those of the library.
#[path = "../../../src/record/mod.rs"]
#[allow(dead_code, reason = "not all of it is looked at")]
mod record;

use record::{Keys, Record, TermRecord, encode};

const LONGEST_HOLD_MS: u64 = 240_000;

/// The same object with its own names in capitals, as a reader of Go's may have written it.
fn shouted(record: &impl Serialize) -> Vec<u8> {
    let object: Map<String, Value> = serde_json::from_slice(&encode(record)).expect("an object");
    let loud: Map<String, Value> = object.into_iter().map(|(name, value)| (name.to_uppercase(), value)).collect();
    serde_json::to_vec(&loud).expect("an object")
}

fn check<R: Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8], decode: fn(&[u8]) -> error::Result<R>) -> Option<R> {
    match decode(bytes) {
        Ok(record) => {
            assert_eq!(decode(&encode(&record)).as_ref(), Ok(&record));
            assert_eq!(decode(&shouted(&record)).as_ref(), Ok(&record));
            Some(record)
        }
        Err(error) => {
            assert_eq!(error.kind(), error::ErrorKind::Corrupt);
            assert!(!error.message().is_empty());
            None
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Some(record) = check(bytes, Record::decode) {
        assert!(record.version.is_empty() || semver::Version::parse(&record.version).is_ok());
        assert!(record.coordha.as_ref().is_none_or(|ours| ours.hold_ms <= LONGEST_HOLD_MS));
        assert!(record.coordha.as_ref().is_none_or(|ours| record.is_of(ours.session_id)));
        coordha_fuzz::planted(|| record.coordha.is_some_and(|ours| ours.priority < -3));
    }
    if let Some(record) = check(bytes, TermRecord::decode) {
        assert!(record.hold_ms <= LONGEST_HOLD_MS);
    }
    let keys = Keys::new("by-dev/meta", "data");
    let key = [b"by-dev/meta/session/", bytes].concat();
    if let Some(id) = keys.member_id(&key) {
        assert!(id >= 0 && keys.role_range().contains(&key));
        assert_eq!(keys.member_id(&keys.member(id)), Some(id));
    }
    assert!(!keys.term_range().contains(&key));
});
