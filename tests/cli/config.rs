//! `coordha config`: each key, its value and where that comes from.

use std::io::Write as _;
use std::path::Path;

use coordha::config::keys::KEYS;
use tempfile::TempDir;

use crate::command::{Ran, coordha, ran};

/// `coordha config`, with these arguments after it, split at spaces.
fn config(folder: &Path, args: &str, variables: &[(&str, &str)]) -> Ran {
    let mut command = coordha(folder, "config".split(' ').chain(args.split(' ')).filter(|arg| !arg.is_empty()));
    ran(command.envs(variables.iter().copied()))
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// The line of a key.
fn line<'a>(ran: &'a Ran, key: &str) -> &'a str {
    let begin = format!("{key} = ");
    ran.stdout.lines().find(|line| line.starts_with(&begin)).unwrap_or_else(|| panic!("no {key} in {ran:?}"))
}

/// It was refused with one line that has these words, and showed nothing.
fn refused(ran: &Ran, words: &[&str]) {
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    assert!(ran.stderr.starts_with("coordha: ") && ran.stderr.lines().count() == 1, "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "no {word:?} in {ran:?}");
    }
}

const SPELLED_AS_DOCUMENTED: &str = "rootCoord:\n  port: 53100\n  activeStandby.enabled: true\n";

#[test]
fn the_environment_counts_more_than_the_file_and_an_option_more_than_both() {
    let folder = folder(&[("c.yaml", "coordha:\n  role: a\n  priority: 1\n  events.queue: 99\n")]);
    let ran = config(folder.path(), "--config c.yaml --set priority=3 --role b", &[("COORDHA_PRIORITY", "2")]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert!(line(&ran, "role").contains("b ") && line(&ran, "role").ends_with("# program"), "{ran:?}");
    assert!(line(&ran, "priority").starts_with("priority = 3 "), "{ran:?}");
    assert!(line(&ran, "events.queue").ends_with("# file, c.yaml:4"), "{ran:?}");
}

#[test]
fn every_key_is_shown_as_text_and_as_json_and_no_secret() {
    let folder = folder(&[("c.yaml", "coordha: {store.etcd: {user: u, password: geheim}}\n")]);
    let args = "--config c.yaml --role a --set address=:1";
    let ran = config(folder.path(), args, &[]);
    assert_eq!(ran.stdout.lines().count(), KEYS.len());
    assert!(line(&ran, "store.etcd.password").starts_with("store.etcd.password = *** "), "{ran:?}");
    let json = config(folder.path(), &format!("{args} --json"), &[]);
    assert_eq!((ran.code, json.code), (0, 0));
    let all: Vec<serde_json::Value> = serde_json::from_str(&json.stdout).unwrap();
    assert!(all.iter().map(|line| line["key"].as_str().unwrap()).eq(KEYS.iter().map(|key| key.name)));
    let password = all.iter().find(|line| line["key"] == "store.etcd.password").unwrap();
    let expected = serde_json::json!(
        {"key": "store.etcd.password", "value": "***", "source": "file", "place": "c.yaml:1"}
    );
    assert_eq!(*password, expected);
    assert!(!format!("{ran:?}{json:?}").contains("geheim"));
}

#[test]
fn a_password_is_shown_in_no_refusal() {
    let folder = folder(&[("c.yaml", "coordha:\n  store.etcd.passwort: geheim\n")]);
    refused(&config(folder.path(), "--config c.yaml", &[]), &["c.yaml:2", "did you mean store.etcd.password?"]);
    let secret = [("COORDHA_STORE_ETCD_PASSWORD", "ge\u{7}heim")];
    for ran in [config(folder.path(), "--config c.yaml", &[]), config(folder.path(), "", &secret)] {
        assert!(!ran.stderr.contains("heim"), "{ran:?}");
    }
}

#[test]
fn the_spelling_that_milvus_ignores_is_warned_of_on_stderr() {
    let folder = folder(&[("milvus.yaml", SPELLED_AS_DOCUMENTED)]);
    let args = "--role rootcoord --config milvus.yaml";
    let ran = config(folder.path(), args, &[]);
    assert_eq!(ran.code, 0);
    assert!(line(&ran, "active_standby.enabled").starts_with("active_standby.enabled = true "), "{ran:?}");
    let warned = "milvus.yaml:3: rootCoord.activeStandby.enabled = true is read here as rootCoord.enableActiveStandby, \
                  which is Milvus's key: no release of Milvus reads this spelling";
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    assert!(ran.stderr.contains("WARN") && ran.stderr.contains(warned), "{ran:?}");
    // Of another coordinator's switch it must not say that it counts.
    let other = config(folder.path(), "--role datacoord --config milvus.yaml", &[]);
    assert!(line(&other, "active_standby.enabled").starts_with("active_standby.enabled = false "), "{other:?}");
    assert!(other.stderr.contains(warned) && !other.stderr.contains("counts"), "{other:?}");
    assert_eq!(config(folder.path(), args, &[("COORDHA_LOG", "error")]).stderr, "");
    refused(&config(folder.path(), args, &[("COORDHA_LOG", "loud")]), &["COORDHA_LOG", "\"loud\"", "off, error, warn"]);
}

#[test]
fn two_spellings_that_differ_are_refused_and_shown() {
    let folder = folder(&[("milvus.yaml", SPELLED_AS_DOCUMENTED)]);
    let variables =
        [("MILVUS_CONF_ROOTCOORD_ENABLEACTIVESTANDBY", "false"), ("ROOT_COORD_ACTIVE_STANDBY_ENABLED", "1")];
    let ran = config(folder.path(), "--role rootcoord --config milvus.yaml", &variables);
    assert_eq!(ran.code, 2);
    assert!(line(&ran, "active_standby.enabled").contains("# conflict, "), "{ran:?}");
    let last = ran.stderr.lines().last().unwrap();
    let words = ["rootCoord.enableActiveStandby = false", "ROOT_COORD_ACTIVE_STANDBY_ENABLED", "make them equal"];
    assert!(last.starts_with("coordha: ") && words.iter().all(|word| last.contains(word)), "{ran:?}");
    assert!(!ran.stderr.contains("counts"), "neither does: {ran:?}");
}

#[test]
fn milvus_names_count_where_the_role_is_one_of_its_coordinators() {
    let role = [("COORDHA_ROLE", "datacoord")];
    let folder = folder(&[("m.yaml", "dataCoord: {port: 13333}\ncoordha: {role: datacoord}\n"), ("n.yaml", "x: 1\n")]);
    let on = ("DATA_COORD_ENABLE_ACTIVE_STANDBY", "true");
    for (args, variables) in [
        ("--role datacoord --config m.yaml", vec![on]),
        ("--set role=datacoord", vec![on]),
        ("", [role[0], on].to_vec()),
        ("--config m.yaml", vec![on]),
        ("--config n.yaml --dialect milvus --set role=datacoord", vec![on]),
    ] {
        let ran = config(folder.path(), args, &variables);
        assert_eq!(ran.code, 0, "{args}: {ran:?}");
        assert!(line(&ran, "active_standby.enabled").contains("= true"), "{args}: {ran:?}");
    }
    for args in ["--role own", "--role datacoord --dialect native"] {
        assert!(line(&config(folder.path(), args, &[on]), "active_standby.enabled").contains("= false"), "{args}");
    }
    refused(&config(folder.path(), "--config n.yaml", &[]), &["no map `coordha:`", "--dialect milvus"]);
}

#[test]
fn the_files_of_all_releases_of_milvus_are_read_without_a_word() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/milvus_yaml");
    let files: Vec<_> = std::fs::read_dir(&here).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let file = file.to_str().unwrap();
        let role = if file.starts_with("2.6") { "mixcoord" } else { "rootcoord" };
        let ran = config(&here, &format!("--role {role} --config {file}"), &[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        assert!(line(&ran, "root").starts_with("root = by-dev/meta ") && line(&ran, "root").contains(file), "{ran:?}");
    }
}

/// What a shell makes of `--config <(…)`: a pipe, whose text is gone once it was read.
#[test]
fn a_file_that_can_be_read_only_once_is_read_whole() {
    let folder = folder(&[]);
    let piped = |args: &str, text: &str| {
        let (read, mut write) = std::io::pipe().unwrap();
        write.write_all(text.as_bytes()).unwrap();
        drop(write);
        let args =
            ["config", "--config", "/dev/stdin"].into_iter().chain(args.split(' ').filter(|arg| !arg.is_empty()));
        ran(coordha(folder.path(), args).stdin(read))
    };
    let ran = piped("", "coordha: {role: a, priority: 7}\n");
    assert!(line(&ran, "priority").starts_with("priority = 7 ") && ran.code == 0, "{ran:?}");
    let ran = piped("--role rootcoord", "rootCoord: {enableActiveStandby: true}\n");
    assert!(line(&ran, "active_standby.enabled").ends_with("# file, /dev/stdin:1"), "{ran:?}");
    // By the role in it, it is one of Milvus's.
    let ran = piped("", "dataCoord: {port: 13333}\ncoordha: {role: datacoord}\n");
    assert!(line(&ran, "address").starts_with("address = :13333 "), "{ran:?}");
    refused(&piped("", "etcd: {rootPath: x}\n"), &["/dev/stdin", "no map `coordha:`", "--dialect milvus"]);
}

#[test]
fn the_files_of_milvus_are_found_where_milvus_looks() {
    let folder = folder(&[
        ("configs/milvus.yaml", "etcd: {rootPath: here}\n"),
        ("else where/milvus.yaml", "etcd: {rootPath: there}\n"),
        ("else where/user.yaml", "etcd: {metaSubPath: user}\n"),
    ]);
    let root = |ran: &Ran| line(ran, "root").split("  ").next().unwrap().to_owned();
    assert_eq!(root(&config(folder.path(), "--role rootcoord", &[])), "root = here/meta");
    let ran = config(folder.path(), "--role rootcoord", &[("MILVUSCONF", "else where")]);
    assert_eq!(root(&ran), "root = there/user");
    let ran = config(folder.path(), "--role rootcoord --config configs", &[("MILVUSCONF", "else where")]);
    assert_eq!(root(&ran), "root = here/meta");
    let ran = config(folder.path(), "--role rootcoord", &[("MILVUSCONF", "nowhere")]);
    refused(&ran, &["nowhere/milvus.yaml"]);
}

#[test]
fn what_is_wrong_is_named_with_what_is_allowed() {
    let folder = folder(&[("wrong.yaml", "coordha: {a\n"), ("m.yaml", "rootCoord:\n  enableActiveStandby: yes\n")]);
    for (args, words) in [
        ("--set rolle=a", ["\"rolle\"", "did you mean role?"]),
        ("--set lease.ttl_ms=60s", ["lease.ttl_ms = \"60s\"", "from 2000 to 300000"]),
        ("--set lease.ttl_ms", ["--set \"lease.ttl_ms\"", "allowed: KEY=VALUE"]),
        ("--role rootcoordx", ["role = \"rootcoordx\"", "those of rootcoord"]),
        ("--store etcd:/x", ["store.url = \"etcd:/x\"", "local:<directory>"]),
        ("--root ..", ["root = \"..\"", "names with slashes"]),
        ("--config wrong.yaml", ["wrong.yaml:2", "no YAML"]),
        ("--config none.yaml", ["none.yaml", "No such file"]),
        ("--role rootcoord --config m.yaml", ["m.yaml:2: rootCoord.enableActiveStandby = \"yes\"", "True, 0, f, F"]),
    ] {
        refused(&config(folder.path(), args, &[]), &words);
    }
    let ran = config(folder.path(), "--set lease.ttl_ms=4000 --role a", &[]);
    assert!(ran.code == 2 && ran.stderr.contains("at least twice election.hold_ms"), "{ran:?}");
    assert!(line(&ran, "lease.ttl_ms").contains("4000"), "what is set is shown nevertheless: {ran:?}");
    for args in ["--wrong", "--dialect zap", "--config", "stray"] {
        let ran = config(folder.path(), args, &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
        assert!(ran.stderr.starts_with("error: "), "{ran:?}");
    }
}

#[test]
fn values_that_do_not_go_together_are_told_in_the_words_of_the_file() {
    let folder = folder(&[
        ("ttl.yaml", "common:\n  session:\n    ttl: 5\n"),
        ("both.yaml", "coordha: {lease.ttl_ms: 20000}\ncommon: {session: {ttl: 15}}\n"),
    ]);
    let told = |args: &str| {
        let ran = config(folder.path(), args, &[]);
        assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{ran:?}");
        ran.stderr
    };
    let ttl = "coordha: lease.ttl_ms = \"5000\" (common.session.ttl, ttl.yaml:3), election.hold_ms = \"5000\" (default): \
               lease.ttl_ms must be at least twice election.hold_ms\n";
    assert_eq!(told("--role rootcoord --config ttl.yaml"), ttl);
    let both = "coordha: lease.ttl_ms = \"20000\" (both.yaml:1), \"15000\" (common.session.ttl, both.yaml:2): \
                must be the same under both names\n";
    assert_eq!(told("--role rootcoord --config both.yaml"), both);
}

#[test]
fn without_a_role_the_rest_is_shown() {
    let folder = folder(&[]);
    let ran = config(folder.path(), "", &[]);
    assert!(line(&ran, "role").ends_with("# missing"), "{ran:?}");
    assert_eq!((ran.code, ran.stderr.as_str(), ran.stdout.lines().count()), (0, "", KEYS.len()), "{ran:?}");
    let ran = config(folder.path(), "--set lease.ttl_ms=4000", &[]);
    assert!(ran.code == 2 && ran.stderr.contains("at least twice election.hold_ms"), "{ran:?}");
}
