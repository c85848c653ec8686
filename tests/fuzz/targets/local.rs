//! The file of the local store, damaged: bytes of a good one are changed, the end is cut off. It is opened, or refused in
//! words; requests are answered or fail; nothing hangs.

#![no_main]

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::Arbitrary;
use coordha::error::ErrorKind;
use coordha::kv::{KeyRange, Op, StoreError, Txn};
use coordha::store::Store;
use coordha::store::local::LocalStore;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

const LIMIT: Duration = Duration::from_millis(200);
const FILE: &str = "coordha.db";

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(good);

#[derive(Arbitrary, Debug)]
struct Damage<'a> {
    at: u16,
    bytes: &'a [u8],
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    damages: Vec<Damage<'a>>,
    /// So many bytes less at the end.
    cut: Option<u16>,
}

fn write(key: &str) -> Txn {
    let ops = vec![Op::put(key, "value", 0), Op::read(KeyRange::prefix(""))];
    Txn { success: ops, ..Txn::default() }
}

/// The file of a store in which something was written, by nobody in use.
fn good() -> Vec<u8> {
    let folder = TempDir::new().expect("a folder");
    let store = LocalStore::open(folder.path(), LIMIT * 50).expect("a store");
    RUNTIME.block_on(async {
        let lease = store.grant(Duration::from_secs(60), LIMIT * 50).await.expect("a lease").lease;
        let leased = Txn { success: vec![Op::put("leased", "value", lease)], ..Txn::default() };
        store.txn(leased, LIMIT * 50).await.expect("a write");
        store.txn(write("key"), LIMIT * 50).await.expect("a write");
    });
    // A copy in one piece, whatever is still in the log.
    let copy = folder.path().join("copy");
    let connection = rusqlite::Connection::open(folder.path().join(FILE)).expect("a database");
    connection.execute("VACUUM INTO ?1", [copy.display().to_string()]).expect("a copy");
    fs::read(copy).expect("a file")
}

fn damaged(input: &Input<'_>) -> Vec<u8> {
    let mut file = GOOD.clone();
    for Damage { at, bytes } in &input.damages {
        let at = usize::from(*at) % file.len();
        let end = file.len().min(at + bytes.len());
        file[at..end].copy_from_slice(&bytes[..end - at]);
    }
    file.truncate(file.len() - usize::from(input.cut.unwrap_or(0)) % file.len());
    file
}

fn check<T>(result: Result<T, StoreError>) -> Option<T> {
    result
        .map_err(|error| {
            assert!(!matches!(error, StoreError::Auth(_) | StoreError::Permission(_) | StoreError::Tls(_)))
        })
        .ok()
}

fuzz_target!(|input: Input<'_>| {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join(FILE), damaged(&input)).expect("a file");
    let store = match LocalStore::open(folder.path(), LIMIT) {
        Ok(store) => store,
        Err(error) => {
            let kinds = [ErrorKind::Corrupt, ErrorKind::StoreVersion, ErrorKind::ConfigValue, ErrorKind::Unavailable];
            assert!(kinds.contains(&error.kind()), "{error:?}");
            assert_eq!(error.detail("key"), Some("store.url"), "{error:?}");
            return;
        }
    };
    RUNTIME.block_on(async {
        let read = check(store.range(KeyRange::prefix(""), 0, LIMIT).await);
        let wrote = check(store.txn(write("another"), LIMIT).await);
        let watch = store.watch(vec![KeyRange::prefix("")], 1, LIMIT).await;
        if let (Some(read), Some(wrote)) = (read, wrote) {
            assert!(wrote.revision > read.revision, "{read:?} {wrote:?}");
            let seen = wrote.kvs().find(|kv| kv.key == b"another").expect("what was just written");
            assert_eq!((seen.value.as_slice(), seen.mod_revision), (&b"value"[..], wrote.revision));
        }
        drop(watch);
        if let Some(lease) = check(store.grant(Duration::from_secs(60), LIMIT).await) {
            check(store.revoke(lease.lease, LIMIT).await);
        }
    });
    drop(store);
    coordha_fuzz::wait_for_threads();
});
