//! Secrets and ConfigMaps that objects refer to: one metadata watch for each namespace, `get` by name, nothing kept of
//! the others.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;

use crds::api::virtual_key::SourceType;
use crds::report::Kind;
use crds::world::{Entries, MADE_FOR, Name, World};
use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Resource, ResourceExt};

use crate::along::Along;

use super::pace::{Pace, Stumbling};
use super::watches::name_of;
use super::{Gather, GatherError, Gathered, PREFIX};

/// Requests at once.
const AT_ONCE: usize = 16;

/// Where a value may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// In a Secret.
    Secret,
    /// In a ConfigMap.
    ConfigMap,
}

/// What is known of a Secret or ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// It is not there.
    Absent,
    /// It may not be read.
    Denied,
    /// It is in the world.
    Present {
        /// Its UID.
        uid: String,
        /// Its resource version.
        version: String,
        /// Its annotations below [`PREFIX`].
        annotations: BTreeMap<String, String>,
    },
}

/// All that an object of a world refers to.
pub(super) fn references(world: &World, kind: Kind, name: &Name) -> Vec<(Source, Name)> {
    let (namespace, _) = name;
    let mut found = Vec::new();
    let mut add = |source: Source, name: &str| found.push((source, (namespace.clone(), name.to_owned())));
    if let Some(provider) = world.providers.get(name).filter(|_| kind == Kind::LLMProvider) {
        let auth = provider.spec.auth.iter().flat_map(|auth| auth.secrets());
        let endpoint = provider.spec.endpoint.as_ref();
        let authority = endpoint.and_then(|endpoint| endpoint.ca_secret_ref.as_ref());
        for wanted in auth.chain(authority) {
            add(Source::Secret, &wanted.name);
        }
        if let Some(wanted) = endpoint.and_then(|endpoint| endpoint.ca_config_map_ref.as_ref()) {
            add(Source::ConfigMap, &wanted.name);
        }
    }
    if let Some(key) = world.keys.get(name).filter(|_| kind == Kind::VirtualKey) {
        let source = &key.spec.source;
        match source.kind {
            SourceType::Generated => add(Source::Secret, &source.generated.clone().unwrap_or_default().secret_of(&name.1)),
            SourceType::SecretRef => {
                if let Some(wanted) = &source.secret_ref {
                    add(Source::Secret, &wanted.name);
                }
            }
            SourceType::Hash => {}
        }
    }
    found
}

impl Gather {
    /// Reads what objects refer to and was not read yet, or changed since. True when the compiler sees a difference.
    ///
    /// # Errors
    /// The API server does not answer: what is not known must not be taken for absent.
    pub async fn fetch(self: &Arc<Self>) -> Result<(), GatherError> {
        let missing = self.look(|seen| {
            let gateways: BTreeSet<&String> = seen.parsed.world.gateways.keys().map(|(namespace, _)| namespace).collect();
            let own =
                gateways.into_iter().flat_map(|namespace| [(Source::Secret, namespace.clone()), (Source::ConfigMap, namespace.clone())]);
            let mut places: BTreeSet<(Source, String)> = own.collect();
            let mut last = None;
            for (source, (namespace, _)) in seen.wanted.keys() {
                // In their order: most are where the one before is.
                if last.replace((source, namespace)) != Some((source, namespace)) {
                    places.insert((*source, namespace.clone()));
                }
            }
            for place in places {
                if seen.watched.insert(place.clone()) {
                    self.spawn(Arc::clone(self).watch_named(place));
                }
            }
            let mut wanted = Along::of(&seen.wanted);
            let idle: Vec<_> = seen.fetched.keys().filter(|one| wanted.at(*one).is_none()).cloned().collect();
            idle.iter().for_each(|one| seen.forget(one));
            let mut fetched = Along::of(&seen.fetched);
            seen.wanted.keys().filter(|one| fetched.at(*one).is_none()).cloned().collect::<Vec<_>>()
        });
        let mut answers = stream::iter(missing).map(|one| self.fetch_one(one)).buffer_unordered(AT_ONCE);
        let mut failed = None;
        while let Some(answer) = answers.next().await {
            failed = failed.or(answer.err());
        }
        failed.map_or(Ok(()), Err)
    }

    async fn fetch_one(&self, one: (Source, Name)) -> Result<(), GatherError> {
        let (source, (namespace, name)) = one.clone();
        let unreadable = |error: kube::Error| GatherError::Unreadable {
            source_kind: source,
            namespace: namespace.clone(),
            name: name.clone(),
            error: Box::new(error),
        };
        match source {
            Source::Secret => {
                let api: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
                let found = answered(api.get_opt(&name).await).map_err(unreadable)?;
                self.look(|seen| seen.take_secret(one, found));
            }
            Source::ConfigMap => {
                let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &namespace);
                let found = answered(api.get_opt(&name).await).map_err(unreadable)?;
                self.look(|seen| seen.take_config_map(one, found));
            }
        }
        Ok(())
    }

    /// Takes in a Secret as the API server stored it for us: sooner than its watch tells.
    pub fn took(&self, stored: Secret) {
        self.look(|seen| seen.take_secret((Source::Secret, name_of(&stored)), Answer::There(stored)));
        self.ring();
    }

    async fn watch_named(self: Arc<Self>, (source, namespace): (Source, String)) {
        let config = watcher::Config::default();
        match source {
            Source::Secret => {
                let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(self.client.clone(), &namespace);
                self.named(source, namespace, watcher::watcher(api, config).backoff(Pace::new())).await;
            }
            Source::ConfigMap => {
                let api: Api<PartialObjectMeta<ConfigMap>> = Api::namespaced(self.client.clone(), &namespace);
                self.named(source, namespace, watcher::watcher(api, config).backoff(Pace::new())).await;
            }
        }
    }

    async fn named<K: Resource>(
        &self,
        source: Source,
        namespace: String,
        events: impl Stream<Item = watcher::Result<Event<PartialObjectMeta<K>>>>,
    ) where
        PartialObjectMeta<K>: ResourceExt,
    {
        let mut events = std::pin::pin!(events);
        let mut listed: BTreeSet<Name> = BTreeSet::new();
        let mut stumbling = Stumbling::default();
        while let Some(event) = events.next().await {
            event.iter().for_each(|event| stumbling.heard(event));
            let changed = match event {
                Ok(Event::Init) => {
                    listed.clear();
                    false
                }
                Ok(Event::InitApply(found)) => {
                    listed.insert(name_of(&found));
                    self.look(|seen| seen.named_changed(source, name_of(&found), found.resource_version()))
                }
                Ok(Event::InitDone) => self.look(|seen| seen.named_listed(source, &namespace, &listed)),
                Ok(Event::Apply(found)) => self.look(|seen| seen.named_changed(source, name_of(&found), found.resource_version())),
                Ok(Event::Delete(found)) => self.look(|seen| seen.named_gone(source, name_of(&found))),
                Err(error) => {
                    if stumbling.begins() {
                        tracing::warn!(%error, ?source, namespace, "the watch of a namespace stumbled");
                    }
                    continue;
                }
            };
            if changed {
                self.ring();
            }
        }
    }
}

/// Absent, denied, there; all else is no answer.
enum Answer<K> {
    Absent,
    Denied,
    There(K),
}

fn answered<K>(result: Result<Option<K>, kube::Error>) -> Result<Answer<K>, kube::Error> {
    match result {
        Ok(Some(found)) => Ok(Answer::There(found)),
        Ok(None) => Ok(Answer::Absent),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Answer::Denied),
        Err(error) => Err(error),
    }
}

fn present<K: ResourceExt>(found: &K) -> Fetched {
    let ours = found.annotations().iter().filter(|(key, _)| key.starts_with(PREFIX));
    Fetched::Present {
        uid: found.uid().unwrap_or_default(),
        version: found.resource_version().unwrap_or_default(),
        annotations: ours.map(|(key, value)| (key.clone(), value.clone())).collect(),
    }
}

impl Gathered {
    /// Changes the object of a kind and name by `change`, and notes what it refers to from now on.
    pub(super) fn refer(&mut self, kind: Kind, name: &Name, change: impl FnOnce(&mut Self)) {
        let before = references(&self.parsed.world, kind, name);
        change(self);
        for one in references(&self.parsed.world, kind, name) {
            *self.wanted.entry(one).or_insert(0) += 1;
        }
        for one in before {
            if let Entry::Occupied(mut wanted) = self.wanted.entry(one) {
                *wanted.get_mut() -= 1;
                if *wanted.get() == 0 {
                    wanted.remove();
                }
            }
        }
    }

    fn forget(&mut self, one: &(Source, Name)) {
        self.fetched.remove(one);
        self.empty(one);
    }

    fn empty(&mut self, (source, name): &(Source, Name)) {
        let world = &mut self.parsed.world;
        match source {
            Source::Secret => drop(world.secrets.remove(name)),
            Source::ConfigMap => drop(world.config_maps.remove(name)),
        }
    }

    fn take_secret(&mut self, one: (Source, Name), answer: Answer<Secret>) {
        self.empty(&one);
        let name = one.1.clone();
        let fetched = match answer {
            Answer::Absent => Fetched::Absent,
            Answer::Denied => Fetched::Denied,
            Answer::There(found) => {
                let fetched = present(&found);
                let made_for = found.annotations().get(MADE_FOR).cloned();
                let values = found.data.unwrap_or_default().into_iter();
                let values = values.map(|(key, value)| (key, snapshot::Secret::new(value.0))).collect();
                self.parsed.world.secrets.insert(name.clone(), Arc::new(Entries { values, made_for }));
                fetched
            }
        };
        if fetched == Fetched::Denied {
            self.parsed.world.denied.insert(name.0);
        } else {
            self.parsed.world.denied.remove(&name.0);
        }
        self.fetched.insert(one, fetched);
    }

    fn take_config_map(&mut self, one: (Source, Name), answer: Answer<ConfigMap>) {
        self.empty(&one);
        let fetched = match answer {
            Answer::Absent => Fetched::Absent,
            Answer::Denied => Fetched::Denied,
            Answer::There(found) => {
                let fetched = present(&found);
                self.parsed.world.config_maps.insert(one.1.clone(), found.data.unwrap_or_default());
                fetched
            }
        };
        self.fetched.insert(one, fetched);
    }

    /// Notes that an object is to be read again, if anybody refers to it.
    fn named_changed(&mut self, source: Source, name: Name, version: Option<String>) -> bool {
        let one = (source, name);
        if let Some(Some(ours)) = self.shelved.get(&one)
            && Some(ours) != version.as_ref()
        {
            self.disturbed.insert(one.clone());
        }
        let stale = match self.fetched.get(&one) {
            None => false,
            Some(Fetched::Present { version: known, .. }) => Some(known) != version.as_ref(),
            Some(Fetched::Absent | Fetched::Denied) => true,
        };
        if stale {
            // What the world holds of it stays until it is read again.
            self.fetched.remove(&one);
        }
        stale || self.disturbed.contains(&one)
    }

    fn named_gone(&mut self, source: Source, name: Name) -> bool {
        let one = (source, name);
        if matches!(self.shelved.get(&one), Some(Some(_))) {
            self.disturbed.insert(one.clone());
        }
        let known = matches!(self.fetched.get(&one), Some(Fetched::Present { .. }));
        if known {
            self.fetched.remove(&one);
        }
        known || self.disturbed.contains(&one)
    }

    /// After a list: what it did not name is gone, and what was denied may be asked for again.
    fn named_listed(&mut self, source: Source, namespace: &str, listed: &BTreeSet<Name>) -> bool {
        let here = |(kind, name): &&(Source, Name)| *kind == source && name.0 == namespace;
        let lost: Vec<_> = self
            .shelved
            .iter()
            .filter(|(one, version)| here(one) && version.is_some() && !listed.contains(&one.1))
            .map(|(one, _)| one.clone())
            .collect();
        let stale = self.fetched.iter().filter(|(one, fetched)| {
            here(one) && (**fetched == Fetched::Denied || matches!(fetched, Fetched::Present { .. }) && !listed.contains(&one.1))
        });
        let stale: Vec<_> = stale.map(|(one, _)| one.clone()).collect();
        let changed = !stale.is_empty() || !lost.is_empty();
        stale.iter().for_each(|one| drop(self.fetched.remove(one)));
        self.disturbed.extend(lost);
        changed
    }
}

#[cfg(test)]
mod tests {
    use crds::world::Parser;
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
    use serde_json::json;

    use super::*;

    fn object(kind: Kind, name: &str, form: usize, uid: usize) -> serde_json::Value {
        let auth = |secret: &str| json!({"type": "OpenAI", "auth": {"secretRef": {"name": secret, "key": "k"}}});
        let spec = match (kind, form % 4) {
            (Kind::LLMProvider, 0) => json!({"type": "Simulated"}),
            (Kind::LLMProvider, 1) => auth("a-key"),
            (Kind::LLMProvider, _) => {
                let endpoint = json!({"url": "https://llm.example.com/v1", "caConfigMapRef": {"name": "ca", "key": "k"}});
                json!({"type": "OpenAICompatible", "endpoint": endpoint, "auth": {"secretRef": {"name": "text", "key": "k"}}})
            }
            (_, 0) => json!({"source": {"type": "Hash", "sha256": "ab".repeat(32)}}),
            (_, 1) => json!({"source": {"type": "Generated"}}),
            (_, 2) => json!({"source": {"type": "SecretRef", "secretRef": {"name": "text", "key": "k"}}}),
            (_, _) => json!({"source": {"type": "malformed"}}),
        };
        json!({"apiVersion": "portolan.dev/v1alpha1", "kind": kind.to_string(), "spec": spec,
            "metadata": {"name": name, "namespace": "ai", "uid": format!("u{uid}"), "generation": form}})
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn what_is_wanted_is_what_a_walk_over_the_world_finds(steps in vec((any::<bool>(), 0..3_usize, 0..8_usize), 1..24)) {
            let (parser, mut seen) = (Parser::default(), Gathered::default());
            for (step, (provider, which, form)) in steps.into_iter().enumerate() {
                let kind = if provider { Kind::LLMProvider } else { Kind::VirtualKey };
                let name = ["a", "b", "c"][which];
                if form < 6 {
                    seen.put(&parser, kind, object(kind, name, form, step));
                } else {
                    seen.remove(&crds::report::ObjectId { kind, namespace: "ai".to_owned(), name: name.to_owned() });
                }
                let world = &seen.parsed.world;
                let keys = world.keys.keys().flat_map(|name| references(world, Kind::VirtualKey, name));
                let providers = world.providers.keys().flat_map(|name| references(world, Kind::LLMProvider, name));
                let mut found = BTreeMap::new();
                keys.chain(providers).for_each(|one| *found.entry(one).or_insert(0_usize) += 1);
                prop_assert_eq!(&seen.wanted, &found);
            }
        }
    }
}
