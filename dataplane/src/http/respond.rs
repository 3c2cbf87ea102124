//! One request at the door: which room it is for, and the head of its reply.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, UPGRADE, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use snapshot::{Dialect, Surface};

use super::body::ReplyBody;
use super::intake::{BodyLimits, Unread};
use super::path::{self, Asked};
use super::sessions::Upgrade;
use super::spool::Spool;
use super::{cors, models, realtime, refusal, stored, through};
use crate::auth;
use crate::exchange::{CallId, ClientRequestId, Refusal};
use crate::live::Live;
use crate::serve::{self, Entry, Rooms, SayFault, Wish};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

/// What a core's door knows.
pub struct Door {
    /// The rooms behind it.
    pub rooms: Rooms,
    /// The process is leaving: answers on HTTP/1.1 close their connection.
    pub draining: Arc<AtomicBool>,
    /// The longest wait for the next piece of a body.
    pub body_idle: Duration,
    /// Where forms are spooled.
    pub spool: Spool,
}

/// Answers one request, whatever it is.
///
/// # Errors
/// Never.
pub async fn handle(door: Arc<Door>, request: Request<Incoming>) -> Result<Response<ReplyBody>, Infallible> {
    let (mut head, incoming) = request.into_parts();
    let upgrade = Upgrade::of(&mut head);
    let rooms = &door.rooms;
    let call = CallId::new(rooms.clock.unix_ms(), rooms.dice.roll());
    let id_in = |name: &str| head.headers.get(name).and_then(|value| ClientRequestId::new(value.as_bytes()));
    let trace = id_in("x-portkey-trace-id");
    let client_request = id_in("x-request-id").or_else(|| trace.clone());
    let request_id = request_id(&call, client_request.as_ref());
    let live = rooms.live.current();
    let origin = live.as_ref().and_then(|live| cors::allowed(&live.gateway.cors, &head.headers));
    let varies = live.as_ref().is_some_and(|live| cors::varies(&live.gateway.cors));
    let mut reply = match live {
        None => refuse(Refusal::NotReady, path::dialect(head.uri.path()), &call, None),
        Some(_) if origin.is_some() && cors::is_preflight(&head.method, &head.headers) => preflight(head.uri.path(), &head.headers),
        Some(live) => answer(&door, (&head, upgrade), incoming, live, call, client_request).await,
    };
    let switched = reply.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = reply.headers_mut();
    headers.insert("x-request-id", request_id);
    if let Ok(id) = HeaderValue::from_str(call.as_str()) {
        headers.insert("x-portolan-call-id", id);
    }
    if let Some(trace) = trace.and_then(|trace| HeaderValue::from_str(trace.as_str()).ok()) {
        headers.insert("x-portkey-trace-id", trace);
    }
    if varies {
        headers.insert(VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = origin {
        cors::tell(headers, origin);
    }
    if head.version < Version::HTTP_2 && door.draining.load(Relaxed) && !switched {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(reply)
}

async fn answer(
    door: &Door,
    (head, upgrade): (&Parts, Option<Upgrade>),
    incoming: Incoming,
    live: Arc<Live>,
    call: CallId,
    client_request: Option<ClientRequestId>,
) -> Response<ReplyBody> {
    let rooms = &door.rooms;
    let asked = path::parse(&head.method, head.uri.path());
    let surface = match &asked {
        Ok(Asked::Call(surface)) => Some(*surface),
        Ok(Asked::Path { .. }) => Some(Surface::Proxy),
        Ok(Asked::Session) => Some(Surface::Realtime),
        Ok(Asked::Stored { surface, .. }) => Some(*surface),
        Ok(Asked::Models | Asked::Model(_)) | Err(_) => None,
    };
    let dialect = surface.map_or_else(|| path::dialect(head.uri.path()), Surface::dialect);
    let mut entry = Some(Entry::open(rooms.books.clone(), rooms.clock.clone(), live.clone(), call, client_request, surface));
    let unread = Unread::new(incoming, &head.headers, BodyLimits { idle: door.body_idle }, surface, door.spool.clone());
    let say = |surface| -> SayFault { Box::new(move |fault, reader| refusal::tell_in_stream(fault, reader, surface, call.as_str())) };
    let answered = match asked {
        Ok(Asked::Call(surface)) => {
            serve::serve(rooms, &mut entry, Wish::Surface(surface), &head.headers, unread, say(surface)).await.map(relayed)
        }
        Ok(Asked::Path { provider, path }) => match through::read(head, provider, path) {
            Ok(through) => {
                let wish = Wish::Path(Box::new(through));
                serve::serve(rooms, &mut entry, wish, &head.headers, unread.of_any_kind(), say(Surface::Proxy)).await.map(relayed)
            }
            Err(refusal) => Err(refusal),
        },
        Ok(Asked::Session) => opened(rooms, head, upgrade, &mut entry).await,
        Ok(Asked::Stored { surface, deed, id }) => match stored::read(head, (surface, deed), id) {
            Ok(wanted) => {
                // A form is sent; what asks for something has no body, or one that nobody reads.
                let unread = if deed == path::Asking::Send { unread } else { unread.of_any_kind() };
                serve::serve(rooms, &mut entry, Wish::Stored(Box::new(wanted)), &head.headers, unread, say(surface)).await.map(relayed)
            }
            Err(refusal) => Err(refusal),
        },
        Ok(Asked::Models) => listed(rooms, head, &live, None, &mut entry),
        Ok(Asked::Model(model)) => listed(rooms, head, &live, Some(model), &mut entry),
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(reply) => {
            if let Some(entry) = entry {
                let bytes = http_body::Body::size_hint(reply.body()).exact().unwrap_or(0);
                entry.end_at_door(reply.status().as_u16(), crate::exchange::Ending::Answered, bytes);
            }
            reply
        }
        Err(refusal) => {
            let dialect = if surface.is_none() && dialect == Dialect::OpenAi { models::dialect(&head.headers) } else { dialect };
            refuse(refusal, dialect, &call, entry)
        }
    }
}

fn relayed(mut reply: serve::Reply) -> Response<ReplyBody> {
    let raw = reply.raw.take().and_then(|(status, headers)| Some((status.try_into().ok()?, headers)));
    if let Some(entry) = reply.body.closing() {
        entry.answered_with(raw.as_ref().map_or(StatusCode::OK, |(status, _)| *status).as_u16());
    }
    let mut response = Response::new(ReplyBody::Relay(Box::new(reply.body)));
    if let Some((status, headers)) = raw {
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        return response;
    }
    let headers = response.headers_mut();
    if reply.stream {
        headers.insert(CONTENT_TYPE, EVENTS);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // Some proxies in front gather a stream unless they are told not to.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    } else {
        headers.insert(CONTENT_TYPE, JSON);
    }
    if reply.estimate {
        headers.insert("x-portolan-estimate", HeaderValue::from_static("true"));
    }
    if !reply.dropped.is_empty()
        && let Ok(dropped) = HeaderValue::from_str(&reply.dropped)
    {
        headers.insert("x-portolan-dropped", dropped);
    }
    response
}

/// Opens a session, and leaves it to a task of its own.
async fn opened(rooms: &Rooms, head: &Parts, upgrade: Option<Upgrade>, entry: &mut Option<Entry>) -> Result<Response<ReplyBody>, Refusal> {
    let hand = realtime::read(head)?;
    let upgrade = upgrade.ok_or(Refusal::NotAWebSocket { why: "the connection cannot be switched" })?;
    let opening = serve::open(rooms, entry, hand.model.clone(), &hand.headers);
    let mut opened = Box::pin(opening).await?;
    opened.answered_with(StatusCode::SWITCHING_PROTOCOLS.as_u16());
    upgrade.carry(opened);
    let mut response = Response::new(ReplyBody::full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    hand.answer(response.headers_mut());
    Ok(response)
}

fn listed(
    rooms: &Rooms,
    head: &Parts,
    live: &Live,
    model: Option<&str>,
    entry: &mut Option<Entry>,
) -> Result<Response<ReplyBody>, Refusal> {
    let grant = auth::identify(live, &head.headers, rooms.clock.unix_ms())?;
    if let Some(entry) = entry {
        entry.known(&grant);
    }
    let dialect = models::dialect(&head.headers);
    let body = match model {
        None => models::list(live, &grant, dialect),
        Some(model) => models::named(live, &grant, dialect, model)?,
    };
    Ok(json(StatusCode::OK, if head.method == Method::HEAD { Bytes::new() } else { body }))
}

fn refuse(refusal: Refusal, dialect: Dialect, call: &CallId, entry: Option<Entry>) -> Response<ReplyBody> {
    let allowed = if let Refusal::MethodNotAllowed { allowed } = &refusal { Some(*allowed) } else { None };
    // Who must switch is told to what.
    let switch = matches!(refusal, Refusal::NotAWebSocket { .. });
    let told = refusal::tell(refusal, dialect, call.as_str());
    if let Some(entry) = entry {
        entry.end_at_door(told.status.as_u16(), told.ending, told.body.len() as u64);
    }
    let mut response = json(told.status, told.body);
    if let Some(wait) = told.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if switch {
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    if let Some(allowed) = allowed {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    response
}

fn preflight(path: &str, asked: &HeaderMap) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::full(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    cors::tell_preflight(response.headers_mut(), path, asked);
    response
}

fn json(status: StatusCode, body: Bytes) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn request_id(call: &CallId, client: Option<&ClientRequestId>) -> HeaderValue {
    let text = client.map_or(call.as_str(), ClientRequestId::as_str);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}
