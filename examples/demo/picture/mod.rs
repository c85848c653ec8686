//! The timeline as a picture: a panel a store, a row a process.

mod draw;
mod lane;
mod panel;
mod shape;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

pub(crate) use self::panel::Panel;

/// Writes the panels, one below the other, as SVG.
pub(crate) fn write(path: &Path, panels: &[Panel]) -> Result<()> {
    let text = draw::document(panels).to_string();
    fs::write(path, text + "\n").with_context(|| path.display().to_string())
}
