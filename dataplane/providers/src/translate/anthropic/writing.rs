//! Requests, written.

use super::{write_part, write_text_block};
use crate::json::{comma, write_list, write_text};
use crate::passage::CannotSay;
use crate::translate::chat::{Choice, Part, Request, Role, Turn, cannot};

/// Anthropic wants a limit; this one every model takes.
const MAX_TOKENS: u64 = 4096;

/// Writes a request for Anthropic.
pub(in crate::translate) fn write_request(request: &Request<'_>, model: &str, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    out.extend_from_slice(b"{\"model\":");
    write_text(out, model);
    out.extend_from_slice(format!(",\"max_tokens\":{}", request.max_tokens.unwrap_or(MAX_TOKENS).max(1)).as_bytes());
    if !request.system.is_empty() {
        out.extend_from_slice(b",\"system\":[");
        for (place, (text, cache)) in request.system.iter().enumerate() {
            comma(place, out);
            write_text_block(text, *cache, out);
        }
        out.push(b']');
    }
    out.extend_from_slice(b",\"messages\":[");
    for (place, turn) in request.turns.iter().enumerate() {
        comma(place, out);
        write_turn(turn, out);
    }
    out.push(b']');
    if let Some(raw) = request.temperature {
        let value = std::str::from_utf8(raw).ok().and_then(|text| text.parse::<f64>().ok());
        if value.is_none_or(|value| value > 1.0) {
            return cannot("temperature", "the target takes 0 to 1");
        }
        out.extend_from_slice(b",\"temperature\":");
        out.extend_from_slice(raw);
    }
    if let Some(raw) = request.top_p {
        out.extend_from_slice(b",\"top_p\":");
        out.extend_from_slice(raw);
    }
    if !request.stop.is_empty() {
        out.extend_from_slice(b",\"stop_sequences\":");
        write_list(out, &request.stop);
    }
    if let Some(user) = &request.user {
        out.extend_from_slice(b",\"metadata\":{\"user_id\":");
        write_text(out, user);
        out.push(b'}');
    }
    write_config(request, out)?;
    write_tools(request, out);
    if request.stream {
        out.extend_from_slice(b",\"stream\":true");
    }
    out.push(b'}');
    Ok(())
}

fn write_config(request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    let effort = match request.effort.as_deref() {
        None | Some("none") => None,
        Some(effort @ ("low" | "medium" | "high" | "xhigh" | "max")) => Some(effort),
        Some("minimal") => Some("low"),
        Some(_) => return cannot("reasoning_effort", "the target takes low, medium, high, xhigh, max or none"),
    };
    if effort.is_some() {
        out.extend_from_slice(b",\"thinking\":{\"type\":\"adaptive\",\"display\":\"summarized\"}");
    }
    if effort.is_none() && request.schema.is_none() {
        return Ok(());
    }
    out.extend_from_slice(b",\"output_config\":{");
    if let Some(effort) = effort {
        out.extend_from_slice(format!("\"effort\":\"{effort}\"").as_bytes());
    }
    if let Some(schema) = request.schema {
        comma(usize::from(effort.is_some()), out);
        out.extend_from_slice(b"\"format\":{\"type\":\"json_schema\",\"schema\":");
        out.extend_from_slice(schema);
        out.push(b'}');
    }
    out.push(b'}');
    Ok(())
}

fn write_tools(request: &Request<'_>, out: &mut Vec<u8>) {
    let history = request.turns.iter().flat_map(|turn| &turn.parts).any(|part| matches!(part, Part::Call { .. } | Part::Result { .. }));
    if request.tools.is_empty() {
        if history {
            // A conversation with calls in it must offer a tool, even where no more are to be called.
            out.extend_from_slice(b",\"tools\":[{\"name\":\"none\",\"description\":\"not to be called\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}],\"tool_choice\":{\"type\":\"none\"}");
        }
        return;
    }
    out.extend_from_slice(b",\"tools\":[");
    for (place, tool) in request.tools.iter().enumerate() {
        comma(place, out);
        out.extend_from_slice(b"{\"name\":");
        write_text(out, &tool.name);
        if let Some(description) = &tool.description {
            out.extend_from_slice(b",\"description\":");
            write_text(out, description);
        }
        out.extend_from_slice(b",\"input_schema\":");
        out.extend_from_slice(tool.schema.unwrap_or(b"{\"type\":\"object\",\"properties\":{}}"));
        if tool.strict == Some(true) {
            out.extend_from_slice(b",\"strict\":true");
        }
        out.push(b'}');
    }
    out.push(b']');
    if request.choice.is_none() && request.parallel != Some(false) {
        return;
    }
    out.extend_from_slice(b",\"tool_choice\":{\"type\":");
    match request.choice.as_ref().unwrap_or(&Choice::Auto) {
        Choice::Auto => out.extend_from_slice(b"\"auto\""),
        Choice::None => out.extend_from_slice(b"\"none\""),
        Choice::Any => out.extend_from_slice(b"\"any\""),
        Choice::Named(name) => {
            out.extend_from_slice(b"\"tool\",\"name\":");
            write_text(out, name);
        }
    }
    if request.parallel == Some(false) && request.choice != Some(Choice::None) {
        out.extend_from_slice(b",\"disable_parallel_tool_use\":true");
    }
    out.push(b'}');
}

fn write_turn(turn: &Turn<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(if turn.role == Role::User {
        b"{\"role\":\"user\",\"content\":["
    } else {
        b"{\"role\":\"assistant\",\"content\":["
    });
    // Results of tools come first: anything before them is refused.
    let (results, rest): (Vec<_>, Vec<_>) = turn.parts.iter().partition(|part| matches!(part, Part::Result { .. }));
    let blank = |part: &&&Part<'_>| matches!(part, Part::Text { text, .. } if text.trim().is_empty());
    let said = rest.iter().filter(|part| !blank(part)).copied();
    for (place, part) in results.into_iter().chain(said).enumerate() {
        comma(place, out);
        write_part(part, out);
    }
    out.extend_from_slice(b"]}");
}
