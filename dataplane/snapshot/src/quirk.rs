//! Where servers that speak OpenAI's dialect differ from it, as named switches.

use serde::{Deserialize, Serialize};

/// One way to differ. What a server cannot be told is refused or left out, what it tells otherwise is told as OpenAI would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Quirk {
    /// Knows `max_tokens` only: `max_completion_tokens` is told by that name.
    MaxTokens,
    /// Takes no `stream_options`.
    NoStreamOptions,
    /// Has no role `developer`: it is told as `system`.
    SystemRole,
    /// Calls `tool_choice: required` by the name `any`.
    AnyToolChoice,
    /// Cannot be made to call some tool.
    NoRequiredToolChoice,
    /// Cannot be made to call a certain tool.
    NoNamedToolChoice,
    /// Takes no tools.
    NoTools,
    /// Cannot be told to make one call at a time.
    NoParallelToolCalls,
    /// Calls `seed` by the name `random_seed`.
    RandomSeed,
    /// Takes no `seed`.
    NoSeed,
    /// Takes no `presence_penalty` and no `frequency_penalty`.
    NoPenalties,
    /// Tells no `logprobs`.
    NoLogprobs,
    /// Takes no `logit_bias`.
    NoLogitBias,
    /// Gives one choice: `n` is 1.
    OneChoice,
    /// Takes no `response_format` with a schema.
    NoJsonSchema,
    /// Takes no `service_tier`.
    NoServiceTier,
    /// Takes no fields that say nothing to a model: `user`, `metadata`, `store`, `safety_identifier`,
    /// `prompt_cache_retention`, and `name` of a message. They are left out.
    NoLabels,
    /// Takes ids of tool calls of nine letters and digits only.
    ShortCallIds,
    /// Tells text and thoughts as a list in `content`.
    ContentParts,
    /// Tells thoughts in `reasoning`: they are told in `reasoning_content` as well.
    Reasoning,
    /// Has reasons to finish that OpenAI does not have, or none where tools are called.
    FinishReasons,
    /// Tells tool calls without ids, with one index for all, without their type, or without arguments where there are none.
    CallIds,
    /// Counts thoughts, or the sounds of a prompt, in the total alone: they are told among the answer's or the prompt's tokens.
    ReasoningApart,
    /// Tells the usage of a stream in `x_groq`.
    UsageInXGroq,
    /// Tells errors in `base_resp` of an answer of 200.
    ErrorsInAnswers,
    /// Tells what the cache gave beside the details of the prompt's tokens: it is told among them.
    CachedApart,
    /// Tells chunks in a form of its own: a role in each or in none, usage beside a choice, another object, no id, no model.
    /// They are told in OpenAI's, with the usage in a chunk of its own at the end.
    LooseChunks,
}

impl Quirk {
    /// Every quirk, in the order of the documentation.
    pub const ALL: [Self; 27] = [
        Self::MaxTokens,
        Self::NoStreamOptions,
        Self::SystemRole,
        Self::AnyToolChoice,
        Self::NoRequiredToolChoice,
        Self::NoNamedToolChoice,
        Self::NoTools,
        Self::NoParallelToolCalls,
        Self::RandomSeed,
        Self::NoSeed,
        Self::NoPenalties,
        Self::NoLogprobs,
        Self::NoLogitBias,
        Self::OneChoice,
        Self::NoJsonSchema,
        Self::NoServiceTier,
        Self::NoLabels,
        Self::ShortCallIds,
        Self::ContentParts,
        Self::Reasoning,
        Self::FinishReasons,
        Self::CallIds,
        Self::ReasoningApart,
        Self::UsageInXGroq,
        Self::ErrorsInAnswers,
        Self::CachedApart,
        Self::LooseChunks,
    ];

    /// The word for it in the data of presets and in manifests.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::MaxTokens => "MaxTokens",
            Self::NoStreamOptions => "NoStreamOptions",
            Self::SystemRole => "SystemRole",
            Self::AnyToolChoice => "AnyToolChoice",
            Self::NoRequiredToolChoice => "NoRequiredToolChoice",
            Self::NoNamedToolChoice => "NoNamedToolChoice",
            Self::NoTools => "NoTools",
            Self::NoParallelToolCalls => "NoParallelToolCalls",
            Self::RandomSeed => "RandomSeed",
            Self::NoSeed => "NoSeed",
            Self::NoPenalties => "NoPenalties",
            Self::NoLogprobs => "NoLogprobs",
            Self::NoLogitBias => "NoLogitBias",
            Self::OneChoice => "OneChoice",
            Self::NoJsonSchema => "NoJsonSchema",
            Self::NoServiceTier => "NoServiceTier",
            Self::NoLabels => "NoLabels",
            Self::ShortCallIds => "ShortCallIds",
            Self::ContentParts => "ContentParts",
            Self::Reasoning => "Reasoning",
            Self::FinishReasons => "FinishReasons",
            Self::CallIds => "CallIds",
            Self::ReasoningApart => "ReasoningApart",
            Self::UsageInXGroq => "UsageInXGroq",
            Self::ErrorsInAnswers => "ErrorsInAnswers",
            Self::CachedApart => "CachedApart",
            Self::LooseChunks => "LooseChunks",
        }
    }

    /// The quirk of that word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quirk| quirk.word() == word)
    }

    /// Whether readers of before know it.
    #[must_use]
    pub fn is_of_the_first(self) -> bool {
        !matches!(self, Self::CachedApart | Self::LooseChunks)
    }

    /// Whether it is about what is asked, not about what is answered.
    #[must_use]
    pub fn is_of_requests(self) -> bool {
        match self {
            Self::MaxTokens
            | Self::NoStreamOptions
            | Self::SystemRole
            | Self::AnyToolChoice
            | Self::NoRequiredToolChoice
            | Self::NoNamedToolChoice
            | Self::NoTools
            | Self::NoParallelToolCalls
            | Self::RandomSeed
            | Self::NoSeed
            | Self::NoPenalties
            | Self::NoLogprobs
            | Self::NoLogitBias
            | Self::OneChoice
            | Self::NoJsonSchema
            | Self::NoServiceTier
            | Self::NoLabels
            | Self::ShortCallIds => true,
            Self::ContentParts
            | Self::Reasoning
            | Self::FinishReasons
            | Self::CallIds
            | Self::ReasoningApart
            | Self::UsageInXGroq
            | Self::ErrorsInAnswers
            | Self::CachedApart
            | Self::LooseChunks => false,
        }
    }
}
