//! The shapes of which the picture is made, with their sizes and colours.

use svg::node::element::{Line, Path, Rectangle, Text};

use crate::record::FaultKind;

pub(super) const INK: &str = "#1f2328";
pub(super) const FAINT: &str = "#59636e";
pub(super) const GRID: &str = "#e4e7eb";
pub(super) const PAPER: &str = "#ffffff";
pub(super) const STANDBY: &str = "#bcd5f7";
pub(super) const ACTIVE: &str = "#0b57d0";
pub(super) const LEAVING: &str = "#7ba7ee";
pub(super) const LOST: &str = "#cf222e";
pub(super) const SERVED: &str = "#2a9d8f";
const STOPPED: &str = "#b35900";
const STARTED: &str = "#1a7f37";

/// How tall a bar is.
pub(super) const BAR: f64 = 16.0;

/// A length as it is written: a tenth of a pixel is enough.
pub(super) fn px(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}

/// About how wide a text is.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.6
}

pub(super) fn rectangle(x: f64, y: f64, width: f64, height: f64, colour: &str) -> Rectangle {
    Rectangle::new()
        .set("x", px(x))
        .set("y", px(y))
        .set("width", px(width))
        .set("height", px(height))
        .set("fill", colour)
}

/// A bar round its middle line.
pub(super) fn bar(from: f64, to: f64, middle: f64, colour: &str) -> Rectangle {
    rectangle(from, middle - BAR / 2.0, to - from, BAR, colour).set("rx", 2)
}

pub(super) fn line(from: (f64, f64), to: (f64, f64), colour: &str) -> Line {
    Line::new()
        .set("x1", px(from.0))
        .set("y1", px(from.1))
        .set("x2", px(to.0))
        .set("y2", px(to.1))
        .set("stroke", colour)
}

pub(super) fn text(words: &str, x: f64, y: f64, size: f64, colour: &str) -> Text {
    Text::new(words).set("x", px(x)).set("y", px(y)).set("font-size", size).set("fill", colour)
}

/// What a mark is called.
pub(super) fn name(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Start => "start",
        FaultKind::Kill => "kill -9",
        FaultKind::Terminate => "SIGTERM",
    }
}

pub(super) fn colour(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Start => STARTED,
        FaultKind::Kill => LOST,
        FaultKind::Terminate => STOPPED,
    }
}

/// A mark: a triangle for a start, a cross for a kill, a square for a SIGTERM, each with an edge of paper.
pub(super) fn mark(kind: FaultKind, x: f64, y: f64) -> [Path; 2] {
    let (x, y) = (px(x), px(y));
    let shape = match kind {
        FaultKind::Start => format!("M{},{} l9,6 l-9,6 z", px(x - 3.0), px(y - 6.0)),
        FaultKind::Kill => format!("M{},{} l12,12 m0,-12 l-12,12", px(x - 6.0), px(y - 6.0)),
        FaultKind::Terminate => format!("M{},{} h10 v10 h-10 z", px(x - 5.0), px(y - 5.0)),
    };
    let path = |colour: &str, width: f64| {
        let path = Path::new().set("d", shape.clone()).set("stroke", colour);
        let path = path.set("stroke-width", width).set("stroke-linecap", "round");
        let filled = if kind == FaultKind::Kill { "none" } else { colour };
        path.set("fill", filled)
    };
    let (edge, own) = if kind == FaultKind::Kill { (6.5, 3.0) } else { (4.0, 1.0) };
    [path(PAPER, edge), path(colour(kind), own)]
}
