//! One row per configuration key of Milvus that means something here: name, what a value must be, what it sets. No such
//! name is spelled anywhere else.

use crate::config::keys::{self, Kind};
use crate::config::value::{self, Why};

/// What a value of Milvus's must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// A switch, in one of Go's spellings.
    Switch,
    /// Endpoints of etcd with commas between them, or a list of them.
    Endpoints,
    /// A part of the root of all keys.
    RootPart,
    /// A whole number.
    Number {
        /// The smallest one allowed.
        min: i64,
        /// The largest one allowed.
        max: i64,
        /// Of what, after "a whole number".
        of: &'static str,
    },
    /// What the key here must be.
    Same(Kind),
}

/// A configuration key of Milvus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Name {
    /// Its name, such as `etcd.endpoints`.
    pub name: &'static str,
    /// The key here that it sets, alone or with others.
    pub sets: &'static str,
    /// What a value must be.
    pub form: Form,
    /// How it sets that key, where it is not simply the same value; empty: it is.
    pub text: &'static str,
}

impl Name {
    /// What is allowed, in words and with the unit.
    pub fn allowed(&self) -> String {
        match self.form {
            Form::Switch => "1, t, T, true, TRUE, True, 0, f, F, false, FALSE or False".into(),
            Form::Endpoints => "host:port[,host:port...]".into(),
            Form::RootPart => "names with slashes between them".into(),
            Form::Number { min, max, of } => format!("a whole number{of} from {min} to {max}"),
            Form::Same(_) => keys::find(self.sets).map_or(String::new(), keys::Key::allowed),
        }
    }

    /// Whether its value must never be shown.
    pub fn is_secret(&self) -> bool {
        self.form == Form::Same(Kind::Secret)
    }

    /// The value in one spelling.
    pub(super) fn read(&self, text: &str) -> Result<String, Why> {
        match self.form {
            Form::Switch => switch(text).map(|on| on.to_string()),
            Form::Endpoints => {
                let url = value::canonical(Kind::StoreUrl, &format!("etcd://{}", text.replace("http://", "")))?;
                Ok(url.trim_start_matches("etcd://").to_owned())
            }
            // Empty is allowed for one of the two; both are checked together.
            Form::RootPart if text.chars().all(|c| c == '/') => Ok(text.to_owned()),
            Form::RootPart => value::canonical(Kind::Root, text),
            Form::Number { min, max, .. } => value::canonical(Kind::Number { min, max }, text),
            Form::Same(kind) => value::canonical(kind, text),
        }
    }
}

/// As Go's `strconv.ParseBool`. Another word is false in most releases of Milvus, and a panic in some.
fn switch(text: &str) -> Result<bool, Why> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("no switch".into()),
    }
}

/// The row of a name, however it is spelled: Milvus takes no notice of capitals and of `/`, `_` and `.`.
pub(super) fn find(spelled: &str) -> Option<&'static Name> {
    let plain = plain(spelled);
    NAMES.iter().find(|name| self::plain(name.name) == plain)
}

/// A name as Milvus compares it.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '/' | '_' | '.')).flat_map(char::to_lowercase).collect()
}

const fn row(name: &'static str, sets: &'static str, form: Form, text: &'static str) -> Name {
    Name { name, sets, form, text }
}

const fn ms(min: i64, max: i64) -> Form {
    Form::Number { min, max, of: " of ms" }
}

/// The keys of one coordinator, `$c` in Milvus's spelling.
macro_rules! coordinator {
    ($c:literal) => {
        [
            row(concat!($c, ".enableActiveStandby"), keys::ACTIVE_STANDBY_ENABLED, Form::Switch, ""),
            row(
                concat!($c, ".activeStandby.enabled"),
                keys::ACTIVE_STANDBY_ENABLED,
                Form::Switch,
                "the spelling of Milvus's documentation, which Milvus itself ignores: accepted with a warning, refused \
                 where it differs from enableActiveStandby",
            ),
            row(
                concat!($c, ".ip"),
                keys::ADDRESS,
                Form::Same(Kind::Host),
                "the host; empty: the first unicast IP address",
            ),
            row(concat!($c, ".port"), keys::ADDRESS, Form::Number { min: 1, max: 65_535, of: "" }, "the port"),
        ]
    };
}

/// The coordinators: role name, and how Milvus spells it in its configuration.
pub(super) const COORDINATORS: [(&str, &str); 5] = [
    ("rootcoord", "rootCoord"),
    ("datacoord", "dataCoord"),
    ("querycoord", "queryCoord"),
    ("indexcoord", "indexCoord"),
    ("mixcoord", "mixCoord"),
];

const OF_COORDINATORS: [[Name; 4]; 5] = [
    coordinator!("rootCoord"),
    coordinator!("dataCoord"),
    coordinator!("queryCoord"),
    coordinator!("indexCoord"),
    coordinator!("mixCoord"),
];

const LOGIN: &str = "only with etcd.auth.enabled";

const OTHERS: [Name; 16] = [
    row("etcd.endpoints", keys::STORE_URL, Form::Endpoints, "the endpoints of an etcd:// URL"),
    row("etcd.rootPath", keys::ROOT, Form::RootPart, "its first part; by-dev where only the other is given"),
    row("etcd.metaSubPath", keys::ROOT, Form::RootPart, "its last part; meta where only the other is given"),
    row("etcd.requestTimeout", keys::STORE_REQUEST_TIMEOUT_MS, ms(50, 60_000), ""),
    row("etcd.dialKeepAliveTime", keys::STORE_ETCD_KEEPALIVE_MS, ms(100, 60_000), ""),
    row("etcd.dialKeepAliveTimeout", keys::STORE_ETCD_KEEPALIVE_TIMEOUT_MS, ms(100, 60_000), ""),
    row("etcd.auth.enabled", keys::STORE_ETCD_USER, Form::Switch, "off: user and password are not used"),
    row("etcd.auth.userName", keys::STORE_ETCD_USER, Form::Same(Kind::Text), LOGIN),
    row("etcd.auth.password", keys::STORE_ETCD_PASSWORD, Form::Same(Kind::Secret), LOGIN),
    row("etcd.ssl.enabled", keys::STORE_ETCD_TLS_ENABLED, Form::Switch, ""),
    row("etcd.ssl.tlsCACert", keys::STORE_ETCD_TLS_CA, Form::Same(Kind::Path), ""),
    row("etcd.ssl.tlsCert", keys::STORE_ETCD_TLS_CERT, Form::Same(Kind::Path), ""),
    row("etcd.ssl.tlsKey", keys::STORE_ETCD_TLS_KEY, Form::Same(Kind::Path), ""),
    row("etcd.ssl.tlsMinVersion", keys::STORE_ETCD_TLS_MIN_VERSION, Form::Same(Kind::TlsVersion), ""),
    row("common.session.ttl", keys::LEASE_TTL_MS, Form::Number { min: 2, max: 300, of: " of seconds" }, "in seconds"),
    row(
        "common.session.retryTimes",
        keys::EXCLUSIVE_WAIT_MS,
        Form::Number { min: 0, max: 200, of: "" },
        "only where that is -1, and only longer: as long as so many tries take, with pauses of 200 ms that double up to \
         3 s, at most 600 s",
    ),
];

/// Every name, in the order of the documentation.
pub static NAMES: [Name; 36] = {
    let mut all = [OTHERS[0]; 36];
    let mut index = 0;
    while index < all.len() {
        all[index] = if index < 20 { OF_COORDINATORS[index / 4][index % 4] } else { OTHERS[index - 20] };
        index += 1;
    }
    all
};
