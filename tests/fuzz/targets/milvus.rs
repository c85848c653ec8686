//! A file and the environment in Milvus's dialect: YAML, then a line `%%`, then one `NAME=value` a line. What is accepted is
//! shown with its places and without its secrets; what is refused names the key and the place, and changes nothing.

#![no_main]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::sync::LazyLock;

use coordha::config::milvus::NAMES;
use coordha::config::{Config, Dialect, Format, keys};
use coordha::error::{Error, ErrorKind};
use coordha_fuzz::{check_error, check_values_or};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const ROLES: [&str; 6] = ["rootcoord", "datacoord", "querycoord", "indexcoord", "mixcoord", "own"];

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a folder"));

fn os(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}

/// A refusal of Milvus's names has them in its details, one of ours is checked as everywhere.
fn check_refusal(error: &Error, place: &str) {
    let kinds = [ErrorKind::ConfigFile, ErrorKind::ConfigKey, ErrorKind::ConfigValue, ErrorKind::ConfigConflict];
    assert!(kinds.contains(&error.kind()) && error.message().contains(place), "{error:?}");
    assert!(!error.message().contains(char::is_control), "{error:?}");
    let key = error.detail("key").unwrap_or_default();
    if error.kind() == ErrorKind::ConfigValue && keys::find(key).is_none() {
        assert!(error.message().contains(key), "{error:?}");
        if let Some(name) = NAMES.iter().find(|name| name.name == key) {
            assert_eq!(error.detail("allowed"), Some(name.allowed().as_str()));
            assert!(!name.is_secret() || error.detail("value") == Some("***"), "{error:?}");
        }
    } else if error.kind() != ErrorKind::ConfigFile {
        check_error(error, &kinds);
    }
}

/// Each key has its line, in JSON too, and a password is shown nowhere.
fn check_dump(config: &Config) {
    let text = config.dump(Format::Text);
    let json: serde_json::Value = serde_json::from_str(&config.dump(Format::Json)).expect("JSON");
    assert_eq!((text.lines().count(), json.as_array().map(Vec::len)), (keys::KEYS.len(), Some(keys::KEYS.len())));
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    let line = text.lines().find(|line| line.starts_with("store.etcd.password = ")).expect("it has a line");
    let shown = line.trim_start_matches("store.etcd.password = ");
    assert!(shown.starts_with("***") || shown.trim_start().starts_with('#'), "{line}");
}

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.windows(3).position(|part| part == b"%%\n");
    let (file, lines) = at.map_or((bytes, &bytes[..0]), |at| (&bytes[..at], &bytes[at + 3..]));
    let path = FOLDER.path().join("milvus.yaml");
    fs::write(&path, file).expect("a file");
    let variables = lines.split(|byte| *byte == b'\n').map(|line| {
        let at = line.iter().position(|byte| *byte == b'=');
        let (name, value) = at.map_or((line, &line[..0]), |at| (&line[..at], &line[at + 1..]));
        (os(name), os(value))
    });
    let mut config = Config::new();
    if let Err(error) = config.load_yaml(&path, Dialect::Milvus) {
        check_refusal(&error, "milvus.yaml");
        assert_eq!(format!("{config:?}"), "{}");
    }
    let before = format!("{config:?}");
    if let Err(error) = config.load_env_from(variables, Dialect::Milvus) {
        check_refusal(&error, "environment variable ");
        assert_eq!(format!("{config:?}"), before);
    }
    // One a run, as each asks the host for its addresses.
    config.set(keys::ROLE, ROLES[bytes.len() % ROLES.len()]).expect("a role");
    check_values_or(&config, &[ErrorKind::ConfigMissing, ErrorKind::ConfigConflict, ErrorKind::ConfigValue]);
    check_dump(&config);
});
