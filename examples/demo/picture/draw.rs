//! Panels as SVG.

use svg::Document;
use svg::node::element::{Group, Title};

use super::lane::{Wish, place};
use super::panel::{Panel, Row, Span};
use super::shape::{
    ACTIVE, BAR, FAINT, GRID, INK, LEAVING, LOST, PAPER, SERVED, STANDBY, bar, colour, line, mark, name, px, rectangle,
    text, width,
};
use crate::record::{FaultKind, State};

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 100.0;
const RIGHT: f64 = 976.0;
/// Title and legend.
const HEADER: f64 = 72.0;
/// Above a panel's rows: its title, the phases, the gaps.
const HEAD: f64 = 82.0;
const ROW: f64 = 42.0;
/// The row of the client.
const CLIENT: f64 = 28.0;
/// Below the rows: the axis, and room to the next panel.
const FOOT: f64 = 50.0;
/// The smallest distance of two ticks.
const TICK: f64 = 52.0;
const SMALL: f64 = 11.0;
const NORMAL: f64 = 13.0;
const FONTS: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', Arial, sans-serif";

pub(super) fn document(panels: &[Panel]) -> Document {
    let height = HEADER + panels.iter().map(height).sum::<f64>();
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("role", "img")
        .set("font-family", FONTS)
        .add(Title::new(
            "Three coordinators in one election: who is active, what is done to them, and how long each takeover takes",
        ))
        .add(rectangle(0.0, 0.0, WIDTH, height, PAPER))
        .add(header());
    let mut top = HEADER;
    for panel in panels {
        document = document.add(Drawing { panel, top }.group());
        top += self::height(panel);
    }
    document
}

fn height(panel: &Panel) -> f64 {
    HEAD + panel.rows.len() as f64 * ROW + CLIENT + FOOT
}

fn header() -> Group {
    let title = "Three coordinators, one active: each takeover, and what the client sees of it";
    let mut group = Group::new().add(text(title, 24.0, 30.0, 17.0, INK).set("font-weight", "bold"));
    let (mut x, y) = (24.0, 54.0);
    for (words, fill) in [("active", ACTIVE), ("standby", STANDBY)] {
        group = group.add(bar(x, x + 26.0, y - 4.0, fill));
        group = group.add(text(words, x + 32.0, y, NORMAL, INK));
        x += 32.0 + width(words, NORMAL) + 22.0;
    }
    for kind in [FaultKind::Kill, FaultKind::Terminate, FaultKind::Start] {
        for path in mark(kind, x + 6.0, y - 4.0) {
            group = group.add(path);
        }
        group = group.add(text(name(kind), x + 18.0, y, NORMAL, INK));
        x += 18.0 + width(name(kind), NORMAL) + 22.0;
    }
    let words = "takeover: fault to next active";
    group = group.add(band(x, x + 26.0, y - 4.0 - BAR / 2.0, BAR));
    group = group.add(text(words, x + 32.0, y, NORMAL, INK));
    x += 32.0 + width(words, NORMAL) + 22.0;
    group = group.add(rectangle(x, y - 7.0, 26.0, 6.0, SERVED));
    group.add(text("client gets IDs", x + 32.0, y, NORMAL, INK))
}

/// Where nobody is active.
fn band(from: f64, to: f64, top: f64, height: f64) -> svg::node::element::Rectangle {
    rectangle(from, top, (to - from).max(2.0), height, LOST).set("fill-opacity", 0.22)
}

/// A panel and where it begins.
struct Drawing<'a> {
    panel: &'a Panel,
    top: f64,
}

impl Drawing<'_> {
    fn group(&self) -> Group {
        let group = Group::new();
        let group = self.grid(self.titles(group));
        let group = self.client(group);
        let mut group = self.bands(group);
        for (index, row) in self.panel.rows.iter().enumerate() {
            group = self.row(group, row, self.rows_top() + index as f64 * ROW);
        }
        self.gaps(group)
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * seconds / self.panel.length
    }

    fn rows_top(&self) -> f64 {
        self.top + HEAD
    }

    fn client_top(&self) -> f64 {
        self.rows_top() + self.panel.rows.len() as f64 * ROW
    }

    fn rows_bottom(&self) -> f64 {
        self.client_top() + CLIENT
    }

    fn titles(&self, group: Group) -> Group {
        let y = self.top + 22.0;
        let title = text(&self.panel.title, 24.0, y, 15.0, INK).set("font-weight", "bold");
        let words = format!("{} IDs handed out", self.panel.ids);
        let ids = text(&words, RIGHT, y, NORMAL, FAINT).set("text-anchor", "end");
        let mut group = group.add(title).add(ids);
        for (index, (at, words)) in self.panel.phases.iter().enumerate() {
            let x = self.x(*at);
            let fits = x + 4.0 + width(words, NORMAL) <= RIGHT;
            let (at, anchor) = if fits { (x + 4.0, "start") } else { (RIGHT, "end") };
            let words = text(words, at, self.top + 44.0, NORMAL, FAINT);
            let words = words.set("text-anchor", anchor);
            group = group.add(words.set("font-style", "italic"));
            if index > 0 {
                let rule = line((x, self.top + 34.0), (x, self.rows_bottom()), FAINT);
                group = group.add(rule.set("stroke-dasharray", "2 3"));
            }
        }
        group
    }

    fn grid(&self, mut group: Group) -> Group {
        let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 60.0];
        let wide = |step: &f64| self.x(*step) - self.x(0.0) >= TICK;
        let step = steps.into_iter().find(wide).unwrap_or(60.0);
        let (top, bottom) = (self.rows_top(), self.rows_bottom());
        let mut at = 0.0;
        while at <= self.panel.length {
            let x = self.x(at);
            let label = text(&format!("{at} s"), x, bottom + 16.0, SMALL, FAINT);
            group = group.add(line((x, top), (x, bottom), GRID));
            group = group.add(label.set("text-anchor", "middle"));
            at += step;
        }
        group.add(line((LEFT, bottom), (RIGHT, bottom), FAINT))
    }

    fn client(&self, group: Group) -> Group {
        let middle = self.client_top() + CLIENT / 2.0;
        let mut group = group.add(text("client", 24.0, middle + 4.0, NORMAL, INK));
        for Span { from, to } in &self.panel.served {
            let (from, to) = (self.x(*from), self.x(*to));
            let wide = (to - from).max(1.0);
            group = group.add(rectangle(from, middle - 3.0, wide, 6.0, SERVED));
        }
        group
    }

    fn bands(&self, mut group: Group) -> Group {
        let (top, bottom) = (self.rows_top(), self.rows_bottom());
        for gap in &self.panel.gaps {
            let (from, to) = (self.x(gap.span.from), self.x(gap.span.to));
            group = group.add(band(from, to, top, bottom - top));
        }
        group
    }

    fn row(&self, mut group: Group, row: &Row, top: f64) -> Group {
        let middle = top + ROW - BAR / 2.0 - 6.0;
        let label = text(row.name, 24.0, middle + 4.5, 14.0, INK).set("font-weight", "bold");
        let language = text(row.language, LEFT - 10.0, middle + 4.5, SMALL, FAINT);
        group = group.add(label).add(language.set("text-anchor", "end"));
        for (span, state) in &row.bars {
            let fill = match state {
                State::Active => ACTIVE,
                State::Leaving => LEAVING,
                _ => STANDBY,
            };
            group = group.add(bar(self.x(span.from), self.x(span.to), middle, fill));
        }
        let wish = |(at, kind): &(f64, FaultKind)| Wish { centre: self.x(*at), width: width(name(*kind), SMALL) };
        let wishes: Vec<Wish> = row.marks.iter().map(wish).collect();
        for ((at, kind), edge) in row.marks.iter().zip(place(&wishes, LEFT - 12.0, RIGHT)) {
            let middle_of_label = edge + width(name(*kind), SMALL) / 2.0;
            let words = text(name(*kind), middle_of_label, top + 15.0, SMALL, colour(*kind));
            let words = words.set("text-anchor", "middle");
            group = group.add(words.set("font-weight", "bold"));
            for path in mark(*kind, self.x(*at), middle) {
                group = group.add(path);
            }
        }
        group
    }

    /// The length of each takeover, in a lane above the rows.
    fn gaps(&self, mut group: Group) -> Group {
        let wish = |gap: &super::panel::Gap| Wish {
            centre: self.x((gap.span.from + gap.span.to) / 2.0),
            width: width(&gap.label, NORMAL) + 16.0,
        };
        let wishes: Vec<Wish> = self.panel.gaps.iter().map(wish).collect();
        let (top, bottom) = (self.top + 54.0, self.top + 74.0);
        let edges = place(&wishes, LEFT, RIGHT);
        for ((gap, wish), edge) in self.panel.gaps.iter().zip(&wishes).zip(edges) {
            let pill = rectangle(edge, top, wish.width, bottom - top, PAPER);
            let pill = pill.set("rx", 10).set("stroke", LOST);
            let middle = edge + wish.width / 2.0;
            let words = text(&gap.label, middle, bottom - 5.5, NORMAL, LOST);
            let words = words.set("text-anchor", "middle").set("font-weight", "bold");
            let pointer = line((middle, bottom), (px(wish.centre), self.rows_top()), LOST);
            group = group.add(pointer).add(pill).add(words);
        }
        group
    }
}
