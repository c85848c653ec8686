//! The one error of the crate, and its kinds with the numbers that the C header gives them.

use std::fmt;

/// What kind of thing went wrong. The numbers are those of the C header and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum ErrorKind {
    /// NULL where none may be.
    Null = 101,
    /// An argument is not of the allowed form.
    InvalidArgument = 102,
    /// Not possible in the session's present state.
    State = 103,
    /// The handle was closed.
    Closed = 104,
    /// The time limit passed. Retriable.
    Timeout = 105,
    /// Not allowed in a callback of the same session.
    InCallback = 106,
    /// The process was forked from the one that started the session.
    Forked = 107,
    /// This build or version cannot do it.
    Unsupported = 108,
    /// Too much is waiting already. Retriable.
    Busy = 109,
    /// The session has ended.
    Ended = 110,
    /// The same role with the same address was started in this process already.
    AlreadyStarted = 111,
    /// A configuration key is not known.
    ConfigKey = 201,
    /// A configuration value is not allowed.
    ConfigValue = 202,
    /// A required configuration key has no value.
    ConfigMissing = 203,
    /// Two configuration values contradict each other.
    ConfigConflict = 204,
    /// A configuration file cannot be read.
    ConfigFile = 205,
    /// The term is over: nothing was written.
    Fenced = 301,
    /// Another session holds the role (exclusive mode). Fatal.
    RoleHeld = 302,
    /// The application's activation failed.
    ActivationFailed = 303,
    /// No session can take the role over. Retriable.
    NoTarget = 304,
    /// A compare of the caller's own failed: nothing was written.
    CompareFailed = 321,
    /// Sent, and no answer: it may have been done, or be done even later.
    UnknownOutcome = 322,
    /// More operations or bytes than a transaction may have.
    TooLarge = 323,
    /// The store cannot be reached; nothing was sent. Retriable.
    Unavailable = 401,
    /// The store refused the user or the password.
    Auth = 402,
    /// The store's user may not do it.
    Permission = 403,
    /// TLS could not be set up.
    Tls = 404,
    /// The store has no space left. Retriable.
    NoSpace = 405,
    /// The store's revision went back: it was restored from a backup. Fatal.
    Regressed = 406,
    /// A key of this library holds garbage. Fatal.
    Corrupt = 407,
    /// The store's version cannot be used. Fatal.
    StoreVersion = 408,
    /// A defect of this library, caught.
    Internal = 901,
    /// The system gave no thread, descriptor or memory. Retriable.
    Resources = 902,
}

impl ErrorKind {
    /// The number that the C header gives it.
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// The name that the C header gives it, without `HA_ERR_`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::State => "STATE",
            Self::Closed => "CLOSED",
            Self::Timeout => "TIMEOUT",
            Self::InCallback => "IN_CALLBACK",
            Self::Forked => "FORKED",
            Self::Unsupported => "UNSUPPORTED",
            Self::Busy => "BUSY",
            Self::Ended => "ENDED",
            Self::AlreadyStarted => "ALREADY_STARTED",
            Self::ConfigKey => "CONFIG_KEY",
            Self::ConfigValue => "CONFIG_VALUE",
            Self::ConfigMissing => "CONFIG_MISSING",
            Self::ConfigConflict => "CONFIG_CONFLICT",
            Self::ConfigFile => "CONFIG_FILE",
            Self::Fenced => "FENCED",
            Self::RoleHeld => "ROLE_HELD",
            Self::ActivationFailed => "ACTIVATION_FAILED",
            Self::NoTarget => "NO_TARGET",
            Self::CompareFailed => "COMPARE_FAILED",
            Self::UnknownOutcome => "UNKNOWN_OUTCOME",
            Self::TooLarge => "TOO_LARGE",
            Self::Unavailable => "UNAVAILABLE",
            Self::Auth => "AUTH",
            Self::Permission => "PERMISSION",
            Self::Tls => "TLS",
            Self::NoSpace => "NO_SPACE",
            Self::Regressed => "REGRESSED",
            Self::Corrupt => "CORRUPT",
            Self::StoreVersion => "STORE_VERSION",
            Self::Internal => "INTERNAL",
            Self::Resources => "RESOURCES",
        }
    }

    /// Every kind, in the order of the numbers.
    pub const ALL: &'static [Self] = &[
        Self::Null,
        Self::InvalidArgument,
        Self::State,
        Self::Closed,
        Self::Timeout,
        Self::InCallback,
        Self::Forked,
        Self::Unsupported,
        Self::Busy,
        Self::Ended,
        Self::AlreadyStarted,
        Self::ConfigKey,
        Self::ConfigValue,
        Self::ConfigMissing,
        Self::ConfigConflict,
        Self::ConfigFile,
        Self::Fenced,
        Self::RoleHeld,
        Self::ActivationFailed,
        Self::NoTarget,
        Self::CompareFailed,
        Self::UnknownOutcome,
        Self::TooLarge,
        Self::Unavailable,
        Self::Auth,
        Self::Permission,
        Self::Tls,
        Self::NoSpace,
        Self::Regressed,
        Self::Corrupt,
        Self::StoreVersion,
        Self::Internal,
        Self::Resources,
    ];
}

/// An error: its kind, what happened in words, and details a program can read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    details: Vec<(&'static str, String)>,
}

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A new error.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), details: Vec::new() }
    }

    /// Adds a detail: `key`, `value`, `allowed`, `endpoint`, `holder_address`, `holder_server_id`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.details.push((name, value.to_string()));
        self
    }

    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What happened, in words; names the key, the value and what is allowed where a value was wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A detail by name (see [`Error::with`]), or `None` where it has none of that name.
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.details.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    /// All details, by name.
    pub fn details(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.details.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Whether the same call may succeed later without any change.
    pub fn is_retriable(&self) -> bool {
        use ErrorKind::{Busy, NoSpace, NoTarget, Resources, Timeout, Unavailable};
        matches!(self.kind, Timeout | Busy | NoTarget | Unavailable | NoSpace | Resources)
    }

    /// Whether a session that meets it ends.
    pub fn is_fatal(&self) -> bool {
        use ErrorKind::{Corrupt, Regressed, RoleHeld, StoreVersion};
        matches!(self.kind, RoleHeld | Regressed | Corrupt | StoreVersion)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
