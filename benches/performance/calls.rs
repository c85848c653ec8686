//! The hot path, from C: `benches/c/is_active.c`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Times of one call in ns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls {
    pub(crate) clock: f64,
    pub(crate) is_active: f64,
    pub(crate) holds: f64,
}

pub(crate) fn run(program: &Path) -> Result<Calls> {
    let folder = tempfile::tempdir()?;
    let store = format!("local:{}", folder.path().display());
    let output = Command::new(program).arg(store).output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.with_context(|| format!("no {name} in {text:?}"))?;
        Ok::<f64, anyhow::Error>(number.trim().parse()?)
    };
    Ok(Calls { clock: number("clock ")?, is_active: number("is_active ")?, holds: number("holds ")? })
}
