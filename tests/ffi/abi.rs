//! The ABI gate: nothing that was once in the header is removed or changed. Additions pass.
//!
//! The baseline is an older header without its comments. Of it and of today's a library of empty functions is built, and
//! abidiff compares the two; numbers and names of constants are compared as text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::artifacts::{root, run, said};
use crate::header::GENERATED;

const BASELINE: &str = "tests/ffi/baseline.h";

/// A header without comments and empty lines.
fn bare(header: &str) -> String {
    let mut text = String::new();
    let mut rest = header;
    while let Some((code, comment)) = rest.split_once("/*") {
        text += code;
        rest = comment.split_once("*/").unwrap().1;
    }
    text += rest;
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The prototypes of a bare header.
fn prototypes(bare: &str) -> Vec<String> {
    let code: String = bare
        .lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with("extern"))
        .flat_map(|line| [line, " "])
        .collect();
    let statements = code.split(';').map(|s| s.split_whitespace().collect::<Vec<_>>().join(" "));
    let is_function = |statement: &String| {
        let name = statement.split('(').next().unwrap().rsplit([' ', '*']).next();
        statement.contains('(') && name.is_some_and(|name| name.starts_with("ha_"))
    };
    statements.filter(is_function).collect()
}

/// Constants with what they stand for.
fn constants(bare: &str) -> BTreeMap<&str, &str> {
    let defined = bare.lines().filter_map(|line| line.strip_prefix("#define HA_"));
    defined.filter_map(|line| line.split_once(' ')).filter(|(name, _)| !name.starts_with("VERSION_")).collect()
}

/// A library that has every function of a bare header.
fn library(bare: &str, folder: &Path, name: &str) -> PathBuf {
    let header = folder.join(format!("{name}.h"));
    fs::write(&header, bare).unwrap();
    let mut source = format!("#include \"{name}.h\"\n");
    for prototype in prototypes(bare) {
        source += &format!("{prototype} {{ for (;;) {{ }} }}\n");
    }
    let file = folder.join(format!("{name}.c"));
    fs::write(&file, source).unwrap();
    let library = folder.join(format!("{name}.so"));
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-g", "-shared", "-fPIC"]).arg(&file).arg("-o").arg(&library);
    said(&mut cc);
    library
}

/// What was removed or changed between two bare headers; empty: nothing.
fn broken(before: &str, now: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let libraries = [("before", before), ("now", now)].map(|(name, bare)| library(bare, folder.path(), name));
    let mut abidiff = Command::new("abidiff");
    abidiff.arg("--no-added-syms").args(libraries);
    let output = run(&mut abidiff);
    let mut report = match output.status.code() {
        Some(0) => String::new(),
        _ => String::from_utf8_lossy(&output.stdout).into_owned() + "abidiff says no\n",
    };
    let there = constants(now);
    for (name, value) in constants(before) {
        if there.get(name) != Some(&value) {
            report += &format!("HA_{name} was {value}, is {:?}\n", there.get(name));
        }
    }
    report
}

#[test]
fn nothing_of_the_baseline_is_removed_or_changed() {
    let (file, now) = (root().join(BASELINE), bare(GENERATED));
    if env::var_os("COORDHA_BLESS").is_some_and(|value| value == "1") {
        fs::write(file, now).unwrap();
        return;
    }
    let baseline = fs::read_to_string(file).unwrap();
    assert_eq!(prototypes(&now).len(), crate::header::functions().len());
    assert_eq!(broken(&baseline, &now), "");
}

/// The header with one change.
fn changed(from: &str, to: &str) -> String {
    let before = bare(GENERATED);
    assert!(before.contains(from), "{from}");
    before.replacen(from, to, 1)
}

#[test]
fn additions_pass_the_gate() {
    let more = "const char *ha_version_string(void);\nint32_t ha_later(int32_t what);";
    let more = changed("const char *ha_version_string(void);", more);
    let more = more.replacen("#define HA_OK 0", "#define HA_OK 0\n#define HA_LATER 7", 1);
    assert_eq!(broken(&bare(GENERATED), &more), "");
}

#[test]
fn removals_and_changes_do_not_pass_the_gate() {
    let changes = [
        ("const char *ha_version_string(void);", ""),
        ("ha_has_feature(const char *name)", "ha_has_feature(const char *name, int32_t more)"),
        ("int32_t ha_session_role(", "int64_t ha_session_role("),
        ("size_t struct_size;", "size_t struct_size; void *more;"),
        ("#define HA_ERR_FENCED 301", "#define HA_ERR_FENCED 302"),
        ("#define HA_ERR_FENCED 301", ""),
    ];
    for (from, to) in changes {
        assert_ne!(broken(&bare(GENERATED), &changed(from, to)), "", "{from} -> {to}");
    }
}
