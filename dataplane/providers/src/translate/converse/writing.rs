//! Requests, written.

use std::borrow::Cow;

use crate::json::{comma, write_list, write_text};
use crate::passage::CannotSay;
use crate::translate::chat::{Choice, Image, Part, Request, Role, Turn, cannot, fingerprint, no_rare_but, safe_id};
use crate::translate::claude;

/// Said to a model that must call no tool, and must be offered the tools of the calls before.
const CALL_NONE: &str = "Answer in words; do not call any tool.";

/// Stands in for words of the user where the target wants some: it takes no blank text.
const USER_SAYS: &str = ".";

/// Ids of calls are no longer.
const ID_MAX: usize = 64;

/// Writes a request. The model stands in the path, and decides about what Converse itself has no word for.
pub(in crate::translate) fn write_request(request: &Request<'_>, model: &str, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    no_rare_but(&["top_k"], request)?;
    if request.json {
        return cannot("response_format", "the target takes `json_schema` with a schema, or plain text");
    }
    if request.parallel == Some(false) && !request.tools.is_empty() {
        return cannot("parallel_tool_calls", "the target cannot be told to make one call at a time; leave it out");
    }
    if request.stop.iter().any(|stop| stop.is_empty()) {
        return cannot("stop", "the target takes no empty text");
    }
    out.extend_from_slice(b"{\"messages\":[");
    let mut writer = Writer { documents: 0 };
    let mut written = 0;
    let told = |turn: &&Turn<'_>| turn.parts.iter().any(is_told);
    if request.turns.iter().find(told).is_none_or(|turn| turn.role == Role::Assistant) {
        // The target takes no conversation without a turn, and none that the model begins.
        out.extend_from_slice(b"{\"role\":\"user\",\"content\":[");
        write_block("text", USER_SAYS, out);
        out.extend_from_slice(b"]}");
        written = 1;
    }
    let last = request.turns.iter().rposition(|turn| told(&turn));
    for (place, turn) in request.turns.iter().enumerate() {
        writer.turn(turn, Some(place) == last, &mut written, out)?;
    }
    out.push(b']');
    let history = request.turns.iter().flat_map(|turn| &turn.parts).any(|part| matches!(part, Part::Call { .. } | Part::Result { .. }));
    let call_none = request.choice == Some(Choice::None) && history;
    write_system(request, call_none, out);
    write_inference(request, out);
    write_tools(request, history, out);
    write_fields(request, model, out)?;
    if let Some(schema) = request.schema {
        out.extend_from_slice(
            b",\"outputConfig\":{\"textFormat\":{\"type\":\"json_schema\",\"structure\":{\"jsonSchema\":{\"name\":\"answer\",\"schema\":",
        );
        // A schema is told as a text.
        write_text(out, &String::from_utf8_lossy(schema));
        out.extend_from_slice(b"}}}}");
    }
    out.push(b'}');
    Ok(())
}

fn write_system(request: &Request<'_>, call_none: bool, out: &mut Vec<u8>) {
    let system: Vec<_> = request.system.iter().filter(|(text, _)| !text.trim().is_empty()).collect();
    if system.is_empty() && !call_none {
        return;
    }
    out.extend_from_slice(b",\"system\":[");
    for (place, (text, cache)) in system.iter().enumerate() {
        comma(place, out);
        write_block("text", text, out);
        write_cache(*cache, out);
    }
    if call_none {
        comma(system.len(), out);
        write_block("text", CALL_NONE, out);
    }
    out.push(b']');
}

fn write_block(field: &str, text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{\"{field}\":").as_bytes());
    write_text(out, text);
    out.push(b'}');
}

/// A mark of what is to be cached stands behind what it marks.
fn write_cache(cache: Option<&[u8]>, out: &mut Vec<u8>) {
    if cache.is_some() {
        out.extend_from_slice(b",{\"cachePoint\":{\"type\":\"default\"}}");
    }
}

struct Writer {
    /// Documents so far: each must have a name of its own.
    documents: usize,
}

impl Writer {
    fn turn(&mut self, turn: &Turn<'_>, last: bool, written: &mut usize, out: &mut Vec<u8>) -> Result<(), CannotSay> {
        let start = out.len();
        comma(*written, out);
        out.extend_from_slice(if turn.role == Role::User {
            b"{\"role\":\"user\",\"content\":["
        } else {
            b"{\"role\":\"assistant\",\"content\":["
        });
        let first = out.len();
        let (results, rest): (Vec<_>, Vec<_>) = turn.parts.iter().partition(|part| matches!(part, Part::Result { .. }));
        // The beginning of an answer that the model is to go on with may not end in white space.
        let begun = rest.iter().rposition(|part| is_told(part)).filter(|_| last && turn.role == Role::Assistant);
        let rest = rest.into_iter().enumerate().map(|(place, part)| (part, Some(place) == begun));
        for (part, open_ended) in results.into_iter().map(|part| (part, false)).chain(rest) {
            let before = out.len();
            comma(usize::from(before > first), out);
            if let (Part::Text { text, .. }, true) = (part, open_ended) {
                write_block("text", text.trim_end(), out);
            } else if !self.part(part, out)? {
                out.truncate(before);
            }
        }
        if out.len() == first {
            out.truncate(start);
            return Ok(());
        }
        *written += 1;
        out.extend_from_slice(b"]}");
        Ok(())
    }

    /// Writes a part; false when there is nothing of it that the target takes.
    fn part(&mut self, part: &Part<'_>, out: &mut Vec<u8>) -> Result<bool, CannotSay> {
        if !is_told(part) {
            return Ok(false);
        }
        match part {
            Part::Text { text, cache } => {
                write_block("text", text, out);
                write_cache(*cache, out);
            }
            Part::Image(image) => write_image(image, out)?,
            Part::File { media_type, data, name: _ } => self.document(media_type, data, out)?,
            Part::Call { id, name, input, .. } => {
                out.extend_from_slice(b"{\"toolUse\":{\"toolUseId\":");
                write_text(out, &fit_id(id));
                out.extend_from_slice(b",\"name\":");
                write_text(out, name);
                out.extend_from_slice(b",\"input\":");
                out.extend_from_slice(if input.starts_with(b"{") { input } else { b"{}" });
                out.extend_from_slice(b"}}");
            }
            Part::Result { id, parts, is_error } => self.result(id, parts, *is_error, out)?,
            Part::Thinking { text, signature } => {
                out.extend_from_slice(b"{\"reasoningContent\":{\"reasoningText\":{\"text\":");
                write_text(out, text);
                out.extend_from_slice(b",\"signature\":");
                write_text(out, signature.as_deref().unwrap_or_default());
                out.extend_from_slice(b"}}}");
            }
            Part::Redacted { data } => {
                out.extend_from_slice(b"{\"reasoningContent\":{\"redactedContent\":");
                write_text(out, data);
                out.extend_from_slice(b"}}");
            }
            Part::Plan(_) => return Ok(false),
        }
        Ok(true)
    }

    fn result(&mut self, id: &str, parts: &[Part<'_>], is_error: bool, out: &mut Vec<u8>) -> Result<(), CannotSay> {
        out.extend_from_slice(b"{\"toolResult\":{\"toolUseId\":");
        write_text(out, &fit_id(id));
        out.extend_from_slice(b",\"content\":[");
        let first = out.len();
        for part in parts {
            let before = out.len();
            comma(usize::from(before > first), out);
            if !self.part(part, out)? {
                out.truncate(before);
            }
        }
        if out.len() == first {
            // A result may not be empty.
            write_block("text", " ", out);
        }
        out.extend_from_slice(if is_error { b"],\"status\":\"error\"}}" } else { b"],\"status\":\"success\"}}" });
        Ok(())
    }

    fn document(&mut self, media_type: &str, data: &str, out: &mut Vec<u8>) -> Result<(), CannotSay> {
        let format = match media_type {
            "application/pdf" => "pdf",
            "text/plain" => "txt",
            "text/csv" => "csv",
            "text/html" => "html",
            "text/markdown" => "md",
            "application/msword" => "doc",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
            "application/vnd.ms-excel" => "xls",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
            _ => return cannot("messages[].content[].file", &format!("the target takes no {media_type}")),
        };
        self.documents += 1;
        let number = self.documents;
        out.extend_from_slice(
            format!("{{\"document\":{{\"format\":\"{format}\",\"name\":\"Document {number}\",\"source\":{{\"bytes\":").as_bytes(),
        );
        write_text(out, data);
        out.extend_from_slice(b"}}}");
        Ok(())
    }
}

/// Whether the target takes anything of a part.
fn is_told(part: &Part<'_>) -> bool {
    match part {
        Part::Text { text, .. } => !text.trim().is_empty(),
        // Thoughts are taken back only with the seal that the target gave them.
        Part::Thinking { signature, .. } => signature.as_ref().is_some_and(|signature| !signature.is_empty()),
        Part::Image(_) | Part::File { .. } | Part::Call { .. } | Part::Result { .. } | Part::Redacted { .. } => true,
        Part::Plan(_) => false,
    }
}

/// An id that the target takes. The same id always gives the same, and two never give one.
fn fit_id(id: &str) -> Cow<'_, str> {
    let id = safe_id(id);
    if id.len() <= ID_MAX { id } else { Cow::Owned(format!("call_{}", fingerprint(id.as_bytes()))) }
}

fn write_image(image: &Image<'_>, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    let Image::Base64 { media_type, data } = image else {
        return cannot("messages[].content[].image_url", "the target fetches nothing; send the image as a data: URL");
    };
    let format = match &**media_type {
        "image/png" => "png",
        "image/jpeg" | "image/jpg" => "jpeg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        other => return cannot("messages[].content[].image_url", &format!("the target takes png, jpeg, gif and webp, not {other}")),
    };
    out.extend_from_slice(format!("{{\"image\":{{\"format\":\"{format}\",\"source\":{{\"bytes\":").as_bytes());
    write_text(out, data);
    out.extend_from_slice(b"}}}");
    Ok(())
}

fn write_inference(request: &Request<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"inferenceConfig\":{");
    let start = out.len();
    let mut field = |name: &str, raw: &[u8]| {
        comma(usize::from(out.len() > start), out);
        out.extend_from_slice(format!("\"{name}\":").as_bytes());
        out.extend_from_slice(raw);
    };
    if let Some(max) = request.max_tokens {
        field("maxTokens", max.to_string().as_bytes());
    }
    for (name, raw) in [("temperature", request.temperature), ("topP", request.top_p)] {
        raw.into_iter().for_each(|raw| field(name, raw));
    }
    if !request.stop.is_empty() {
        let mut list = Vec::new();
        write_list(&mut list, &request.stop);
        field("stopSequences", &list);
    }
    out.push(b'}');
}

fn write_tools(request: &Request<'_>, history: bool, out: &mut Vec<u8>) {
    let none = request.choice == Some(Choice::None);
    if request.tools.is_empty() && history {
        // A conversation with calls in it must offer a tool.
        out.extend_from_slice(
            b",\"toolConfig\":{\"tools\":[{\"toolSpec\":{\"name\":\"none\",\"description\":\"not to be called\",\"inputSchema\":{\"json\":{\"type\":\"object\",\"properties\":{}}}}}]}",
        );
        return;
    }
    if request.tools.is_empty() || (none && !history) {
        return;
    }
    out.extend_from_slice(b",\"toolConfig\":{\"tools\":[");
    for (place, tool) in request.tools.iter().enumerate() {
        comma(place, out);
        out.extend_from_slice(b"{\"toolSpec\":{\"name\":");
        write_text(out, &tool.name);
        if let Some(description) = tool.description.as_ref().filter(|text| !text.is_empty()) {
            out.extend_from_slice(b",\"description\":");
            write_text(out, description);
        }
        out.extend_from_slice(b",\"inputSchema\":{\"json\":");
        out.extend_from_slice(tool.schema.unwrap_or(b"{\"type\":\"object\",\"properties\":{}}"));
        out.push(b'}');
        if tool.strict == Some(true) {
            out.extend_from_slice(b",\"strict\":true");
        }
        out.extend_from_slice(b"}}");
    }
    out.push(b']');
    match &request.choice {
        None | Some(Choice::None) => {}
        Some(Choice::Auto) => out.extend_from_slice(b",\"toolChoice\":{\"auto\":{}}"),
        Some(Choice::Any) => out.extend_from_slice(b",\"toolChoice\":{\"any\":{}}"),
        Some(Choice::Named(name)) => {
            out.extend_from_slice(b",\"toolChoice\":{\"tool\":{\"name\":");
            write_text(out, name);
            out.extend_from_slice(b"}}");
        }
    }
    out.push(b'}');
}

/// How a family of models wants to be told to think.
enum Family {
    /// Claude of before adaptive thinking: a budget of tokens.
    ClaudeWithBudget,
    /// Claude since.
    Claude,
    /// Nova of the second generation.
    Nova,
    /// Those that take `reasoning_effort` as OpenAI does.
    Effort,
    /// Those that cannot be told.
    Silent,
}

fn family(model: &str) -> Family {
    if model.contains("claude") {
        return if claude::thinks_by_budget(model) { Family::ClaudeWithBudget } else { Family::Claude };
    }
    if model.contains("nova-2") {
        return Family::Nova;
    }
    let effort = ["gpt-oss", "deepseek.v3", "deepseek-v3"].iter().any(|word| model.contains(word));
    if effort { Family::Effort } else { Family::Silent }
}

/// What only the model itself understands.
fn write_fields(request: &Request<'_>, model: &str, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    let mut fields: Vec<String> = Vec::new();
    if let Some((_, raw)) = request.rare.iter().find(|(field, _)| *field == "top_k") {
        fields.push(format!("\"top_k\":{}", String::from_utf8_lossy(raw)));
    }
    if let Some(effort) = request.effort.as_deref().filter(|effort| *effort != "none") {
        let forced = matches!(request.choice, Some(Choice::Any | Choice::Named(_)));
        match (family(model), effort) {
            (_, effort) if !["minimal", "low", "medium", "high", "xhigh", "max"].contains(&effort) => {
                return cannot("reasoning_effort", "the target takes minimal, low, medium, high, xhigh, max or none");
            }
            (Family::ClaudeWithBudget, effort) => {
                if let Some(budget) = claude::budget(effort, request)? {
                    fields.push(format!("\"thinking\":{{\"type\":\"enabled\",\"budget_tokens\":{budget}}}"));
                }
            }
            // A model that must call a tool cannot think before it.
            (Family::Claude, _) if forced => {}
            (Family::Claude, effort) => {
                let effort = if effort == "minimal" { "low" } else { effort };
                fields.push(format!(
                    "\"thinking\":{{\"type\":\"adaptive\",\"display\":\"summarized\"}},\"output_config\":{{\"effort\":\"{effort}\"}}"
                ));
            }
            (Family::Nova, effort) => {
                let effort = match effort {
                    "minimal" | "low" => "low",
                    "medium" => "medium",
                    _ => "high",
                };
                fields.push(format!("\"reasoningConfig\":{{\"type\":\"enabled\",\"maxReasoningEffort\":\"{effort}\"}}"));
            }
            (Family::Effort, effort) => {
                let effort = match effort {
                    "minimal" => "low",
                    "xhigh" | "max" => "high",
                    other => other,
                };
                fields.push(format!("\"reasoning_effort\":\"{effort}\""));
            }
            (Family::Silent, _) => return cannot("reasoning_effort", "the target's model cannot be told how hard to think; leave it out"),
        }
    }
    if !fields.is_empty() {
        out.extend_from_slice(b",\"additionalModelRequestFields\":{");
        out.extend_from_slice(fields.join(",").as_bytes());
        out.push(b'}');
    }
    Ok(())
}
