//! The signals that end a subcommand which goes on until it is told to.

use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{FAILED, Failure};

/// SIGHUP, SIGINT, SIGQUIT and SIGTERM, without those that were ignored at the start (nohup).
pub(crate) struct Ends(Vec<Signal>);

impl Ends {
    /// From here on they do not kill this process.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let all = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()];
        let ignored = ignored();
        let wanted = all.into_iter().filter(|kind| ignored >> (kind.as_raw_value() - 1) & 1 == 0);
        let listened: std::io::Result<Vec<Signal>> = wanted.map(signal).collect();
        listened.map(Self).map_err(|error| Failure::new(FAILED, format!("signals: {error}")))
    }

    /// Until one comes.
    pub(crate) async fn come(&mut self) {
        std::future::poll_fn(|context| {
            let come = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if come { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// A bit for each signal that is ignored, the first one lowest.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
