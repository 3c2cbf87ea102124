//! What a model costs, where that is not what the catalog says.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// US dollars as decimal text: per million tokens, or for one of what is counted otherwise. With prices of tokens read and
/// written, nothing of the catalog's prices of tokens holds; any other price stands for the catalog's of the same thing alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.inputPerMillion) == has(self.outputPerMillion)").message("inputPerMillion and outputPerMillion are set together"))]
#[x_kube(validation = Rule::new("has(self.inputPerMillion) || !(has(self.cachedInputPerMillion) || has(self.cacheWritePerMillion) || has(self.longPrompts) || has(self.services))").message("cachedInputPerMillion, cacheWritePerMillion, longPrompts and services want inputPerMillion"))]
pub struct Price {
    /// Tokens read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub input_per_million: Option<String>,
    /// Tokens written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub output_per_million: Option<String>,
    /// Tokens read from the provider's cache; by default as read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub cached_input_per_million: Option<String>,
    /// Tokens written into the provider's cache; by default as read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub cache_write_per_million: Option<String>,
    /// Tokens that the provider's cache keeps for an hour; by default as those written into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub cache_write_hour_per_million: Option<String>,
    /// Tokens thought, not said; by default as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub reasoning_per_million: Option<String>,
    /// Tokens of sound read; by default as read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub audio_input_per_million: Option<String>,
    /// Tokens of sound read from the cache; by default as sound read, else as cached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub cached_audio_input_per_million: Option<String>,
    /// Tokens of sound made; by default as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub audio_output_per_million: Option<String>,
    /// Tokens of pictures read; by default as read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub image_input_per_million: Option<String>,
    /// Tokens of pictures read from the cache; by default as pictures read, else as cached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub cached_image_input_per_million: Option<String>,
    /// Tokens of pictures made; by default as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub image_output_per_million: Option<String>,
    /// A picture made, of whatever size, where no tokens are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub per_image: Option<String>,
    /// A second of sound written down, where no tokens are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub per_second: Option<String>,
    /// A letter spoken, where no tokens are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub per_character: Option<String>,
    /// A search: by which documents are put in order, or of the web beside an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub per_search: Option<String>,
    /// A call, whatever it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub per_call: Option<String>,
    /// Prices of the whole of a call whose prompt is long, however it is served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["aboveTokens"]))]
    pub long_prompts: Vec<LongPrompt>,
    /// Prices of text where the provider says that it served a call otherwise than usual; by default as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Services>,
}

/// Prices of a call with a long prompt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LongPrompt {
    /// Tokens of the prompt, cached ones included, above which they hold.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub above_tokens: u32,
    /// Tokens read.
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub input_per_million: String,
    /// Tokens written.
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub output_per_million: String,
    /// Tokens read from the provider's cache; by default as read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub cached_input_per_million: Option<String>,
    /// Tokens written into the provider's cache; by default as read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub cache_write_per_million: Option<String>,
}

/// Prices of text by how a call was served.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Services {
    /// Among many, some time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<TextPrice>,
    /// When there is room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flex: Option<TextPrice>,
    /// Before others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<TextPrice>,
}

/// Prices of text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TextPrice {
    /// Tokens read.
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub input_per_million: String,
    /// Tokens written.
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub output_per_million: String,
    /// Tokens read from the provider's cache; by default as read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub cached_input_per_million: Option<String>,
    /// Tokens written into the provider's cache; by default as read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"))]
    pub cache_write_per_million: Option<String>,
}
