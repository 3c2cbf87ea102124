//! `GET /v1/models`: only what the key may use, in the dialect of the client.

use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};
use snapshot::Dialect;

use super::card::Card;
use crate::exchange::{Grant, Refusal};
use crate::live::{Live, LiveProvider};
use crate::routing::{self, Asked};

/// No model has a longer name, in bytes; a body takes none either.
const NAME_BYTES_MAX: usize = 256;

/// The dialect of a request for models: Anthropic's clients always send their version.
pub(super) fn dialect(headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") { Dialect::Anthropic } else { Dialect::OpenAi }
}

/// The list.
pub(super) fn list(live: &Live, grant: &Grant, dialect: Dialect) -> Bytes {
    let visible = routing::visible(live, grant);
    let seen = visible.iter().filter_map(|(name, candidates)| Some((*name, *candidates.first()?)));
    match dialect {
        Dialect::OpenAi | Dialect::Gemini | Dialect::Bedrock | Dialect::Cohere | Dialect::Ollama => {
            let data = seen.map(|(name, first)| Card::new(name, &first.provider, (Some(first.declared), &first.upstream), grant));
            written(&List { object: "list", data: data.collect() })
        }
        Dialect::Anthropic => {
            let (first, last) = (visible.first().map(|(name, _)| *name), visible.last().map(|(name, _)| *name));
            let models: Vec<Value> = seen.map(|(name, _)| of_anthropic(name)).collect();
            written(&json!({ "data": models, "has_more": false, "first_id": first, "last_id": last }))
        }
    }
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Card<'a>>,
}

/// One model, by any name that a call could use; as it stands in a path, where clients escape what is no letter.
pub(super) fn named(live: &Live, grant: &Grant, dialect: Dialect, model: &str) -> Result<Bytes, Refusal> {
    let model = unescaped(model);
    if model.len() > NAME_BYTES_MAX {
        return Err(Refusal::ModelUnknown { model: model.chars().take(NAME_BYTES_MAX / 4).collect(), near: Vec::new() });
    }
    let visible = routing::visible(live, grant);
    if let Some((name, first)) = visible.iter().find(|(name, _)| *name == model).and_then(|(name, all)| Some((*name, *all.first()?))) {
        return Ok(one(name, &first.provider, (Some(first.declared), &first.upstream), grant, dialect));
    }
    let plan = routing::plan(live, grant, &mut Asked::name(&model))?;
    let attempt = plan.attempts.first().ok_or(Refusal::NotReady)?;
    Ok(one(&model, &attempt.provider, (attempt.declared, &attempt.model), grant, dialect))
}

fn one(name: &str, provider: &LiveProvider, asked: (Option<usize>, &str), grant: &Grant, dialect: Dialect) -> Bytes {
    match dialect {
        Dialect::OpenAi | Dialect::Gemini | Dialect::Bedrock | Dialect::Cohere | Dialect::Ollama => {
            written(&Card::new(name, provider, asked, grant))
        }
        Dialect::Anthropic => written(&of_anthropic(name)),
    }
}

fn of_anthropic(name: &str) -> Value {
    json!({ "type": "model", "id": name, "display_name": name, "created_at": "2025-01-01T00:00:00Z" })
}

/// Nothing that is written here fails to be.
fn written(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// Percent-escapes read; what is none stays as it stands.
pub(super) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_a_path_are_read_and_all_else_stays() {
        for (text, expected) in [
            ("gpt-4o", "gpt-4o"),
            ("openai%2Fgpt-4o", "openai/gpt-4o"),
            ("a%2fb%3Ac", "a/b:c"),
            ("%C3%A9", "\u{e9}"),
            ("100%", "100%"),
            ("%+1%zz%4", "%+1%zz%4"),
            ("%ff", "\u{fffd}"),
            ("", ""),
        ] {
            assert_eq!(unescaped(text), expected, "{text}");
        }
    }
}
