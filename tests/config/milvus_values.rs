//! Values as Milvus's users write them: what Milvus takes is taken, or refused in words where it cannot be kept here.

use std::time::Duration;

use coordha::config::{Config, Format, keys};
use coordha::error::ErrorKind;

use crate::milvus::{add_env, from_env, from_file, resolved, says};

/// A file of a root coordinator, with this in it.
fn file(text: &str) -> Config {
    from_file("rootcoord", text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_switch_may_be_quoted_or_a_number() {
    for (text, on) in
        [("true", "true"), ("'T'", "true"), ("1", "true"), ("\"TRUE\"", "true"), ("0", "false"), ("f", "false")]
    {
        let config = file(&format!("rootCoord: {{enableActiveStandby: {text}}}"));
        assert_eq!(config.get(keys::ACTIVE_STANDBY_ENABLED).as_deref(), Some(on), "{text}");
    }
}

#[test]
fn a_whole_number_may_be_quoted_or_a_float() {
    for text in ["30", "'30'", "\"30\"", "+30", "30.0", "'30.0'", "3e1", "3.0E+1", "[30]"] {
        let config = file(&format!("common: {{session: {{ttl: {text}}}}}"));
        assert_eq!(config.get(keys::LEASE_TTL_MS).as_deref(), Some("30000"), "{text}");
    }
    for (text, why) in [
        ("30.5", "not a whole number"),
        ("30s", "not a whole number"),
        ("0x1e", "not a whole number"),
        ("1e99", "not a whole number"),
        (".inf", "not a whole number"),
        ("030", "leading zeros"),
        ("1", "too small"),
        ("301", "too large"),
        ("-0.0", "leading zeros"),
    ] {
        let error = from_file("rootcoord", &format!("common: {{session: {{ttl: {text}}}}}")).unwrap_err();
        says(&error, ErrorKind::ConfigValue, &["common.session.ttl", text, why, "of seconds from 2 to 300"]);
    }
}

#[test]
fn what_is_longer_than_can_be_kept_is_cut_where_no_session_of_milvus_depends_on_it() {
    let text = "etcd: {requestTimeout: 600000, dialKeepAliveTime: 60001, dialKeepAliveTimeout: 9223372036854775807}";
    let config = file(text);
    let cut = [keys::STORE_REQUEST_TIMEOUT_MS, keys::STORE_ETCD_KEEPALIVE_MS, keys::STORE_ETCD_KEEPALIVE_TIMEOUT_MS];
    assert_eq!(cut.map(|key| config.get(key).unwrap()), ["60000"; 3]);
    let error = from_env("rootcoord", &[("ETCD_REQUEST_TIMEOUT", "49")]).unwrap_err();
    says(&error, ErrorKind::ConfigValue, &["etcd.requestTimeout = \"49\"", "too small", "50 or more"]);
}

#[test]
fn the_number_of_tries_is_the_least_of_the_exclusive_wait() {
    let floor = |tries: &str| {
        let text = format!("rootCoord: {{port: 1}}\ncommon: {{session: {{retryTimes: {tries}}}}}");
        let config = resolved(&file(&text));
        assert_eq!(config.exclusive_wait, None, "{tries}");
        config.settings("h1".into(), 1, None).exclusive_wait_floor
    };
    let ms = Duration::from_millis;
    for (tries, wait) in
        [("0", ms(0)), ("1", ms(200)), ("4", ms(3000)), ("30", ms(81_000)), ("203", ms(600_000)), ("1e9", ms(600_000))]
    {
        assert_eq!(floor(tries), wait, "{tries}");
    }
    // What is said under our own name is no floor, and counts.
    let text = "rootCoord: {port: 1}\ncommon: {session: {retryTimes: 30}}\ncoordha: {exclusive.wait_ms: 0}";
    assert_eq!(resolved(&file(text)).exclusive_wait, Some(Duration::ZERO));
}

#[test]
fn where_the_exclusive_wait_is_open_the_number_of_tries_is_shown_with_it() {
    let shown = |text: &str| {
        let dump = file(text).dump(Format::Text);
        dump.lines().find(|line| line.starts_with("exclusive.wait_ms")).unwrap().to_owned()
    };
    let tries = "common: {session: {retryTimes: 40}}\n";
    let line = shown(tries);
    assert!(line.contains("# default, at least 111000 ms by common.session.retryTimes, "), "{line}");
    assert!(line.ends_with(":1"), "{line}");
    let line = shown(&format!("{tries}coordha: {{exclusive.wait_ms: -1}}"));
    assert!(line.contains("# file, ") && line.contains(":2, at least 111000 ms by "), "{line}");
    let line = shown(&format!("{tries}coordha: {{exclusive.wait_ms: 0}}"));
    assert!(line.ends_with(":2"), "{line}");
    assert!(shown("rootCoord: {port: 1}").ends_with("# default"));
}

#[test]
fn null_and_nothing_stand_for_a_key_that_is_not_there() {
    for null in ["", "~", "null", "Null", "NULL"] {
        let text = format!(
            "etcd:\n  endpoints: {null}\n  rootPath: {null}\n  requestTimeout: {null}\n  auth:\n    userName: {null}\n  \
             ssl:\n    tlsMinVersion: {null}\nrootCoord:\n  ip: {null}\n  port: {null}\n  enableActiveStandby: {null}\n\
             common:\n  session:\n    ttl: {null}\n    retryTimes: {null}\n"
        );
        let mut config = file(&text);
        let of_text = config.dump(Format::Text);
        for line in of_text.lines().filter(|line| line.contains("# file")) {
            assert!(line.starts_with("active_standby.enabled = false "), "{line}");
        }
        // As in Milvus, null is a switch that is off.
        assert!(of_text.contains("milvus.yaml:12"), "{of_text}");
        add_env(&mut config, &[("ROOT_COORD_PORT", "53100"), ("COMMON_SESSION_TTL", "20")]).unwrap();
        assert_eq!(resolved(&config).ttl, Duration::from_secs(20));
    }
    let config = from_env("rootcoord", &[("COMMON_SESSION_TTL", ""), ("ROOT_COORD_PORT", "")]).unwrap();
    assert_eq!((config.get(keys::LEASE_TTL_MS).as_deref(), config.get(keys::ADDRESS)), (Some("60000"), None));
}

#[test]
fn endpoints_may_have_blanks_schemes_and_a_comma_too_many() {
    for text in [
        "'a:1, b:2'",
        "' a:1 ,\tb:2 '",
        "'a:1,b:2,'",
        "[a:1, b:2, a:1]",
        "['a:1,b:2', ~, '']",
        "'http://a:1/, b:2'",
        "\n    - http://A:1\n    - a:1\n    - 'b:2'\n",
    ] {
        let config = file(&format!("etcd:\n  endpoints: {text}"));
        assert_eq!(config.get(keys::STORE_URL).as_deref(), Some("etcd://a:1,b:2"), "{text}");
    }
    let config = from_env("rootcoord", &[("ETCD_ENDPOINTS", "etcd-0 , [::1]:2")]).unwrap();
    assert_eq!(config.get(keys::STORE_URL).as_deref(), Some("etcd://etcd-0:2379,[::1]:2"));
    for (text, why) in [
        ("' , '", "no endpoint is named"),
        ("'a:1, b:x'", "endpoint 2: the port"),
        ("'ftp://a:1'", "endpoint 1: a URL scheme"),
        ("'http://a:1/x'", "endpoint 1: nothing may follow the port"),
    ] {
        let error = from_file("rootcoord", &format!("etcd: {{endpoints: {text}}}")).unwrap_err();
        says(&error, ErrorKind::ConfigValue, &["etcd.endpoints", why, "milvus.yaml:1"]);
    }
}

#[test]
fn the_scheme_of_an_endpoint_says_what_the_switch_of_tls_says() {
    let with = |endpoints: &str, tls: &str| {
        let text = format!("rootCoord: {{port: 1}}\netcd: {{endpoints: '{endpoints}', ssl: {{{tls}}}}}");
        from_file("rootcoord", &text).unwrap()
    };
    let on = "enabled: true, tlsCACert: ca.pem";
    for (endpoints, tls) in [("https://a:1,b:2", on), ("a:1,b:2", on), ("http://a:1,b:2", "enabled: 0")] {
        let config = with(endpoints, tls);
        assert_eq!(resolved(&config).store.url.to_string(), "etcd://a:1,b:2", "{endpoints}");
    }
    for (endpoints, tls, why) in [
        ("https://a:1", "enabled: false", "etcd.ssl.enabled is off"),
        ("http://a:1,https://a:1", "", "etcd.ssl.enabled is off"),
        ("a:1,http://b:2", on, "etcd.ssl.enabled is on"),
    ] {
        let mut config = with(endpoints, tls);
        let error = config.check().unwrap_err();
        says(&error, ErrorKind::ConfigValue, &["etcd.endpoints", endpoints, why, "milvus.yaml:2"]);
        assert_eq!(error.detail("key"), Some("etcd.endpoints"));
        config.set(keys::STORE_URL, "etcd://c:3").unwrap();
        config.check().unwrap();
    }
}

#[test]
fn old_versions_of_tls_count_as_the_oldest_one_here() {
    for (text, only_1_3) in
        [("1.0", false), ("'1.1'", false), ("1.2", false), ("1.20", false), ("1.3", true), ("''", false)]
    {
        let ssl = format!("{{enabled: true, tlsCACert: ca.pem, tlsMinVersion: {text}}}");
        let config = file(&format!("rootCoord: {{port: 1}}\netcd: {{ssl: {ssl}}}"));
        assert_eq!(resolved(&config).store.etcd.tls.unwrap().only_1_3, only_1_3, "{text}");
    }
}

#[test]
fn tls_is_off_where_milvus_says_nothing_of_it() {
    let text =
        "rootCoord: {port: 1}\netcd: {ssl: {tlsCACert: ca.pem, tlsCert: c.pem, tlsKey: k.pem, tlsMinVersion: 1.3}}";
    assert!(resolved(&file(text)).store.etcd.tls.is_none());
    let config = file(&format!("{text}\ncoordha: {{store.etcd.tls.enabled: true}}"));
    assert_eq!(resolved(&config).store.etcd.tls.unwrap().ca.to_str(), Some("ca.pem"));
}

#[test]
fn a_login_may_come_from_several_places_and_is_shown_in_none() {
    let mut config = file("rootCoord: {port: 1}\netcd: {auth: {enabled: T, userName: 007, password: x}}");
    add_env(&mut config, &[("ETCD_AUTH_PASSWORD", "geheim ,@")]).unwrap();
    let login = resolved(&config).store.etcd.login.unwrap();
    assert_eq!((login.user.as_str(), login.password.reveal()), ("007", "geheim ,@"));
    assert!(!format!("{config:?}{}{}", config.dump(Format::Text), config.dump(Format::Json)).contains("geheim"));
    add_env(&mut config, &[("ETCD_AUTH_PASSWORD", "geheim"), ("MILVUS_CONF_ETCD_AUTH_ENABLED", "false")]).unwrap();
    assert!(resolved(&config).store.etcd.login.is_none());
    // As etcd's client in Milvus, which asks for no token where there is no name.
    let nothing = file("rootCoord: {port: 1}\netcd: {auth: {enabled: true, userName: '', password: }}");
    assert!(resolved(&nothing).store.etcd.login.is_none());
    let error =
        from_env("rootcoord", &[("ETCD_AUTH_PASSWORD", "geheim"), ("ETCD_AUTHPASSWORD", "anders")]).unwrap_err();
    says(&error, ErrorKind::ConfigConflict, &["etcd.auth.password = \"***\"", "ETCD_AUTHPASSWORD"]);
    assert!(!format!("{error:?}").contains("geheim") && !format!("{error:?}").contains("anders"));
}

#[test]
fn a_password_in_an_endpoint_is_refused_and_not_shown() {
    for text in ["http://root:geheim@a:1", "root:geheim@a:1", "b:2,http://u:geheim@a:1,https://v:geheim@c:3"] {
        let error = from_env("rootcoord", &[("ETCD_ENDPOINTS", text)]).unwrap_err();
        says(&error, ErrorKind::ConfigValue, &["etcd.endpoints", "etcd.auth.password", "***@"]);
        assert!(!format!("{error:?}").contains("geheim"), "{error:?}");
    }
}

#[test]
fn an_embedded_etcd_is_refused_in_words() {
    let text = "rootCoord: {port: 1}\netcd:\n  use: {embed: true}\n";
    let mut config = file(text);
    let error = config.check().unwrap_err();
    let words =
        ["etcd.use.embed = \"true\"", "milvus.yaml:3", "inside Milvus's process", "store.url", "allowed: false"];
    says(&error, ErrorKind::ConfigValue, &words);
    assert_eq!((error.detail("key"), config.get(keys::STORE_URL)), (Some("etcd.use.embed"), None));
    assert!(config.dump(Format::Text).contains("inside Milvus's process"));
    // Milvus's precedence, and a store that is named for us.
    add_env(&mut config, &[("ETCD_USE_EMBED", "false")]).unwrap();
    config.check().unwrap();
    add_env(&mut config, &[("ETCD_USE_EMBED", "1")]).unwrap();
    says(&config.check().unwrap_err(), ErrorKind::ConfigValue, &["environment variable ETCD_USE_EMBED"]);
    config.set_default(keys::STORE_URL, "etcd://a:1").unwrap();
    config.check().unwrap_err();
    config.set(keys::STORE_URL, "etcd://a:1").unwrap();
    config.check().unwrap();
    file(&format!("{text}coordha: {{store.url: 'etcd://a:1'}}")).check().unwrap();
}

#[test]
fn what_yaml_would_take_from_elsewhere_is_refused_where_it_may_be_a_value() {
    let base = "base: &base {enableActiveStandby: true}\nport: &port {port: 1}\n";
    for (text, key) in [
        ("rootCoord: {<<: *base, port: 1}", "rootCoord"),
        ("rootCoord: {<<: [*base, *port]}", "rootCoord"),
        ("rootCoord: *base", "rootCoord"),
        ("rootCoord: {activeStandby: *base}", "rootCoord.activeStandby"),
        ("etcd: {ssl: {<<: *base}}", "etcd.ssl"),
        ("coordha: *base", "coordha"),
        ("<<: *base", "the file"),
    ] {
        let error = from_file("rootcoord", &format!("{base}{text}")).unwrap_err();
        says(&error, ErrorKind::ConfigValue, &["milvus.yaml:3", key, "not followed"]);
        assert_eq!(error.detail("key"), Some(key));
    }
    file(&format!("{base}proxy: {{<<: *base}}\nknowhere: *base\netcd: {{log: *base}}"));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_part_of_a_value() {
    let config = file("\u{feff}etcd:\r\n  rootPath: here\r\n  endpoints: a:1\r\n");
    assert_eq!(config.get(keys::ROOT).as_deref(), Some("here/meta"));
    assert_eq!(config.get(keys::STORE_URL).as_deref(), Some("etcd://a:1"));
}
