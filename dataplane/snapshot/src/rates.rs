//! What tokens of each class cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Class, NanoUsd, Price, Service, Unit};

/// Prices of tokens by class, in nano-dollars per million. A class whose price nobody tells has the nearest one that is told,
/// and is doubtful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    prices: [NanoUsd; 12],
    doubtful: u16,
}

impl Rates {
    /// All that is read costs as text does, or as text from the cache does; so do thoughts as text that is written. What
    /// sound and pictures cost that are made, and what is kept for an hour, a price of text does not tell.
    #[must_use]
    pub fn of_text(price: &Price) -> Self {
        let Price { input, output, cached, cache_write } = *price;
        let (cached, write) = (cached.unwrap_or(input), cache_write.unwrap_or(input));
        let prices = Class::ALL.map(|class| match class {
            Class::Input | Class::AudioInput | Class::ImageInput => input,
            Class::Cached | Class::CachedAudio | Class::CachedImage => cached,
            Class::CacheWrite | Class::CacheWriteHour => write,
            Class::Output | Class::Reasoning | Class::AudioOutput | Class::ImageOutput => output,
        });
        let mut rates = Self { prices, doubtful: 0 };
        rates.doubt([Class::CacheWriteHour, Class::AudioOutput, Class::ImageOutput]);
        rates
    }

    /// The price of a class, and whether it is sure.
    #[must_use]
    pub fn of(&self, class: Class) -> (NanoUsd, bool) {
        let price = self.prices.get(class as usize).copied().unwrap_or_default();
        (price, self.doubtful & (1 << class as u16) == 0)
    }

    /// Sets a price, which is sure.
    pub fn set(&mut self, class: Class, price: NanoUsd) {
        if let Some(slot) = self.prices.get_mut(class as usize) {
            *slot = price;
        }
        self.doubtful &= !(1 << class as u16);
    }

    /// Makes prices doubtful.
    pub fn doubt(&mut self, classes: impl IntoIterator<Item = Class>) {
        classes.into_iter().for_each(|class| self.doubtful |= 1 << class as u16);
    }

    /// Sets those that are told, in the order of the classes. Sound and pictures that have a price of their own have it in
    /// the cache too, unless that has one.
    pub fn tell(&mut self, told: impl IntoIterator<Item = (Class, NanoUsd)>) {
        for (class, price) in told {
            self.set(class, price);
            match class {
                Class::AudioInput => self.set(Class::CachedAudio, price),
                Class::ImageInput => self.set(Class::CachedImage, price),
                Class::Input
                | Class::Cached
                | Class::CacheWrite
                | Class::CacheWriteHour
                | Class::CachedAudio
                | Class::CachedImage
                | Class::Output
                | Class::Reasoning
                | Class::AudioOutput
                | Class::ImageOutput => {}
            }
        }
    }

    /// The same, each as sure as its owner is.
    #[must_use]
    pub fn all_sure(self) -> Self {
        Self { doubtful: 0, ..self }
    }
}

/// Prices that an LLMProvider says of a model besides those of text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MorePrices {
    /// Of tokens that have a price of their own, in nano-dollars per million.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tokens: BTreeMap<Class, NanoUsd>,
    /// Of text in other services, in nano-dollars per million.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<Service, Price>,
    /// Of the whole of a call whose prompt is long, the shortest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub long_prompts: Vec<LongPrompt>,
    /// Of one of what is counted otherwise than in tokens, in nano-dollars.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<Unit, NanoUsd>,
    /// Of a call, whatever it uses, in nano-dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<NanoUsd>,
}

/// Prices of text for a call whose prompt is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPrompt {
    /// Tokens of the prompt, cached ones included, above which they hold.
    pub above: u64,
    /// In nano-dollars per million.
    pub price: Price,
}
