//! `coordha config`: each key, its value and where that comes from.

use std::path::Path;

use tempfile::TempDir;

use crate::command::{Ran, coordha, ran};

/// `coordha config`, with these arguments after it, split at spaces.
fn config(folder: &Path, args: &str, variables: &[(&str, &str)]) -> Ran {
    let mut command = coordha(folder, "config".split(' ').chain(args.split(' ')).filter(|arg| !arg.is_empty()));
    ran(command.envs(variables.iter().copied()))
}

/// The line of a key.
fn line<'a>(ran: &'a Ran, key: &str) -> &'a str {
    let begin = format!("{key} = ");
    ran.stdout.lines().find(|line| line.starts_with(&begin)).unwrap_or_else(|| panic!("no {key} in {ran:?}"))
}

#[test]
fn the_environment_counts_more_than_the_file_and_an_option_more_than_both() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("c.yaml"), "coordha:\n  role: a\n  priority: 1\n  events.queue: 99\n").unwrap();
    let ran = config(folder.path(), "--config c.yaml --set priority=3 --role b", &[("COORDHA_PRIORITY", "2")]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert!(line(&ran, "role").contains("b ") && line(&ran, "role").ends_with("# program"), "{ran:?}");
    assert!(line(&ran, "priority").starts_with("priority = 3 "), "{ran:?}");
    assert!(line(&ran, "events.queue").ends_with("# file, c.yaml:4"), "{ran:?}");
}
