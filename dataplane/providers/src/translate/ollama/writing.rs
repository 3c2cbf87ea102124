//! Requests, written.

use std::collections::BTreeMap;

use crate::json::{comma, write_list, write_text};
use crate::passage::CannotSay;
use crate::translate::chat::{Choice, Image, Part, Request, Role, Turn, cannot, no_rare_but};

/// Writes a request.
pub(in crate::translate) fn write_request(request: &Request<'_>, model: &str, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    no_rare_but(&["seed", "presence_penalty", "frequency_penalty", "top_k"], request)?;
    if request.parallel == Some(false) && !request.tools.is_empty() {
        return cannot("parallel_tool_calls", "the target cannot be told to make one call at a time; leave it out");
    }
    if matches!(request.choice, Some(Choice::Any | Choice::Named(_))) {
        return cannot("tool_choice", "the target cannot be made to call a tool; leave it out");
    }
    out.extend_from_slice(b"{\"model\":");
    write_text(out, model);
    out.extend_from_slice(b",\"messages\":[");
    for (text, _) in &request.system {
        out.extend_from_slice(b"{\"role\":\"system\",\"content\":");
        write_text(out, text);
        out.extend_from_slice(b"},");
    }
    let mut names = BTreeMap::new();
    for turn in &request.turns {
        write_turn(turn, &mut names, out)?;
    }
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(b']');
    write_tools(request, out);
    if let Some(schema) = request.schema {
        out.extend_from_slice(b",\"format\":");
        out.extend_from_slice(schema);
    } else if request.json {
        out.extend_from_slice(b",\"format\":\"json\"");
    }
    write_options(request, out);
    match request.effort.as_deref() {
        None => {}
        Some("none") => out.extend_from_slice(b",\"think\":false"),
        Some("minimal" | "low") => out.extend_from_slice(b",\"think\":\"low\""),
        Some("medium") => out.extend_from_slice(b",\"think\":\"medium\""),
        Some("high" | "xhigh" | "max") => out.extend_from_slice(b",\"think\":\"high\""),
        Some(_) => return cannot("reasoning_effort", "the target takes none, minimal, low, medium, high, xhigh or max"),
    }
    out.extend_from_slice(if request.stream { b",\"stream\":true}" } else { b",\"stream\":false}" });
    Ok(())
}

fn write_options(request: &Request<'_>, out: &mut Vec<u8>) {
    let mut options: Vec<(&str, Vec<u8>)> = Vec::new();
    if let Some(max) = request.max_tokens {
        options.push(("num_predict", max.to_string().into_bytes()));
    }
    for (name, raw) in [("temperature", request.temperature), ("top_p", request.top_p)] {
        options.extend(raw.map(|raw| (name, raw.to_vec())));
    }
    options.extend(request.rare.iter().map(|(name, raw)| (*name, raw.to_vec())));
    if !request.stop.is_empty() {
        let mut list = Vec::new();
        write_list(&mut list, &request.stop);
        options.push(("stop", list));
    }
    if options.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"options\":{");
    for (place, (name, raw)) in options.iter().enumerate() {
        comma(place, out);
        write_text(out, name);
        out.push(b':');
        out.extend_from_slice(raw);
    }
    out.push(b'}');
}

/// Tools that must not be called are not offered.
fn write_tools(request: &Request<'_>, out: &mut Vec<u8>) {
    if request.tools.is_empty() || request.choice == Some(Choice::None) {
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
        out.extend_from_slice(b"}}");
    }
    out.push(b']');
}

/// One turn becomes several messages where it answers tools, which are told by their names.
fn write_turn<'a>(turn: &'a Turn<'_>, names: &mut BTreeMap<&'a str, &'a str>, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    for part in &turn.parts {
        if let Part::Result { id, parts, is_error } = part {
            out.extend_from_slice(b"{\"role\":\"tool\",\"content\":");
            let mut said = String::from(if *is_error { "Error: " } else { "" });
            for part in parts {
                let Part::Text { text, .. } = part else {
                    return cannot("messages[].content", "the target takes only text as the result of a tool");
                };
                said.push_str(text);
            }
            write_text(out, &said);
            if let Some(name) = names.get(&**id) {
                out.extend_from_slice(b",\"tool_name\":");
                write_text(out, name);
            }
            out.extend_from_slice(b",\"tool_call_id\":");
            write_text(out, id);
            out.extend_from_slice(b"},");
        }
    }
    let (mut said, mut thought, mut images, mut calls) = (String::new(), String::new(), Vec::new(), Vec::new());
    for part in &turn.parts {
        match part {
            Part::Text { text, .. } => said.push_str(text),
            Part::Thinking { text, .. } => thought.push_str(text),
            Part::Image(Image::Base64 { data, .. }) => images.push(data.clone()),
            Part::Image(Image::Url(_)) => {
                return cannot("messages[].content[].image_url", "the target takes images in base64 only; send a data: URL");
            }
            Part::File { .. } => return cannot("messages[].content[].file", "the target takes text and images"),
            Part::Call { id, name, input, .. } => {
                names.insert(id, name);
                calls.push((id, name, input));
            }
            Part::Result { .. } | Part::Redacted { .. } | Part::Plan(_) => {}
        }
    }
    if said.is_empty() && images.is_empty() && calls.is_empty() {
        return Ok(());
    }
    out.extend_from_slice(if turn.role == Role::User {
        b"{\"role\":\"user\",\"content\":"
    } else {
        b"{\"role\":\"assistant\",\"content\":"
    });
    write_text(out, &said);
    if !thought.is_empty() {
        out.extend_from_slice(b",\"thinking\":");
        write_text(out, &thought);
    }
    if !images.is_empty() {
        out.extend_from_slice(b",\"images\":");
        write_list(out, &images);
    }
    for (place, (id, name, input)) in calls.iter().enumerate() {
        out.extend_from_slice(if place == 0 { b",\"tool_calls\":[" } else { b"," });
        out.extend_from_slice(b"{\"id\":");
        write_text(out, id);
        out.extend_from_slice(b",\"function\":{\"name\":");
        write_text(out, name);
        out.extend_from_slice(b",\"arguments\":");
        out.extend_from_slice(input);
        out.extend_from_slice(b"}}");
    }
    if !calls.is_empty() {
        out.push(b']');
    }
    out.extend_from_slice(b"},");
    Ok(())
}
