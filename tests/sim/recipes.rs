//! Faults that go together, each set aimed at one rule of the protocol.

use crate::faults::{Beside, Dice, NODE};
use crate::world::clock::{MS, Ns, SECOND};
use crate::world::fault::{Fault, Which};
use crate::world::inject::{Injection, When, Who};
use crate::world::message::Kind;
use crate::world::milvus::{End, Milvus, Release};
use crate::world::network::{Act, Filter, Way};

const OTHER: Who = Who::Other(0);

fn begin(when: When, who: Who, fault: Fault, until: When) -> Injection {
    Injection { pause: 0, when, who, fault, until }
}

/// Begins with the one before.
fn also(who: Who, fault: Fault, until: When) -> Injection {
    begin(When::After(0), who, fault, until)
}

fn cut_off() -> Fault {
    Fault::Cut { node: NODE, up: Way::Lost, down: Way::Lost }
}

fn filter(requests: bool, kind: Kind, act: Act) -> Fault {
    Fault::Filter(Filter { node: Some(NODE), requests, kind: Some(kind), act })
}

impl Dice<'_> {
    /// One set of faults.
    pub(crate) fn recipe(&mut self) -> Vec<Injection> {
        let hold = self.hold();
        let long = When::After(3 * hold);
        match self.rng.u8(0..10) {
            0 => vec![begin(When::Commit(Kind::Renew), Who::Holder, cut_off(), long)],
            1 | 8 => self.read_overtaken_by_a_renewal(hold),
            2 | 9 => self.replies_almost_too_late(hold),
            3 => self.deaf_until_the_wait_is_over(),
            4 => self.key_taken_by_a_stranger(hold),
            5 if self.wipes => self.wiped_behind_the_holder(hold),
            6 => self.ending_under_way(hold),
            _ => self.rereads_alone(hold),
        }
    }

    /// A standby learns of the last renewal from a read that it sent before that was made.
    fn read_overtaken_by_a_renewal(&mut self, hold: Ns) -> Vec<Injection> {
        let long = When::After(4 * hold);
        let delay = self.pick(&[hold / 16, hold / 8, hold / 5, hold / 4 - 1]);
        let late = Fault::WatchLate { node: NODE, by: 3 * hold };
        let mut sent = begin(When::Sent(OTHER, Kind::Read), OTHER, late.clone(), long);
        sent.pause = self.rng.u64(0..hold);
        vec![
            also(OTHER, late, long),
            also(OTHER, filter(true, Kind::Read, Act::Delay(delay)), long),
            sent,
            begin(When::Commit(Kind::Renew), Who::Holder, cut_off(), long),
        ]
    }

    /// The holder's renewals are answered just within their limit, then it is cut off.
    fn replies_almost_too_late(&mut self, hold: Ns) -> Vec<Injection> {
        let long = When::After(4 * hold);
        let delay = self.pick(&[hold / 8, hold / 5, hold / 4 - MS, hold / 4 - 1]);
        let mut lost = begin(
            When::Commit(Kind::Renew),
            Who::Holder,
            Fault::Cut { node: NODE, up: Way::Lost, down: Way::Open },
            long,
        );
        lost.pause = self.rng.u64(0..hold);
        vec![also(Who::Holder, filter(false, Kind::Renew, Act::Delay(delay)), long), lost]
    }

    /// A standby hears of no renewal until its wait is about to end.
    fn deaf_until_the_wait_is_over(&mut self) -> Vec<Injection> {
        let off = self.pick(&[-1, -1000, -1_000_000, 0, 1]);
        let wait = When::Wait(OTHER, off);
        vec![begin(When::Commit(Kind::Renew), OTHER, cut_off(), wait)]
    }

    /// A Milvus process takes the active key while a campaign for it is under way.
    fn key_taken_by_a_stranger(&mut self, hold: Ns) -> Vec<Injection> {
        let long = When::After(4 * hold);
        let delay = self.pick(&[hold / 16, hold / 8, hold / 5]);
        let gone = match self.rng.u8(0..3) {
            0 => Fault::Delete(Which::Active),
            1 => Fault::RevokeLease(NODE),
            _ => Fault::Resign { node: NODE, standby: hold },
        };
        let campaigns =
            Fault::Filter(Filter { node: None, requests: true, kind: Some(Kind::Campaign), act: Act::Delay(delay) });
        let contends = Fault::Milvus { ttl_ms: 1000 };
        vec![
            also(OTHER, campaigns, long),
            begin(When::After(self.rng.u64(0..hold)), Who::Holder, gone, long),
            begin(When::After(self.rng.u64(0..20 * MS)), OTHER, contends, long),
        ]
    }

    /// A Milvus session takes the role and loses its key before the watch of a standby tells of it; a re-read finds that nobody holds
    /// the role.
    fn milvus_comes_unseen(&mut self, beside: Beside) -> Vec<Injection> {
        let hold = self.hold();
        let long = When::After(6 * hold + self.rng.u64(0..8 * SECOND));
        let mut milvus = Milvus::new(if beside.mixcoord { Release::Polling } else { Release::Heedless }, 3000);
        milvus.lingers = beside.lingers;
        milvus.end = Some((self.rng.u64(0..hold), End::KeyDeleted));
        vec![
            also(OTHER, Fault::MilvusSession(milvus), long),
            also(OTHER, Fault::WatchLate { node: NODE, by: 5 * hold }, long),
            begin(
                When::After(self.rng.u64(20 * MS..hold)),
                Who::Holder,
                Fault::Resign { node: NODE, standby: 5 * hold },
                long,
            ),
        ]
    }

    /// The holder loses the role, a Milvus session takes it, and something befalls that.
    pub(crate) fn milvus_comes(&mut self, beside: Beside) -> Vec<Injection> {
        if self.rng.u8(0..4) == 0 {
            return self.milvus_comes_unseen(beside);
        }
        let hold = self.hold();
        let long = When::After(4 * hold + self.rng.u64(0..8 * SECOND));
        let gone = match self.rng.u8(0..3) {
            0 => Fault::Delete(Which::Active),
            1 => Fault::RevokeLease(NODE),
            _ => Fault::Resign { node: NODE, standby: hold },
        };
        let delay = self.pick(&[0, 0, hold / 16, hold / 5]);
        let campaigns =
            Fault::Filter(Filter { node: None, requests: true, kind: Some(Kind::Campaign), act: Act::Delay(delay) });
        let ends = [End::KeyDeleted, End::KeyDeleted, End::CutOff, End::Killed, End::LeaseRevoked, End::Leaves];
        let release =
            if beside.mixcoord { Release::Polling } else { self.pick(&[Release::Watching, Release::Heedless]) };
        let mut milvus = Milvus::new(release, self.pick(&[1000, 3000]));
        milvus.lingers = beside.lingers;
        milvus.end = Some((self.rng.u64(0..2 * SECOND), self.pick(&ends)));
        let mut sets = vec![
            also(OTHER, campaigns, When::After(hold)),
            also(OTHER, Fault::MilvusSession(milvus), long),
            begin(When::After(self.rng.u64(0..hold)), Who::Holder, gone, long),
        ];
        if beside.mixcoord && self.rng.bool() {
            sets.insert(2, also(OTHER, Fault::OldSession { ttl_ms: 1000 }, When::After(2 * hold)));
        }
        sets
    }

    /// The holder renews, is cut off, and all that shows that it lives is deleted.
    fn wiped_behind_the_holder(&mut self, hold: Ns) -> Vec<Injection> {
        let long = When::After(3 * hold);
        let mut sets = vec![
            begin(When::Commit(Kind::Renew), Who::Holder, cut_off(), long),
            also(OTHER, Fault::Delete(Which::Everything), long),
        ];
        if self.rng.bool() {
            sets[1].fault = Fault::Delete(Which::Term);
            sets.push(also(OTHER, Fault::Delete(Which::Active), long));
        }
        sets[1].pause = self.pick(&[0, 0, hold / 16, hold / 2]);
        sets
    }

    /// The holder leaves, and what ends its term is late.
    fn ending_under_way(&mut self, hold: Ns) -> Vec<Injection> {
        let long = When::After(4 * hold);
        let delay = self.pick(&[hold / 8, hold / 4 - 1, hold / 4 + 1, hold / 2, hold, hold * 5 / 4]);
        let kind = self.pick(&[Kind::Release, Kind::Release, Kind::Mark, Kind::Revoke]);
        let requests = self.rng.bool();
        let leave = match self.rng.u8(0..3) {
            0 => Fault::Stop { node: NODE, restart: Some(3 * hold) },
            _ => Fault::Resign { node: NODE, standby: self.pick(&[0, MS]) },
        };
        vec![
            also(Who::Holder, filter(requests, kind, Act::Delay(delay)), long),
            begin(When::Commit(Kind::Renew), Who::Holder, leave, long),
        ]
    }

    /// The holder's renewals commit and are never answered; its reads are, or its keepalives.
    fn rereads_alone(&mut self, hold: Ns) -> Vec<Injection> {
        let long = When::After(3 * hold);
        let requests = self.rng.bool();
        vec![begin(When::Commit(Kind::Renew), Who::Holder, filter(requests, Kind::Renew, Act::Lose), long)]
    }
}
