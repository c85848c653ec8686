//! How the command ends: exit codes, and the one message of a failure.

use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use coordha::error::{Error, ErrorKind};

use crate::advice::advice;
use crate::{help, words};

/// A failure that none of the others is.
pub(crate) const FAILED: u8 = 1;
/// The command line, a configuration key, value or file.
pub(crate) const USAGE: u8 = 2;
/// The store cannot be reached, or refuses: credentials, certificates, permissions.
pub(crate) const STORE: u8 = 3;
/// The role is held by another one (`run`, exclusive), or nobody is active (`status`, `observe --once`).
pub(crate) const ROLE: u8 = 4;
/// Problems were found (`doctor`, `ids`).
pub(crate) const FOUND: u8 = 5;

/// What `--help` and the manual page say of all subcommands.
pub(crate) fn help() -> String {
    let codes = [
        ("0", "done"),
        help::FAILED,
        help::USAGE,
        help::STORE,
        ("4", "another one holds the role (run), or nobody is active (status, observe --once)"),
        ("5", "problems were found (doctor, ids)"),
        ("*", "run, whose command is not restarted: the command's, or 128 and its signal"),
    ];
    let examples = [
        "coordha run --role indexer --address 10.0.0.5:7000 --active-standby -- ./indexer --port 7000",
        "coordha status --store etcd://etcd-0:2379",
        "coordha status --help     # what a subcommand takes, and how it may end",
    ];
    help::end(&examples, &codes)
}

/// Why the command failed: its exit code, and one message.
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Writes the message to stderr.
    pub(crate) fn tell(self) -> ExitCode {
        // Nobody is left to be told where that fails.
        let _ = writeln!(std::io::stderr(), "coordha: {}", words::escaped(&self.message));
        ExitCode::from(self.code)
    }

    /// The same where stderr may be a full pipe that nobody reads: the end does not wait for that longer than this.
    pub(crate) fn tell_within(self, limit: Duration) -> ExitCode {
        let code = ExitCode::from(self.code);
        let (done, told) = sync_channel(1);
        let teller = std::thread::Builder::new().spawn(move || {
            self.tell();
            let _ = done.send(());
        });
        if teller.is_ok() {
            let _ = told.recv_timeout(limit);
        }
        code
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let advice = advice(error.kind(), error.message()).map_or(String::new(), |advice| format!("; {advice}"));
        Self::new(code(error.kind()), format!("{error}{advice}"))
    }
}

/// The exit code for an error of the library.
pub(crate) fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidArgument
        | ErrorKind::ConfigKey
        | ErrorKind::ConfigValue
        | ErrorKind::ConfigMissing
        | ErrorKind::ConfigConflict
        | ErrorKind::ConfigFile => USAGE,
        ErrorKind::Unavailable
        | ErrorKind::Auth
        | ErrorKind::Permission
        | ErrorKind::Tls
        | ErrorKind::NoSpace
        | ErrorKind::Regressed
        | ErrorKind::Corrupt
        | ErrorKind::StoreVersion => STORE,
        ErrorKind::RoleHeld => ROLE,
        _ => FAILED,
    }
}

/// A command line that was not understood, or that asked for help.
pub(crate) fn refused(refusal: &clap::Error) -> ExitCode {
    let help = !refusal.use_stderr();
    let _ = refusal.print();
    if help { ExitCode::SUCCESS } else { ExitCode::from(USAGE) }
}
