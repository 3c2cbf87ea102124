//! The items of a request's input.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Seal;
use super::reading::custom_arguments;
use crate::passage::CannotSay;
use crate::translate::chat::{Image, Part, Request, Role, cannot, data_url, get, safe_id, say, system, text};
use crate::translate::openai::is_object;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    call_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    input: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    summary: Option<Vec<Said<'a>>>,
    #[serde(borrow, default)]
    encrypted_content: Option<Cow<'a, str>>,
    // What follows says nothing to a model.
    #[serde(borrow, default, rename = "id")]
    _id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "status")]
    _status: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "phase")]
    _phase: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "created_by")]
    _created_by: Option<&'a RawValue>,
}

/// A part of a summary or of a thought.
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    text: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    image_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    file_data: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    filename: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    input_audio: Option<Audio<'a>>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
    #[serde(borrow, default)]
    file_url: Option<&'a RawValue>,
    // Those that are not null were refused when the body was first looked at.
    #[serde(borrow, default, rename = "file_id")]
    _file_id: Option<&'a RawValue>,
    // What follows is no part of what is asked.
    #[serde(borrow, default, rename = "detail")]
    _detail: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "annotations")]
    _annotations: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "logprobs")]
    _logprobs: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "prompt_cache_breakpoint")]
    _prompt_cache_breakpoint: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Audio<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    format: Cow<'a, str>,
}

/// Reads the input: a text, or a list of items.
pub(super) fn read<'a>(request: &mut Request<'a>, raw: &'a [u8]) -> Result<(), CannotSay> {
    let raw: &RawValue = get(raw, "input")?;
    if raw.get().starts_with('"') {
        say(request, Role::User, vec![Part::Text { text: text(raw, "input")?, cache: None }]);
        return Ok(());
    }
    let mut seal: Option<Cow<'a, str>> = None;
    for raw in get::<Vec<&RawValue>>(raw.get().as_bytes(), "input")? {
        item(request, parsed(raw)?, &mut seal)?;
    }
    Ok(())
}

/// The kinds of items that are read.
const KINDS: [&str; 6] = ["message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning"];

/// An item in its shape. One of a kind that is not read is told by its kind, whatever else it holds.
fn parsed(raw: &RawValue) -> Result<Item<'_>, CannotSay> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(borrow, default, rename = "type")]
        kind: Option<Cow<'a, str>>,
    }
    get::<Item<'_>>(raw.get().as_bytes(), "input[]").or_else(|wrong| {
        let kind = get::<Kind<'_>>(raw.get().as_bytes(), "input[]")?.kind;
        match kind.filter(|kind| !KINDS.contains(&&**kind)) {
            Some(kind) => unknown(&kind),
            None => Err(wrong),
        }
    })
}

fn unknown<T>(kind: &str) -> Result<T, CannotSay> {
    cannot("input[].type", &format!("the target cannot be given an item of type `{kind}`"))
}

fn item<'a>(request: &mut Request<'a>, item: Item<'a>, seal: &mut Option<Cow<'a, str>>) -> Result<(), CannotSay> {
    match (item.kind.as_deref().unwrap_or("message"), item.role.as_deref(), item.call_id, item.name) {
        ("message", Some(role), ..) => {
            let parts = item.content.map_or(Ok(Vec::new()), contents)?;
            match role {
                // What comes later in the conversation stays there, as the user's: the target knows no other place.
                "system" | "developer" if request.turns.is_empty() => system(request, parts, "input[].content")?,
                "user" | "system" | "developer" => say(request, Role::User, parts),
                "assistant" => say(request, Role::Assistant, parts),
                role => return cannot("input[].role", &format!("there is no role `{role}`")),
            }
        }
        ("message", None, ..) => return cannot("input[].role", "a message must tell who speaks"),
        ("function_call", _, Some(id), Some(name)) => {
            let arguments = item.arguments.unwrap_or_default();
            let none = matches!(arguments.trim(), "" | "null");
            let input = if none { Cow::Borrowed(&b"{}"[..]) } else { Cow::Owned(arguments.into_owned().into_bytes()) };
            if !is_object(&input) {
                return cannot("input[].arguments", "they are not a JSON object");
            }
            say(request, Role::Assistant, vec![Part::Call { id: own_id(&id), name, input, seal: seal.take() }]);
        }
        ("custom_tool_call", _, Some(id), Some(name)) => {
            let input = Cow::Owned(custom_arguments(&item.input.unwrap_or_default()));
            say(request, Role::Assistant, vec![Part::Call { id: own_id(&id), name, input, seal: seal.take() }]);
        }
        ("function_call_output" | "custom_tool_call_output", _, Some(id), _) => {
            let parts = item.output.map_or(Ok(Vec::new()), contents)?;
            say(request, Role::User, vec![Part::Result { id: own_id(&id), parts, is_error: false }]);
        }
        ("function_call" | "custom_tool_call" | "function_call_output" | "custom_tool_call_output", ..) => {
            return cannot("input[].call_id", "a call and its output must name the call, and a call its tool");
        }
        ("reasoning", ..) => {
            let text: String = item.summary.into_iter().flatten().map(|said| said.text).collect();
            let part = match item.encrypted_content.as_deref().and_then(Seal::open) {
                Some((Seal::Call, told)) => {
                    *seal = Some(Cow::Owned(told.to_owned()));
                    return Ok(());
                }
                Some((Seal::Redacted, data)) => Part::Redacted { data: Cow::Owned(data.to_owned()) },
                Some((Seal::Plan, _)) => Part::Plan(Cow::Owned(text)),
                Some((Seal::Thinking, told)) => Part::Thinking { text: Cow::Owned(text), signature: Some(Cow::Owned(told.to_owned())) },
                // Of another provider, which alone can read it.
                None => Part::Thinking { text: Cow::Owned(text), signature: None },
            };
            say(request, Role::Assistant, vec![part]);
        }
        (kind, ..) => return unknown(kind),
    }
    Ok(())
}

fn own_id<'a>(id: &str) -> Cow<'a, str> {
    Cow::Owned(safe_id(id).into_owned())
}

/// What a message or an output holds: a text, or a list of parts.
fn contents(raw: &RawValue) -> Result<Vec<Part<'_>>, CannotSay> {
    if raw.get() == "null" {
        return Ok(Vec::new());
    }
    if raw.get().starts_with('"') {
        let text = text(raw, "input[].content")?;
        return Ok(if text.is_empty() { Vec::new() } else { vec![Part::Text { text, cache: None }] });
    }
    let mut parts = Vec::new();
    for content in get::<Vec<Content<'_>>>(raw.get().as_bytes(), "input[].content")? {
        parts.extend(part(content)?);
    }
    Ok(parts)
}

fn part(content: Content<'_>) -> Result<Option<Part<'_>>, CannotSay> {
    let cache = content.cache_control.map(|cache| cache.get().as_bytes());
    Ok(Some(match (&*content.kind, content.text.or(content.refusal)) {
        ("input_text" | "output_text" | "text" | "refusal", Some(text)) if text.is_empty() => return Ok(None),
        ("input_text" | "output_text" | "text" | "refusal", Some(text)) => Part::Text { text, cache },
        ("input_image", _) => match content.image_url {
            Some(url) if url.starts_with("data:") => match data_url(&url) {
                Some((media_type, data)) => {
                    Part::Image(Image::Base64 { media_type: Cow::Owned(media_type.to_owned()), data: Cow::Owned(data.to_owned()) })
                }
                None => return cannot("input[].content[].image_url", "a data: URL must be base64"),
            },
            Some(url) => Part::Image(Image::Url(url)),
            None => return cannot("input[].content[].image_url", "an image must be a URL"),
        },
        ("input_file", _) => match content.file_data.as_deref().and_then(data_url) {
            Some((media_type, data)) => {
                Part::File { media_type: Cow::Owned(media_type.to_owned()), data: Cow::Owned(data.to_owned()), name: content.filename }
            }
            None if content.file_url.is_some() => {
                return cannot("input[].content[].file_url", "the target fetches no files; send `file_data`");
            }
            None => return cannot("input[].content[].file_data", "it must be a data: URL in base64"),
        },
        ("input_audio", _) => match content.input_audio {
            Some(Audio { data, format }) => Part::File { media_type: Cow::Owned(format!("audio/{format}")), data, name: None },
            None => return cannot("input[].content[].input_audio", "a sound must have data and a format"),
        },
        (kind, _) => return cannot("input[].content[].type", &format!("the target cannot be given a part of type `{kind}`")),
    }))
}
