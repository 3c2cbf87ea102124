//! Requests, written.

use std::borrow::Cow;

use super::write_calls;
use crate::json::{comma, write_list, write_text};
use crate::passage::CannotSay;
use crate::translate::chat::{Choice, Image, Part, Request, Role, Turn, cannot, no_rare_but};

/// Texts that may stop an answer.
const STOPS_MAX: usize = 4;

/// What other doors have a word for, and this dialect's word for it.
const RARE: [(&str, &str); 2] = [("text.verbosity", "verbosity"), ("service_tier", "service_tier")];

/// Writes a request for a provider that speaks this dialect.
pub(in crate::translate) fn write_request(request: &Request<'_>, model: &str, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    no_rare_but(&RARE.map(|(asked, _)| asked), request)?;
    out.extend_from_slice(b"{\"model\":");
    write_text(out, model);
    out.extend_from_slice(b",\"messages\":[");
    if !request.system.is_empty() {
        out.extend_from_slice(b"{\"role\":\"system\",\"content\":");
        let joined = request.system.iter().map(|(text, _)| &**text).collect::<Vec<_>>().join("\n\n");
        write_text(out, &joined);
        out.extend_from_slice(b"},");
    }
    for turn in &request.turns {
        write_turn(turn, out);
    }
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(b']');
    if let Some(max) = request.max_tokens {
        out.extend_from_slice(format!(",\"max_completion_tokens\":{max}").as_bytes());
    }
    for (name, raw) in [("temperature", request.temperature), ("top_p", request.top_p)] {
        if let Some(raw) = raw {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            out.extend_from_slice(raw);
        }
    }
    for (field, raw) in &request.rare {
        if let Some((_, name)) = RARE.iter().find(|(asked, _)| asked == field) {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            out.extend_from_slice(raw);
        }
    }
    if request.stop.len() > STOPS_MAX {
        return cannot("stop_sequences", "the target takes at most four");
    }
    if !request.stop.is_empty() {
        out.extend_from_slice(b",\"stop\":");
        write_list(out, &request.stop);
    }
    if let Some(user) = &request.user {
        out.extend_from_slice(b",\"user\":");
        write_text(out, user);
    }
    if let Some(effort) = &request.effort {
        out.extend_from_slice(b",\"reasoning_effort\":");
        write_text(out, effort);
    }
    if let Some(schema) = request.schema {
        out.extend_from_slice(
            b",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"strict\":true,\"schema\":",
        );
        out.extend_from_slice(schema);
        out.extend_from_slice(b"}}");
    }
    if request.json {
        out.extend_from_slice(b",\"response_format\":{\"type\":\"json_object\"}");
    }
    write_tools(request, out);
    if request.stream {
        out.extend_from_slice(b",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    }
    out.push(b'}');
    Ok(())
}

fn write_tools(request: &Request<'_>, out: &mut Vec<u8>) {
    if request.tools.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"tools\":[");
    for (place, tool) in request.tools.iter().enumerate() {
        comma(place, out);
        out.extend_from_slice(b"{\"type\":\"function\",\"function\":{\"name\":");
        write_text(out, &tool.name);
        if let Some(description) = &tool.description {
            out.extend_from_slice(b",\"description\":");
            write_text(out, description);
        }
        out.extend_from_slice(b",\"parameters\":");
        out.extend_from_slice(tool.schema.unwrap_or(b"{\"type\":\"object\",\"properties\":{}}"));
        if let Some(strict) = tool.strict {
            out.extend_from_slice(format!(",\"strict\":{strict}").as_bytes());
        }
        out.extend_from_slice(b"}}");
    }
    out.push(b']');
    match &request.choice {
        Some(Choice::Auto) => out.extend_from_slice(b",\"tool_choice\":\"auto\""),
        Some(Choice::None) => out.extend_from_slice(b",\"tool_choice\":\"none\""),
        Some(Choice::Any) => out.extend_from_slice(b",\"tool_choice\":\"required\""),
        Some(Choice::Named(name)) => {
            out.extend_from_slice(b",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":");
            write_text(out, name);
            out.extend_from_slice(b"}}");
        }
        None => {}
    }
    if let Some(parallel) = request.parallel {
        out.extend_from_slice(format!(",\"parallel_tool_calls\":{parallel}").as_bytes());
    }
}

/// One turn becomes several messages where it answers tools. What a result shows beside its words (images, documents) is
/// shown by the user after it: the target takes only text as the result of a tool.
fn write_turn(turn: &Turn<'_>, out: &mut Vec<u8>) {
    let mut shown: Vec<(Part<'_>, Vec<&Part<'_>>)> = Vec::new();
    for part in &turn.parts {
        if let Part::Result { id, parts, is_error } = part {
            out.extend_from_slice(b"{\"role\":\"tool\",\"tool_call_id\":");
            write_text(out, id);
            out.extend_from_slice(b",\"content\":");
            let (texts, others): (Vec<_>, Vec<_>) = parts.iter().partition(|part| matches!(part, Part::Text { .. }));
            write_result(&texts, *is_error, out);
            out.extend_from_slice(b"},");
            if !others.is_empty() {
                let label = Part::Text { text: Cow::Owned(format!("The result of {id} shows:")), cache: None };
                shown.push((label, others));
            }
        }
    }
    let shown = shown.iter().flat_map(|(label, others)| std::iter::once(label).chain(others.iter().copied()));
    let own = turn.parts.iter().filter(|part| matches!(part, Part::Text { .. } | Part::Image(_) | Part::File { .. }));
    let said: Vec<&Part<'_>> = shown.chain(own).collect();
    let calls: Vec<&Part<'_>> = turn.parts.iter().filter(|part| matches!(part, Part::Call { .. })).collect();
    if said.is_empty() && calls.is_empty() {
        return;
    }
    let role: &[u8] = if turn.role == Role::User { b"{\"role\":\"user\",\"content\":" } else { b"{\"role\":\"assistant\",\"content\":" };
    out.extend_from_slice(role);
    write_content(&said, out);
    write_calls(&calls, out);
    out.extend_from_slice(b"},");
}

fn write_result(texts: &[&Part<'_>], is_error: bool, out: &mut Vec<u8>) {
    // The target has no other word for a tool that failed.
    let failed = is_error.then_some(Part::Text { text: Cow::Borrowed("Error: "), cache: None });
    match (&failed, texts) {
        (None, []) => write_text(out, ""),
        (Some(Part::Text { text: failed, .. }), [Part::Text { text, .. }]) => write_text(out, &format!("{failed}{text}")),
        (failed, texts) => write_content(&failed.iter().chain(texts.iter().copied()).collect::<Vec<_>>(), out),
    }
}

fn write_content(said: &[&Part<'_>], out: &mut Vec<u8>) {
    match said {
        [] => out.extend_from_slice(b"null"),
        [Part::Text { text, .. }] => write_text(out, text),
        _ => {
            out.push(b'[');
            for (place, part) in said.iter().enumerate() {
                comma(place, out);
                match part {
                    Part::Image(Image::Url(url)) => {
                        out.extend_from_slice(b"{\"type\":\"image_url\",\"image_url\":{\"url\":");
                        write_text(out, url);
                        out.extend_from_slice(b"}}");
                    }
                    Part::Image(Image::Base64 { media_type, data }) => {
                        out.extend_from_slice(b"{\"type\":\"image_url\",\"image_url\":{\"url\":");
                        write_text(out, &format!("data:{media_type};base64,{data}"));
                        out.extend_from_slice(b"}}");
                    }
                    Part::Text { text, .. } => {
                        out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
                        write_text(out, text);
                        out.push(b'}');
                    }
                    Part::File { media_type, data, name } => write_file(media_type, data, name.as_deref(), out),
                    Part::Call { .. } | Part::Result { .. } | Part::Thinking { .. } | Part::Redacted { .. } | Part::Plan(_) => {}
                }
            }
            out.push(b']');
        }
    }
}

fn write_file(media_type: &str, data: &str, name: Option<&str>, out: &mut Vec<u8>) {
    if let Some(format) = media_type.strip_prefix("audio/") {
        out.extend_from_slice(b"{\"type\":\"input_audio\",\"input_audio\":{\"data\":");
        write_text(out, data);
        out.extend_from_slice(b",\"format\":");
        write_text(out, format);
    } else {
        out.extend_from_slice(b"{\"type\":\"file\",\"file\":{\"filename\":");
        write_text(out, name.unwrap_or("document"));
        out.extend_from_slice(b",\"file_data\":");
        write_text(out, &format!("data:{media_type};base64,{data}"));
    }
    out.extend_from_slice(b"}}");
}
