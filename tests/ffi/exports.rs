//! What the shared library offers and what it asks for.

use std::collections::BTreeSet;
use std::process::Command;

use crate::artifacts::{said, shared_library};
use crate::header;

/// Nothing of these may be asked for: signal handlers and the process's life are the program's.
const FORBIDDEN: &[&str] = &[
    "sigaction",
    "signal",
    "sigset",
    "bsd_signal",
    "exit",
    "_exit",
    "_Exit",
    "quick_exit",
    "atexit",
    "fork",
    "vfork",
    "kill",
    "raise",
    "system",
];

type Names = BTreeSet<String>;

/// The symbols of `nm -D` with one of these types, without their versions.
fn symbols(nm: &str, defined: bool) -> Names {
    let lines = nm.lines().filter_map(|line| {
        let mut words = line.split_whitespace().rev();
        let (name, kind) = (words.next()?, words.next()?);
        let undefined = matches!(kind, "U" | "w" | "v");
        (undefined != defined).then(|| name.split('@').next().unwrap().to_owned())
    });
    lines.collect()
}

fn dynamic_symbols() -> String {
    said(Command::new("nm").arg("-D").arg(shared_library()))
}

/// What is there and must not be, and the reverse.
fn differences(found: &Names, wanted: &Names) -> Vec<String> {
    let extra = found.difference(wanted).map(|name| format!("+{name}"));
    let missing = wanted.difference(found).map(|name| format!("-{name}"));
    extra.chain(missing).collect()
}

fn wanted() -> Names {
    let list = include_str!("symbols.txt");
    list.lines().map(str::to_owned).collect()
}

#[test]
fn the_shared_library_exports_the_list_and_nothing_else() {
    let found = symbols(&dynamic_symbols(), true);
    assert_eq!(differences(&found, &wanted()), [""; 0]);
}

#[test]
fn the_header_declares_the_list_and_nothing_else() {
    let declared = header::functions().into_iter().map(|function| function.name);
    assert_eq!(differences(&declared.collect(), &wanted()), [""; 0]);
}

#[test]
fn the_shared_library_asks_for_no_signal_handler_and_ends_no_process() {
    let asked = symbols(&dynamic_symbols(), false);
    assert!(asked.contains("malloc"), "the list is read: {asked:?}");
    let found: Vec<&&str> = FORBIDDEN.iter().filter(|name| asked.contains(**name)).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_shared_library_has_its_soname() {
    let dynamic = said(Command::new("readelf").arg("-d").arg(shared_library()));
    assert!(dynamic.contains("Library soname: [libcoordha.so.0]"), "{dynamic}");
}

#[test]
fn two_symbols_too_many_and_one_too_few_are_seen() {
    let nm = "\
                 U malloc@GLIBC_2.2.5
                 w __cxa_finalize
0000000000001000 T ha_version_number
0000000000001010 T stranger
0000000000001020 B rust_eh_personality
";
    let found = symbols(nm, true);
    let wanted = ["ha_version_number", "ha_version_string"];
    let wanted: Names = wanted.into_iter().map(str::to_owned).collect();
    assert_eq!(differences(&found, &wanted), ["+rust_eh_personality", "+stranger", "-ha_version_string"]);
    assert_eq!(symbols(nm, false).len(), 2);
}
