//! One row per configuration key: name, kind, default, importance, text. No key is spelled anywhere else.
//!
//! Uses nothing of this crate, so that a build script can include it and write the same rows into the C header.

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number; in ms where the key's name ends in `_ms`.
    Number {
        /// The smallest one allowed.
        min: i64,
        /// The largest one allowed.
        max: i64,
    },
    /// Any text; empty: off.
    Text,
    /// Text that is never shown, neither in an error nor in a log; empty: off.
    Secret,
    /// Path of a file; empty: off.
    Path,
    /// The name or IP address of a host; empty: off.
    Host,
    /// A role name.
    RoleName,
    /// `host:port`, the host may be empty.
    Address,
    /// The root of all keys.
    Root,
    /// A store.
    StoreUrl,
    /// A strict semantic version.
    Version,
    /// A version of TLS.
    TlsVersion,
    /// How the log words a session's states.
    LogFormat,
}

impl Kind {
    /// The kind in one word.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Number { .. } => "integer",
            Self::Path => "path",
            Self::StoreUrl => "URL",
            Self::Version | Self::TlsVersion => "version",
            Self::Secret => "secret text",
            Self::Text | Self::Host | Self::RoleName | Self::Address | Self::Root | Self::LogFormat => "text",
        }
    }
}

/// The value of a key that nobody has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DefaultValue {
    /// There is none: it must be set.
    Required,
    /// This one; empty: off.
    Value(&'static str),
    /// This one, but another for one role.
    ByRole {
        /// For every other role.
        usual: &'static str,
        /// The role that differs, and its value.
        except: (&'static str, &'static str),
    },
}

/// How likely it is that a deployment sets the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// Seldom.
    Low,
    /// Sometimes.
    Medium,
    /// Nearly always.
    High,
}

/// One configuration key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key {
    /// Its name, such as `lease.ttl_ms`.
    pub name: &'static str,
    /// The name of its constant: `LEASE_TTL_MS` here, `HA_KEY_LEASE_TTL_MS` in C.
    pub constant: &'static str,
    /// What a value must be.
    pub kind: Kind,
    /// Its value where nobody has set it.
    pub default: DefaultValue,
    /// How likely it is to be set.
    pub importance: Importance,
    /// What it does.
    pub text: &'static str,
}

impl Key {
    /// Whether its value must never be shown.
    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// What is allowed, in words and with the unit.
    pub fn allowed(&self) -> String {
        match self.kind {
            Kind::Number { min, max } if self.name.ends_with("_ms") => {
                format!("a whole number of ms from {min} to {max}")
            }
            Kind::Number { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Bool => "true or false".into(),
            Kind::Text => "text without control characters, no space at either end; empty: off".into(),
            Kind::Secret => "text without control characters; empty: off".into(),
            Kind::Path => "path of a file; empty: off".into(),
            Kind::Host => "a host name or IP address; empty: off".into(),
            Kind::RoleName => "[a-z][a-z0-9_]{0,62}; no name that merely begins with the name of a Milvus role, \
                 no name of a Milvus node, neither id nor version"
                .into(),
            Kind::Address => "host:port, port 1 to 65535, IPv6 in brackets, the host may be empty".into(),
            Kind::Root => "names with slashes between them, at most 1024 bytes".into(),
            Kind::StoreUrl => "etcd://host:port[,host:port...] or local:<directory>".into(),
            Kind::Version => "a strict semantic version such as 2.5.0".into(),
            Kind::TlsVersion => "1.2 or 1.3".into(),
            Kind::LogFormat => "plain or milvus".into(),
        }
    }

    /// Its default in words: `required`, `off`, or the value.
    pub fn default_text(&self) -> String {
        match self.default {
            DefaultValue::Required => "required".into(),
            DefaultValue::Value("") => "off".into(),
            DefaultValue::Value(value) => value.into(),
            DefaultValue::ByRole { usual, except } => {
                format!("{usual}; role {}: {}", except.0, except.1)
            }
        }
    }
}

/// The row of a key; `None` where there is no such key.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

macro_rules! keys {
    ($($constant:ident = $name:literal, $kind:expr, $default:expr, $importance:ident, $text:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $text)]
            pub const $constant: &str = $name;
        )*

        /// Every key, in the order of the documentation.
        pub const KEYS: &[Key] = &[$(
            Key {
                name: $constant,
                constant: stringify!($constant),
                kind: $kind,
                default: $default,
                importance: Importance::$importance,
                text: $text,
            },
        )*];
    };
}

const REQUIRED: DefaultValue = DefaultValue::Required;
const OFF: DefaultValue = DefaultValue::Value("");

const fn value(text: &'static str) -> DefaultValue {
    DefaultValue::Value(text)
}

const fn number(min: i64, max: i64) -> Kind {
    Kind::Number { min, max }
}

keys! {
    ROLE = "role", Kind::RoleName, REQUIRED, High,
        "Name of the role, such as rootcoord. All sessions with the same role, root and store stand in one election.";
    ADDRESS = "address", Kind::Address, REQUIRED, High,
        "Where clients reach this session; written into its record. An empty host stands for the first unicast IP address \
         of this host, IPv4 before IPv6, as in Milvus.";
    STORE_URL = "store.url", Kind::StoreUrl, value("etcd://localhost:2379"), High,
        "Where the election is held: an etcd cluster by its endpoints (port 2379 where none is given), or a directory for \
         processes of one host, without a server.";
    ROOT = "root", Kind::Root, value("by-dev/meta"), High,
        "Root of all keys in the store. Repeated and trailing slashes are dropped, a leading one is kept, as in Milvus, \
         where it is etcd.rootPath and etcd.metaSubPath joined.";
    ACTIVE_STANDBY_ENABLED = "active_standby.enabled", Kind::Bool, value("false"), High,
        "On: the session stands by while another one holds the role. Off: it is exclusive, it waits for exclusive.wait_ms \
         at most and then ends with ROLE_HELD.";
    PRIORITY = "priority", number(-1000, 1000), value("0"), Medium,
        "Of several standbys, the one with the highest priority is tried first.";
    RECORD_VERSION = "record.version", Kind::Version,
        DefaultValue::ByRole { usual: "2.5.0", except: ("mixcoord", "2.6.0") }, Low,
        "Version in the session's record. Milvus reads it: it is a number of Milvus's, not of this library or of the program.";
    ACTIVATION_AUTO = "activation.auto", Kind::Bool, value("false"), Medium,
        "On: the library itself says ready and left, for programs that only ask whether they are active.";
    SESSION_SHARED = "session.shared", Kind::Bool, value("false"), Low,
        "On: the sessions of this process with the same store, root and address that have it on share one server ID and one \
         lease, which ends with the last of them; the first one's lease.ttl_ms counts. What was put with the lease stays until then.";
    ACTIVATION_TIMEOUT_MS = "activation.timeout_ms", number(100, 3_600_000), value("60000"), Medium,
        "How long the application may take to say ready. Then the term is released and others are tried.";
    ACTIVATION_BACKOFF_MS = "activation.backoff_ms", number(0, 600_000), value("1000"), Low,
        "Pause after a failed activation, doubling up to 30 s, and after a resignation that names no pause.";
    DEACTIVATION_TIMEOUT_MS = "deactivation.timeout_ms", number(0, 3_600_000), value("8000"), Medium,
        "How long the application may drain in an orderly stop, the role still held. Then the session fences itself and \
         releases.";
    RELEASE_TIMEOUT_MS = "release.timeout_ms", number(100, 60_000), value("2000"), Low,
        "How long releasing the role and revoking the lease may take at the end. Then the hold time frees the role. With \
         deactivation.timeout_ms it should stay within what the supervisor grants between SIGTERM and SIGKILL.";
    LEASE_TTL_MS = "lease.ttl_ms", number(2000, 300_000), value("60000"), High,
        "Time to live of the session's lease, rounded up to whole seconds; the store may grant more. At least twice \
         election.hold_ms. Milvus standbys and observers go by it; this library's own standbys by the hold time.";
    ELECTION_HOLD_MS = "election.hold_ms", number(200, 60_000), value("5000"), High,
        "Hold time H: how long the active may act after its last renewal. It renews every H / 4; after a loss of its host \
         or network, another takes over in about 1.25 H.";
    ELECTION_REREAD_MS = "election.reread_ms", number(200, 60_000), value("3000"), Low,
        "Pause between two linearizable re-reads of the role's keys: what a silent watch has hidden is found so.";
    ELECTION_RANK_STEP_MS = "election.rank_step_ms", number(10, 5000), value("100"), Low,
        "How long a standby waits for each one that ranks before it when the role becomes free.";
    ELECTION_PAUSED = "election.paused", Kind::Bool, value("false"), Low,
        "On: the session starts without contending for the role, until it is resumed.";
    ELECTION_SAME_HOST_PROOF = "election.same_host_proof", Kind::Bool, value("true"), Low,
        "On: a holder that is proven dead on this host is followed at once. Off: its hold time is always waited for; needed where child processes act for the role, as they outlive it.";
    ELECTION_MILVUS_TAKEOVER_DELAY_MS = "election.milvus_takeover_delay_ms", number(0, 120_000), value("0"), Low,
        "How long the role is left alone after a Milvus holder whose keys are gone, which may act on for a while: for 31 s in releases \
         2.2.10 to 2.6.6, for its own time to live from 2.6.7 on. It counts from when this session sees that both are gone, its active \
         key and its member key (while the member key stands it is waited for in any case); or from when it starts, or reads what its \
         watch has not shown, and finds the role free. Of no use where no Milvus coordinator stands for the role.";
    EXCLUSIVE_WAIT_MS = "exclusive.wait_ms", number(-1, 600_000), value("-1"), Low,
        "How long an exclusive session waits for another holder. -1: the holder's time to live and 5 s, for a Milvus holder \
         81 s or more; 0: not at all.";
    EVENTS_QUEUE = "events.queue", number(16, 65_536), value("256"), Low,
        "How many unread events may wait; beyond it the oldest that may be dropped goes first.";
    TXN_INFLIGHT = "txn.inflight", number(1, 65_536), value("1024"), Low,
        "How many transactions may be submitted whose TXN_DONE was not read; beyond it the next one is refused as BUSY.";
    STORE_REQUEST_TIMEOUT_MS = "store.request_timeout_ms", number(50, 60_000), value("5000"), Medium,
        "Limit of every request to the store; for those of the election this or H / 4, whichever is shorter.";
    STORE_ETCD_CONNECT_TIMEOUT_MS = "store.etcd.connect_timeout_ms", number(50, 60_000), value("5000"), Low,
        "Limit of connecting to an etcd endpoint.";
    STORE_ETCD_KEEPALIVE_MS = "store.etcd.keepalive_ms", number(100, 60_000), value("5000"), Low,
        "Pause between two HTTP/2 pings to etcd; etcd drops a client that pings more often, so less than 5000 counts as 5000.";
    STORE_ETCD_KEEPALIVE_TIMEOUT_MS = "store.etcd.keepalive_timeout_ms", number(100, 60_000), value("2000"), Low,
        "How long a ping may stay unanswered before the connection is given up.";
    STORE_ETCD_USER = "store.etcd.user", Kind::Text, OFF, Medium,
        "User name at etcd.";
    STORE_ETCD_PASSWORD = "store.etcd.password", Kind::Secret, OFF, Medium,
        "Password of that user.";
    STORE_ETCD_TLS_ENABLED = "store.etcd.tls.enabled", Kind::Bool, value("false"), Medium,
        "On: etcd is reached by TLS, and store.etcd.tls.ca is required.";
    STORE_ETCD_TLS_CA = "store.etcd.tls.ca", Kind::Path, OFF, Medium,
        "PEM file with the certificates of the authorities that etcd's certificate may come from.";
    STORE_ETCD_TLS_CERT = "store.etcd.tls.cert", Kind::Path, OFF, Medium,
        "PEM file with the client's certificate, where etcd asks for one; goes with store.etcd.tls.key.";
    STORE_ETCD_TLS_KEY = "store.etcd.tls.key", Kind::Path, OFF, Medium,
        "PEM file with the private key of store.etcd.tls.cert.";
    STORE_ETCD_TLS_SERVER_NAME = "store.etcd.tls.server_name", Kind::Host, OFF, Low,
        "Name that etcd's certificate must be for; off: the endpoint's host.";
    STORE_ETCD_TLS_MIN_VERSION = "store.etcd.tls.min_version", Kind::TlsVersion, value("1.2"), Low,
        "Oldest TLS version that is accepted.";
    LOG_FORMAT = "log.format", Kind::LogFormat, value("plain"), Low,
        "How the session's states are worded in the log. plain: each with what it means and the numbers that belong to it. \
         milvus: those that Milvus has too in the words and the order of its release 2.2.3, at INFO, the others as in plain.";
    LOG_STANDBY_MS = "log.standby_ms", number(0, 3_600_000), value("10000"), Low,
        "Pause between two log lines that say that the session stands by; 0: none. What keeps it from contending is said with \
         them, a Milvus process in the way at WARN.";
}

/// The rules that join several keys.
pub mod rules {
    /// Lease and hold time.
    pub const TTL_AND_HOLD: &str = "lease.ttl_ms must be at least twice election.hold_ms";
    /// User and password.
    pub const USER_AND_PASSWORD: &str = "store.etcd.user and store.etcd.password go together: both or neither";
    /// Certificate and key.
    pub const CERT_AND_KEY: &str = "store.etcd.tls.cert and store.etcd.tls.key go together: both or neither";
    /// TLS keys and the switch.
    pub const TLS_SWITCH: &str =
        "store.etcd.tls.enabled must be set, to true or to false, with any other store.etcd.tls key";
    /// TLS and its authorities.
    pub const TLS_CA: &str = "store.etcd.tls.enabled = true needs store.etcd.tls.ca";
    /// What clients of a mixcoord accept.
    pub const MIXCOORD_VERSION: &str =
        "record.version must be at least 2.6.0-dev for the role mixcoord: Milvus's clients skip older records";
    /// Every rule.
    pub const ALL: &[&str] = &[TTL_AND_HOLD, USER_AND_PASSWORD, CERT_AND_KEY, TLS_SWITCH, TLS_CA, MIXCOORD_VERSION];
}

/// The `HA_KEY_*` lines of the C header, each with its comment.
pub fn c_header_block() -> String {
    let mut block = String::new();
    for key in KEYS {
        let default = match key.default {
            DefaultValue::Required => "Required".to_owned(),
            _ => format!("Default: {}", key.default_text()),
        };
        let facts = format!("{default}. Allowed: {}.", key.allowed());
        block.push_str("/**\n");
        for paragraph in [key.text, &facts] {
            push_wrapped(&mut block, paragraph);
        }
        block.push_str(&format!(" */\n#define HA_KEY_{} \"{}\"\n\n", key.constant, key.name));
    }
    block
}

/// Adds ` * ` and the words, in lines of 100 columns. What might be taken for a tag is set as code.
fn push_wrapped(block: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split_whitespace() {
        let bare = word.trim_end_matches(['.', ',', ';']);
        let word = &if bare.contains('<') { format!("`{bare}`{}", &word[bare.len()..]) } else { word.to_owned() };
        if width > 0 && width + 1 + word.len() > 100 {
            block.push('\n');
            width = 0;
        }
        let lead = if width == 0 { " * " } else { " " };
        block.push_str(lead);
        block.push_str(word);
        width += lead.len() + word.len();
    }
    block.push('\n');
}
