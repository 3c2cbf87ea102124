//! How a connection comes about: name look-up, egress rules, TCP, TLS.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use snapshot::Scheme;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::egress;
use super::tls::Trust;
use crate::live::Origin;

/// The least that an address has of the connect time.
const PART_MIN: Duration = Duration::from_millis(250);

/// A byte stream to a provider.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A fresh connection.
pub struct Dialled {
    /// The stream.
    pub io: Box<dyn Io>,
    /// The server chose HTTP/2 (by ALPN).
    pub http2: bool,
}

/// Why there is no connection. The text is for our log, not for clients.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("name look-up of `{host}` failed: {source}")]
    LookUp {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Every address is one that the provider may not dial.
    #[error("`{host}` is at {address}, which is not a public address; allow its network in spec.egress.allowCIDRs of the LLMGateway")]
    NotAllowed {
        /// The name.
        host: String,
        /// The first address.
        address: std::net::IpAddr,
    },
    /// TCP.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The last address tried.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// TLS.
    #[error("TLS with `{host}` failed: {source}")]
    Tls {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
}

/// What a dialling takes: boxed, because tests dial in-memory pipes instead.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = Result<Dialled, DialError>> + Send + 'a>>;

/// Opens connections.
pub trait Dial: Send + Sync + 'static {
    /// Opens one to the origin.
    fn dial<'a>(&'a self, origin: &'a Arc<Origin>) -> Dialling<'a>;

    /// The same, and never HTTP/2: a session is opened over HTTP/1.1.
    fn dial_http1<'a>(&'a self, origin: &'a Arc<Origin>) -> Dialling<'a> {
        self.dial(origin)
    }
}

/// What a look-up takes: boxed, because tests answer it otherwise.
pub type LookingUp<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Finds the addresses of a name.
pub trait LookUp: Send + Sync + 'static {
    /// All addresses of the host, in the order in which they are to be tried.
    fn look_up<'a>(&'a self, host: &'a str, port: u16) -> LookingUp<'a>;
}

/// The machine's own look-up.
struct System;

impl LookUp for System {
    fn look_up<'a>(&'a self, host: &'a str, port: u16) -> LookingUp<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// TCP and rustls. No proxy is ever used: neither flags nor environment name one.
pub struct Network {
    trust: Trust,
    names: Box<dyn LookUp>,
}

impl Network {
    /// Trusts the platform's roots, `extra` and what a provider adds.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Self::asking(trust, System)
    }

    /// The same with another look-up of names.
    #[must_use]
    pub fn asking(trust: Trust, names: impl LookUp) -> Self {
        Self { trust, names: Box::new(names) }
    }

    async fn connect(&self, origin: &Origin, http1: bool) -> Result<Dialled, DialError> {
        let endpoint = &origin.endpoint;
        let tcp = self.tcp(origin).await?;
        match endpoint.scheme {
            Scheme::Http => Ok(Dialled { io: Box::new(tcp), http2: false }),
            Scheme::Https => {
                let failed = |source| DialError::Tls { host: endpoint.host.clone(), source };
                let mut config = self.trust.client(origin).map_err(|error| failed(io::Error::other(error)))?;
                if http1 {
                    Arc::make_mut(&mut config).alpn_protocols = vec![b"http/1.1".to_vec()];
                }
                let name = ServerName::try_from(endpoint.host.clone()).map_err(|error| failed(io::Error::other(error)))?;
                let stream = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await.map_err(failed)?;
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                Ok(Dialled { io: Box::new(stream), http2 })
            }
        }
    }

    /// One look-up: the addresses that are checked are the ones that are dialled. Each has its part of the connect time, so
    /// that one that is silent, as IPv6 is where it leads nowhere, leaves some for the next.
    async fn tcp(&self, origin: &Origin) -> Result<TcpStream, DialError> {
        let endpoint = &origin.endpoint;
        let host = &endpoint.host;
        let found = self.names.look_up(host, endpoint.port).await;
        let mut addresses = found.map_err(|source| DialError::LookUp { host: host.clone(), source })?;
        let Some(first) = addresses.first().copied() else {
            return Err(DialError::LookUp { host: host.clone(), source: io::Error::other("no address") });
        };
        addresses.retain(|address| egress::may_dial(endpoint.reach, &origin.egress, address.ip()));
        let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let part = (Duration::from_millis(endpoint.timeouts.connect_ms.into()) / count).max(PART_MIN);
        let mut last = DialError::NotAllowed { host: host.clone(), address: first.ip() };
        for address in addresses {
            let connected = timeout(part, TcpStream::connect(address)).await;
            match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(|source| DialError::Connect { address, source })?;
                    return Ok(stream);
                }
                Err(source) => last = DialError::Connect { address, source },
            }
        }
        Err(last)
    }
}

impl Dial for Network {
    fn dial<'a>(&'a self, origin: &'a Arc<Origin>) -> Dialling<'a> {
        Box::pin(self.connect(origin, false))
    }

    fn dial_http1<'a>(&'a self, origin: &'a Arc<Origin>) -> Dialling<'a> {
        Box::pin(self.connect(origin, true))
    }
}
