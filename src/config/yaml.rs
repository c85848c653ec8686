//! A YAML file as a source of values: what stands in its map `coordha:`, or in all of a file of Milvus's.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::keys::{self, Key};
use super::{Dialect, Given, Loaded, located, milvus, not_a_key, problems, value};
use crate::error::{Error, ErrorKind, Result};

/// The map that is ours; what stands beside it belongs to others.
const OURS: &str = "coordha";

/// Most bytes of a file.
const MAX_BYTES: u64 = 1 << 20;

/// More than any key has parts.
const MAX_DEPTH: usize = 16;

/// A YAML file that was read. It can be loaded more than once, as a pipe or a process substitution cannot be read again.
#[derive(Clone)]
pub struct YamlFile {
    path: String,
    text: String,
}

impl YamlFile {
    /// Reads a file of at most 1 MiB.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigFile`], with the file's name: it cannot be read, is too long, or is no UTF-8.
    /// [`ErrorKind::Unsupported`] in a build without the feature `yaml`.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let shown = path.display().to_string();
        let wrong = |why: &str| Error::new(ErrorKind::ConfigFile, format!("{shown}: {why}")).with("value", &shown);
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| wrong(&error.to_string()))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| wrong(&error.to_string()))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(wrong("longer than 1 MiB"));
        }
        let text = String::from_utf8(bytes).map_err(|_| wrong("not UTF-8"))?;
        Ok(Self { path: shown, text })
    }

    pub(super) fn load(&self, dialect: Dialect) -> Result<Loaded> {
        read(&self.text, &self.path, dialect)
    }
}

/// The name alone: secrets may stand in it.
impl fmt::Debug for YamlFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YamlFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The values of a file's text.
fn read(text: &str, path: &str, dialect: Dialect) -> Result<Loaded> {
    let reader = Reader::new(text);
    let entries = match dialect {
        Dialect::Native => reader.document(),
        Dialect::Milvus => reader.everything(),
    };
    let entries = entries.map_err(|Stop { line, why }| {
        let message = format!("{path}:{line}: {why}");
        Error::new(ErrorKind::ConfigFile, message).with("value", path)
    })?;
    let (mut loaded, mut lines, mut wrong) = (Loaded::default(), BTreeMap::new(), Vec::new());
    for entry in entries {
        let place = format!("{path}:{}", entry.line);
        if let Err(error) = take(&mut loaded, &mut lines, entry, &place, dialect) {
            wrong.push(located(&error, &place));
        }
    }
    problems(wrong)?;
    Ok(loaded)
}

/// Takes in one value, if it means something here.
fn take(
    loaded: &mut Loaded,
    lines: &mut BTreeMap<String, usize>,
    entry: Entry,
    place: &str,
    dialect: Dialect,
) -> Result<()> {
    let Entry { name, text, line } = entry;
    let own = match dialect {
        Dialect::Native => Some(name.as_str()),
        Dialect::Milvus => name.strip_prefix(OURS).and_then(|rest| rest.strip_prefix('.')),
    };
    if let Some(name) = own {
        let (key, text) = check(name, &text?.unwrap_or_default(), lines.get(name))?;
        lines.entry(name.to_owned()).or_insert(line);
        loaded.own.insert(key.name, Given::new(text, place));
    } else if let Some(key) = milvus::by_key(&name) {
        match text? {
            Some(text) => milvus::take(&mut loaded.milvus, key, &text, place)?,
            None => milvus::take_null(&mut loaded.milvus, key, place)?,
        }
    } else if name == OURS || milvus::is_above(&name) {
        // Not a value, so only what hides values is wrong.
        text?;
    }
    Ok(())
}

fn check(name: &str, text: &str, before: Option<&usize>) -> Result<(&'static Key, String)> {
    let key = keys::find(name).ok_or_else(|| not_a_key(name))?;
    if let Some(line) = before {
        let message = format!("{name} stands in line {line} already");
        return Err(Error::new(ErrorKind::ConfigConflict, message).with("key", name));
    }
    Ok((key, value::check(key, text)?))
}

/// One value: its key with dots, its text as it is written or why it is no text, its line. Null is no text.
struct Entry {
    name: String,
    text: Result<Option<String>>,
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
        self.end()
    }

    /// The whole of a file of Milvus's, which may be empty.
    fn everything(mut self) -> Read<Vec<Entry>> {
        loop {
            match self.next()? {
                Event::StreamStart | Event::DocumentStart(_) => {}
                Event::StreamEnd => return Ok(self.entries),
                Event::Scalar(text, style, ..) if is_null(&text, style) => break,
                Event::MappingStart(..) => {
                    self.every("", 0)?;
                    break;
                }
                _ => return self.stop("not a map of keys and values"),
            }
        }
        self.end()
    }

    /// After the one document nothing may come.
    fn end(mut self) -> Read<Vec<Entry>> {
        loop {
            match self.next()? {
                Event::StreamEnd => return Ok(self.entries),
                Event::DocumentEnd => {}
                _ => return self.stop("a second document"),
            }
        }
    }

    /// The rest of any map, whose keys begin with `path`. What can be no key of ours or Milvus's is passed over.
    fn every(&mut self, path: &str, depth: usize) -> Read<()> {
        loop {
            let name = match self.next()? {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(name, ScalarStyle::Plain, ..) if name == "<<" => {
                    let text = Err(no_text(path, "merged with another map by <<, which is not followed"));
                    self.entries.push(Entry { name: path.to_owned(), text, line: self.line });
                    let value = self.next()?;
                    self.skip(&value)?;
                    continue;
                }
                Event::Scalar(name, ..) if depth < MAX_DEPTH => below(path, &name),
                key => {
                    self.skip(&key)?;
                    let value = self.next()?;
                    self.skip(&value)?;
                    continue;
                }
            };
            let (value, line) = (self.next()?, self.line);
            let text = match value {
                Event::MappingStart(..) => {
                    self.every(&name, depth + 1)?;
                    continue;
                }
                Event::Scalar(text, style, ..) => Ok(plain(&text, style)),
                Event::SequenceStart(..) => self.list(&name)?,
                _ => Err(no_text(&name, "an alias, which is not followed")),
            };
            self.entries.push(Entry { name, text, line });
        }
    }

    /// The rest of a list, as one text with commas.
    fn list(&mut self, name: &str) -> Read<Result<Option<String>>> {
        let (mut items, mut has_others) = (Vec::new(), false);
        loop {
            match self.next()? {
                Event::SequenceEnd => break,
                Event::Scalar(text, style, ..) => items.push(plain(&text, style).unwrap_or_default()),
                other => {
                    has_others = true;
                    self.skip(&other)?;
                }
            }
        }
        Ok(if has_others { Err(no_text(name, "a list of more than texts")) } else { Ok(Some(items.join(","))) })
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
                Event::Scalar(name, ..) => below(path, &name),
                _ => return self.stop("a key that is no text"),
            };
            match self.next()? {
                Event::Scalar(text, style, ..) => {
                    let text = Ok(plain(&text, style));
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

/// The name of a key in a map.
fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn no_text(name: &str, what: &str) -> Error {
    let shown = if name.is_empty() { "the file".to_owned() } else { value::visible(name) };
    Error::new(ErrorKind::ConfigValue, format!("{shown} is {what}")).with("key", shown)
}

fn plain(text: &str, style: ScalarStyle) -> Option<String> {
    (!is_null(text, style)).then(|| text.to_owned())
}

/// Nothing, or a word for it. To our own keys it stands for the empty value.
fn is_null(text: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
