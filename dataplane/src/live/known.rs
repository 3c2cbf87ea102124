//! What is known of a model: what its LLMProvider says of its price, and what the catalog lists.

use std::borrow::Cow;
use std::collections::BTreeMap;

use catalog::{Facts, Tier};
use snapshot::{Class, Model, MorePrices, NanoUsd, Price, Provider, ProviderKind, Rates, Unit, Usage};

const FREE: Price = Price { input: NanoUsd(0), output: NanoUsd(0), cached: None, cache_write: None };

/// What is known of a model; nothing is guessed.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What text costs whatever the catalog lists, when that is said.
    fixed: Option<Price>,
    /// What else is said.
    more: Option<Box<MorePrices>>,
    listed: Option<Facts>,
}

impl Known {
    /// Of a declared model.
    pub(super) fn of_declared(provider: &Provider, model: &Model) -> Self {
        let named = Self::of(provider, model.upstream_name.as_str());
        let listed = catalog::of_declared(provider, model).or(named.listed);
        Self { fixed: model.price.or(named.fixed), more: model.more_prices.clone(), listed }
    }

    /// Of a model by the provider's name for it. A simulated provider costs nothing.
    pub(super) fn of(provider: &Provider, model: &str) -> Self {
        let fixed = matches!(provider.kind, ProviderKind::Simulated(_)).then_some(FREE);
        Self { fixed, more: None, listed: catalog::word(provider).and_then(|word| catalog::look_up(word, model)) }
    }

    /// What text of a short prompt costs. `None`: unpriced.
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        self.fixed.or_else(|| self.listed.as_ref()?.price)
    }

    /// What the tokens of a call that used this cost. `None`: unpriced.
    #[must_use]
    pub fn rates(&self, usage: &Usage) -> Option<Rates> {
        let said = self.more.iter().flat_map(|more| more.tokens.iter().map(|(class, price)| (*class, *price)));
        let Some(usual) = self.fixed else {
            let mut rates = self.listed.as_ref()?.rates_of(usage.prompt, usage.more.service)?;
            rates.tell(said);
            return Some(rates);
        };
        let long = self.tiers().iter().rev().find(|tier| usage.prompt > tier.above).map(|tier| tier.price);
        let served = || self.more.as_ref()?.services.get(&usage.more.service).copied();
        let mut rates = Rates::of_text(&long.or_else(served).unwrap_or(usual));
        rates.tell(said);
        // Whoever says a price knows what it is for.
        Some(rates.all_sure())
    }

    /// Prices of long prompts.
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        match (&self.fixed, &self.more) {
            (Some(_), Some(more)) => &more.long_prompts,
            (Some(_), None) => &[],
            (None, _) => self.listed.as_ref().map_or(&[], |facts| &facts.tiers),
        }
    }

    /// What tokens cost that are no plain text, as far as they have prices of their own.
    #[must_use]
    pub fn more_tokens(&self) -> BTreeMap<Class, NanoUsd> {
        let listed = self.listed.as_ref().filter(|_| self.fixed.is_none()).into_iter().flat_map(Facts::more_tokens);
        let said = self.more.iter().flat_map(|more| more.tokens.iter().map(|(class, price)| (*class, *price)));
        listed.chain(said).collect()
    }

    /// What is said of the price of one of a unit.
    pub(super) fn unit(&self, unit: Unit) -> Option<NanoUsd> {
        self.more.as_ref()?.units.get(&unit).copied()
    }

    /// What is said of the price of a call.
    pub(super) fn call(&self) -> Option<NanoUsd> {
        self.more.as_ref()?.call
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
