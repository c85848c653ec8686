//! When the certificates end that the configuration names.

use std::time::{SystemTime, UNIX_EPOCH};

use coordha::config::{Config, keys};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::finding::{Finding, bad, ok, warn};
use crate::words::long;

/// So long before its end one is told.
const SOON_S: i64 = 30 * 86_400;

/// The file of the authority, and of the client; nothing without TLS. That they can be read is checked with the store.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    if config.get(keys::STORE_ETCD_TLS_ENABLED).as_deref() != Some("true") {
        return Vec::new();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let finding = |key: &str, is_chain: bool| {
        let path = config.get(key).filter(|path| !path.is_empty())?;
        let all = CertificateDer::pem_file_iter(&path).ok()?;
        let ends: Vec<i64> = all.flatten().filter_map(|cert| end(&cert)).collect();
        // A chain ends with its first certificate; of several authorities one is enough.
        let end = if is_chain { ends.iter().min() } else { ends.iter().max() };
        Some(told(&format!("{key} = {path}"), end? - now))
    };
    let both = [finding(keys::STORE_ETCD_TLS_CA, false), finding(keys::STORE_ETCD_TLS_CERT, true)];
    both.into_iter().flatten().collect()
}

fn told(which: &str, left_s: i64) -> Finding {
    let time = long(left_s.unsigned_abs().saturating_mul(1000));
    match left_s {
        ..=0 => {
            bad("certs", format!("{which}: ended {time} ago"), "put a new certificate there: TLS is refused with it")
        }
        1..=SOON_S => {
            warn("certs", format!("{which}: ends in {time}"), "put a new one there, and start the sessions anew")
        }
        _ => ok("certs", format!("{which}: ends in {time}")),
    }
}

/// When a certificate ends, in seconds since 1970. `None`: it is none.
fn end(certificate: &[u8]) -> Option<i64> {
    let (certificate, _) = element(certificate)?;
    let (mut fields, _) = element(certificate)?;
    // The version may be left out; then come the serial number, the algorithm and the issuer.
    let before = if *fields.first()? == 0xa0 { 4 } else { 3 };
    for _ in 0..before {
        fields = element(fields)?.1;
    }
    let (validity, _) = element(fields)?;
    let (_, end) = element(validity)?;
    let text = std::str::from_utf8(element(end)?.0).ok()?;
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    // Two digits of the year stand for 1950 to 2049.
    let (year, rest) = match *end.first()? {
        0x17 => number(0..2).map(|year| (if year < 50 { 2000 + year } else { 1900 + year }, 2))?,
        _ => (number(0..4)?, 4),
    };
    let part = |index: usize| number(rest + 2 * index..rest + 2 * index + 2);
    let days = days(year, part(0)?, part(1)?);
    Some(((days * 24 + part(2)?) * 60 + part(3)?) * 60 + part(4)?)
}

/// The content of the first DER element, and what follows it.
fn element(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&short, data) = data.get(1..)?.split_first()?;
    let (length, data) = match usize::from(short) {
        length @ ..0x80 => (length, data),
        long => {
            let (bytes, data) = data.split_at_checked(long - 0x80)?;
            if bytes.len() > 4 {
                return None;
            }
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), data)
        }
    };
    data.split_at_checked(length)
}

/// Days from 1970 to a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have the leap day at their end.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469
}
