//! What may stand in a source file.

use crate::source::Source;
use crate::{assert_none, tree};

const MAX_LINES: usize = 500;
/// Written by a program, so nobody reads it from top to bottom.
const GENERATED: &[&str] = &["include/coordha.h"];
const CODE: &[&str] = &[".rs", ".c", ".h", ".cc", ".cpp", ".hpp", ".go", ".py", ".sh", "Makefile"];
const TEXT: &[&str] =
    &[".rs", ".c", ".h", ".cc", ".cpp", ".hpp", ".go", ".py", ".sh", "Makefile", ".md", ".toml", ".in"];

/// Words of work that was left undone.
const UNDONE: &[&str] = &[
    "TODO",
    "FIXME",
    "XXX",
    "todo!",
    "unimplemented!",
    "for now",
    "placeholder",
    "simplified",
    "not yet implemented",
    "dummy",
];

/// The core decides; it does not act, wait, look at a clock, or depend on the order of a hash map.
const NOT_IN_THE_CORE: &[&str] = &[
    "tokio",
    "etcd_client",
    "rusqlite",
    "rustix",
    "nix",
    "getrandom",
    "rand",
    "once_cell",
    "tracing",
    "HashMap",
    "HashSet",
    "Instant",
    "SystemTime",
    "async",
    "await",
];
const NOT_IN_THE_CORE_OF_STD: &[&str] = &["fs", "io", "net", "thread", "process", "env", "sync", "os"];
const MAX_LINES_OF_THE_CORE: usize = 1500;

/// Where symbols are exported or imported.
const UNSAFE: &[&str] = &["src/ffi/", "tests/ffi/", "tests/fuzz/", "tests/install/"];

/// The one place where a test may wait for what gives no notice.
const POLLS: &str = "tests/support/";

fn lines(name: &str) -> usize {
    tree::read(name).lines().count()
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let files = tree::files("", CODE);
    let written = files.iter().filter(|name| !GENERATED.contains(&name.as_str()));
    let long = written.filter(|name| lines(name) > MAX_LINES);
    assert_none(&long.map(|name| format!("{name}: {} lines", lines(name))).collect::<Vec<_>>());
}

#[test]
fn no_work_is_left_undone() {
    let mut found = Vec::new();
    // This folder names the words.
    for name in tree::files("", TEXT).iter().filter(|name| !name.starts_with("tests/tidy/")) {
        for (number, line) in tree::read(name).lines().enumerate() {
            let words = UNDONE.iter().filter(|word| has_word(line, word));
            found.extend(words.map(|word| format!("{name}:{}: `{word}`", number + 1)));
        }
    }
    assert_none(&found);
}

/// Whether the word stands in the line, on its own.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    line.match_indices(word)
        .any(|(at, _)| !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next()))
}

#[test]
fn unsafe_stands_in_the_ffi_alone() {
    let sources = Source::all(&["src", "tests", "examples", "benches"]);
    let others = sources.iter().filter(|source| !UNSAFE.iter().any(|folder| source.name.starts_with(folder)));
    let found = others.flat_map(|source| {
        let lines = source.lines_with(&["unsafe"]).into_iter();
        lines.map(|line| source.breach(line, "`unsafe` outside the ffi"))
    });
    assert_none(&found.collect::<Vec<_>>());
}

#[test]
fn the_core_has_no_io_no_clock_and_no_randomness() {
    let sources = Source::all(&["src/election"]);
    assert!(!sources.is_empty());
    let core = sources.iter().filter(|source| !is_test(&source.name));
    assert_none(&core.flat_map(impurities).collect::<Vec<_>>());
}

fn impurities(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for word in NOT_IN_THE_CORE {
        let lines = source.lines_with(&[word]).into_iter();
        found.extend(lines.map(|line| source.breach(line, &format!("`{word}` in the core"))));
    }
    for path in source.paths().iter().filter(|path| path.parts.len() > 1 && path.parts[0] == "std") {
        // What is shared and never written is plain data.
        let shared = path.parts[1..] == ["sync", "Arc"];
        if !shared && NOT_IN_THE_CORE_OF_STD.contains(&path.parts[1].as_str()) {
            found.push(source.breach(path.line, &format!("`{}` in the core", path.parts.join("::"))));
        }
    }
    found
}

/// Of the core, what decides: code without comments, without the plain data that goes in and out, and without what
/// only the tests of the checkers need.
#[test]
fn the_core_is_short_enough_to_be_read() {
    let beside = ["io.rs", "flaw.rs", "normal.rs"];
    let decides = |name: &&String| !is_test(name) && !beside.iter().any(|file| name.ends_with(file));
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let files = tree::files("src/election", &[".rs"]);
    let code = |name: &String| tree::read(name).lines().filter(is_code).count();
    let sum: usize = files.iter().filter(decides).map(code).sum();
    assert!(sum < MAX_LINES_OF_THE_CORE, "src/election has {sum} lines");
}

fn is_test(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/")
}

#[test]
fn the_core_denies_the_methods_that_clippy_toml_names() {
    let head = tree::read("src/election/mod.rs");
    for lint in ["clippy::disallowed_methods", "clippy::disallowed_types"] {
        assert!(
            head.lines()
                .any(|line| (line.starts_with("#![deny(") || line.starts_with("#![forbid(")) && line.contains(lint)),
            "src/election/mod.rs does not deny {lint}"
        );
    }
    let clippy: toml::Table = tree::read("clippy.toml").parse().unwrap();
    for (list, path) in [
        ("disallowed-methods", "std::time::Instant::now"),
        ("disallowed-methods", "std::time::SystemTime::now"),
        ("disallowed-types", "std::collections::HashMap"),
        ("disallowed-types", "std::collections::HashSet"),
    ] {
        let entries = clippy[list].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["path"].as_str() == Some(path));
        assert!(entry.is_some_and(|entry| entry.get("reason").is_some()), "clippy.toml: {list}: {path}, with a reason");
    }
}

#[test]
fn every_file_of_the_library_is_a_module_of_it() {
    let mut dead = Vec::new();
    for name in tree::files("src", &[".rs"]).iter().filter(|name| *name != "src/lib.rs") {
        let path = name.trim_end_matches(".rs").trim_end_matches("/mod");
        let (folder, module) = path.rsplit_once('/').unwrap();
        let parent = match folder {
            "src" => "src/lib.rs".to_owned(),
            "src/bin/coordha" => format!("{folder}/main.rs"),
            _ => format!("{folder}/mod.rs"),
        };
        if parent == *name {
            continue;
        }
        let source = Source::read(&parent);
        // A module that looks otherwise without a feature has a second file, named by `path`.
        let file = format!("\"\"{module}.rs\"");
        if source.lines_with(&["mod", module, ";"]).is_empty() && source.lines_with(&["path", "=", &file]).is_empty() {
            dead.push(format!("{name}: {parent} has no `mod {module};`"));
        }
    }
    assert_none(&dead);
}

#[test]
fn tests_are_named_by_what_they_show() {
    let sources = Source::all(&["src", "tests"]);
    let found = sources.iter().flat_map(|source| {
        let names = source.after("fn").into_iter().filter(|(name, _)| name.starts_with("test_"));
        names.map(|(name, line)| source.breach(line, &format!("`{name}`: name what is shown, without `test_`")))
    });
    assert_none(&found.collect::<Vec<_>>());
}

#[test]
fn tests_wait_for_events() {
    let sources = Source::all(&["tests"]);
    let others = sources.iter().filter(|source| !source.name.starts_with(POLLS));
    let found = others.flat_map(|source| {
        let lines = source.lines_with(&["sleep", "("]).into_iter();
        lines.map(|line| source.breach(line, &format!("`sleep` in a test: wait for an event, or poll by {POLLS}")))
    });
    assert_none(&found.collect::<Vec<_>>());
}

#[test]
fn an_impure_core_is_seen() {
    let seen = |code| impurities(&Source::parse("x.rs", code)).len();
    assert_eq!(seen("use std::{time::Duration, sync::Arc}; // std::fs"), 0);
    assert_eq!(seen("use std::{time::Instant, sync::Mutex};"), 2);
    assert_eq!(seen("fn f() { std::thread::yield_now() }"), 1);
    assert_eq!(seen("async fn f() {}"), 1);
}
