//! Usage objects of all dialects in one convention (see [`snapshot::Usage`]).

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, Visitor};
use snapshot::Usage;

/// A count as foreign servers write it: whole, with a fraction, negative, or no number at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) Option<u64>);

impl Count {
    /// What is not told is none.
    pub(crate) fn or_none(self) -> u64 {
        self.0.unwrap_or(0)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Count;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a count")
            }
            fn visit_u64<E>(self, value: u64) -> Result<Count, E> {
                Ok(Count(Some(value)))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Count, E> {
                Ok(Count(Some(u64::try_from(value).unwrap_or(0))))
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "`as` saturates, which is what is wanted of foreign numbers"
            )]
            fn visit_f64<E>(self, value: f64) -> Result<Count, E> {
                Ok(Count(Some(value.round().max(0.0) as u64)))
            }
            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
                Ok(Count(None))
            }
            fn visit_str<E>(self, _: &str) -> Result<Count, E> {
                Ok(Count(None))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Count(None))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Count(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Count,
    cache_write_tokens: Count,
    reasoning_tokens: Count,
    thinking_tokens: Count,
}

/// Every name that the dialects use, side by side; which are there tells the convention.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    input_tokens: Count,
    output_tokens: Count,
    input_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    iterations: Option<Vec<Wire>>,
}

/// OpenAI's usage object (chat, completions, embeddings, responses). `None` when it tells nothing.
#[must_use]
pub fn of_openai(json: &[u8]) -> Option<Usage> {
    let wire: Wire = serde_json::from_slice(json).ok()?;
    let prompt = wire.prompt_tokens.0.or(wire.input_tokens.0);
    let completion = wire.completion_tokens.0.or(wire.output_tokens.0);
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let read = wire.prompt_tokens_details.or(wire.input_tokens_details).unwrap_or_default();
    let written = wire.completion_tokens_details.or(wire.output_tokens_details).unwrap_or_default();
    let (prompt, mut completion) = (prompt.unwrap_or(0), completion.unwrap_or(0));
    // Some servers count thoughts in the total alone.
    let thought = written.reasoning_tokens.or_none();
    if thought > 0 && wire.total_tokens.0 == Some(prompt.saturating_add(completion).saturating_add(thought)) {
        completion = completion.saturating_add(thought);
    }
    // Some servers tell more cached tokens than tokens; a part is never more than the whole.
    let cached = read.cached_tokens.0.unwrap_or(0).min(prompt);
    let cache_write = read.cache_write_tokens.0.unwrap_or(0).min(prompt - cached);
    Some(Usage { prompt, completion, cached, cache_write, reasoning: thought.min(completion) })
}

/// Gemini's `usageMetadata`. Thoughts are not among the candidates' tokens, and what tools read is not among the prompt's.
#[must_use]
pub fn of_gemini(json: &[u8]) -> Option<Usage> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Metadata {
        prompt_token_count: Count,
        tool_use_prompt_token_count: Count,
        candidates_token_count: Count,
        thoughts_token_count: Count,
        cached_content_token_count: Count,
    }
    let told: Metadata = serde_json::from_slice(json).ok()?;
    let (Some(prompt), completion) = (told.prompt_token_count.0, told.candidates_token_count.or_none()) else { return None };
    let prompt = prompt.saturating_add(told.tool_use_prompt_token_count.or_none());
    let reasoning = told.thoughts_token_count.or_none();
    let cached = told.cached_content_token_count.or_none().min(prompt);
    Some(Usage { prompt, completion: completion.saturating_add(reasoning), cached, cache_write: 0, reasoning })
}

/// Bedrock's `usage` of Converse: what the cache gave or took is not among the input's tokens.
#[must_use]
pub fn of_converse(json: &[u8]) -> Option<Usage> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Told {
        input_tokens: Count,
        output_tokens: Count,
        cache_read_input_tokens: Count,
        cache_write_input_tokens: Count,
    }
    let told: Told = serde_json::from_slice(json).ok()?;
    if told.input_tokens.0.is_none() && told.output_tokens.0.is_none() {
        return None;
    }
    let (cached, cache_write) = (told.cache_read_input_tokens.or_none(), told.cache_write_input_tokens.or_none());
    Some(Usage {
        prompt: told.input_tokens.or_none().saturating_add(cached).saturating_add(cache_write),
        completion: told.output_tokens.or_none(),
        cached,
        cache_write,
        reasoning: 0,
    })
}

/// Cohere's `usage`: its `tokens` are what the model read and wrote; its `billed_units` leave out the template around them.
#[must_use]
pub fn of_cohere(json: &[u8]) -> Option<Usage> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Told {
        tokens: Option<Tokens>,
        billed_units: Option<Tokens>,
        cached_tokens: Count,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Tokens {
        input_tokens: Count,
        output_tokens: Count,
        reasoning_tokens: Count,
    }
    let told: Told = serde_json::from_slice(json).ok()?;
    let tokens = told.tokens.or(told.billed_units)?;
    if tokens.input_tokens.0.is_none() && tokens.output_tokens.0.is_none() {
        return None;
    }
    let (prompt, completion) = (tokens.input_tokens.or_none(), tokens.output_tokens.or_none());
    Some(Usage {
        prompt,
        completion,
        cached: told.cached_tokens.or_none().min(prompt),
        cache_write: 0,
        reasoning: tokens.reasoning_tokens.or_none().min(completion),
    })
}

/// Anthropic's usage, which comes in instalments: each count is cumulative, and the last that is told holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnthropicUsage {
    input: Option<u64>,
    output: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    thought: Option<u64>,
}

impl AnthropicUsage {
    /// Takes one usage object.
    pub fn take(&mut self, json: &[u8]) {
        let Ok(wire) = serde_json::from_slice::<Wire>(json) else { return };
        if let Some(rounds) = wire.iterations.as_ref().filter(|rounds| rounds.len() > 1) {
            // Rounds of server tools or compaction are billed each; the outer numbers are of the last alone.
            let sum =
                |count: fn(&Wire) -> Count| Some(rounds.iter().fold(0_u64, |sum, round| sum.saturating_add(count(round).0.unwrap_or(0))));
            self.input = sum(|round| round.input_tokens);
            self.output = sum(|round| round.output_tokens);
            self.read = sum(|round| round.cache_read_input_tokens);
            self.written = sum(|round| round.cache_creation_input_tokens);
        } else {
            self.input = wire.input_tokens.0.or(self.input);
            self.output = wire.output_tokens.0.or(self.output);
            self.read = wire.cache_read_input_tokens.0.or(self.read);
            self.written = wire.cache_creation_input_tokens.0.or(self.written);
        }
        self.thought = wire.output_tokens_details.and_then(|details| details.thinking_tokens.0).or(self.thought);
    }

    /// In the one convention; `None` when nothing was told.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() {
            return None;
        }
        let (cached, cache_write) = (self.read.unwrap_or(0), self.written.unwrap_or(0));
        let completion = self.output.unwrap_or(0);
        let prompt = self.input.unwrap_or(0).saturating_add(cached).saturating_add(cache_write);
        Some(Usage { prompt, completion, cached, cache_write, reasoning: self.thought.unwrap_or(0).min(completion) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_are_part_of_the_prompt_in_both_dialects() {
        let openai = of_openai(br#"{"prompt_tokens":100,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":80},"completion_tokens_details":{"reasoning_tokens":5}}"#);
        assert_eq!(openai, Some(Usage { prompt: 100, completion: 7, cached: 80, cache_write: 0, reasoning: 5 }));
        let mut anthropic = AnthropicUsage::default();
        anthropic.take(br#"{"input_tokens":10,"cache_read_input_tokens":80,"cache_creation_input_tokens":10,"output_tokens":1}"#);
        anthropic.take(br#"{"output_tokens":7}"#);
        assert_eq!(anthropic.usage(), Some(Usage { prompt: 100, completion: 7, cached: 80, cache_write: 10, reasoning: 0 }));
    }

    #[test]
    fn strange_numbers_are_bounded() {
        assert_eq!(of_openai(br#"{"prompt_tokens":-3,"completion_tokens":2.6}"#), Some(Usage { completion: 3, ..Usage::default() }));
        assert_eq!(
            of_openai(br#"{"prompt_tokens":198,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":314}}"#)
                .map(|usage| usage.cached),
            Some(198)
        );
        assert_eq!(of_openai(br#"{"prompt_tokens":"many","completion_tokens":{}}"#), None);
        assert_eq!(of_openai(b"null"), None);
        assert_eq!(of_openai(br#"{"prompt_tokens":1e400}"#), None);
    }

    #[test]
    fn rounds_of_one_answer_are_added_up() {
        let mut usage = AnthropicUsage::default();
        usage.take(br#"{"input_tokens":3,"output_tokens":4,"iterations":[{"input_tokens":60,"output_tokens":10},{"input_tokens":3,"output_tokens":4}]}"#);
        assert_eq!(usage.usage(), Some(Usage { prompt: 63, completion: 14, ..Usage::default() }));
    }
}
