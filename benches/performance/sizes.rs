//! How large the shared library is, and what each feature of it takes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Bytes of the shared library, stripped.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    pub(crate) whole: u64,
    /// Without a store, and with some features, by their names joined by `+`.
    pub(crate) bare: u64,
    pub(crate) etcd: u64,
    pub(crate) local: u64,
    pub(crate) etcd_tls: u64,
}

/// Reads the sizes of what `make bench` has built, `<features>.so`.
pub(crate) fn read(folder: &Path) -> Result<Sizes> {
    let size = |features: &str| {
        let file = folder.join(features).with_extension("so");
        let data = fs::metadata(&file).with_context(|| format!("no build with {features}"))?;
        Ok::<u64, anyhow::Error>(data.len())
    };
    Ok(Sizes {
        whole: size("whole")?,
        bare: size("capi")?,
        etcd: size("capi+etcd")?,
        local: size("capi+local")?,
        etcd_tls: size("capi+etcd+tls")?,
    })
}
