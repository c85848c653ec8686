//! Whatever stands under Milvus's names, it is used or refused in words, and no secret is shown.

use coordha::config::milvus::NAMES;
use coordha::config::{Config, Dialect, Format, keys};
use coordha::error::ErrorKind;
use proptest::prelude::*;
use proptest::sample::select;

use crate::milvus::{add_env, says};

/// A name of Milvus's, and something that might be its value.
fn said() -> impl Strategy<Value = (&'static str, String)> {
    let names: Vec<&str> = NAMES.iter().map(|name| name.name).collect();
    let words =
        "true|false|T||a:1|10.0.0.1|::1|0.0.0.0|..|/|30|1.3|a b|geheim|https://a:1|http://a:1, b:2|1.1|3e1|1e9|-1|,";
    let usual: Vec<&str> = words.split('|').collect();
    (select(names), prop_oneof![9 => select(usual).prop_map(str::to_owned), 1 => "\\PC{0,12}"])
}

fn file(said: &[(&str, String)]) -> String {
    // JSON's strings are YAML's.
    said.iter().map(|(name, value)| format!("{name}: {}\n", serde_json::to_string(value).unwrap())).collect()
}

fn check_words(config: &Config) {
    match config.check() {
        Ok(()) => drop(config.resolve().unwrap()),
        Err(error) => {
            let kinds = [ErrorKind::ConfigMissing, ErrorKind::ConfigConflict, ErrorKind::ConfigValue];
            assert!(kinds.contains(&error.kind()), "{error:?}");
            says(&error, error.kind(), &[error.detail("key").unwrap()]);
        }
    }
    let dump = config.dump(Format::Text);
    assert_eq!(dump.lines().count(), keys::KEYS.len(), "{dump}");
    let password = dump.lines().find(|line| line.starts_with("store.etcd.password = ")).unwrap();
    assert!(!password.contains("geheim"), "{password}");
}

proptest! {
    #[test]
    fn any_values_of_milvus_are_used_or_refused_in_words(
        in_file in proptest::collection::vec(said(), 0..8),
        in_env in proptest::collection::vec(said(), 0..4),
        role in select(vec!["rootcoord", "mixcoord", "indexcoord", "own"]),
    ) {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("milvus.yaml");
        let mut config = Config::new();
        config.set(keys::ROLE, role).unwrap();
        std::fs::write(&path, file(&in_file)).unwrap();
        if let Err(error) = config.load_yaml(&path, Dialect::Milvus) {
            prop_assert!(error.message().contains("milvus.yaml:"), "{error}");
            prop_assert!(error.detail("key").is_some(), "{error:?}");
            // Line by line, what is right can be loaded.
            for one in &in_file {
                std::fs::write(&path, file(std::slice::from_ref(one))).unwrap();
                let _ = config.load_yaml(&path, Dialect::Milvus);
            }
        }
        let variables: Vec<(&str, &str)> = in_env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if let Err(error) = add_env(&mut config, &variables) {
            prop_assert!(error.message().contains("environment variable"), "{error}");
        }
        check_words(&config);
    }
}
