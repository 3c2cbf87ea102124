//! Anthropic's messages: what requests and answers have in common; each of the two, and streams, has a file.

mod answer;
mod reading;
pub(super) mod stream;
mod writing;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::chat::{Image, Part, cannot, get, safe_id, text};
use crate::json::{comma, write_text};
use crate::passage::CannotSay;

pub(super) use answer::{read_answer, write_answer};
pub(super) use reading::read_request;
pub(super) use writing::write_request;

/// Anthropic has no place for the seal of a call. It goes to the client as the signature of an empty thought before the call,
/// and clients send thoughts back as they came.
pub(super) const SEAL: &str = "seal-of-the-next-call:";

/// The seal that a signature holds, if it is one.
pub(super) fn sealed(signature: Option<&str>) -> Option<&str> {
    signature?.strip_prefix(SEAL)
}

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
    #[serde(borrow, default)]
    title: Option<Cow<'a, str>>,
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

pub(super) fn parts<'a>(content: &'a RawValue, field: &str) -> Result<Vec<Part<'a>>, CannotSay> {
    if content.get().starts_with('"') {
        let text = text(content, field)?;
        return Ok(if text.is_empty() { Vec::new() } else { vec![Part::Text { text, cache: None }] });
    }
    get::<Vec<Block<'a>>>(content.get().as_bytes(), field)?.into_iter().map(|block| part(block, field)).collect()
}

pub(super) fn part<'a>(block: Block<'a>, field: &str) -> Result<Part<'a>, CannotSay> {
    let cache = block.cache_control.map(|cache| cache.get().as_bytes());
    let kind = block.kind;
    Ok(match (&*kind, block.text, block.source, block.id, block.name, block.tool_use_id) {
        ("text", Some(text), ..) => Part::Text { text, cache },
        ("image", _, Some(source), ..) => match (&*source.kind, source.media_type, source.data, source.url) {
            ("base64", Some(media_type), Some(data), _) => Part::Image(Image::Base64 { media_type, data }),
            ("url", _, _, Some(url)) => Part::Image(Image::Url(url)),
            _ => return cannot(field, "an image must be base64 or a URL"),
        },
        ("document", _, Some(source), ..) => match (&*source.kind, source.media_type, source.data) {
            ("base64", Some(media_type), Some(data)) => Part::File { media_type, data, name: block.title },
            ("text", _, Some(text)) => Part::Text { text, cache },
            _ => return cannot(field, "the target takes a document only as base64 or text"),
        },
        ("tool_use", _, _, Some(id), Some(name), _) => {
            Part::Call { id, name, input: Cow::Borrowed(block.input.map_or(b"{}", |input| input.get().as_bytes())), seal: None }
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

pub(super) fn write_text_block(text: &str, cache: Option<&[u8]>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
    write_text(out, text);
    if let Some(cache) = cache {
        out.extend_from_slice(b",\"cache_control\":");
        out.extend_from_slice(cache);
    }
    out.push(b'}');
}

pub(super) fn write_part(part: &Part<'_>, out: &mut Vec<u8>) {
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
        Part::File { media_type, data, name } => {
            out.extend_from_slice(b"{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":");
            write_text(out, media_type);
            out.extend_from_slice(b",\"data\":");
            write_text(out, data);
            out.push(b'}');
            if let Some(name) = name {
                out.extend_from_slice(b",\"title\":");
                write_text(out, name);
            }
            out.push(b'}');
        }
        // Whose seal it is does not matter here: only the client is given it, by `write_answer`.
        Part::Call { id, name, input, seal: _ } => {
            out.extend_from_slice(b"{\"type\":\"tool_use\",\"id\":");
            write_text(out, &safe_id(id));
            out.extend_from_slice(b",\"name\":");
            write_text(out, name);
            out.extend_from_slice(b",\"input\":");
            out.extend_from_slice(if input.starts_with(b"{") { input } else { b"{}" });
            out.push(b'}');
        }
        Part::Result { id, parts, is_error } => {
            out.extend_from_slice(b"{\"type\":\"tool_result\",\"tool_use_id\":");
            write_text(out, id);
            out.extend_from_slice(b",\"content\":[");
            // An empty text is refused even as a result.
            let said = parts.iter().filter(|part| !matches!(part, Part::Text { text, .. } if text.trim().is_empty()));
            for (place, part) in said.enumerate() {
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
        Part::Plan(text) => write_text_block(text, None, out),
    }
}
