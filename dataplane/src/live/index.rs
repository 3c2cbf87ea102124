//! Which names mean which models, for whom. One table for what all namespaces may use and one for each namespace that
//! is named, so that a look-up touches two tables, however many tenants there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use snapshot::Visibility;

use super::LiveProvider;

/// One model of one provider that a name may mean.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Who has it.
    pub provider: Arc<LiveProvider>,
    /// Its place among the provider's declared models.
    pub declared: usize,
    /// What the provider calls it.
    pub upstream: Arc<str>,
}

#[derive(Debug, Default)]
struct Table {
    providers: HashMap<Box<str>, Vec<Arc<LiveProvider>>>,
    names: HashMap<Box<str>, Vec<Candidate>>,
}

/// Every provider, found by who may use it and how it or its models are called.
#[derive(Debug, Default)]
pub struct Models {
    providers: Vec<Arc<LiveProvider>>,
    for_all: Table,
    by_namespace: HashMap<Box<str>, Table>,
}

impl Models {
    pub(super) fn build(providers: Vec<Arc<LiveProvider>>) -> Self {
        let mut models = Self { providers: providers.clone(), ..Self::default() };
        for provider in providers {
            let own = provider.provider.id.namespace().to_owned();
            match &provider.provider.visibility {
                Visibility::All => models.for_all.add(&provider),
                Visibility::Namespaces(namespaces) => {
                    let others = namespaces.iter().filter(|name| **name != own);
                    for namespace in others.chain([&own]) {
                        models.by_namespace.entry(namespace.as_str().into()).or_default().add(&provider);
                    }
                }
            }
        }
        models
    }

    /// Every provider of the gateway, in the order of ids.
    #[must_use]
    pub fn providers(&self) -> &[Arc<LiveProvider>] {
        &self.providers
    }

    /// A provider by its id, when the namespace may use it.
    #[must_use]
    pub fn by_id(&self, namespace: &str, id: &snapshot::ProviderId) -> Option<&Arc<LiveProvider>> {
        self.named(namespace, id.name()).find(|provider| provider.provider.id == *id)
    }

    /// Providers of this name that the namespace may use.
    pub fn named<'a>(&'a self, namespace: &str, provider: &str) -> impl Iterator<Item = &'a Arc<LiveProvider>> + use<'a> {
        let own = self.by_namespace.get(namespace).and_then(|table| table.providers.get(provider));
        let all = self.for_all.providers.get(provider);
        own.into_iter().chain(all).flatten()
    }

    /// Every provider that the namespace may use, in no order. Off the hot path.
    pub fn providers_for<'a>(&'a self, namespace: &str) -> impl Iterator<Item = &'a Arc<LiveProvider>> + use<'a> {
        let own = self.by_namespace.get(namespace);
        own.into_iter().chain([&self.for_all]).flat_map(|table| table.providers.values().flatten())
    }

    /// Models that are declared under this name or alias and that the namespace may use.
    pub fn declared<'a>(&'a self, namespace: &str, name: &str) -> impl Iterator<Item = &'a Candidate> + use<'a> {
        let own = self.by_namespace.get(namespace).and_then(|table| table.names.get(name));
        let all = self.for_all.names.get(name);
        own.into_iter().chain(all).flatten()
    }

    /// Everything the namespace may name, in order: the declared name, then who has it. Off the hot path.
    #[must_use]
    pub fn list(&self, namespace: &str) -> BTreeMap<&str, Vec<&Candidate>> {
        let mut list: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
        for table in self.by_namespace.get(namespace).into_iter().chain([&self.for_all]) {
            for (name, candidates) in &table.names {
                list.entry(name).or_default().extend(candidates);
            }
        }
        list
    }
}

impl Table {
    fn add(&mut self, provider: &Arc<LiveProvider>) {
        self.providers.entry(provider.provider.id.name().into()).or_default().push(provider.clone());
        for (declared, model) in provider.provider.models.iter().enumerate() {
            let upstream: Arc<str> = model.upstream_name.as_str().into();
            for name in std::iter::once(&model.name).chain(&model.aliases) {
                let candidate = Candidate { provider: provider.clone(), declared, upstream: upstream.clone() };
                self.names.entry(name.as_str().into()).or_default().push(candidate);
            }
        }
    }
}
