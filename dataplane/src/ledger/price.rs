//! What a call costs: each thing that it used at its price, once.

use catalog::Prices;
use catalog::units::Searches;
use snapshot::{Measured, NanoUsd, Usage};

/// What a call costs, as far as prices are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Of all that has a price; what has a doubtful one is in it.
    pub known: NanoUsd,
    /// All that was used has a price, and none is doubtful.
    pub whole: bool,
}

/// A millionth of a nano-dollar: a token at a price of a million, so that nothing is rounded but the sum.
const NANO: u128 = 1_000_000;

/// Adds up what was used. Who tells tokens bills tokens; pictures, seconds and letters are billed where no tokens are. `None`:
/// nothing of it has a price.
#[must_use]
pub fn cost(usage: Option<&Usage>, measured: Option<&Measured>, prices: &Prices) -> Option<Cost> {
    let mut bill = Bill { sum: 0, known: false, whole: true };
    let told = usage.filter(|usage| usage.total() > 0);
    match (told, measured, &prices.tokens, prices.unit) {
        (Some(usage), _, Some(rates), _) => {
            for (class, count) in usage.by_class().into_iter().filter(|(_, count)| *count > 0) {
                let (price, sure) = rates.of(class);
                bill.add(u128::from(count).saturating_mul(u128::from(price.0)));
                bill.whole &= sure;
            }
            bill.known = true;
        }
        (_, Some(measured), _, Some(price)) => {
            bill.add(u128::from(measured.thousandths).saturating_mul(u128::from(price.0)).saturating_mul(NANO / 1000));
        }
        (None, None, tokens, _) => (bill.known, bill.whole) = (tokens.is_some(), tokens.is_some()),
        (Some(_), _, None, _) | (None, Some(_), _, None) => bill.whole = false,
    }
    let (searches, fee) = usage.map_or((0, None), |usage| (usage.more.searches, usage.more.fee));
    match fee {
        Some(fee) => bill.add(u128::from(fee.0).saturating_mul(NANO)),
        None => bill.besides(searches, prices),
    }
    bill.whole &= !usage.is_some_and(|usage| usage.more.doubtful);
    let known = NanoUsd(u64::try_from(bill.sum.div_ceil(NANO)).unwrap_or(u64::MAX));
    bill.known.then_some(Cost { known, whole: bill.whole })
}

struct Bill {
    /// In millionths of nano-dollars.
    sum: u128,
    /// Something of it has a price.
    known: bool,
    whole: bool,
}

impl Bill {
    fn add(&mut self, amount: u128) {
        self.sum = self.sum.saturating_add(amount);
        self.known = true;
    }

    /// Searches, and the call as such. Where a call has a price, its searches are in it.
    fn besides(&mut self, searches: u64, prices: &Prices) {
        let nanos = match prices.searches {
            _ if searches == 0 => 0,
            Some(Searches::Each(price)) => u128::from(price.0).saturating_mul(u128::from(searches)),
            Some(Searches::Together(price)) => u128::from(price.0),
            None => {
                self.whole &= prices.call.is_some();
                0
            }
        };
        let nanos = nanos.saturating_add(prices.call.map_or(0, |price| u128::from(price.0)));
        if nanos > 0 {
            self.add(nanos.saturating_mul(NANO));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use snapshot::{Class, More, Price, Rates, Unit};

    use super::*;

    const PRICE: Price =
        Price { input: NanoUsd(150_000_000), output: NanoUsd(600_000_000), cached: Some(NanoUsd(75_000_000)), cache_write: None };

    fn tokens(rates: Rates) -> Prices {
        Prices { tokens: Some(rates), ..Prices::default() }
    }

    fn whole(usage: &Usage, prices: &Prices) -> u64 {
        let cost = cost(Some(usage), None, prices).expect("a cost");
        assert!(cost.whole, "{usage:?}");
        cost.known.0
    }

    #[test]
    fn cached_tokens_cost_their_own_price_and_no_token_is_counted_twice() {
        let usage = Usage { prompt: 1000, completion: 100, cached: 400, cache_write: 100, reasoning: 50, ..Usage::default() };
        // 500 plain + 100 written at 150, 400 at 75, 100 at 600 nano-dollars a token.
        let mut rates = Rates::of_text(&PRICE);
        assert_eq!(whole(&usage, &tokens(rates)), 600 * 150 + 400 * 75 + 100 * 600);
        let hour = Usage { more: More { cache_hour: 60, ..More::default() }, ..usage };
        assert_eq!(cost(Some(&hour), None, &tokens(rates)).map(|cost| cost.whole), Some(false), "nobody says what an hour costs");
        rates.set(Class::CacheWriteHour, NanoUsd(300_000_000));
        assert_eq!(whole(&hour, &tokens(rates)), 540 * 150 + 60 * 300 + 400 * 75 + 100 * 600);
    }

    #[test]
    fn units_cost_by_the_thousandth_and_not_where_tokens_are_told() {
        let of = |thousandths, price| {
            let seconds = Measured { unit: Unit::Second, thousandths };
            cost(None, Some(&seconds), &Prices { unit: Some(NanoUsd(price)), ..Prices::default() }).map(|cost| cost.known.0)
        };
        assert_eq!(of(8_471, 100_000), Some(847_100));
        assert_eq!(of(1, 1), Some(1));
        assert_eq!(of(u64::MAX, u64::MAX), Some(u64::MAX));
        let picture = Measured { unit: Unit::Image, thousandths: 1000 };
        let both = Prices { unit: Some(NanoUsd(40_000_000)), ..tokens(Rates::of_text(&PRICE)) };
        let usage = Usage { prompt: 10, completion: 20, ..Usage::default() };
        assert_eq!(cost(Some(&usage), Some(&picture), &both).map(|cost| cost.known.0), Some(10 * 150 + 20 * 600));
        let none = Usage::default();
        assert_eq!(cost(Some(&none), Some(&picture), &both).map(|cost| cost.known.0), Some(40_000_000), "no tokens are no bill");
        assert_eq!(cost(None, Some(&picture), &Prices::default()), None);
        assert_eq!(cost(Some(&usage), None, &Prices::default()), None);
    }

    #[test]
    fn searches_and_calls_cost_besides() {
        let usage = |searches, fee| Usage { prompt: 10, more: More { searches, fee, ..More::default() }, ..Usage::default() };
        let with = |searches| Prices { searches, ..tokens(Rates::of_text(&PRICE)) };
        let each = with(Some(Searches::Each(NanoUsd(10_000_000))));
        assert_eq!(whole(&usage(3, None), &each), 1500 + 30_000_000);
        assert_eq!(whole(&usage(3, Some(NanoUsd(7))), &each), 1500 + 7, "what the provider takes is what it takes");
        assert_eq!(whole(&usage(3, None), &with(Some(Searches::Together(NanoUsd(35_000_000))))), 1500 + 35_000_000);
        assert_eq!(whole(&usage(0, None), &with(None)), 1500);
        assert_eq!(cost(Some(&usage(1, None)), None, &with(None)), Some(Cost { known: NanoUsd(1500), whole: false }));
        let call = Prices { call: Some(NanoUsd(5)), ..with(None) };
        assert_eq!((whole(&usage(2, None), &call), whole(&usage(2, Some(NanoUsd(7))), &call)), (1500 + 5, 1500 + 7));
        let doubtful = Usage { more: More { doubtful: true, ..More::default() }, ..usage(0, None) };
        assert_eq!(cost(Some(&doubtful), None, &with(None)), Some(Cost { known: NanoUsd(1500), whole: false }));
    }

    #[test]
    fn a_fraction_is_rounded_up_once_and_giants_do_not_wrap() {
        let odd = Price { input: NanoUsd(1), output: NanoUsd(1), cached: None, cache_write: None };
        assert_eq!(whole(&Usage { prompt: 1, completion: 1, ..Usage::default() }, &tokens(Rates::of_text(&odd))), 1);
        let giant = Price { input: NanoUsd(u64::MAX), output: NanoUsd(u64::MAX), cached: None, cache_write: None };
        let usage = Usage { prompt: u64::MAX, completion: u64::MAX, ..Usage::default() };
        assert_eq!(whole(&usage, &tokens(Rates::of_text(&giant))), u64::MAX);
    }

    fn any_usage() -> impl Strategy<Value = Usage> {
        let count = || 0..5_000_u64;
        let parts = (count(), count(), count(), count(), count(), count(), count());
        ((count(), count(), count(), count(), count()), parts, 0..5_u64).prop_map(|(text, parts, searches)| {
            let (prompt, completion, cached, cache_write, reasoning) = text;
            let (cache_hour, audio_in, audio_cached, audio_out, image_in, image_cached, image_out) = parts;
            let more =
                More { cache_hour, audio_in, audio_cached, audio_out, image_in, image_cached, image_out, searches, ..More::default() };
            Usage { prompt, completion, cached, cache_write, reasoning, more }
        })
    }

    fn any_rates() -> impl Strategy<Value = Rates> {
        proptest::array::uniform12(0..2_000_000_000_u64).prop_map(|prices| {
            let mut rates = Rates::of_text(&PRICE);
            Class::ALL.into_iter().zip(prices).for_each(|(class, price)| rates.set(class, NanoUsd(price)));
            rates
        })
    }

    proptest! {
        #[test]
        fn each_token_is_counted_once_whatever_the_provider_tells(usage in any_usage()) {
            let sum: u64 = usage.by_class().iter().map(|(_, count)| count).sum();
            prop_assert_eq!(sum, usage.total());
        }

        #[test]
        fn the_cost_is_the_sum_of_its_classes(usage in any_usage(), rates in any_rates(), each in 0..50_000_000_u64) {
            let prices = Prices { searches: Some(Searches::Each(NanoUsd(each))), ..tokens(rates) };
            let of = |(class, count): (Class, u64)| u128::from(count) * u128::from(rates.of(class).0.0);
            let sum: u128 = usage.by_class().into_iter().map(of).sum();
            prop_assert_eq!(u128::from(whole(&usage, &prices)), (sum + u128::from(each * usage.more.searches) * NANO).div_ceil(NANO));
        }

        #[test]
        fn more_of_a_class_costs_its_price_more_and_nothing_else(
            counts in proptest::array::uniform12(0..5_000_u64), rates in any_rates(), place in 0..12_usize, more in 1..500_u64,
        ) {
            let usage = of_classes(&counts);
            prop_assert_eq!(usage.by_class().map(|(_, count)| count), counts);
            let mut larger = counts;
            larger[place] += more;
            let exact = |counts: &[u64; 12]| Class::ALL.into_iter().zip(counts).map(|(class, count)| rates.of(class).0.0 * count).sum::<u64>();
            let (before, after) = (whole(&usage, &tokens(rates)), whole(&of_classes(&larger), &tokens(rates)));
            prop_assert!(after >= before);
            prop_assert_eq!((before, after), (exact(&counts).div_ceil(1_000_000), exact(&larger).div_ceil(1_000_000)));
        }
    }

    /// A usage of so many tokens of each class.
    fn of_classes(counts: &[u64; 12]) -> Usage {
        let [input, cached, write, hour, audio, cached_audio, image, cached_image, output, reasoning, audio_out, image_out] = *counts;
        let more = More {
            cache_hour: hour,
            audio_in: audio + cached_audio,
            audio_cached: cached_audio,
            audio_out,
            image_in: image + cached_image,
            image_cached: cached_image,
            image_out,
            ..More::default()
        };
        Usage {
            prompt: input + cached + write + hour + audio + cached_audio + image + cached_image,
            completion: output + reasoning + audio_out + image_out,
            cached: cached + cached_audio + cached_image,
            cache_write: write + hour,
            reasoning,
            more,
        }
    }
}
