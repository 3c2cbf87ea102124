//! A provider that is played: the quickstart, the test upstream and the chaos tool.
//!
//! It speaks every surface by itself, whole and streamed, as the real providers do: ids, usage, reasons to finish, tool
//! calls, structured output, embeddings, and their own errors for requests that they would refuse. The same seed and
//! request give the same answer; the turn of the call alone decides which faults befall it.

mod asked;
mod chat;
mod embeddings;
mod judged;
mod media;
mod messages;
mod responses;
mod schema;
mod session;
mod words;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use snapshot::{Dialect, Operation, Simulated, SimulatedFault, Surface};

use crate::multipart::Form;

use asked::Asked;
use words::Dice;

pub use session::Played;

/// An answer, as it is to be played.
#[derive(Debug)]
pub struct Script {
    /// The HTTP status.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// For a `Retry-After` header.
    pub retry_after_seconds: Option<u32>,
    /// The body in time.
    pub beats: Beats,
}

/// One step of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beat {
    /// Nothing for so long.
    Wait(Duration),
    /// Bytes of the body.
    Bytes(Bytes),
    /// The connection breaks here.
    Drop,
    /// Nothing comes any more.
    Hang,
}

/// The steps that are left.
#[derive(Debug, Default)]
pub struct Beats(VecDeque<Beat>);

impl Iterator for Beats {
    type Item = Beat;

    fn next(&mut self) -> Option<Beat> {
        self.0.pop_front()
    }
}

/// An answer as the surfaces make it: one body, or events of which some carry a token.
enum Made {
    Whole(Value),
    Stream(Vec<Emitted>),
    /// Bytes of a type.
    Raw(&'static str, Vec<u8>),
}

/// A request as it is heard.
#[derive(Debug, Clone, Copy)]
pub enum Heard<'a> {
    /// A body of JSON.
    Json(&'a [u8]),
    /// A form. Its files stay where they are.
    Form(&'a Form),
}

/// An event of a stream; `paced` ones wait for the pace of tokens.
struct Emitted {
    text: String,
    paced: bool,
}

impl Emitted {
    fn data(value: &Value) -> Self {
        Self { text: format!("data: {value}\n\n"), paced: false }
    }

    fn named(name: &str, value: &Value) -> Self {
        Self { text: format!("event: {name}\ndata: {value}\n\n"), paced: false }
    }

    fn paced(mut self) -> Self {
        self.paced = true;
        self
    }
}

/// A request that the provider would refuse.
struct Bad {
    message: String,
    param: Option<&'static str>,
}

/// Plays a call. `turn` counts the calls of this provider in this process.
#[must_use]
pub fn play(config: &Simulated, surface: Surface, heard: Heard<'_>, turn: u64) -> Script {
    let fault = fault_of(config, turn);
    let mut beats = VecDeque::new();
    if config.latency_ms > 0 {
        beats.push_back(Beat::Wait(Duration::from_millis(config.latency_ms.into())));
    }
    match fault {
        Some(SimulatedFault::Hang { .. }) => {
            beats.push_back(Beat::Hang);
            return Script { status: 200, content_type: "application/json", retry_after_seconds: None, beats: Beats(beats) };
        }
        Some(SimulatedFault::Status { status, retry_after_seconds, .. }) => {
            let error = error_body(surface, status, "this fault was ordered in spec.simulated.faults", None);
            beats.push_back(Beat::Bytes(error.to_string().into()));
            return Script { status, content_type: "application/json", retry_after_seconds, beats: Beats(beats) };
        }
        Some(SimulatedFault::Drop { .. }) | None => {}
    }
    let cut = match fault {
        Some(SimulatedFault::Drop { after_tokens, .. }) => Some(after_tokens),
        _ => None,
    };
    match answer(config, surface, heard) {
        Err(bad) => {
            let error = error_body(surface, 400, &bad.message, bad.param);
            beats.push_back(Beat::Bytes(error.to_string().into()));
            Script { status: 400, content_type: "application/json", retry_after_seconds: None, beats: Beats(beats) }
        }
        Ok(Made::Whole(value)) => {
            beats.push_back(if cut.is_some() { Beat::Drop } else { Beat::Bytes(value.to_string().into()) });
            Script { status: 200, content_type: "application/json", retry_after_seconds: None, beats: Beats(beats) }
        }
        Ok(Made::Raw(content_type, bytes)) => {
            // The first bytes, then the others: as sound comes.
            let (first, rest) = bytes.split_at(bytes.len() / 2);
            beats.push_back(Beat::Bytes(Bytes::copy_from_slice(first)));
            beats.push_back(if cut.is_some() { Beat::Drop } else { Beat::Bytes(Bytes::copy_from_slice(rest)) });
            Script { status: 200, content_type, retry_after_seconds: None, beats: Beats(beats) }
        }
        Ok(Made::Stream(events)) => {
            pace(&mut beats, events, Duration::from_millis(config.token_interval_ms.into()), cut);
            Script { status: 200, content_type: "text/event-stream", retry_after_seconds: None, beats: Beats(beats) }
        }
    }
}

fn pace(beats: &mut VecDeque<Beat>, events: Vec<Emitted>, interval: Duration, cut: Option<u32>) {
    let mut tokens = 0;
    for event in events {
        if event.paced {
            if cut == Some(tokens) {
                return beats.push_back(Beat::Drop);
            }
            if tokens > 0 && !interval.is_zero() {
                beats.push_back(Beat::Wait(interval));
            }
            tokens += 1;
        }
        beats.push_back(Beat::Bytes(event.text.into()));
    }
    if cut.is_some_and(|cut| cut >= tokens) {
        // Fewer tokens than the drop waits for: it comes before the last event.
        beats.pop_back();
        beats.push_back(Beat::Drop);
    }
}

fn answer(config: &Simulated, surface: Surface, heard: Heard<'_>) -> Result<Made, Bad> {
    let body = match heard {
        Heard::Json(body) => body,
        Heard::Form(form) => return answer_form(surface, form),
    };
    let request: Value = serde_json::from_slice(body)
        .map_err(|_| Bad { message: "We could not parse the JSON body of your request.".to_owned(), param: None })?;
    let mut dice = Dice::new(config.seed, body);
    match surface {
        Surface::Embeddings => embeddings::answer(&request),
        Surface::ChatCompletions => chat::answer(&Asked::of_chat(&request)?, config, dice),
        Surface::Completions => chat::complete(&Asked::of_completions(&request)?, config, dice),
        Surface::Responses => responses::answer(&Asked::of_responses(&request)?, config, dice),
        Surface::Messages => messages::answer(&Asked::of_messages(&request)?, config, dice),
        Surface::Images => media::images(&request),
        Surface::Speech => media::speech(&request),
        Surface::Moderations => judged::moderations(&request, &dice.id("modr-", 20)),
        Surface::Rerank => judged::rerank(&request, &dice.id("rerank-", 20)),
        Surface::CountTokens
        | Surface::ImageEdits
        | Surface::ImageVariations
        | Surface::Transcriptions
        | Surface::Translations
        | Surface::CohereRerank
        | Surface::Files
        | Surface::GenerateContent
        | Surface::Converse
        | Surface::CohereChat
        | Surface::BatchEmbedContents
        | Surface::CohereEmbed
        | Surface::OllamaChat
        | Surface::OllamaEmbed
        | Surface::Proxy
        | Surface::Realtime => Err(Bad { message: "This server does not speak that dialect.".to_owned(), param: None }),
    }
}

fn answer_form(surface: Surface, form: &Form) -> Result<Made, Bad> {
    match surface.operation() {
        Operation::Images => media::edits(form),
        Operation::Audio => media::transcript(surface, form),
        Operation::Chat
        | Operation::Completions
        | Operation::Embeddings
        | Operation::Responses
        | Operation::Moderations
        | Operation::Rerank
        | Operation::Files
        | Operation::Proxy
        | Operation::Realtime => Err(Bad { message: "This server takes no form there.".to_owned(), param: None }),
    }
}

/// The first fault whose dice fall on this turn.
fn fault_of(config: &Simulated, turn: u64) -> Option<SimulatedFault> {
    config.faults.iter().enumerate().find_map(|(place, fault)| {
        let percent = match fault {
            SimulatedFault::Status { percent, .. } | SimulatedFault::Drop { percent, .. } | SimulatedFault::Hang { percent } => *percent,
        };
        let mut dice = Dice::new(config.seed ^ (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15), &turn.to_le_bytes());
        (dice.below(100) < u64::from(percent)).then_some(*fault)
    })
}

/// An error as the provider of that dialect says it.
fn error_body(surface: Surface, status: u16, message: &str, param: Option<&str>) -> Value {
    let openai = |kind: &str, code: Value| json!({ "error": { "message": message, "type": kind, "param": param, "code": code } });
    match surface.dialect() {
        Dialect::OpenAi | Dialect::Gemini | Dialect::Bedrock | Dialect::Cohere | Dialect::Ollama => match status {
            401 => openai("invalid_request_error", json!("invalid_api_key")),
            404 => openai("invalid_request_error", json!("model_not_found")),
            429 => openai("requests", json!("rate_limit_exceeded")),
            500..=599 => openai("server_error", Value::Null),
            _ => openai("invalid_request_error", Value::Null),
        },
        Dialect::Anthropic => {
            let kind = match status {
                401 => "authentication_error",
                403 => "permission_error",
                404 => "not_found_error",
                413 => "request_too_large",
                429 => "rate_limit_error",
                529 => "overloaded_error",
                500..=599 => "api_error",
                _ => "invalid_request_error",
            };
            json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_simulated" })
        }
    }
}
