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
