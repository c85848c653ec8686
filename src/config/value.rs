//! One value: what is allowed, and the words of its error.

use semver::Version;

use super::address::{Address, parse_host};
use super::keys::{Key, Kind};
use super::resolved::LogFormat;
use super::url::StoreUrl;
use crate::error::{Error, ErrorKind, Result};

/// Why a value is not allowed, in words that do not repeat the value.
pub(super) type Why = String;

/// Roles of Milvus that hold an election.
const MILVUS_COORDINATORS: &[&str] = &["rootcoord", "datacoord", "querycoord", "indexcoord", "mixcoord"];

/// Roles of Milvus that hold none: a record under such a name would be taken for a node of Milvus.
const MILVUS_NODES: &[&str] = &["proxy", "datanode", "querynode", "indexnode", "streamingnode"];

/// Checks a value, and gives it in the form in which it is used.
pub(super) fn check(key: &Key, text: &str) -> Result<String> {
    canonical(key.kind, text).map_err(|why| not_allowed(key, text, &why))
}

/// Reads a value with `parse`.
pub(super) fn read<T>(key: &Key, text: &str, parse: impl FnOnce(&str) -> std::result::Result<T, Why>) -> Result<T> {
    parse(text).map_err(|why| not_allowed(key, text, &why))
}

/// The error for a value that is not allowed.
fn not_allowed(key: &Key, text: &str, why: &str) -> Error {
    let value = shown(key, text);
    let allowed = key.allowed();
    let message = format!("{} = \"{value}\": {why} (allowed: {allowed})", key.name);
    Error::new(ErrorKind::ConfigValue, message).with("key", key.name).with("value", value).with("allowed", allowed)
}

/// The error for a value that is no UTF-8; `text` is what can be read of it.
pub(super) fn not_utf8(key: &Key, text: &str) -> Error {
    not_allowed(key, text, "not UTF-8")
}

/// A value as errors and logs show it: secrets hidden, what cannot be seen escaped, not too long.
pub(super) fn shown(key: &Key, text: &str) -> String {
    if key.is_secret() {
        return "***".into();
    }
    if key.kind == Kind::StoreUrl && !text.starts_with("local:") { without_user(text) } else { visible(text) }
}

/// A URL as errors show it: a user and password that somebody has put into it are refused, and not shown.
pub(super) fn without_user(text: &str) -> String {
    let Some(at) = text.rfind('@') else { return visible(text) };
    let start = text[..at].find("://").map_or(0, |scheme| scheme + 3);
    visible(&format!("{}***{}", &text[..start], &text[at..]))
}

/// Text with what cannot be seen escaped, cut at 200 characters.
pub(super) fn visible(text: &str) -> String {
    const LIMIT: usize = 200;
    let mut out = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == LIMIT {
            out.push_str("...");
            break;
        }
        if matches!(c, '\'' | '"') {
            out.push(c);
        } else {
            out.extend(c.escape_debug());
        }
    }
    out
}

/// The form in which a value of this kind is used.
pub(super) fn canonical(kind: Kind, text: &str) -> std::result::Result<String, Why> {
    if let Some(c) = text.chars().find(|c| c.is_control()) {
        return Err(format!("it contains the control character U+{:04X}", u32::from(c)));
    }
    if kind != Kind::Secret && text.trim() != text {
        return Err("it begins or ends with a space".into());
    }
    match kind {
        Kind::Bool => parse_bool(text).map(|on| on.to_string()),
        Kind::Number { .. } => parse_number(kind, text).map(|number| number.to_string()),
        Kind::Text | Kind::Secret | Kind::Path => Ok(text.to_owned()),
        Kind::Host if text.is_empty() => Ok(String::new()),
        Kind::Host => parse_host(text).map(|_| text.to_owned()),
        Kind::RoleName => parse_role(text),
        Kind::Address => Address::parse(text).map(|address| address.to_string()),
        Kind::Root => parse_root(text),
        Kind::StoreUrl => StoreUrl::parse(text).map(|url| url.to_string()),
        Kind::Version => parse_version(text).map(|version| version.to_string()),
        Kind::TlsVersion => parse_tls_version(text),
        Kind::LogFormat => parse_log_format(text).map(|_| text.to_owned()),
    }
}

pub(super) fn parse_bool(text: &str) -> std::result::Result<bool, Why> {
    text.parse().map_err(|_| "neither true nor false".into())
}

/// One spelling a number: no `+5`, no `007`, which other readers take for octal.
pub(super) fn parse_number(kind: Kind, text: &str) -> std::result::Result<i64, Why> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("not a whole number in plain digits".into());
    }
    if (digits.len() > 1 && digits.starts_with('0')) || text == "-0" {
        return Err("a whole number is written without leading zeros".into());
    }
    let (min, max) = match kind {
        Kind::Number { min, max } => (min, max),
        _ => (i64::MIN, i64::MAX),
    };
    let too_far = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    let number = text.parse::<i64>().unwrap_or(too_far);
    if number < min {
        Err("too small".into())
    } else if number > max {
        Err("too large".into())
    } else {
        Ok(number)
    }
}

fn parse_tls_version(text: &str) -> std::result::Result<String, Why> {
    match text {
        "1.2" | "1.3" => Ok(text.to_owned()),
        "1.0" | "1.1" => Err(format!("TLS {text} is no longer safe and is not supported")),
        _ => Err("no version of TLS".into()),
    }
}

pub(super) fn parse_log_format(text: &str) -> std::result::Result<LogFormat, Why> {
    match text {
        "plain" => Ok(LogFormat::Plain),
        "milvus" => Ok(LogFormat::Milvus),
        _ => Err("no form of the log".into()),
    }
}

fn parse_role(text: &str) -> std::result::Result<String, Why> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.len() > 63 {
        return Err("longer than 63 characters".into());
    }
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    if !first.bytes().all(|b| b.is_ascii_lowercase()) {
        return Err("it does not begin with a letter a to z".into());
    }
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !rest.bytes().all(allowed) {
        return Err("it has a character other than a to z, 0 to 9 and _".into());
    }
    if matches!(text, "id" | "version") {
        return Err("a key of that name beside the records means something else".into());
    }
    if MILVUS_NODES.contains(&text) {
        return Err("a node of Milvus, which would be taken for one and holds no election".into());
    }
    // Milvus lists a role's records by the bare name as a prefix.
    let longer = MILVUS_COORDINATORS.iter().chain(MILVUS_NODES);
    if let Some(milvus) = longer.into_iter().find(|role| text.len() > role.len() && text.starts_with(**role)) {
        return Err(format!("Milvus would take its records for those of {milvus}"));
    }
    Ok(text.to_owned())
}

/// Slashes as Go's `path.Join` leaves them; what else that function would change (`.`, `..`) is refused.
fn parse_root(text: &str) -> std::result::Result<String, Why> {
    let names: Vec<&str> = text.split('/').filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err("it names nothing".into());
    }
    if names.iter().any(|name| matches!(*name, "." | "..")) {
        return Err("the names . and .. are not allowed".into());
    }
    let lead = if text.starts_with('/') { "/" } else { "" };
    let root = format!("{lead}{}", names.join("/"));
    if root.len() > 1024 {
        return Err("longer than 1024 bytes".into());
    }
    Ok(root)
}

pub(super) fn parse_version(text: &str) -> std::result::Result<Version, Why> {
    if text.starts_with(['v', 'V']) {
        return Err("a leading v is not part of a semantic version".into());
    }
    Version::parse(text).map_err(|error| error.to_string())
}
