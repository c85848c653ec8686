//! The files of Milvus's releases, and the places where they are looked for.

use std::path::{Path, PathBuf};

use coordha::config::{Config, Dialect, Resolved, keys};

/// The release, and the TTL that its file has, in seconds.
const RELEASES: &[(&str, u64)] = &[("2.2.3", 60), ("2.3.7", 30), ("2.4.24", 30), ("2.5.27", 30), ("2.6.7", 15)];

fn path(release: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/config/milvus_yaml/{release}.yaml"))
}

fn loaded(release: &str, role: &str) -> Config {
    let mut config = Config::new();
    config.set(keys::ROLE, role).unwrap();
    config.load_yaml(path(release), Dialect::Milvus).unwrap_or_else(|error| panic!("{release}: {error}"));
    config
}

fn resolved(release: &str, role: &str) -> Resolved {
    loaded(release, role).resolve().unwrap_or_else(|error| panic!("{release}, {role}: {error}"))
}

#[test]
fn the_files_of_all_releases_load() {
    for (release, ttl) in RELEASES {
        let coordinators: &[(&str, &str)] = match *release {
            "2.2.3" => {
                &[("rootcoord", ":53100"), ("querycoord", ":19531"), ("datacoord", ":13333"), ("indexcoord", ":31000")]
            }
            "2.6.7" => &[("mixcoord", ":53100")],
            _ => &[("rootcoord", ":53100"), ("querycoord", ":19531"), ("datacoord", ":13333")],
        };
        for (role, port) in coordinators {
            let config = resolved(release, role);
            assert!(config.address.ends_with(port), "{release}, {role}: {}", config.address);
            assert_eq!((config.active_standby, config.root.as_str()), (false, "by-dev/meta"), "{release}");
            assert_eq!(config.store.url.to_string(), "etcd://localhost:2379", "{release}");
            assert_eq!((config.ttl.as_secs(), config.exclusive_wait_floor.as_secs()), (*ttl, 81), "{release}");
            assert_eq!(config.exclusive_wait, None, "{release}");
            assert!(config.store.etcd.tls.is_none() && config.store.etcd.login.is_none(), "{release}");
        }
    }
}

#[test]
fn in_the_files_of_all_releases_the_switch_can_be_turned_on() {
    for (release, _) in RELEASES {
        let role = if *release == "2.6.7" { "mixcoord" } else { "rootcoord" };
        let mut config = loaded(release, role);
        let variables = [("ROOT_COORD_ENABLE_ACTIVE_STANDBY".into(), "true".into())];
        config.load_env_from(variables, Dialect::Milvus).unwrap();
        assert!(config.resolve().unwrap().active_standby, "{release}");
    }
}

#[test]
fn what_only_milvus_needs_is_passed_over_whatever_it_says() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("milvus.yaml");
    let text = "etcd: {use: {embed: maybe}, data: {dir: [a, {b: c}]}, kvSubPath: {x: y}, log: ~, config.path: 1}\n\
                rootCoord: {port: 1, address: [no, host], enableActiveStandbyToo: 7}\nstandby: *nothing\n";
    std::fs::write(&file, text.replace("*nothing", "nothing")).unwrap();
    let mut config = Config::new();
    config.set(keys::ROLE, "rootcoord").unwrap();
    config.load_yaml(&file, Dialect::Milvus).unwrap();
    config.load_env_from([("ETCD_USE_EMBED".into(), "perhaps".into())], Dialect::Milvus).unwrap();
    assert!(config.resolve().unwrap().address.ends_with(":1"));
}
