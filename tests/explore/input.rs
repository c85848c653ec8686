//! What can reach a session.

use coordha::election::{Input, Request, WatchId};
use coordha::error::{Error, ErrorKind};
use coordha::kv::{StoreError, WatchItem};

use crate::state::{MOST, Part, Rev, Revs};

/// The number of the watch of every session; requests are numbered by their lane.
pub(crate) const WATCH: u64 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Ready,
    Failed,
    Left,
    Resign,
    Stop,
}

impl User {
    pub(crate) fn with(self, token: i64) -> Request {
        match self {
            Self::Ready => Request::ActivationDone { token, result: Ok(()) },
            Self::Failed => Request::ActivationDone { token, result: Err(Error::new(ErrorKind::ActivationFailed, "")) },
            Self::Left => Request::DeactivationDone { token },
            Self::Resign => Request::Resign { standby: std::time::Duration::ZERO },
            Self::Stop => Request::Stop,
        }
    }
}

pub(crate) enum In {
    Tick,
    /// An answer in this lane.
    Answer {
        lane: u8,
        body: Part,
    },
    /// What the watch shows.
    Changes(Part),
    WatchFails,
    /// What the user asks, of the term with this token.
    User(User, Rev),
}

impl In {
    pub(crate) fn watch_failure() -> Input {
        Input::Watch { id: WatchId(WATCH), item: WatchItem::Failed(StoreError::Unavailable(String::new())) }
    }

    pub(crate) fn id(&self) -> u64 {
        match self {
            Self::Answer { lane, .. } => (*lane).into(),
            _ => WATCH,
        }
    }

    /// What it is, without its revisions.
    pub(crate) fn code(&self) -> [u8; 5] {
        let (kind, body) = match self {
            Self::Tick => (0, 0),
            Self::Changes(body) => (1, body.shape),
            Self::WatchFails => (2, 0),
            Self::Answer { lane, body } => (4 + lane, body.shape),
            Self::User(user, _) => (8 + *user as u8, 0),
        };
        let b = body.to_le_bytes();
        [kind, b[0], b[1], b[2], b[3]]
    }

    fn revs(&self) -> &[Rev] {
        match self {
            Self::Tick | Self::WatchFails => &[],
            Self::Answer { body, .. } | Self::Changes(body) => body.revs(),
            Self::User(_, 0) => &[],
            Self::User(_, token) => std::slice::from_ref(token),
        }
    }

    /// The revisions of session and input together.
    pub(crate) fn all(&self, part: &Part) -> Revs {
        let mut all = Revs::default();
        all.add(part.revs().iter().chain(self.revs()).copied());
        all
    }

    /// The ranks of the session's revisions, and of the input's own, among both together.
    pub(crate) fn joint(&self, part: &Part, all: Revs) -> Joint {
        let mut joint =
            Joint { ranks: [0; 2 * MOST], own: part.revs().len(), len: part.revs().len() + self.revs().len() };
        let revs = part.revs().iter().chain(self.revs());
        for (rank, rev) in joint.ranks.iter_mut().zip(revs) {
            *rank = all.rank(*rev);
        }
        joint
    }
}

pub(crate) struct Joint {
    ranks: [u8; 2 * MOST],
    own: usize,
    len: usize,
}

impl Joint {
    pub(crate) fn all(&self) -> &[u8] {
        &self.ranks[..self.len]
    }
    pub(crate) fn own(&self) -> &[u8] {
        &self.ranks[..self.own]
    }
    pub(crate) fn message(&self) -> &[u8] {
        &self.ranks[self.own..self.len]
    }
}
