//! One connection to one endpoint: name, TCP, TLS.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::ConnectFailure;
use super::tls::Tls;

pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Connects to one endpoint.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) host: String,
    pub(super) port: u16,
    /// For name, TCP and TLS together.
    pub(super) limit: Duration,
    pub(super) tls: Option<Tls>,
}

impl Connector {
    pub(super) async fn connect(self) -> Result<TokioIo<Box<dyn Io>>, ConnectFailure> {
        timeout(self.limit, self.dial()).await.unwrap_or_else(|_| {
            let message = format!("no connection within {:?}", self.limit);
            Err(ConnectFailure::Unreachable(message))
        })
    }

    async fn dial(&self) -> Result<TokioIo<Box<dyn Io>>, ConnectFailure> {
        let unreachable = |error: std::io::Error| ConnectFailure::Unreachable(error.to_string());
        let address = (self.host.as_str(), self.port);
        let stream = TcpStream::connect(address).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let Some(tls) = &self.tls else {
            return Ok(TokioIo::new(Box::new(stream)));
        };
        // One that does not speak TLS answers in many ways, a reset among them.
        match tls.handshake(stream).await {
            Ok(stream) => Ok(TokioIo::new(Box::new(stream))),
            Err(error) => Err(ConnectFailure::Tls(format!("TLS handshake: {error}"))),
        }
    }
}
