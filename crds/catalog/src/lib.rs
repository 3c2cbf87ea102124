//! Models and prices as data with a version.
//!
//! The table is text in the binary, sorted, and searched where it lies: it costs no memory until a page of it is read,
//! and nothing at start. `catalog-refresh` writes it from a price list.

mod ability;
pub mod check;
mod more;
pub mod presets;
pub mod units;

mod near;

use std::str::Split;

use snapshot::{Model, ModelName, NanoUsd, Price, Provider, ProviderKind, Rates};

pub use ability::{Capabilities, Capability, Mode};
pub use more::{MORE, Word};
pub use snapshot::LongPrompt as Tier;

use more::More;

/// One model a line: provider, model, then prices in nano-dollars per million tokens (input, output, cached input, cache
/// write), context and largest answer in tokens, prices of long prompts (`ABOVE:INPUT:OUTPUT:CACHED:WRITE`, one after
/// the other with `;` between), what it is for, what it can do (`-`: nothing of what has a word here), and prices that few
/// models have ([`MORE`], `WORD:PRICE` likewise); empty where unknown. Sorted by bytes of the first two.
const TABLE: &str = include_str!("models.tsv");

/// What the catalog knows of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Prices per token; `None` when it is priced otherwise, or unknown.
    pub price: Option<Price>,
    /// Prices of long prompts, from the shortest on.
    pub tiers: Vec<Tier>,
    /// Prices that few models have.
    more: More,
    /// What it writes as text has a price.
    writes: bool,
    /// Tokens that a conversation may have.
    pub context: Option<u32>,
    /// Tokens that an answer may have.
    pub max_output: Option<u32>,
    /// What it is for.
    pub mode: Option<Mode>,
    /// What it can do; `None` when nobody told.
    pub capabilities: Option<Capabilities>,
}

impl Facts {
    /// What text of a call with a prompt of so many tokens costs, served as usual.
    #[must_use]
    pub fn price_of(&self, prompt: u64) -> Option<Price> {
        self.tiers.iter().rev().find(|tier| prompt > tier.above).map(|tier| tier.price).or(self.price)
    }
}

/// What the things cost that a call used; what has no price here, nobody knows the price of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prices {
    /// Tokens by class.
    pub tokens: Option<Rates>,
    /// One of the unit that it is measured in.
    pub unit: Option<NanoUsd>,
    /// Searches beside the answer.
    pub searches: Option<units::Searches>,
    /// The call as such; most cost nothing.
    pub call: Option<NanoUsd>,
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
    lines().count()
}

fn lines() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter(|line| !line.starts_with('#'))
}

/// Looks a model up by the catalog's word for its provider (`openai`, `anthropic`) and the provider's own id. A dated id
/// that is not listed (`gpt-4o-2026-01-02`, `claude-x-20260102`) is looked up without its date.
#[must_use]
pub fn look_up(provider: &str, model: &str) -> Option<Facts> {
    find(provider, model).or_else(|| find(provider, undated(model)?))
}

/// The catalog's word for a provider; `None` for one that is simulated, and for a server that nobody here knows.
#[must_use]
pub fn word(provider: &Provider) -> Option<&str> {
    Some(match &provider.kind {
        ProviderKind::OpenAi(_) => "openai",
        ProviderKind::Anthropic(_) => "anthropic",
        ProviderKind::Gemini(_) => "gemini",
        ProviderKind::Bedrock(_) => "bedrock",
        ProviderKind::Cohere(_) => "cohere",
        ProviderKind::VertexAi(_) => "vertex_ai",
        ProviderKind::AzureOpenAi(_) => "azure",
        ProviderKind::Mistral(_) => "mistral",
        ProviderKind::Ollama(_) => "ollama",
        ProviderKind::OpenAiCompatible(_) => return provider.catalog.as_deref(),
        ProviderKind::Simulated(_) => return None,
    })
}

/// What is known of a model that a provider declares. What a deployment of Azure's is called says nothing of its model; what
/// clients call it may.
#[must_use]
pub fn of_declared(provider: &Provider, model: &Model) -> Option<Facts> {
    let word = word(provider)?;
    let priced = |name: &ModelName| look_up(word, name.as_str()).filter(|facts| facts.price.is_some());
    let azure = matches!(provider.kind, ProviderKind::AzureOpenAi(_));
    priced(&model.upstream_name).or_else(|| azure.then(|| priced(&model.name)).flatten())
}

/// Names of a provider's models that are near to one that is not listed, best first.
#[must_use]
pub fn near(provider: &str, model: &str) -> Vec<&'static str> {
    let rows = lines().map(|line| line.split('\t'));
    let named = rows.filter_map(|mut fields| (fields.next()? == provider).then(|| fields.next()).flatten());
    // Most errors come after the first letters, and there are hundreds of names.
    let likely = named.filter(|name| name.bytes().zip(model.bytes()).take(2).all(|(a, b)| a.eq_ignore_ascii_case(&b)));
    near::best(model, likely)
}

fn find(provider: &str, model: &str) -> Option<Facts> {
    line_of(TABLE, [provider, model]).map(facts)
}

/// The fields behind the key of a line in a table that is sorted by bytes of its keys, below one line that is none.
fn line_of<const N: usize>(table: &'static str, wanted: [&str; N]) -> Option<Split<'static, char>> {
    let wanted = wanted.map(str::as_bytes);
    // Between `low` and `high` lie whole lines.
    let mut low = table.find('\n')? + 1;
    let mut high = table.len();
    while low < high {
        let middle = low + (high - low) / 2;
        let start = table.get(low..middle)?.rfind('\n').map_or(low, |at| low + at + 1);
        let end = table.get(middle..high)?.find('\n').map_or(high, |at| middle + at + 1);
        let mut fields = table.get(start..end)?.trim_end_matches('\n').split('\t');
        let found = [(); N].map(|()| fields.next().unwrap_or_default().as_bytes());
        match found.cmp(&wanted) {
            std::cmp::Ordering::Less => low = end,
            std::cmp::Ordering::Greater => high = start,
            std::cmp::Ordering::Equal => return Some(fields),
        }
    }
    None
}

fn facts(mut fields: impl Iterator<Item = &'static str>) -> Facts {
    let mut money = || fields.next().and_then(|text| text.parse().ok()).map(NanoUsd);
    let (input, output, cached, cache_write) = (money(), money(), money(), money());
    let price = input.map(|input| Price { input, output: output.unwrap_or(NanoUsd(0)), cached, cache_write });
    let mut tokens = || fields.next().and_then(|text| text.parse().ok());
    let (context, max_output) = (tokens(), tokens());
    let told = fields.next().unwrap_or_default();
    let mut tiers: Vec<Tier> = price.map_or_else(Vec::new, |price| told.split(';').filter_map(|text| tier(text, price)).collect());
    tiers.sort_by_key(|tier| tier.above);
    let mode = Mode::of(fields.next().unwrap_or_default());
    let capabilities = Capabilities::read(fields.next().unwrap_or_default());
    let more = More::read(fields.next().unwrap_or_default());
    Facts { price, tiers, more, writes: output.is_some(), context, max_output, mode, capabilities }
}

/// A tier; what it does not tell costs as it does without it.
fn tier(text: &str, usual: Price) -> Option<Tier> {
    let mut fields = text.split(':');
    let above = fields.next()?.parse().ok()?;
    let mut money = || fields.next().and_then(|text| text.parse().ok()).map(NanoUsd);
    let (input, output, cached, cache_write) = (money(), money(), money(), money());
    let price = Price {
        input: input.unwrap_or(usual.input),
        output: output.unwrap_or(usual.output),
        cached: cached.or(usual.cached),
        cache_write: cache_write.or(usual.cache_write),
    };
    Some(Tier { above, price })
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
        for line in lines() {
            let mut fields = line.split('\t');
            let key = (fields.next().expect("a provider"), fields.next().expect("a model"));
            assert!(last < key, "{last:?} stands before {key:?}");
            assert_eq!(fields.count(), 10, "{line}");
            assert!(find(key.0, key.1).is_some(), "{key:?}");
            last = key;
        }
        assert!(count() >= 4000, "the catalog knows {} models", count());
    }

    #[test]
    fn a_long_prompt_has_a_price_of_its_own() {
        let usual = Price { input: NanoUsd(1), output: NanoUsd(2), cached: Some(NanoUsd(3)), cache_write: None };
        let told = facts("1\t2\t3\t\t\t\t300:5::7:;200:4:6::".split('\t'));
        let dear = |input, output, cached| Price {
            input: NanoUsd(input),
            output: NanoUsd(output),
            cached: Some(NanoUsd(cached)),
            cache_write: None,
        };
        assert_eq!((told.price_of(200), told.price_of(201)), (Some(usual), Some(dear(4, 6, 3))), "above, not at");
        assert_eq!(told.price_of(301), Some(dear(5, 2, 7)));
        assert_eq!(facts("\t\t\t\t\t\t200:4:6::".split('\t')).price_of(900), None, "without a price there is none for long prompts");
        let listed = lines().filter(|line| line.split('\t').nth(8).is_some_and(|tiers| !tiers.is_empty())).count();
        assert!(listed > 100, "{listed} models have prices of long prompts");
    }

    #[test]
    fn what_a_model_is_for_and_can_do_is_known_of_most() {
        let mini = look_up("openai", "gpt-4o-mini").expect("listed");
        assert_eq!((mini.mode, mini.context, mini.max_output), (Some(Mode::Chat), Some(128_000), Some(16_384)));
        let can = mini.capabilities.expect("told");
        assert!(can.has(Capability::Vision) && can.has(Capability::StructuredOutput) && !can.has(Capability::Reasoning));
        let embedding = look_up("openai", "text-embedding-3-small").expect("listed");
        assert_eq!((embedding.mode, embedding.capabilities), (Some(Mode::Embedding), None));
        let told = lines().filter(|line| line.split('\t').nth(10).is_some_and(|words| !words.is_empty())).count();
        assert!(told > 2500, "{told} models tell what they can do");
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
