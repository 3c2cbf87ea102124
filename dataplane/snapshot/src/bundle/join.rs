//! Reading: from an index and its parts to a configuration, or the reason why not.

use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::cut::{
    BodyIn, CLOUD_IDENTITY, CLOUD_PROVIDER, EntryIn, EntryKind, FILES, LATER_DOORS, LATER_QUIRKS, MISTRAL_AND_OLLAMA, MORE_PRICES,
    NATIVE_EMBEDDINGS, NATIVE_PROVIDER, PASS_THROUGH, PROVIDER_QUIRKS, RULE_WHEN, SESSIONS,
};
use super::squeeze::{Inflation, inflate};
use super::torn::{Torn, excerpt};
use super::{Index, PART_BYTES_MAX, PART_CANONICAL_BYTES_MAX, PartKind, PartRef, digest, part_name, sha256};
use crate::{Credentials, Gateway, GatewayId, Key, KeyId, PolicyId, Provider, ProviderId, RoutingPolicy, Secret, Snapshot};

/// Features of entries that this reader has beyond what the schema says.
pub const FEATURES: &[&str] = &[
    RULE_WHEN,
    NATIVE_PROVIDER,
    CLOUD_IDENTITY,
    CLOUD_PROVIDER,
    PROVIDER_QUIRKS,
    MISTRAL_AND_OLLAMA,
    NATIVE_EMBEDDINGS,
    LATER_DOORS,
    FILES,
    LATER_QUIRKS,
    PASS_THROUGH,
    SESSIONS,
    MORE_PRICES,
];

/// A bundle that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The index that it was joined by.
    pub index: Index,
    /// The configuration without what was refused.
    pub snapshot: Snapshot,
    /// The credentials without those that were refused.
    pub credentials: Credentials,
    /// Entries that this reader must not use, each to be told; empty unless the operator is newer.
    pub refused: Vec<Refused>,
}

/// An entry that this reader must not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its kind's word; a newer operator knows more kinds than [`EntryKind`].
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Why.
    pub because: Because,
}

/// Why an entry is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// It requires features that this reader does not have.
    Requires(Vec<String>),
    /// It cannot do as it says without another entry, which is refused.
    Needs {
        /// The other's kind.
        kind: EntryKind,
        /// The other's id.
        id: String,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, id, because } = self;
        match because {
            Because::Requires(features) => {
                write!(f, "{kind} {id} needs {features:?}, which this data plane does not have: upgrade it")
            }
            Because::Needs { kind: other_kind, id: other } => {
                write!(f, "{kind} {id} needs {} {other}, which is refused", other_kind.word())
            }
        }
    }
}

/// Joins a bundle of a gateway. `part` gives the bytes of the object with a name ([`Index::part_names`] lists them): of a
/// Secret for [`PartKind::Credentials`], of a ConfigMap else.
///
/// An entry that requires a feature that this reader lacks is refused alone and told in [`Joined::refused`], together with
/// what cannot do without it: a key whose policy is refused would go where it must not, a provider whose credential is
/// refused would be called without.
///
/// # Errors
/// See [`Torn`]. Nothing is joined in part; whoever has an older configuration keeps it.
pub fn join<B: AsRef<[u8]>>(gateway: &GatewayId, index: &[u8], mut part: impl FnMut(&str, PartKind) -> Option<B>) -> Result<Joined, Torn> {
    let index = Index::parse(gateway, index)?;
    let missing = missing_features(&index.requires);
    if !missing.is_empty() {
        return Err(Torn::FeatureMissing { features: missing });
    }
    let mut joining = Joining::default();
    for named in &index.parts {
        let name = part_name(gateway, named.number, named.slot);
        let Some(bytes) = part(&name, named.kind) else { return Err(Torn::PartMissing { name }) };
        let body = open(&name, named, bytes.as_ref())?;
        joining.take_part(&index, named, &name, &body)?;
    }
    joining.refuse_dependents();
    let Joining { gateway, providers, keys, policies, credentials, refused } = joining;
    let gateway = gateway.ok_or(Torn::GatewayMissing)?;
    let (snapshot, credentials) = (Snapshot { gateway, providers, keys, policies }, Credentials(credentials));
    // What is refused was never decoded; the parts' own digests vouch for the rest.
    if refused.is_empty() && digest(&snapshot, &credentials) != index.digest {
        return Err(Torn::WrongDigest);
    }
    Ok(Joined { index, snapshot, credentials, refused })
}

fn missing_features(requires: &[String]) -> Vec<String> {
    requires.iter().filter(|feature| !FEATURES.contains(&feature.as_str())).map(|feature| excerpt(feature)).collect()
}

/// The canonical bytes of a part, verified.
fn open(name: &str, part: &PartRef, bytes: &[u8]) -> Result<Vec<u8>, Torn> {
    let name = || name.to_owned();
    if bytes.len() > PART_BYTES_MAX {
        return Err(Torn::PartTooLarge { name: name(), bytes: bytes.len() });
    }
    if part.bytes > PART_CANONICAL_BYTES_MAX {
        return Err(Torn::PartTooLargeInflated { name: name(), bytes: part.bytes });
    }
    let body = inflate(bytes, part.bytes).map_err(|inflation| match inflation {
        Inflation::Broken => Torn::PartBroken { name: name() },
        Inflation::Trailing => Torn::PartTrailing { name: name() },
        Inflation::WrongLength => Torn::PartWrongLength { name: name() },
    })?;
    if sha256(&body) == part.digest { Ok(body) } else { Err(Torn::PartWrongDigest { name: name() }) }
}

/// What the parts gave so far.
#[derive(Default)]
struct Joining {
    gateway: Option<Gateway>,
    providers: BTreeMap<ProviderId, Provider>,
    keys: BTreeMap<KeyId, Arc<Key>>,
    policies: BTreeMap<PolicyId, Arc<RoutingPolicy>>,
    credentials: BTreeMap<ProviderId, Secret<String>>,
    refused: Vec<Refused>,
}

impl Joining {
    fn take_part(&mut self, index: &Index, part: &PartRef, name: &str, body: &[u8]) -> Result<(), Torn> {
        let body: BodyIn<'_> = serde_json::from_slice(body)
            .map_err(|error| Torn::PartUnreadable { name: name.to_owned(), detail: detail(part.kind, &error) })?;
        if body.gateway != index.gateway || body.number != part.number || body.schema != index.schema {
            let BodyIn { schema, gateway, number, .. } = body;
            return Err(Torn::PartForeign { name: name.to_owned(), gateway, number, schema });
        }
        body.entries.into_iter().try_for_each(|entry| self.take_entry(&Place { name, part, gateway: &index.gateway }, entry))
    }

    fn take_entry(&mut self, place: &Place<'_>, entry: EntryIn<'_>) -> Result<(), Torn> {
        let missing = missing_features(&entry.requires);
        let kind = EntryKind::from_word(&entry.kind);
        if !missing.is_empty() {
            if kind == Some(EntryKind::Gateway) {
                return Err(Torn::FeatureMissing { features: missing });
            }
            self.refused.push(Refused { kind: entry.kind, id: entry.id, because: Because::Requires(missing) });
            return Ok(());
        }
        let Some(kind) = kind else { return Err(place.unreadable(&entry, "no such kind".to_owned())) };
        if kind.part_of(&entry.id) != place.part.number {
            return Err(place.misplaced(&entry));
        }
        match kind {
            EntryKind::Gateway => {
                let value: Gateway = place.decode(&entry)?;
                if value.id != *place.gateway || entry.id != value.id.as_str() {
                    return Err(place.misplaced(&entry));
                }
                match self.gateway.replace(value) {
                    Some(_) => Err(place.twice(&entry)),
                    None => Ok(()),
                }
            }
            EntryKind::Provider => insert(&mut self.providers, place, &entry, |value: &Provider| &value.id, |value| value),
            EntryKind::Key => insert(&mut self.keys, place, &entry, |value: &Key| &value.id, Arc::new),
            EntryKind::Policy => insert(&mut self.policies, place, &entry, |value: &RoutingPolicy| &value.id, Arc::new),
            EntryKind::Credential => {
                let id = ProviderId::try_from(entry.id.clone()).map_err(|_| place.misplaced(&entry))?;
                match self.credentials.insert(id, Secret::new(place.decode(&entry)?)) {
                    Some(_) => Err(place.twice(&entry)),
                    None => Ok(()),
                }
            }
        }
    }

    /// Refuses what would do something else than it says without an entry that is refused. A target at a provider that is
    /// not there fails as that target, which widens nothing.
    fn refuse_dependents(&mut self) {
        let refused = |kind: EntryKind, id: &str| self.refused.iter().any(|one| one.kind == kind.word() && one.id == id);
        let mut dependents = Vec::new();
        let mut needs = |kind: EntryKind, id: &str, other_kind: EntryKind, other: &str| {
            let because = Because::Needs { kind: other_kind, id: other.to_owned() };
            dependents.push(Refused { kind: kind.word().to_owned(), id: id.to_owned(), because });
        };
        self.keys.retain(|id, key| match &key.policy {
            Some(policy) if refused(EntryKind::Policy, policy.as_str()) => {
                needs(EntryKind::Key, id.as_str(), EntryKind::Policy, policy.as_str());
                false
            }
            Some(_) | None => true,
        });
        self.providers.retain(|id, _| {
            let keep = !refused(EntryKind::Credential, id.as_str());
            if !keep {
                needs(EntryKind::Provider, id.as_str(), EntryKind::Credential, id.as_str());
            }
            keep
        });
        self.refused.append(&mut dependents);
    }
}

fn insert<'de, I, V, H>(
    into: &mut BTreeMap<I, H>,
    place: &Place<'_>,
    entry: &EntryIn<'de>,
    id: fn(&V) -> &I,
    held: fn(V) -> H,
) -> Result<(), Torn>
where
    I: Ord + Clone + Into<String>,
    V: Deserialize<'de>,
{
    let value: V = place.decode(entry)?;
    if id(&value).clone().into() != entry.id {
        return Err(place.misplaced(entry));
    }
    match into.entry(id(&value).clone()) {
        Entry::Occupied(_) => Err(place.twice(entry)),
        Entry::Vacant(vacant) => {
            vacant.insert(held(value));
            Ok(())
        }
    }
}

/// Where an entry was read, for decisions and messages.
struct Place<'a> {
    name: &'a str,
    part: &'a PartRef,
    gateway: &'a GatewayId,
}

impl Place<'_> {
    fn decode<'de, V: Deserialize<'de>>(&self, entry: &EntryIn<'de>) -> Result<V, Torn> {
        serde_json::from_str(entry.value.get()).map_err(|error| self.unreadable(entry, detail(self.part.kind, &error)))
    }

    fn unreadable(&self, entry: &EntryIn<'_>, detail: String) -> Torn {
        Torn::EntryUnreadable { name: self.name.to_owned(), kind: excerpt(&entry.kind), id: excerpt(&entry.id), detail }
    }

    fn misplaced(&self, entry: &EntryIn<'_>) -> Torn {
        Torn::EntryMisplaced { name: self.name.to_owned(), kind: excerpt(&entry.kind), id: excerpt(&entry.id) }
    }

    fn twice(&self, entry: &EntryIn<'_>) -> Torn {
        Torn::EntryTwice { name: self.name.to_owned(), kind: excerpt(&entry.kind), id: excerpt(&entry.id) }
    }
}

/// What the decoder says. It quotes what it read, so of credentials only the place is told.
fn detail(kind: PartKind, error: &serde_json::Error) -> String {
    match kind {
        PartKind::Config => excerpt(&error.to_string()),
        PartKind::Credentials => format!("at line {} column {}", error.line(), error.column()),
    }
}
