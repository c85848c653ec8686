//! All values at a glance, each with where it comes from.

use std::fmt::Write as _;

use serde::Serialize;

use super::keys::{self, DefaultValue, Key};
use super::{Config, Source, milvus};

/// How [`Config::dump`] writes. The numbers are those of the C header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Format {
    /// A line a key: `lease.ttl_ms = 60000    # file, coordha.yaml:3`.
    Text = 0,
    /// A JSON array of objects with the texts `key`, `value`, `source` and `place`.
    Json = 1,
}

/// One key, as it is shown.
#[derive(Serialize)]
struct Line {
    key: &'static str,
    value: String,
    source: &'static str,
    place: String,
}

impl Line {
    /// The source, and the place where there is one.
    fn origin(&self) -> String {
        let comma = if self.place.is_empty() { "" } else { ", " };
        format!("{}{comma}{}", self.source, self.place)
    }
}

impl Config {
    /// Every key with the value that counts, and where that comes from: the source (`program`, `environment`, `file`,
    /// `proposal`, `default`; `missing`: it is required and not set; `conflict`: its sources contradict each other) and the place
    /// (the variable, or file and line; of a conflict what is wrong; at `exclusive.wait_ms` of -1 also what Milvus's
    /// `common.session.retryTimes` adds to it). Secrets are shown as `***`, an empty value is off.
    pub fn dump(&self, format: Format) -> String {
        let lines: Vec<Line> = keys::KEYS.iter().map(|key| self.line(key)).collect();
        match format {
            Format::Text => text(&lines),
            Format::Json => serde_json::to_string_pretty(&lines).unwrap_or_default() + "\n",
        }
    }

    /// Where the value of a key comes from, in the words of [`Config::dump`].
    pub(crate) fn origin(&self, key: &str) -> String {
        keys::find(key).map_or_else(String::new, |key| self.line(key).origin())
    }

    /// Where the value of a key stands, for an error: the place, with the key of Milvus's that stands there; where there is
    /// none, the source.
    pub(super) fn whence(&self, key: &str) -> String {
        match keys::find(key).map(|key| self.given(key)) {
            Some(Ok(Some((source, given)))) if given.place.is_empty() => source_name(source).to_owned(),
            Some(Ok(Some((_, given)))) => given.whence().to_owned(),
            _ => match milvus::name_of(self, key) {
                Some(name) => format!("default; in Milvus's words {name}"),
                None => "default".to_owned(),
            },
        }
    }

    fn line(&self, key: &Key) -> Line {
        let (source, place) = match self.given(key) {
            Ok(Some((source, given))) => (source_name(source), given.place),
            Ok(None) if key.default == DefaultValue::Required => ("missing", String::new()),
            Ok(None) => ("default", String::new()),
            Err(error) => ("conflict", error.message().to_owned()),
        };
        let value = self.shown(key.name);
        // What Milvus's key says is no value of this one, but counts where this one leaves the wait open.
        let floor = milvus::exclusive_wait_place(self).filter(|_| key.name == keys::EXCLUSIVE_WAIT_MS && value == "-1");
        let place = [place, floor.unwrap_or_default()].into_iter().filter(|part| !part.is_empty());
        Line { key: key.name, value, source, place: place.collect::<Vec<_>>().join(", ") }
    }
}

fn source_name(source: Source) -> &'static str {
    match source {
        Source::Program => "program",
        Source::Environment => "environment",
        Source::File => "file",
        Source::Proposal => "proposal",
    }
}

fn text(lines: &[Line]) -> String {
    let setting = |line: &Line| format!("{} = {}", line.key, line.value);
    let width = lines.iter().map(|line| setting(line).chars().count()).filter(|width| *width < 60).max().unwrap_or(0);
    let mut out = String::new();
    for line in lines {
        // Writing into a string does not fail.
        let _ = writeln!(out, "{:width$}  # {}", setting(line), line.origin());
    }
    out
}
