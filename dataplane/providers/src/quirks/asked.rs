//! Requests, told as the server takes them.

use std::collections::BTreeSet;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use snapshot::Quirk;

use super::Object;
use crate::json::{Kind, Scanner, Text, Wrong, comma, write_text};
use crate::passage::CannotSay;

/// Why a field is refused.
const CANNOT: &str = "the provider does not take it; leave it out, or let its LLMProvider say `unsupportedFields: Drop`";

/// Fields that say nothing to a model.
const LABELS: [&str; 5] = ["user", "metadata", "store", "safety_identifier", "prompt_cache_retention"];

/// A request as it is sent.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) body: Bytes,
    /// Fields that were left out though they say something.
    pub(crate) dropped: Vec<String>,
}

/// Tells a request, which is JSON, as a server with these quirks takes it.
///
/// # Errors
/// A field that it cannot be told, unless such fields are dropped.
pub(crate) fn ask(body: Bytes, quirks: &BTreeSet<Quirk>, drops: bool) -> Result<Asked, CannotSay> {
    if !quirks.iter().any(|quirk| quirk.is_of_requests()) {
        return Ok(Asked { body, dropped: Vec::new() });
    }
    let mut asking = Asking { quirks, drops, dropped: Vec::new(), limited: false };
    let mut out = Vec::with_capacity(body.len() + 64);
    let mut object = Object::open(&mut out);
    let mut scanner = Scanner::new(&body);
    let read = scanner.object(|scanner, key| {
        let raw = &body[scanner.skip()?];
        asking.field(key, raw, &mut object)
    });
    object.close();
    match read {
        Ok(()) => Ok(Asked { body: out.into(), dropped: asking.dropped }),
        Err(Stop::Cannot(cannot)) => Err(cannot),
        Err(Stop::Wrong) => Err(CannotSay::Field { field: "body".to_owned(), why: "it is not JSON".to_owned() }),
    }
}

/// Without these there is no request left.
const ESSENTIAL: [&str; 5] = ["model", "messages", "input", "tools", "system"];

/// A request without a field; `None` when it is not there, or says what the request is about.
pub(crate) fn without(body: &Bytes, field: &str) -> Option<Bytes> {
    if ESSENTIAL.contains(&field) {
        return None;
    }
    let mut found = false;
    let mut out = Vec::with_capacity(body.len());
    let mut object = Object::open(&mut out);
    let read = Scanner::new(body).object::<Wrong>(|scanner, key| {
        let range = scanner.skip()?;
        if key.is(field) {
            found = true;
        } else {
            object.field(key.raw, &body[range]);
        }
        Ok(())
    });
    object.close();
    (found && read.is_ok()).then(|| out.into())
}

enum Stop {
    Wrong,
    Cannot(CannotSay),
}

impl From<Wrong> for Stop {
    fn from(_: Wrong) -> Self {
        Self::Wrong
    }
}

struct Asking<'a> {
    quirks: &'a BTreeSet<Quirk>,
    drops: bool,
    dropped: Vec<String>,
    /// A limit of tokens was told.
    limited: bool,
}

impl Asking<'_> {
    fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    fn field(&mut self, key: Text<'_>, raw: &[u8], out: &mut Object<'_>) -> Result<(), Stop> {
        let name = key.decode();
        match &*name {
            "messages" if self.has(Quirk::SystemRole) || self.has(Quirk::ShortCallIds) || self.has(Quirk::NoLabels) => {
                self.messages(raw, out.key(key.raw))?;
            }
            "max_completion_tokens" | "max_tokens" if self.has(Quirk::MaxTokens) => {
                // Of both, which mean the same, the first is told.
                if raw != b"null" && !std::mem::replace(&mut self.limited, true) {
                    out.named("max_tokens").extend_from_slice(raw);
                }
            }
            "seed" if self.has(Quirk::RandomSeed) => out.named("random_seed").extend_from_slice(raw),
            "tool_choice" if raw == b"\"required\"" && self.has(Quirk::AnyToolChoice) => out.field(key.raw, b"\"any\""),
            _ => match self.verdict(&name, raw) {
                Verdict::Says => out.field(key.raw, raw),
                Verdict::SaysNothing => {}
                Verdict::Cannot if self.drops => self.dropped.push(name.into_owned()),
                Verdict::Cannot => {
                    return Err(Stop::Cannot(CannotSay::Field { field: name.into_owned(), why: CANNOT.to_owned() }));
                }
            },
        }
        Ok(())
    }

    /// What becomes of a field. One with its neutral value changes nothing, so that clients that always send it are served.
    fn verdict(&self, name: &str, raw: &[u8]) -> Verdict {
        let (quirk, neutral): (Quirk, &[&[u8]]) = match name {
            "stream_options" if self.has(Quirk::NoStreamOptions) => return Verdict::SaysNothing,
            _ if LABELS.contains(&name) && self.has(Quirk::NoLabels) => return Verdict::SaysNothing,
            "tools" | "functions" => (Quirk::NoTools, &[b"[]"]),
            "tool_choice" | "function_call" if self.has(Quirk::NoTools) => (Quirk::NoTools, &[b"\"auto\"", b"\"none\""]),
            "tool_choice" if raw == b"\"required\"" => (Quirk::NoRequiredToolChoice, &[]),
            "tool_choice" if raw.starts_with(b"{") => (Quirk::NoNamedToolChoice, &[]),
            "tool_choice" if raw == b"null" && self.has(Quirk::NoNamedToolChoice) => (Quirk::NoNamedToolChoice, &[]),
            "tool_choice" if raw == b"null" => (Quirk::NoRequiredToolChoice, &[]),
            "parallel_tool_calls" if self.has(Quirk::NoTools) => return Verdict::SaysNothing,
            "parallel_tool_calls" => (Quirk::NoParallelToolCalls, &[b"true"]),
            "seed" => (Quirk::NoSeed, &[]),
            "presence_penalty" | "frequency_penalty" => (Quirk::NoPenalties, &[b"0", b"0.0"]),
            "logprobs" | "top_logprobs" => (Quirk::NoLogprobs, &[b"false", b"0"]),
            "logit_bias" => (Quirk::NoLogitBias, &[b"{}"]),
            "n" => (Quirk::OneChoice, &[b"1"]),
            "response_format" if raw == b"null" || has_schema(raw) => (Quirk::NoJsonSchema, &[]),
            "service_tier" => (Quirk::NoServiceTier, &[b"\"auto\"", b"\"default\""]),
            _ => return Verdict::Says,
        };
        if !self.has(quirk) {
            Verdict::Says
        } else if raw == b"null" || neutral.contains(&raw) {
            Verdict::SaysNothing
        } else {
            Verdict::Cannot
        }
    }

    fn messages(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Stop> {
        let mut scanner = Scanner::new(raw);
        if scanner.kind()? != Kind::Array {
            out.extend_from_slice(raw);
            return Ok(());
        }
        out.push(b'[');
        let mut place = 0;
        scanner.array(|scanner| {
            comma(place, out);
            place += 1;
            if scanner.kind()? != Kind::Object {
                let range = scanner.skip()?;
                out.extend_from_slice(&raw[range]);
                return Ok(());
            }
            let mut message = Object::open(out);
            scanner.object(|scanner, key| {
                let value = &raw[scanner.skip()?];
                self.message_field(key, value, &mut message)
            })?;
            message.close();
            Ok::<(), Stop>(())
        })?;
        out.push(b']');
        Ok(())
    }

    fn message_field(&self, key: Text<'_>, raw: &[u8], out: &mut Object<'_>) -> Result<(), Stop> {
        if key.is("role") && raw == b"\"developer\"" && self.has(Quirk::SystemRole) {
            out.field(key.raw, b"\"system\"");
        } else if key.is("name") && self.has(Quirk::NoLabels) {
            // A label of who speaks.
        } else if key.is("tool_call_id") && self.has(Quirk::ShortCallIds) {
            short_id(raw, out.key(key.raw));
        } else if key.is("tool_calls") && raw.starts_with(b"[") && self.has(Quirk::ShortCallIds) {
            calls(raw, out.key(key.raw))?;
        } else {
            out.field(key.raw, raw);
        }
        Ok(())
    }
}

enum Verdict {
    Says,
    SaysNothing,
    Cannot,
}

fn has_schema(format: &[u8]) -> bool {
    let mut found = false;
    let mut scanner = Scanner::new(format);
    let read = scanner.object::<Wrong>(|scanner, key| {
        if key.is("type") && scanner.kind()? == Kind::Text {
            found = scanner.text()?.is("json_schema");
            return Ok(());
        }
        scanner.pass()
    });
    read.is_ok() && found
}

/// Tool calls of the conversation so far, with short ids.
fn calls(raw: &[u8], out: &mut Vec<u8>) -> Result<(), Stop> {
    out.push(b'[');
    let mut place = 0;
    Scanner::new(raw).array(|scanner| {
        comma(place, out);
        place += 1;
        if scanner.kind()? != Kind::Object {
            let range = scanner.skip()?;
            out.extend_from_slice(&raw[range]);
            return Ok(());
        }
        let mut call = Object::open(out);
        scanner.object(|scanner, key| {
            let value = &raw[scanner.skip()?];
            if key.is("id") {
                short_id(value, call.key(key.raw))
            } else {
                call.field(key.raw, value)
            }
            Ok::<(), Wrong>(())
        })?;
        call.close();
        Ok::<(), Stop>(())
    })?;
    out.push(b']');
    Ok(())
}

/// An id of nine letters and digits. The same id always gives the same, and one that fits stays.
fn short_id(raw: &[u8], out: &mut Vec<u8>) {
    const LENGTH: usize = 9;
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let id = raw.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    if id.is_none_or(|id| id.len() == LENGTH && id.iter().all(u8::is_ascii_alphanumeric)) {
        out.extend_from_slice(raw);
        return;
    }
    let mut scanner = Scanner::new(raw);
    let text = scanner.text().map(|text| text.decode().into_owned()).unwrap_or_default();
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let short: String = digest.iter().take(LENGTH).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
    write_text(out, &short);
}
