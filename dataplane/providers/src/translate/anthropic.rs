//! Anthropic's messages: requests and whole answers, read and written.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::{Surface, Usage};

use super::chat::{Answer, Choice, Image, Part, Request, Role, Stop, Tool, Turn, cannot, safe_id};
use super::not_an_answer;
use super::openai::write_list;
use crate::fault::Fault;
use crate::json::{Scanner, Wrong, write_text};
use crate::passage::CannotSay;
use crate::usage::AnthropicUsage;

/// Anthropic wants a limit; this one every model takes.
const MAX_TOKENS: u64 = 4096;

/// A block of content, of any kind.
#[derive(Deserialize)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<Source<'a>>,
    #[serde(borrow, default)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_use_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    is_error: Option<bool>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) data: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

impl Block<'_> {
    /// The words that a block begins with.
    pub(super) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    media_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    url: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Deserialize)]
struct OfferedTool<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    input_schema: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

fn get<'a, T: Deserialize<'a>>(raw: &'a [u8], field: &str) -> Result<T, CannotSay> {
    serde_json::from_slice(raw).map_err(|error| CannotSay::Field {
        field: field.to_owned(),
        why: format!("it is not of the shape that this door takes ({error})"),
    })
}

fn text<'a>(raw: &'a RawValue, field: &str) -> Result<Cow<'a, str>, CannotSay> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    get::<Text<'a>>(raw.get().as_bytes(), field).map(|text| text.0)
}

pub(super) fn read_request(body: &[u8]) -> Result<Request<'_>, CannotSay> {
    let mut request = Request::default();
    let mut scanner = Scanner::new(body);
    let mut stopped = None;
    let read = scanner.object(|scanner, key| {
        let range = scanner.skip()?;
        let raw = &body[range];
        if raw != b"null"
            && stopped.is_none()
            && let Err(cannot) = field(&mut request, &key.decode(), raw)
        {
            stopped = Some(cannot);
        }
        Ok::<(), Wrong>(())
    });
    match (read, stopped) {
        (Ok(()), None) => Ok(request),
        (_, Some(cannot)) => Err(cannot),
        (Err(_), None) => cannot("body", "it is not JSON"),
    }
}

fn field<'a>(request: &mut Request<'a>, key: &str, raw: &'a [u8]) -> Result<(), CannotSay> {
    match key {
        "model" => {}
        "metadata" => {
            #[derive(Deserialize)]
            struct Metadata {
                #[serde(default)]
                user_id: Option<String>,
            }
            request.user = get::<Metadata>(raw, key)?.user_id.map(Cow::Owned);
        }
        "system" => {
            let raw: &RawValue = get(raw, key)?;
            for part in parts(raw, key)? {
                match part {
                    Part::Text { text, cache } => request.system.push((text, cache)),
                    Part::Image(_) | Part::Call { .. } | Part::Result { .. } | Part::Thinking { .. } | Part::Redacted { .. } => {
                        return cannot(key, "it must be text");
                    }
                }
            }
        }
        "messages" => {
            for message in get::<Vec<Message<'a>>>(raw, key)? {
                let role = match &*message.role {
                    "user" => Role::User,
                    "assistant" => Role::Assistant,
                    role => return cannot("messages[].role", &format!("there is no role `{role}`")),
                };
                request.turns.push(Turn { role, parts: parts(message.content, "messages[].content")? });
            }
        }
        "max_tokens" => request.max_tokens = Some(get(raw, key)?),
        "temperature" => request.temperature = Some(raw),
        "top_p" => request.top_p = Some(raw),
        "stop_sequences" => request.stop = get::<Vec<String>>(raw, key)?.into_iter().map(Cow::Owned).collect(),
        "stream" => request.stream = get(raw, key)?,
        "tools" => request.tools = get::<Vec<OfferedTool<'a>>>(raw, key)?.into_iter().map(tool).collect::<Result<_, _>>()?,
        "tool_choice" => choice(request, raw)?,
        "output_config" => request.schema = format(request, raw)?,
        "thinking" => thinking(request, raw)?,
        "service_tier" if matches!(raw, b"\"auto\"" | b"\"standard_only\"") => {}
        _ => return cannot(key, "the target's dialect has no word for it; leave it out, or choose a provider that speaks this dialect"),
    }
    Ok(())
}

/// A budget of thoughts becomes an effort: the dialect in front knows no other measure.
fn thinking(request: &mut Request<'_>, raw: &[u8]) -> Result<(), CannotSay> {
    #[derive(Deserialize)]
    struct Thinking {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        budget_tokens: Option<u64>,
    }
    let thinking: Thinking = get(raw, "thinking")?;
    request.effort = match (thinking.kind.as_str(), thinking.budget_tokens) {
        ("disabled", _) => None,
        (_, Some(..=2048)) => Some(Cow::Borrowed("low")),
        (_, Some(..=8192) | None) => Some(Cow::Borrowed("medium")),
        (_, Some(_)) => Some(Cow::Borrowed("high")),
    };
    Ok(())
}

fn format<'a>(request: &mut Request<'a>, raw: &'a [u8]) -> Result<Option<&'a [u8]>, CannotSay> {
    #[derive(Deserialize)]
    struct Config<'a> {
        #[serde(borrow, default)]
        format: Option<Format<'a>>,
        #[serde(default)]
        effort: Option<String>,
    }
    #[derive(Deserialize)]
    struct Format<'a> {
        #[serde(borrow, default)]
        schema: Option<&'a RawValue>,
    }
    let config: Config<'a> = get(raw, "output_config")?;
    if let Some(effort) = config.effort {
        request.effort = Some(Cow::Owned(effort));
    }
    Ok(config.format.and_then(|format| format.schema).map(|schema| schema.get().as_bytes()))
}

fn tool(offered: OfferedTool<'_>) -> Result<Tool<'_>, CannotSay> {
    match offered.kind.as_deref() {
        None | Some("custom") => {}
        Some(kind) => return cannot("tools", &format!("the target has no tool of type `{kind}`")),
    }
    if offered.name.len() > 64 {
        return cannot("tools[].name", "the target takes names of at most 64 characters");
    }
    Ok(Tool {
        name: offered.name,
        description: offered.description,
        schema: offered.input_schema.map(|schema| schema.get().as_bytes()),
        strict: offered.strict,
    })
}

fn choice<'a>(request: &mut Request<'a>, raw: &'a [u8]) -> Result<(), CannotSay> {
    #[derive(Deserialize)]
    struct Chosen<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow, default)]
        name: Option<Cow<'a, str>>,
        #[serde(default)]
        disable_parallel_tool_use: Option<bool>,
    }
    let chosen: Chosen<'a> = get(raw, "tool_choice")?;
    request.parallel = chosen.disable_parallel_tool_use.map(|disabled| !disabled);
    request.choice = Some(match (&*chosen.kind, chosen.name) {
        ("auto", _) => Choice::Auto,
        ("any", _) => Choice::Any,
        ("none", _) => Choice::None,
        ("tool", Some(name)) => Choice::Named(name),
        _ => return cannot("tool_choice", "it is auto, any, none or a named tool"),
    });
    Ok(())
}

fn parts<'a>(content: &'a RawValue, field: &str) -> Result<Vec<Part<'a>>, CannotSay> {
    if content.get().starts_with('"') {
        let text = text(content, field)?;
        return Ok(if text.is_empty() { Vec::new() } else { vec![Part::Text { text, cache: None }] });
    }
    get::<Vec<Block<'a>>>(content.get().as_bytes(), field)?.into_iter().map(|block| part(block, field)).collect()
}

fn part<'a>(block: Block<'a>, field: &str) -> Result<Part<'a>, CannotSay> {
    let cache = block.cache_control.map(|cache| cache.get().as_bytes());
    let kind = block.kind;
    Ok(match (&*kind, block.text, block.source, block.id, block.name, block.tool_use_id) {
        ("text", Some(text), ..) => Part::Text { text, cache },
        ("image", _, Some(source), ..) => match (&*source.kind, source.media_type, source.data, source.url) {
            ("base64", Some(media_type), Some(data), _) => Part::Image(Image::Base64 { media_type, data }),
            ("url", _, _, Some(url)) => Part::Image(Image::Url(url)),
            _ => return cannot(field, "an image must be base64 or a URL"),
        },
        ("tool_use", _, _, Some(id), Some(name), _) => {
            Part::Call { id, name, input: Cow::Borrowed(block.input.map_or(b"{}", |input| input.get().as_bytes())) }
        }
        ("tool_result", _, _, _, _, Some(id)) => Part::Result {
            id,
            parts: block.content.map_or(Ok(Vec::new()), |content| parts(content, field))?,
            is_error: block.is_error.unwrap_or(false),
        },
        ("thinking", ..) => Part::Thinking { text: block.thinking.unwrap_or_default(), signature: block.signature },
        ("redacted_thinking", ..) => Part::Redacted { data: block.data.unwrap_or_default() },
        _ => return cannot(field, &format!("the target cannot be given a block of type `{kind}`")),
    })
}

/// Writes a request for Anthropic.
pub(super) fn write_request(request: &Request<'_>, model: &str, out: &mut Vec<u8>) -> Result<(), CannotSay> {
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

fn comma(place: usize, out: &mut Vec<u8>) {
    if place > 0 {
        out.push(b',');
    }
}

fn write_text_block(text: &str, cache: Option<&[u8]>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
    write_text(out, text);
    if let Some(cache) = cache {
        out.extend_from_slice(b",\"cache_control\":");
        out.extend_from_slice(cache);
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

fn write_part(part: &Part<'_>, out: &mut Vec<u8>) {
    match part {
        Part::Text { text, cache } => write_text_block(text, *cache, out),
        Part::Image(Image::Url(url)) => {
            out.extend_from_slice(b"{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":");
            write_text(out, url);
            out.extend_from_slice(b"}}");
        }
        Part::Image(Image::Base64 { media_type, data }) => {
            out.extend_from_slice(b"{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":");
            write_text(out, media_type);
            out.extend_from_slice(b",\"data\":");
            write_text(out, data);
            out.extend_from_slice(b"}}");
        }
        Part::Call { id, name, input } => {
            out.extend_from_slice(b"{\"type\":\"tool_use\",\"id\":");
            write_text(out, &safe_id(id));
            out.extend_from_slice(b",\"name\":");
            write_text(out, name);
            out.extend_from_slice(b",\"input\":");
            out.extend_from_slice(input);
            out.push(b'}');
        }
        Part::Result { id, parts, is_error } => {
            out.extend_from_slice(b"{\"type\":\"tool_result\",\"tool_use_id\":");
            write_text(out, id);
            out.extend_from_slice(b",\"content\":[");
            for (place, part) in parts.iter().enumerate() {
                comma(place, out);
                write_part(part, out);
            }
            out.extend_from_slice(if *is_error { b"],\"is_error\":true}" } else { b"]}" });
        }
        Part::Thinking { text, signature } => {
            out.extend_from_slice(b"{\"type\":\"thinking\",\"thinking\":");
            write_text(out, text);
            out.extend_from_slice(b",\"signature\":");
            write_text(out, signature.as_deref().unwrap_or_default());
            out.push(b'}');
        }
        Part::Redacted { data } => {
            out.extend_from_slice(b"{\"type\":\"redacted_thinking\",\"data\":");
            write_text(out, data);
            out.push(b'}');
        }
    }
}

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

pub(super) fn read_answer(body: &[u8]) -> Result<Answer<'_>, Fault> {
    let answer: AnswerBody<'_> = serde_json::from_slice(body).map_err(|error| not_an_answer(&error.to_string()))?;
    if answer.kind.as_deref() == Some("error") {
        return Err(Fault::of_object(Surface::Messages, body));
    }
    let Some(content) = answer.content else { return Err(not_an_answer("it has no content")) };
    // Blocks of tools that the provider ran itself are its own affair: the client can do nothing with them.
    let known = content.into_iter().filter(|block| matches!(&*block.kind, "text" | "tool_use" | "thinking" | "redacted_thinking"));
    let parts = known.map(|block| part(block, "content")).collect::<Result<_, _>>().map_err(|error| not_an_answer(&error.to_string()))?;
    let mut usage = AnthropicUsage::default();
    if let Some(raw) = answer.usage {
        usage.take(raw.get().as_bytes());
    }
    Ok(Answer {
        id: answer.id.unwrap_or_default(),
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

pub(super) fn write_answer(answer: &Answer<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    write_text(out, &answer.id);
    out.extend_from_slice(b",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    write_text(out, &answer.model);
    out.extend_from_slice(b",\"content\":[");
    let refusal = answer.refusal.as_ref().map(|text| Part::Text { text: Cow::Borrowed(text), cache: None });
    for (place, part) in answer.parts.iter().chain(&refusal).enumerate() {
        comma(place, out);
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
    let Usage { completion, cached, cache_write, .. } = usage;
    let text = format!(
        "{{\"input_tokens\":{input},\"cache_creation_input_tokens\":{cache_write},\"cache_read_input_tokens\":{cached},\"output_tokens\":{completion}}}"
    );
    out.extend_from_slice(text.as_bytes());
}
