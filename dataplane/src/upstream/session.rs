//! A session opened at a provider: the handshake of a WebSocket, over a connection of its own.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use providers::passage::CannotSay;
use ring::rand::{SecureRandom, SystemRandom};
use snapshot::{FailureClass, ProviderKind, Surface};
use tokio::time::timeout_at;

use super::attempt::{AGENT, Headers, Limits, late};
use super::classify::{ours, told};
use super::pieces::Pieces;
use super::{Failure, Trace, Upstream, cannot_say};
use crate::exchange::{Attempt, Call, Plan, Refusal, Session, websocket_accept};
use crate::live::Origin;

/// Largest error body that is read, in bytes.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// A switch of protocols, which is how a session begins.
const SWITCHING: u16 = 101;

impl Upstream {
    /// Tries the plan's targets in order until one opens a session.
    ///
    /// # Errors
    /// The last failure, or that no target has sessions.
    pub async fn open_session(&self, plan: &Plan, call: &Call, headers: &Headers, trace: &mut Trace) -> Result<Session, Refusal> {
        let mut last = None;
        for (place, attempt) in plan.attempts.iter().enumerate() {
            if !attempt.provider.speaks(&attempt.model).contains(&Surface::Realtime) {
                last.get_or_insert_with(|| cannot_say(call, attempt, &CannotSay::Surface { surface: Surface::Realtime }));
                continue;
            }
            trace.attempt = Some(attempt.clone());
            trace.attempts += 1;
            let began = self.clock.now();
            let tried = Box::pin(self.handshake(attempt, call, headers)).await;
            trace.wait += self.clock.now() - began;
            let meters = self.metrics.provider(&attempt.provider.provider.id);
            let failure = match tried {
                Ok(session) => {
                    meters.attempt_answered();
                    return Ok(session);
                }
                Err(failure) => failure,
            };
            trace.detail = Some(failure.detail.clone());
            meters.attempt_failed(failure.fault.class);
            let again = place + 1 < plan.attempts.len() && plan.fallback_on.contains(&failure.fault.class);
            last = Some(failure.into_refusal(attempt));
            if !again {
                break;
            }
        }
        Err(last.unwrap_or(Refusal::NotReady))
    }

    async fn handshake(&self, attempt: &Attempt, call: &Call, headers: &Headers) -> Result<Session, Failure> {
        let provider = &attempt.provider;
        let models = [call.head.model.clone(), attempt.model.to_string()];
        if let ProviderKind::Simulated(config) = &provider.provider.kind {
            return self.play_session(attempt, config, models);
        }
        let (Some(endpoint), Some(origin)) = (provider.provider.kind.endpoint(), &provider.origin) else {
            return Err(ours(FailureClass::ConnectError, "the provider has no address", "a provider without an origin".to_owned()));
        };
        let limits = Limits::new(endpoint.timeouts, self.clock.now(), headers.patience, true);
        let mut forgotten = false;
        loop {
            let refused = |detail| ours(FailureClass::BadRequest, "the request cannot be sent", detail);
            let key = nonce().map_err(refused)?;
            let mut request = request(attempt, headers, &key).map_err(refused)?;
            let shown = match &provider.identity {
                Some(identity) => Some((identity, self.prove(identity, &mut request, &[], &limits).await?)),
                None => None,
            };
            let tried = self.switch(origin, request, &key, &limits).await;
            // What ended before its time, or was revoked, is asked for anew, once.
            if let (Err(failure), Some((identity, shown))) = (&tried, &shown)
                && failure.fault.class == FailureClass::AuthFailed
                && !forgotten
                && self.forget(identity, shown)
            {
                forgotten = true;
                continue;
            }
            let total = limits.total.saturating_duration_since(self.clock.now());
            return Ok(Session { link: Box::new(TokioIo::new(tried?)), models, idle: limits.idle, total });
        }
    }

    /// Asks to switch, on a connection of its own.
    async fn switch(&self, origin: &Arc<Origin>, request: Request<Pieces>, key: &str, limits: &Limits) -> Result<Upgraded, Failure> {
        let deadline = limits.first_byte(self.clock.now());
        let asking = async {
            let response = self.ask(origin, request, limits).await?;
            if response.status().as_u16() != SWITCHING {
                return Err(self.refused(response).await);
            }
            if response.headers().get(SEC_WEBSOCKET_ACCEPT).is_none_or(|said| said.as_bytes() != websocket_accept(key).as_bytes()) {
                return Err(not_opened("it switched without the right Sec-WebSocket-Accept".to_owned()));
            }
            hyper::upgrade::on(response).await.map_err(|error| not_opened(error.to_string()))
        };
        timeout_at(deadline, asking).await.map_err(|_| late("no session was open within the first-byte time"))?
    }

    async fn ask(&self, origin: &Arc<Origin>, request: Request<Pieces>, limits: &Limits) -> Result<Response<Incoming>, Failure> {
        let failed = |detail: String| ours(FailureClass::ConnectError, "the provider cannot be reached", detail);
        let opening = async {
            let dialled = self.dial.dial_http1(origin).await.map_err(|error| failed(error.to_string()))?;
            http1::Builder::new().max_buf_size(1 << 18).handshake(TokioIo::new(dialled.io)).await.map_err(|error| failed(error.to_string()))
        };
        let opened = timeout_at(limits.connect(self.clock.now()), opening).await;
        let (mut sender, connection) = opened.unwrap_or_else(|_| Err(failed("no connection within the connect time".to_owned())))?;
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
        sender.send_request(request).await.map_err(|error| failed(error.to_string()))
    }

    /// What a provider says instead of opening a session.
    async fn refused(&self, response: Response<Incoming>) -> Failure {
        let (head, incoming) = response.into_parts();
        let status = head.status.as_u16();
        if status < 400 {
            return not_opened(format!("status {status}"));
        }
        let body = Limited::new(incoming, ERROR_BYTES_MAX).collect().await.map_or_else(|_| Bytes::new(), |body| body.to_bytes());
        told(Surface::Realtime, true, status, &head.headers, body, self.clock.unix_ms())
    }
}

fn not_opened(detail: String) -> Failure {
    ours(FailureClass::InvalidResponse, "the provider opened no session", detail)
}

fn request(attempt: &Attempt, client: &Headers, key: &str) -> Result<Request<Pieces>, String> {
    let provider = &attempt.provider;
    let path = provider.path(Surface::Realtime, &attempt.model, false).ok_or("the provider does not speak this surface")?;
    let mut request = Request::new(Pieces::new(&[]));
    *request.method_mut() = Method::GET;
    *request.uri_mut() = path.into();
    let headers = request.headers_mut();
    headers.insert(HOST, provider.host.clone());
    headers.insert(USER_AGENT, AGENT);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_str(key).map_err(|error| error.to_string())?);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("realtime"));
    client.put(headers);
    if let Some((name, value)) = &provider.credential {
        headers.insert(name, value.expose().clone());
    }
    Ok(request)
}

/// What a handshake is told apart by. Nothing is secret about it.
fn nonce() -> Result<String, String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "there is no randomness")?;
    Ok(STANDARD.encode(bytes))
}
