//! Usage as those tell it whose dialect is their own: Gemini, Bedrock, Cohere.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::{More, Usage};

use super::{Count, if_it_fits, service};

/// Gemini's `usageMetadata`. Thoughts are not among the candidates' tokens, and what tools read is not among the prompt's.
#[must_use]
pub fn of_gemini(json: &[u8]) -> Option<Usage> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Metadata<'a> {
        prompt_token_count: Count,
        tool_use_prompt_token_count: Count,
        candidates_token_count: Count,
        thoughts_token_count: Count,
        cached_content_token_count: Count,
        #[serde(borrow, deserialize_with = "if_it_fits")]
        prompt_tokens_details: Option<Vec<Kind<'a>>>,
        #[serde(borrow, deserialize_with = "if_it_fits")]
        cache_tokens_details: Option<Vec<Kind<'a>>>,
        #[serde(borrow, deserialize_with = "if_it_fits")]
        candidates_tokens_details: Option<Vec<Kind<'a>>>,
        #[serde(borrow, deserialize_with = "if_it_fits")]
        tool_use_prompt_tokens_details: Option<Vec<Kind<'a>>>,
        #[serde(borrow)]
        service_tier: Option<&'a RawValue>,
        #[serde(borrow)]
        traffic_type: Option<&'a RawValue>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Kind<'a> {
        #[serde(borrow)]
        modality: Cow<'a, str>,
        token_count: Count,
    }
    let count = |kinds: &[&Option<Vec<Kind<'_>>>], modality: &str, whole: u64| {
        let kinds = kinds.iter().filter_map(|kinds| kinds.as_ref()).flatten();
        let told = kinds.filter(|kind| kind.modality == modality).map(|kind| kind.token_count.or_none());
        told.fold(0, u64::saturating_add).min(whole)
    };
    let told: Metadata<'_> = serde_json::from_slice(json).ok()?;
    let (Some(prompt), said) = (told.prompt_token_count.0, told.candidates_token_count.or_none()) else { return None };
    let prompt = prompt.saturating_add(told.tool_use_prompt_token_count.or_none());
    let reasoning = told.thoughts_token_count.or_none();
    let cached = told.cached_content_token_count.or_none().min(prompt);
    let read = [&told.prompt_tokens_details, &told.tool_use_prompt_tokens_details];
    let more = More {
        audio_in: count(&read, "AUDIO", prompt),
        audio_cached: count(&[&told.cache_tokens_details], "AUDIO", cached),
        audio_out: count(&[&told.candidates_tokens_details], "AUDIO", said),
        image_in: count(&read, "IMAGE", prompt),
        image_cached: count(&[&told.cache_tokens_details], "IMAGE", cached),
        image_out: count(&[&told.candidates_tokens_details], "IMAGE", said),
        service: service(told.service_tier.or(told.traffic_type)),
        ..More::default()
    };
    Some(Usage { prompt, completion: said.saturating_add(reasoning), cached, cache_write: 0, reasoning, more })
}

/// Bedrock's `usage` of Converse: what the cache gave or took is not among the input's tokens.
#[must_use]
pub fn of_converse(json: &[u8]) -> Option<Usage> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Told<'a> {
        input_tokens: Count,
        output_tokens: Count,
        cache_read_input_tokens: Count,
        cache_write_input_tokens: Count,
        #[serde(borrow, deserialize_with = "if_it_fits")]
        cache_details: Option<Vec<Kept<'a>>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Kept<'a> {
        #[serde(borrow)]
        ttl: Cow<'a, str>,
        input_tokens: Count,
    }
    let told: Told<'_> = serde_json::from_slice(json).ok()?;
    if told.input_tokens.0.is_none() && told.output_tokens.0.is_none() {
        return None;
    }
    let (cached, cache_write) = (told.cache_read_input_tokens.or_none(), told.cache_write_input_tokens.or_none());
    let hour = told.cache_details.iter().flatten().filter(|kept| kept.ttl == "1h").map(|kept| kept.input_tokens.or_none());
    Some(Usage {
        prompt: told.input_tokens.or_none().saturating_add(cached).saturating_add(cache_write),
        completion: told.output_tokens.or_none(),
        cached,
        cache_write,
        reasoning: 0,
        more: More { cache_hour: hour.fold(0, u64::saturating_add).min(cache_write), ..More::default() },
    })
}

/// Cohere's `usage`: its `tokens` are what the model read and wrote; its `billed_units` leave out the template around them.
#[must_use]
pub fn of_cohere(json: &[u8]) -> Option<Usage> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Told {
        #[serde(deserialize_with = "if_it_fits")]
        tokens: Option<Tokens>,
        #[serde(deserialize_with = "if_it_fits")]
        billed_units: Option<Tokens>,
        cached_tokens: Count,
    }
    #[derive(Clone, Copy, Default, Deserialize)]
    #[serde(default)]
    struct Tokens {
        input_tokens: Count,
        output_tokens: Count,
        reasoning_tokens: Count,
        search_units: Count,
    }
    let told: Told = serde_json::from_slice(json).ok()?;
    let tokens = told.tokens.or(told.billed_units)?;
    if tokens.input_tokens.0.is_none() && tokens.output_tokens.0.is_none() {
        return None;
    }
    let billed = told.billed_units.filter(|billed| billed.input_tokens.0.is_some() || billed.output_tokens.0.is_some());
    let (prompt, completion) = (tokens.input_tokens.or_none(), tokens.output_tokens.or_none());
    // Where it bills one side alone, the other is billed as it is counted.
    let billed = billed.map(|billed| (billed.input_tokens.0.unwrap_or(prompt), billed.output_tokens.0.unwrap_or(completion)));
    Some(Usage {
        prompt,
        completion,
        cached: told.cached_tokens.or_none().min(prompt),
        cache_write: 0,
        reasoning: tokens.reasoning_tokens.or_none().min(completion),
        more: More {
            billed: billed.filter(|billed| *billed != (prompt, completion)),
            searches: told.billed_units.map_or(0, |billed| billed.search_units.or_none()),
            ..More::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use snapshot::Service;

    use super::*;

    #[test]
    fn gemini_tells_sound_and_pictures_by_their_kind_and_its_service_in_two_ways() {
        let json = br#"{"promptTokenCount":9,"candidatesTokenCount":8,"thoughtsTokenCount":2,"cachedContentTokenCount":3,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":4},{"modality":"AUDIO","tokenCount":5}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":2}],
            "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":8}],"trafficType":"ON_DEMAND_PRIORITY"}"#;
        let more = More { audio_in: 5, audio_cached: 2, image_out: 8, service: Service::Priority, ..More::default() };
        assert_eq!(of_gemini(json), Some(Usage { prompt: 9, completion: 10, cached: 3, cache_write: 0, reasoning: 2, more }));
        let tier = |json: &[u8]| of_gemini(json).map(|usage| usage.more.service);
        assert_eq!(tier(br#"{"promptTokenCount":1,"serviceTier":"flex"}"#), Some(Service::Flex));
        assert_eq!(tier(br#"{"promptTokenCount":1,"trafficType":"PROVISIONED_THROUGHPUT"}"#), Some(Service::Standard));
    }

    #[test]
    fn converse_tells_how_long_what_is_written_is_kept() {
        let json = br#"{"inputTokens":1,"outputTokens":1,"cacheWriteInputTokens":6,"cacheDetails":[{"ttl":"1h","inputTokens":4},{"ttl":"5m","inputTokens":2}]}"#;
        let usage = of_converse(json).expect("a usage");
        assert_eq!((usage.prompt, usage.cache_write, usage.more.cache_hour), (7, 6, 4));
    }

    #[test]
    fn cohere_bills_other_tokens_than_it_counts() {
        let json = br#"{"tokens":{"input_tokens":503,"output_tokens":11},"billed_units":{"input_tokens":8,"output_tokens":9}}"#;
        let usage = of_cohere(json).expect("a usage");
        assert_eq!((usage.total(), usage.more.billed), (514, Some((8, 9))));
        assert_eq!(of_cohere(br#"{"billed_units":{"input_tokens":8,"output_tokens":9}}"#).and_then(|usage| usage.more.billed), None);
    }
    #[test]
    fn cohere_bills_as_it_counts_where_it_says_nothing_else() {
        let json = br#"{"tokens":{"input_tokens":503,"output_tokens":11},"billed_units":{"input_tokens":8}}"#;
        assert_eq!(of_cohere(json).and_then(|usage| usage.more.billed), Some((8, 11)));
        let json = br#"{"tokens":{"input_tokens":503,"output_tokens":11,"reasoning_tokens":4},"billed_units":{"search_units":2}}"#;
        assert_eq!(of_cohere(json).map(|usage| (usage.more.billed, usage.more.searches, usage.reasoning)), Some((None, 2, 4)));
    }

    #[test]
    fn one_odd_detail_does_not_make_a_call_free() {
        let json =
            br#"{"promptTokenCount":9,"candidatesTokenCount":8,"promptTokensDetails":5,"candidatesTokensDetails":[{"modality":null}]}"#;
        assert_eq!(of_gemini(json), Some(Usage { prompt: 9, completion: 8, ..Usage::default() }));
        assert_eq!(of_converse(br#"{"inputTokens":9,"outputTokens":8,"cacheDetails":"none"}"#).map(|usage| usage.total()), Some(17));
        let odd = of_cohere(br#"{"tokens":{"input_tokens":9,"output_tokens":8},"billed_units":"all"}"#);
        assert_eq!(odd.map(|usage| (usage.total(), usage.more.billed)), Some((17, None)));
    }
}
