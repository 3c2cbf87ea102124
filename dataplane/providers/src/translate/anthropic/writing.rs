//! Requests, written.

use super::{write_part, write_text_block};
use crate::json::{comma, write_list, write_text};
use crate::passage::CannotSay;
use crate::translate::chat::{Choice, Part, Request, Role, Turn, cannot, no_rare_but};
use crate::translate::claude;

/// Anthropic wants a limit; this one every model takes.
const MAX_TOKENS: u64 = 4096;

/// Writes a request for Anthropic.
pub(in crate::translate) fn write_request(request: &Request<'_>, model: &str, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    no_rare_but(&[], request)?;
    if request.json {
        return cannot("response_format", "the target takes `json_schema` with a schema, or plain text");
    }
    takes_files(request)?;
    out.extend_from_slice(b"{\"model\":");
    write_text(out, model);
    out.extend_from_slice(format!(",\"max_tokens\":{}", max_tokens(request, model)).as_bytes());
    write_conversation(request, out);
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
    if request.stop.iter().any(|stop| stop.trim().is_empty()) {
        return cannot("stop", "the target takes no text of white space alone");
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
    write_config(request, model, out)?;
    write_tools(request, out);
    if request.stream {
        out.extend_from_slice(b",\"stream\":true");
    }
    out.push(b'}');
    Ok(())
}

/// What is thought is part of the limit: where nobody names one, thoughts leave it as it is for the rest.
fn max_tokens(request: &Request<'_>, model: &str) -> u64 {
    let thoughts = if request.effort.is_some() && claude::thinks_by_budget(model) { claude::BUDGET_MAX } else { 0 };
    request.max_tokens.unwrap_or(MAX_TOKENS + thoughts).max(1)
}

fn takes_files(request: &Request<'_>) -> Result<(), CannotSay> {
    let parts = request.turns.iter().flat_map(|turn| &turn.parts);
    let strange = parts.filter_map(|part| if let Part::File { media_type, .. } = part { Some(media_type) } else { None });
    match strange.into_iter().find(|media_type| **media_type != "application/pdf") {
        Some(media_type) => cannot("messages[].content[].file", &format!("the target takes PDF, not {media_type}")),
        None => Ok(()),
    }
}

fn write_config(request: &Request<'_>, model: &str, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    let effort = match request.effort.as_deref() {
        None | Some("none") => None,
        Some(effort @ ("low" | "medium" | "high" | "xhigh" | "max")) => Some(effort),
        Some("minimal") => Some("low"),
        Some(_) => return cannot("reasoning_effort", "the target takes low, medium, high, xhigh, max or none"),
    };
    let effort = match effort {
        Some(effort) if claude::thinks_by_budget(model) => {
            if let Some(budget) = claude::budget(effort, request)? {
                out.extend_from_slice(format!(",\"thinking\":{{\"type\":\"enabled\",\"budget_tokens\":{budget}}}").as_bytes());
            }
            None
        }
        // A model that must call a tool cannot think before it; the effort holds all the same.
        Some(_) if !matches!(request.choice, Some(Choice::Any | Choice::Named(_))) => {
            out.extend_from_slice(b",\"thinking\":{\"type\":\"adaptive\",\"display\":\"summarized\"}");
            effort
        }
        effort => effort,
    };
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

/// The system's texts and the turns. What is blank is left out: the target refuses empty texts and empty turns.
fn write_conversation(request: &Request<'_>, out: &mut Vec<u8>) {
    let turns: Vec<(Role, Vec<&Part<'_>>)> =
        request.turns.iter().map(|turn| (turn.role, spoken(turn))).filter(|(_, parts)| !parts.is_empty()).collect();
    let system: Vec<_> = request.system.iter().filter(|(text, _)| !text.trim().is_empty()).collect();
    // The target takes no conversation without a turn: what the system alone says is then said by the user.
    let alone = turns.is_empty();
    if !system.is_empty() {
        out.extend_from_slice(if alone { b",\"messages\":[{\"role\":\"user\",\"content\":[" } else { b",\"system\":[" });
        for (place, (text, cache)) in system.iter().enumerate() {
            comma(place, out);
            write_text_block(text, *cache, out);
        }
        out.extend_from_slice(if alone { b"]}]" } else { b"]" });
    }
    if alone {
        if system.is_empty() {
            out.extend_from_slice(b",\"messages\":[]");
        }
        return;
    }
    out.extend_from_slice(b",\"messages\":[");
    for (place, (role, parts)) in turns.iter().enumerate() {
        comma(place, out);
        write_turn(*role, parts, place + 1 == turns.len(), out);
    }
    out.push(b']');
}

/// What the target takes of a turn. Results of tools come first: anything before them is refused.
fn spoken<'r, 'a>(turn: &'r Turn<'a>) -> Vec<&'r Part<'a>> {
    let taken = |part: &&Part<'_>| match part {
        Part::Text { text, .. } => !text.trim().is_empty(),
        // Thoughts are taken back only with the seal that the target gave them.
        Part::Thinking { signature, .. } => signature.as_ref().is_some_and(|signature| !signature.is_empty()),
        Part::Image(_) | Part::File { .. } | Part::Call { .. } | Part::Result { .. } | Part::Redacted { .. } => true,
        Part::Plan(_) => false,
    };
    let (results, rest): (Vec<_>, Vec<_>) = turn.parts.iter().filter(taken).partition(|part| matches!(part, Part::Result { .. }));
    results.into_iter().chain(rest).collect()
}

fn write_turn(role: Role, parts: &[&Part<'_>], last: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(match role {
        Role::User => b"{\"role\":\"user\",\"content\":[",
        Role::Assistant => b"{\"role\":\"assistant\",\"content\":[",
    });
    for (place, part) in parts.iter().enumerate() {
        comma(place, out);
        // The beginning of an answer that the model is to go on with may not end in white space.
        let open_ended = last && role == Role::Assistant && place + 1 == parts.len();
        if let (Part::Text { text, cache }, true) = (part, open_ended) {
            write_text_block(text.trim_end(), *cache, out);
        } else {
            write_part(part, out);
        }
    }
    out.extend_from_slice(b"]}");
}
