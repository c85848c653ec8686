//! A certificate authority made for one test, and what it signs.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// An authority with its folder, which goes with it.
pub struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its own certificate, as a PEM file.
    pub cert: PathBuf,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for certificates");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "coordha test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let cert = write(folder.path(), "ca.pem", &issuer.pem());
        Self { folder, issuer, cert }
    }

    /// A certificate for a server that is reached under these host names and addresses.
    pub fn server(&self, hosts: &[&str]) -> Pair {
        let names: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        // etcd's gateway is a client of its own server, with the server's certificate.
        let usages = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.sign("server", names, "etcd", &usages)
    }

    /// A certificate for a client; etcd takes the common name for the user.
    pub fn client(&self, common_name: &str) -> Pair {
        let usages = [ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(common_name, Vec::new(), common_name, &usages)
    }

    /// A certificate for a client that ends on this day.
    pub fn client_until(&self, (year, month, day): (i32, u8, u8)) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.not_after = rcgen::date_time_ymd(year, month, day);
        let file = format!("until-{year}-{month}-{day}");
        self.issue(&file, &params)
    }

    fn sign(&self, file: &str, names: Vec<String>, common_name: &str, usages: &[ExtendedKeyUsagePurpose]) -> Pair {
        let mut params = CertificateParams::new(names).expect("host names");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.to_vec();
        self.issue(file, &params)
    }

    fn issue(&self, file: &str, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        let folder = self.folder.path();
        Pair {
            cert: write(folder, &format!("{file}.pem"), &cert.pem()),
            key: write(folder, &format!("{file}.key"), &key.serialize_pem()),
        }
    }
}

fn write(folder: &Path, name: &str, pem: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, pem).expect("a PEM file can be written");
    path
}
