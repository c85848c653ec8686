//! The switch of a coordinator: its spellings, its sources, and who falls back on whose.

use coordha::config::{Config, keys};
use coordha::error::ErrorKind;

use crate::milvus::{add_env, from_env, from_file, resolved, says};

#[test]
fn a_variable_may_be_spelled_in_each_way_that_milvus_takes() {
    for name in [
        "ROOT_COORD_ENABLE_ACTIVE_STANDBY",
        "ROOTCOORD_ENABLEACTIVESTANDBY",
        "rootCoord.enableActiveStandby",
        "rootCoord/enableActiveStandby",
        "milvus.rootCoord.enableActiveStandby",
        "MILVUS_CONF_ROOTCOORD_ENABLEACTIVESTANDBY",
    ] {
        let config = from_env("rootcoord", &[(name, "true")]).unwrap();
        assert_eq!(config.get(keys::ACTIVE_STANDBY_ENABLED).as_deref(), Some("true"), "{name}");
    }
    // Milvus reads none of these as that key.
    for name in ["ROOT_COORD_ACTIVE_STANDBY", "MILVUS_ROOT_COORD_ENABLE_ACTIVE_STANDBY", "ENABLE_ACTIVE_STANDBY"] {
        let config = from_env("rootcoord", &[(name, "true")]).unwrap();
        assert_eq!(config.get(keys::ACTIVE_STANDBY_ENABLED).as_deref(), Some("false"), "{name}");
    }
}

#[test]
fn switches_have_the_spellings_of_go_and_no_other() {
    let of = |text| from_env("rootcoord", &[("ROOT_COORD_ENABLE_ACTIVE_STANDBY", text)]);
    for text in ["1", "t", "T", "true", "TRUE", "True"] {
        assert_eq!(of(text).unwrap().get(keys::ACTIVE_STANDBY_ENABLED).as_deref(), Some("true"), "{text}");
    }
    for text in ["0", "f", "F", "false", "FALSE", "False"] {
        assert_eq!(of(text).unwrap().get(keys::ACTIVE_STANDBY_ENABLED).as_deref(), Some("false"), "{text}");
    }
    for text in ["", "yes", "on", "tRUE", "2", " true"] {
        let error = of(text).unwrap_err();
        says(&error, ErrorKind::ConfigValue, &["ROOT_COORD_ENABLE_ACTIVE_STANDBY", "rootCoord.enableActiveStandby"]);
        assert_eq!(error.detail("value"), Some(text));
    }
}

#[test]
fn a_mixed_coordinator_falls_back_on_the_root_coordinators_switch() {
    for (mixed, root, on) in
        [("", "true", true), ("false", "true", true), ("true", "false", true), ("false", "false", false)]
    {
        let own = if mixed.is_empty() { String::new() } else { format!(", enableActiveStandby: {mixed}") };
        let text = format!("mixCoord: {{port: 53100{own}}}\nrootCoord: {{enableActiveStandby: {root}}}");
        assert_eq!(resolved(&from_file("mixcoord", &text).unwrap()).active_standby, on, "{text}");
    }
}

#[test]
fn an_index_coordinator_without_a_switch_has_the_data_coordinators() {
    let text = "indexCoord: {port: 31000}\ndataCoord: {enableActiveStandby: true}";
    assert!(resolved(&from_file("indexcoord", text).unwrap()).active_standby);
    let text = "indexCoord: {port: 31000, enableActiveStandby: false}\ndataCoord: {enableActiveStandby: true}";
    assert!(!resolved(&from_file("indexcoord", text).unwrap()).active_standby);
}

const REAL: &str = "rootCoord.enableActiveStandby";
const OTHER: &str = "rootCoord.activeStandby.enabled";

/// What a file and the environment say under both spellings; empty: nothing.
fn said([real, other, env_real, env_other]: [&str; 4]) -> Config {
    let line = |key: &str, value: &str| match value {
        "" => String::new(),
        _ => format!("  {key}: {value}\n"),
    };
    let [real, other] = [line("enableActiveStandby", real), line("activeStandby.enabled", other)];
    let mut config = from_file("rootcoord", &format!("rootCoord:\n  port: 53100\n{real}{other}")).unwrap();
    let named = [("ROOT_COORD_ENABLE_ACTIVE_STANDBY", env_real), ("ROOT_COORD_ACTIVE_STANDBY_ENABLED", env_other)];
    let set: Vec<(&str, &str)> = named.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    add_env(&mut config, &set).unwrap();
    config
}

#[test]
fn every_combination_of_the_two_spellings_is_one_mode_or_a_refusal() {
    let values = ["", "true", "false"];
    for index in 0..81 {
        let said_here = [1, 3, 9, 27].map(|place| values[index / place % 3]);
        let [real, other, env_real, env_other] = said_here;
        // The environment counts more, spelling by spelling.
        let higher = |env: &'static str, file: &'static str| if env.is_empty() { file } else { env };
        let [one, two] = [higher(env_real, real), higher(env_other, other)];
        let config = said(said_here);
        if !one.is_empty() && !two.is_empty() && one != two {
            let error = config.check().unwrap_err();
            let [one, two] = [format!("{REAL} = {one} ("), format!("{OTHER} = {two} (")];
            says(&error, ErrorKind::ConfigConflict, &[&one, &two, "Milvus reads the first alone"]);
            assert_eq!((error.detail("key"), config.get(keys::ACTIVE_STANDBY_ENABLED)), (Some(REAL), None));
        } else {
            let on = if one.is_empty() { two } else { one } == "true";
            assert_eq!(resolved(&config).active_standby, on, "{said_here:?}");
        }
    }
}

#[test]
fn the_places_of_both_spellings_are_told_where_they_differ() {
    let error = said(["false", "", "", "true"]).check().unwrap_err();
    let words = ["milvus.yaml:3", "environment variable ROOT_COORD_ACTIVE_STANDBY_ENABLED", "Milvus reads the first"];
    says(&error, ErrorKind::ConfigConflict, &words);
    let error = said(["", "false", "true", ""]).check().unwrap_err();
    let words = ["environment variable ROOT_COORD_ENABLE_ACTIVE_STANDBY", "milvus.yaml:3", "Milvus reads the first"];
    says(&error, ErrorKind::ConfigConflict, &words);
}

#[test]
fn the_switch_of_another_coordinator_is_checked_but_does_not_count() {
    let text = "rootCoord: {port: 1}\nqueryCoord: {enableActiveStandby: true}";
    assert!(!resolved(&from_file("rootcoord", text).unwrap()).active_standby);
    let error = from_file("rootcoord", "queryCoord:\n  enableActiveStandby: on").unwrap_err();
    says(&error, ErrorKind::ConfigValue, &["queryCoord.enableActiveStandby", "milvus.yaml:2"]);
}
