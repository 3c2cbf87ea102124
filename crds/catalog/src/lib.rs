//! Models and prices as data with a version.
//!
//! The table is text in the binary, sorted, and searched where it lies: it costs no memory until a page of it is read,
//! and nothing at start. `catalog-refresh` writes it from a price list.

use snapshot::{NanoUsd, Price};

/// One model a line: provider, model, then prices in nano-dollars per million tokens (input, output, cached input, cache
/// write), context and largest answer in tokens; empty where unknown. Sorted by bytes of the first two.
const TABLE: &str = include_str!("models.tsv");

/// What the catalog knows of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Prices per token; `None` when it is priced otherwise, or unknown.
    pub price: Option<Price>,
    /// Tokens that a conversation may have.
    pub context: Option<u32>,
    /// Tokens that an answer may have.
    pub max_output: Option<u32>,
}

/// The date and a digest of the data, as receipts carry it.
#[must_use]
pub fn version() -> &'static str {
    let head = TABLE.lines().next().unwrap_or_default();
    head.strip_prefix("# version ").unwrap_or(head)
}

/// How many models are known.
#[must_use]
pub fn count() -> usize {
    TABLE.lines().filter(|line| !line.starts_with('#')).count()
}

/// Looks a model up by the catalog's word for its provider (`openai`, `anthropic`) and the provider's own id. A dated id
/// that is not listed (`gpt-4o-2026-01-02`, `claude-x-20260102`) is looked up without its date.
#[must_use]
pub fn look_up(provider: &str, model: &str) -> Option<Facts> {
    find(provider, model).or_else(|| find(provider, undated(model)?))
}

fn find(provider: &str, model: &str) -> Option<Facts> {
    let wanted = (provider.as_bytes(), model.as_bytes());
    let table = TABLE.as_bytes();
    // The first line is the version; between `low` and `high` lie whole lines.
    let mut low = TABLE.find('\n')? + 1;
    let mut high = table.len();
    while low < high {
        let middle = low + (high - low) / 2;
        let start = TABLE.get(low..middle)?.rfind('\n').map_or(low, |at| low + at + 1);
        let end = TABLE.get(middle..high)?.find('\n').map_or(high, |at| middle + at + 1);
        let mut fields = TABLE.get(start..end)?.trim_end().split('\t');
        let found = (fields.next()?.as_bytes(), fields.next()?.as_bytes());
        match found.cmp(&wanted) {
            std::cmp::Ordering::Less => low = end,
            std::cmp::Ordering::Greater => high = start,
            std::cmp::Ordering::Equal => return Some(facts(fields)),
        }
    }
    None
}

fn facts<'a>(mut fields: impl Iterator<Item = &'a str>) -> Facts {
    let mut money = || fields.next().and_then(|text| text.parse().ok()).map(NanoUsd);
    let (input, output, cached, cache_write) = (money(), money(), money(), money());
    let price = input.map(|input| Price { input, output: output.unwrap_or(NanoUsd(0)), cached, cache_write });
    let mut tokens = || fields.next().and_then(|text| text.parse().ok());
    Facts { price, context: tokens(), max_output: tokens() }
}

/// The id without `-YYYY-MM-DD` or `-YYYYMMDD` at its end.
fn undated(model: &str) -> Option<&str> {
    let shape = |length: usize, dashes: &[usize]| {
        let at = model.len().checked_sub(length)?;
        let (name, date) = (model.get(..at)?, model.get(at..)?);
        let fits = date.bytes().enumerate().all(|(place, byte)| if dashes.contains(&place) { byte == b'-' } else { byte.is_ascii_digit() });
        (fits && !name.is_empty()).then_some(name)
    };
    shape(11, &[0, 5, 8]).or_else(|| shape(9, &[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_model_is_found_and_the_table_is_sorted() {
        let mut last = ("", "");
        for line in TABLE.lines().skip(1) {
            let mut fields = line.split('\t');
            let key = (fields.next().expect("a provider"), fields.next().expect("a model"));
            assert!(last < key, "{last:?} stands before {key:?}");
            assert_eq!(fields.count(), 6, "{line}");
            assert!(find(key.0, key.1).is_some(), "{key:?}");
            last = key;
        }
        assert!(count() >= 4000, "the catalog knows {} models", count());
    }

    #[test]
    fn a_price_is_in_nano_dollars_per_million_tokens() {
        let price = look_up("openai", "gpt-4o-mini").and_then(|facts| facts.price).expect("a price");
        assert_eq!((price.input, price.output, price.cached), (NanoUsd(150_000_000), NanoUsd(600_000_000), Some(NanoUsd(75_000_000))));
        assert_eq!(look_up("openai", "gpt-4o-mini-2031-02-03"), look_up("openai", "gpt-4o-mini"), "an unlisted date is left off");
        assert_eq!(look_up("openai", "no-such-model"), None);
        assert_eq!(look_up("", ""), None);
        assert_eq!(look_up("zzz", "ü-2026-01-02"), None);
    }
}
