//! One entry of the list of models in OpenAI's dialect: what is known of the model, and by which doors this key reaches it.
//!
//! What nobody told is left out: no entry holds a guess.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Capability, Facts, Mode};
use providers::passage::Passage;
use serde::Serialize;
use snapshot::{NanoUsd, Operation, Price, Surface};

use crate::exchange::Grant;
use crate::live::{Known, LiveProvider};

/// Models have no day of birth here; a fixed one keeps clients content that want a number.
const CREATED: u64 = 1_735_689_600;

/// What is told of one model.
#[derive(Serialize)]
pub(super) struct Card<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_modalities: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_modalities: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<Pricing>,
    endpoints: Vec<String>,
}

/// Prices of tokens.
#[derive(Serialize)]
struct Pricing {
    currency: &'static str,
    per_tokens: u32,
    #[serde(flatten)]
    usual: Amounts,
    /// Of tokens that are no plain text, by the words of their classes.
    #[serde(flatten)]
    more: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    long_prompts: Vec<Long>,
}

/// Decimal texts of dollars; what is read from or written into a cache costs as other input where nothing is told.
#[derive(Serialize)]
struct Amounts {
    input: String,
    output: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write: Option<String>,
}

/// Prices of the whole of a call whose prompt is longer.
#[derive(Serialize)]
struct Long {
    above_input_tokens: u64,
    #[serde(flatten)]
    amounts: Amounts,
}

impl<'a> Card<'a> {
    /// Of a model that a provider calls so.
    pub(super) fn new(name: &'a str, provider: &'a LiveProvider, (declared, upstream): (Option<usize>, &str), grant: &Grant) -> Self {
        let known = provider.known(declared, upstream);
        let facts = known.facts();
        let (input_modalities, output_modalities) = facts.map_or((None, None), modalities);
        Self {
            id: name,
            object: "model",
            created: CREATED,
            owned_by: provider.provider.id.name(),
            context_window: facts.and_then(|facts| facts.context),
            max_output_tokens: facts.and_then(|facts| facts.max_output),
            capabilities: facts.and_then(|facts| facts.capabilities).map(|some| some.each().map(Capability::word).collect()),
            input_modalities,
            output_modalities,
            pricing: pricing(&known),
            endpoints: endpoints(facts.and_then(|facts| facts.mode), provider.speaks(upstream), grant),
        }
    }
}

/// Doors that lead to the model: those by which the provider can be told a call, that such a model is for, and that the key
/// may use.
fn endpoints(mode: Option<Mode>, speaks: &BTreeSet<Surface>, grant: &Grant) -> Vec<String> {
    let leads = |door: &Surface| {
        Passage::leads(*door, speaks) && mode.is_none_or(|mode| serves(mode, door.operation())) && grant.allows_operation(door.operation())
    };
    Surface::DOORS.into_iter().chain([Surface::Realtime]).filter(leads).map(|door| format!("/v1{}", door.path())).collect()
}

/// Whether models of this kind take part in an operation.
fn serves(mode: Mode, operation: Operation) -> bool {
    match mode {
        Mode::Chat => matches!(operation, Operation::Chat | Operation::Responses),
        Mode::Responses => operation == Operation::Responses,
        Mode::Completion => operation == Operation::Completions,
        Mode::Embedding => operation == Operation::Embeddings,
        Mode::ImageGeneration | Mode::ImageEdit => operation == Operation::Images,
        Mode::Transcription | Mode::Speech => operation == Operation::Audio,
        Mode::Rerank => operation == Operation::Rerank,
        Mode::Moderation => operation == Operation::Moderations,
        Mode::Realtime => operation == Operation::Realtime,
        Mode::Other => false,
    }
}

/// What goes in and what comes out, as far as its kind and capabilities tell.
fn modalities(facts: &Facts) -> (Option<Vec<&'static str>>, Option<Vec<&'static str>>) {
    let (mut input, mut output) = match facts.mode {
        Some(Mode::Chat | Mode::Responses | Mode::Realtime) => (vec!["text"], vec!["text"]),
        Some(Mode::Completion) => return (Some(vec!["text"]), Some(vec!["text"])),
        Some(Mode::Embedding) => (vec!["text"], vec!["embedding"]),
        Some(Mode::ImageGeneration) => return (Some(vec!["text"]), Some(vec!["image"])),
        Some(Mode::ImageEdit) => return (Some(vec!["text", "image"]), Some(vec!["image"])),
        Some(Mode::Transcription) => return (Some(vec!["audio"]), Some(vec!["text"])),
        Some(Mode::Speech) => return (Some(vec!["text"]), Some(vec!["audio"])),
        Some(Mode::Rerank | Mode::Moderation | Mode::Other) | None => return (None, None),
    };
    let can = |capability| facts.capabilities.is_some_and(|some| some.has(capability));
    let also = [
        (Capability::Vision, "image"),
        (Capability::Documents, "file"),
        (Capability::AudioInput, "audio"),
        (Capability::VideoInput, "video"),
    ];
    input.extend(also.into_iter().filter(|(capability, _)| can(*capability)).map(|(_, word)| word));
    if can(Capability::AudioOutput) {
        output.push("audio");
    }
    (Some(input), Some(output))
}

fn pricing(known: &Known) -> Option<Pricing> {
    let usual = amounts(&known.price()?);
    let long = |tier: &catalog::Tier| Long { above_input_tokens: tier.above, amounts: amounts(&tier.price) };
    let more = known.more_tokens().into_iter().map(|(class, price)| (class.word(), decimal(price))).collect();
    Some(Pricing { currency: "USD", per_tokens: 1_000_000, usual, more, long_prompts: known.tiers().iter().map(long).collect() })
}

fn amounts(price: &Price) -> Amounts {
    Amounts {
        input: decimal(price.input),
        output: decimal(price.output),
        cached_input: price.cached.map(decimal),
        cache_write: price.cache_write.map(decimal),
    }
}

/// Dollars without zeros that say nothing.
fn decimal(amount: NanoUsd) -> String {
    let text = amount.to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_decimal_and_lose_nothing() {
        for (nanos, text) in
            [(0, "0"), (1, "0.000000001"), (150_000_000, "0.15"), (10_000_000_000, "10"), (100_000_000_000, "100"), (2_500_000_000, "2.5")]
        {
            assert_eq!(decimal(NanoUsd(nanos)), text);
            assert_eq!(NanoUsd::from_decimal(text), Some(NanoUsd(nanos)));
        }
    }

    #[test]
    fn modalities_are_told_by_what_a_model_is_for_and_not_guessed() {
        let of = |model| modalities(&catalog::look_up("openai", model).expect("listed"));
        assert_eq!(of("gpt-4o-mini"), (Some(vec!["text", "image", "file"]), Some(vec!["text"])));
        assert_eq!(of("text-embedding-3-small"), (Some(vec!["text"]), Some(vec!["embedding"])));
        assert_eq!(of("whisper-1"), (Some(vec!["audio"]), Some(vec!["text"])));
        assert_eq!(of("omni-moderation-latest"), (None, None));
    }
}
