//! Prices of what is not counted in tokens: pictures, seconds of sound, letters spoken, searches.

use snapshot::{NanoUsd, Unit};

/// One price a line: provider, model, unit, nano-dollars for one. Sorted by bytes of the first three.
const TABLE: &str = include_str!("units.tsv");

/// What one of a unit costs with a model, by the catalog's word for its provider; a dated id that is not listed is looked up
/// without its date. `None`: unpriced.
#[must_use]
pub fn price(provider: &str, model: &str, unit: Unit) -> Option<NanoUsd> {
    find(provider, model, unit).or_else(|| find(provider, crate::undated(model)?, unit))
}

/// Whether something of a model has such a price.
#[must_use]
pub fn knows(provider: &str, model: &str) -> bool {
    Unit::ALL.into_iter().any(|unit| price(provider, model, unit).is_some())
}

fn find(provider: &str, model: &str, unit: Unit) -> Option<NanoUsd> {
    lines().find_map(|line| {
        let mut fields = line.split('\t');
        let fits = fields.next()? == provider && fields.next()? == model && fields.next()? == unit.word();
        fits.then(|| fields.next()?.parse().ok().map(NanoUsd)).flatten()
    })
}

fn lines() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter(|line| !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_and_they_are_sorted() {
        let mut last = Vec::new();
        for line in lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [provider, model, word, nanos] = fields.as_slice() else { panic!("{line}") };
            let unit = Unit::ALL.into_iter().find(|unit| unit.word() == *word).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(price(provider, model, unit).map(|price| price.0.to_string()).as_deref(), Some(*nanos), "{line}");
            assert!(last < fields[..3].to_vec(), "{line}");
            last = fields[..3].to_vec();
        }
    }

    #[test]
    fn each_unit_has_prices() {
        assert_eq!(price("cohere", "rerank-v3.5", Unit::Search), Some(NanoUsd(2_000_000)));
        assert_eq!(price("openai", "whisper-1", Unit::Second), Some(NanoUsd(100_000)));
        assert_eq!(price("openai", "tts-1", Unit::Character), Some(NanoUsd(15_000)));
        assert_eq!(price("openai", "whisper-1", Unit::Image), None);
        assert!(knows("openai", "tts-1") && !knows("openai", "gpt-4o"));
    }
}
