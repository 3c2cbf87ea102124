//! Sockets: one listener for each core on the same port, so that the kernel spreads connections over cores.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http::header::UPGRADE;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::respond::{Door, handle};
use super::sessions::Sessions;
use super::streams::{Carried, Stream, Streams};

/// How far the process is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leaving {
    /// Not at all.
    No,
    /// Still accepting; answers ask their clients to go elsewhere.
    Announced,
    /// No longer accepting; calls in flight go on.
    Closing,
    /// What is still in flight is cut off.
    Now,
}

/// Bounds of connections.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// For the head of a request, and for the next request on an idle connection.
    pub header_time: Duration,
    /// Connections of the process.
    pub connections_max: usize,
    /// Cores that connections are spread over.
    pub cores: u16,
}

/// How long sessions have to say that they end, once nobody waits any longer; a moment more than they take.
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// Largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Header fields of a request. With more hyper would put them on the heap, for each request.
const HEADERS_MAX: usize = 100;

/// Streams that one HTTP/2 connection may have open at once.
const STREAMS_MAX: u32 = 256;

/// A listening socket that shares its port with the other cores'. The first of a process makes sure that nobody has the
/// port: a gateway that was forgotten would share it too, and take half of the connections.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(address: SocketAddr, first: bool) -> io::Result<std::net::TcpListener> {
    if first && address.port() != 0 {
        drop(std::net::TcpListener::bind(address)?);
    }
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

/// Accepts until the process is closing.
pub async fn accept(
    listener: TcpListener,
    door: Arc<Door>,
    tls: Option<Arc<ServerConfig>>,
    bounds: Bounds,
    connections: Arc<AtomicUsize>,
    leaving: watch::Receiver<Leaving>,
) {
    let mut closing = leaving.clone();
    let mut open = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.wait_for(|leaving| *leaving >= Leaving::Closing) => break,
            Some(_) = open.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: give connections a moment to end rather than spin.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let place = Place::take(&connections, bounds.connections_max);
        let serving = serve(stream, door.clone(), tls.clone(), bounds, place, leaving.clone());
        open.spawn(serving);
    }
    drop(listener);
    let mut now = leaving;
    tokio::select! {
        () = async { while open.join_next().await.is_some() {} } => {}
        _ = now.wait_for(|leaving| *leaving >= Leaving::Now) => {
            // Calls are cut off; sessions say that they end.
            let last = async { while open.join_next().await.is_some() {} };
            drop(tokio::time::timeout(LAST_WORDS, last).await);
            open.shutdown().await;
        }
    }
}

/// A place among the process's connections; `full` when there was none.
struct Place {
    connections: Arc<AtomicUsize>,
    full: bool,
}

impl Place {
    fn take(connections: &Arc<AtomicUsize>, connections_max: usize) -> Self {
        let full = connections.fetch_add(1, Relaxed) >= connections_max;
        Self { connections: connections.clone(), full }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Relaxed);
    }
}

/// One connection. What it does is boxed, each thing by itself: most connections neither shake hands nor are turned away,
/// and would carry room for both for as long as they are open.
async fn serve(
    stream: TcpStream,
    door: Arc<Door>,
    tls: Option<Arc<ServerConfig>>,
    bounds: Bounds,
    place: Place,
    leaving: watch::Receiver<Leaving>,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    if place.full {
        door.rooms.books.metrics.refusals.with_label_values(&["overloaded"]).inc();
        // Before its handshake a TLS client could not read a word.
        return if tls.is_none() {
            Box::pin(turn_away(stream)).await
        };
    }
    match tls {
        None => Box::pin(converse(stream, door, bounds, leaving)).await,
        Some(config) => Box::pin(converse_in_tls(stream, config, door, bounds, leaving)).await,
    }
}

async fn converse_in_tls(stream: TcpStream, config: Arc<ServerConfig>, door: Arc<Door>, bounds: Bounds, leaving: watch::Receiver<Leaving>) {
    let accepting = tokio_rustls::TlsAcceptor::from(config).accept(stream);
    if let Ok(Ok(stream)) = tokio::time::timeout(bounds.header_time, accepting).await {
        converse(stream, door, bounds, leaving).await;
    }
}

/// Speaks HTTP on a byte stream, whatever carries it, until either side ends it.
pub async fn converse<S>(stream: S, door: Arc<Door>, bounds: Bounds, mut leaving: watch::Receiver<Leaving>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(bounds.header_time).max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    let http2 = Arc::new(AtomicBool::new(false));
    let streams = Arc::new(Streams::default());
    let (seen, carried) = (http2.clone(), streams.clone());
    let sessions = Sessions::new(leaving.clone());
    let switching = sessions.clone();
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        if request.headers().contains_key(UPGRADE) {
            request.extensions_mut().insert(switching.clone());
        }
        let stream = (request.version() == http::Version::HTTP_2).then(|| {
            seen.store(true, Relaxed);
            carried.open(door.rooms.process.calls(), bounds.cores)
        });
        carry(door.clone(), request, stream)
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // HTTP/2 is asked to go elsewhere (GOAWAY) as soon as leaving is announced, or when a connection carries more than its
    // share: its open streams go on, new ones come on new connections. HTTP/1.1 is told by a header on its next answer, and
    // closed when idle only once accepting ends.
    let mut patience = Leaving::Announced;
    let over = loop {
        tokio::select! {
            _ = connection.as_mut() => break true,
            () = streams.greed() => {
                connection.as_mut().graceful_shutdown();
                break false;
            }
            _ = leaving.wait_for(|leaving| *leaving >= patience) => {
                if http2.load(Relaxed) || patience >= Leaving::Closing {
                    connection.as_mut().graceful_shutdown();
                    break false;
                }
                patience = Leaving::Closing;
            }
        }
    };
    if !over {
        let cut_off = async {
            if leaving.wait_for(|leaving| *leaving >= Leaving::Now).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            _ = connection => {}
            () = cut_off => {}
        }
    }
    sessions.ended().await;
}

/// Answers a request on its stream. The future of the answer is large, and boxed for as long as the answer has not begun:
/// the connection has a place for what is given here as long as it is open, so also while a stream runs.
async fn carry(door: Arc<Door>, request: http::Request<Incoming>, stream: Option<Stream>) -> Result<http::Response<Carried>, Infallible> {
    Box::pin(handle(door, request)).await.map(|reply| reply.map(|body| Carried::new(body, stream)))
}

/// Says 503 on a connection that there is no place for, without listening to it.
async fn turn_away(mut stream: TcpStream) {
    const BODY: &str = r#"{"error":{"message":"this gateway is full (connections); try again shortly","type":"server_error","param":null,"code":"overloaded"}}"#;
    let reply = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let telling = async {
        stream.write_all(reply.as_bytes()).await?;
        stream.shutdown().await?;
        // A socket that is closed with bytes unread resets the connection, and the client would not see the answer.
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    drop(tokio::time::timeout(Duration::from_secs(1), telling).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the future that a function gives.
    macro_rules! bytes_of {
        ($function:expr, $($argument:ident)*) => {{
            fn bytes<$($argument,)* F>(_: impl Fn($($argument),*) -> F) -> usize {
                size_of::<F>()
            }
            bytes($function)
        }};
    }

    /// Each is held for every open stream: this is most of what a stream takes that is not hyper's buffers.
    #[test]
    fn what_is_kept_for_each_connection_is_small() {
        let bytes = [bytes_of!(serve, A B C D E G), bytes_of!(converse::<TcpStream>, A B C D), bytes_of!(carry, A B C)];
        assert!(bytes[0] <= 256 && bytes[1] <= 2560 && bytes[2] <= 512, "{bytes:?}");
    }

    #[test]
    fn cores_share_a_port_and_processes_do_not() {
        let first = bind(SocketAddr::from(([127, 0, 0, 1], 0)), true).expect("a port");
        let address = first.local_addr().expect("an address");
        let second = bind(address, false).expect("another core of this process");
        let stranger = bind(address, true).expect_err("another process");
        assert_eq!(stranger.kind(), io::ErrorKind::AddrInUse);
        drop((first, second));
        assert!(bind(address, true).is_ok(), "the port is free again");
    }
}
