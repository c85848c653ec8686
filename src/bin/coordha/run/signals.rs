//! Which signals a process minds.

use std::fs;

use nix::sys::signal::{SigSet, Signal};

/// What the supervisor waits for. SIGHUP is not among them where whoever has started this program ignores it, as `nohup`
/// does: then it stays ignored, also by the command.
pub(super) fn supervised() -> SigSet {
    let mut set: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD].into_iter().collect();
    if !is_among("self", &["SigIgn:"], Signal::SIGHUP) {
        set.add(Signal::SIGHUP);
    }
    set
}

/// Whether a process has a handler for the signal, or waits for it with the signal blocked.
pub(super) fn takes(pid: i32, signal: Signal) -> bool {
    is_among(&pid.to_string(), &["SigCgt:", "SigBlk:"], signal)
}

/// Whether the signal is in one of these masks of `/proc/<process>/status`.
fn is_among(process: &str, masks: &[&str], signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let bit = 1u64 << (signal as u32 - 1);
    let values = status.lines().filter_map(|line| masks.iter().find_map(|mask| line.strip_prefix(mask)));
    values.filter_map(|value| u64::from_str_radix(value.trim(), 16).ok()).any(|value| value & bit != 0)
}
