//! What a process says, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use crate::support::seen::Seen;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// The lines of one process so far. A thread reads them until their end.
pub(crate) struct Lines {
    name: String,
    seen: Arc<Seen<String>>,
}

impl Lines {
    /// Reads until the end; `each` is told every line as it comes. Of a line that holds `mark`, what follows it counts, and
    /// no other line does.
    pub(crate) fn read(
        name: &str,
        mark: &'static str,
        source: impl Read + Send + 'static,
        each: impl Fn(&str) + Send + 'static,
    ) -> Self {
        let seen = Arc::new(Seen::new(String::clone));
        let its_seen = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                let Some((_, line)) = line.split_once(mark) else { continue };
                each(line);
                its_seen.push(line.to_owned());
            }
            its_seen.close();
        });
        Self { name: name.to_owned(), seen }
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.seen.read(<[_]>::to_vec)
    }

    /// The lines of a kind: their first word.
    pub(crate) fn of(&self, kind: &str) -> Vec<String> {
        self.all().into_iter().filter(|line| is_of(line, kind)).collect()
    }

    /// Waits for the n-th line (from 1) of a kind.
    pub(crate) fn nth(&self, kind: &str, n: usize) -> String {
        self.nth_with(kind, "", n)
    }

    /// Waits for the n-th line (from 1) of a kind that has this word; empty: any.
    pub(crate) fn nth_with(&self, kind: &str, word: &str, n: usize) -> String {
        let has = |line: &str| word.is_empty() || line.split(' ').any(|one| one == word);
        self.seen.until(&self.name, &format!("{kind} {word} no. {n}"), PATIENCE, |lines| {
            lines.iter().filter(|line| is_of(line, kind) && has(line)).nth(n - 1).cloned()
        })
    }

    /// Waits until the process has closed its output.
    pub(crate) fn end(&self) {
        self.seen.until_closed(&self.name, PATIENCE);
    }
}

fn is_of(line: &str, kind: &str) -> bool {
    line.split(' ').next() == Some(kind)
}

/// The value of `key` in `kind key=value …`.
pub(crate) fn value<'a>(line: &'a str, key: &str) -> &'a str {
    let mut words = line.split(' ').filter_map(|word| word.split_once('='));
    words.find(|(name, _)| *name == key).unwrap_or_else(|| panic!("{line}: no {key}")).1
}

pub(crate) fn number(line: &str, key: &str) -> i64 {
    value(line, key).parse().unwrap_or_else(|_| panic!("{line}: {key} is no number"))
}
