//! What the command says on stdout.

use std::io::{self, ErrorKind, Write};

use crate::exit::{FAILED, Failure};
use crate::words;

/// Writes a line to stdout. `false`: its reader has gone, as `head` does.
pub(crate) fn line(text: &str) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(FAILED, format!("stdout: {error}"))),
        Ok(()) => Ok(true),
    }
}

/// Writes lines for a person to stdout, each escaped. A reader that has gone, as `head` does, is no failure.
pub(crate) fn lines(lines: &[String]) -> Result<(), Failure> {
    write(&lines.iter().map(|line| words::escaped(line) + "\n").collect::<String>())
}

/// Writes `text` to stdout. A reader that has gone, as `head` does, is no failure.
pub(crate) fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(FAILED, format!("stdout: {error}"))),
        _ => Ok(()),
    }
}
