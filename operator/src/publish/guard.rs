//! The mass guard: when more than half of a kind vanishes within a minute, at least [`VANISHED_MIN`], somebody probably
//! pruned the wrong folder. What vanished is held until an annotation releases it; all else is published.
//!
//! Whoever prunes deletes one object after the other, and a deletion is published at once: so those that went within
//! [`LATELY`] count, and the guard holds what goes after them. It brings nothing back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crds::compile::Config;
use snapshot::{Key, KeyHash, Provider, RoutingPolicy};

use crate::along::Along;

/// Fewer vanished objects are never held.
pub const VANISHED_MIN: usize = 20;

/// So long does an object that went count.
pub const LATELY: Duration = Duration::from_secs(60);

/// The annotation of an LLMGateway that lets vanished objects go. Its value is the sequence that is published.
pub const RELEASE: &str = "portolan.dev/release-vanished";

/// How many objects: that are held back, or that went lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// LLMProviders.
    pub providers: usize,
    /// VirtualKeys.
    pub keys: usize,
    /// RoutingPolicies.
    pub policies: usize,
}

impl Held {
    /// Whether anything is.
    #[must_use]
    pub fn any(self) -> bool {
        self.providers + self.keys + self.policies > 0
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let Self { providers, keys, policies } = other;
        Self { providers: self.providers + providers, keys: self.keys + keys, policies: self.policies + policies }
    }
}

/// Whether it is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// It was before, and nobody released it.
    Raised,
    /// To be judged, after so many went lately.
    After(Held),
}

/// Which of the objects that were published exist no more; an object that is refused exists.
pub struct Exists<'a> {
    /// LLMProviders.
    pub provider: &'a dyn Fn(&str, &str) -> bool,
    /// VirtualKeys.
    pub key: &'a dyn Fn(&str, &str) -> bool,
    /// RoutingPolicies.
    pub policy: &'a dyn Fn(&str, &str) -> bool,
}

/// Puts back into `next` what vanished from `published`, if it is too much.
///
/// Without anything to put back, `next` is the very one that it was.
///
/// A policy and a provider that held keys need are put back with them. A key's text that another key has now stays with
/// that one.
#[must_use]
pub fn hold(published: &Config, next: &mut Arc<Config>, exists: &Exists<'_>, alarm: Alarm) -> Held {
    let before = &published.snapshot;
    let (providers, keys, policies) = gone(published, next, exists);
    let mut held = Held::default();
    let keys_ring = alarm.rings(keys.len(), before.keys.len(), |lately| lately.keys);
    let policies_ring = alarm.rings(policies.len(), before.policies.len(), |lately| lately.policies);
    let providers_ring = alarm.rings(providers.len(), before.providers.len(), |lately| lately.providers);
    if !(keys_ring || policies_ring || providers_ring) {
        return held;
    }
    // Others look at what was compiled: theirs stays as it is.
    let Config { snapshot: after, credentials } = Arc::make_mut(next);
    if keys_ring {
        let taken: BTreeSet<KeyHash> = after.keys.values().flat_map(|key| key.hashes.iter().copied()).collect();
        for key in keys.into_iter().filter(|key| key.hashes.is_disjoint(&taken)) {
            if let Some(policy) = key.policy.as_ref().and_then(|id| before.policies.get(id)) {
                after.policies.entry(policy.id.clone()).or_insert_with(|| Arc::clone(policy));
            }
            after.keys.insert(key.id.clone(), Arc::clone(key));
            held.keys += 1;
        }
    }
    if policies_ring {
        for policy in policies {
            after.policies.insert(policy.id.clone(), Arc::clone(policy));
            held.policies += 1;
        }
    }
    if providers_ring {
        for provider in providers {
            if let Some(credential) = published.credentials.0.get(&provider.id) {
                credentials.0.insert(provider.id.clone(), credential.clone());
            }
            after.providers.insert(provider.id.clone(), provider.clone());
            held.providers += 1;
        }
    }
    held
}

/// How many objects of `published` exist no more and are not in `next`.
#[must_use]
pub fn vanished(published: &Config, next: &Config, exists: &Exists<'_>) -> Held {
    let (providers, keys, policies) = gone(published, next, exists);
    Held { providers: providers.len(), keys: keys.len(), policies: policies.len() }
}

type Gone<'p> = (Vec<&'p Provider>, Vec<&'p Arc<Key>>, Vec<&'p Arc<RoutingPolicy>>);

fn gone<'p>(published: &'p Config, next: &Config, exists: &Exists<'_>) -> Gone<'p> {
    let (before, after) = (&published.snapshot, &next.snapshot);
    let (providers, keys) = (lacking(&before.providers, &after.providers), lacking(&before.keys, &after.keys));
    let policies = lacking(&before.policies, &after.policies);
    (
        providers.filter(|one| !(exists.provider)(one.id.namespace(), one.id.name())).collect(),
        keys.filter(|one| !(exists.key)(one.id.namespace(), one.id.name())).collect(),
        policies.filter(|one| !(exists.policy)(one.id.namespace(), one.id.name())).collect(),
    )
}

/// What `after` has nothing in the place of.
fn lacking<'p, 'n, K: Ord, V>(before: &'p BTreeMap<K, V>, after: &'n BTreeMap<K, V>) -> impl Iterator<Item = &'p V> + use<'p, 'n, K, V> {
    let mut after = Along::of(after);
    before.iter().filter(move |(id, _)| after.at(*id).is_none()).map(|(_, value)| value)
}

impl Alarm {
    fn rings(self, gone: usize, all: usize, of: impl Fn(Held) -> usize) -> bool {
        match self {
            Self::Raised => gone > 0,
            Self::After(lately) => {
                let lately = of(lately);
                gone > 0 && gone + lately >= VANISHED_MIN && (gone + lately) * 2 > all + lately
            }
        }
    }
}
