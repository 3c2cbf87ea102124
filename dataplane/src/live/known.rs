//! What is known of a model: what its LLMProvider says of its price, and what the catalog lists.

use std::borrow::Cow;

use catalog::{Facts, Tier};
use snapshot::{Model, NanoUsd, Price, Provider, ProviderKind};

const FREE: Price = Price { input: NanoUsd(0), output: NanoUsd(0), cached: None, cache_write: None };

/// What is known of a model; nothing is guessed.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What it costs whatever the call, when that is said.
    fixed: Option<Price>,
    listed: Option<Facts>,
}

impl Known {
    /// Of a declared model.
    pub(super) fn of_declared(provider: &Provider, model: &Model) -> Self {
        let named = Self::of(provider, model.upstream_name.as_str());
        let listed = catalog::of_declared(provider, model).or(named.listed);
        Self { fixed: model.price.or(named.fixed), listed }
    }

    /// Of a model by the provider's name for it. A simulated provider costs nothing.
    pub(super) fn of(provider: &Provider, model: &str) -> Self {
        let fixed = matches!(provider.kind, ProviderKind::Simulated(_)).then_some(FREE);
        Self { fixed, listed: catalog::word(provider).and_then(|word| catalog::look_up(word, model)) }
    }

    /// What tokens of a call with a prompt of so many cost. `None`: unpriced.
    #[must_use]
    pub fn price(&self, prompt: u64) -> Option<Price> {
        self.fixed.or_else(|| self.listed.as_ref()?.price_of(prompt))
    }

    /// Prices of long prompts.
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        self.listed.as_ref().filter(|_| self.fixed.is_none()).map_or(&[], |facts| &facts.tiers)
    }

    /// What the catalog lists.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        self.listed.as_ref()
    }
}

/// Of a declared model what was looked up before, of any other what the catalog has.
pub(super) fn known<'a>(declared: Option<&'a Known>, provider: &Provider, upstream_model: &str) -> Cow<'a, Known> {
    declared.map_or_else(|| Cow::Owned(Known::of(provider, upstream_model)), Cow::Borrowed)
}
