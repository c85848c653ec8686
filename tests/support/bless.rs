//! Files of this repository that are generated: compared with what they must be, or written.

use std::path::Path;
use std::{env, fs};

/// Fails where the file (a path from the repository's root) is not `expected`; with `COORDHA_BLESS=1` it is written instead.
pub(crate) fn check(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("COORDHA_BLESS").is_some_and(|value| value == "1") {
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        fs::write(&file, expected).unwrap_or_else(|error| panic!("{path}: {error}"));
        return;
    }
    let found = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
    if let Some(difference) = first_difference(&found, expected) {
        panic!("{path} is not up to date (COORDHA_BLESS=1 writes it anew): {difference}");
    }
}

/// The first line that differs, in words; `None` where the texts are equal.
fn first_difference(found: &str, expected: &str) -> Option<String> {
    if found == expected {
        return None;
    }
    let mut found_lines = found.split('\n');
    let mut expected_lines = expected.split('\n');
    (1..).find_map(|line| match (found_lines.next(), expected_lines.next()) {
        (None, None) => Some(String::new()),
        (a, b) if a == b => None,
        (a, b) => Some(format!("line {line} is {a:?}, must be {b:?} (None: no line)")),
    })
}

#[test]
fn a_generated_file_differs_by_one_character() {
    assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
    let cases = [("a\nb\n", "a\nc\n"), ("a\nb", "a\nb\n"), ("a\nb\nc", "a\nb"), ("a\r\nb", "a\nb")];
    for (found, expected) in cases {
        let words = first_difference(found, expected).expect("a difference");
        assert!(words.starts_with("line "), "{words}");
    }
}
