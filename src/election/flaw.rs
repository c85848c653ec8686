//! Known-bad variants of the core. The simulation and the exploration must find each; one that they miss shows that
//! they have gone blind. Without the feature `testkit` there is no way to make one.

#[cfg(feature = "testkit")]
use super::{Election, Revision, Settings, Status, Term, Time};

/// Whether a known-bad variant is at work; without the feature `testkit` there are none.
macro_rules! flawed {
    ($election:expr, $flaw:ident) => {{
        #[cfg(feature = "testkit")]
        let flawed = $election.is_flawed(crate::election::Flaw::$flaw);
        #[cfg(not(feature = "testkit"))]
        let flawed = false;
        flawed
    }};
}
pub(super) use flawed;

/// One rule of the protocol, broken.
#[cfg(feature = "testkit")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// The deadline counts from when the reply arrived, not from when the renewal was sent.
    DeadlineFromReceive,
    /// A renewal compares nothing.
    RenewWithoutCompare,
    /// An acquisition does not compare the term record.
    AcquireIgnoresTerm,
    /// An acquisition does not compare the active key.
    AcquireIgnoresActive,
    /// A standby waits 1 ms less than the hold time, not a quarter more.
    ShortWait,
    /// A standby waits by its own hold time.
    OwnHold,
    /// The wait counts from when the read was sent.
    WaitFromRequest,
    /// A term is taken up again after it was asked to end.
    ReuseTerm,
    /// The term is acted in until its release is answered.
    ActUntilReleased,
    /// A re-read that finds the role its own moves the deadline.
    RereadExtends,
    /// Where there is no term record, a term may start at once.
    AbsentIsPermission,
    /// The deadline follows answered keepalives alone.
    KeepaliveAlone,
    /// A past Milvus holder's member key is neither waited for nor compared.
    MilvusMemberIgnored,
    /// Sessions of the old coordinators do not keep a mixcoord from a term.
    OldSessionsIgnored,
    /// A term may start as soon as a Milvus holder's key is gone.
    TakeoverDelayIgnored,
    /// A doubt of who held the role last ends when the write that asks the watch is answered, not when the watch shows it.
    AnswerEndsDoubt,
}

#[cfg(feature = "testkit")]
impl Flaw {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::DeadlineFromReceive,
        Self::RenewWithoutCompare,
        Self::AcquireIgnoresTerm,
        Self::AcquireIgnoresActive,
        Self::ShortWait,
        Self::OwnHold,
        Self::WaitFromRequest,
        Self::ReuseTerm,
        Self::ActUntilReleased,
        Self::RereadExtends,
        Self::AbsentIsPermission,
        Self::KeepaliveAlone,
        Self::MilvusMemberIgnored,
        Self::OldSessionsIgnored,
        Self::TakeoverDelayIgnored,
        Self::AnswerEndsDoubt,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::DeadlineFromReceive => "deadline-from-receive",
            Self::RenewWithoutCompare => "renew-without-compare",
            Self::AcquireIgnoresTerm => "acquire-ignores-term",
            Self::AcquireIgnoresActive => "acquire-ignores-active",
            Self::ShortWait => "short-wait",
            Self::OwnHold => "own-hold",
            Self::WaitFromRequest => "wait-from-request",
            Self::ReuseTerm => "reuse-term",
            Self::ActUntilReleased => "act-until-released",
            Self::RereadExtends => "reread-extends",
            Self::AbsentIsPermission => "absent-is-permission",
            Self::KeepaliveAlone => "keepalive-alone",
            Self::MilvusMemberIgnored => "milvus-member-ignored",
            Self::OldSessionsIgnored => "old-sessions-ignored",
            Self::TakeoverDelayIgnored => "takeover-delay-ignored",
            Self::AnswerEndsDoubt => "answer-ends-doubt",
        }
    }
}

/// What an election needs to break a rule.
#[cfg(feature = "testkit")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Flawed {
    pub(super) flaw: Option<Flaw>,
    /// A term that is over, and acted in up to this deadline.
    pub(super) ghost: Option<(Revision, Time)>,
}

#[cfg(feature = "testkit")]
impl Election {
    /// One that breaks a rule of the protocol, for the tests of the checkers.
    pub fn with_flaw(settings: Settings, flaw: Flaw) -> Self {
        let flawed = Flawed { flaw: Some(flaw), ghost: None };
        Self { flawed, ..Self::new(settings) }
    }

    pub(super) fn is_flawed(&self, flaw: Flaw) -> bool {
        self.flawed.flaw == Some(flaw)
    }

    /// The known-bad variant that takes a read for a renewal.
    pub(super) fn reread_flaw(&mut self, now: Time) {
        let flawed = self.is_flawed(Flaw::RereadExtends);
        let own = self.term.as_mut().filter(|term| term.is_held());
        if let Some(term) = own.filter(|_| flawed) {
            let found = !term.acts();
            term.renewed = Some(now);
            if found {
                self.activate(now);
            }
        }
    }

    /// The known-bad variant that takes an answered write for what the watch shows.
    pub(super) fn answer_flaw(&mut self) {
        if self.is_flawed(Flaw::AnswerEndsDoubt) {
            self.view.trail.end_doubt();
        }
    }

    /// The known-bad variant that goes on acting in the term that it has left.
    pub(super) fn leave_flaw(&mut self, term: &Term) {
        if self.is_flawed(Flaw::ActUntilReleased) {
            self.flawed.ghost = Some((term.token, self.deadline(term)));
        }
    }

    pub(super) fn left_flaw(&mut self) {
        self.flawed.ghost = None;
    }

    pub(super) fn flawed_status(&self, status: &mut Status) {
        if let Some((token, deadline)) = self.flawed.ghost {
            (status.token, status.deadline, status.ending) = (token, deadline, true);
        }
    }
}
