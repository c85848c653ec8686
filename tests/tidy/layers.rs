//! The picture in ARCHITECTURE.md: a module may use the rows below its own, and nothing else.

use std::collections::BTreeMap;

use crate::source::Source;
use crate::{assert_none, tree};

type Rows = BTreeMap<String, u32>;

/// The rows of the picture: `  3      driver    ·    config (one row per key)`.
fn rows(page: &str) -> Rows {
    let mut rows = Rows::new();
    for line in page.lines() {
        let Some((number, names)) = line.trim_start().split_once("   ") else {
            continue;
        };
        let Ok(row) = number.parse() else {
            continue;
        };
        for name in names.split('·') {
            let name = name.split('(').next().unwrap().trim().to_owned();
            assert!(rows.insert(name.clone(), row).is_none(), "{name} stands twice in the picture");
        }
    }
    rows
}

/// `["store", "etcd", "watch"]` for `src/store/etcd/watch.rs`.
fn module(name: &str) -> Vec<&str> {
    let path = name.trim_start_matches("src/").trim_end_matches(".rs");
    path.trim_end_matches("/mod").split('/').collect()
}

fn breaches(source: &Source, rows: &Rows) -> Vec<String> {
    let module = module(&source.name);
    let Some(row) = rows.get(module[0]) else {
        return vec![source.breach(1, &format!("`{}` is missing in the picture of ARCHITECTURE.md", module[0]))];
    };
    let mut breaches = Vec::new();
    for path in source.paths() {
        let ups = path.parts.iter().take_while(|part| *part == "super").count();
        // One more: the tests of a file may stand in a module of their own.
        if ups > module.len() {
            breaches.push(source.breach(path.line, "climbs out of its module by `super`; say `crate::`"));
        }
        if path.parts[0] != "crate" || path.parts.len() < 2 {
            continue;
        }
        let used = &path.parts[1];
        let below = rows.get(used).is_some_and(|used| used < row);
        if used != module[0] && !below {
            breaches.push(source.breach(path.line, &format!("`{}` may not use `crate::{used}`", module[0])));
        }
    }
    breaches
}

#[test]
fn a_module_uses_only_the_rows_below_its_own() {
    let rows = rows(&tree::read("ARCHITECTURE.md"));
    let sources = Source::all(&["src"]);
    // The command is a user of the library, as an example is.
    let inner = sources.iter().filter(|source| source.name != "src/lib.rs" && !source.name.starts_with("src/bin/"));
    let found: Vec<String> = inner.flat_map(|source| breaches(source, &rows)).collect();
    assert_none(&found);
}

#[test]
fn the_picture_shows_no_module_that_is_not_there() {
    let there: Vec<String> = tree::files("src", &[".rs"]);
    let gone = rows(&tree::read("ARCHITECTURE.md"))
        .into_keys()
        .filter(|name| !there.iter().any(|file| module(file)[0] == name))
        .map(|name| format!("ARCHITECTURE.md: the picture shows `{name}`, which src/ has not"));
    assert_none(&gone.collect::<Vec<_>>());
}

#[test]
fn a_breach_of_the_layers_is_seen() {
    let rows = rows("```\n  3     driver\n  2   election (no I/O)  ·  store\n  1    kv · error\n```");
    let seen = |name, code| breaches(&Source::parse(name, code), &rows).len();
    assert_eq!(seen("src/driver/mod.rs", "use crate::{election, store::Store};"), 0);
    assert_eq!(seen("src/election/mod.rs", "use crate::kv::Key;"), 0);
    assert_eq!(seen("src/store/mod.rs", "use crate::store::etcd;"), 0);
    assert_eq!(seen("src/election/mod.rs", "use crate::store::Store;"), 1, "the same row");
    assert_eq!(seen("src/kv.rs", "fn f() -> crate::error::Error { crate::driver::x() }"), 2);
    assert_eq!(seen("src/store/sim/mod.rs", "use super::super::super::election;"), 1);
    assert_eq!(seen("src/clock.rs", ""), 1, "not in the picture");
}
