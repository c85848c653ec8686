//! What must hold in every row, whatever the fault: tokens grow, no guarded write by a past holder commits, and no two
//! sessions say "active" at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use coordha::kv::Revision;
use coordha::session::Session;
use rustix::time::{ClockId, clock_gettime};

/// The clock of the host that all its processes share: ns since boot, suspend included.
pub(crate) fn boot_ns() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// When a session said "I am active" in one term, as [`boot_ns`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Just after the first such answer.
    pub(crate) first: i64,
    /// Just before the last one was asked for.
    pub(crate) last: i64,
}

impl Span {
    /// Asks a session once; with what it has answered before in the same term.
    pub(crate) fn sample(session: &Session, so_far: Option<(Revision, Self)>) -> Option<(Revision, Self)> {
        let (token, last) = (session.fencing_token(), boot_ns());
        // The same token before and after: the answer was given in its term.
        if token == 0 || !session.is_active() || session.fencing_token() != token {
            return None;
        }
        let first = match so_far {
            Some((before, span)) if before == token => span.first,
            _ => boot_ns(),
        };
        Some((token, Self { first, last }))
    }
}

#[derive(Default)]
struct Book {
    sessions: Vec<(String, Session)>,
    /// By token, and by who said it.
    spans: BTreeMap<(Revision, String), Span>,
    /// Guarded writes that committed: (revision, token, writer).
    writes: Vec<(Revision, Revision, String)>,
}

/// Watches all sessions of a test, on a thread of its own, until it is asked for its judgement. Those of other processes
/// are told to it.
pub(crate) struct Referee {
    book: Arc<Mutex<Book>>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Referee {
    pub(crate) fn start() -> Self {
        let (book, done) = (Arc::<Mutex<Book>>::default(), Arc::<AtomicBool>::default());
        let (its_book, is_done) = (Arc::clone(&book), Arc::clone(&done));
        let watch = move || {
            while !is_done.load(Ordering::Relaxed) {
                look(&mut its_book.lock().unwrap());
                std::thread::yield_now();
            }
        };
        Self { book, done, thread: Some(std::thread::spawn(watch)) }
    }

    pub(crate) fn watch(&self, name: &str, session: &Session) {
        let mut book = self.book.lock().unwrap();
        book.sessions.push((name.to_owned(), session.clone()));
    }

    /// Forgets the sessions of this name, so that the last handle can be dropped.
    pub(crate) fn forget(&self, name: &str) {
        let mut book = self.book.lock().unwrap();
        book.sessions.retain(|(other, _)| other != name);
    }

    /// A session of another process has said "active" from `span.first` to `span.last` at least.
    pub(crate) fn saw(&self, name: &str, token: Revision, span: Span) {
        let mut book = self.book.lock().unwrap();
        book.spans.insert((token, name.to_owned()), span);
    }

    /// A guarded write of the term `token` committed at `revision`.
    pub(crate) fn wrote(&self, writer: &str, token: Revision, revision: Revision) {
        let mut book = self.book.lock().unwrap();
        book.writes.push((revision, token, writer.to_owned()));
    }

    /// Fails the test where a rule was broken.
    pub(crate) fn judge(mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        let mut book = self.book.lock().unwrap();
        book.writes.sort();
        let mut breaches = overlaps(&book.spans);
        breaches.extend(late_writes(&book.writes));
        assert!(breaches.is_empty(), "{breaches:#?}");
    }
}

impl Drop for Referee {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

fn look(book: &mut Book) {
    for (name, session) in &book.sessions {
        let token = session.fencing_token();
        if token == 0 {
            continue;
        }
        let key = (token, name.clone());
        let so_far = book.spans.get(&key).map(|span| (token, *span));
        if let Some((token, span)) = Span::sample(session, so_far) {
            book.spans.insert((token, name.clone()), span);
        }
    }
}

/// One that has said "active" in a later term before another one said it for the last time in an earlier one.
fn overlaps(spans: &BTreeMap<(Revision, String), Span>) -> Vec<String> {
    let mut breaches = Vec::new();
    // Of all earlier terms, the one that was acted in last.
    let mut latest: Option<(&(Revision, String), i64)> = None;
    for (key, span) in spans {
        if let Some((earlier, last)) = latest {
            let (token, name) = key;
            if last > span.first {
                let early = last - span.first;
                breaches.push(format!(
                    "{name} was active with token {token} {early} ns before {} was for the last time with {}",
                    earlier.1, earlier.0
                ));
            }
            if earlier.0 == *token {
                breaches.push(format!("{name} and {} both had token {token}", earlier.1));
            }
        }
        if latest.is_none_or(|(_, last)| span.last > last) {
            latest = Some((key, span.last));
        }
    }
    breaches
}

fn late_writes(writes: &[(Revision, Revision, String)]) -> Vec<String> {
    let late = writes.windows(2).filter(|pair| pair[1].1 < pair[0].1);
    let text = |pair: &[(Revision, Revision, String)]| {
        let ((_, before, first), (at, token, second)) = (&pair[0], &pair[1]);
        format!("{second} wrote with token {token} at {at}, after {first} with {before}")
    };
    late.map(text).collect()
}

#[test]
fn the_referee_sees_terms_that_overlap() {
    let span = |first, last| Span { first, last };
    let name = |name: &str, token| (token, name.to_owned());
    let apart = BTreeMap::from([(name("A", 5), span(0, 9)), (name("B", 8), span(10, 12))]);
    assert!(overlaps(&apart).is_empty());
    let overlap = BTreeMap::from([(name("A", 5), span(0, 11)), (name("B", 8), span(10, 12))]);
    assert_eq!(overlaps(&overlap).len(), 1);
    let hidden =
        BTreeMap::from([(name("A", 5), span(0, 30)), (name("B", 6), span(40, 41)), (name("A", 7), span(20, 50))]);
    assert_eq!(overlaps(&hidden).len(), 1);
    let twice = BTreeMap::from([(name("A", 5), span(0, 1)), (name("B", 5), span(2, 3))]);
    assert_eq!(overlaps(&twice).len(), 1);
    assert_eq!(late_writes(&[(1, 5, "A".into()), (2, 8, "B".into()), (3, 5, "A".into())]).len(), 1);
}
