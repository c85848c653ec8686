//! What the targets share.

use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{fs, thread};

use coordha::config::Config;
use coordha::config::keys::{KEYS, Kind};
use coordha::config::milvus::NAMES;
use coordha::error::{Error, ErrorKind};

/// Known to be bad: where `COORDHA_FUZZ_PLANT` is set, an input like this one is a crash. It shows that crashes are found.
pub fn planted(is_bad: impl FnOnce() -> bool) {
    static PLANTED: OnceLock<bool> = OnceLock::new();
    if *PLANTED.get_or_init(|| std::env::var_os("COORDHA_FUZZ_PLANT").is_some()) && is_bad() {
        panic!("planted");
    }
}

/// Waits until the threads of the library are gone, as they are to be once nothing of it is in use. Leaks are looked for after
/// that: what a thread takes along on its way out looks like one. The log's own may stay for a second.
pub fn wait_for_threads() {
    let end = Instant::now() + Duration::from_secs(20);
    let is_ours = |name: &str| name.starts_with("coordha") && name.trim_end() != "coordha-log";
    loop {
        let tasks = fs::read_dir("/proc/self/task").expect("/proc");
        let names = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        let ours: Vec<String> = names.filter(|name| is_ours(name)).collect();
        if ours.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "threads that do not end: {ours:?}");
        thread::yield_now();
    }
}

/// Every value of a configuration is in the form in which it is used: to set it again changes nothing.
pub fn check_values(config: &Config) {
    check_values_or(config, &[ErrorKind::ConfigMissing, ErrorKind::ConfigConflict]);
}

/// The same; what is wrong with all of them together is of these kinds.
pub fn check_values_or(config: &Config, kinds: &[ErrorKind]) {
    let mut again = config.clone();
    for key in KEYS {
        if let Some(value) = config.get(key.name) {
            again.set(key.name, &value).unwrap_or_else(|e| panic!("{} = {value:?}: {e}", key.name));
            assert_eq!(again.get(key.name).as_ref(), Some(&value), "{}", key.name);
        }
    }
    match (config.check(), config.resolve()) {
        (Ok(()), Ok(resolved)) => {
            assert!(resolved.ttl >= 2 * resolved.hold, "{resolved:?}");
            assert!(!resolved.role.is_empty() && !resolved.root.ends_with('/'), "{resolved:?}");
            again.set("address", &resolved.address).expect("what is announced is an address");
            again.set("store.url", &resolved.store.url.to_string()).expect("a URL that is used can be written");
            assert_eq!(again.resolve().expect("the same"), resolved);
            config.resolve_observer().expect("less is needed");
        }
        (Err(error), Err(same)) => {
            assert_eq!(error, same);
            check_error(&error, kinds);
        }
        (check, resolve) => panic!("check: {check:?}, resolve: {resolve:?}"),
    }
}

/// An error of a configuration says what is wrong, with which key, in words that can be shown, and tells no secret.
pub fn check_error(error: &Error, kinds: &[ErrorKind]) {
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert!(
        !error.message().is_empty() && !error.message().contains(|c: char| c.is_control() && c != '\n'),
        "{error:?}"
    );
    let detail = |name| error.detail(name).unwrap_or_else(|| panic!("no {name}: {error:?}"));
    match error.kind() {
        ErrorKind::ConfigKey => {
            assert!(error.message().contains(detail("key")), "{error:?}");
            assert_eq!(detail("value"), "***");
            assert!(detail("allowed").contains("store.url"));
        }
        ErrorKind::ConfigValue => {
            for told in ["key", "value", "allowed"].map(detail) {
                assert!(error.message().contains(told), "{told:?}: {error:?}");
            }
            let Some(key) = KEYS.iter().find(|key| key.name == detail("key")) else {
                assert!(NAMES.iter().any(|name| name.name == detail("key")), "{error:?}");
                return;
            };
            assert_eq!(detail("allowed"), key.allowed());
            assert!(key.kind != Kind::Secret || detail("value") == "***", "{error:?}");
        }
        ErrorKind::ConfigMissing | ErrorKind::ConfigConflict => assert!(error.message().contains(detail("key"))),
        _ => {}
    }
}
