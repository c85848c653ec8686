//! A configuration file. What is accepted says the same when it is written anew; what is refused names the file.

#![no_main]

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use coordha::config::keys::KEYS;
use coordha::config::{Config, Dialect};
use coordha::error::{Error, ErrorKind};
use coordha_fuzz::{check_error, check_values};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a folder"));

fn path() -> PathBuf {
    FOLDER.path().join("coordha.yaml")
}

fn load(bytes: &[u8]) -> Result<Config, Error> {
    fs::write(path(), bytes).expect("a file");
    let mut config = Config::new();
    let result = config.load_yaml(path(), Dialect::Native);
    assert!(result.is_ok() || format!("{config:?}") == "{}");
    result.map(|()| config)
}

fn values(config: &Config) -> Vec<Option<String>> {
    KEYS.iter().map(|key| config.get(key.name)).collect()
}

fuzz_target!(|bytes: &[u8]| {
    match load(bytes) {
        Ok(config) => {
            check_values(&config);
            let mut text = "coordha:\n".to_owned();
            for key in KEYS {
                if let Some(value) = config.get(key.name) {
                    // JSON's strings are YAML's.
                    writeln!(text, "  {}: {}", key.name, serde_json::to_string(&value).expect("a text"))
                        .expect("a text");
                }
            }
            let again = load(text.as_bytes()).unwrap_or_else(|error| panic!("{error}:\n{text}"));
            assert_eq!(values(&again), values(&config));
        }
        Err(error) => {
            let kinds =
                [ErrorKind::ConfigFile, ErrorKind::ConfigKey, ErrorKind::ConfigValue, ErrorKind::ConfigConflict];
            check_error(&error, &kinds);
            assert!(error.message().contains("coordha.yaml"), "{error:?}");
        }
    }
});
