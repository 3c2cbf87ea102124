//! Whole answers, read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::Surface;

use super::{Reasoning, is_the_providers, stop};
use crate::fault::Fault;
use crate::translate::chat::{Answer, Part, id_of_answer, id_of_call};
use crate::translate::{anthropic, not_an_answer};
use crate::usage;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow, default)]
    output: Option<Output<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<Served<'a>>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    /// Of an answer in Anthropic's words, which InvokeModel gives.
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'a, str>>,
}

/// How it was served: `{"type":"priority"}`.
#[derive(Deserialize)]
pub(super) struct Served<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_use: Option<ToolUse<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Reasoning<'a>>,
    #[serde(borrow, default)]
    citations_content: Option<Cited<'a>>,
}

/// Words that rest on documents: they stand here and nowhere else.
#[derive(Deserialize)]
struct Cited<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<CitedText<'a>>>,
}

#[derive(Deserialize)]
struct CitedText<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_use_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

pub(in crate::translate) fn read_answer(body: &[u8]) -> Result<Answer<'_>, Fault> {
    let answer: Body<'_> = serde_json::from_slice(body).map_err(|error| not_an_answer(&error.to_string()))?;
    if answer.output.is_none() && answer.kind.as_deref() == Some("message") {
        return anthropic::read_answer(body);
    }
    let Some(message) = answer.output.and_then(|output| output.message) else {
        return Err(if answer.message.is_some() { Fault::of_object(Surface::Converse, body) } else { not_an_answer("it has no message") });
    };
    let id = id_of_answer(body);
    let mut parts = Vec::with_capacity(message.content.len());
    for block in message.content {
        let place = parts.iter().filter(|part| matches!(part, Part::Call { .. })).count();
        parts.extend(part(block, &id, place));
    }
    let called = parts.iter().any(|part| matches!(part, Part::Call { .. }));
    Ok(Answer {
        id: Cow::Owned(id),
        model: Cow::Borrowed(""),
        parts,
        refusal: None,
        stop: stop(answer.stop_reason.as_deref().unwrap_or_default(), called),
        stop_text: None,
        usage: usage::served(
            answer.usage.and_then(|usage| usage::of_converse(usage.get().as_bytes())),
            answer.service_tier.as_ref().map(|tier| &*tier.kind),
        ),
    })
}

/// Blocks of tools that the provider ran itself, and where it found what it cites, are its own affair.
fn part<'a>(block: Block<'a>, answer: &str, place: usize) -> Option<Part<'a>> {
    if let Some(call) = block.tool_use {
        if is_the_providers(call.kind.as_deref()) {
            return None;
        }
        let id = Cow::Owned(id_of_call(call.tool_use_id.as_deref().unwrap_or_default(), answer, place).into_owned());
        let input = call.input.map_or(Cow::Borrowed(&b"{}"[..]), |input| Cow::Borrowed(input.get().as_bytes()));
        return Some(Part::Call { id, name: call.name.unwrap_or_default(), input, seal: None });
    }
    if let Some(thought) = block.reasoning_content {
        return match (thought.reasoning_text, thought.redacted_content) {
            (Some(said), _) => Some(Part::Thinking { text: said.text.unwrap_or_default(), signature: said.signature }),
            (None, Some(data)) => Some(Part::Redacted { data }),
            (None, None) => None,
        };
    }
    let cited = block.citations_content.and_then(|cited| cited.content);
    let cited = cited.map(|texts| Cow::Owned(texts.into_iter().filter_map(|cited| cited.text).collect::<String>()));
    block.text.or(cited).filter(|text| !text.is_empty()).map(|text| Part::Text { text, cache: None })
}
