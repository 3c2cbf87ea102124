//! One request passed through to a provider, as it came but for who it is from.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, LOCATION, USER_AGENT};
use http::{HeaderValue, Method, Request};
use providers::fault::Fault;
use snapshot::{Endpoint, FailureClass, ProviderKind, Scheme, Surface};

use super::attempt::{AGENT, Begun, Headers, Limits, target};
use super::classify::ours;
use super::pieces::{Pieces, Sent};
use super::raw::raw;
use super::wire::Wire;
use super::{Failure, Trace, Upstream};
use crate::exchange::{Answer, Attempt, Body, Call, Plan, Raw, Refusal, Through};

impl Upstream {
    /// Asks the plan's one provider. Whatever it answers is an answer.
    pub(super) async fn through(
        &self,
        plan: &Plan,
        call: &Call,
        through: &Through,
        client: &Headers,
        trace: &mut Trace,
    ) -> Result<Answer, Refusal> {
        let attempt = plan.attempts.first().ok_or(Refusal::NotReady)?;
        trace.attempt = Some(attempt.clone());
        trace.attempts += 1;
        let began = self.clock.now();
        let tried = self.pass(attempt, sent(&call.body), through, client).await;
        trace.wait += self.clock.now() - began;
        let meters = self.metrics.provider(&attempt.provider.provider.id);
        match tried {
            Ok(raw) => {
                match class_of(raw.status) {
                    None => meters.attempt_answered(),
                    Some(class) => {
                        trace.detail = Some(format!("status {}, {}", raw.status, class.word()));
                        meters.attempt_failed(class);
                    }
                }
                Ok(Answer::Raw(Box::new(raw)))
            }
            Err(failure) => {
                trace.detail = Some(failure.detail.clone());
                meters.attempt_failed(failure.fault.class);
                Err(failure.into_refusal(attempt))
            }
        }
    }

    async fn pass(&self, attempt: &Attempt, body: &[Bytes], through: &Through, client: &Headers) -> Result<Raw, Failure> {
        let provider = &attempt.provider;
        let (Some(endpoint), Some(origin)) = (provider.provider.kind.endpoint(), &provider.origin) else {
            return Err(ours(FailureClass::ConnectError, "the provider has no address", "a provider without an origin".to_owned()));
        };
        let limits = Limits::new(endpoint.timeouts, self.clock.now(), client.patience, true);
        let mut forgotten = false;
        loop {
            let refused = |detail| ours(FailureClass::BadRequest, "the request cannot be sent", detail);
            let mut request = request(attempt, endpoint, through, body).map_err(refused)?;
            let shown = match &provider.identity {
                Some(identity) => Some((identity, self.prove(identity, &mut request, body, &limits).await?)),
                None => None,
            };
            let begun = self.exchange(origin, request, Sent::Pieces(body), &limits).await?;
            // What ended before its time, or was revoked, is asked for anew, once.
            if let Some((identity, shown)) = &shown
                && class_of(begun.response.status().as_u16()) == Some(FailureClass::AuthFailed)
                && !forgotten
                && self.forget(identity, shown)
            {
                forgotten = true;
                continue;
            }
            return Ok(self.answer(begun, endpoint, through, &limits));
        }
    }

    fn answer(&self, begun: Begun, endpoint: &Endpoint, through: &Through, limits: &Limits) -> Raw {
        let Begun { response, lease, .. } = begun;
        let (head, incoming) = response.into_parts();
        let wire = Wire::new(incoming, lease, self.clock.clone(), limits.idle, limits.total);
        let mut raw = raw(head.status.as_u16(), &head.headers, Box::pin(wire));
        let location = head.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        if let Some(location) = location.and_then(|location| below(endpoint, location))
            && let Ok(value) = HeaderValue::try_from(format!("/proxy/{}{location}", through.provider))
        {
            raw.headers.insert(LOCATION, value);
        }
        // Of a body that is only looked at nothing but its length comes.
        if through.method == Method::HEAD
            && let Some(length) = head.headers.get(CONTENT_LENGTH)
        {
            raw.headers.insert(CONTENT_LENGTH, length.clone());
        }
        raw
    }
}

/// What is sent; a form is not read apart for those who are not to read it.
fn sent(body: &Body) -> &[Bytes] {
    match body {
        Body::Here(bytes) if !bytes.is_empty() => std::slice::from_ref(bytes),
        Body::Here(_) | Body::Form(_) => &[],
    }
}

fn request(attempt: &Attempt, endpoint: &Endpoint, through: &Through, body: &[Bytes]) -> Result<Request<Pieces>, String> {
    let provider = &attempt.provider;
    let (mark, query) = through.query.as_deref().map_or(("", ""), |query| ("?", query));
    let path = format!("{}{}{mark}{query}", endpoint.base_path, through.path);
    let mut request = Request::new(Pieces::new(body));
    *request.method_mut() = through.method.clone();
    *request.uri_mut() = target(provider, path.parse().map_err(|_| "the path is none")?)?;
    *request.headers_mut() = through.headers.clone();
    let headers = request.headers_mut();
    headers.insert(HOST, provider.host.clone());
    headers.insert(USER_AGENT, AGENT);
    // Some servers want to hear that nothing follows.
    if body.is_empty() && !matches!(through.method, Method::GET | Method::HEAD | Method::DELETE) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    if matches!(provider.provider.kind, ProviderKind::Anthropic(_)) && !headers.contains_key("anthropic-version") {
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    }
    if let Some((name, value)) = &provider.credential {
        headers.insert(name, value.expose().clone());
    }
    Ok(request)
}

/// What a status says by itself; `None` when nothing failed.
fn class_of(status: u16) -> Option<FailureClass> {
    (status >= 400).then(|| Fault::of_kind(Surface::Proxy, status, None, &[]).class)
}

/// The path below the provider's base path, when a redirection stays there. Every other would lead around the gateway.
fn below<'a>(endpoint: &Endpoint, location: &'a str) -> Option<&'a str> {
    let path = match location.split_once("://") {
        None => location,
        Some((scheme, rest)) => {
            let (authority, _) = rest.split_once('/')?;
            let path = rest.get(authority.len()..)?;
            let (usual, name) = match endpoint.scheme {
                Scheme::Http => (80, "http"),
                Scheme::Https => (443, "https"),
            };
            let host = if endpoint.host.contains(':') { format!("[{}]", endpoint.host) } else { endpoint.host.clone() };
            let named = authority.eq_ignore_ascii_case(&format!("{host}:{}", endpoint.port));
            let same = scheme.eq_ignore_ascii_case(name) && (named || endpoint.port == usual && authority.eq_ignore_ascii_case(&host));
            same.then_some(path)?
        }
    };
    let rest = path.strip_prefix(&*endpoint.base_path)?;
    (rest.starts_with('/') && !rest.starts_with("//") && !rest.contains("/..")).then_some(rest)
}
