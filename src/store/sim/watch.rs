//! The history that watches are served from, and compaction.

use super::SimState;
use crate::kv::{KeyRange, Revision, WatchEvent};

impl SimState {
    /// The changes of some ranges from a revision on, in order; one entry for each revision and range that has any. An
    /// error is the lowest revision that can still be watched.
    pub fn events_since(&self, from: Revision, ranges: &[KeyRange]) -> Result<Vec<Vec<WatchEvent>>, Revision> {
        let lowest = self.lowest_watchable();
        if from < lowest {
            return Err(lowest);
        }
        let first = self.revision + 1 - self.history.len() as Revision;
        let skip = usize::try_from(from - first).unwrap_or(0);
        let mut found = Vec::new();
        for revision in self.history.iter().skip(skip) {
            for range in ranges {
                let events: Vec<_> = revision.iter().filter(|event| range.contains(event.key())).cloned().collect();
                if !events.is_empty() {
                    found.push(events);
                }
            }
        }
        Ok(found)
    }

    /// The revision of a key's first event in the whole history. An error: a part of it is compacted. `Ok(None)`: it has
    /// none yet.
    pub fn first_event(&self, key: &[u8]) -> Result<Option<Revision>, Revision> {
        let events = self.events_since(1, &[KeyRange::key(key)])?;
        Ok(events.first().and_then(|events| events.first()).map(WatchEvent::revision))
    }

    /// Forgets all events below a revision (at most the store's own).
    pub fn compact(&mut self, revision: Revision) {
        let keep = self.revision + 1 - revision.min(self.revision);
        self.keep(usize::try_from(keep).unwrap_or(usize::MAX));
    }

    /// The lowest revision that a watch can begin at.
    pub fn lowest_watchable(&self) -> Revision {
        // Revision 1 is the empty store's own, so it has no event to forget.
        let first = self.revision + 1 - self.history.len() as Revision;
        if first == 2 { 1 } else { first }
    }

    /// Makes changes the next revision; no changes, no revision.
    pub(super) fn commit(&mut self, events: Vec<WatchEvent>) {
        if events.is_empty() {
            return;
        }
        self.revision += 1;
        if self.options.history > 0 {
            self.history.push_back(events.into());
        }
        self.keep(self.options.history);
    }

    fn keep(&mut self, revisions: usize) {
        while self.history.len() > revisions {
            self.history.pop_front();
        }
    }
}
