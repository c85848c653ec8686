//! The form of a log line: the usual one of `tracing`, or Milvus's, which is zap's text:
//! `[2023/02/10 12:00:00.000 +00:00] [INFO] [log/mod.rs:51] ["message"] [key=value]`.

use std::fmt::{self, Debug, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes lines in one of the two forms; which, may change while it is in use.
pub(crate) struct Lines {
    is_milvus: &'static AtomicBool,
    plain: Format,
}

impl Lines {
    /// Milvus's form from when on this is true.
    pub(crate) fn new(is_milvus: &'static AtomicBool) -> Self {
        Self { is_milvus, plain: Format::default().with_ansi(false) }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if !self.is_milvus.load(Ordering::Relaxed) {
            return self.plain.format_event(context, writer, event);
        }
        let metadata = event.metadata();
        let mut said = Said::default();
        event.record(&mut said);
        write!(writer, "[{}] [{}] [{}] ", time()?, level(metadata), place(metadata))?;
        writeln!(writer, "[{}]{}", quoted(&said.message), said.fields)
    }
}

/// Now, in UTC, to the millisecond.
fn time() -> Result<String, fmt::Error> {
    let mut text = String::new();
    SystemTime.format_time(&mut Writer::new(&mut text))?;
    // 2023-02-10T12:00:00.000000Z
    let (day, time) = text.split_once('T').ok_or(fmt::Error)?;
    Ok(format!("{} {} +00:00", day.replace('-', "/"), time.get(..12).ok_or(fmt::Error)?))
}

fn level(metadata: &Metadata<'_>) -> &'static str {
    match *metadata.level() {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        _ => "DEBUG",
    }
}

/// The file in its folder, and the line.
fn place(metadata: &Metadata<'_>) -> String {
    let file = metadata.file().unwrap_or_default();
    let short = file.rmatch_indices('/').nth(1).map_or(file, |(at, _)| &file[at + 1..]);
    format!("{short}:{}", metadata.line().unwrap_or_default())
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    /// ` [key=value]` for each.
    fields: String,
}

impl Said {
    fn take(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.to_owned();
        } else {
            // Writing into a string does not fail.
            let _ = write!(self.fields, " [{}={}]", quoted(field.name()), quoted(value));
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take(field, &format!("{value:?}"));
    }
}

/// In quotation marks where a reader could mistake its end.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c > ' ' && !c.is_control() && !matches!(c, '"' | '=' | '[' | ']');
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
