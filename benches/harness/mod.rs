//! What the benchmarks share: an etcd, children that say what happens to them, and the table of what was measured.

#![allow(dead_code, reason = "each benchmark uses its own part of it")]

pub(crate) mod child;
pub(crate) mod report;
pub(crate) mod samples;

use anyhow::{Context, Result};

use crate::support::etcd::{Builder, Etcd, Version};

/// Builds the etcd of all benchmarks: the newest that is here of 3.6 and Debian's.
pub(crate) fn etcd() -> Builder {
    let version = if Version::V3_6.etcd().exists() { Version::V3_6 } else { Version::V3_4 };
    Etcd::builder().version(version)
}

/// Whether a part is to be measured: it was named, or none was. Says so on the way, after the benchmark's name.
pub(crate) fn wants(benchmark: &str, wanted: &[String], part: &str) -> bool {
    let wants = wanted.is_empty() || wanted.iter().any(|wanted| wanted == part);
    if wants {
        eprintln!("{benchmark}: {part}");
    }
    wants
}

/// What it says of its version.
pub(crate) fn version(etcd: &Etcd) -> Result<String> {
    let url = format!("http://{}/version", etcd.endpoint(0));
    let told = ureq::get(&url).call()?.body_mut().read_to_string()?;
    let told: serde_json::Value = serde_json::from_str(&told)?;
    Ok(told["etcdserver"].as_str().context("a version")?.to_owned())
}
