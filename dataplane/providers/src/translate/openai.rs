//! OpenAI's chat completions: what requests and answers have in common; each of the two, and streams, has a file.

mod answer;
pub(super) mod chunks;
mod reading;
pub(super) mod stream;
mod writing;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::chat::{Image, Part, cannot, get, text};
use crate::json::{Scanner, write_text};
use crate::passage::CannotSay;

pub(super) use answer::{kinds, read_answer, write_answer};
pub(super) use reading::read_request;
pub(super) use writing::write_request;

/// A fixed day for `created`: the machine's clock is not for translators.
pub(super) const CREATED: &str = "1767225600";

#[derive(Deserialize)]
pub(super) struct ToolCall<'a> {
    #[serde(borrow, default)]
    pub(super) extra_content: Option<Extra<'a>>,
    #[serde(borrow, default)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) function: Function<'a>,
}

/// Where Google's own OpenAI-compatible endpoint puts the seal of a call.
#[derive(Deserialize)]
pub(super) struct Extra<'a> {
    #[serde(borrow, default)]
    google: Option<Google<'a>>,
}

#[derive(Deserialize)]
struct Google<'a> {
    #[serde(borrow, default)]
    thought_signature: Option<Cow<'a, str>>,
}

impl<'a> Extra<'a> {
    pub(super) fn seal(self) -> Option<Cow<'a, str>> {
        self.google?.thought_signature.filter(|seal| !seal.is_empty())
    }
}

/// Writes the place of a seal, as a further field of a call.
pub(super) fn write_seal(seal: Option<&str>, out: &mut Vec<u8>) {
    if let Some(seal) = seal {
        out.extend_from_slice(b",\"extra_content\":{\"google\":{\"thought_signature\":");
        write_text(out, seal);
        out.extend_from_slice(b"}}");
    }
}

#[derive(Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) arguments: Option<Cow<'a, str>>,
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
    file: Option<FilePart<'a>>,
    #[serde(borrow, default)]
    input_audio: Option<AudioPart<'a>>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct FilePart<'a> {
    #[serde(borrow, default)]
    filename: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    file_data: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct AudioPart<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    format: Cow<'a, str>,
}

fn file<'a>(file: FilePart<'a>) -> Result<Part<'a>, CannotSay> {
    let Some(data) = file.file_data else {
        return cannot("messages[].content[].file", "the target takes a file only as `file_data`");
    };
    match data.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((media_type, data)) => {
            Ok(Part::File { media_type: Cow::Owned(media_type.to_owned()), data: Cow::Owned(data.to_owned()), name: file.filename })
        }
        None => cannot("messages[].content[].file.file_data", "it must be a data: URL in base64"),
    }
}

pub(super) fn parts(content: Option<&RawValue>) -> Result<Vec<Part<'_>>, CannotSay> {
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
            ("file", ..) if part.file.is_some() => parts.extend(part.file.map(file).transpose()?),
            ("input_audio", ..) if part.input_audio.is_some() => parts.extend(part.input_audio.map(|audio| Part::File {
                media_type: Cow::Owned(format!("audio/{}", audio.format)),
                data: audio.data,
                name: None,
            })),
            (kind, _, _) => return cannot("messages[].content[].type", &format!("the target cannot be given a part of type `{kind}`")),
        }
    }
    Ok(parts)
}

/// What an answer says: thoughts and texts. Parts of other kinds are the provider's own affair: the client has no use for
/// them.
pub(super) fn said(content: Option<&RawValue>) -> Result<Vec<Part<'_>>, CannotSay> {
    #[derive(Deserialize)]
    struct Said<'a> {
        #[serde(borrow, rename = "type", default)]
        kind: Cow<'a, str>,
        #[serde(borrow, default)]
        text: Option<Cow<'a, str>>,
        /// Mistral's: a text, or a list of texts.
        #[serde(borrow, default)]
        thinking: Option<&'a RawValue>,
    }
    let Some(content) = content.filter(|content| content.get().starts_with('[')) else {
        return if content.is_some_and(|content| content.get().starts_with('"')) { parts(content) } else { Ok(Vec::new()) };
    };
    let mut parts = Vec::new();
    for part in get::<Vec<Said<'_>>>(content.get().as_bytes(), "content")? {
        match (&*part.kind, part.text, part.thinking) {
            ("text", Some(text), _) => parts.push(Part::Text { text, cache: None }),
            ("thinking", _, Some(thinking)) => {
                // No deeper: the nesting of strangers has no bound.
                let texts = if thinking.get().starts_with('[') {
                    get::<Vec<Said<'_>>>(thinking.get().as_bytes(), "content")?.into_iter().filter_map(|part| part.text).collect()
                } else {
                    vec![text(thinking, "content")?]
                };
                parts.extend(texts.into_iter().map(|text| Part::Thinking { text, signature: None }));
            }
            _ => {}
        }
    }
    Ok(parts)
}

/// Thoughts and words of a list of parts.
pub(crate) fn thoughts_and_words(list: &RawValue) -> Result<(String, String), CannotSay> {
    let (mut thoughts, mut words) = (String::new(), String::new());
    for part in said(Some(list))? {
        match part {
            Part::Thinking { text, .. } => thoughts.push_str(&text),
            Part::Text { text, .. } => words.push_str(&text),
            Part::Image(_) | Part::File { .. } | Part::Call { .. } | Part::Result { .. } | Part::Redacted { .. } | Part::Plan(_) => {}
        }
    }
    Ok((thoughts, words))
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

/// Whether the arguments of a call are a JSON object and nothing else: they are written as they stand.
pub(super) fn is_object(arguments: &[u8]) -> bool {
    let mut scanner = Scanner::new(arguments);
    scanner.object(|inner, _| inner.pass()).and_then(|()| scanner.end()).is_ok()
}

pub(super) fn write_calls(calls: &[&Part<'_>], out: &mut Vec<u8>) {
    for (place, call) in calls.iter().enumerate() {
        out.extend_from_slice(if place == 0 { b",\"tool_calls\":[" } else { b"," });
        if let Part::Call { id, name, input, seal } = call {
            out.extend_from_slice(b"{\"id\":");
            write_text(out, id);
            out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
            write_text(out, name);
            out.extend_from_slice(b",\"arguments\":");
            write_text(out, &String::from_utf8_lossy(input));
            out.push(b'}');
            write_seal(seal.as_deref(), out);
            out.push(b'}');
        }
    }
    if !calls.is_empty() {
        out.push(b']');
    }
}
