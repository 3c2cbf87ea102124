//! Requests, written.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::json::{comma, write_list, write_text};
use crate::passage::CannotSay;
use crate::translate::chat::{Choice, Image, Part, Request, Role, Turn, cannot, no_rare_but};

/// What stands in the place of a seal that got lost; the provider then does not ask for it.
const LOST_SEAL: &str = "skip_thought_signature_validator";

/// Texts that may stop an answer.
const STOPS_MAX: usize = 5;

/// Writes a request. The model stands in the path.
pub(in crate::translate) fn write_request(request: &Request<'_>, model: &str, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    no_rare_but(&["seed", "presence_penalty", "frequency_penalty", "top_k", "logprobs", "top_logprobs"], request)?;
    if request.parallel == Some(false) && !request.tools.is_empty() {
        return cannot("parallel_tool_calls", "the target cannot be told to make one call at a time; leave it out");
    }
    if request.stop.len() > STOPS_MAX {
        return cannot("stop", "the target takes at most five");
    }
    out.extend_from_slice(b"{\"contents\":[");
    let mut writer = Writer { calls: BTreeMap::new(), made: 0, generation: generation(model) };
    let mut written = 0;
    if request.turns.iter().find(|turn| !is_silent(turn)).is_some_and(|turn| turn.role == Role::Assistant) {
        // The target takes no conversation that the model begins.
        out.extend_from_slice(b"{\"role\":\"user\",\"parts\":[{\"text\":\" \"}]}");
        written = 1;
    }
    for turn in &request.turns {
        writer.turn(turn, &mut written, out)?;
    }
    if written == 0 {
        // The target takes no conversation without a turn.
        out.extend_from_slice(b"{\"role\":\"user\",\"parts\":[{\"text\":\" \"}]}");
    }
    out.push(b']');
    let system: Vec<_> = request.system.iter().filter(|(text, _)| !text.is_empty()).collect();
    if !system.is_empty() {
        out.extend_from_slice(b",\"systemInstruction\":{\"parts\":[");
        for (place, (text, _)) in system.iter().enumerate() {
            comma(place, out);
            out.extend_from_slice(b"{\"text\":");
            write_text(out, text);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
    write_config(request, writer.generation, model, out)?;
    write_tools(request, out);
    out.push(b'}');
    Ok(())
}

/// 3 for `gemini-3-pro-preview`, 2 for `models/gemini-2.5-flash`; 0 for what is not named so.
fn generation(model: &str) -> u32 {
    let Some(at) = model.find("gemini-") else { return 0 };
    let digits: String = model[at + "gemini-".len()..].chars().take_while(char::is_ascii_digit).take(3).collect();
    digits.parse().unwrap_or(0)
}

/// Whether nothing of a turn is told.
fn is_silent(turn: &Turn<'_>) -> bool {
    turn.parts.iter().all(|part| match part {
        Part::Text { text, .. } => text.is_empty(),
        Part::Thinking { .. } | Part::Redacted { .. } | Part::Plan(_) => true,
        Part::Image(_) | Part::File { .. } | Part::Call { .. } | Part::Result { .. } => false,
    })
}

struct Writer<'r> {
    /// Calls so far by their ids, each with its place and its name: a result is told by the name. Where an id is used again,
    /// the last call before a result is meant.
    calls: BTreeMap<&'r str, (usize, &'r str)>,
    made: usize,
    generation: u32,
}

impl<'r> Writer<'r> {
    fn turn(&mut self, turn: &'r Turn<'_>, written: &mut usize, out: &mut Vec<u8>) -> Result<(), CannotSay> {
        let start = out.len();
        comma(*written, out);
        out.extend_from_slice(if turn.role == Role::User { b"{\"role\":\"user\",\"parts\":[" } else { b"{\"role\":\"model\",\"parts\":[" });
        let mut parts = 0;
        let mut first_call = true;
        // Results come first, in the order of the calls before: the target counts them against those.
        let (mut results, rest): (Vec<_>, Vec<_>) = turn.parts.iter().partition(|part| matches!(part, Part::Result { .. }));
        results.sort_by_key(|part| if let Part::Result { id, .. } = part { self.calls.get(&**id).map(|(place, _)| *place) } else { None });
        for part in &turn.parts {
            if let Part::Call { id, name, .. } = part {
                self.made += 1;
                self.calls.insert(id, (self.made, name));
            }
        }
        for part in results.into_iter().chain(rest) {
            let before = out.len();
            comma(parts, out);
            if self.part(part, &mut first_call, out)? {
                parts += 1;
            } else {
                out.truncate(before);
            }
        }
        if parts == 0 {
            out.truncate(start);
            return Ok(());
        }
        *written += 1;
        out.extend_from_slice(b"]}");
        Ok(())
    }

    /// Writes a part; false when there is nothing of it that the target takes.
    fn part(&self, part: &Part<'_>, first_call: &mut bool, out: &mut Vec<u8>) -> Result<bool, CannotSay> {
        match part {
            Part::Text { text, .. } if text.is_empty() => return Ok(false),
            Part::Text { text, .. } => {
                out.extend_from_slice(b"{\"text\":");
                write_text(out, text);
                out.push(b'}');
            }
            Part::Image(Image::Base64 { media_type, data }) => inline(media_type, data, out),
            Part::Image(Image::Url(url)) => {
                out.extend_from_slice(b"{\"fileData\":{\"mimeType\":");
                write_text(out, media_type_of(url)?);
                out.extend_from_slice(b",\"fileUri\":");
                write_text(out, url);
                out.extend_from_slice(b"}}");
            }
            Part::File { media_type, data, .. } => inline(media_type, data, out),
            Part::Call { id, name, input, seal } => {
                out.extend_from_slice(b"{\"functionCall\":{");
                self.id(id, out);
                out.extend_from_slice(b"\"name\":");
                write_text(out, name);
                out.extend_from_slice(b",\"args\":");
                out.extend_from_slice(if input.starts_with(b"{") { input } else { b"{}" });
                out.push(b'}');
                // One seal for all calls that were made at once; it stands at the first.
                let lost = (self.generation >= 3 && *first_call).then_some(LOST_SEAL);
                *first_call = false;
                if let Some(seal) = seal.as_deref().or(lost) {
                    out.extend_from_slice(b",\"thoughtSignature\":");
                    write_text(out, seal);
                }
                out.push(b'}');
            }
            Part::Result { id, parts, is_error } => self.result(id, parts, *is_error, out)?,
            // Thoughts of others mean nothing to it, and its own come back by their seals.
            Part::Thinking { .. } | Part::Redacted { .. } | Part::Plan(_) => return Ok(false),
        }
        Ok(true)
    }

    /// Models before the third generation refuse ids.
    fn id(&self, id: &str, out: &mut Vec<u8>) {
        if self.generation >= 3 {
            out.extend_from_slice(b"\"id\":");
            write_text(out, id);
            out.push(b',');
        }
    }

    /// A result is an object; what else it holds (images) stands beside it.
    fn result(&self, id: &str, parts: &[Part<'_>], is_error: bool, out: &mut Vec<u8>) -> Result<(), CannotSay> {
        let Some((_, name)) = self.calls.get(id) else {
            return cannot("messages[].tool_call_id", &format!("no call before it has the id `{id}`"));
        };
        out.extend_from_slice(b"{\"functionResponse\":{");
        self.id(id, out);
        out.extend_from_slice(b"\"name\":");
        write_text(out, name);
        out.extend_from_slice(if is_error { b",\"response\":{\"error\":" } else { b",\"response\":{\"result\":" });
        let texts: Vec<&str> =
            parts.iter().filter_map(|part| if let Part::Text { text, .. } = part { Some(&**text) } else { None }).collect();
        write_text(out, &texts.concat());
        out.extend_from_slice(b"}}}");
        for part in parts.iter().filter(|part| !matches!(part, Part::Text { .. })) {
            out.push(b',');
            match part {
                Part::Image(Image::Base64 { media_type, data }) | Part::File { media_type, data, .. } => inline(media_type, data, out),
                Part::Image(Image::Url(_))
                | Part::Text { .. }
                | Part::Call { .. }
                | Part::Result { .. }
                | Part::Thinking { .. }
                | Part::Redacted { .. }
                | Part::Plan(_) => return cannot("messages[].content", "the target takes text and base64 as the result of a tool"),
            }
        }
        Ok(())
    }
}

fn inline(media_type: &str, data: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"inlineData\":{\"mimeType\":");
    write_text(out, media_type);
    out.extend_from_slice(b",\"data\":");
    write_text(out, data);
    out.extend_from_slice(b"}}");
}

/// The target wants to be told what a URL leads to.
fn media_type_of(url: &str) -> Result<&'static str, CannotSay> {
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    for (ending, media_type) in [
        (".png", "image/png"),
        (".jpg", "image/jpeg"),
        (".jpeg", "image/jpeg"),
        (".webp", "image/webp"),
        (".gif", "image/gif"),
        (".heic", "image/heic"),
        (".heif", "image/heif"),
    ] {
        if path.ends_with(ending) {
            return Ok(media_type);
        }
    }
    cannot(
        "messages[].content[].image_url",
        "the target must be told its type: let the URL end in .png, .jpg, .webp or .gif, or send it as a data: URL",
    )
}

fn write_config(request: &Request<'_>, generation: u32, model: &str, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    out.extend_from_slice(b",\"generationConfig\":{");
    let start = out.len();
    let mut field = |name: &str, raw: &[u8]| {
        comma(usize::from(out.len() > start), out);
        out.extend_from_slice(format!("\"{name}\":").as_bytes());
        out.extend_from_slice(raw);
    };
    if let Some(max) = request.max_tokens {
        field("maxOutputTokens", max.to_string().as_bytes());
    }
    for (name, raw) in [("temperature", request.temperature), ("topP", request.top_p)] {
        raw.into_iter().for_each(|raw| field(name, raw));
    }
    for (name, raw) in &request.rare {
        let name = match *name {
            "seed" => "seed",
            "presence_penalty" => "presencePenalty",
            "frequency_penalty" => "frequencyPenalty",
            "top_k" => "topK",
            "logprobs" => "responseLogprobs",
            _ => "logprobs",
        };
        field(name, raw);
    }
    if !request.stop.is_empty() {
        let mut list = Vec::new();
        write_list(&mut list, &request.stop);
        field("stopSequences", &list);
    }
    if request.json || request.schema.is_some() {
        field("responseMimeType", b"\"application/json\"");
    }
    if let Some(schema) = request.schema {
        field("responseJsonSchema", schema);
    }
    if let Some(effort) = request.effort.as_deref() {
        field("thinkingConfig", thinking(effort, generation, model)?.as_bytes());
    }
    out.push(b'}');
    Ok(())
}

/// The third generation takes a level, those before a budget of tokens.
fn thinking(effort: &str, generation: u32, model: &str) -> Result<Cow<'static, str>, CannotSay> {
    let pro = model.contains("pro");
    if generation >= 3 {
        return Ok(Cow::Borrowed(match effort {
            "none" | "minimal" if pro => "{\"thinkingLevel\":\"low\",\"includeThoughts\":false}",
            "none" => "{\"thinkingLevel\":\"minimal\",\"includeThoughts\":false}",
            "minimal" => "{\"thinkingLevel\":\"minimal\",\"includeThoughts\":true}",
            "low" => "{\"thinkingLevel\":\"low\",\"includeThoughts\":true}",
            "medium" => "{\"thinkingLevel\":\"medium\",\"includeThoughts\":true}",
            "high" | "xhigh" | "max" => "{\"thinkingLevel\":\"high\",\"includeThoughts\":true}",
            _ => return cannot("reasoning_effort", "the target takes none, minimal, low, medium, high, xhigh or max"),
        }));
    }
    let (budget, told) = match effort {
        // Pro thinks always.
        "none" => (if pro { 128 } else { 0 }, false),
        "minimal" => (512, true),
        "low" => (1024, true),
        "medium" => (8192, true),
        "high" | "xhigh" | "max" => (24_576, true),
        _ => return cannot("reasoning_effort", "the target takes none, minimal, low, medium, high, xhigh or max"),
    };
    Ok(Cow::Owned(format!("{{\"thinkingBudget\":{budget},\"includeThoughts\":{told}}}")))
}

fn write_tools(request: &Request<'_>, out: &mut Vec<u8>) {
    if request.tools.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"tools\":[{\"functionDeclarations\":[");
    for (place, tool) in request.tools.iter().enumerate() {
        comma(place, out);
        out.extend_from_slice(b"{\"name\":");
        write_text(out, &tool.name);
        if let Some(description) = &tool.description {
            out.extend_from_slice(b",\"description\":");
            write_text(out, description);
        }
        if let Some(schema) = tool.schema {
            out.extend_from_slice(b",\"parametersJsonSchema\":");
            out.extend_from_slice(schema);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}]");
    let mode = match &request.choice {
        None => return,
        Some(Choice::Auto) => "AUTO",
        Some(Choice::None) => "NONE",
        Some(Choice::Any | Choice::Named(_)) => "ANY",
    };
    out.extend_from_slice(format!(",\"toolConfig\":{{\"functionCallingConfig\":{{\"mode\":\"{mode}\"").as_bytes());
    if let Some(Choice::Named(name)) = &request.choice {
        out.extend_from_slice(b",\"allowedFunctionNames\":[");
        write_text(out, name);
        out.push(b']');
    }
    out.extend_from_slice(b"}}");
}
