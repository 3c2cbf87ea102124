//! One try at one target: take or open a connection, send, and read as far as the commit point.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use providers::fault::Fault;
use providers::passage::{Passage, Pushed, Raw};
use providers::simulated::{self, Heard};
use snapshot::{FailureClass, ProviderKind, Simulated, Surface, Timeouts};
use tokio::time::timeout_at;

use super::classify::{ours, told, unreadable};
use super::connection::Connection;
use super::dress::Dress;
use super::pieces::{Pieces, Sent};
use super::pool::Lease;
use super::scripted::Scripted;
use super::unread::{self, Shape};
use super::wire::Wire;
use super::{Failure, Upstream};
use crate::clock::Instant;
use crate::exchange::{Answer, Attempt, Room, Source, Streaming};
use crate::live::Origin;

/// Largest answer that is not streamed, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Largest error body that is read, in bytes.
pub(super) const ERROR_BYTES_MAX: usize = 64 << 10;

/// What a stream may say before its first event, in bytes: comments and keep-alives.
const PRELUDE_BYTES_MAX: usize = 1 << 20;

/// Who asks.
pub(super) const AGENT: HeaderValue = HeaderValue::from_static(concat!("portolan/", env!("CARGO_PKG_VERSION")));

/// A simulated provider has no endpoint with time limits of its own.
const SIMULATED_TOTAL: Duration = Duration::from_secs(600);

/// What the head of a client's request says to an attempt.
#[derive(Debug, Default)]
pub struct Headers {
    /// Headers that concern the provider, passed on when both speak one dialect.
    passed_on: Vec<(HeaderName, HeaderValue)>,
    /// How long the client waits for an answer, or for the first event of a stream.
    pub(super) patience: Option<Duration>,
}

impl Headers {
    /// Picks them out of a request's head. A header that names something at the provider, such as `idempotency-key`, is
    /// none of them: whoever knew another tenant's value would be given that tenant's answer.
    #[must_use]
    pub fn of_client(headers: &HeaderMap, patience: Option<Duration>) -> Self {
        const NAMES: [&str; 3] = ["anthropic-beta", "anthropic-version", "openai-beta"];
        let found = NAMES.iter().flat_map(|name| headers.get_all(*name).iter().map(|value| (HeaderName::from_static(name), value.clone())));
        Self { passed_on: found.collect(), patience }
    }

    /// The values of one of them.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.passed_on.iter().filter(move |(found, _)| found.as_str() == name).filter_map(|(_, value)| value.to_str().ok())
    }

    /// Puts them in the place of what is there; one that came on several lines stays on several.
    pub(super) fn put(&self, headers: &mut HeaderMap) {
        let mut last = None;
        for (name, value) in &self.passed_on {
            if last == Some(name) {
                headers.append(name, value.clone());
            } else {
                headers.insert(name, value.clone());
            }
            last = Some(name);
        }
    }
}

impl Upstream {
    pub(super) async fn attempt(
        &self,
        attempt: &Attempt,
        (passage, dress, sent): (&Passage, &Dress, Sent<'_>),
        stream: bool,
        headers: &Headers,
        room: &mut dyn Room,
    ) -> Result<Answer, Failure> {
        let provider = &attempt.provider;
        match (&provider.provider.kind, &provider.origin) {
            (ProviderKind::Simulated(config), _) => Box::pin(self.play(attempt, config, (passage, sent), (stream, headers), room)).await,
            (kind, Some(origin)) => {
                let timeouts = kind.endpoint().map_or(origin.endpoint.timeouts, |endpoint| endpoint.timeouts);
                let limits = Limits::new(timeouts, self.clock.now(), headers.patience, stream);
                let mut forgotten = false;
                let refused = |detail| ours(FailureClass::BadRequest, "the request cannot be sent", detail);
                loop {
                    let mut request = request(attempt, passage, sent, stream, headers).map_err(refused)?;
                    let shown = match &provider.identity {
                        Some(identity) => {
                            let shown = Box::pin(self.prove(identity, &mut request, sent.signed(), &limits)).await?;
                            Some((identity, shown))
                        }
                        None => None,
                    };
                    let begun = self.exchange(origin, request, sent, &limits).await?;
                    let tried = self.read(begun, (passage, dress), stream, &limits, room).await;
                    // What ended before its time, or was revoked, is asked for anew, once.
                    if let (Err(failure), Some((identity, shown))) = (&tried, &shown)
                        && failure.fault.class == FailureClass::AuthFailed
                        && !forgotten
                        && self.forget(identity, shown)
                    {
                        forgotten = true;
                        room.begin();
                        continue;
                    }
                    return tried;
                }
            }
            (_, None) => Err(ours(FailureClass::ConnectError, "the provider has no address", "a provider without an origin".to_owned())),
        }
    }

    /// Sends on a pooled connection or a new one. Only a request that never left is sent again.
    pub(super) async fn exchange(
        &self,
        origin: &Arc<Origin>,
        request: Request<Pieces>,
        sent: Sent<'_>,
        limits: &Limits,
    ) -> Result<Begun, Failure> {
        let mut request = request;
        loop {
            let pooled = self.pool.take(origin.number, self.clock.now());
            let reused = pooled.is_some();
            let mut connection = match pooled {
                Some(connection) => connection,
                // Boxed, like what is simulated: what is rare must not make the future of every call larger.
                None => Box::pin(self.open(origin, limits)).await?,
            };
            let first_byte = limits.first_byte(self.clock.now());
            let answered = timeout_at(first_byte, connection.send(request)).await;
            let lease = |connection| Lease { connection, origin: origin.number, pool: self.pool.clone() };
            match answered {
                Err(_) => return Err(late("no answer began within the first-byte time")),
                Ok(Ok(response)) => return Ok(Begun { response, lease: lease(connection), first_byte }),
                Ok(Err(mut error)) => match error.take_message() {
                    Some(mut unsent) if reused => {
                        *unsent.body_mut() = Pieces::of(sent);
                        request = unsent;
                    }
                    _ => {
                        return Err(ours(
                            FailureClass::ConnectError,
                            "the connection to the provider broke",
                            format!("{}", error.into_error()),
                        ));
                    }
                },
            }
        }
    }

    async fn open(&self, origin: &Arc<Origin>, limits: &Limits) -> Result<Connection, Failure> {
        let failed = |detail: String| ours(FailureClass::ConnectError, "the provider cannot be reached", detail);
        let opening = async {
            let dialled = self.dial.dial(origin).await.map_err(|error| failed(error.to_string()))?;
            Connection::open(dialled).await.map_err(|error| failed(error.to_string()))
        };
        let deadline = limits.connect(self.clock.now());
        timeout_at(deadline, opening).await.unwrap_or_else(|_| Err(failed("no connection within the connect time".to_owned())))
    }

    async fn read(
        &self,
        begun: Begun,
        (passage, dress): (&Passage, &Dress),
        stream: bool,
        limits: &Limits,
        room: &mut dyn Room,
    ) -> Result<Answer, Failure> {
        let Begun { response, lease, first_byte } = begun;
        let (head, incoming) = response.into_parts();
        let status = head.status.as_u16();
        let wire = Wire::new(incoming, lease, self.clock.clone(), limits.idle, limits.total);
        if !head.status.is_success() {
            let body = whole(wire, ERROR_BYTES_MAX, room).await.unwrap_or_default();
            let same = matches!(passage, Passage::Same(_));
            return Err(told(passage.surface(), same, status, &head.headers, body, self.clock.unix_ms()));
        }
        if let Some(detail) = unreadable(&head.headers) {
            return Err(ours(FailureClass::InvalidResponse, "the provider's answer cannot be read", detail));
        }
        let kind = head.headers.get(CONTENT_TYPE);
        match unread::shape(passage, stream, kind) {
            Shape::Events => return begin(Box::pin(wire), passage, first_byte).await,
            Shape::Raw => return unread::begin(Box::pin(wire), kind, first_byte).await,
            Shape::Json => {}
        }
        let body = whole(wire, ANSWER_BYTES_MAX, room).await?;
        read_whole(dress.undress(body, &head.headers).map_err(no_answer)?, passage)
    }

    async fn play(
        &self,
        attempt: &Attempt,
        config: &Simulated,
        (passage, sent): (&Passage, Sent<'_>),
        (stream, headers): (bool, &Headers),
        room: &mut dyn Room,
    ) -> Result<Answer, Failure> {
        let turn = attempt.provider.turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut body = BytesMut::new();
        passage.request().iter().for_each(|piece| body.extend_from_slice(piece));
        let heard = match sent {
            Sent::Pieces(_) => Heard::Json(&body),
            Sent::Form(form, _) => Heard::Form(&form.form),
        };
        let script = simulated::play(config, passage.surface(), heard, turn);
        let kind = HeaderValue::from_static(script.content_type);
        let (total, begun) = ends(self.clock.now(), SIMULATED_TOTAL, headers.patience, stream);
        let source = Scripted::new(script.beats, self.clock.clone(), total);
        if script.status >= 400 {
            let body = whole(source, ERROR_BYTES_MAX, room).await?;
            let mut headers = HeaderMap::new();
            if let Some(seconds) = script.retry_after_seconds {
                headers.insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            let same = matches!(passage, Passage::Same(_));
            return Err(told(passage.surface(), same, script.status, &headers, body, self.clock.unix_ms()));
        }
        match unread::shape(passage, stream, Some(&kind)) {
            Shape::Events => begin(Box::pin(source), passage, begun).await,
            Shape::Raw => unread::begin(Box::pin(source), Some(&kind), begun).await,
            Shape::Json => read_whole(whole(source, ANSWER_BYTES_MAX, room).await?, passage),
        }
    }
}

/// A head that came, and what is to follow.
pub(super) struct Begun {
    pub(super) response: Response<Incoming>,
    pub(super) lease: Lease,
    /// The deadline of the first byte, which a stream's head does not meet: its first event must.
    first_byte: Instant,
}

/// When each wait of an attempt ends.
pub(super) struct Limits {
    timeouts: Timeouts,
    pub(super) idle: Duration,
    pub(super) total: Instant,
    /// When the answer must have begun, however long the provider may take for its first byte.
    begun: Instant,
}

impl Limits {
    pub(super) fn new(timeouts: Timeouts, now: Instant, patience: Option<Duration>, stream: bool) -> Self {
        let (total, begun) = ends(now, Duration::from_millis(timeouts.total_ms.into()), patience, stream);
        Self { timeouts, idle: Duration::from_millis(timeouts.idle_ms.into()), total, begun }
    }

    pub(super) fn connect(&self, now: Instant) -> Instant {
        self.begun.min(now + Duration::from_millis(self.timeouts.connect_ms.into()))
    }

    pub(super) fn first_byte(&self, now: Instant) -> Instant {
        self.begun.min(now + Duration::from_millis(self.timeouts.first_byte_ms.into()))
    }
}

/// When an attempt must have ended, and when it must have begun to answer. A client's patience shortens and never lengthens;
/// that for a stream ends with its first event.
fn ends(now: Instant, total: Duration, patience: Option<Duration>, stream: bool) -> (Instant, Instant) {
    let total = now + total;
    let begun = patience.map_or(total, |patience| total.min(now + patience));
    (if stream { total } else { begun }, begun)
}

fn request(attempt: &Attempt, passage: &Passage, sent: Sent<'_>, stream: bool, client: &Headers) -> Result<Request<Pieces>, String> {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
    const FRAMES: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");
    const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
    const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");
    let provider = &attempt.provider;
    let path = provider.path(passage.surface(), &attempt.model, stream).ok_or("the provider does not speak this surface")?;
    let mut request = Request::new(Pieces::of(sent));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target(provider, path)?;
    let headers = request.headers_mut();
    headers.reserve(8);
    headers.insert(HOST, provider.host.clone());
    let kind = match sent {
        Sent::Pieces(_) => JSON,
        Sent::Form(form, _) => form.content_type.clone(),
    };
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(
        ACCEPT,
        if passage.raw() != Raw::Never && !stream {
            ANYTHING
        } else if !stream {
            JSON
        } else if passage.surface() == Surface::Converse {
            FRAMES
        } else if passage.surface() == Surface::OllamaChat {
            LINES
        } else {
            EVENTS
        },
    );
    headers.insert(USER_AGENT, AGENT);
    // Where Anthropic's models stand on Vertex AI, its headers are in the body.
    let in_body = matches!(provider.provider.kind, ProviderKind::VertexAi(_));
    if matches!(passage.surface(), Surface::Messages | Surface::CountTokens) && !in_body {
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    }
    if matches!(passage, Passage::Same(_)) && !in_body {
        client.put(headers);
    }
    if let Some((name, value)) = &provider.credential {
        headers.insert(name, value.expose().clone());
    } else {
        headers.remove(AUTHORIZATION);
    }
    Ok(request)
}

/// HTTP/1.1 wants the path alone, HTTP/2 the authority too: hyper makes the one out of the other, so an absolute form
/// is given only where TLS may have chosen HTTP/2.
pub(super) fn target(provider: &crate::live::LiveProvider, path: http::uri::PathAndQuery) -> Result<Uri, String> {
    let Some(authority) = &provider.authority else { return Ok(Uri::from(path)) };
    let parts = Uri::builder().scheme("https").authority(authority.clone()).path_and_query(path);
    parts.build().map_err(|error| error.to_string())
}

/// Reads a body to its end. One frame is handed on as it is.
pub(super) async fn whole<B>(body: B, bytes_max: usize, room: &mut dyn Room) -> Result<Bytes, Failure>
where
    B: http_body::Body<Data = Bytes, Error = crate::exchange::Broken>,
{
    let mut body = std::pin::pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|broken| {
            let message = if broken.class == FailureClass::Timeout {
                "the provider's answer came too late"
            } else {
                "the provider's answer broke off"
            };
            ours(broken.class, message, broken.detail)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        room.more(data.len() as u64).map_err(|full| {
            let failure = ours(FailureClass::Overloaded, "the answer found no room", "the answer found no room here".to_owned());
            Failure { full: Some(Box::new(full)), ..failure }
        })?;
        if first.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        if rest.len() + data.len() > bytes_max {
            return Err(ours(FailureClass::InvalidResponse, "the provider's answer is too large", format!("more than {bytes_max} bytes")));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn read_whole(body: Bytes, passage: &Passage) -> Result<Answer, Failure> {
    let read = passage.read_whole(body);
    read.map(|whole| Answer::Whole(Box::new(whole))).map_err(no_answer)
}

/// What came with a status of success and is no answer.
fn no_answer(fault: Fault) -> Failure {
    Failure {
        detail: format!("status 200 with {}", fault.class.word()),
        fault: Box::new(fault),
        status: Some(200),
        retry_after: None,
        verbatim: None,
        full: None,
    }
}

/// Reads until the first real event, which decides whether this is an answer.
async fn begin(mut source: Source, passage: &Passage, deadline: Instant) -> Result<Answer, Failure> {
    let mut reader = passage.stream_reader();
    let mut first = BytesMut::new();
    loop {
        let frame = timeout_at(deadline, source.frame()).await.map_err(|_| late("no first event within the first-byte time"))?;
        let Pushed { bytes, fault } = match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => reader.push(data),
                Err(_) => continue,
            },
            Some(Err(broken)) => return Err(ours(broken.class, "the provider's stream broke off before it began", broken.detail)),
            None => match reader.finish() {
                Pushed { fault: None, .. } if !reader.has_begun() => {
                    return Err(ours(
                        FailureClass::InvalidResponse,
                        "the provider's stream is empty",
                        "a stream without an event".to_owned(),
                    ));
                }
                ended => ended,
            },
        };
        if let Some(fault) = fault {
            if !reader.has_begun() {
                let detail = format!("the first event is {}", fault.class.word());
                let verbatim = fault.verbatim.clone();
                return Err(Failure { fault: Box::new(fault), status: Some(200), retry_after: None, verbatim, detail, full: None });
            }
            first.extend_from_slice(&bytes);
            return Ok(Answer::Stream(Box::new(Streaming { first: first.freeze(), fault: Some(fault), reader, source })));
        }
        if first.is_empty() && reader.has_begun() {
            return Ok(Answer::Stream(Box::new(Streaming { first: bytes, fault: None, reader, source })));
        }
        first.extend_from_slice(&bytes);
        if reader.has_begun() {
            return Ok(Answer::Stream(Box::new(Streaming { first: first.freeze(), fault: None, reader, source })));
        }
        if first.len() > PRELUDE_BYTES_MAX {
            let detail = format!("more than {PRELUDE_BYTES_MAX} bytes before the first event");
            return Err(ours(FailureClass::InvalidResponse, "the provider's stream does not begin", detail));
        }
    }
}

pub(super) fn late(detail: &str) -> Failure {
    ours(FailureClass::Timeout, "the provider did not answer in time", detail.to_owned())
}
