//! Keys and values as programs set them, one `key=value` a line; `?` in front proposes it. URLs, addresses, roots, roles,
//! versions and numbers are parsed here.

#![no_main]

use std::collections::BTreeMap;

use coordha::config::Config;
use coordha::error::ErrorKind;
use coordha_fuzz::{check_error, check_values};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (mut config, mut insisted) = (Config::new(), BTreeMap::new());
    for line in text.split('\n') {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let key = name.strip_prefix('?').unwrap_or(name);
        let before = config.get(key);
        let result = if key == name { config.set(key, value) } else { config.set_default(key, value) };
        match result {
            Ok(()) if key == name => drop(insisted.insert(key, config.get(key).expect("it was set"))),
            Ok(()) => assert!(config.get(key).is_some()),
            Err(error) => {
                check_error(&error, &[ErrorKind::ConfigKey, ErrorKind::ConfigValue]);
                assert_eq!(before, config.get(key), "{key}");
            }
        }
    }
    // What was proposed does not count where the program insists.
    for (key, value) in &insisted {
        assert_eq!(config.get(key).as_ref(), Some(value));
    }
    check_values(&config);
});
