//! Servers that speak OpenAI's API, as data: where they are, how they want their key, what they serve, where they differ.
//!
//! A further server is a further line; what it can differ in is the closed list of [`Quirk`].

use std::collections::BTreeSet;

use snapshot::{Quirk, Surface};

/// One server a line: name, title, base URL, auth, services, quirks, the catalog's word for its prices. Sorted by name. A
/// base URL with a name in braces is the shape of one: whoever uses the preset writes their own.
const TABLE: &str = include_str!("presets.tsv");

/// What a server serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// `/chat/completions`
    Chat,
    /// `/completions`
    Completions,
    /// `/embeddings`
    Embeddings,
    /// `/responses`
    Responses,
    /// `/images/generations`
    Images,
    /// `/images/edits`
    ImageEdits,
    /// `/audio/speech`
    Speech,
    /// `/audio/transcriptions`
    Transcriptions,
    /// `/audio/translations`
    Translations,
    /// `/moderations`
    Moderations,
    /// `/rerank`
    Rerank,
    /// `/files`
    Files,
}

impl Service {
    /// Every service, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Images,
        Self::ImageEdits,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
        Self::Moderations,
        Self::Rerank,
        Self::Files,
    ];

    /// The word for it in the data.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Images => "images",
            Self::ImageEdits => "edits",
            Self::Speech => "speech",
            Self::Transcriptions => "transcriptions",
            Self::Translations => "translations",
            Self::Moderations => "moderations",
            Self::Rerank => "rerank",
            Self::Files => "files",
        }
    }

    /// The endpoint by which a gateway reaches it.
    #[must_use]
    pub fn surface(self) -> Surface {
        match self {
            Self::Chat => Surface::ChatCompletions,
            Self::Completions => Surface::Completions,
            Self::Embeddings => Surface::Embeddings,
            Self::Responses => Surface::Responses,
            Self::Images => Surface::Images,
            Self::ImageEdits => Surface::ImageEdits,
            Self::Speech => Surface::Speech,
            Self::Transcriptions => Surface::Transcriptions,
            Self::Translations => Surface::Translations,
            Self::Moderations => Surface::Moderations,
            Self::Rerank => Surface::Rerank,
            Self::Files => Surface::Files,
        }
    }
}

/// Where a server wants its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyIn {
    /// Nowhere.
    None,
    /// `Authorization: Bearer KEY`
    Bearer,
    /// `x-api-key: KEY`
    XApiKey,
    /// `api-key: KEY`
    ApiKey,
    /// `x-goog-api-key: KEY`
    GoogApiKey,
}

/// A server that speaks OpenAI's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// The name that manifests use.
    pub name: &'static str,
    /// The name that people use.
    pub title: &'static str,
    /// Its base URL, or the shape of one.
    pub url: &'static str,
    /// How it wants its key.
    pub auth: KeyIn,
    /// What it serves.
    pub services: BTreeSet<Service>,
    /// Where it differs.
    pub quirks: BTreeSet<Quirk>,
    /// The catalog's word for it.
    pub catalog: Option<&'static str>,
}

impl Preset {
    /// Whether the base URL is only the shape of one.
    #[must_use]
    pub fn is_placed_by_its_user(&self) -> bool {
        self.url.contains('{')
    }

    /// The endpoints by which a gateway reaches it.
    #[must_use]
    pub fn surfaces(&self) -> BTreeSet<Surface> {
        self.services.iter().map(|service| service.surface()).collect()
    }

    fn read(line: &'static str) -> Option<Self> {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        let (name, title, url) = (next()?, next()?, next()?);
        let auth = match next()? {
            "Bearer" => KeyIn::Bearer,
            "XAPIKey" => KeyIn::XApiKey,
            "APIKey" => KeyIn::ApiKey,
            "GoogAPIKey" => KeyIn::GoogApiKey,
            "None" => KeyIn::None,
            _ => return None,
        };
        let service = |word| Service::ALL.into_iter().find(|service| service.word() == word);
        let services = next()?.split_ascii_whitespace().map(service).collect::<Option<_>>()?;
        let quirks = next()?.split_ascii_whitespace().map(Quirk::of).collect::<Option<_>>()?;
        let catalog = Some(next()?).filter(|word| !word.is_empty());
        fields.next().is_none().then_some(Self { name, title, url, auth, services, quirks, catalog })
    }
}

fn lines() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter(|line| !line.starts_with('#'))
}

/// Every preset, by name.
pub fn all() -> impl Iterator<Item = Preset> {
    lines().filter_map(Preset::read)
}

/// The preset of that name.
#[must_use]
pub fn of(name: &str) -> Option<Preset> {
    lines().find(|line| line.split('\t').next() == Some(name)).and_then(Preset::read)
}

/// The nearest names to one that there is not, best first.
#[must_use]
pub fn near(name: &str) -> Vec<&'static str> {
    crate::near::best(name, lines().filter_map(|line| line.split('\t').next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_and_names_what_there_is() {
        let words: BTreeSet<&str> = crate::lines().filter_map(|line| line.split('\t').next()).collect();
        let mut last = "";
        for line in lines() {
            let preset = Preset::read(line).unwrap_or_else(|| panic!("{line} cannot be read"));
            let Preset { name, title, url, auth, services, quirks, catalog } = &preset;
            assert!(last < *name, "{last} stands before {name}");
            last = name;
            assert!(name.len() <= 40 && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')), "{name}");
            assert!(!title.is_empty() && !services.is_empty() && !url.ends_with('/'), "{name}");
            assert!(url.starts_with("https://") || (url.starts_with("http://{") && *auth == KeyIn::None || *name == "litellm"), "{url}");
            assert!(catalog.is_none_or(|word| words.contains(word)), "{name}: the catalog has no {catalog:?}");
            assert!(!(quirks.contains(&Quirk::RandomSeed) && quirks.contains(&Quirk::NoSeed)), "{name}");
            assert_eq!(of(name), Some(preset));
        }
        assert!(all().count() >= 60, "there are {} presets", all().count());
        assert_eq!(all().count(), lines().count());
    }

    #[test]
    fn a_typing_error_finds_the_name_that_was_meant() {
        assert_eq!(of("grok"), None);
        assert!(near("grok").contains(&"groq"));
        assert_eq!(near("openruter").first(), Some(&"openrouter"));
        assert_eq!(near("Together").first(), Some(&"together"));
        assert!(near("something-else-entirely").is_empty());
    }
}
