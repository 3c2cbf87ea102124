//! The load generator: closed loops over HTTP/1.1 or HTTP/2 on one thread, or calls at a fixed rate
//! ([`paced`](crate::paced)).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::plan::{Plan, Speech, Tally};
use crate::{Outcome, certificate, now, paced, wire};

/// Longest wait for a call; ends a measurement that hangs.
const CALL_MAX: Duration = Duration::from_secs(20);

/// Follows a plan and prints what it saw as JSON.
pub fn run(plan: &str) -> Outcome<()> {
    let plan: Plan = serde_json::from_str(plan)?;
    let began = now();
    let tally = if let Some(rate) = plan.per_second {
        paced::run(&plan, rate)?
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(closed(&plan, began + Duration::from_secs_f64(plan.seconds)))?
    };
    println!("{}", serde_json::to_string(&tally.seen(began.elapsed().as_secs_f64()))?);
    Ok(())
}

/// What is sent, the keys in turn.
pub struct Calls {
    request: Vec<u8>,
    key_at: usize,
    keys: Vec<String>,
    next: AtomicUsize,
}

impl Calls {
    /// Reads body and keys of a plan.
    pub fn of(plan: &Plan) -> Outcome<Self> {
        let keys: Vec<String> = std::fs::read_to_string(&plan.keys)?.lines().map(str::to_owned).collect();
        let first = keys.first().ok_or("no keys")?;
        if keys.iter().any(|key| key.len() != first.len()) {
            return Err("keys of different lengths".into());
        }
        let body = std::fs::read(&plan.body)?;
        let mut request = format!("POST {} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer ", plan.path, plan.address).into_bytes();
        let key_at = request.len();
        let rest = format!(
            "{first}\r\ncontent-type: application/json\r\naccept: */*\r\nuser-agent: bench\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        request.extend_from_slice(rest.as_bytes());
        request.extend_from_slice(&body);
        Ok(Self { request, key_at, keys, next: AtomicUsize::new(0) })
    }

    /// A request's bytes, to be changed by [`Self::turn`] before each sending.
    pub fn request(&self) -> Vec<u8> {
        self.request.clone()
    }

    /// Writes the next key into a request.
    pub fn turn(&self, request: &mut [u8]) {
        let key = self.key();
        request[self.key_at..self.key_at + key.len()].copy_from_slice(key.as_bytes());
    }

    fn key(&self) -> &str {
        &self.keys[self.next.fetch_add(1, Ordering::Relaxed) % self.keys.len()]
    }
}

async fn closed(plan: &Plan, end: Instant) -> Outcome<Tally> {
    let calls = Arc::new(Calls::of(plan)?);
    let mut workers = JoinSet::new();
    for _ in 0..plan.connections {
        match &plan.speech {
            Speech::Http1 => drop(workers.spawn(work(plan.clone(), calls.clone(), end))),
            Speech::Http2 | Speech::TlsHttp2(_) => {
                let sender = Arc::new(Mutex::new(connect_h2(plan).await?));
                for _ in 0..plan.at_once {
                    workers.spawn(work_h2(plan.clone(), sender.clone(), calls.clone(), end));
                }
            }
        }
    }
    let mut tally = Tally::default();
    while let Some(worker) = workers.join_next().await {
        tally.add(worker?);
    }
    Ok(tally)
}

async fn work(plan: Plan, calls: Arc<Calls>, end: Instant) -> Tally {
    let mut tally = Tally::default();
    let mut request = calls.request();
    let mut buffer = vec![0; 64 << 10];
    // A connection that broke is opened again, but not for ever: a gateway that closes each would measure connects.
    while now() < end && tally.failed < 20 {
        let Ok(mut stream) = TcpStream::connect(plan.address).await else {
            tally.failure("cannot connect");
            continue;
        };
        drop(stream.set_nodelay(true));
        while now() < end {
            calls.turn(&mut request);
            let call = call(&mut stream, &request, &mut buffer, &mut tally);
            match tokio::time::timeout(CALL_MAX, call).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tally.failure(error);
                    break;
                }
                Err(elapsed) => {
                    tally.failure(elapsed);
                    break;
                }
            }
        }
    }
    tally
}

async fn call(stream: &mut TcpStream, request: &[u8], buffer: &mut [u8], tally: &mut Tally) -> Outcome<()> {
    let began = now();
    stream.write_all(request).await?;
    let mut answer = wire::Answer::default();
    let mut first = None;
    loop {
        let count = stream.read(buffer).await?;
        if count == 0 {
            return Err("the connection closed in the middle".into());
        }
        let whole = answer.take(&buffer[..count]);
        if first.is_none() && answer.has_body() {
            first = Some(began.elapsed());
        }
        if whole {
            break;
        }
    }
    note(tally, answer.status, answer.events, first.unwrap_or_default(), began.elapsed());
    if answer.status == 200 { Ok(()) } else { Err(format!("status {}", answer.status).into()) }
}

/// Notes a call that was answered.
pub fn note(tally: &mut Tally, status: u16, events: u64, first: Duration, whole: Duration) {
    if status == 200 {
        tally.events += events;
        tally.firsts.push(u64::try_from(first.as_nanos()).unwrap_or(u64::MAX));
        tally.calls.push(u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX));
    }
}

async fn connect_h2(plan: &Plan) -> Outcome<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(plan.address).await?;
    stream.set_nodelay(true)?;
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    if let Speech::TlsHttp2(folder) = &plan.speech {
        let stream = certificate::connector(folder)?.connect(plan.address.ip().into(), stream).await?;
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        drop(tokio::spawn(connection));
        return Ok(sender);
    }
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    drop(tokio::spawn(connection));
    Ok(sender)
}

/// The connection that some workers share; opened anew when the other side has asked for that (GOAWAY).
type Shared = Arc<Mutex<SendRequest<Full<Bytes>>>>;

async fn current(shared: &Shared, plan: &Plan) -> Outcome<SendRequest<Full<Bytes>>> {
    let mut sender = shared.lock().await;
    if sender.is_closed() {
        *sender = connect_h2(plan).await?;
    }
    Ok(sender.clone())
}

/// Whether a call never left, because its connection was asked to make way meanwhile.
fn never_left(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(|error| error.is_canceled() || error.is_closed())
}

async fn work_h2(plan: Plan, shared: Shared, calls: Arc<Calls>, end: Instant) -> Tally {
    let mut tally = Tally::default();
    let scheme = if matches!(plan.speech, Speech::TlsHttp2(_)) { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(plan.address.to_string()).path_and_query(plan.path.as_str()).build();
    let (Ok(uri), Ok(body)) = (uri, std::fs::read(&plan.body)) else {
        tally.failure("the plan names no address or no body");
        return tally;
    };
    let body = Bytes::from(body);
    while now() < end && tally.failed < 20 {
        let mut sender = match current(&shared, &plan).await {
            Ok(sender) => sender,
            Err(error) => {
                tally.failure(error);
                continue;
            }
        };
        let began = now();
        match tokio::time::timeout(CALL_MAX, call_h2(&mut sender, &uri, body.clone(), calls.key())).await {
            Ok(Ok(200)) => note(&mut tally, 200, 0, began.elapsed(), began.elapsed()),
            Ok(Ok(status)) => tally.failure(format!("status {status}")),
            Ok(Err(error)) if never_left(&*error) => {}
            Ok(Err(error)) => tally.failure(error),
            Err(elapsed) => tally.failure(elapsed),
        }
    }
    tally
}

async fn call_h2(sender: &mut SendRequest<Full<Bytes>>, uri: &Uri, body: Bytes, key: &str) -> Outcome<u16> {
    sender.ready().await?;
    let request = Request::builder().method(Method::POST).uri(uri.clone()).header("authorization", format!("Bearer {key}"));
    let request = request.header("content-type", "application/json").header("user-agent", "bench").body(Full::new(body))?;
    let mut response = sender.send_request(request).await?;
    while let Some(frame) = response.frame().await {
        frame?;
    }
    Ok(response.status().as_u16())
}
