//! Failures: as providers tell them, and as clients are told.

#![expect(clippy::wildcard_enum_match_arm, reason = "the kinds of JSON values are not ours")]

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use snapshot::{Dialect, FailureClass, Surface};

use crate::json::write_text;

/// The provider's words are cut to this many bytes.
const MESSAGE_BYTES_MAX: usize = 2048;

/// A failure that a provider told, or that befell an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its class.
    pub class: FailureClass,
    /// The provider's words, bounded. Whoever shows them decides whether they may be shown.
    pub message: String,
    /// The provider's code.
    pub code: Option<String>,
    /// The field at fault.
    pub param: Option<String>,
}

/// What the error objects of providers have in common.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorObject {
    message: Option<Value>,
    r#type: Option<Value>,
    code: Option<Value>,
    param: Option<Value>,
    /// Google's word for the kind.
    status: Option<Value>,
    /// Google's reasons.
    details: Option<Value>,
    /// Cohere's word for the kind.
    error_type: Option<Value>,
    /// Azure's closer word: `{"code": ".."}`.
    innererror: Option<Value>,
}

impl Fault {
    /// A fault of the gateway's own finding.
    #[must_use]
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: bounded(message.into()), code: None, param: None }
    }

    /// Reads an error answer of any shape: an error object, a text, a list of complaints, HTML, nothing.
    #[must_use]
    pub fn of_answer(surface: Surface, status: u16, body: &[u8]) -> Self {
        let error = serde_json::from_slice::<Value>(body).ok().and_then(|json| found(&json));
        let error = error.unwrap_or_else(|| ErrorObject { message: plain(body), ..ErrorObject::default() });
        Self::of_error(surface, Some(status), &error)
    }

    /// Reads an error object that came inside an answer or a stream.
    #[must_use]
    pub fn of_object(surface: Surface, json: &[u8]) -> Self {
        let error = serde_json::from_slice::<Value>(json).ok().and_then(|json| found(&json)).unwrap_or_default();
        let status = match error.code.as_ref() {
            Some(Value::Number(code)) => code.as_u64().and_then(|code| u16::try_from(code).ok()),
            _ => None,
        };
        Self::of_error(surface, status, &error)
    }

    /// Reads an exception that broke off a stream of Amazon's: its kind and `{"message": ".."}`.
    #[must_use]
    pub fn of_exception(surface: Surface, kind: &str, json: &[u8]) -> Self {
        let mut error = serde_json::from_slice::<Value>(json).ok().and_then(|json| found(&json)).unwrap_or_default();
        error.r#type = Some(Value::String(kind.to_owned()));
        Self::of_error(surface, None, &error)
    }

    /// How long to wait before another try, as Google says it in the body: `"retryDelay": "34.4s"`.
    #[must_use]
    pub fn retry_delay(body: &[u8]) -> Option<std::time::Duration> {
        let json: Value = serde_json::from_slice(body).ok()?;
        let error = found(&json)?;
        let details = error.details?;
        let told = details.as_array()?.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
        let seconds: f64 = told.strip_suffix('s')?.parse().ok()?;
        std::time::Duration::try_from_secs_f64(seconds).ok()
    }

    /// Whether an error body is told as clients of a dialect read it: `{error: {message, ..}}`, and Anthropic's with
    /// `type: "error"` beside it. Servers that speak a dialect otherwise often have errors of their own.
    #[must_use]
    pub fn is_told_in(dialect: Dialect, body: &[u8]) -> bool {
        let Ok(json) = serde_json::from_slice::<Value>(body) else { return false };
        let told = json["error"]["message"].is_string();
        match dialect {
            Dialect::OpenAi | Dialect::Gemini | Dialect::Bedrock | Dialect::Cohere => told,
            Dialect::Anthropic => told && json["type"] == "error" && json["error"]["type"].is_string(),
        }
    }

    fn of_error(surface: Surface, status: Option<u16>, error: &ErrorObject) -> Self {
        let text = |value: &Option<Value>| match value {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        let kind = text(&error.r#type).or_else(|| text(&error.error_type)).or_else(|| text(&error.status)).unwrap_or_default();
        let code = text(&error.code);
        let message = text(&error.message)
            .unwrap_or_else(|| status.map_or("no reason was given".to_owned(), |status| format!("status {status} without a reason")));
        let reason = error.details.as_ref().map(Value::to_string).unwrap_or_default();
        let inner = error.innererror.as_ref().and_then(|inner| inner["code"].as_str()).unwrap_or_default();
        let class = if reason.contains("API_KEY_INVALID") {
            FailureClass::AuthFailed
        } else if matches!(inner, "ResponsibleAIPolicyViolation" | "ContentFiltered") {
            FailureClass::ContentFiltered
        } else {
            classify(surface.dialect(), status, &kind, code.as_deref().unwrap_or_default(), &message)
        };
        Self { class, message: bounded(message), code: code.map(bounded), param: text(&error.param).map(bounded) }
    }
}

/// `{error: {..}}`, `{error: ".."}`, `[{error: {..}}]`, `{message: ".."}`, `{detail: ..}`, `{errors: [..]}`.
fn found(json: &Value) -> Option<ErrorObject> {
    let object = match json {
        Value::Array(list) => return list.first().and_then(found),
        Value::Object(object) => object,
        _ => return None,
    };
    match object.get("error") {
        Some(Value::String(text)) => return Some(ErrorObject { message: Some(Value::String(text.clone())), ..ErrorObject::default() }),
        Some(error @ Value::Object(_)) => return serde_json::from_value(error.clone()).ok(),
        _ => {}
    }
    if object.contains_key("message") {
        return serde_json::from_value(json.clone()).ok();
    }
    let complaint = object.get("detail").or_else(|| object.get("errors"))?;
    Some(ErrorObject { message: Some(complaint.clone()), ..ErrorObject::default() })
}

/// A body that is no JSON: its text, unless it is a page.
fn plain(body: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(body.get(..MESSAGE_BYTES_MAX).unwrap_or(body));
    let text = text.trim();
    (!text.is_empty() && !text.starts_with('<')).then(|| Value::String(text.to_owned()))
}

/// How providers say that a prompt is too long.
const CONTEXT: [&str; 8] = [
    "maximum context length",
    "prompt is too long",
    "prompt too long",
    "context window",
    "context length",
    "input tokens exceeded",
    "exceeds the maximum number of tokens allowed",
    "too many tokens:",
];

fn classify(dialect: Dialect, status: Option<u16>, kind: &str, code: &str, message: &str) -> FailureClass {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let is = |words: &[&str]| words.iter().any(|word| kind == *word || code == *word);
    if is(&["insufficient_quota", "billing_error", "billing_hard_limit_reached"]) || status == Some(402) {
        return FailureClass::QuotaExceeded;
    }
    if is(&["context_length_exceeded", "TOO_MANY_TOKENS", "too_many_prompt_tokens"]) || says(&CONTEXT) {
        return FailureClass::ContextLengthExceeded;
    }
    if is(&["content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"]) {
        return FailureClass::ContentFiltered;
    }
    if is(&["overloaded_error", "overloaded", "engine_overloaded"]) {
        return FailureClass::Overloaded;
    }
    // Some servers call a wrong key a bad request.
    if status == Some(400) && says(&["api key not valid", "incorrect api key", "invalid api key"]) {
        return FailureClass::AuthFailed;
    }
    // The model itself failed, says Bedrock.
    if dialect == Dialect::Bedrock && status == Some(424) {
        return FailureClass::ServerError;
    }
    match status {
        Some(401 | 403) => FailureClass::AuthFailed,
        Some(404) => FailureClass::NotFound,
        Some(408 | 504) => FailureClass::Timeout,
        Some(429) => FailureClass::RateLimited,
        Some(503 | 529) => FailureClass::Overloaded,
        Some(400..=499) => FailureClass::BadRequest,
        Some(500..=599) => FailureClass::ServerError,
        _ => by_kind(dialect, kind, code),
    }
}

/// An error inside an answer of 200 has no status; its type must do.
fn by_kind(dialect: Dialect, kind: &str, code: &str) -> FailureClass {
    for word in [kind, code] {
        match word {
            "rate_limit_error" | "rate_limit_exceeded" | "requests" | "tokens" => return FailureClass::RateLimited,
            "authentication_error" | "permission_error" | "invalid_api_key" => return FailureClass::AuthFailed,
            "not_found_error" | "model_not_found" => return FailureClass::NotFound,
            "invalid_request_error" | "request_too_large" => return FailureClass::BadRequest,
            "timeout_error" => return FailureClass::Timeout,
            "api_error" | "server_error" | "internal_server_error" => return FailureClass::ServerError,
            "throttlingException" | "RESOURCE_EXHAUSTED" => return FailureClass::RateLimited,
            "validationException" | "INVALID_ARGUMENT" | "FAILED_PRECONDITION" => return FailureClass::BadRequest,
            "accessDeniedException" | "UNAUTHENTICATED" | "PERMISSION_DENIED" => return FailureClass::AuthFailed,
            "serviceUnavailableException" | "modelNotReadyException" | "UNAVAILABLE" => return FailureClass::Overloaded,
            "modelTimeoutException" | "DEADLINE_EXCEEDED" => return FailureClass::Timeout,
            "resourceNotFoundException" | "NOT_FOUND" => return FailureClass::NotFound,
            _ => {}
        }
    }
    match dialect {
        Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini | Dialect::Bedrock | Dialect::Cohere => FailureClass::ServerError,
    }
}

fn bounded(mut text: String) -> String {
    if text.len() > MESSAGE_BYTES_MAX {
        let mut end = MESSAGE_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

/// An error as a client is told.
#[derive(Debug, Clone, Copy)]
pub struct ClientError<'a> {
    /// OpenAI's `error.type`.
    pub openai_type: &'static str,
    /// Anthropic's `error.type`.
    pub anthropic_type: &'static str,
    /// Stable.
    pub code: &'a str,
    /// Names the offender and the way out.
    pub message: &'a str,
    /// The field at fault.
    pub param: Option<&'a str>,
    /// The call's id.
    pub request_id: &'a str,
}

impl ClientError<'_> {
    /// The body of an error answer: `{error: {message, type, param, code}}`, or Anthropic's
    /// `{type: "error", error: {type, message, code}, request_id}`.
    #[must_use]
    pub fn body(&self, dialect: Dialect) -> Bytes {
        let mut out = Vec::with_capacity(128 + self.message.len());
        match dialect {
            // No client speaks the dialects of providers alone.
            Dialect::OpenAi | Dialect::Gemini | Dialect::Bedrock | Dialect::Cohere => {
                out.extend_from_slice(b"{\"error\":");
                self.openai(&mut out);
                out.push(b'}');
            }
            Dialect::Anthropic => {
                out.extend_from_slice(b"{\"type\":\"error\",\"error\":{\"type\":");
                write_text(&mut out, self.anthropic_type);
                field(&mut out, "message", self.message);
                field(&mut out, "code", self.code);
                out.push(b'}');
                field(&mut out, "request_id", self.request_id);
                out.push(b'}');
            }
        }
        out.into()
    }

    /// The last event of a stream of that surface. `number` is the event's own, where events have one.
    #[must_use]
    pub fn event(&self, surface: Surface, number: u64) -> Bytes {
        let mut out = Vec::with_capacity(160 + self.message.len());
        match surface {
            Surface::ChatCompletions
            | Surface::Completions
            | Surface::Embeddings
            | Surface::GenerateContent
            | Surface::Converse
            | Surface::CohereChat => {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(&self.body(Dialect::OpenAi));
            }
            Surface::Responses => {
                out.extend_from_slice(format!("event: error\ndata: {{\"type\":\"error\",\"sequence_number\":{number}").as_bytes());
                field(&mut out, "code", self.code);
                field(&mut out, "message", self.message);
                // OpenAI's description has the fields as they stand before, its server tells them as they follow, and its
                // SDKs make an exception of the latter alone.
                out.extend_from_slice(b",\"param\":null,\"error\":");
                self.openai(&mut out);
                out.push(b'}');
            }
            Surface::Messages | Surface::CountTokens => {
                out.extend_from_slice(b"event: error\ndata: ");
                out.extend_from_slice(&self.body(Dialect::Anthropic));
            }
        }
        out.extend_from_slice(b"\n\n");
        out.into()
    }

    fn openai(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"message\":");
        write_text(out, self.message);
        field(out, "type", self.openai_type);
        match self.param {
            Some(param) => field(out, "param", param),
            None => out.extend_from_slice(b",\"param\":null"),
        }
        field(out, "code", self.code);
        out.push(b'}');
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b',');
    write_text(out, name);
    out.push(b':');
    write_text(out, value);
}
