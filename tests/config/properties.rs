//! Whatever is set, nothing panics, and every refusal is told in words.

use coordha::config::Config;
use coordha::config::keys::{self, KEYS, Key, Kind};
use coordha::error::ErrorKind;
use proptest::prelude::*;

use super::tables::{bad_values, good_values};
use super::{accepted, complete, refused, row};

/// A key, and a value that is anything, or nearly right, or right.
fn any_pair() -> impl Strategy<Value = (&'static Key, String)> {
    proptest::sample::select(KEYS).prop_flat_map(|key| {
        let mut known = bad_values(key.kind);
        known.extend(good_values(key.kind).into_iter().map(|(value, _)| value));
        known.push("x".into());
        let known = proptest::sample::select(known);
        let near = (known.clone(), any::<proptest::sample::Index>(), any::<char>()).prop_map(|(value, at, c)| {
            let mut chars: Vec<char> = value.chars().collect();
            chars.insert(at.index(chars.len() + 1), c);
            chars.into_iter().collect()
        });
        let value = prop_oneof![
            ".*",
            "\\PC{0,40}",
            "[-+0-9]{0,24}",
            "etcd://[a-z0-9.:,\\[\\]@/ -]{0,30}",
            "[\\[\\]:a-f0-9.]{0,30}",
            known,
            near,
        ];
        value.prop_map(move |value| (row(key.name), value))
    })
}

proptest! {
    #[test]
    fn any_value_is_used_or_refused_in_words((key, value) in any_pair()) {
        let mut config = Config::new();
        if config.set(key.name, &value).is_ok() {
            let used = config.get(key.name).expect("set");
            prop_assert_eq!(accepted(key, &used), used);
        } else {
            refused(key, &value);
        }
    }

    #[test]
    fn a_refused_secret_is_never_shown(secret in "[A-Z]{12}", bad in "[\\x00-\\x1f\\x7f]") {
        let error = refused(row(keys::STORE_ETCD_PASSWORD), &format!("{secret}{bad}"));
        let shown = format!("{error:?}{error}");
        prop_assert!(!shown.contains(&secret), "{}", shown);
        let url = format!("etcd://root:{secret}@a:1");
        let error = refused(row(keys::STORE_URL), &url);
        let shown = format!("{error:?}{error}");
        prop_assert!(!shown.contains(&secret), "{}", shown);
    }

    #[test]
    fn any_key_is_known_or_refused_in_words(key in ".*|[a-z._]{0,90}", value in ".*") {
        let mut config = Config::new();
        match config.set(&key, &value) {
            Ok(()) => prop_assert!(keys::find(&key).is_some()),
            Err(error) if error.kind() == ErrorKind::ConfigKey => {
                prop_assert!(keys::find(&key).is_none());
                prop_assert!(!error.message().chars().any(char::is_control));
            }
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::ConfigValue),
        }
    }

    #[test]
    fn any_accepted_configuration_resolves_within_the_rules_or_says_why(pairs in prop::collection::vec(any_pair(), 0..40)) {
        let mut config = complete();
        for (key, value) in &pairs {
            // Looking up this host's addresses is another test's.
            if key.kind != Kind::Address {
                let _ = config.set(key.name, value);
            }
        }
        match config.resolve() {
            Ok(resolved) => {
                prop_assert!(config.check().is_ok());
                prop_assert!(resolved.ttl >= 2 * resolved.hold);
                prop_assert_eq!(resolved.ttl.subsec_nanos(), 0);
                prop_assert!(!resolved.root.ends_with('/') && !resolved.root.contains("//"));
                let etcd = &resolved.store.etcd;
                prop_assert_eq!(etcd.login.is_some(), config.get(keys::STORE_ETCD_USER) != Some(String::new()));
            }
            Err(error) => {
                prop_assert_eq!(Some(error.kind()), config.check().err().map(|error| error.kind()));
                prop_assert!(matches!(error.kind(), ErrorKind::ConfigConflict | ErrorKind::ConfigMissing));
                prop_assert!(error.detail("key").is_some_and(|key| error.message().contains(key)));
            }
        }
    }
}
