//! What tokens cost.

use snapshot::{Measured, NanoUsd, Price, Usage};

/// Tokens at their prices, rounded up once.
#[must_use]
pub fn cost(usage: &Usage, price: &Price) -> NanoUsd {
    const MILLION: u128 = 1_000_000;
    let cached = usage.cached.min(usage.prompt);
    let cache_write = usage.cache_write.min(usage.prompt - cached);
    let plain = usage.prompt - cached - cache_write;
    let at = |tokens: u64, price: NanoUsd| u128::from(tokens).saturating_mul(u128::from(price.0));
    let sum = at(plain, price.input)
        .saturating_add(at(cached, price.cached.unwrap_or(price.input)))
        .saturating_add(at(cache_write, price.cache_write.unwrap_or(price.input)))
        .saturating_add(at(usage.completion, price.output));
    NanoUsd(u64::try_from(sum.div_ceil(MILLION)).unwrap_or(u64::MAX))
}

/// So much of a unit at the price of one, rounded up.
#[must_use]
pub fn cost_of_units(measured: &Measured, price: NanoUsd) -> NanoUsd {
    let sum = u128::from(measured.thousandths).saturating_mul(u128::from(price.0));
    NanoUsd(u64::try_from(sum.div_ceil(1000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: Price =
        Price { input: NanoUsd(150_000_000), output: NanoUsd(600_000_000), cached: Some(NanoUsd(75_000_000)), cache_write: None };

    #[test]
    fn cached_tokens_cost_their_own_price_and_no_token_is_counted_twice() {
        let usage = Usage { prompt: 1000, completion: 100, cached: 400, cache_write: 100, reasoning: 50 };
        // 500 plain + 100 written at 150, 400 at 75, 100 at 600 nano-dollars a token.
        assert_eq!(cost(&usage, &PRICE), NanoUsd(600 * 150 + 400 * 75 + 100 * 600));
    }

    #[test]
    fn units_cost_by_the_thousandth() {
        let seconds = |thousandths| Measured { unit: snapshot::Unit::Second, thousandths };
        assert_eq!(cost_of_units(&seconds(8_471), NanoUsd(100_000)), NanoUsd(847_100));
        assert_eq!(cost_of_units(&seconds(1), NanoUsd(1)), NanoUsd(1));
        assert_eq!(cost_of_units(&seconds(u64::MAX), NanoUsd(u64::MAX)), NanoUsd(u64::MAX));
    }

    #[test]
    fn a_fraction_is_rounded_up_once_and_giants_do_not_wrap() {
        let odd = Price { input: NanoUsd(1), output: NanoUsd(1), cached: None, cache_write: None };
        assert_eq!(cost(&Usage { prompt: 1, completion: 1, ..Usage::default() }, &odd), NanoUsd(1));
        let giant = Price { input: NanoUsd(u64::MAX), output: NanoUsd(u64::MAX), cached: None, cache_write: None };
        assert_eq!(cost(&Usage { prompt: u64::MAX, completion: u64::MAX, ..Usage::default() }, &giant), NanoUsd(u64::MAX));
    }
}
