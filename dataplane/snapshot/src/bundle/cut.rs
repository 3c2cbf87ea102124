//! Cutting a configuration into parts, before anything is compressed.
//!
//! A part is `{"schema":1,"gateway":"ns/name","number":7,"entries":[{"kind":"key","id":"ns/name","value":{..}},..]}`. Where
//! an entry goes depends on its kind and id alone, so that no edit moves another entry.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{CONFIG_PARTS, PARTS};
use crate::changes::changes;
use crate::{Credentials, Gateway, GatewayId, Key, Operation, Provider, ProviderKind, RoutingPolicy, SCHEMA, Snapshot, Surface};

/// What an entry of a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// The gateway itself; there is exactly one.
    Gateway,
    /// A provider.
    Provider,
    /// A virtual key.
    Key,
    /// A routing policy.
    Policy,
    /// The credential of the provider with the same id; only in parts of credentials.
    Credential,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Gateway, Self::Provider, Self::Key, Self::Policy, Self::Credential];

    /// The word that stands in the bytes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Provider => "provider",
            Self::Key => "key",
            Self::Policy => "policy",
            Self::Credential => "credential",
        }
    }

    /// The kind that is written so.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The number of the part that holds the entry of this kind with this id.
    #[must_use]
    pub fn part_of(self, id: &str) -> u8 {
        let hash: [u8; 32] = Sha256::new().chain_update(self.word()).chain_update([0]).chain_update(id).finalize().into();
        match self {
            Self::Gateway | Self::Provider | Self::Key | Self::Policy => hash[0] >> 4,
            Self::Credential => CONFIG_PARTS + (hash[0] >> 6),
        }
    }
}

#[derive(Serialize)]
struct BodyOut<'a> {
    schema: u32,
    gateway: &'a GatewayId,
    number: u8,
    entries: &'a [EntryOut<'a>],
}

/// The feature of a routing policy that has a rule with a condition.
pub(super) const RULE_WHEN: &str = "rule-when";

/// The feature of a provider that speaks a dialect of its own: Gemini, Bedrock, Cohere.
pub(super) const NATIVE_PROVIDER: &str = "native-provider";

/// The feature of a provider that shows an identity of a cloud, which is got and renewed.
pub(super) const CLOUD_IDENTITY: &str = "cloud-identity";

/// The feature of a provider of type Mistral or Ollama.
pub(super) const MISTRAL_AND_OLLAMA: &str = "mistral-and-ollama";

/// The feature of a provider that embeds texts in a dialect of its own.
pub(super) const NATIVE_EMBEDDINGS: &str = "native-embeddings";

/// The feature of a provider that differs from the dialect it speaks, or whose prices are another's.
pub(super) const PROVIDER_QUIRKS: &str = "provider-quirks";

/// The feature of a provider whose surfaces name sessions, and of a key that may have them.
pub(super) const SESSIONS: &str = "sessions";

/// The feature of a provider that differs in a way that was named later.
pub(super) const LATER_QUIRKS: &str = "later-quirks";

/// The feature of a provider that paths are passed through to, and of a key that may do so: a reader of before knows neither.
pub(super) const PASS_THROUGH: &str = "pass-through";

/// The feature of a provider of Vertex AI or Azure OpenAI.
pub(super) const CLOUD_PROVIDER: &str = "cloud-provider";

/// The feature of what names pictures, sound, judgement or order: surfaces of providers, operations of keys, and the bound
/// of forms.
pub(super) const LATER_DOORS: &str = "later-doors";

/// The feature of a provider that says prices of more than text.
pub(super) const MORE_PRICES: &str = "more-prices";

/// The feature of what names files kept at a provider: surfaces of providers, operations of keys.
pub(super) const FILES: &str = "files";

/// An entry as written. One that needs the schema alone has no `requires`, so that its bytes are those of the first day.
#[derive(Serialize)]
struct EntryOut<'a> {
    kind: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requires: Vec<&'static str>,
    value: ValueOut<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ValueOut<'a> {
    Gateway(&'a Gateway),
    Provider(&'a Provider),
    Key(&'a Key),
    Policy(&'a RoutingPolicy),
    /// The one place where a credential is serialised; these bytes go into Secrets alone.
    Credential(&'a str),
}

impl<'a> EntryOut<'a> {
    fn new(kind: EntryKind, id: &'a str, value: ValueOut<'a>) -> Self {
        Self { kind: kind.word(), id, requires: value.requires(), value }
    }
}

impl ValueOut<'_> {
    /// Features without which a reader must not use the entry.
    fn requires(&self) -> Vec<&'static str> {
        match self {
            Self::Policy(policy) if policy.rules.iter().any(|rule| rule.when.is_some()) => vec![RULE_WHEN],
            Self::Provider(provider) => provider_requires(provider),
            Self::Key(key) => key_requires(key),
            Self::Gateway(gateway) if gateway.form_bytes_max != Gateway::FORM_BYTES_MAX => vec![LATER_DOORS],
            Self::Gateway(_) | Self::Policy(_) | Self::Credential(_) => Vec::new(),
        }
    }
}

fn key_requires(key: &Key) -> Vec<&'static str> {
    let operations = || key.allow.operations.iter().flatten();
    let later = operations().any(|operation| operation.is_of_the_later_doors());
    let passes = operations().any(|operation| *operation == Operation::Proxy);
    let sessions = operations().any(|operation| *operation == Operation::Realtime);
    let files = operations().any(|operation| *operation == Operation::Files);
    let required = [later.then_some(LATER_DOORS), files.then_some(FILES), passes.then_some(PASS_THROUGH), sessions.then_some(SESSIONS)];
    required.into_iter().flatten().collect()
}

fn provider_requires(provider: &Provider) -> Vec<&'static str> {
    let Provider { id: _, kind, surfaces, models, visibility: _, quirks, drops, catalog, proxy } = provider;
    let cloud = matches!(kind, ProviderKind::VertexAi(_) | ProviderKind::AzureOpenAi(_));
    let of_a_cloud = cloud || kind.endpoint().is_some_and(|endpoint| endpoint.auth.is_of_a_cloud());
    let mut requires = Vec::new();
    if of_a_cloud || matches!(kind, ProviderKind::Gemini(_) | ProviderKind::Bedrock(_) | ProviderKind::Cohere(_)) {
        requires.push(NATIVE_PROVIDER);
    }
    if matches!(kind, ProviderKind::Mistral(_) | ProviderKind::Ollama(_)) {
        requires.push(MISTRAL_AND_OLLAMA);
    }
    if surfaces.iter().any(|surface| matches!(surface, Surface::BatchEmbedContents | Surface::CohereEmbed | Surface::OllamaEmbed)) {
        requires.push(NATIVE_EMBEDDINGS);
    }
    if of_a_cloud {
        requires.push(CLOUD_IDENTITY);
    }
    if cloud {
        requires.push(CLOUD_PROVIDER);
    }
    if surfaces.iter().any(|surface| surface.is_of_the_later_doors()) {
        requires.push(LATER_DOORS);
    }
    if surfaces.contains(&Surface::Files) {
        requires.push(FILES);
    }
    if !quirks.is_empty() || *drops || catalog.is_some() {
        requires.push(PROVIDER_QUIRKS);
    }
    if surfaces.contains(&Surface::Realtime) {
        requires.push(SESSIONS);
    }
    if quirks.iter().any(|quirk| !quirk.is_of_the_first()) {
        requires.push(LATER_QUIRKS);
    }
    if proxy.is_some() {
        requires.push(PASS_THROUGH);
    }
    if models.iter().any(|model| model.more_prices.is_some()) {
        requires.push(MORE_PRICES);
    }
    requires
}

/// A part as read, its entries' values still in their bytes: an entry that is refused is never decoded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BodyIn<'a> {
    pub schema: u32,
    pub gateway: GatewayId,
    pub number: u8,
    #[serde(borrow)]
    pub entries: Vec<EntryIn<'a>>,
}

/// An entry as read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryIn<'a> {
    pub kind: String,
    pub id: String,
    /// Features that a reader must have to use this entry.
    #[serde(default)]
    pub requires: Vec<String>,
    #[serde(borrow)]
    pub value: &'a RawValue,
}

/// The canonical bytes of the parts that are wanted, by number. The others are not made.
pub(super) fn cut(snapshot: &Snapshot, credentials: &Credentials, wanted: &Marks) -> serde_json::Result<Vec<Option<Vec<u8>>>> {
    let Snapshot { gateway, providers, keys, policies } = snapshot;
    let mut parts: Vec<Vec<EntryOut<'_>>> = (0..PARTS).map(|_| Vec::new()).collect();
    let mut put = |kind: EntryKind, id, value| {
        let number = kind.part_of(id);
        if let Some(part) = parts.get_mut(usize::from(number)).filter(|_| wanted.has(number)) {
            part.push(EntryOut::new(kind, id, value));
        }
    };
    put(EntryKind::Gateway, gateway.id.as_str(), ValueOut::Gateway(gateway));
    for (id, provider) in providers {
        put(EntryKind::Provider, id.as_str(), ValueOut::Provider(provider));
    }
    for (id, key) in keys {
        put(EntryKind::Key, id.as_str(), ValueOut::Key(key));
    }
    for (id, policy) in policies {
        put(EntryKind::Policy, id.as_str(), ValueOut::Policy(policy));
    }
    for (id, credential) in &credentials.0 {
        put(EntryKind::Credential, id.as_str(), ValueOut::Credential(credential.expose()));
    }
    let body = |(number, entries): (u8, &Vec<EntryOut<'_>>)| {
        let whole = || serde_json::to_vec(&BodyOut { schema: SCHEMA, gateway: &gateway.id, number, entries });
        wanted.has(number).then(whole).transpose()
    };
    (0..PARTS).zip(&parts).map(body).collect()
}

/// Some of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks([bool; PARTS as usize]);

impl Marks {
    /// Every part.
    pub(super) const ALL: Self = Self([true; PARTS as usize]);

    /// The parts that hold an entry which is not the same in both configurations.
    pub(super) fn of_changes(before: (&Snapshot, &Credentials), after: (&Snapshot, &Credentials)) -> Self {
        let mut marks = Self([false; PARTS as usize]);
        let ((old, old_credentials), (new, new_credentials)) = (before, after);
        if old.gateway != new.gateway {
            marks.set(EntryKind::Gateway, old.gateway.id.as_str());
            marks.set(EntryKind::Gateway, new.gateway.id.as_str());
        }
        changes(&old.providers, &new.providers).for_each(|id| marks.set(EntryKind::Provider, id.as_str()));
        changes(&old.keys, &new.keys).for_each(|id| marks.set(EntryKind::Key, id.as_str()));
        changes(&old.policies, &new.policies).for_each(|id| marks.set(EntryKind::Policy, id.as_str()));
        let credentials = changes(&old_credentials.0, &new_credentials.0);
        credentials.for_each(|id| marks.set(EntryKind::Credential, id.as_str()));
        marks
    }

    fn set(&mut self, kind: EntryKind, id: &str) {
        if let Some(mark) = self.0.get_mut(usize::from(kind.part_of(id))) {
            *mark = true;
        }
    }

    fn has(&self, number: u8) -> bool {
        self.0.get(usize::from(number)).copied().unwrap_or(false)
    }
}
