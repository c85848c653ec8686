//! The environment as a source of values.

use std::ffi::OsString;

use super::keys::{self, Key};
use super::milvus::{self, Name};
use super::{Dialect, Given, Loaded, located, not_a_key, problems, value};
use crate::error::{Error, ErrorKind, Result};

/// Before each name.
const PREFIX: &str = "COORDHA_";

/// Names of ours that are no keys: the level of the log.
const OTHERS: &[&str] = &["LOG"];

/// The values of all variables that are keys. Others with the prefix are errors, but for what Kubernetes sets for a service
/// whose name begins with `coordha`.
pub(super) fn read(variables: impl IntoIterator<Item = (OsString, OsString)>, dialect: Dialect) -> Result<Loaded> {
    let named = |(name, text): (OsString, OsString)| Some((name.into_string().ok()?, text));
    let mut variables: Vec<(String, OsString)> = variables.into_iter().filter_map(named).collect();
    variables.sort();
    let (mut loaded, mut wrong) = (Loaded::default(), Vec::new());
    for (name, text) in variables {
        let place = format!("environment variable {}", value::visible(&name));
        let taken = if name.starts_with(PREFIX) {
            read_one(&name, text).map(|read| {
                let Some((key, text)) = read else { return };
                loaded.own.insert(key.name, Given::new(text, &place));
            })
        } else if let (Dialect::Milvus, Some(key)) = (dialect, milvus::by_variable(&name)) {
            of_milvus(key, text).and_then(|text| match text {
                Some(text) => milvus::take(&mut loaded.milvus, key, &text, &place),
                None => Ok(()),
            })
        } else {
            Ok(())
        };
        if let Err(error) = taken {
            wrong.push(located(&error, &place));
        }
    }
    problems(wrong)?;
    Ok(loaded)
}

/// The text of a variable that is a key of Milvus's; none where Kubernetes sets it for a service: `ROOTCOORD_PORT=tcp://…`.
fn of_milvus(key: &Name, text: OsString) -> Result<Option<String>> {
    let text = text.into_string().map_err(|_| {
        let message = format!("{}: not UTF-8 (allowed: {})", key.name, key.allowed());
        Error::new(ErrorKind::ConfigValue, message).with("key", key.name).with("allowed", key.allowed())
    })?;
    let is_link = key.name.ends_with(".port") && is_service_url(&text);
    Ok((!is_link).then_some(text))
}

fn is_service_url(text: &str) -> bool {
    ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme))
}

fn read_one(name: &str, text: OsString) -> Result<Option<(&'static Key, String)>> {
    let short = &name[PREFIX.len()..];
    let Some(key) = keys::KEYS.iter().find(|key| key.constant == short) else {
        let is_other = OTHERS.contains(&short) || text.to_str().is_some_and(|text| is_service_link(short, text));
        return if is_other { Ok(None) } else { Err(not_a_key(name)) };
    };
    let text = text.into_string().map_err(|text| value::not_utf8(key, &text.to_string_lossy()))?;
    Ok(Some((key, value::check(key, &text)?)))
}

/// Whether Kubernetes sets such a variable in every pod beside a service: `COORDHA_PORT=tcp://10.0.0.1:2379`,
/// `COORDHA_STORE_SERVICE_HOST=10.0.0.1`.
fn is_service_link(name: &str, text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_url = is_service_url(text);
    let ends = |end: &str| name == end || name.strip_suffix(end).is_some_and(|rest| rest.ends_with('_'));
    if ends("SERVICE_HOST") {
        return text.parse::<std::net::IpAddr>().is_ok();
    }
    if ends("PORT") && is_url {
        return true;
    }
    if (name.starts_with("SERVICE_PORT") || name.contains("_SERVICE_PORT")) && is_number(text) {
        return true;
    }
    // `…PORT_<number>_<protocol>`, and that with `_PROTO`, `_PORT` and `_ADDR`.
    let Some((service, rest)) = name.rsplit_once("PORT_").filter(|(_, rest)| rest.contains('_')) else {
        return false;
    };
    let mut parts = rest.split('_');
    let (number, protocol, what) = (parts.next(), parts.next(), parts.next());
    (service.is_empty() || service.ends_with('_'))
        && number.is_some_and(is_number)
        && matches!(protocol, Some("TCP" | "UDP" | "SCTP"))
        && matches!((what, parts.next()), (None | Some("PROTO" | "PORT" | "ADDR"), None))
}
