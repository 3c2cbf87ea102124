//! A provider that answers by a script ([`Script`]), on one thread: over HTTP/1.1 with bytes that were written
//! beforehand, or over TLS and HTTP/2 with hyper.

use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;

use crate::answers::{Script, completion, events, message, message_events};
use crate::{Outcome, certificate, process, wire};

/// Answers until the parent is gone.
pub fn run(tls: Option<&Path>) -> Outcome<()> {
    let acceptor = tls.map(certificate::acceptor).transpose()?;
    process::serve(async move |listener| serve(listener, acceptor).await)
}

async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>) -> Outcome<()> {
    let canned = Arc::new(Canned::new());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        match acceptor.clone() {
            None => drop(tokio::spawn(converse(stream, canned.clone()))),
            Some(acceptor) => drop(tokio::spawn(converse_h2(stream, acceptor))),
        }
    }
}

/// Whole answers, and of streams all that does not depend on their length.
struct Canned {
    json: Vec<u8>,
    messages: Vec<u8>,
}

const SSE: &str = "text/event-stream; charset=utf-8";
const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n";

impl Canned {
    fn new() -> Self {
        let whole = |body: String| {
            let length = body.len();
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .into_bytes()
        };
        Self { json: whole(completion()), messages: whole(message()) }
    }
}

async fn converse(mut stream: TcpStream, canned: Arc<Canned>) {
    let mut buffer = Vec::with_capacity(64 << 10);
    loop {
        let Some(script) = read(&mut stream, &mut buffer).await else { return };
        let written = match script {
            Script::Json => stream.write_all(&canned.json).await,
            Script::Messages => stream.write_all(&canned.messages).await,
            Script::Stream(chunks, every) => write_stream(&mut stream, events(chunks), every).await,
            Script::MessageStream(chunks, every) => write_stream(&mut stream, message_events(chunks), every).await,
        };
        if written.is_err() {
            return;
        }
    }
}

/// Reads one request to its end; ends the conversation at what it does not understand.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Script> {
    let end = loop {
        if let Some(end) = wire::head_end(buffer) {
            break end;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = &buffer[..end];
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let script = Script::of(line.split(' ').nth(1)?)?;
    let whole = end + wire::content_length(head)?;
    while buffer.len() < whole {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    buffer.drain(..whole);
    Some(script)
}

async fn write_stream(stream: &mut TcpStream, events: Vec<String>, every: Duration) -> std::io::Result<()> {
    let mut pace = pace(every);
    let mut first = true;
    for event in events {
        // A timer would round the first event up to the next millisecond.
        let mut piece = if std::mem::take(&mut first) {
            STREAM_HEAD.to_vec()
        } else {
            pace.tick().await;
            Vec::with_capacity(event.len() + 16)
        };
        piece.extend_from_slice(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
        stream.write_all(&piece).await?;
    }
    stream.write_all(b"0\r\n\r\n").await
}

/// Ticks first after one time of `every`.
fn pace(every: Duration) -> Interval {
    let mut pace = interval(every.max(Duration::from_micros(1)));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace.reset();
    pace
}

async fn converse_h2(stream: TcpStream, acceptor: TlsAcceptor) {
    if let Ok(stream) = acceptor.accept(stream).await {
        let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        server.max_concurrent_streams(1000);
        drop(server.serve_connection(TokioIo::new(stream), service_fn(answer)).await);
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Scripted>, Infallible> {
    let script = Script::of(request.uri().path());
    drop(request.into_body().collect().await);
    let (kind, body) = match script {
        None => return Ok(status_404()),
        Some(Script::Json) => ("application/json", Scripted::Whole(Some(completion().into()))),
        Some(Script::Messages) => ("application/json", Scripted::Whole(Some(message().into()))),
        Some(Script::Stream(chunks, every)) => (SSE, Scripted::Events(events(chunks).into_iter(), Box::pin(pace(every)))),
        Some(Script::MessageStream(chunks, every)) => (SSE, Scripted::Events(message_events(chunks).into_iter(), Box::pin(pace(every)))),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", http::HeaderValue::from_static(kind));
    response.headers_mut().insert("x-request-id", http::HeaderValue::from_static("req_bench"));
    Ok(response)
}

fn status_404() -> Response<Scripted> {
    let mut response = Response::new(Scripted::Whole(None));
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    response
}

/// A body over HTTP/2.
enum Scripted {
    Whole(Option<Bytes>),
    Events(std::vec::IntoIter<String>, Pin<Box<Interval>>),
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Events(events, pace) if events.len() > 0 => {
                pace.poll_tick(context).map(|_| events.next().map(|event| Ok(Frame::data(event.into()))))
            }
            Self::Events(..) => Poll::Ready(None),
        }
    }
}
