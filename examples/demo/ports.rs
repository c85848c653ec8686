//! Free ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, ensure};

/// Below the range that systems take outgoing connections from, so that none of these takes a port whose owner is dead for
/// the moment.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// So many ports that nobody listens on.
pub(crate) fn free(count: usize) -> Result<Vec<u16>> {
    // Where the search begins differs from process to process, and from call to call.
    let pid = std::process::id() as u64;
    let start = FIRST + (pid * 64 % u64::from(LAST - FIRST)) as u16;
    let ports = (start..LAST).chain(FIRST..start);
    let mut held = Vec::new();
    for port in ports {
        if held.len() == count {
            break;
        }
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    ensure!(held.len() == count, "no free port on 127.0.0.1");
    Ok(held.iter().map(|(port, _)| *port).collect())
}
