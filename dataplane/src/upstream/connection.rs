//! One connection to a provider, HTTP/1.1 or HTTP/2, and one exchange on it.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::dial::Dialled;
use super::pieces::Pieces;

/// How often a connection of HTTP/2 with calls on it is asked whether it lives. Many calls share it, so that one that
/// died in silence would fail them all, and each next one too.
const PING_EVERY: Duration = Duration::from_secs(20);

/// How long it may take to say so.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// Exchanges at once on one connection of HTTP/2: few servers take more, and what they do not take waits.
const STREAMS_MAX: usize = 100;

/// A connection that can take a request.
#[derive(Debug)]
pub(super) enum Connection {
    /// One exchange at a time.
    Http1(http1::SendRequest<Pieces>),
    /// Many at a time; clones share the connection.
    Http2(http2::SendRequest<Pieces>, Shared),
}

/// Counts who holds a connection of HTTP/2: each copy is one exchange, but for the pool's.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<()>);

impl Shared {
    /// Whether one more exchange fits beside those that run.
    pub(super) fn has_room(&self) -> bool {
        Arc::strong_count(&self.0) <= STREAMS_MAX
    }

    /// Whether both are of one connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Connection {
    /// Shakes hands and leaves the connection to a task of this core, which ends with it.
    pub(super) async fn open(dialled: Dialled) -> Result<Self, hyper::Error> {
        let io = TokioIo::new(dialled.io);
        if dialled.http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).keep_alive_interval(PING_EVERY).keep_alive_timeout(PONG_WITHIN);
            let (sender, connection) = builder.handshake(io).await?;
            tokio::spawn(async move { drop(connection.await) });
            return Ok(Self::Http2(sender, Shared::default()));
        }
        let (sender, connection) = http1::Builder::new().max_buf_size(1 << 18).handshake(io).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self::Http1(sender))
    }

    /// Whether it can take a request, as far as is known now.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Http1(sender) => !sender.is_closed(),
            Self::Http2(sender, _) => !sender.is_closed(),
        }
    }

    /// Sends and waits for the head. A request that never left comes back, to be sent on another connection.
    pub(super) async fn send(&mut self, mut request: Request<Pieces>) -> Result<Response<Incoming>, TrySendError<Request<Pieces>>> {
        match self {
            Self::Http1(sender) => {
                // HTTP/1.1 takes the path alone; a request made for TLS names its authority too.
                if request.uri().authority().is_some()
                    && let Some(path) = request.uri().path_and_query().cloned()
                {
                    *request.uri_mut() = path.into();
                }
                // A connection fresh from its last exchange may need one more turn of its task.
                drop(sender.ready().await);
                sender.try_send_request(request).await
            }
            Self::Http2(sender, _) => {
                request.headers_mut().remove(http::header::HOST);
                drop(sender.ready().await);
                sender.try_send_request(request).await
            }
        }
    }
}
