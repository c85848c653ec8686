//! The environment, one `NAME=value` a line. What is accepted says the same when it is set anew; what is refused names the
//! variable.

#![no_main]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use coordha::config::keys::KEYS;
use coordha::config::{Config, Dialect};
use coordha::error::ErrorKind;
use coordha_fuzz::{check_error, check_values};
use libfuzzer_sys::fuzz_target;

fn os(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}

fuzz_target!(|bytes: &[u8]| {
    let pairs = bytes.split(|byte| *byte == b'\n').map(|line| {
        let at = line.iter().position(|byte| *byte == b'=');
        let (name, value) = at.map_or((line, &line[..0]), |at| (&line[..at], &line[at + 1..]));
        (os(name), os(value))
    });
    let variables: Vec<(OsString, OsString)> = pairs.collect();
    let mut config = Config::new();
    match config.load_env_from(variables, Dialect::Native) {
        Ok(()) => {
            check_values(&config);
            let set = |key: &str| Some((format!("COORDHA_{key}").into(), config.get(key_name(key))?.into()));
            let again: Vec<(OsString, OsString)> = KEYS.iter().filter_map(|key| set(key.constant)).collect();
            let mut same = Config::new();
            same.load_env_from(again, Dialect::Native).expect("the values that are used");
            for key in KEYS {
                assert_eq!(same.get(key.name), config.get(key.name));
            }
        }
        Err(error) => {
            check_error(&error, &[ErrorKind::ConfigKey, ErrorKind::ConfigValue]);
            assert!(error.message().contains("environment variable COORDHA_"), "{error:?}");
            assert_eq!(format!("{config:?}"), "{}");
        }
    }
});

fn key_name(constant: &str) -> &'static str {
    KEYS.iter().find(|key| key.constant == constant).map_or("", |key| key.name)
}
