//! What a thread sees happen, kept in order for the tests that wait for some of it.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

struct State<T> {
    list: Vec<T>,
    closed: bool,
}

pub struct Seen<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    tell: fn(&T) -> String,
}

impl<T> Seen<T> {
    /// `tell` puts one into words, for a test that waited in vain.
    pub fn new(tell: fn(&T) -> String) -> Self {
        Self { state: Mutex::new(State { list: Vec::new(), closed: false }), changed: Condvar::new(), tell }
    }

    pub fn push(&self, one: T) {
        self.state.lock().unwrap().list.push(one);
        self.changed.notify_all();
    }

    /// Nothing more will come: who waits still, waits in vain.
    pub fn close(&self) {
        self.state.lock().unwrap().closed = true;
        self.changed.notify_all();
    }

    /// Waits until nothing more will come. Panics in the name of `who` where that has not come when `patience` ends.
    pub fn until_closed(&self, who: &str, patience: Duration) {
        let end = Instant::now() + patience;
        let mut state = self.state.lock().unwrap();
        while !state.closed {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let texts: Vec<_> = state.list.iter().map(self.tell).collect();
                drop(state);
                panic!("{who}: waited in vain for its end: {texts:#?}");
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    pub fn read<R>(&self, read: impl FnOnce(&[T]) -> R) -> R {
        read(&self.state.lock().unwrap().list)
    }

    /// Waits until `find` finds something in all that was seen so far. Panics in the name of `who` with `what` was waited
    /// for, where that has not come when `patience` ends.
    pub fn until<R>(&self, who: &str, what: &str, patience: Duration, mut find: impl FnMut(&[T]) -> Option<R>) -> R {
        let end = Instant::now() + patience;
        let mut state = self.state.lock().unwrap();
        loop {
            if let Some(found) = find(&state.list) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || state.closed {
                let texts: Vec<_> = state.list.iter().map(self.tell).collect();
                drop(state);
                panic!("{who}: waited in vain: {what}: {texts:#?}");
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}
