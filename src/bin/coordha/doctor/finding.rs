//! What a check says.

use std::fmt::Write as _;

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    Warn,
    Bad,
    /// It was not checked.
    Skip,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// Of what.
    pub(super) check: &'static str,
    pub(super) text: String,
    /// What to do.
    pub(super) advice: Option<String>,
}

pub(super) fn ok(check: &'static str, text: impl Into<String>) -> Finding {
    Finding { level: Level::Ok, check, text: text.into(), advice: None }
}

pub(super) fn skip(check: &'static str, text: impl Into<String>) -> Finding {
    Finding { level: Level::Skip, check, text: text.into(), advice: None }
}

pub(super) fn warn(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { level: Level::Warn, check, text: text.into(), advice: Some(advice.into()) }
}

pub(super) fn bad(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { level: Level::Bad, check, text: text.into(), advice: Some(advice.into()) }
}

pub(super) fn text(findings: &[Finding]) -> String {
    let mut out = String::new();
    let mut counts = [0; 4];
    for finding in findings {
        let (index, word) = match finding.level {
            Level::Ok => (0, "ok"),
            Level::Warn => (1, "warn"),
            Level::Bad => (2, "bad"),
            Level::Skip => (3, "skip"),
        };
        counts[index] += 1;
        // Writing into a string does not fail.
        let _ = writeln!(out, "{word:4}  {:10}  {}", finding.check, finding.text);
        if let Some(advice) = &finding.advice {
            let _ = writeln!(out, "                  -> {advice}");
        }
    }
    let [ok, warn, bad, skip] = counts;
    let _ = writeln!(out, "doctor ok={ok} warn={warn} bad={bad} skipped={skip}");
    out
}
