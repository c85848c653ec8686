//! Runs the command, and tells what came of that.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::wait::until;

/// More than anything takes that a test waits for, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a run of the command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; -1 where a signal ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The command with these arguments, in this folder, without input. Its environment is empty, so that none of the caller's
/// counts.
pub(crate) fn coordha<A: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coordha"));
    command.args(args).current_dir(folder).env_clear().stdin(Stdio::null());
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
    let mut process = Killed(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let stdout = all_of(process.0.stdout.take().unwrap());
    let stderr = all_of(process.0.stderr.take().unwrap());
    let code = process.ended(&format!("{command:?}")).code().unwrap_or(-1);
    let text = |all: Receiver<Vec<u8>>| String::from_utf8(all.recv_timeout(PATIENCE).unwrap()).unwrap();
    Ran { code, stdout: text(stdout), stderr: text(stderr) }
}

/// All that comes from there, once that has ended: a thread reads it.
pub(crate) fn all_of(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, all) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let _ = send.send(bytes);
    });
    all
}

/// A process that is killed with its test.
pub(crate) struct Killed(pub(crate) Child);

impl Killed {
    /// Waits for its end.
    pub(crate) fn ended(&mut self, name: &str) -> ExitStatus {
        until(&format!("the end of {name}"), || self.0.try_wait().unwrap())
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // It has ended, unless the test fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
