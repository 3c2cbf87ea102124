//! Requests, written.

use crate::json::{comma, write_list, write_text};
use crate::passage::CannotSay;
use crate::translate::chat::{Choice, Image, Part, Request, Role, Tool, Turn, cannot, no_rare_but};

/// Texts that may stop an answer.
const STOPS_MAX: usize = 5;

/// Writes a request.
pub(in crate::translate) fn write_request(request: &Request<'_>, model: &str, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    no_rare_but(&["seed", "presence_penalty", "frequency_penalty", "top_k"], request)?;
    if request.parallel == Some(false) && !request.tools.is_empty() {
        return cannot("parallel_tool_calls", "the target cannot be told to make one call at a time; leave it out");
    }
    if request.stop.len() > STOPS_MAX {
        return cannot("stop", "the target takes at most five");
    }
    out.extend_from_slice(b"{\"model\":");
    write_text(out, model);
    out.extend_from_slice(b",\"messages\":[");
    for (text, _) in &request.system {
        out.extend_from_slice(b"{\"role\":\"system\",\"content\":");
        write_text(out, text);
        out.extend_from_slice(b"},");
    }
    for turn in &request.turns {
        write_turn(turn, out)?;
    }
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(b']');
    write_sampling(request, out);
    write_format(request, out);
    write_thinking(request, out)?;
    write_tools(request, out);
    out.extend_from_slice(if request.stream { b",\"stream\":true}" } else { b",\"stream\":false}" });
    Ok(())
}

fn write_sampling(request: &Request<'_>, out: &mut Vec<u8>) {
    let mut field = |name: &str, raw: &[u8]| {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        out.extend_from_slice(raw);
    };
    if let Some(max) = request.max_tokens {
        field("max_tokens", max.to_string().as_bytes());
    }
    for (name, raw) in [("temperature", request.temperature), ("p", request.top_p)] {
        raw.into_iter().for_each(|raw| field(name, raw));
    }
    for (name, raw) in &request.rare {
        field(if *name == "top_k" { "k" } else { name }, raw);
    }
    if !request.stop.is_empty() {
        let mut list = Vec::new();
        write_list(&mut list, &request.stop);
        field("stop_sequences", &list);
    }
}

fn write_format(request: &Request<'_>, out: &mut Vec<u8>) {
    if request.schema.is_none() && !request.json {
        return;
    }
    out.extend_from_slice(b",\"response_format\":{\"type\":\"json_object\"");
    if let Some(schema) = request.schema {
        out.extend_from_slice(b",\"json_schema\":");
        out.extend_from_slice(schema);
    }
    out.push(b'}');
}

fn write_thinking(request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    match request.effort.as_deref() {
        None => {}
        Some("none") => out.extend_from_slice(b",\"thinking\":{\"type\":\"disabled\"}"),
        Some("minimal" | "low" | "medium" | "high" | "xhigh" | "max") => out.extend_from_slice(b",\"thinking\":{\"type\":\"enabled\"}"),
        Some(_) => return cannot("reasoning_effort", "the target takes none, minimal, low, medium, high, xhigh or max"),
    }
    Ok(())
}

/// The target can be made to call some tool, not a certain one: then that one alone is offered.
fn write_tools(request: &Request<'_>, out: &mut Vec<u8>) {
    let offered: Vec<&Tool<'_>> = match &request.choice {
        Some(Choice::Named(name)) => request.tools.iter().filter(|tool| tool.name == *name).collect(),
        None | Some(Choice::Auto | Choice::None | Choice::Any) => request.tools.iter().collect(),
    };
    if offered.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"tools\":[");
    for (place, tool) in offered.iter().enumerate() {
        comma(place, out);
        out.extend_from_slice(b"{\"type\":\"function\",\"function\":{\"name\":");
        write_text(out, &tool.name);
        if let Some(description) = &tool.description {
            out.extend_from_slice(b",\"description\":");
            write_text(out, description);
        }
        out.extend_from_slice(b",\"parameters\":");
        out.extend_from_slice(tool.schema.unwrap_or(b"{\"type\":\"object\",\"properties\":{}}"));
        out.extend_from_slice(b"}}");
    }
    out.push(b']');
    if offered.iter().any(|tool| tool.strict == Some(true)) {
        out.extend_from_slice(b",\"strict_tools\":true");
    }
    match &request.choice {
        Some(Choice::Any | Choice::Named(_)) => out.extend_from_slice(b",\"tool_choice\":\"REQUIRED\""),
        Some(Choice::None) => out.extend_from_slice(b",\"tool_choice\":\"NONE\""),
        None | Some(Choice::Auto) => {}
    }
}

/// One turn becomes several messages where it answers tools.
fn write_turn(turn: &Turn<'_>, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    for part in &turn.parts {
        if let Part::Result { id, parts, is_error } = part {
            out.extend_from_slice(b"{\"role\":\"tool\",\"tool_call_id\":");
            write_text(out, id);
            out.extend_from_slice(b",\"content\":");
            let mut said = String::from(if *is_error { "Error: " } else { "" });
            for part in parts {
                match part {
                    Part::Text { text, .. } => said.push_str(text),
                    Part::Image(_)
                    | Part::File { .. }
                    | Part::Call { .. }
                    | Part::Result { .. }
                    | Part::Thinking { .. }
                    | Part::Redacted { .. }
                    | Part::Plan(_) => return cannot("messages[].content", "the target takes only text as the result of a tool"),
                }
            }
            write_text(out, &said);
            out.extend_from_slice(b"},");
        }
    }
    let said: Vec<&Part<'_>> =
        turn.parts.iter().filter(|part| matches!(part, Part::Text { .. } | Part::Image(_) | Part::File { .. })).collect();
    let calls: Vec<&Part<'_>> = turn.parts.iter().filter(|part| matches!(part, Part::Call { .. })).collect();
    if said.is_empty() && calls.is_empty() {
        return Ok(());
    }
    out.extend_from_slice(if turn.role == Role::User { b"{\"role\":\"user\"" } else { b"{\"role\":\"assistant\"" });
    if let Some(plan) = turn.parts.iter().find_map(|part| if let Part::Plan(plan) = part { Some(plan) } else { None }) {
        out.extend_from_slice(b",\"tool_plan\":");
        write_text(out, plan);
    }
    write_content(&said, out)?;
    write_calls(&calls, out);
    out.extend_from_slice(b"},");
    Ok(())
}

fn write_content(said: &[&Part<'_>], out: &mut Vec<u8>) -> Result<(), CannotSay> {
    match said {
        [] => return Ok(()),
        [Part::Text { text, .. }] => {
            out.extend_from_slice(b",\"content\":");
            write_text(out, text);
            return Ok(());
        }
        _ => {}
    }
    out.extend_from_slice(b",\"content\":[");
    for (place, part) in said.iter().enumerate() {
        comma(place, out);
        match part {
            Part::Text { text, .. } => {
                out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
                write_text(out, text);
                out.push(b'}');
            }
            Part::Image(image) => {
                let url = match image {
                    Image::Url(url) => url.to_string(),
                    Image::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
                };
                out.extend_from_slice(b"{\"type\":\"image_url\",\"image_url\":{\"url\":");
                write_text(out, &url);
                out.extend_from_slice(b"}}");
            }
            Part::File { .. } | Part::Call { .. } | Part::Result { .. } | Part::Thinking { .. } | Part::Redacted { .. } | Part::Plan(_) => {
                return cannot("messages[].content[].file", "the target takes text and images");
            }
        }
    }
    out.push(b']');
    Ok(())
}

fn write_calls(calls: &[&Part<'_>], out: &mut Vec<u8>) {
    for (place, call) in calls.iter().enumerate() {
        out.extend_from_slice(if place == 0 { b",\"tool_calls\":[" } else { b"," });
        if let Part::Call { id, name, input, .. } = call {
            out.extend_from_slice(b"{\"id\":");
            write_text(out, id);
            out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
            write_text(out, name);
            out.extend_from_slice(b",\"arguments\":");
            write_text(out, &String::from_utf8_lossy(input));
            out.extend_from_slice(b"}}");
        }
    }
    if !calls.is_empty() {
        out.push(b']');
    }
}
