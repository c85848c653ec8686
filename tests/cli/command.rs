//! Runs the command, and tells what came of that.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// What a run of the command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; -1 where a signal ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The command with these arguments, in this folder. Its environment is empty, so that none of the caller's counts.
pub(crate) fn coordha<A: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coordha"));
    command.args(args).current_dir(folder).env_clear();
    command
}

/// The same, with SIGHUP as it is by default: where the tests run under nohup it is ignored, by all that they start.
pub(crate) fn not_under_nohup(command: &Command) -> Command {
    below(command, "/usr/bin/env", &["--default-signal=HUP"])
}

/// A program with these arguments, then the command and its own; in its folder and environment.
pub(crate) fn below(command: &Command, program: &str, args: &[&str]) -> Command {
    let mut whole = Command::new(program);
    whole.args(args).arg(command.get_program()).args(command.get_args()).env_clear();
    whole.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    whole.current_dir(command.get_current_dir().unwrap());
    whole
}

/// Runs it to its end.
pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}
