//! Usage, told as OpenAI tells it.

use std::collections::BTreeSet;

use snapshot::Quirk;

use super::{Object, value_of};
use crate::json::{Scanner, Wrong};

/// A usage object; `None`: it stays as it is.
pub(super) fn usage(quirks: &BTreeSet<Quirk>, raw: &[u8]) -> Option<Vec<u8>> {
    let apart = if quirks.contains(&Quirk::ReasoningApart) { thoughts_among(raw) } else { None };
    let cached = if quirks.contains(&Quirk::CachedApart) { cached_among(apart.as_deref().unwrap_or(raw)) } else { None };
    cached.or(apart)
}

/// Thoughts that the total alone counts are told among the answer's tokens, and sounds among the prompt's.
fn thoughts_among(raw: &[u8]) -> Option<Vec<u8>> {
    let count = |raw, name| value(raw, name).and_then(|raw| std::str::from_utf8(raw).ok()?.parse::<u64>().ok());
    let (prompt, completion, total) = (count(raw, "prompt_tokens")?, count(raw, "completion_tokens")?, count(raw, "total_tokens")?);
    let sound = value(raw, "prompt_tokens_details").and_then(|details| count(details, "audio_tokens")).unwrap_or(0);
    if sound > 0 && total.checked_sub(prompt)?.checked_sub(completion) == Some(sound) {
        return with(raw, "prompt_tokens", prompt.saturating_add(sound).to_string().as_bytes());
    }
    let told = total.checked_sub(prompt).filter(|told| *told > completion)?;
    with(raw, "completion_tokens", told.to_string().as_bytes())
}

/// What the cache gave is told among the details of the prompt's tokens.
fn cached_among(raw: &[u8]) -> Option<Vec<u8>> {
    let told = value(raw, "cached_tokens").or_else(|| value(raw, "prompt_cache_hit_tokens"))?;
    let details = value(raw, "prompt_tokens_details").filter(|details| details.starts_with(b"{")).unwrap_or(b"{}");
    if value(details, "cached_tokens").is_some_and(|cached| cached != b"null") {
        return None;
    }
    with(raw, "prompt_tokens_details", &with(details, "cached_tokens", told)?)
}

fn value<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    value_of(object, name).ok().flatten()
}

/// An object with a field in the place of the one of that name, if it has one.
fn with(raw: &[u8], name: &str, value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(raw.len() + name.len() + value.len() + 4);
    let mut object = Object::open(&mut out);
    let read = Scanner::new(raw).object::<Wrong>(|scanner, key| {
        let value = &raw[scanner.skip()?];
        if !key.is(name) {
            object.field(key.raw, value);
        }
        Ok(())
    });
    object.named(name).extend_from_slice(value);
    object.close();
    read.is_ok().then_some(out)
}
