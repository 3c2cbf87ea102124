//! As much of the Kubernetes API as a pod needs: a GET, and a watch as a stream of JSON lines. A connection serves one
//! round of questions and is not kept: they are rare.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use tokio::net::TcpStream;

use super::ApiServer;

/// To connect, and to shake hands.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// For an answer's head, and for the next piece of its body.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// A connection that says nothing is asked whether it lives, after this long and then so often.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));
/// The largest answer or line: an object of the API with its metadata, as JSON.
const BYTES_MAX: usize = 4 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// The account's files.
    #[error("cannot read {path}: {detail}")]
    Account {
        /// Which.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    /// Nothing came in time.
    #[error("no answer in time")]
    Slow,
    /// An answer that is none.
    #[error("status {status}: {message}")]
    Status {
        /// HTTP's.
        status: u16,
        /// The beginning of what it says.
        message: String,
    },
    /// More than [`BYTES_MAX`].
    #[error("the answer is larger than {BYTES_MAX} bytes")]
    TooLarge,
    /// No JSON, or of another shape.
    #[error("the answer cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl ApiError {
    /// Whether the API server answered, and said this.
    pub(super) fn is_status(&self, wanted: &[u16]) -> bool {
        matches!(self, Self::Status { status, .. } if wanted.contains(status))
    }
}

/// A connection for one question after the other.
pub(super) struct Session {
    host: String,
    authorization: String,
    sender: SendRequest<Empty<Bytes>>,
}

impl Session {
    /// Connects, with the account's token and authority as they are now.
    pub(super) async fn open(server: &ApiServer) -> Result<Self, ApiError> {
        let token = read(server, "token")?;
        let config = trust(server)?;
        let connect = async {
            let tcp = TcpStream::connect((server.host.as_str(), server.port)).await?;
            tcp.set_nodelay(true)?;
            let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE.0).with_interval(KEEPALIVE.1);
            socket2::SockRef::from(&tcp).set_tcp_keepalive(&keepalive)?;
            let name = ServerName::try_from(server.host.clone()).map_err(io::Error::other)?;
            tokio_rustls::TlsConnector::from(config).connect(name, tcp).await
        };
        let tls = tokio::time::timeout(CONNECT_TIME, connect).await.map_err(|_| ApiError::Slow)?.map_err(ApiError::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
        tokio::spawn(async move { drop(connection.await) });
        let host = if server.host.contains(':') { format!("[{}]", server.host) } else { server.host.clone() };
        let authorization = format!("Bearer {}", String::from_utf8_lossy(&token).trim());
        Ok(Self { host: format!("{host}:{}", server.port), authorization, sender })
    }

    /// The answer's body.
    pub(super) async fn get(&mut self, path: &str) -> Result<Vec<u8>, ApiError> {
        let mut lines = self.ask(path).await?;
        while lines.more(ANSWER_TIME).await? {}
        Ok(lines.buffer)
    }

    /// The answer's body, line by line while it goes on.
    pub(super) async fn watch(mut self, path: &str) -> Result<Lines, ApiError> {
        self.ask(path).await
    }

    async fn ask(&mut self, path: &str) -> Result<Lines, ApiError> {
        let request = Request::get(path)
            .header(HOST, &self.host)
            .header(AUTHORIZATION, &self.authorization)
            .header(USER_AGENT, concat!("portolan-gateway/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json")
            .body(Empty::new())
            .map_err(|error| ApiError::Connect(io::Error::other(error)))?;
        let asked = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        let answer = tokio::time::timeout(ANSWER_TIME, asked).await.map_err(|_| ApiError::Slow)??;
        let status = answer.status();
        let mut lines = Lines { body: answer.into_body(), buffer: Vec::new(), scanned: 0 };
        if status.is_success() {
            return Ok(lines);
        }
        while lines.more(ANSWER_TIME).await? {}
        Err(ApiError::Status { status: status.as_u16(), message: message(&lines.buffer) })
    }
}

/// What a `Status` of the API says, or the beginning of what else came.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let text = serde_json::from_slice(body).map_or_else(|_| String::from_utf8_lossy(body).into_owned(), |Status { message }| message);
    text.chars().take(300).collect()
}

fn read(server: &ApiServer, name: &str) -> Result<Vec<u8>, ApiError> {
    let path = server.account.join(name);
    std::fs::read(&path).map_err(|error| ApiError::Account { path, detail: error.to_string() })
}

/// The account's authority alone.
fn trust(server: &ApiServer) -> Result<Arc<ClientConfig>, ApiError> {
    let failed = |detail: String| ApiError::Account { path: server.account.join("ca.crt"), detail };
    let pem = read(server, "ca.crt")?;
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|error| failed(error.to_string()))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// A body that comes line by line.
pub(super) struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
    /// So much of the buffer holds no end of a line.
    scanned: usize,
}

impl Lines {
    /// The next line, without its end; `None` when the body ended in order, even within a line.
    pub(super) async fn next(&mut self, patience: Duration) -> Result<Option<Vec<u8>>, ApiError> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) {
                let rest = self.buffer.split_off(self.scanned + at + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                self.scanned = 0;
                line.pop();
                return Ok(Some(line));
            }
            self.scanned = self.buffer.len();
            if !self.more(patience).await? {
                return Ok(None);
            }
        }
    }

    /// Reads on; false at the end.
    async fn more(&mut self, patience: Duration) -> Result<bool, ApiError> {
        let Some(frame) = tokio::time::timeout(patience, self.body.frame()).await.map_err(|_| ApiError::Slow)? else {
            return Ok(false);
        };
        if let Ok(data) = frame?.into_data() {
            if self.buffer.len() + data.len() > BYTES_MAX {
                return Err(ApiError::TooLarge);
            }
            self.buffer.extend_from_slice(&data);
        }
        Ok(true)
    }
}
