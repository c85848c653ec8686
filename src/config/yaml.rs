//! A YAML file as a source of values: what stands in its map `coordha:`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::keys::{self, Key};
use super::{Values, located, not_a_key, problems, value};
use crate::error::{Error, ErrorKind, Result};

/// The map that is ours; what stands beside it belongs to others.
const OURS: &str = "coordha";

/// Most bytes of a file.
const MAX_BYTES: u64 = 1 << 20;

/// More than any key has parts.
const MAX_DEPTH: usize = 16;

/// Reads a file.
pub(super) fn load(path: &Path) -> Result<Values> {
    let shown = path.display().to_string();
    let wrong = |why: &str| Error::new(ErrorKind::ConfigFile, format!("{shown}: {why}")).with("value", &shown);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| wrong(&error.to_string()))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| wrong(&error.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong("longer than 1 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("not UTF-8"))?;
    read(&text, &shown)
}

/// The values of a file's text.
fn read(text: &str, path: &str) -> Result<Values> {
    let entries = match Reader::new(text).document() {
        Ok(entries) => entries,
        Err(Stop { line, why }) => {
            let message = format!("{path}:{line}: {why}");
            return Err(Error::new(ErrorKind::ConfigFile, message).with("value", path));
        }
    };
    let (mut values, mut lines, mut wrong) = (Values::new(), BTreeMap::new(), Vec::new());
    for Entry { name, text, line } in entries {
        let checked = check(&name, &text, lines.get(name.as_str()));
        lines.entry(name).or_insert(line);
        match checked {
            Ok((key, text)) => drop(values.insert(key.name, text)),
            Err(error) => wrong.push(located(&error, &format!("{path}:{line}"))),
        }
    }
    problems(wrong)?;
    Ok(values)
}

fn check(name: &str, text: &str, before: Option<&usize>) -> Result<(&'static Key, String)> {
    let key = keys::find(name).ok_or_else(|| not_a_key(name))?;
    if let Some(line) = before {
        let message = format!("{name} stands in line {line} already");
        return Err(Error::new(ErrorKind::ConfigConflict, message).with("key", name));
    }
    Ok((key, value::check(key, text)?))
}

/// One value: its key with dots, its text as it is written, its line.
struct Entry {
    name: String,
    text: String,
    line: usize,
}

/// Why reading ends.
struct Stop {
    line: usize,
    why: String,
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self { line: error.marker().line(), why: format!("no YAML: {}", error.info()) }
    }
}

type Read<T> = std::result::Result<T, Stop>;

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    line: usize,
    entries: Vec<Entry>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { events: Parser::new_from_str(text), line: 1, entries: Vec::new() }
    }

    fn next(&mut self) -> Read<Event<'a>> {
        let Some(event) = self.events.next_event() else {
            return Ok(Event::StreamEnd);
        };
        let (event, Span { start, .. }) = event?;
        self.line = start.line();
        Ok(event)
    }

    fn stop<T>(&self, why: impl Into<String>) -> Read<T> {
        Err(Stop { line: self.line, why: why.into() })
    }

    /// The whole file.
    fn document(mut self) -> Read<Vec<Entry>> {
        let mut found = false;
        loop {
            match self.next()? {
                Event::StreamStart | Event::DocumentStart(_) => {}
                Event::MappingStart(..) => break,
                Event::StreamEnd => return self.stop(format!("no map `{OURS}:` in it")),
                _ => return self.stop("not a map of keys and values"),
            }
        }
        loop {
            match self.next()? {
                Event::MappingEnd => break,
                Event::Scalar(name, ..) if name == OURS => {
                    if std::mem::replace(&mut found, true) {
                        return self.stop(format!("a second map `{OURS}:`"));
                    }
                    self.ours()?;
                }
                key => {
                    self.skip(&key)?;
                    let value = self.next()?;
                    self.skip(&value)?;
                }
            }
        }
        if !found {
            return self.stop(format!("no map `{OURS}:` in it"));
        }
        loop {
            match self.next()? {
                Event::StreamEnd => return Ok(self.entries),
                Event::DocumentEnd => {}
                _ => return self.stop("a second document"),
            }
        }
    }

    /// The value of `coordha:`.
    fn ours(&mut self) -> Read<()> {
        match self.next()? {
            Event::MappingStart(..) => self.map("", 0),
            Event::Scalar(text, style, ..) if is_null(&text, style) => Ok(()),
            _ => self.stop(format!("`{OURS}:` is not a map")),
        }
    }

    /// The rest of a map of ours, whose keys begin with `path`.
    fn map(&mut self, path: &str, depth: usize) -> Read<()> {
        if depth > MAX_DEPTH {
            return self.stop("maps in maps, too deep for any key");
        }
        loop {
            let name = match self.next()? {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(name, ..) if path.is_empty() => name.into_owned(),
                Event::Scalar(name, ..) => format!("{path}.{name}"),
                _ => return self.stop("a key that is no text"),
            };
            match self.next()? {
                Event::Scalar(text, style, ..) => {
                    let text = if is_null(&text, style) { String::new() } else { text.into_owned() };
                    self.entries.push(Entry { name, text, line: self.line });
                }
                Event::MappingStart(..) => self.map(&name, depth + 1)?,
                Event::SequenceStart(..) => {
                    let name = value::visible(&name);
                    return self.stop(format!("{name} is a list; a value is one text"));
                }
                _ => {
                    let name = value::visible(&name);
                    return self.stop(format!("{name} is an alias, which is not followed"));
                }
            }
        }
    }

    /// Passes over a node that began with this event.
    fn skip(&mut self, first: &Event<'a>) -> Read<()> {
        let step = |event: &Event<'_>| match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => 1,
            Event::MappingEnd | Event::SequenceEnd => -1,
            _ => 0,
        };
        let mut depth = step(first);
        while depth > 0 {
            match self.next()? {
                Event::StreamEnd => return self.stop("no YAML: it ends too early"),
                event => depth += step(&event),
            }
        }
        Ok(())
    }
}

/// Nothing, or a word for it; it stands for the empty value.
fn is_null(text: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
