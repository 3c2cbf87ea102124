//! Reading a request's body within bounds of size, time and the process's memory.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use providers::multipart;
use snapshot::{Gateway, Surface};
use tokio::time::timeout;

use super::spool::{Keeper, Spool};
use crate::exchange::{Body, FormBody, Refusal};
use crate::limits::{BodyPermit, Hold};
use crate::serve::Intake;

/// A body that is sent for longer than this is not sent in good faith.
const BODY_TIME_MAX: Duration = Duration::from_secs(300);

/// What is read of a body that nobody wants, so that the client gets to read its refusal.
const DISCARDED_BYTES_MAX: u64 = 128 << 20;

/// For so long.
const DISCARDED_TIME_MAX: Duration = Duration::from_secs(10);

/// The longest wait for the next piece, in a process where it is configured.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    pub(super) idle: Duration,
}

/// A body not yet read. Dropped unread, it is discarded in the background, within bounds.
pub(super) struct Unread {
    incoming: Option<Incoming>,
    limits: BodyLimits,
    content: Result<Content, Refusal>,
    spool: Spool,
}

/// What a body says that it is.
enum Content {
    Json,
    Form(Announced),
}

/// What the head says of a form.
struct Announced {
    /// Its content type.
    kind: HeaderValue,
    boundary: Vec<u8>,
    /// The model that a header names.
    model: Option<String>,
    /// A file that is to be kept.
    is_upload: bool,
}

impl Unread {
    pub(super) fn new(incoming: Incoming, headers: &HeaderMap, limits: BodyLimits, surface: Option<Surface>, spool: Spool) -> Self {
        let content = if surface.is_some_and(Surface::is_form) { form(headers, surface == Some(Surface::Files)) } else { json(headers) };
        Self { incoming: Some(incoming), limits, content, spool }
    }

    /// One of any kind, for a call that nobody reads: it is kept as JSON is.
    pub(super) fn of_any_kind(mut self) -> Self {
        self.content = Ok(Content::Json);
        self
    }
}

impl Intake for Unread {
    async fn read(mut self, hold: &Hold, gateway: &Gateway) -> Result<(Body, BodyPermit), Refusal> {
        let content = std::mem::replace(&mut self.content, Ok(Content::Json))?;
        let idle = self.limits.idle;
        let Some(incoming) = &mut self.incoming else { return Err(Refusal::BodyIncomplete) };
        let announced = incoming.size_hint().exact();
        let (limit, field) = match content {
            Content::Json => (gateway.body_bytes_max, "maxBodyBytes"),
            Content::Form(_) => (gateway.form_bytes_max, "maxFormBytes"),
        };
        let bound = Bound { limit, field };
        bound.holds(announced.unwrap_or(0))?;
        let announced = announced.unwrap_or(0);
        let reading = async {
            match content {
                Content::Json => collect(incoming, hold.body(announced)?, bound, idle).await,
                // Boxed, because it is rare and keeps much at hand.
                Content::Form(head) => {
                    let keeper = Keeper::new(&self.spool, hold, announced)?;
                    Box::pin(gather(incoming, keeper, head, bound, idle)).await
                }
            }
        };
        let read = timeout(BODY_TIME_MAX, reading).await.unwrap_or(Err(Refusal::BodyTimeout));
        if read.is_ok() {
            self.incoming = None;
        }
        read
    }
}

/// How large a body may be, and which field of the gateway says so.
#[derive(Clone, Copy)]
struct Bound {
    limit: u64,
    field: &'static str,
}

impl Bound {
    fn holds(self, bytes: u64) -> Result<(), Refusal> {
        if bytes > self.limit { Err(Refusal::BodyTooLarge { limit: self.limit, field: self.field }) } else { Ok(()) }
    }
}

/// Reads a form while it comes, and keeps its bytes.
async fn gather(
    incoming: &mut Incoming,
    mut keeper: Keeper,
    head: Announced,
    bound: Bound,
    idle: Duration,
) -> Result<(Body, BodyPermit), Refusal> {
    let mut reader = if head.is_upload { multipart::Reader::of_upload(&head.boundary) } else { multipart::Reader::new(&head.boundary) };
    while let Some(frame) = next(incoming, idle).await? {
        let Ok(data) = frame.map_err(|_| Refusal::BodyIncomplete)?.into_data() else { continue };
        bound.holds(keeper.bytes() + data.len() as u64)?;
        reader.push(&data).map_err(Refusal::BadBody)?;
        keeper.keep(&data).await?;
    }
    let form = reader.finish(head.model.as_deref()).map_err(Refusal::BadBody)?;
    let (kept, permit) = keeper.finish().await?;
    Ok((Body::Form(Box::new(FormBody { form, content_type: head.kind, kept })), permit))
}

async fn collect(incoming: &mut Incoming, mut permit: BodyPermit, bound: Bound, idle: Duration) -> Result<(Body, BodyPermit), Refusal> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let frame = next(incoming, idle).await?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| Refusal::BodyIncomplete)?.into_data() else { continue };
        let so_far = (first.len() + rest.len() + data.len()) as u64;
        bound.holds(so_far)?;
        if so_far > permit.bytes() {
            permit.grow(so_far - permit.bytes())?;
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            // The announced length is covered by the permit, so that it may be reserved at once.
            let room = usize::try_from(permit.bytes()).unwrap_or(0).max(so_far as usize);
            rest.reserve(room);
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok((Body::Here(if rest.is_empty() { first } else { rest.freeze() }), permit))
}

/// The next piece. Most of a body comes with its head: only what is not there yet is waited for with an eye on the clock.
async fn next(incoming: &mut Incoming, idle: Duration) -> Result<Option<hyper::Result<Frame<Bytes>>>, Refusal> {
    let there = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *incoming).poll_frame(cx))).await;
    match there {
        Poll::Ready(frame) => Ok(frame),
        Poll::Pending => timeout(idle, incoming.frame()).await.map_err(|_| Refusal::BodyTimeout),
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take()
            && !incoming.is_end_stream()
            && tokio::runtime::Handle::try_current().is_ok()
        {
            tokio::spawn(timeout(DISCARDED_TIME_MAX, discard(incoming)));
        }
    }
}

async fn discard(mut incoming: Incoming) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = incoming.frame().await {
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if bytes > DISCARDED_BYTES_MAX {
            return;
        }
    }
}

const JSON: &str = "JSON, not compressed, with `content-type: application/json`";
const FORM: &str = "a form, not compressed, with `content-type: multipart/form-data; boundary=...`";

fn other(value: Option<&HeaderValue>, wanted: &'static str) -> Refusal {
    let found = value.map_or("?", |value| value.to_str().unwrap_or("?"));
    Refusal::ContentType { found: found.chars().take(64).collect(), wanted }
}

fn is_compressed(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(CONTENT_ENCODING).filter(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn json(headers: &HeaderMap) -> Result<Content, Refusal> {
    if let Some(encoding) = is_compressed(headers) {
        return Err(other(Some(encoding), JSON));
    }
    match headers.get(CONTENT_TYPE) {
        Some(kind) if !is_json(kind.as_bytes()) => Err(other(Some(kind), JSON)),
        _ => Ok(Content::Json),
    }
}

fn form(headers: &HeaderMap, is_upload: bool) -> Result<Content, Refusal> {
    if let Some(encoding) = is_compressed(headers) {
        return Err(other(Some(encoding), FORM));
    }
    let kind = headers.get(CONTENT_TYPE).ok_or_else(|| other(None, FORM))?;
    let boundary = multipart::boundary(kind.as_bytes()).map_err(|_| other(Some(kind), FORM))?;
    let model = headers.get("x-portolan-model").map(|model| String::from_utf8_lossy(model.as_bytes()).into_owned());
    Ok(Content::Form(Announced { kind: kind.clone(), boundary, model, is_upload }))
}

fn is_json(kind: &[u8]) -> bool {
    let essence = kind.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"application/json") || essence.len() > 5 && essence[essence.len() - 5..].eq_ignore_ascii_case(b"+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: http::HeaderName, value: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        json(&headers).is_ok()
    }

    #[test]
    fn a_body_may_be_json_by_any_of_its_names_or_say_nothing() {
        assert!(json(&HeaderMap::new()).is_ok());
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=utf-8", "application/vnd.api+json"] {
            assert!(check(CONTENT_TYPE, kind), "{kind}");
        }
        for kind in ["text/plain", "multipart/form-data; boundary=x", "application/jsonl", "application/x-www-form-urlencoded", "+json", ""]
        {
            assert!(!check(CONTENT_TYPE, kind), "{kind}");
        }
    }

    #[test]
    fn a_compressed_body_is_not_taken() {
        for encoding in ["gzip", "br", "zstd", "deflate", "identity, gzip"] {
            assert!(!check(CONTENT_ENCODING, encoding), "{encoding}");
        }
        assert!(check(CONTENT_ENCODING, "Identity"));
    }
}
