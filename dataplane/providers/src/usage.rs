//! Usage objects of all dialects in one convention (see [`snapshot::Usage`]).

mod native;
mod number;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::{More, NanoUsd, Service, Usage};

pub use native::{of_cohere, of_converse, of_gemini};
pub(crate) use number::{Count, if_it_fits};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Count,
    cache_write_tokens: Count,
    reasoning_tokens: Count,
    thinking_tokens: Count,
    text_tokens: Count,
    audio_tokens: Count,
    image_tokens: Count,
    /// Where a session over an open connection tells what of the cached tokens was sound.
    #[serde(deserialize_with = "if_it_fits")]
    cached_tokens_details: Option<Cached>,
}

/// Cached tokens by kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cached {
    audio_tokens: Count,
    image_tokens: Count,
}

/// Tools that the provider ran.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ServerTools {
    web_search_requests: Count,
}

/// What was written into the cache, by how long it is kept.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Kept {
    ephemeral_1h_input_tokens: Count,
}

/// Every name that the dialects use, side by side; which are there tells the convention.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire<'a> {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
    #[serde(deserialize_with = "if_it_fits")]
    prompt_tokens_details: Option<Details>,
    #[serde(deserialize_with = "if_it_fits")]
    completion_tokens_details: Option<Details>,
    input_tokens: Count,
    output_tokens: Count,
    #[serde(deserialize_with = "if_it_fits")]
    input_tokens_details: Option<Details>,
    #[serde(deserialize_with = "if_it_fits")]
    output_tokens_details: Option<Details>,
    /// So are they called where a connection stays open.
    #[serde(deserialize_with = "if_it_fits")]
    input_token_details: Option<Details>,
    #[serde(deserialize_with = "if_it_fits")]
    output_token_details: Option<Details>,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    /// Where some servers tell what the cache gave: beside the details.
    cached_tokens: Count,
    prompt_cache_hit_tokens: Count,
    #[serde(borrow, deserialize_with = "if_it_fits")]
    iterations: Option<Vec<Wire<'a>>>,
    #[serde(deserialize_with = "if_it_fits")]
    cache_creation: Option<Kept>,
    #[serde(deserialize_with = "if_it_fits")]
    server_tool_use: Option<ServerTools>,
    /// Perplexity's count.
    num_search_queries: Count,
    /// Perplexity's bill, and a plain number of others.
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    #[serde(borrow)]
    service_tier: Option<&'a RawValue>,
    /// Anthropic's `fast`, which costs a multiple.
    #[serde(borrow)]
    speed: Option<&'a RawValue>,
    /// Anthropic's `us`, which costs more.
    #[serde(borrow)]
    inference_geo: Option<&'a RawValue>,
}

/// OpenAI's usage object (chat, completions, embeddings, responses). `None` when it tells nothing.
#[must_use]
pub fn of_openai(json: &[u8]) -> Option<Usage> {
    let wire: Wire<'_> = serde_json::from_slice(json).ok()?;
    let prompt = wire.prompt_tokens.0.or(wire.input_tokens.0);
    let completion = wire.completion_tokens.0.or(wire.output_tokens.0);
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let read = wire.prompt_tokens_details.or(wire.input_tokens_details).or(wire.input_token_details).unwrap_or_default();
    let written = wire.completion_tokens_details.or(wire.output_tokens_details).or(wire.output_token_details).unwrap_or_default();
    let (prompt, mut completion) = (prompt.unwrap_or(0), completion.unwrap_or(0));
    // Some servers count thoughts in the total alone.
    let thought = written.reasoning_tokens.or_none();
    if thought > 0 && wire.total_tokens.0 == Some(prompt.saturating_add(completion).saturating_add(thought)) {
        completion = completion.saturating_add(thought);
    }
    // Some servers tell more cached tokens than tokens; a part is never more than the whole.
    let cached = read.cached_tokens.0.or(wire.cached_tokens.0).or(wire.prompt_cache_hit_tokens.0).unwrap_or(0).min(prompt);
    let cache_write = read.cache_write_tokens.0.unwrap_or(0).min(prompt - cached);
    let cached_kinds = read.cached_tokens_details.unwrap_or_default();
    let more = More {
        audio_in: read.audio_tokens.or_none().min(prompt),
        audio_cached: cached_kinds.audio_tokens.or_none().min(cached),
        audio_out: written.audio_tokens.or_none().min(completion),
        image_in: read.image_tokens.or_none().min(prompt),
        image_cached: cached_kinds.image_tokens.or_none().min(cached),
        image_out: written.image_tokens.or_none().min(completion),
        searches: wire.num_search_queries.or_none(),
        fee: wire.cost.and_then(fee),
        service: service(wire.service_tier),
        ..More::default()
    };
    Some(Usage { prompt, completion, cached, cache_write, reasoning: thought.min(completion), more })
}

/// The same where all that is written is sound, but for what is told to be text.
#[must_use]
pub fn of_speech(json: &[u8]) -> Option<Usage> {
    let mut usage = of_openai(json)?;
    usage.more.audio_out = usage.completion.saturating_sub(said_as_text(json));
    Some(usage)
}

/// The same where all that is written is pictures, but for what is told to be text.
#[must_use]
pub fn of_pictures(json: &[u8]) -> Option<Usage> {
    let mut usage = of_openai(json)?;
    usage.more.image_out = usage.completion.saturating_sub(said_as_text(json));
    Some(usage)
}

fn said_as_text(json: &[u8]) -> u64 {
    let wire: Option<Wire<'_>> = serde_json::from_slice(json).ok();
    wire.and_then(|wire| wire.output_tokens_details).map_or(0, |details| details.text_tokens.or_none())
}

/// A usage whose service is told beside it.
#[must_use]
pub fn served(usage: Option<Usage>, word: Option<&str>) -> Option<Usage> {
    let mut usage = usage?;
    if let Some(word) = word.filter(|word| !word.is_empty()) {
        usage.more.service = Service::of(word);
    }
    Some(usage)
}

fn service(raw: Option<&RawValue>) -> Service {
    raw.and_then(word).map_or(Service::Standard, |word| Service::of(&word))
}

fn word(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(raw.get()).ok()
}

/// What Perplexity takes for all but tokens.
fn fee(raw: &RawValue) -> Option<NanoUsd> {
    #[derive(Deserialize)]
    struct Bill<'a> {
        #[serde(borrow, default)]
        request_cost: Option<&'a RawValue>,
        #[serde(borrow, default)]
        search_queries_cost: Option<&'a RawValue>,
        #[serde(borrow, default)]
        citation_tokens_cost: Option<&'a RawValue>,
    }
    let bill: Bill<'_> = serde_json::from_str(raw.get()).ok()?;
    let told = [bill.request_cost, bill.search_queries_cost, bill.citation_tokens_cost];
    let mut told = told.into_iter().flatten().filter_map(|raw| dollars(raw.get())).peekable();
    told.peek()?;
    Some(told.fold(NanoUsd(0), |sum, one| NanoUsd(sum.0.saturating_add(one.0))))
}

/// A number of JSON in nano-dollars, rounded up; `None` for one that nobody means.
fn dollars(number: &str) -> Option<NanoUsd> {
    let number: f64 = number.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was found to be in bounds")]
    (0.0..1e6).contains(&number).then_some(NanoUsd((number * 1e9 - 1e-3).ceil().max(0.0) as u64))
}

/// Anthropic's usage, which comes in instalments: each count is cumulative, and the last that is told holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnthropicUsage {
    input: Option<u64>,
    output: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    hour: Option<u64>,
    thought: Option<u64>,
    searches: Option<u64>,
    service: Option<Service>,
    /// It was served in a way that costs more, and nobody here knows how much.
    dearer: bool,
}

impl AnthropicUsage {
    /// Takes one usage object.
    pub fn take(&mut self, json: &[u8]) {
        let Ok(wire) = serde_json::from_slice::<Wire<'_>>(json) else { return };
        if let Some(rounds) = wire.iterations.as_ref().filter(|rounds| rounds.len() > 1) {
            // Rounds of server tools or compaction are billed each; the outer numbers are of the last alone.
            let sum = |count: fn(&Wire<'_>) -> Count| {
                Some(rounds.iter().fold(0_u64, |sum, round| sum.saturating_add(count(round).0.unwrap_or(0))))
            };
            self.input = sum(|round| round.input_tokens);
            self.output = sum(|round| round.output_tokens);
            self.read = sum(|round| round.cache_read_input_tokens);
            self.written = sum(|round| round.cache_creation_input_tokens);
            // Rounds that do not tell for how long leave what was told before.
            if rounds.iter().any(|round| round.cache_creation.is_some()) {
                self.hour = sum(|round| round.cache_creation.as_ref().map_or(Count(None), |kept| kept.ephemeral_1h_input_tokens));
            }
        } else {
            self.input = wire.input_tokens.0.or(self.input);
            self.output = wire.output_tokens.0.or(self.output);
            self.read = wire.cache_read_input_tokens.0.or(self.read);
            self.written = wire.cache_creation_input_tokens.0.or(self.written);
            self.hour = wire.cache_creation.and_then(|kept| kept.ephemeral_1h_input_tokens.0).or(self.hour);
        }
        self.searches = wire.server_tool_use.and_then(|tools| tools.web_search_requests.0).or(self.searches);
        self.service = wire.service_tier.map(|raw| service(Some(raw))).or(self.service);
        let is_not = |raw: Option<&RawValue>, usual: &[&str]| raw.and_then(word).is_some_and(|word| !usual.contains(&&*word));
        self.dearer |= is_not(wire.speed, &["standard"]) || is_not(wire.inference_geo, &["global", "not_available"]);
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
        let more = More {
            cache_hour: self.hour.unwrap_or(0).min(cache_write),
            searches: self.searches.unwrap_or(0),
            service: self.service.unwrap_or_default(),
            doubtful: self.dearer,
            ..More::default()
        };
        Some(Usage { prompt, completion, cached, cache_write, reasoning: self.thought.unwrap_or(0).min(completion), more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_are_part_of_the_prompt_in_both_dialects() {
        let openai = of_openai(br#"{"prompt_tokens":100,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":80},"completion_tokens_details":{"reasoning_tokens":5}}"#);
        assert_eq!(openai, Some(Usage { prompt: 100, completion: 7, cached: 80, reasoning: 5, ..Usage::default() }));
        let mut anthropic = AnthropicUsage::default();
        anthropic.take(br#"{"input_tokens":10,"cache_read_input_tokens":80,"cache_creation_input_tokens":10,"output_tokens":1}"#);
        anthropic.take(br#"{"output_tokens":7}"#);
        assert_eq!(anthropic.usage(), Some(Usage { prompt: 100, completion: 7, cached: 80, cache_write: 10, ..Usage::default() }));
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
    fn openai_tells_sound_and_pictures_whatever_it_calls_the_details() {
        let more = |json: &[u8]| of_openai(json).map(|usage| usage.more);
        let chat = br#"{"prompt_tokens":9,"completion_tokens":8,"prompt_tokens_details":{"audio_tokens":5,"image_tokens":2},"completion_tokens_details":{"audio_tokens":7}}"#;
        assert_eq!(more(chat), Some(More { audio_in: 5, image_in: 2, audio_out: 7, ..More::default() }));
        let served_as = served(of_openai(chat), Some("flex")).map(|usage| usage.more.service);
        assert_eq!(
            (served_as, served(of_openai(chat), Some("default")).map(|usage| usage.more.service)),
            (Some(Service::Flex), Some(Service::Standard))
        );
        let session = br#"{"total_tokens":30,"input_tokens":20,"output_tokens":10,"input_token_details":{"cached_tokens":6,"text_tokens":5,"audio_tokens":15,"cached_tokens_details":{"text_tokens":2,"audio_tokens":4}},"output_token_details":{"text_tokens":3,"audio_tokens":7}}"#;
        assert_eq!(more(session), Some(More { audio_in: 15, audio_cached: 4, audio_out: 7, ..More::default() }));
    }

    #[test]
    fn what_makers_of_pictures_and_sound_write_is_pictures_and_sound() {
        let picture = br#"{"input_tokens":60,"output_tokens":272,"input_tokens_details":{"text_tokens":10,"image_tokens":50}}"#;
        assert_eq!(of_pictures(picture).map(|usage| (usage.more.image_in, usage.more.image_out)), Some((50, 272)));
        let both = br#"{"input_tokens":9,"output_tokens":300,"output_tokens_details":{"text_tokens":28,"image_tokens":272}}"#;
        assert_eq!(of_pictures(both).map(|usage| usage.more.image_out), Some(272));
        assert_eq!(of_speech(br#"{"input_tokens":5,"output_tokens":9}"#).map(|usage| usage.more.audio_out), Some(9));
    }

    #[test]
    fn perplexity_tells_its_searches_and_what_it_takes_for_them() {
        let told = br#"{"prompt_tokens":8,"completion_tokens":1,"num_search_queries":3,"cost":{"input_tokens_cost":0.00001,"request_cost":0.006,"search_queries_cost":0.015,"total_cost":0.02101}}"#;
        let more = of_openai(told).map(|usage| (usage.more.searches, usage.more.fee));
        assert_eq!(more, Some((3, Some(NanoUsd(21_000_000)))));
        for untold in [r#"{"input_tokens_cost":0,"total_cost":0}"#, "0.5", "null", r#"{"request_cost":-1}"#, "[]"] {
            let json = format!(r#"{{"prompt_tokens":8,"cost":{untold}}}"#);
            assert_eq!(of_openai(json.as_bytes()).map(|usage| usage.more.fee), Some(None), "{untold}");
        }
    }

    #[test]
    fn anthropic_tells_hours_searches_and_service() {
        let mut usage = AnthropicUsage::default();
        usage.take(br#"{"input_tokens":1,"cache_creation_input_tokens":6,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":4},"service_tier":"batch"}"#);
        usage.take(br#"{"output_tokens":2,"server_tool_use":{"web_search_requests":3}}"#);
        let more = usage.usage().map(|usage| usage.more);
        assert_eq!(more, Some(More { cache_hour: 4, searches: 3, service: Service::Batch, ..More::default() }));
    }

    #[test]
    fn one_odd_detail_does_not_make_a_call_free() {
        for odd in [
            r#""prompt_tokens_details":5,"completion_tokens_details":"none""#,
            r#""prompt_tokens_details":{"cached_tokens_details":7},"iterations":3"#,
            r#""cache_creation":9,"server_tool_use":"none","input_token_details":true"#,
        ] {
            let json = format!(r#"{{"prompt_tokens":10,"completion_tokens":2,{odd}}}"#);
            assert_eq!(of_openai(json.as_bytes()), Some(Usage { prompt: 10, completion: 2, ..Usage::default() }), "{odd}");
        }
        let mut usage = AnthropicUsage::default();
        usage.take(br#"{"input_tokens":3,"output_tokens":4,"iterations":3,"cache_creation":[{}],"server_tool_use":7}"#);
        assert_eq!(usage.usage(), Some(Usage { prompt: 3, completion: 4, ..Usage::default() }));
    }

    #[test]
    fn cached_tokens_have_other_names_too() {
        for name in ["prompt_cache_hit_tokens", "cached_tokens"] {
            let json = format!(r#"{{"prompt_tokens":10,"completion_tokens":2,"{name}":8}}"#);
            assert_eq!(of_openai(json.as_bytes()).map(|usage| usage.cached), Some(8), "{name}");
        }
        let both = br#"{"prompt_tokens":10,"prompt_cache_hit_tokens":8,"prompt_tokens_details":{"cached_tokens":8}}"#;
        assert_eq!(of_openai(both).map(|usage| usage.cached), Some(8));
    }

    #[test]
    fn anthropic_served_fast_or_in_one_country_has_no_sure_price() {
        let doubtful = |more: &str| {
            let mut usage = AnthropicUsage::default();
            usage.take(format!(r#"{{"input_tokens":1,"output_tokens":1{more}}}"#).as_bytes());
            usage.take(br#"{"output_tokens":2}"#);
            usage.usage().map(|usage| usage.more.doubtful)
        };
        for dear in [r#","speed":"fast""#, r#","inference_geo":"us""#] {
            assert_eq!(doubtful(dear), Some(true), "{dear}");
        }
        for usual in ["", r#","speed":"standard","inference_geo":"global""#, r#","speed":null,"inference_geo":"not_available""#] {
            assert_eq!(doubtful(usual), Some(false), "{usual}");
        }
    }

    #[test]
    fn rounds_that_do_not_tell_for_how_long_leave_the_hour() {
        let mut usage = AnthropicUsage::default();
        usage.take(br#"{"input_tokens":1,"cache_creation_input_tokens":6,"cache_creation":{"ephemeral_1h_input_tokens":4}}"#);
        let rounds = r#"{"input_tokens":1,"cache_creation_input_tokens":6,"output_tokens":1},{"input_tokens":1,"output_tokens":1}"#;
        usage.take(format!(r#"{{"output_tokens":1,"iterations":[{rounds}]}}"#).as_bytes());
        assert_eq!(usage.usage().map(|usage| (usage.cache_write, usage.more.cache_hour)), Some((6, 4)));
        let rounds = r#"{"cache_creation_input_tokens":6,"cache_creation":{"ephemeral_1h_input_tokens":2}}"#;
        usage.take(format!(r#"{{"output_tokens":1,"iterations":[{rounds},{rounds}]}}"#).as_bytes());
        assert_eq!(usage.usage().map(|usage| (usage.cache_write, usage.more.cache_hour)), Some((12, 4)));
    }

    #[test]
    fn rounds_of_one_answer_are_added_up() {
        let mut usage = AnthropicUsage::default();
        usage.take(br#"{"input_tokens":3,"output_tokens":4,"iterations":[{"input_tokens":60,"output_tokens":10},{"input_tokens":3,"output_tokens":4}]}"#);
        assert_eq!(usage.usage(), Some(Usage { prompt: 63, completion: 14, ..Usage::default() }));
    }
}
