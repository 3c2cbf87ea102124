//! Between an operator and the API server: what goes wrong on the way, as often as dice say.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use e2e::cluster::Cluster;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

/// What is thrown: a number below a thousand for each decision.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % 1000
    }
}

/// What happens to what passes. Watches end when it turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Nothing.
    Fair,
    /// Anything, now and then.
    Rough,
    /// Every watch is told that its version is too old; lists are answered.
    Forgetful,
    /// Every request is answered with 503.
    Closed,
    /// Every question for VirtualKeys is answered with 503, and all else is fair.
    Keyless,
    /// Every index of `main` is stored, and nobody hears of it; all else is fair.
    Deaf,
    /// Every index of `main` waits until the weather turns; all else is fair.
    Slow,
}

struct State {
    weather: watch::Sender<Weather>,
    dice: Dice,
    counted: BTreeMap<&'static str, usize>,
}

/// An API server that fails. Ends with this.
pub struct Proxy {
    state: Arc<Mutex<State>>,
    kubeconfig: NamedTempFile,
    listening: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Proxy {
    pub async fn start(cluster: &Cluster, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let kubeconfig = kubeconfig(listener.local_addr().expect("an address"));
        let mut config = cluster.config();
        config.default_retry = false;
        let client = kube::Client::try_from(config).expect("a client");
        let state = State { weather: watch::Sender::new(Weather::Fair), dice: Dice(seed | 1), counted: BTreeMap::new() };
        let state = Arc::new(Mutex::new(state));
        let listening = tokio::spawn(listen(listener, client, Arc::clone(&state)));
        Self { state, kubeconfig, listening }
    }

    /// How to reach it.
    pub fn kubeconfig(&self) -> &Path {
        self.kubeconfig.path()
    }

    pub fn weather(&self, weather: Weather) {
        look(&self.state).weather.send_replace(weather);
    }

    /// How often what went wrong.
    pub fn counted(&self) -> BTreeMap<&'static str, usize> {
        look(&self.state).counted.clone()
    }
}

fn look(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kubeconfig(address: SocketAddr) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
    });
    file.write_all(config.to_string().as_bytes()).expect("a file");
    file
}

async fn listen(listener: TcpListener, client: kube::Client, state: Arc<Mutex<State>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (client, state) = (client.clone(), Arc::clone(&state));
        connections.spawn(async move {
            let answer = service_fn(move |request| answer(request, client.clone(), Arc::clone(&state)));
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// What is done to one request.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Pass,
    Status(StatusCode),
    /// A watch is told that its version is too old, as the API server tells it: by an event.
    Expired,
    /// The connection ends without an answer.
    Dropped,
    /// It is done, and nobody hears of it.
    Lost,
    /// It waits for another weather.
    Waits,
    /// A watch ends in the middle of what it tells: in order, cut off, or with word that its version is too old.
    Ends(Duration, End),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Clean,
    Cut,
    Expired,
}

/// The fate of a request, and how long it waits for it.
fn fate(state: &Mutex<State>, request: &Request<Incoming>) -> (Duration, Fate) {
    let mut state = look(state);
    let weather = *state.weather.borrow();
    let watch = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
    let thrown = state.dice.throw();
    let fate = match (weather, request.method()) {
        (Weather::Fair, _) => Fate::Pass,
        (Weather::Forgetful, _) if watch => Fate::Expired,
        (Weather::Forgetful, _) => Fate::Pass,
        (Weather::Closed, _) => Fate::Status(StatusCode::SERVICE_UNAVAILABLE),
        (Weather::Keyless, _) if request.uri().path().ends_with("/virtualkeys") => Fate::Status(StatusCode::SERVICE_UNAVAILABLE),
        (Weather::Keyless, _) => Fate::Pass,
        (Weather::Deaf, &Method::PUT) if request.uri().path().ends_with("/configmaps/main-snapshot") => Fate::Lost,
        (Weather::Slow, &Method::PUT) if request.uri().path().ends_with("/configmaps/main-snapshot") => Fate::Waits,
        (Weather::Deaf | Weather::Slow, _) => Fate::Pass,
        (Weather::Rough, &Method::GET) if watch => {
            let time = Duration::from_millis(200 + 4 * state.dice.throw());
            match thrown {
                0..100 => Fate::Status(StatusCode::GONE),
                100..150 => Fate::Status(StatusCode::INTERNAL_SERVER_ERROR),
                150..200 => Fate::Status(StatusCode::TOO_MANY_REQUESTS),
                200..400 => Fate::Ends(time, End::Expired),
                400..600 => Fate::Ends(time, End::Cut),
                600..900 => Fate::Ends(time, End::Clean),
                _ => Fate::Pass,
            }
        }
        (Weather::Rough, &Method::GET) => match thrown {
            0..5 => Fate::Status(StatusCode::INTERNAL_SERVER_ERROR),
            5..10 => Fate::Dropped,
            10..15 if request.uri().query().is_some() => Fate::Status(StatusCode::GONE),
            15..40 => Fate::Status(StatusCode::TOO_MANY_REQUESTS),
            40..60 => Fate::Status(StatusCode::SERVICE_UNAVAILABLE),
            _ => Fate::Pass,
        },
        (Weather::Rough, _) => match thrown {
            0..40 => Fate::Status(StatusCode::CONFLICT),
            40..80 => Fate::Lost,
            80..110 => Fate::Dropped,
            110..140 => Fate::Status(StatusCode::INTERNAL_SERVER_ERROR),
            140..170 => Fate::Status(StatusCode::TOO_MANY_REQUESTS),
            170..190 => Fate::Status(StatusCode::SERVICE_UNAVAILABLE),
            _ => Fate::Pass,
        },
    };
    let waits = if weather == Weather::Rough && state.dice.throw() < 80 { 2 * state.dice.throw() } else { 0 };
    let name = match fate {
        Fate::Pass => "passed",
        Fate::Expired => "watch too old",
        Fate::Status(status) => status.canonical_reason().unwrap_or("another status"),
        Fate::Dropped => "dropped before it was done",
        Fate::Lost => "done, and the answer lost",
        Fate::Waits => "waits",
        Fate::Ends(_, End::Clean) => "watch ended",
        Fate::Ends(_, End::Cut) => "watch cut off",
        Fate::Ends(_, End::Expired) => "watch expired",
    };
    *state.counted.entry(name).or_default() += 1;
    *state.counted.entry("delayed").or_default() += usize::from(waits > 0);
    (Duration::from_millis(waits), fate)
}

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

async fn answer(request: Request<Incoming>, client: kube::Client, state: Arc<Mutex<State>>) -> std::io::Result<Answer> {
    let (waits, fate) = fate(&state, &request);
    if !waits.is_zero() {
        sleep(waits).await;
    }
    let turned = turned(look(&state).weather.subscribe());
    match fate {
        Fate::Pass => pass(request, client, Box::pin(turned), End::Cut).await,
        Fate::Ends(after, end) => {
            let sooner = async move {
                tokio::select! {
                    () = sleep(after) => {}
                    () = turned => {}
                }
            };
            pass(request, client, Box::pin(sooner), end).await
        }
        Fate::Waits => {
            turned.await;
            let fair = self::turned(look(&state).weather.subscribe());
            let done = pass(request, client, Box::pin(fair), End::Cut).await;
            *look(&state).counted.entry("waited, and done").or_default() += 1;
            done
        }
        Fate::Expired => {
            let body = Full::new(Bytes::from(expired())).map_err(|never| match never {});
            Ok(Response::new(body.boxed_unsync()))
        }
        Fate::Status(status) => Ok(refusal(status)),
        Fate::Dropped => Err(std::io::ErrorKind::ConnectionReset.into()),
        Fate::Lost => {
            let done = pass(request, client, Box::pin(turned), End::Cut).await?;
            drop(done.into_body().collect().await);
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
}

/// Waits until the weather turns.
async fn turned(mut weather: watch::Receiver<Weather>) {
    drop(weather.changed().await);
}

fn expired() -> String {
    json!({"type": "ERROR", "object": status(StatusCode::GONE)}).to_string() + "\n"
}

/// As the API server refuses.
fn refusal(status: StatusCode) -> Answer {
    let body = self::status(status);
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::TOO_MANY_REQUESTS {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

fn status(status: StatusCode) -> serde_json::Value {
    let reason = match status {
        StatusCode::GONE => "Expired",
        StatusCode::CONFLICT => "Conflict",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status.as_u16(),
        "reason": reason, "message": "a fault of the test",
    })
}

type Moment = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Passes a request on; what comes ends at a moment, if not before.
async fn pass(request: Request<Incoming>, client: kube::Client, after: Moment, end: End) -> std::io::Result<Answer> {
    let (head, body) = request.into_parts();
    let mut onward = Request::builder().method(head.method).uri(head.uri.path_and_query().expect("a path").as_str());
    for name in [header::ACCEPT, header::CONTENT_TYPE] {
        if let Some(value) = head.headers.get(&name) {
            onward = onward.header(name, value);
        }
    }
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let onward = onward.body(kube::client::Body::from(body)).expect("a request");
    let (mut head, body) = client.send(onward).await.map_err(std::io::Error::other)?.into_parts();
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
        head.headers.remove(name);
    }
    let body = body.map_err(std::io::Error::other).boxed_unsync();
    let body = Ending { body, after, end: Some(end) }.boxed_unsync();
    Ok(Response::from_parts(head, body))
}

/// A body that ends too soon.
struct Ending {
    body: UnsyncBoxBody<Bytes, std::io::Error>,
    after: Moment,
    /// None once it has ended.
    end: Option<End>,
}

impl Body for Ending {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        let Some(end) = self.end else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        ready!(self.after.as_mut().poll(context));
        self.end = None;
        Poll::Ready(match end {
            End::Clean => None,
            End::Cut => Some(Err(std::io::ErrorKind::ConnectionReset.into())),
            End::Expired => Some(Ok(Frame::data(Bytes::from(expired())))),
        })
    }
}
