//! Leaving nothing behind: taking up or giving back what is this session's in the store, though no term of it is at work.

use std::time::Duration;

use super::Election;
use super::flaw::flawed;
use super::io::Time;
use super::request::Kind;
use super::term::{Stage, Term};
use crate::error::ErrorKind;
use crate::kv::{Compare, Op, Revision};
use crate::record::{Member, Tenure, TermRecord};

/// How long a leaver's last commit, the end of its lease, stands back for the next holder's first one, which would else
/// wait for the disk behind it.
const MAKE_WAY: Duration = Duration::from_millis(20);

impl Election {
    /// Leaves nothing behind: takes up a role that is this session's by an answer that never came, or ends it; marks a
    /// term record of its own as released when nothing acts by it any more. False: there was nothing to do.
    pub(super) fn tidy(&mut self, now: Time) -> bool {
        if self.fatal.as_ref().is_some_and(|error| error.kind() == ErrorKind::Regressed) {
            return false;
        }
        let id = self.settings.session_id;
        if let Some(active) = self.view.active.as_ref().filter(|active| active.is_of(id)) {
            let (token, current) = (active.revision, self.lease_is(active.lease));
            let burned = token <= self.burned && !flawed!(self, ReuseTerm);
            if current && !burned && self.term.is_none() && !self.is_unwilling(now) {
                self.find(now, token, self.own_hold(), None);
                return self.renew(now);
            }
            if current || burned {
                if token > self.burned {
                    self.burn(token);
                }
                self.release(now, token);
                return true;
            }
        }
        let will_campaign = self.registered && !self.is_unwilling(now) && self.term.is_none();
        if will_campaign {
            return false;
        }
        let seen = self.view.term.as_ref().map_or(0, |term| term.revision);
        let Some(record) = self.own_term_released() else { return false };
        self.burned = self.burned.max(record.token);
        let compares = vec![Compare::mod_revision(self.keys.term.clone(), seen)];
        self.write_if(now, Kind::Mark, compares, vec![self.put_term(&record)]);
        true
    }

    /// The term record, where it is held by this session, as released.
    fn own_term_released(&self) -> Option<TermRecord> {
        let (id, revision) = (self.settings.session_id, self.view.term.as_ref()?.revision);
        Some(self.view.term_record().filter(|record| record.is_held_by(id))?.released(revision))
    }

    pub(super) fn released(&mut self, now: Time, token: Revision, revision: Revision) {
        #[cfg(feature = "testkit")]
        self.left_flaw();
        let record = self.released_record(token);
        self.view.wrote_active(revision, None);
        self.view.wrote_term(revision, record, now);
        if self.is_leaving() && self.view.members.len() > 1 {
            self.lease_after = now + MAKE_WAY;
        }
    }

    pub(super) fn marked(&mut self, now: Time, revision: Revision) {
        if let Some(record) = self.own_term_released() {
            self.view.wrote_term(revision, record, now);
        }
    }

    /// Owns the role by the term of this token. It is not acted in before a write of it has committed that was sent at `renewed`.
    pub(super) fn find(&mut self, now: Time, token: Revision, hold: Duration, renewed: Option<Time>) {
        // Milvus standbys that watch the active key loop from our put on, until the next write.
        let quarter = if self.view.members.values().any(Member::is_milvus) { Duration::ZERO } else { hold / 4 };
        let (next, stage) = (renewed.map_or(now, |sent| sent + quarter), Stage::Found { until: now + hold });
        self.term = Some(Term { token, hold, renewals: 0, renewed, next, jeopardy: false, stage });
    }

    fn released_record(&self, token: Revision) -> TermRecord {
        TermRecord { tenure: Tenure::Released, ..self.term_record(token, self.own_hold(), 0) }
    }

    fn release(&mut self, now: Time, token: Revision) {
        let active = self.keys.active.clone();
        let compares = vec![Compare::mod_revision(active.clone(), token)];
        let writes = vec![Op::delete(active), self.put_term(&self.released_record(token))];
        self.write_if(now, Kind::Release(token), compares, writes);
    }
}
