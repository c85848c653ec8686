//! Opening: what is made, and what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use coordha::error::{Error, ErrorKind};
use coordha::kv::KeyRange;
use coordha::store::Store;
use coordha::store::local::LocalStore;
use tempfile::TempDir;

use super::child::Child;
use super::{LIMIT, database, open, put, read};

fn refusal(directory: &Path) -> Error {
    LocalStore::open(directory, LIMIT).map(drop).unwrap_err()
}

#[tokio::test]
async fn directory_is_made_for_its_user_alone() {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("new/one");
    let store = open(&directory);
    let mode = fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(store.health().endpoint, directory.display().to_string());
}

#[tokio::test]
async fn what_was_written_is_there_after_all_have_closed() {
    let directory = TempDir::new().unwrap();
    let revision = put(&open(directory.path()), "k", "x").await;
    let kvs = read(&open(directory.path()), KeyRange::key("k")).await;
    assert_eq!(kvs[0].mod_revision, revision);
}

#[tokio::test]
async fn processes_that_open_a_new_directory_at_once_all_succeed() {
    let directory = TempDir::new().unwrap();
    let start = |_| Child::start("open", directory.path());
    let mut children: Vec<_> = (0..8).map(start).collect();
    for child in &mut children {
        child.expect("opened").await;
    }
    let opened = read(&open(directory.path()), KeyRange::prefix("opened/")).await;
    assert_eq!(opened.len(), 8);
}

#[test]
fn unusable_directory_is_refused_with_the_key_the_path_and_what_is_allowed() {
    let parent = TempDir::new().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    for directory in [Path::new(""), &file, &file.join("below"), Path::new("/proc/none")] {
        let error = refusal(directory);
        assert_eq!(error.kind(), ErrorKind::ConfigValue, "{error}");
        let value = format!("local:{}", directory.display());
        assert_eq!(error.detail("key"), Some("store.url"));
        assert_eq!(error.detail("value"), Some(value.as_str()));
        let allowed = error.detail("allowed").unwrap();
        for part in ["store.url", &value, allowed] {
            assert!(error.message().contains(part), "{error} lacks {part}");
        }
    }
}

#[test]
fn database_of_another_version_is_refused() {
    let directory = TempDir::new().unwrap();
    drop(open(directory.path()));
    database(directory.path()).pragma_update(None, "user_version", 77).unwrap();
    let error = refusal(directory.path());
    assert_eq!(error.kind(), ErrorKind::StoreVersion);
    for part in ["77", "coordha.db"] {
        assert!(error.message().contains(part), "{error}");
    }
}

#[test]
fn database_of_another_program_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let others = database(directory.path());
    others.execute_batch("CREATE TABLE theirs (x)").unwrap();
    let error = refusal(directory.path());
    assert_eq!(error.kind(), ErrorKind::ConfigValue);
    assert!(error.message().contains("another program"), "{error}");
    let tables: i64 = others.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn locked_database_makes_the_opening_end_at_its_limit() {
    let directory = TempDir::new().unwrap();
    let other = database(directory.path());
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let limit = std::time::Duration::from_millis(200);
    let error = LocalStore::open(directory.path(), limit).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    drop(open(directory.path()));
}
