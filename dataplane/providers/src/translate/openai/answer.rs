//! Whole answers, read and written.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::{Surface, Usage};

use super::{CREATED, Extra, ToolCall, said, write_calls};
use crate::fault::Fault;
use crate::json::write_text;
use crate::translate::chat::{Answer, Part, Stop, id_of_answer, id_of_call, text};
use crate::translate::not_an_answer;
use crate::usage;

#[derive(Deserialize)]
struct AnswerBody<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    object: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Option<Vec<AnswerChoice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct AnswerChoice<'a> {
    #[serde(borrow)]
    message: AnswerMessage<'a>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct AnswerMessage<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow, default)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
}

pub(in crate::translate) fn read_answer(body: &[u8]) -> Result<Answer<'_>, Fault> {
    let answer: AnswerBody<'_> = serde_json::from_slice(body).map_err(|error| not_an_answer(&error.to_string()))?;
    if answer.error.is_some() || answer.object.as_deref() == Some("error") {
        return Err(Fault::of_object(Surface::ChatCompletions, body));
    }
    let Some(choice) = answer.choices.into_iter().flatten().next() else { return Err(not_an_answer("it has no choices")) };
    let message = choice.message;
    let mut all = Vec::new();
    let reasoning = message.reasoning.filter(|raw| raw.get().starts_with('"')).and_then(|raw| text(raw, "reasoning").ok());
    if let Some(text) = message.reasoning_content.filter(|text| !text.is_empty()).or(reasoning).filter(|text| !text.is_empty()) {
        all.push(Part::Thinking { text, signature: None });
    }
    all.extend(said(message.content).map_err(|error| not_an_answer(&error.to_string()))?);
    let id = answer.id.filter(|id| !id.is_empty()).unwrap_or_else(|| Cow::Owned(id_of_answer(body)));
    let reason = choice.finish_reason.unwrap_or_default();
    for (place, call) in message.tool_calls.into_iter().flatten().enumerate() {
        let arguments = call.function.arguments.unwrap_or_default();
        let input = if arguments.trim().is_empty() { Cow::Borrowed(&b"{}"[..]) } else { Cow::Owned(arguments.into_owned().into_bytes()) };
        let id = Cow::Owned(id_of_call(call.id.as_deref().unwrap_or_default(), &id, place).into_owned());
        all.push(Part::Call { id, name: call.function.name, input, seal: call.extra_content.and_then(Extra::seal) });
    }
    let called = all.iter().any(|part| matches!(part, Part::Call { .. }));
    let refusal = message.refusal.filter(|text| !text.is_empty());
    Ok(Answer {
        id,
        model: answer.model.unwrap_or_default(),
        parts: all,
        stop: stop(&reason, called, refusal.is_some()),
        refusal,
        stop_text: None,
        usage: usage::served(answer.usage.and_then(|usage| usage::of_openai(usage.get().as_bytes())), answer.service_tier.as_deref()),
    })
}

/// OpenAI's reason to finish; a call or a refusal that was made is one, whatever the reason says.
pub(super) fn stop(reason: &str, called: bool, refused: bool) -> Stop {
    match reason {
        "length" => Stop::Length,
        "content_filter" => Stop::Filtered,
        "tool_calls" | "function_call" => Stop::Calls,
        _ if called => Stop::Calls,
        _ if refused => Stop::Filtered,
        _ => Stop::End,
    }
}

pub(super) fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::End => "stop",
        Stop::Length => "length",
        Stop::Calls => "tool_calls",
        Stop::Filtered => "content_filter",
    }
}

pub(in crate::translate) fn write_answer(answer: &Answer<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    write_text(out, &answer.id);
    out.extend_from_slice(b",\"object\":\"chat.completion\",\"created\":");
    out.extend_from_slice(CREATED.as_bytes());
    out.extend_from_slice(b",\"model\":");
    write_text(out, &answer.model);
    out.extend_from_slice(b",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    let texts: Vec<&str> =
        answer.parts.iter().filter_map(|part| if let Part::Text { text, .. } = part { Some(&**text) } else { None }).collect();
    if texts.is_empty() {
        out.extend_from_slice(b"null")
    } else {
        write_text(out, &texts.concat())
    }
    out.extend_from_slice(b",\"refusal\":");
    match &answer.refusal {
        Some(refusal) => write_text(out, refusal),
        None => out.extend_from_slice(b"null"),
    }
    write_thinking(&answer.parts, out);
    if let Some(plan) = answer.parts.iter().find_map(|part| if let Part::Plan(plan) = part { Some(plan) } else { None }) {
        out.extend_from_slice(b",\"tool_plan\":");
        write_text(out, plan);
    }
    let calls: Vec<&Part<'_>> = answer.parts.iter().filter(|part| matches!(part, Part::Call { .. })).collect();
    write_calls(&calls, out);
    out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":");
    write_text(out, finish_reason(answer.stop));
    out.extend_from_slice(b"}]");
    if let Some(usage) = &answer.usage {
        out.extend_from_slice(b",\"usage\":");
        write_usage(usage, out);
    }
    out.push(b'}');
}

fn write_thinking(parts: &[Part<'_>], out: &mut Vec<u8>) {
    let thoughts: Vec<&str> =
        parts.iter().filter_map(|part| if let Part::Thinking { text, .. } = part { Some(&**text) } else { None }).collect();
    if !parts.iter().any(|part| matches!(part, Part::Thinking { .. } | Part::Redacted { .. })) {
        return;
    }
    out.extend_from_slice(b",\"reasoning_content\":");
    write_text(out, &thoughts.concat());
    out.extend_from_slice(b",\"thinking_blocks\":[");
    for part in parts {
        match part {
            Part::Thinking { text, signature } => {
                out.extend_from_slice(b"{\"type\":\"thinking\",\"thinking\":");
                write_text(out, text);
                out.extend_from_slice(b",\"signature\":");
                write_text(out, signature.as_deref().unwrap_or_default());
                out.extend_from_slice(b"},");
            }
            Part::Redacted { data } => {
                out.extend_from_slice(b"{\"type\":\"redacted_thinking\",\"data\":");
                write_text(out, data);
                out.extend_from_slice(b"},");
            }
            Part::Text { .. } | Part::Image(_) | Part::File { .. } | Part::Call { .. } | Part::Result { .. } | Part::Plan(_) => {}
        }
    }
    out.pop();
    out.push(b']');
}

pub(super) fn write_usage(usage: &Usage, out: &mut Vec<u8>) {
    let Usage { prompt, completion, cached, cache_write, reasoning, more } = usage;
    let total = usage.total();
    let read = kinds(more.audio_in, more.image_in);
    let written = kinds(more.audio_out, more.image_out);
    let text = format!(
        "{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{total},\"prompt_tokens_details\":{{\"cached_tokens\":{cached},\"cache_write_tokens\":{cache_write}{read}}},\"completion_tokens_details\":{{\"reasoning_tokens\":{reasoning}{written}}}}}"
    );
    out.extend_from_slice(text.as_bytes());
}

/// Tokens of sound and of pictures, where there are any.
pub(in crate::translate) fn kinds(audio: u64, image: u64) -> String {
    let told = [("audio_tokens", audio), ("image_tokens", image)].into_iter().filter(|(_, count)| *count > 0);
    told.map(|(name, count)| format!(",\"{name}\":{count}")).collect()
}
