//! OpenAI's chat completions: requests and whole answers, read and written.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::{FailureClass, Surface, Usage};

use super::chat::{Answer, Choice, Image, Part, Request, Role, Stop, Tool, Turn, cannot, safe_id};
use super::not_an_answer;
use crate::fault::Fault;
use crate::json::{Scanner, Wrong, write_text};
use crate::passage::CannotSay;
use crate::usage;

/// A fixed day for `created`: the machine's clock is not for translators.
pub(super) const CREATED: &str = "1767225600";

/// Fields of a request that say nothing to a model.
const HARMLESS: [&str; 7] =
    ["metadata", "store", "prompt_cache_key", "safety_identifier", "prompt_cache_retention", "verbosity", "modalities"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow, default)]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    thinking_blocks: Option<Vec<ThinkingBlock<'a>>>,
    /// An alias of `reasoning_content` in answers that clients send back.
    #[serde(borrow, default, rename = "reasoning")]
    _reasoning: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "refusal")]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "annotations")]
    _annotations: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "name")]
    _name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ThinkingBlock<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    image_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OfferedTool<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    function: Option<OfferedFunction<'a>>,
}

#[derive(Deserialize)]
struct OfferedFunction<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

/// Either what is wrong with the JSON, which the head has ruled out, or a field that cannot be said.
enum Stopped {
    Wrong,
    Cannot(CannotSay),
}

impl From<Wrong> for Stopped {
    fn from(_: Wrong) -> Self {
        Self::Wrong
    }
}

impl From<CannotSay> for Stopped {
    fn from(cannot: CannotSay) -> Self {
        Self::Cannot(cannot)
    }
}

fn get<'a, T: Deserialize<'a>>(raw: &'a [u8], field: &str) -> Result<T, CannotSay> {
    serde_json::from_slice(raw).map_err(|error| CannotSay::Field {
        field: field.to_owned(),
        why: format!("it is not of the shape that this door takes ({error})"),
    })
}

/// A JSON string inside a string: texts that are decoded have nowhere to be borrowed from.
fn text<'a>(raw: &'a RawValue, field: &str) -> Result<Cow<'a, str>, CannotSay> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    get::<Text<'a>>(raw.get().as_bytes(), field).map(|text| text.0)
}

pub(super) fn read_request(body: &[u8]) -> Result<Request<'_>, CannotSay> {
    let mut request = Request::default();
    let mut scanner = Scanner::new(body);
    let read = scanner.object(|scanner, key| {
        let range = scanner.skip()?;
        let raw = &body[range];
        if raw != b"null" {
            field(&mut request, &key.decode(), raw)?;
        }
        Ok::<(), Stopped>(())
    });
    match read {
        Ok(()) => Ok(request),
        Err(Stopped::Cannot(cannot)) => Err(cannot),
        Err(Stopped::Wrong) => cannot("body", "it is not JSON"),
    }
}

fn field<'a>(request: &mut Request<'a>, key: &str, raw: &'a [u8]) -> Result<(), CannotSay> {
    match key {
        "model" => {}
        "messages" => messages(request, get(raw, key)?)?,
        "tools" => request.tools = get::<Vec<OfferedTool<'a>>>(raw, key)?.into_iter().map(tool).collect::<Result<_, _>>()?,
        "tool_choice" => request.choice = Some(choice(raw)?),
        "parallel_tool_calls" => request.parallel = Some(get(raw, key)?),
        "max_tokens" | "max_completion_tokens" => request.max_tokens = Some(get(raw, key)?),
        "temperature" => request.temperature = Some(raw),
        "top_p" => request.top_p = Some(raw),
        "stop" => {
            request.stop = if raw.starts_with(b"[") {
                get::<Vec<String>>(raw, key)?.into_iter().map(Cow::Owned).collect()
            } else {
                vec![Cow::Owned(get::<String>(raw, key)?)]
            };
        }
        "user" => request.user = Some(Cow::Owned(get::<String>(raw, key)?)),
        "reasoning_effort" => request.effort = Some(Cow::Owned(get::<String>(raw, key)?)),
        "stream" => request.stream = get(raw, key)?,
        "stream_options" => {
            #[derive(Deserialize)]
            struct Options {
                #[serde(default)]
                include_usage: Option<bool>,
            }
            request.include_usage = get::<Options>(raw, key)?.include_usage.unwrap_or(false);
        }
        "response_format" => request.schema = format(raw)?,
        // Their neutral values change nothing, so that clients that always send them are served.
        "n" if raw == b"1" => {}
        "presence_penalty" | "frequency_penalty" if matches!(raw, b"0" | b"0.0") => {}
        "logprobs" if raw == b"false" => {}
        "logit_bias" if raw.iter().all(|byte| b"{} \n\r\t".contains(byte)) => {}
        "service_tier" if matches!(raw, b"\"auto\"" | b"\"default\"") => {}
        "modalities" if raw.windows(5).any(|window| window == b"audio") => return cannot(key, "the target makes no audio"),
        _ if HARMLESS.contains(&key) => {}
        _ => return cannot(key, "the target's dialect has no word for it; leave it out, or choose a provider that speaks this dialect"),
    }
    Ok(())
}

fn format(raw: &[u8]) -> Result<Option<&[u8]>, CannotSay> {
    #[derive(Deserialize)]
    struct Format<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow, default)]
        json_schema: Option<Schema<'a>>,
    }
    #[derive(Deserialize)]
    struct Schema<'a> {
        #[serde(borrow, default)]
        schema: Option<&'a RawValue>,
    }
    let format: Format<'_> = get(raw, "response_format")?;
    match (&*format.kind, format.json_schema.and_then(|json| json.schema)) {
        ("text", _) => Ok(None),
        ("json_schema", Some(schema)) => Ok(Some(schema.get().as_bytes())),
        _ => cannot("response_format", "the target takes `json_schema` with a schema, or plain text"),
    }
}

fn tool(offered: OfferedTool<'_>) -> Result<Tool<'_>, CannotSay> {
    match (&*offered.kind, offered.function) {
        ("function", Some(function)) => Ok(Tool {
            name: function.name,
            description: function.description,
            schema: function.parameters.map(|schema| schema.get().as_bytes()),
            strict: function.strict,
        }),
        (kind, _) => cannot("tools", &format!("the target takes tools of type `function`, not `{kind}`")),
    }
}

fn choice(raw: &[u8]) -> Result<Choice<'_>, CannotSay> {
    #[derive(Deserialize)]
    struct Forced<'a> {
        #[serde(borrow)]
        function: Named<'a>,
    }
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    match raw {
        b"\"auto\"" => Ok(Choice::Auto),
        b"\"none\"" => Ok(Choice::None),
        b"\"required\"" => Ok(Choice::Any),
        _ => get::<Forced<'_>>(raw, "tool_choice").map(|forced| Choice::Named(forced.function.name)),
    }
}

fn messages<'a>(request: &mut Request<'a>, messages: Vec<Message<'a>>) -> Result<(), CannotSay> {
    for message in messages {
        if message.audio.is_some() || message.function_call.is_some() {
            return cannot("messages[].audio", "the target's dialect has neither audio nor `function_call`; use `tool_calls`");
        }
        match &*message.role {
            "system" | "developer" => {
                let parts = parts(message.content)?;
                let texts = parts.into_iter().filter_map(|part| match part {
                    Part::Text { text, cache } => Some((text, cache)),
                    Part::Image(_) | Part::Call { .. } | Part::Result { .. } | Part::Thinking { .. } | Part::Redacted { .. } => None,
                });
                // What comes later in the conversation stays there, as the user's: the target knows no other place.
                if request.turns.is_empty() {
                    request.system.extend(texts);
                } else {
                    let parts = texts.map(|(text, cache)| Part::Text { text, cache }).collect();
                    say(request, Role::User, parts);
                }
            }
            "user" => {
                let parts = parts(message.content)?;
                say(request, Role::User, parts);
            }
            "tool" | "function" => {
                let Some(id) = message.tool_call_id else {
                    return cannot("messages[].tool_call_id", "a tool's message must name the call that it answers");
                };
                let parts = parts(message.content)?;
                say(request, Role::User, vec![Part::Result { id: Cow::Owned(safe_id(&id).into_owned()), parts, is_error: false }]);
            }
            "assistant" => {
                let parts = assistant(message)?;
                say(request, Role::Assistant, parts);
            }
            role => return cannot("messages[].role", &format!("there is no role `{role}`")),
        }
    }
    Ok(())
}

/// One side's messages in a row are one turn. A tool's result comes before anything else that the turn says.
fn say<'a>(request: &mut Request<'a>, role: Role, parts: Vec<Part<'a>>) {
    match request.turns.last_mut() {
        Some(turn) if turn.role == role => turn.parts.extend(parts),
        _ => request.turns.push(Turn { role, parts }),
    }
}

fn assistant(message: Message<'_>) -> Result<Vec<Part<'_>>, CannotSay> {
    let mut all = Vec::new();
    match message.thinking_blocks {
        Some(blocks) => all.extend(blocks.into_iter().map(|block| match (&*block.kind, block.data) {
            ("redacted_thinking", Some(data)) => Part::Redacted { data },
            _ => Part::Thinking { text: block.thinking.unwrap_or_default(), signature: block.signature },
        })),
        // Without a signature the target would refuse it; it is the model's own and no part of what was asked.
        None => drop(message.reasoning_content),
    }
    all.extend(parts(message.content)?);
    if let Some(refusal) = message.refusal {
        all.push(Part::Text { text: refusal, cache: None });
    }
    for (place, call) in message.tool_calls.into_iter().flatten().enumerate() {
        let arguments = call.function.arguments.unwrap_or_default();
        let input = if arguments.trim().is_empty() { Cow::Borrowed(&b"{}"[..]) } else { Cow::Owned(arguments.into_owned().into_bytes()) };
        let mut scanner = Scanner::new(&input);
        if scanner.object(|inner, _| inner.skip().map(drop)).and_then(|()| scanner.end()).is_err() {
            return cannot(&format!("messages[].tool_calls[{place}].function.arguments"), "they are not a JSON object");
        }
        let id = call.id.map_or(Cow::Borrowed("call_0"), |id| Cow::Owned(safe_id(&id).into_owned()));
        all.push(Part::Call { id, name: call.function.name, input });
    }
    Ok(all)
}

fn parts(content: Option<&RawValue>) -> Result<Vec<Part<'_>>, CannotSay> {
    let Some(content) = content.filter(|content| content.get() != "null") else { return Ok(Vec::new()) };
    if content.get().starts_with('"') {
        let text = text(content, "messages[].content")?;
        return Ok(if text.is_empty() { Vec::new() } else { vec![Part::Text { text, cache: None }] });
    }
    let list: Vec<ContentPart<'_>> = get(content.get().as_bytes(), "messages[].content")?;
    let mut parts = Vec::with_capacity(list.len());
    for part in list {
        let cache = part.cache_control.map(|cache| cache.get().as_bytes());
        match (&*part.kind, part.text.or(part.refusal), part.image_url) {
            ("text" | "refusal", Some(text), _) if text.is_empty() => {}
            ("text" | "refusal", Some(text), _) => parts.push(Part::Text { text, cache }),
            ("image_url", _, Some(raw)) => parts.push(Part::Image(image(raw)?)),
            (kind, _, _) => return cannot("messages[].content[].type", &format!("the target cannot be given a part of type `{kind}`")),
        }
    }
    Ok(parts)
}

fn image(raw: &RawValue) -> Result<Image<'_>, CannotSay> {
    #[derive(Deserialize)]
    struct Url<'a> {
        #[serde(borrow)]
        url: Cow<'a, str>,
    }
    let url = if raw.get().starts_with('"') { text(raw, "image_url")? } else { get::<Url<'_>>(raw.get().as_bytes(), "image_url")?.url };
    let Some(rest) = url.strip_prefix("data:") else { return Ok(Image::Url(url)) };
    match rest.split_once(";base64,") {
        Some((media_type, data)) => Ok(Image::Base64 { media_type: Cow::Owned(media_type.to_owned()), data: Cow::Owned(data.to_owned()) }),
        None => cannot("image_url", "a data: URL must be base64"),
    }
}

/// Writes a request for a provider that speaks this dialect.
pub(super) fn write_request(request: &Request<'_>, model: &str, out: &mut Vec<u8>) -> Result<(), CannotSay> {
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
        write_turn(turn, out)?;
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
    write_tools(request, out);
    if request.stream {
        out.extend_from_slice(b",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    }
    out.push(b'}');
    Ok(())
}

pub(super) fn write_list(out: &mut Vec<u8>, texts: &[Cow<'_, str>]) {
    out.push(b'[');
    for (place, text) in texts.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_text(out, text);
    }
    out.push(b']');
}

fn write_tools(request: &Request<'_>, out: &mut Vec<u8>) {
    if request.tools.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"tools\":[");
    for (place, tool) in request.tools.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
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

/// One turn becomes several messages where it answers tools.
fn write_turn(turn: &Turn<'_>, out: &mut Vec<u8>) -> Result<(), CannotSay> {
    for part in &turn.parts {
        if let Part::Result { id, parts, is_error } = part {
            out.extend_from_slice(b"{\"role\":\"tool\",\"tool_call_id\":");
            write_text(out, id);
            out.extend_from_slice(b",\"content\":");
            let mut text = if *is_error { "Error: ".to_owned() } else { String::new() };
            for part in parts {
                match part {
                    Part::Text { text: more, .. } => text.push_str(more),
                    Part::Image(_) | Part::Call { .. } | Part::Result { .. } | Part::Thinking { .. } | Part::Redacted { .. } => {
                        return cannot("messages[].content[].content", "the target takes only text as the result of a tool");
                    }
                }
            }
            write_text(out, &text);
            out.extend_from_slice(b"},");
        }
    }
    let said: Vec<&Part<'_>> = turn.parts.iter().filter(|part| matches!(part, Part::Text { .. } | Part::Image(_))).collect();
    let calls: Vec<&Part<'_>> = turn.parts.iter().filter(|part| matches!(part, Part::Call { .. })).collect();
    if said.is_empty() && calls.is_empty() {
        return Ok(());
    }
    let role: &[u8] = if turn.role == Role::User { b"{\"role\":\"user\",\"content\":" } else { b"{\"role\":\"assistant\",\"content\":" };
    out.extend_from_slice(role);
    write_content(&said, out);
    write_calls(&calls, out);
    out.extend_from_slice(b"},");
    Ok(())
}

fn write_content(said: &[&Part<'_>], out: &mut Vec<u8>) {
    match said {
        [] => out.extend_from_slice(b"null"),
        [Part::Text { text, .. }] => write_text(out, text),
        _ => {
            out.push(b'[');
            for (place, part) in said.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
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
                    Part::Call { .. } | Part::Result { .. } | Part::Thinking { .. } | Part::Redacted { .. } => {}
                }
            }
            out.push(b']');
        }
    }
}

fn write_calls(calls: &[&Part<'_>], out: &mut Vec<u8>) {
    for (place, call) in calls.iter().enumerate() {
        out.extend_from_slice(if place == 0 { b",\"tool_calls\":[" } else { b"," });
        if let Part::Call { id, name, input } = call {
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

#[derive(Deserialize)]
struct AnswerBody<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Option<Vec<AnswerChoice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
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

pub(super) fn read_answer(body: &[u8]) -> Result<Answer<'_>, Fault> {
    let answer: AnswerBody<'_> = serde_json::from_slice(body).map_err(|error| not_an_answer(&error.to_string()))?;
    if answer.error.is_some() {
        return Err(Fault::of_object(Surface::ChatCompletions, body));
    }
    let Some(choice) = answer.choices.into_iter().flatten().next() else { return Err(not_an_answer("it has no choices")) };
    let message = choice.message;
    let mut all = Vec::new();
    let reasoning = message.reasoning.filter(|raw| raw.get().starts_with('"')).and_then(|raw| text(raw, "reasoning").ok());
    if let Some(text) = message.reasoning_content.or(reasoning).filter(|text| !text.is_empty()) {
        all.push(Part::Thinking { text, signature: None });
    }
    all.extend(parts(message.content).map_err(|error| not_an_answer(&error.to_string()))?);
    for call in message.tool_calls.into_iter().flatten() {
        let arguments = call.function.arguments.unwrap_or_default();
        let input = if arguments.trim().is_empty() { Cow::Borrowed(&b"{}"[..]) } else { Cow::Owned(arguments.into_owned().into_bytes()) };
        if Scanner::new(&input).skip().is_err() || !input.trim_ascii_start().starts_with(b"{") {
            return Err(Fault::new(FailureClass::InvalidResponse, "the arguments of a tool call are not a JSON object"));
        }
        let id = call.id.map_or(Cow::Borrowed("call_0"), |id| Cow::Owned(safe_id(&id).into_owned()));
        all.push(Part::Call { id, name: call.function.name, input });
    }
    let called = all.iter().any(|part| matches!(part, Part::Call { .. }));
    Ok(Answer {
        id: answer.id.unwrap_or_default(),
        model: answer.model.unwrap_or_default(),
        parts: all,
        refusal: message.refusal,
        stop: stop(choice.finish_reason.as_deref().unwrap_or_default(), called),
        stop_text: None,
        usage: answer.usage.and_then(|usage| usage::of_openai(usage.get().as_bytes())),
    })
}

/// OpenAI's reason to finish; a call that was made is one, whatever the reason says.
pub(super) fn stop(reason: &str, called: bool) -> Stop {
    match reason {
        "length" => Stop::Length,
        "content_filter" => Stop::Filtered,
        "tool_calls" | "function_call" => Stop::Calls,
        _ if called => Stop::Calls,
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

pub(super) fn write_answer(answer: &Answer<'_>, out: &mut Vec<u8>) {
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
            Part::Text { .. } | Part::Image(_) | Part::Call { .. } | Part::Result { .. } => {}
        }
    }
    out.pop();
    out.push(b']');
}

pub(super) fn write_usage(usage: &Usage, out: &mut Vec<u8>) {
    let Usage { prompt, completion, cached, cache_write, reasoning } = usage;
    let total = usage.total();
    let text = format!(
        "{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{total},\"prompt_tokens_details\":{{\"cached_tokens\":{cached},\"cache_write_tokens\":{cache_write}}},\"completion_tokens_details\":{{\"reasoning_tokens\":{reasoning}}}}}"
    );
    out.extend_from_slice(text.as_bytes());
}
