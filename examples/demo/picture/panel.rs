//! What a panel shows, in seconds since its story began.

use crate::record::{FaultKind, Life, Record, State};
use crate::story::Actor;

/// One store's timeline.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(super) title: String,
    pub(super) length: f64,
    pub(super) ids: usize,
    pub(super) rows: Vec<Row>,
    pub(super) gaps: Vec<Gap>,
    pub(super) phases: Vec<(f64, String)>,
    pub(super) served: Vec<Span>,
}

/// One process, also where it died and was started again.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) language: &'static str,
    pub(super) bars: Vec<(Span, State)>,
    pub(super) marks: Vec<(f64, FaultKind)>,
}

/// From the fault to the next activation.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) span: Span,
    pub(super) label: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Panel {
    pub(crate) fn new(title: &str, cast: &[Actor], record: &Record) -> Self {
        let seconds = |at_ms: i64| (at_ms - record.started_ms) as f64 / 1000.0;
        let span = |from: i64, to: i64| Span { from: seconds(from), to: seconds(to.max(from)) };
        let row = |actor: &Actor| {
            let Actor { name, language, .. } = *actor;
            let lives = record.lives.iter().filter(|life| life.name == name);
            let bars = lives.flat_map(bars);
            let faults = record.faults.iter().filter(|fault| fault.name == name);
            Row {
                name,
                language,
                bars: bars.map(|(from, to, state)| (span(from, to), state)).collect(),
                marks: faults.map(|fault| (seconds(fault.at_ms), fault.kind)).collect(),
            }
        };
        let ends = record.lives.iter().filter_map(|life| life.ended_ms);
        let gaps = record.takeovers.iter().map(|takeover| Gap {
            span: span(takeover.from_ms, takeover.to_ms),
            label: format!("{} ms", takeover.ms()),
        });
        let phases = record.phases.iter();
        Self {
            title: title.to_owned(),
            length: ends.map(seconds).fold(1.0, f64::max),
            ids: record.ids.count(),
            rows: cast.iter().map(row).collect(),
            gaps: gaps.collect(),
            phases: phases.map(|(at, words)| (seconds(*at), words.clone())).collect(),
            served: record.served.iter().map(|(from, to)| span(*from, *to)).collect(),
        }
    }
}

/// Its states that are shown, each with its begin and its end.
fn bars(life: &Life) -> Vec<(i64, i64, State)> {
    let states = life.states();
    let pairs = states.windows(2).map(|pair| (pair[0].0, pair[1].0, pair[0].1));
    pairs.filter(|(_, _, state)| matches!(state, State::Standby | State::Active | State::Leaving)).collect()
}
