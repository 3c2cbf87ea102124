//! Where servers differ from the dialect that they speak, by names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of a call with a field that the provider cannot be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum UnsupportedFields {
    /// It is refused, with an error that names field and provider.
    #[default]
    Refuse,
    /// The field is left out, and the answer's header `x-portolan-dropped` names it.
    Drop,
}

/// Where a server differs from OpenAI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum QuirkName {
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
