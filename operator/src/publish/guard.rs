//! The mass guard: when more than half of a kind vanishes at once, at least [`VANISHED_MIN`], somebody probably pruned the
//! wrong folder. What vanished is held until an annotation releases it; all else is published.

use std::collections::BTreeSet;

use crds::compile::Config;
use snapshot::KeyHash;

/// Fewer vanished objects are never held.
pub const VANISHED_MIN: usize = 20;

/// The annotation of an LLMGateway that lets vanished objects go. Its value is the sequence that is published.
pub const RELEASE: &str = "portolan.dev/release-vanished";

/// How much is held back.
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

/// Puts back into `next` what vanished from `published`, if it is too much at once.
///
/// A policy and a provider that held keys need are put back with them. A key's text that another key has now stays with
/// that one.
#[must_use]
pub fn hold(published: &Config, next: &mut Config, exists: &Exists<'_>) -> Held {
    let (before, after) = (&published.snapshot, &mut next.snapshot);
    let mut held = Held::default();

    let gone: Vec<_> =
        before.keys.values().filter(|key| !after.keys.contains_key(&key.id) && !(exists.key)(key.id.namespace(), key.id.name())).collect();
    if mass(gone.len(), before.keys.len()) {
        let taken: BTreeSet<KeyHash> = after.keys.values().flat_map(|key| key.hashes.iter().copied()).collect();
        for key in gone.into_iter().filter(|key| key.hashes.is_disjoint(&taken)) {
            if let Some(policy) = key.policy.as_ref().and_then(|id| before.policies.get(id)) {
                after.policies.entry(policy.id.clone()).or_insert_with(|| policy.clone());
            }
            after.keys.insert(key.id.clone(), key.clone());
            held.keys += 1;
        }
    }

    let gone: Vec<_> = before
        .policies
        .values()
        .filter(|policy| !after.policies.contains_key(&policy.id) && !(exists.policy)(policy.id.namespace(), policy.id.name()))
        .collect();
    if mass(gone.len(), before.policies.len()) {
        for policy in gone {
            after.policies.insert(policy.id.clone(), policy.clone());
            held.policies += 1;
        }
    }

    let gone: Vec<_> = before
        .providers
        .values()
        .filter(|one| !after.providers.contains_key(&one.id) && !(exists.provider)(one.id.namespace(), one.id.name()))
        .collect();
    if mass(gone.len(), before.providers.len()) {
        for provider in gone {
            if let Some(credential) = published.credentials.0.get(&provider.id) {
                next.credentials.0.insert(provider.id.clone(), credential.clone());
            }
            after.providers.insert(provider.id.clone(), provider.clone());
            held.providers += 1;
        }
    }
    held
}

fn mass(gone: usize, all: usize) -> bool {
    gone >= VANISHED_MIN && gone * 2 > all
}
