//! Prices of what is not counted in tokens: pictures, seconds of sound, letters spoken, searches, calls.

use snapshot::{NanoUsd, Unit};

/// One price a line: provider, model, unit, nano-dollars for one. Sorted by bytes of the first three. Units are those of
/// [`Unit`], `image:QUALITY:SIZE` where pictures have prices by size (a quality may be empty: any), [`WEB_SEARCH`],
/// [`SEARCHING_CALL`] and [`CALL`].
const TABLE: &str = include_str!("units.tsv");

/// A search of the web beside an answer.
pub const WEB_SEARCH: &str = "web_search";

/// All searches of the web beside one answer.
pub const SEARCHING_CALL: &str = "searching_call";

/// A call, whatever it uses.
pub const CALL: &str = "call";

/// The size of a picture of which none is told.
const USUAL_SIZE: &str = "1024x1024";

/// What searches beside an answer cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Searches {
    /// So much each.
    Each(NanoUsd),
    /// So much together.
    Together(NanoUsd),
}

/// What one of a unit costs with a model, by the catalog's word for its provider; a dated id that is not listed is looked up
/// without its date. `None`: unpriced.
#[must_use]
pub fn price(provider: &str, model: &str, unit: Unit) -> Option<NanoUsd> {
    find(provider, model, unit.word())
}

/// What a picture of a size and quality costs; where nothing is told, of the usual ones.
#[must_use]
pub fn picture(provider: &str, model: &str, size: Option<&str>, quality: Option<&str>) -> Option<NanoUsd> {
    let size = size.unwrap_or(USUAL_SIZE);
    let of = |quality: &str| find(provider, model, &format!("image:{quality}:{size}"));
    let sized = match quality {
        Some(quality) => of(quality).or_else(|| of("")),
        None => of("").or_else(|| of("standard")),
    };
    sized.or_else(|| price(provider, model, Unit::Image))
}

/// What searches of the web beside an answer cost.
#[must_use]
pub fn searches(provider: &str, model: &str) -> Option<Searches> {
    let each = || find(provider, model, WEB_SEARCH).map(Searches::Each);
    each().or_else(|| find(provider, model, SEARCHING_CALL).map(Searches::Together))
}

/// What a call costs beside all that it uses; `None`: nothing.
#[must_use]
pub fn call(provider: &str, model: &str) -> Option<NanoUsd> {
    find(provider, model, CALL)
}

/// Whether something of a model is priced by the piece.
#[must_use]
pub fn knows(provider: &str, model: &str) -> bool {
    Unit::ALL.into_iter().any(|unit| price(provider, model, unit).is_some()) || picture(provider, model, None, None).is_some()
}

fn find(provider: &str, model: &str, unit: &str) -> Option<NanoUsd> {
    let exactly = |model| crate::line_of(TABLE, [provider, model, unit])?.next()?.parse().ok().map(NanoUsd);
    exactly(model).or_else(|| exactly(crate::undated(model)?))
}

pub(crate) fn table() -> &'static str {
    TABLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_has_prices() {
        assert_eq!(price("cohere", "rerank-v3.5", Unit::Search), Some(NanoUsd(2_000_000)));
        assert_eq!(price("openai", "whisper-1", Unit::Second), Some(NanoUsd(100_000)));
        assert_eq!(price("openai", "tts-1", Unit::Character), Some(NanoUsd(15_000)));
        assert_eq!(price("openai", "whisper-1", Unit::Image), None);
        assert!(knows("openai", "tts-1") && !knows("openai", "gpt-4o"));
        // A price of more places than a nano-dollar has is rounded, not lost.
        assert_eq!(price("mistral", "voxtral-mini-transcribe-3", Unit::Second), Some(NanoUsd(58_333)));
    }

    #[test]
    fn pictures_cost_by_size_and_quality() {
        let azure = |size, quality| picture("azure", "dall-e-3", size, quality).map(|price| price.0 / 1_000_000);
        assert_eq!(azure(None, None), Some(44), "the usual size and quality");
        assert_eq!((azure(Some("1024x1024"), Some("hd")), azure(Some("1792x1024"), Some("hd"))), (Some(88), Some(132)));
        assert_eq!(azure(Some("1x1"), None), None, "nobody lists such a size");
        let openai = |size, quality| picture("openai", "gpt-image-1.5", size, quality);
        assert_eq!(openai(Some("1024x1536"), Some("high")), Some(NanoUsd(200_000_000)));
        assert_eq!(openai(Some("1024x1536"), Some("auto")), Some(NanoUsd(13_000_000)), "of any quality");
        assert_eq!(
            picture("vertex_ai", "imagen-4.0-generate-001", Some("1x1"), None),
            price("vertex_ai", "imagen-4.0-generate-001", Unit::Image)
        );
        assert!(knows("azure", "dall-e-3"));
    }

    #[test]
    fn searches_cost_each_or_together_and_some_calls_cost_as_such() {
        assert_eq!(searches("anthropic", "claude-opus-4-6"), Some(Searches::Each(NanoUsd(10_000_000))));
        assert_eq!(searches("gemini", "gemini-2.5-flash"), Some(Searches::Together(NanoUsd(35_000_000))));
        assert_eq!(searches("openai", "whisper-1"), None);
        assert_eq!(call("openai", "gpt-4o-search-preview-2025-03-11"), Some(NanoUsd(25_000_000)));
        assert_eq!(call("openai", "gpt-4o"), None);
    }
}
