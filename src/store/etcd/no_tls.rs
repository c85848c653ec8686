//! In place of TLS where the feature `tls` is off: nothing that could be spoken.

use tokio::net::TcpStream;

use super::options::TlsOptions;
use crate::error::{Error, ErrorKind, Result};

/// There is none.
#[derive(Clone)]
pub(super) enum Tls {}

impl Tls {
    pub(super) fn load<'a>(_options: &TlsOptions, _hosts: impl Iterator<Item = &'a str>) -> Result<Vec<Self>> {
        let message = "store.etcd.tls.enabled = true: this build has no TLS; allowed: false";
        Err(Error::new(ErrorKind::Unsupported, message).with("key", "store.etcd.tls.enabled"))
    }

    pub(super) async fn handshake(&self, _stream: TcpStream) -> std::io::Result<TcpStream> {
        match *self {}
    }
}
