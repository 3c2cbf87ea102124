//! What the gateway is compared with: a reverse proxy on one thread that parses nothing, logs nothing, pools its
//! connections and sets TCP_NODELAY; nothing but hyper. With TLS it speaks HTTP/2 on both legs.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Uri, Version};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{Outcome, certificate, process};

/// Relays until the parent is gone.
pub fn run(upstream: SocketAddr, tls: Option<&Path>) -> Outcome<()> {
    let both = tls
        .map(|folder| Ok::<_, Box<dyn std::error::Error + Send + Sync>>((certificate::acceptor(folder)?, certificate::connector(folder)?)));
    let both = both.transpose()?;
    process::serve(async move |listener| match both {
        None => serve(listener, Pool { upstream, idle: Arc::default() }).await,
        Some((acceptor, connector)) => serve_h2(listener, acceptor, &connector, upstream).await,
    })
}

type Sender = http1::SendRequest<Incoming>;

/// Idle connections; the last one that came back is the first to go out.
#[derive(Clone)]
struct Pool {
    upstream: SocketAddr,
    idle: Arc<Mutex<Vec<Sender>>>,
}

impl Pool {
    async fn take(&self) -> Outcome<Sender> {
        while let Some(mut sender) = self.pop() {
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        drop(tokio::spawn(connection));
        Ok(sender)
    }

    fn pop(&self) -> Option<Sender> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

async fn serve(listener: TcpListener, pool: Pool) -> Outcome<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let pool = pool.clone();
        let service = service_fn(move |request| relay(request, pool.clone()));
        drop(tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service)));
    }
}

async fn relay(request: Request<Incoming>, pool: Pool) -> Outcome<Response<Leased>> {
    let mut sender = pool.take().await?;
    let response = sender.send_request(request).await?;
    Ok(response.map(|body| Leased { body, lease: Some((sender, pool)) }))
}

/// A body that brings its connection back to the pool at its end.
struct Leased {
    body: Incoming,
    lease: Option<(Sender, Pool)>,
}

impl Body for Leased {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        // A connection whose body was left in the middle closes by itself: its next user finds it not ready.
        if let Some((sender, pool)) = self.lease.take() {
            pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        }
    }
}

async fn serve_h2(listener: TcpListener, acceptor: TlsAcceptor, connector: &TlsConnector, upstream: SocketAddr) -> Outcome<()> {
    let stream = TcpStream::connect(upstream).await?;
    stream.set_nodelay(true)?;
    let stream = connector.connect(upstream.ip().into(), stream).await?;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    drop(tokio::spawn(connection));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        drop(tokio::spawn(async move {
            let stream = acceptor.accept(stream).await?;
            let service = service_fn(move |request| relay_h2(request, sender.clone(), upstream));
            hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await?;
            Outcome::Ok(())
        }));
    }
}

async fn relay_h2(
    mut request: Request<Incoming>,
    mut sender: http2::SendRequest<Incoming>,
    upstream: SocketAddr,
) -> Outcome<Response<Incoming>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    *request.uri_mut() = Uri::builder().scheme("https").authority(upstream.to_string()).path_and_query(path).build()?;
    *request.version_mut() = Version::HTTP_2;
    sender.ready().await?;
    Ok(sender.send_request(request).await?)
}
