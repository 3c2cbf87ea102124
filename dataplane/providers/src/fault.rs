//! Failures: as providers tell them, and as clients are told.

mod body;
mod class;
pub mod wait;

use bytes::Bytes;
use serde_json::Value;
use snapshot::{Dialect, FailureClass, Surface};

use body::{ErrorObject, found, plain};
use class::{Said, classify};

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
    /// The error as it came, where a client of the provider's dialect can be shown it: it is told as such clients read it, and
    /// blames the request.
    pub verbatim: Option<Bytes>,
}

impl Fault {
    /// A fault of the gateway's own finding.
    #[must_use]
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: bounded(message.into()), code: None, param: None, verbatim: None }
    }

    /// Reads an error answer of any shape: an error object, a text, a list of complaints, HTML, nothing.
    #[must_use]
    pub fn of_answer(surface: Surface, status: u16, body: &[u8]) -> Self {
        Self::of_kind(surface, status, None, body)
    }

    /// The same, of a kind that was told beside the body.
    #[must_use]
    pub fn of_kind(surface: Surface, status: u16, kind: Option<&str>, body: &[u8]) -> Self {
        let error = serde_json::from_slice::<Value>(body).ok().and_then(|json| found(&json));
        let mut error = error.unwrap_or_else(|| ErrorObject { message: plain(body), ..ErrorObject::default() });
        if let Some(kind) = kind {
            error.r#type.get_or_insert_with(|| Value::String(kind.to_owned()));
        }
        Self::of_error(surface, Some(status), &error)
    }

    /// Reads an error object that came inside an answer or a stream.
    #[must_use]
    pub fn of_object(surface: Surface, json: &[u8]) -> Self {
        let error = serde_json::from_slice::<Value>(json).ok().and_then(|json| found(&json)).unwrap_or_default();
        let status = match error.code.as_ref() {
            Some(Value::Number(code)) => code.as_u64().and_then(|code| u16::try_from(code).ok()),
            Some(Value::String(code)) => code.parse().ok(),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
        };
        let status = status.filter(|status| (400..600).contains(status));
        Self::of_error(surface, status, &error)
    }

    /// Reads an exception that broke off a stream of Amazon's: its kind and `{"message": ".."}`.
    #[must_use]
    pub fn of_exception(surface: Surface, kind: &str, json: &[u8]) -> Self {
        let mut error = serde_json::from_slice::<Value>(json).ok().and_then(|json| found(&json)).unwrap_or_default();
        error.r#type = Some(Value::String(kind.to_owned()));
        Self::of_error(surface, None, &error)
    }

    /// How long to wait before another try, as a body says it: Google's `"retryDelay": "34.4s"`, or words.
    #[must_use]
    pub fn retry_delay(body: &[u8]) -> Option<std::time::Duration> {
        let json: Value = serde_json::from_slice(body).ok()?;
        let error = found(&json)?;
        let told = error.details.as_ref().and_then(Value::as_array);
        let told = told.and_then(|details| details.iter().find_map(|detail| detail.get("retryDelay")?.as_str()));
        told.and_then(wait::duration).or_else(|| wait::in_words(error.message.as_ref()?.as_str()?))
    }

    /// An error object of a stream that passes as it is.
    #[must_use]
    pub(crate) fn of_passing(surface: Surface, json: &[u8]) -> Self {
        let fault = Self::of_object(surface, json);
        let shown = fault.class.is_the_callers() && Self::is_told_in(surface.dialect(), json);
        Self { verbatim: shown.then(|| Bytes::copy_from_slice(json)), ..fault }
    }

    /// Whether an error body is told as clients of a dialect read it: `{error: {message, type, code}}`, whose code is a text or
    /// none, and Anthropic's with `type: "error"` beside it. Servers that speak a dialect otherwise often have errors of their
    /// own.
    #[must_use]
    pub fn is_told_in(dialect: Dialect, body: &[u8]) -> bool {
        let Ok(json) = serde_json::from_slice::<Value>(body) else { return false };
        let error = &json["error"];
        let told = error["message"].is_string() && error["type"].is_string();
        match dialect {
            Dialect::OpenAi | Dialect::Gemini | Dialect::Bedrock | Dialect::Cohere | Dialect::Ollama => {
                told && (error["code"].is_string() || error["code"].is_null())
            }
            Dialect::Anthropic => told && json["type"] == "error",
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
        let inner = error.innererror.as_ref().and_then(|inner| inner.code.as_deref());
        let code_or_inner = inner.or(code.as_deref()).unwrap_or_default();
        let class = if reason.contains("API_KEY_INVALID") {
            FailureClass::AuthFailed
        } else {
            classify(&Said { dialect: surface.dialect(), status, kind: &kind, code: code_or_inner, message: &message })
        };
        Self { class, message: bounded(message), code: code.map(bounded), param: text(&error.param).map(bounded), verbatim: None }
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
            Dialect::OpenAi | Dialect::Gemini | Dialect::Bedrock | Dialect::Cohere | Dialect::Ollama => {
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
            | Surface::CohereChat
            | Surface::BatchEmbedContents
            | Surface::CohereEmbed
            | Surface::OllamaChat
            | Surface::OllamaEmbed
            | Surface::Proxy
            | Surface::Realtime
            | Surface::Moderations
            | Surface::Rerank
            | Surface::Images
            | Surface::ImageEdits
            | Surface::ImageVariations
            | Surface::Speech
            | Surface::Transcriptions
            | Surface::Translations
            | Surface::CohereRerank
            | Surface::Files => {
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
