//! Whole answers, read and written.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::{Surface, Usage};

use super::{Block, SEAL, part, write_part};
use crate::fault::Fault;
use crate::json::{comma, write_text};
use crate::translate::chat::{Answer, Part, Stop, id_of_call};
use crate::translate::not_an_answer;
use crate::usage::AnthropicUsage;

#[derive(Deserialize)]
struct AnswerBody<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Option<Vec<Block<'a>>>,
    #[serde(borrow, default)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    stop_sequence: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    stop_details: Option<StopDetails<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct StopDetails<'a> {
    #[serde(borrow, default)]
    pub(super) explanation: Option<Cow<'a, str>>,
}

pub(in crate::translate) fn read_answer(body: &[u8]) -> Result<Answer<'_>, Fault> {
    let answer: AnswerBody<'_> = serde_json::from_slice(body).map_err(|error| not_an_answer(&error.to_string()))?;
    if answer.kind.as_deref() == Some("error") {
        return Err(Fault::of_object(Surface::Messages, body));
    }
    let Some(content) = answer.content else { return Err(not_an_answer("it has no content")) };
    // Blocks of tools that the provider ran itself are its own affair: the client can do nothing with them.
    let known = content.into_iter().filter(|block| matches!(&*block.kind, "text" | "tool_use" | "thinking" | "redacted_thinking"));
    let id = answer.id.unwrap_or_default();
    let mut parts = Vec::new();
    for mut block in known {
        if &*block.kind == "tool_use" {
            let place = parts.iter().filter(|part| matches!(part, Part::Call { .. })).count();
            block.id = Some(Cow::Owned(id_of_call(block.id.as_deref().unwrap_or_default(), &id, place).into_owned()));
        }
        parts.push(part(block, "content").map_err(|error| not_an_answer(&error.to_string()))?);
    }
    let mut usage = AnthropicUsage::default();
    if let Some(raw) = answer.usage {
        usage.take(raw.get().as_bytes());
    }
    Ok(Answer {
        id,
        model: answer.model.unwrap_or_default(),
        parts,
        refusal: answer.stop_details.and_then(|details| details.explanation),
        stop: stop(answer.stop_reason.as_deref().unwrap_or_default()),
        stop_text: answer.stop_sequence,
        usage: usage.usage(),
    })
}

pub(super) fn stop(reason: &str) -> Stop {
    match reason {
        "max_tokens" | "model_context_window_exceeded" | "compaction" => Stop::Length,
        "tool_use" => Stop::Calls,
        "refusal" => Stop::Filtered,
        _ => Stop::End,
    }
}

pub(super) fn stop_reason(stop: Stop, stop_text: Option<&str>) -> &'static str {
    match stop {
        Stop::End if stop_text.is_some() => "stop_sequence",
        Stop::End => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Calls => "tool_use",
        Stop::Filtered => "refusal",
    }
}

pub(in crate::translate) fn write_answer(answer: &Answer<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    write_text(out, &answer.id);
    out.extend_from_slice(b",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    write_text(out, &answer.model);
    out.extend_from_slice(b",\"content\":[");
    let refusal = answer.refusal.as_ref().map(|text| Part::Text { text: Cow::Borrowed(text), cache: None });
    for (place, part) in answer.parts.iter().chain(&refusal).enumerate() {
        comma(place, out);
        if let Part::Call { seal: Some(seal), .. } = part {
            write_part(&Part::Thinking { text: Cow::Borrowed(""), signature: Some(Cow::Owned(format!("{SEAL}{seal}"))) }, out);
            out.push(b',');
        }
        write_part(part, out);
    }
    out.extend_from_slice(b"],\"stop_reason\":");
    write_text(out, stop_reason(answer.stop, answer.stop_text.as_deref()));
    out.extend_from_slice(b",\"stop_sequence\":");
    match &answer.stop_text {
        Some(text) => write_text(out, text),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"usage\":");
    write_usage(&answer.usage.unwrap_or_default(), out);
    out.push(b'}');
}

/// Anthropic's convention: what is cached is not part of `input_tokens`.
pub(super) fn write_usage(usage: &Usage, out: &mut Vec<u8>) {
    let input = usage.prompt.saturating_sub(usage.cached).saturating_sub(usage.cache_write);
    let Usage { completion, cached, cache_write, more, .. } = usage;
    let mut text = format!(
        "{{\"input_tokens\":{input},\"cache_creation_input_tokens\":{cache_write},\"cache_read_input_tokens\":{cached},\"output_tokens\":{completion}"
    );
    if more.cache_hour > 0 {
        let (hour, minutes) = (more.cache_hour, cache_write.saturating_sub(more.cache_hour));
        text += &format!(",\"cache_creation\":{{\"ephemeral_5m_input_tokens\":{minutes},\"ephemeral_1h_input_tokens\":{hour}}}");
    }
    if more.searches > 0 {
        text += &format!(",\"server_tool_use\":{{\"web_search_requests\":{}}}", more.searches);
    }
    text.push('}');
    out.extend_from_slice(text.as_bytes());
}
