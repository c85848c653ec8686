//! TLS to etcd: certificates are read and checked when the store is made, not when it connects.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, version};

use super::options::{TlsOptions, TlsVersion, wrong};
use crate::error::{Error, ErrorKind, Result};

/// How long the server's first words are awaited.
const FIRST_WORDS: Duration = Duration::from_millis(500);

const CA: &str = "store.etcd.tls.ca";
const CERT: &str = "store.etcd.tls.cert";
const KEY: &str = "store.etcd.tls.key";

/// Speaks TLS with one endpoint.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    server_name: ServerName<'static>,
}

impl Tls {
    /// Reads the files. `hosts` are those of the endpoints, one result each.
    pub(super) fn load<'a>(options: &TlsOptions, hosts: impl Iterator<Item = &'a str>) -> Result<Vec<Self>> {
        let config = Arc::new(config(options)?);
        hosts
            .map(|host| {
                let name = options.server_name.as_deref().unwrap_or(host);
                let server_name = ServerName::try_from(name.to_owned()).map_err(|error| {
                    let why = error.to_string();
                    wrong("store.etcd.tls.server_name", name, "a host name or an address", &why)
                })?;
                Ok(Self { connector: config.clone().into(), server_name })
            })
            .collect()
    }

    /// Returns when both sides have accepted each other.
    pub(super) async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let server_name = self.server_name.clone();
        let mut stream = self.connector.connect(server_name, stream).await?;
        // In TLS 1.3 the server judges our certificate after the handshake. Its verdict is an alert, which is lost where we
        // have spoken meanwhile, or the first words of HTTP/2, which etcd says unasked. A proxy may want our words first.
        match timeout(FIRST_WORDS, stream.fill_buf()).await {
            Ok(Err(error)) => Err(error),
            Ok(Ok([])) => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(stream),
        }
    }
}

fn config(options: &TlsOptions) -> Result<ClientConfig> {
    let versions: &[_] = match options.min_version {
        TlsVersion::V1_2 => &[&version::TLS13, &version::TLS12],
        TlsVersion::V1_3 => &[&version::TLS13],
    };
    let mut roots = RootCertStore::empty();
    for cert in certificates(CA, &options.ca)? {
        roots.add(cert).map_err(|error| bad_file(CA, &options.ca, &error))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?
        .with_root_certificates(roots);
    let mut config = match (&options.cert, &options.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let chain = certificates(CERT, cert)?;
            let private =
                PrivateKeyDer::from_pem_file(key).map_err(|error| bad_pem(KEY, key, "private key", &error))?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| bad_file(KEY, key, &error).with("cert", cert.display()))?
        }
        (Some(_), None) => return Err(alone(CERT, KEY)),
        (None, Some(_)) => return Err(alone(KEY, CERT)),
    };
    config.alpn_protocols.push(b"h2".to_vec());
    Ok(config)
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let all: std::result::Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match all {
        Ok(all) if all.is_empty() => Err(bad_pem(key, path, "certificate", &pem::Error::NoItemsFound)),
        Ok(all) => Ok(all),
        Err(error) => Err(bad_pem(key, path, "certificate", &error)),
    }
}

fn bad_pem(key: &'static str, path: &Path, what: &str, error: &pem::Error) -> Error {
    let why = match error {
        pem::Error::Io(error) => format!("it cannot be read: {error}"),
        pem::Error::NoItemsFound => format!("there is no {what} in it"),
        other => format!("it is no PEM file: {other}"),
    };
    let value = path.display().to_string();
    wrong(key, &value, &format!("a PEM file with a {what}"), &why)
}

fn bad_file(key: &'static str, path: &Path, error: &tokio_rustls::rustls::Error) -> Error {
    let allowed = match key {
        KEY => "a PEM file with the private key of store.etcd.tls.cert",
        _ => "a PEM file with a certificate",
    };
    wrong(key, &path.display().to_string(), allowed, &error.to_string())
}

fn alone(given: &'static str, missing: &'static str) -> Error {
    Error::new(ErrorKind::ConfigMissing, format!("{given} is set and {missing} is not: allowed are both or neither"))
        .with("key", missing)
        .with("allowed", "the path of a PEM file")
}
