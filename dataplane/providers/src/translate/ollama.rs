//! Ollama's own chat. Providers alone speak it, so requests are written and answers are read; each line of a stream is an
//! answer in itself, of which the last is done.
//!
//! Its own and not the OpenAI dialect that it has too: there every streamed call has the index 0, thoughts cannot be asked for,
//! and a text that is too long for an embedding is cut in silence.

pub(super) mod stream;
mod writing;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::{Surface, Usage};

use super::chat::{Answer, Part, Stop, id_of_answer, id_of_call};
use super::not_an_answer;
use crate::fault::Fault;
use crate::usage::Count;

pub(super) use writing::write_request;

/// An answer, or a line of a stream.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    done_reason: Option<Cow<'a, str>>,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    prompt_eval_count: Count,
    #[serde(default)]
    eval_count: Count,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

impl<'a> Body<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Fault> {
        let read: Self = serde_json::from_slice(body).map_err(|error| not_an_answer(&error.to_string()))?;
        if read.error.is_some_and(|error| error.get() != "null") {
            return Err(Fault::of_object(Surface::OllamaChat, body));
        }
        Ok(read)
    }

    /// A prompt that was read before is not counted again.
    fn usage(&self) -> Option<Usage> {
        if self.prompt_eval_count.0.is_none() && self.eval_count.0.is_none() {
            return None;
        }
        Some(Usage { prompt: self.prompt_eval_count.or_none(), completion: self.eval_count.or_none(), ..Usage::default() })
    }
}

impl Function<'_> {
    fn input(&self) -> &[u8] {
        self.arguments.map_or(b"{}", |arguments| arguments.get().as_bytes())
    }
}

fn stop(reason: &str, called: bool) -> Stop {
    match reason {
        "length" => Stop::Length,
        _ if called => Stop::Calls,
        _ => Stop::End,
    }
}

pub(super) fn read_answer(body: &[u8]) -> Result<Answer<'_>, Fault> {
    let answer = Body::read(body)?;
    let usage = answer.usage();
    let Some(message) = answer.message else { return Err(not_an_answer("it has no message")) };
    let id = id_of_answer(body);
    let mut parts = Vec::new();
    parts.extend(message.thinking.filter(|text| !text.is_empty()).map(|text| Part::Thinking { text, signature: None }));
    parts.extend(message.content.filter(|text| !text.is_empty()).map(|text| Part::Text { text, cache: None }));
    for (place, call) in message.tool_calls.into_iter().flatten().enumerate() {
        let id = Cow::Owned(id_of_call(call.id.as_deref().unwrap_or_default(), &id, place).into_owned());
        let input = Cow::Owned(call.function.input().to_vec());
        parts.push(Part::Call { id, name: call.function.name, input, seal: None });
    }
    let called = parts.iter().any(|part| matches!(part, Part::Call { .. }));
    Ok(Answer {
        id: Cow::Owned(id),
        model: answer.model.unwrap_or_default(),
        parts,
        refusal: None,
        stop: stop(answer.done_reason.as_deref().unwrap_or_default(), called),
        stop_text: None,
        usage,
    })
}
