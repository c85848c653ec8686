//! What a value of Milvus's must be, and how its text is read: as Milvus reads it, where that is sure.

use crate::config::keys::Kind;
use crate::config::url;
use crate::config::value::{self, Why};

/// What a value of Milvus's must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// A switch, in one of Go's spellings.
    Switch,
    /// A switch that must not be on, and is off whatever else it says.
    Off,
    /// Endpoints of etcd with commas between them, or a list of them.
    Endpoints,
    /// A part of the root of all keys.
    RootPart,
    /// A whole number; empty: as if the key were not there.
    Number {
        /// The smallest one allowed.
        min: i64,
        /// The largest one allowed.
        max: i64,
        /// Of what, after "a whole number".
        of: &'static str,
    },
    /// A version of TLS; empty: as if the key were not there.
    TlsVersion,
    /// The name or IP address of a host; empty: none.
    Host,
    /// A text of this kind.
    Text(Kind),
}

impl Form {
    /// What is allowed, in words and with the unit.
    pub(super) fn allowed(self) -> String {
        match self {
            Self::Switch => "1, t, T, true, TRUE, True, 0, f, F, false, FALSE or False".into(),
            Self::Off => "false".into(),
            Self::Endpoints => "[http[s]://]host:port[,...], blanks around the commas".into(),
            Self::RootPart => "names with slashes between them".into(),
            Self::Number { min, max: i64::MAX, of } => format!("a whole number{of}, {min} or more"),
            Self::Number { min, max, of } => format!("a whole number{of} from {min} to {max}"),
            Self::TlsVersion => "1.0, 1.1, 1.2 or 1.3".into(),
            Self::Host => "a host name or IP address; empty: none".into(),
            Self::Text(Kind::Path) => "path of a file; empty: off".into(),
            Self::Text(Kind::Secret) => "text without control characters; empty: off".into(),
            Self::Text(_) => "text without control characters, no space at either end; empty: off".into(),
        }
    }

    /// Whether an empty value is the same as none.
    pub(super) fn may_be_empty(self) -> bool {
        matches!(self, Self::Number { .. } | Self::TlsVersion)
    }

    /// What YAML's null says, if it is not the same as none: to Milvus a switch is off by it.
    #[cfg(feature = "yaml")]
    pub(super) fn of_null(self) -> Option<&'static str> {
        (self == Self::Switch).then_some("false")
    }

    /// The value in one spelling.
    pub(super) fn read(self, text: &str) -> Result<String, Why> {
        match self {
            Self::Switch => switch(text).map(|on| on.to_string()).ok_or_else(|| "no switch".into()),
            Self::Off => Ok(switch(text).unwrap_or_default().to_string()),
            Self::Endpoints => endpoints(text),
            // Empty is allowed for one of the two; both are checked together.
            Self::RootPart if text.chars().all(|c| c == '/') => Ok(text.to_owned()),
            Self::RootPart => value::canonical(Kind::Root, text),
            Self::Number { min, max, .. } => value::canonical(Kind::Number { min, max }, &whole(text)),
            Self::TlsVersion => tls_version(text),
            Self::Host => value::canonical(Kind::Host, text),
            Self::Text(kind) => value::canonical(kind, text),
        }
    }
}

/// As Go's `strconv.ParseBool`. Another word is false in most releases of Milvus, and a panic in some.
fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The digits of a number that is whole but not written so: `+30`, `30.0`, `3e1`. Anything else as it is.
fn whole(text: &str) -> String {
    /// Up to here a float is sure to be the number that was written.
    const EXACT: f64 = 9e15;
    if let Some(digits) = text.strip_prefix('+').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())) {
        return digits.to_owned();
    }
    if !text.contains(['.', 'e', 'E']) {
        return text.to_owned();
    }
    let float = text.parse::<f64>().ok().filter(|float| float.abs() < EXACT && float.fract() == 0.0);
    // No fraction, so none is written.
    float.map_or(text.to_owned(), |float| format!("{float:.0}"))
}

/// The oldest one that is spoken here is 1.2. YAML's numbers lose their last zeros on the way into Milvus.
fn tls_version(text: &str) -> Result<String, Why> {
    match text {
        "1.0" | "1.1" | "1.10" | "1.2" | "1.20" => Ok("1.2".into()),
        "1.3" | "1.30" => Ok("1.3".into()),
        _ => Err("no version of TLS".into()),
    }
}

/// Endpoints, each with the scheme that it was given. Blanks around them and a comma too many are of no account in Milvus.
fn endpoints(text: &str) -> Result<String, Why> {
    if text.contains('@') {
        return Err("a user is named by etcd.auth.userName and etcd.auth.password".into());
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let endpoints = items.enumerate().map(|(index, item)| {
        let (scheme, rest) = split_scheme(item);
        let rest = if scheme.is_empty() { rest } else { rest.strip_suffix('/').unwrap_or(rest) };
        let endpoint = url::endpoint(rest).map_err(|why| format!("endpoint {}: {why}", index + 1))?;
        Ok(format!("{scheme}{endpoint}"))
    });
    let endpoints: Vec<String> = endpoints.collect::<Result<_, Why>>()?;
    if endpoints.is_empty() {
        return Err("no endpoint is named".into());
    }
    Ok(endpoints.join(","))
}

/// The scheme of an endpoint, which may be missing, and the rest of it.
pub(super) fn split_scheme(endpoint: &str) -> (&'static str, &str) {
    let schemes = ["http://", "https://"].into_iter();
    let found = schemes.filter_map(|scheme| Some((scheme, endpoint.strip_prefix(scheme)?))).next();
    found.unwrap_or(("", endpoint))
}
