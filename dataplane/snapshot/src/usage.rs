//! What a call used, in one convention for all providers.

use serde::{Deserialize, Serialize};

use crate::NanoUsd;

/// Tokens of one call. OpenAI's convention: `prompt` includes `cached` and `cache_write`; `completion` includes
/// `reasoning`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read, from the cache or not.
    pub prompt: u64,
    /// Tokens written, thought or said.
    pub completion: u64,
    /// Part of `prompt` that the provider read from its prompt cache.
    pub cached: u64,
    /// Part of `prompt` that the provider wrote into its prompt cache.
    pub cache_write: u64,
    /// Part of `completion` that was thought, not said.
    pub reasoning: u64,
    /// What few calls use.
    pub more: More,
}

/// What few calls use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct More {
    /// Part of `cache_write` that is kept for an hour.
    pub cache_hour: u64,
    /// Part of `prompt` that is sound, read from the cache or not.
    pub audio_in: u64,
    /// Part of `cached` that is sound.
    pub audio_cached: u64,
    /// Part of `completion` that is sound.
    pub audio_out: u64,
    /// Part of `prompt` that is pictures, read from the cache or not.
    pub image_in: u64,
    /// Part of `cached` that is pictures.
    pub image_cached: u64,
    /// Part of `completion` that is pictures.
    pub image_out: u64,
    /// Searches that the provider ran besides.
    pub searches: u64,
    /// What the provider says that it takes for all but the tokens; it stands for the price of the searches.
    pub fee: Option<NanoUsd>,
    /// Tokens read and written as the provider bills them, where it bills others than it counts.
    pub billed: Option<(u64, u64)>,
    /// How the provider served it.
    pub service: Service,
    /// It tells of something that costs besides and whose price nobody here knows.
    pub doubtful: bool,
}

/// How a provider serves a call; each way may have its own price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Service {
    /// As usual.
    #[default]
    Standard,
    /// Among many, some time.
    Batch,
    /// When there is room.
    Flex,
    /// Before others.
    Priority,
}

impl Service {
    /// Every service, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Batch, Self::Flex, Self::Priority];

    /// The service of a provider's word for it. What was paid for beforehand, and what nobody here knows, is the usual.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "batch" => Self::Batch,
            "flex" | "ON_DEMAND_FLEX" => Self::Flex,
            "priority" | "ON_DEMAND_PRIORITY" => Self::Priority,
            _ => Self::Standard,
        }
    }

    /// A stable word for it in log lines and in the catalog's data.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
        }
    }
}

impl Usage {
    /// Everything read and written.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }
}

/// What is counted otherwise than in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// A picture made.
    Image,
    /// A second of sound.
    Second,
    /// A letter spoken.
    Character,
    /// A search.
    Search,
}

impl Unit {
    /// Every unit, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Image, Self::Second, Self::Character, Self::Search];

    /// A stable word for metrics, log lines and the catalog's data.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Second => "second",
            Self::Character => "character",
            Self::Search => "search",
        }
    }
}

/// So much of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Of what.
    pub unit: Unit,
    /// How much, in thousandths: seconds come in fractions.
    pub thousandths: u64,
}

impl Measured {
    /// So many whole ones; none is nothing.
    #[must_use]
    pub fn whole(unit: Unit, count: u64) -> Option<Self> {
        (count > 0).then_some(Self { unit, thousandths: count.saturating_mul(1000) })
    }
}
