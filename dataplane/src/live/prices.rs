//! All prices that bear on a call.

use catalog::Prices;
use catalog::units::{self, Searches};
use providers::head::Picture;
use snapshot::{Measured, NanoUsd, ProviderKind, Unit, Usage};

use super::LiveProvider;

impl LiveProvider {
    /// What a call that used this costs: first what the LLMProvider says, then what the catalog lists.
    #[must_use]
    pub fn prices(
        &self,
        (declared, upstream_model): (Option<usize>, &str),
        usage: &Usage,
        measured: Option<&Measured>,
        picture: &Picture,
    ) -> Prices {
        let known = self.known(declared, upstream_model);
        let tokens = known.rates(usage);
        if matches!(self.provider.kind, ProviderKind::Simulated(_)) {
            let nothing = NanoUsd(0);
            return Prices { tokens, unit: Some(nothing), searches: Some(Searches::Each(nothing)), call: None };
        }
        let word = catalog::word(&self.provider);
        // What a deployment of Azure's is called says nothing of its model; what clients call it may.
        let azure = matches!(self.provider.kind, ProviderKind::AzureOpenAi(_));
        let name = declared.and_then(|place| self.provider.models.get(place)).filter(|_| azure).map(|model| model.name.as_str());
        let listed = |find: &dyn Fn(&str, &str) -> Option<NanoUsd>| {
            let word = word?;
            find(word, upstream_model).or_else(|| find(word, name?))
        };
        let of_unit = |unit| match unit {
            Unit::Image => listed(&|word, model| units::picture(word, model, picture.size.as_deref(), picture.quality.as_deref())),
            Unit::Second | Unit::Character | Unit::Search => listed(&|word, model| units::price(word, model, unit)),
        };
        let searches = |word| units::searches(word, upstream_model).or_else(|| units::searches(word, name?));
        Prices {
            tokens,
            unit: measured.and_then(|measured| known.unit(measured.unit).or_else(|| of_unit(measured.unit))),
            searches: known.unit(Unit::Search).map(Searches::Each).or_else(|| word.filter(|_| usage.more.searches > 0).and_then(searches)),
            call: known.call().or_else(|| listed(&units::call)),
        }
    }
}
