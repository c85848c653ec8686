//! What must hold in every row, whatever the fault: tokens grow, no guarded write by a past holder commits, and no two
//! sessions say "active" at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use coordha::kv::Revision;
use coordha::session::Session;

#[derive(Default)]
struct Book {
    sessions: Vec<(String, Session)>,
    /// Guarded writes that committed: (revision, token, writer).
    writes: Vec<(Revision, Revision, String)>,
    breaches: Vec<String>,
}

/// Watches all sessions of a test, on a thread of its own, until it is asked for its judgement.
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
        Self {
            book,
            done,
            thread: Some(std::thread::spawn(watch)),
        }
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
        let writes = std::mem::take(&mut book.writes);
        for pair in writes.windows(2) {
            let ((_, before, first), (at, token, second)) = (&pair[0], &pair[1]);
            if token < before {
                let text = format!(
                    "{second} wrote with token {token} at {at}, after {first} with {before}"
                );
                book.breaches.push(text);
            }
        }
        assert!(book.breaches.is_empty(), "{:#?}", book.breaches);
    }
}

impl Drop for Referee {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

/// Two that are active in one look prove nothing, as they are asked one after the other; where the first still is
/// when it is asked again, they were active together.
fn look(book: &mut Book) {
    let active = |(_, session): &&(String, Session)| session.is_active();
    let now: Vec<&(String, Session)> = book.sessions.iter().filter(active).collect();
    let [first, second, ..] = now.as_slice() else {
        return;
    };
    let token = first.1.fencing_token();
    if first.1.is_active() && first.1.fencing_token() == token && book.breaches.len() < 10 {
        let text = format!("{} and {} are active at once", first.0, second.0);
        book.breaches.push(text);
    }
}
