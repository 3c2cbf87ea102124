//! Whole answers, read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::Surface;

use super::{ToolCall, failed, stop};
use crate::fault::Fault;
use crate::translate::chat::{Answer, Part, id_of_call};
use crate::translate::not_an_answer;
use crate::usage;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    /// An object in an answer, a text in an error.
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<Block<'a>>>,
    #[serde(borrow, default)]
    tool_plan: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
}

pub(in crate::translate) fn read_answer(body: &[u8]) -> Result<Answer<'_>, Fault> {
    let answer: Body<'_> = serde_json::from_slice(body).map_err(|error| not_an_answer(&error.to_string()))?;
    let message = match answer.message {
        Some(message) if message.get().starts_with('{') => message,
        Some(_) => return Err(Fault::of_object(Surface::CohereChat, body)),
        None => return Err(not_an_answer("it has no message")),
    };
    let message: Message<'_> = serde_json::from_str(message.get()).map_err(|error| not_an_answer(&error.to_string()))?;
    let reason = answer.finish_reason.unwrap_or_default();
    if let Some(fault) = failed(&reason, None) {
        return Err(fault);
    }
    let id = answer.id.unwrap_or_default();
    let mut parts: Vec<Part<'_>> = message.tool_plan.filter(|plan| !plan.is_empty()).map(Part::Plan).into_iter().collect();
    for block in message.content.into_iter().flatten() {
        parts.extend(block.thinking.filter(|text| !text.is_empty()).map(|text| Part::Thinking { text, signature: None }));
        parts.extend(block.text.filter(|text| !text.is_empty()).map(|text| Part::Text { text, cache: None }));
    }
    let mut called = false;
    for (place, call) in message.tool_calls.into_iter().flatten().enumerate() {
        called = true;
        let (name, arguments) = call.function.map_or((None, None), |function| (function.name, function.arguments));
        let id = Cow::Owned(id_of_call(call.id.as_deref().unwrap_or_default(), &id, place).into_owned());
        parts.push(Part::Call { id, name: name.unwrap_or_default(), input: arguments_of(arguments), seal: None });
    }
    Ok(Answer {
        model: Cow::Borrowed(""),
        parts,
        refusal: None,
        stop: stop(&reason, called),
        stop_text: None,
        usage: answer.usage.and_then(|usage| usage::of_cohere(usage.get().as_bytes())),
        id,
    })
}

/// A call without arguments is told as an empty text, or as the text `null`. Arguments are an object, also where there are
/// none: those who call a function with them can do nothing with `null`.
fn arguments_of(arguments: Option<Cow<'_, str>>) -> Cow<'_, [u8]> {
    let arguments = arguments.unwrap_or_default();
    if matches!(arguments.trim(), "" | "null") {
        return Cow::Borrowed(b"{}");
    }
    match arguments {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}
