//! Log lines of the loop that supervises.

use std::fmt::Display;

pub(super) fn info(line: impl Display) {
    tracing::info!(target: "coordha::run", "{line}");
}

pub(super) fn warn(line: impl Display) {
    tracing::warn!(target: "coordha::run", "{line}");
}
