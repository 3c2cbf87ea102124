//! Secrets and ConfigMaps that objects refer to: one metadata watch for each namespace, `get` by name, nothing kept of
//! the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crds::api::virtual_key::SourceType;
use crds::world::{MADE_FOR, Name, World};
use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Resource, ResourceExt};

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

/// All that the objects of a world refer to.
#[must_use]
pub fn references(world: &World) -> BTreeSet<(Source, Name)> {
    let mut found = BTreeSet::new();
    let mut add = |source: Source, namespace: &str, name: &str| {
        found.insert((source, (namespace.to_owned(), name.to_owned())));
    };
    for ((namespace, _), provider) in &world.providers {
        let auth = provider.spec.auth.iter().flat_map(|auth| auth.secrets());
        let endpoint = provider.spec.endpoint.as_ref();
        let authority = endpoint.and_then(|endpoint| endpoint.ca_secret_ref.as_ref());
        for wanted in auth.chain(authority) {
            add(Source::Secret, namespace, &wanted.name);
        }
        if let Some(wanted) = endpoint.and_then(|endpoint| endpoint.ca_config_map_ref.as_ref()) {
            add(Source::ConfigMap, namespace, &wanted.name);
        }
    }
    for ((namespace, name), key) in &world.keys {
        let source = &key.spec.source;
        match source.kind {
            SourceType::Generated => add(Source::Secret, namespace, &source.generated.clone().unwrap_or_default().secret_of(name)),
            SourceType::SecretRef => {
                if let Some(wanted) = &source.secret_ref {
                    add(Source::Secret, namespace, &wanted.name);
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
            let wanted = references(&seen.parsed.world);
            let gateways: BTreeSet<&String> = seen.parsed.world.gateways.keys().map(|(namespace, _)| namespace).collect();
            let own =
                gateways.into_iter().flat_map(|namespace| [(Source::Secret, namespace.clone()), (Source::ConfigMap, namespace.clone())]);
            let places: BTreeSet<(Source, String)> =
                wanted.iter().map(|(source, (namespace, _))| (*source, namespace.clone())).chain(own).collect();
            for place in places {
                if seen.watched.insert(place.clone()) {
                    self.spawn(Arc::clone(self).watch_named(place));
                }
            }
            let idle: Vec<_> = seen.fetched.keys().filter(|one| !wanted.contains(*one)).cloned().collect();
            idle.iter().for_each(|one| seen.forget(one));
            wanted.into_iter().filter(|one| !seen.fetched.contains_key(one)).collect::<Vec<_>>()
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
    fn forget(&mut self, one: &(Source, Name)) {
        self.fetched.remove(one);
        self.empty(one);
    }

    fn empty(&mut self, (source, name): &(Source, Name)) {
        let world = &mut self.parsed.world;
        match source {
            Source::Secret => {
                world.secrets.remove(name);
                world.secret_owners.remove(name);
            }
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
                if let Some(uid) = found.annotations().get(MADE_FOR) {
                    self.parsed.world.secret_owners.insert(name.clone(), uid.clone());
                }
                let entries = found.data.unwrap_or_default().into_iter();
                self.parsed.world.secrets.insert(name.clone(), entries.map(|(key, value)| (key, snapshot::Secret::new(value.0))).collect());
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
