//! The table of what was measured, on the screen and in `docs/performance.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::samples::{Ms, Samples};

const PAGE: &str = "docs/performance.md";
const END: &str = "<!-- end -->\n";
const HEAD: [&str; 6] = ["What", "Measured", "Beside", "Ratio", "Aim", "Met"];

/// One row of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) beside: String,
    pub(crate) ratio: Option<f64>,
    pub(crate) aim: String,
    /// `None`: there is no aim.
    pub(crate) met: Option<bool>,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self { what: what.into(), measured: measured.into(), ..Self::default() }
    }

    /// A row of times.
    pub(crate) fn of(what: impl Into<String>, samples: &Samples) -> Self {
        Self::new(what, describe(samples))
    }

    pub(crate) fn beside(mut self, beside: impl Into<String>, ratio: f64) -> Self {
        self.beside = beside.into();
        self.ratio = Some(ratio);
        self
    }

    pub(crate) fn aim(mut self, aim: impl Into<String>, met: bool) -> Self {
        self.aim = aim.into();
        self.met = Some(met);
        self
    }

    fn cells(&self) -> [String; 6] {
        [
            self.what.clone(),
            self.measured.clone(),
            self.beside.clone(),
            self.ratio.map_or(String::new(), |ratio| match ratio {
                ..10.0 => format!("{ratio:.2}"),
                _ => format!("{ratio:.0}"),
            }),
            self.aim.clone(),
            match self.met {
                Some(true) => "yes".into(),
                Some(false) => "**NO**".into(),
                None => String::new(),
            },
        ]
    }
}

pub(crate) fn describe(samples: &Samples) -> String {
    let count = samples.len();
    let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|part| Ms(samples.quantile(part)));
    if count < 20 {
        return format!("p50 {p50}, longest {}; {count} runs", Ms(samples.quantile(1.0)));
    }
    format!("p50 {p50}, p90 {p90}, p99 {p99}; {count} runs")
}

/// Prints facts, table, and the closing line of this target of the Makefile; `more` stands before its counts.
pub(crate) fn print(target: &str, more: &str, rows: &[Row], facts: &[String]) {
    println!("\n{}\n\n{}", facts.join("\n"), text(rows));
    let missed = rows.iter().filter(|row| row.met == Some(false)).count();
    println!("{target} {more}rows={} missed={missed}", rows.len());
}

/// For the screen.
fn text(rows: &[Row]) -> String {
    let table: Vec<_> = std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| {
        let cells = table.iter().map(|cells| cells[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for cells in &table {
        let padded = cells.iter().zip(widths);
        let line: Vec<_> = padded.map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", line.join("  ").trim_end());
    }
    text
}

fn markdown(rows: &[Row], facts: &[String]) -> String {
    let mut text = String::from("\n");
    for fact in facts {
        let _ = writeln!(text, "- {fact}");
    }
    let _ = writeln!(text, "\n| {} |\n|{}", HEAD.join(" | "), "---|".repeat(6));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    text.push('\n');
    text
}

/// Writes the table into the page, between the marks of this target of the Makefile.
pub(crate) fn write(target: &str, rows: &[Row], facts: &[String]) -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&file).context(PAGE)?;
    let page = renewed(&page, target, rows, facts).with_context(|| format!("{PAGE} has no marks of {target}"))?;
    Ok(fs::write(&file, page)?)
}

/// The page with what stands between these marks written anew; `None`: it has none.
pub(crate) fn renewed(page: &str, target: &str, rows: &[Row], facts: &[String]) -> Option<String> {
    let begin = format!("<!-- measured by `make {target} WRITE=1` -->\n");
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{begin}{}{END}{after}", markdown(rows, facts)))
}

/// What the numbers hang on. `members` are those of etcd, `load` the load averages before and after.
pub(crate) fn facts(etcd: &str, members: &str, load: [f64; 2]) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let system = rustix::system::uname();
    let (kernel, machine) = (system.release(), system.machine());
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, name)| name);
    vec![
        format!("Date: {}", said("date", &["-u", "+%F"])),
        format!("Machine: {cores} cores, {processor}"),
        format!("Kernel: Linux {} {}", kernel.to_string_lossy(), machine.to_string_lossy()),
        format!("Compiler: {}", said("rustc", &["--version"])),
        format!("etcd: {etcd}, {members}, its own settings, on the machine's disk"),
        format!(
            "Load average before and after: {:.1} and {:.1} (the benchmarks themselves make some)",
            load[0], load[1]
        ),
    ]
}

/// The load average of the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or(f64::NAN)
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or("unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
