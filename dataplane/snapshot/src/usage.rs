//! What a call used, in one convention for all providers.

use serde::{Deserialize, Serialize};

/// Tokens of one call. OpenAI's convention: `prompt` includes `cached` and `cache_write`; `completion` includes
/// `reasoning`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Usage {
    /// Everything read and written.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }
}

/// What is counted otherwise than in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
