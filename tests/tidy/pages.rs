//! The pages say what is there.

use std::collections::BTreeSet;

use crate::source::Source;
use crate::{assert_none, tree};

/// The pages that explain the tree to whoever works on it.
const GUIDES: &[&str] = &["ARCHITECTURE.md", "CONTRIBUTING.md"];

fn pages() -> Vec<(String, String)> {
    let names = tree::files("", &[".md"]);
    names.into_iter().map(|name| (name.clone(), tree::read(&name))).collect()
}

/// What stands between `open` and `close`, line by line.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().flat_map(move |line| {
        line.split(open).skip(1).filter_map(move |rest| rest.split_once(close).map(|(inner, _)| inner))
    })
}

/// A page without its blocks of code, in which a C++ lambda looks like a link.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// What stands in backticks in a line of prose.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The name by which a heading is linked to.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn has_anchor(page: &str, wanted: &str) -> bool {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).any(|anchor| anchor == wanted)
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for (name, text) in pages() {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in between(&prose(&text), "](", ")").filter(|link| !link.contains("://")) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if path.is_empty() { name.clone() } else { format!("{folder}/{path}").trim_matches('/').to_owned() };
            let there = tree::root().join(&target).exists();
            if !there || !heading.is_empty() && !has_anchor(&tree::read(&target), heading) {
                broken.push(format!("{name}: the link `{link}` leads nowhere"));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn the_readme_is_read_in_five_minutes() {
    let lines = tree::read("README.md").lines().count();
    assert!(lines < 180, "README.md has {lines} lines: what is long belongs into docs/");
}

#[test]
fn paths_named_in_the_guides_exist() {
    let mut gone = Vec::new();
    for name in GUIDES {
        let text = tree::read(name);
        let paths = quoted(&text).filter(|text| {
            let folders = [
                "src/",
                "tests/",
                "docs/",
                "examples/",
                "benches/",
                "include/",
                "tools/",
                "deploy/",
                "bindings/",
                ".ci/",
            ];
            folders.iter().any(|folder| text.starts_with(folder)) && !text.contains(['<', '*', ' '])
        });
        gone.extend(
            paths.filter(|path| !tree::root().join(path).exists()).map(|path| format!("{name}: there is no `{path}`")),
        );
    }
    assert_none(&gone);
}

/// The targets of the Makefile, with what `make help` says of each.
fn targets() -> Vec<(String, bool)> {
    let text = tree::read("Makefile");
    let phony: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(".PHONY: ")).collect();
    let is_told = |name: &str| text.lines().any(|line| line.starts_with(&format!("{name}:")) && line.contains(" ## "));
    phony.iter().map(|name| ((*name).to_owned(), is_told(name))).collect()
}

#[test]
fn make_help_tells_every_target() {
    let untold: Vec<String> = targets().into_iter().filter(|(_, told)| !told).map(|(name, _)| name).collect();
    assert_none(&untold);
    let names: BTreeSet<String> = targets().into_iter().map(|(name, _)| name).collect();
    for name in "bench bless build clean demo docs etcd help install lint setup sim test".split(' ') {
        assert!(names.contains(name), "the Makefile has no target `{name}`");
    }
}

#[test]
fn commands_in_the_pages_are_targets_of_the_makefile() {
    let targets = targets();
    let mut unknown = Vec::new();
    for (name, text) in pages() {
        let in_code = text.split("```").skip(1).step_by(2).flat_map(str::lines).chain(quoted(&text));
        for command in in_code.filter_map(|code| code.trim().strip_prefix("make ")) {
            let words = command.split_whitespace();
            let words = words.take_while(|word| !word.contains(['=', '<', '#', '&', '|', '(']));
            for target in words {
                if !targets.iter().any(|(known, _)| known == target) {
                    unknown.push(format!("{name}: `make {command}`: the Makefile has no `{target}`"));
                }
            }
        }
    }
    assert_none(&unknown);
}

#[test]
fn contributing_shows_the_five_commands() {
    let text = tree::read("CONTRIBUTING.md");
    for command in ["make", "make test", "make lint", "make bless", "make demo"] {
        assert!(text.lines().any(|line| line.split(" #").next().unwrap().trim() == command), "`{command}` is missing");
    }
}

#[test]
fn every_cargo_feature_is_documented() {
    let manifest: toml::Table = tree::read("Cargo.toml").parse().unwrap();
    let page = tree::read("ARCHITECTURE.md");
    let told: BTreeSet<&str> = between(&page, "| `", "` |").collect();
    let features = manifest["features"].as_table().unwrap().keys();
    let untold = features.filter(|name| *name != "default" && !told.contains(name.as_str()));
    assert_none(&untold.map(|name| format!("ARCHITECTURE.md: no row for the feature `{name}`")).collect::<Vec<_>>());
}

/// `f13` of `f13_partitioned_active_fences_first`.
fn is_fault_test(name: &str) -> bool {
    let number = name.strip_prefix('f').and_then(|rest| rest.split_once('_')).map(|(number, _)| number);
    number.is_some_and(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()))
}

#[test]
fn the_fault_table_and_the_tests_name_each_other() {
    let page = tree::read("docs/faults.md");
    let named: BTreeSet<String> = quoted(&page)
        .filter_map(|text| text.rsplit("::").next())
        .filter(|name| is_fault_test(name))
        .map(str::to_owned)
        .collect();
    let sources = Source::all(&["src", "tests"]);
    let functions = sources.iter().flat_map(|source| source.after("fn"));
    let written: BTreeSet<String> =
        functions.map(|(name, _)| name.to_owned()).filter(|name| is_fault_test(name)).collect();
    let untold = written.difference(&named).map(|name| format!("docs/faults.md does not name `{name}`"));
    let gone = named.difference(&written).map(|name| format!("docs/faults.md names `{name}`, which is no test"));
    assert_none(&untold.chain(gone).collect::<Vec<_>>());
}
