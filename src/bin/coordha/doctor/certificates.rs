//! When the certificates end that the configuration names.

use std::time::{SystemTime, UNIX_EPOCH};

use coordha::config::{Config, keys};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use x509_parser::parse_x509_certificate;

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
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}
