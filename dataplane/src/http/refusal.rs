//! A refusal as the client is told: its status, its stable code, its type in both dialects and words that name the way
//! out. The only file that chooses the status of an error.

mod unkept;

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use providers::fault::{ClientError, Fault};
use providers::head::BadBody;
use providers::passage::StreamReader;
use snapshot::{Dialect, FailureClass, Surface};

use crate::exchange::{Ending, Refusal, Unkept};

/// What goes over the wire.
pub struct Told {
    /// The status.
    pub status: StatusCode,
    /// The stable code.
    pub code: &'static str,
    /// The body, in the client's dialect.
    pub body: Bytes,
    /// When to come back.
    pub retry_after: Option<Duration>,
    /// For the books.
    pub ending: Ending,
}

/// The two names of an error's type.
#[derive(Clone, Copy)]
struct Kind {
    openai: &'static str,
    anthropic: &'static str,
}

const INVALID: Kind = Kind { openai: "invalid_request_error", anthropic: "invalid_request_error" };
const AUTH: Kind = Kind { openai: "authentication_error", anthropic: "authentication_error" };
const DENIED: Kind = Kind { openai: "permission_error", anthropic: "permission_error" };
const MISSING: Kind = Kind { openai: "invalid_request_error", anthropic: "not_found_error" };
const LARGE: Kind = Kind { openai: "invalid_request_error", anthropic: "request_too_large" };
const RATE: Kind = Kind { openai: "rate_limit_error", anthropic: "rate_limit_error" };
const FULL: Kind = Kind { openai: "server_error", anthropic: "overloaded_error" };
const SERVER: Kind = Kind { openai: "server_error", anthropic: "api_error" };
const LATE: Kind = Kind { openai: "timeout_error", anthropic: "timeout_error" };

/// Says a refusal in a dialect.
#[must_use]
pub fn tell(refusal: Refusal, dialect: Dialect, call_id: &str) -> Told {
    let (status, kind, code) = verdict(&refusal);
    let ending = if let Refusal::Upstream { fault, .. } = &refusal { Ending::Failed(fault.class) } else { Ending::Refused(code) };
    let retry_after = retry_after(&refusal);
    if let Refusal::Upstream { verbatim: Some(body), .. } = refusal {
        return Told { status, code, body, retry_after, ending };
    }
    let (message, param) = words(refusal);
    let error = ClientError {
        openai_type: kind.openai,
        anthropic_type: kind.anthropic,
        code,
        message: &message,
        param: param.as_deref(),
        request_id: call_id,
    };
    Told { status, code, body: error.body(dialect), retry_after, ending }
}

/// Says a fault that came after the first byte, as the last events of a stream.
#[must_use]
pub fn tell_in_stream(fault: &Fault, reader: &StreamReader, surface: Surface, call_id: &str) -> Bytes {
    if let Some(body) = &fault.verbatim {
        let name: &[u8] = if surface.dialect() == Dialect::Anthropic { b"event: error\n" } else { b"" };
        return [name, b"data: ", body, b"\n\n"].concat().into();
    }
    let (_, kind, code) = of_class(fault.class, None);
    let message = upstream_words("the provider", fault);
    let error =
        ClientError { openai_type: kind.openai, anthropic_type: kind.anthropic, code, message: &message, param: None, request_id: call_id };
    reader.fail(surface, &error)
}

fn verdict(refusal: &Refusal) -> (StatusCode, Kind, &'static str) {
    match refusal {
        Refusal::UnknownPath { .. } => (StatusCode::NOT_FOUND, MISSING, "unknown_path"),
        Refusal::PathNotServed { .. } => (StatusCode::NOT_FOUND, MISSING, "path_not_served"),
        Refusal::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, INVALID, "method_not_allowed"),
        Refusal::KeyMissing => (StatusCode::UNAUTHORIZED, AUTH, "missing_api_key"),
        Refusal::KeyMistyped => (StatusCode::UNAUTHORIZED, AUTH, "mistyped_api_key"),
        Refusal::KeyUnknown => (StatusCode::UNAUTHORIZED, AUTH, "invalid_api_key"),
        Refusal::KeyExpired => (StatusCode::UNAUTHORIZED, AUTH, "expired_api_key"),
        Refusal::KeySuspended => (StatusCode::UNAUTHORIZED, AUTH, "suspended_api_key"),
        Refusal::OperationNotAllowed { .. } => (StatusCode::FORBIDDEN, DENIED, "operation_not_allowed"),
        Refusal::ModelNotAllowed { .. } => (StatusCode::FORBIDDEN, DENIED, "model_not_allowed"),
        Refusal::ModelUnknown { .. } => (StatusCode::NOT_FOUND, MISSING, "model_not_found"),
        Refusal::ModelAmbiguous { .. } | Refusal::ProviderAmbiguous { .. } => (StatusCode::BAD_REQUEST, INVALID, "model_ambiguous"),
        Refusal::ProviderUnknown { .. } => (StatusCode::BAD_REQUEST, INVALID, "provider_not_found"),
        Refusal::HeaderNotTaken { .. } => (StatusCode::BAD_REQUEST, INVALID, "unsupported_header"),
        Refusal::NotAWebSocket { .. } => (StatusCode::UPGRADE_REQUIRED, INVALID, "websocket_required"),
        Refusal::BadQuery { .. } => (StatusCode::BAD_REQUEST, INVALID, "invalid_query"),
        Refusal::BadPath { .. } => (StatusCode::BAD_REQUEST, INVALID, "invalid_path"),
        Refusal::NoSuchProvider { .. } => (StatusCode::NOT_FOUND, MISSING, "provider_not_found"),
        Refusal::PathNotAllowed { .. } => (StatusCode::FORBIDDEN, DENIED, "path_not_allowed"),
        Refusal::Unkept(unkept) => verdict_of_unkept(unkept),
        Refusal::TooManyInFlight { .. } => (StatusCode::TOO_MANY_REQUESTS, RATE, "too_many_in_flight"),
        Refusal::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, LARGE, "body_too_large"),
        Refusal::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, LATE, "body_timeout"),
        Refusal::BodyIncomplete => (StatusCode::BAD_REQUEST, INVALID, "body_incomplete"),
        Refusal::BadBody(bad) => (StatusCode::BAD_REQUEST, INVALID, bad_body_code(bad)),
        Refusal::ContentType { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID, "unsupported_content_type"),
        Refusal::CannotSay { .. } => (StatusCode::BAD_REQUEST, INVALID, "unsupported_by_provider"),
        Refusal::Overloaded { .. } => (StatusCode::SERVICE_UNAVAILABLE, FULL, "overloaded"),
        Refusal::NotReady => (StatusCode::SERVICE_UNAVAILABLE, FULL, "not_ready"),
        Refusal::Upstream { fault, status, .. } => of_class(fault.class, *status),
    }
}

fn verdict_of_unkept(unkept: &Unkept) -> (StatusCode, Kind, &'static str) {
    match unkept {
        Unkept::NoSeal => (StatusCode::NOT_IMPLEMENTED, SERVER, "no_seal"),
        Unkept::NoSuchObject { .. } => (StatusCode::NOT_FOUND, MISSING, "object_not_found"),
        Unkept::KeeperGone => (StatusCode::GONE, MISSING, "provider_gone"),
        Unkept::CredentialGone { .. } => (StatusCode::GONE, MISSING, "credential_gone"),
        Unkept::KeptElsewhere { .. } => (StatusCode::BAD_REQUEST, INVALID, "kept_elsewhere"),
        Unkept::TwoKeepers { .. } => (StatusCode::BAD_REQUEST, INVALID, "kept_elsewhere"),
        Unkept::NoKeeper { .. } => (StatusCode::BAD_REQUEST, INVALID, "unsupported_by_provider"),
        Unkept::WhichProvider { .. } => (StatusCode::BAD_REQUEST, INVALID, "provider_ambiguous"),
        Unkept::BadParameter { .. } => (StatusCode::BAD_REQUEST, INVALID, "invalid_parameter"),
        Unkept::ListTooLong => (StatusCode::BAD_REQUEST, INVALID, "list_too_long"),
    }
}

fn of_class(class: FailureClass, status: Option<u16>) -> (StatusCode, Kind, &'static str) {
    match class {
        FailureClass::RateLimited => (StatusCode::TOO_MANY_REQUESTS, RATE, "upstream_rate_limited"),
        FailureClass::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, FULL, "upstream_overloaded"),
        FailureClass::QuotaExceeded => (StatusCode::SERVICE_UNAVAILABLE, SERVER, "upstream_quota_exceeded"),
        FailureClass::AuthFailed => (StatusCode::BAD_GATEWAY, SERVER, "upstream_auth_failed"),
        FailureClass::BadRequest => (callers_status(status), INVALID, "upstream_bad_request"),
        FailureClass::ContextLengthExceeded => (callers_status(status), INVALID, "context_length_exceeded"),
        FailureClass::ContentFiltered => (callers_status(status), INVALID, "content_filter"),
        FailureClass::NotFound => (StatusCode::NOT_FOUND, MISSING, "upstream_not_found"),
        FailureClass::ConnectError => (StatusCode::BAD_GATEWAY, SERVER, "upstream_unreachable"),
        FailureClass::Timeout => (StatusCode::GATEWAY_TIMEOUT, LATE, "upstream_timeout"),
        FailureClass::ServerError => (StatusCode::BAD_GATEWAY, SERVER, "upstream_error"),
        FailureClass::InvalidResponse => (StatusCode::BAD_GATEWAY, SERVER, "upstream_invalid_response"),
        FailureClass::StreamBroken => (StatusCode::BAD_GATEWAY, SERVER, "upstream_stream_broken"),
    }
}

/// The provider's own status when it blames the request, else 400.
fn callers_status(status: Option<u16>) -> StatusCode {
    match status {
        Some(status @ (400 | 413 | 422)) => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
        _ => StatusCode::BAD_REQUEST,
    }
}

fn bad_body_code(bad: &BadBody) -> &'static str {
    match bad {
        BadBody::NotUtf8 { .. } | BadBody::NotJson { .. } | BadBody::TooDeep => "invalid_json",
        BadBody::NotAnObject
        | BadBody::Missing { .. }
        | BadBody::WrongType { .. }
        | BadBody::Duplicate { .. }
        | BadBody::TwoModels { .. }
        | BadBody::Lookalike { .. } => "invalid_body",
        BadBody::NotAForm { .. } => "invalid_form",
        BadBody::ForeignId { .. } => "unsupported_reference",
    }
}

fn retry_after(refusal: &Refusal) -> Option<Duration> {
    if let Refusal::Overloaded { retry_after, .. } = refusal {
        return Some(*retry_after);
    }
    if let Refusal::Upstream { retry_after, .. } = refusal {
        return *retry_after;
    }
    matches!(refusal, Refusal::TooManyInFlight { .. } | Refusal::NotReady).then_some(Duration::from_secs(1))
}

/// What the client reads, and the field at fault.
fn words(refusal: Refusal) -> (String, Option<String>) {
    let model = || Some("model".to_owned());
    match refusal {
        Refusal::UnknownPath { path } => (nothing_at(&path), None),
        Refusal::MethodNotAllowed { allowed } => (format!("this path takes {allowed} only"), None),
        Refusal::KeyMissing => {
            ("no API key; send your virtual key as `Authorization: Bearer sk-ptl-...`, as `x-api-key` or as `api-key`".to_owned(), None)
        }
        Refusal::KeyMistyped => {
            ("the API key is mistyped: its checksum does not fit its text; copy it again, whole and without spaces".to_owned(), None)
        }
        Refusal::KeyUnknown => {
            ("this gateway does not know the API key; it may have been revoked or rotated, or belong to another gateway".to_owned(), None)
        }
        Refusal::KeyExpired => ("the API key has expired; ask its owner for a new one".to_owned(), None),
        Refusal::KeySuspended => ("the API key is suspended; ask its owner to resume it".to_owned(), None),
        Refusal::OperationNotAllowed { operation } => (
            format!(
                "the API key may not use the operation {operation:?}; it would have to be in `spec.allow.operations` of its VirtualKey"
            ),
            None,
        ),
        Refusal::ModelNotAllowed { model: name } => {
            (format!("the API key may not use the model `{name}`; GET /v1/models lists those that it may"), model())
        }
        Refusal::ModelUnknown { model: name, near } if near.is_empty() => (
            format!(
                "no provider that the API key may use has the model `{name}`; GET /v1/models lists the models, and `provider/model` names one by its provider"
            ),
            model(),
        ),
        Refusal::ModelUnknown { model: name, near } => {
            (format!("no provider that the API key may use has the model `{name}`; did you mean {}?", quoted(&near, " or ")), model())
        }
        Refusal::ModelAmbiguous { model: name, candidates } => {
            (format!("several providers have the model `{name}`; say which: {}", quoted(&candidates, " or ")), model())
        }
        Refusal::ProviderAmbiguous { name, providers } => (
            format!(
                "several providers are called `{name}`: {}; `spec.allow.providers` of the VirtualKey can name the one to use",
                quoted(&providers, ", ")
            ),
            model(),
        ),
        Refusal::ProviderUnknown { name, named_by, known } => (unknown_provider(&name, &known), Some(named_by.to_owned())),
        Refusal::HeaderNotTaken { header, why } => (format!("the header `{header}` is not taken: {why}"), Some(header)),
        Refusal::PathNotServed { why } => (why.to_owned(), None),
        Refusal::NotAWebSocket { why } => (format!("this path takes a WebSocket over HTTP/1.1: {why}"), None),
        Refusal::BadQuery { why } => (format!("the query is not taken: {why}"), None),
        Refusal::BadPath { why } => (format!("the path is not passed through: {why}"), None),
        Refusal::NoSuchProvider { name } => (no_such_provider(&name), None),
        Refusal::PathNotAllowed { provider, path, method } => (path_not_allowed(&provider, &path, &method), None),
        Refusal::Unkept(unkept) => unkept::words(unkept),
        Refusal::TooManyInFlight { limit } => {
            (format!("the API key has {limit} calls in flight, as many as it may; wait for one to end"), None)
        }
        Refusal::BodyTooLarge { limit, field } => {
            (format!("the body is larger than the {limit} bytes that this gateway takes (`spec.limits.{field}` of the LLMGateway)"), None)
        }
        Refusal::BodyTimeout => ("the body came too slowly; send it again".to_owned(), None),
        Refusal::BodyIncomplete => ("the body broke off before its end; send it again".to_owned(), None),
        Refusal::BadBody(bad) => (bad.to_string(), bad_field(&bad)),
        Refusal::ContentType { found, wanted } => (format!("the body is `{found}`; send {wanted}"), None),
        Refusal::CannotSay { why, field, .. } => (why, field),
        Refusal::Overloaded { what, .. } => (format!("this gateway is full ({what}); try again shortly"), None),
        Refusal::NotReady => ("this gateway has no configuration yet; try again shortly".to_owned(), None),
        Refusal::Upstream { provider, fault, .. } => (upstream_words(&format!("provider `{provider}`"), &fault), fault.param),
    }
}

fn unknown_provider(name: &str, known: &[String]) -> String {
    let there = if known.is_empty() { "it may use none".to_owned() } else { format!("it may use {}", quoted(known, ", ")) };
    format!("there is no provider `{name}` that the API key may use; {there}; the name is that of an LLMProvider")
}

fn nothing_at(path: &str) -> String {
    format!(
        "there is nothing at `{path}`; calls go to /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses, /v1/messages, /v1/images/.., /v1/audio/.., /v1/moderations, /v1/rerank or /v1/files, sessions to /v1/realtime, GET /v1/models lists the models, and /proxy/<provider>/<path> passes through what a provider allows"
    )
}

fn no_such_provider(name: &str) -> String {
    format!("there is no provider `{name}` that the API key may use; a path is passed through as /proxy/<provider>/<path>")
}

fn path_not_allowed(provider: &str, path: &str, method: &str) -> String {
    format!("provider `{provider}` does not let {method} {path} through; it would have to be in `spec.proxy` of its LLMProvider")
}

fn bad_field(bad: &BadBody) -> Option<String> {
    match bad {
        BadBody::Missing { field }
        | BadBody::WrongType { field, .. }
        | BadBody::Duplicate { field }
        | BadBody::Lookalike { field }
        | BadBody::ForeignId { field } => Some((*field).to_string()),
        BadBody::TwoModels { .. } => Some("model".to_owned()),
        BadBody::NotUtf8 { .. } | BadBody::NotJson { .. } | BadBody::NotAnObject | BadBody::TooDeep | BadBody::NotAForm { .. } => None,
    }
}

/// Provider's words are repeated where they help the caller; where they speak of our account they stay in the house.
fn upstream_words(who: &str, fault: &Fault) -> String {
    let said = fault.message.as_str();
    match fault.class {
        FailureClass::BadRequest | FailureClass::ContextLengthExceeded | FailureClass::ContentFiltered | FailureClass::NotFound => {
            format!("{who} refused the request: {said}")
        }
        FailureClass::RateLimited => format!("{who} limits the rate of requests; come back later"),
        FailureClass::Overloaded => format!("{who} is overloaded; come back later"),
        FailureClass::QuotaExceeded => format!("the quota at {who} is used up; tell those who run this gateway"),
        FailureClass::AuthFailed => format!("{who} refused this gateway's credential; tell those who run this gateway"),
        FailureClass::ConnectError => format!("{who} cannot be reached; try again, or tell those who run this gateway"),
        FailureClass::Timeout => format!("{who} did not answer in time"),
        FailureClass::ServerError => format!("{who} failed; try again"),
        FailureClass::InvalidResponse => format!("{who} gave an answer that is none; try again, or tell those who run this gateway"),
        FailureClass::StreamBroken => format!("the answer of {who} broke off before its end"),
    }
}

fn quoted(names: &[String], between: &str) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(between)
}
