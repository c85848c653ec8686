//! One row per configuration key of Milvus that means something here: name, what a value must be, what it sets. No such
//! name is spelled anywhere else.

use super::forms::Form;
use crate::config::keys::{self, Kind};

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
        self.form.allowed()
    }

    /// Whether its value must never be shown.
    pub fn is_secret(&self) -> bool {
        self.form == Form::Text(Kind::Secret)
    }
}

/// The row of a name, however it is spelled: Milvus takes no notice of capitals and of `/`, `_` and `.`.
pub(super) fn find(spelled: &str) -> Option<&'static Name> {
    let plain = plain(spelled);
    NAMES.iter().find(|name| self::plain(name.name) == plain)
}

/// Whether names are below this one, which is their part before a dot; all are below the empty one.
#[cfg(feature = "yaml")]
pub(super) fn is_above(spelled: &str) -> bool {
    let above = plain(spelled);
    let parts = |name: &'static str| name.match_indices('.').map(move |(dot, _)| plain(&name[..dot]));
    above.is_empty() || NAMES.iter().any(|name| parts(name.name).any(|part| part == above))
}

/// A name as Milvus compares it.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '/' | '_' | '.')).flat_map(char::to_lowercase).collect()
}

const fn row(name: &'static str, sets: &'static str, form: Form, text: &'static str) -> Name {
    Name { name, sets, form, text }
}

/// So much or more: what is too much here is cut, as no session of Milvus's depends on it.
const fn ms(min: i64) -> Form {
    Form::Number { min, max: i64::MAX, of: " of ms" }
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
                 where it differs from enableActiveStandby, whichever of them is in a file and which in the environment",
            ),
            row(
                concat!($c, ".ip"),
                keys::ADDRESS,
                Form::Host,
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
const MINUTE: &str = "above 60000 counts as 60000";

const OTHERS: [Name; 17] = [
    row(
        "etcd.endpoints",
        keys::STORE_URL,
        Form::Endpoints,
        "the endpoints of an etcd:// URL; https:// goes with etcd.ssl.enabled, http:// without",
    ),
    row(
        "etcd.use.embed",
        keys::STORE_URL,
        Form::Off,
        "on: refused, unless store.url is set; that etcd is inside Milvus's process and ends with it",
    ),
    row("etcd.rootPath", keys::ROOT, Form::RootPart, "its first part; by-dev where only the other is given"),
    row("etcd.metaSubPath", keys::ROOT, Form::RootPart, "its last part; meta where only the other is given"),
    row("etcd.requestTimeout", keys::STORE_REQUEST_TIMEOUT_MS, ms(50), MINUTE),
    row("etcd.dialKeepAliveTime", keys::STORE_ETCD_KEEPALIVE_MS, ms(100), MINUTE),
    row("etcd.dialKeepAliveTimeout", keys::STORE_ETCD_KEEPALIVE_TIMEOUT_MS, ms(100), MINUTE),
    row("etcd.auth.enabled", keys::STORE_ETCD_USER, Form::Switch, "off: user and password are not used"),
    row("etcd.auth.userName", keys::STORE_ETCD_USER, Form::Text(Kind::Text), LOGIN),
    row("etcd.auth.password", keys::STORE_ETCD_PASSWORD, Form::Text(Kind::Secret), LOGIN),
    row("etcd.ssl.enabled", keys::STORE_ETCD_TLS_ENABLED, Form::Switch, ""),
    row("etcd.ssl.tlsCACert", keys::STORE_ETCD_TLS_CA, Form::Text(Kind::Path), ""),
    row("etcd.ssl.tlsCert", keys::STORE_ETCD_TLS_CERT, Form::Text(Kind::Path), ""),
    row("etcd.ssl.tlsKey", keys::STORE_ETCD_TLS_KEY, Form::Text(Kind::Path), ""),
    row("etcd.ssl.tlsMinVersion", keys::STORE_ETCD_TLS_MIN_VERSION, Form::TlsVersion, "below 1.2 counts as 1.2"),
    row(
        "common.session.ttl",
        keys::LEASE_TTL_MS,
        Form::Number { min: 2, max: 300, of: " of seconds" },
        "in seconds; at least twice election.hold_ms",
    ),
    row(
        "common.session.retryTimes",
        keys::EXCLUSIVE_WAIT_MS,
        Form::Number { min: 0, max: i64::MAX, of: "" },
        "only where that is -1, and only longer: as long as so many tries take, with pauses of 200 ms that double up to \
         3 s, at most 600 s",
    ),
];

/// Every name, in the order of the documentation.
pub static NAMES: [Name; 37] = {
    let mut all = [OTHERS[0]; 37];
    let mut index = 0;
    while index < all.len() {
        all[index] = if index < 20 { OF_COORDINATORS[index / 4][index % 4] } else { OTHERS[index - 20] };
        index += 1;
    }
    all
};
