//! What a check says.

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

pub(super) fn lines(findings: &[Finding]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut counts = [0; 4];
    for finding in findings {
        let (index, word) = match finding.level {
            Level::Ok => (0, "ok"),
            Level::Warn => (1, "warn"),
            Level::Bad => (2, "bad"),
            Level::Skip => (3, "skip"),
        };
        counts[index] += 1;
        lines.push(format!("{word:4}  {:10}  {}", finding.check, finding.text));
        lines.extend(finding.advice.as_ref().map(|advice| format!("                  -> {advice}")));
    }
    let [ok, warn, bad, skip] = counts;
    lines.push(format!("doctor ok={ok} warn={warn} bad={bad} skipped={skip}"));
    lines
}
