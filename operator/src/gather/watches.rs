//! The watches: objects of our kinds, pods, and what was rendered. Each runs as long as the process, through errors.

use std::collections::BTreeSet;
use std::sync::Arc;

use crds::api::budget::Budget;
use crds::api::cache_policy::CachePolicy;
use crds::api::llm_gateway::LLMGateway;
use crds::api::llm_provider::LLMProvider;
use crds::api::routing_policy::RoutingPolicy;
use crds::api::virtual_key::VirtualKey;
use crds::report::{Kind, ObjectId};
use crds::world::Name;
use futures::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Pod as ApiPod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, ApiResource, DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Resource, ResourceExt};

use super::pace::{Pace, Stumbling};
use super::{Deployed, Gather, Gathered, Pod};
use crate::render::labels;

impl Gather {
    /// Starts every watch of a namespace, or of all.
    pub(super) fn watch_scope(self: &Arc<Self>, scope: Option<&str>) {
        let kinds = [Kind::LLMGateway, Kind::LLMProvider, Kind::VirtualKey, Kind::RoutingPolicy, Kind::CachePolicy, Kind::Budget];
        for kind in kinds {
            let Some(resource) = resource(kind) else { continue };
            let api: Api<DynamicObject> = match scope {
                Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
                None => Api::all_with(self.client.clone(), &resource),
            };
            let (watch, scope) = (format!("{kind} {}", scope.unwrap_or("*")), scope.map(str::to_owned));
            self.look(|seen| seen.unsynced.insert(watch.clone()));
            self.spawn(Arc::clone(self).objects(api, kind, scope, watch));
        }
        self.spawn(Arc::clone(self).pods(self.api(scope), scope.map(str::to_owned)));
        self.spawn(Arc::clone(self).deployments(self.api(scope), scope.map(str::to_owned)));
        self.watch_rendered::<Deployment>("Deployment", scope);
        self.watch_rendered::<Service>("Service", scope);
        self.watch_rendered::<ServiceAccount>("ServiceAccount", scope);
        self.watch_rendered::<Role>("Role", scope);
        self.watch_rendered::<RoleBinding>("RoleBinding", scope);
        self.watch_rendered::<PodDisruptionBudget>("PodDisruptionBudget", scope);
        self.watch_rendered::<HorizontalPodAutoscaler>("HorizontalPodAutoscaler", scope);
        self.watch_rendered::<NetworkPolicy>("NetworkPolicy", scope);
    }

    fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self, scope: Option<&str>) -> Api<K> {
        match scope {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    async fn objects(self: Arc<Self>, api: Api<DynamicObject>, kind: Kind, scope: Option<String>, watch: String) {
        let mut events = std::pin::pin!(watcher::watcher(api, watcher::Config::default()).backoff(Pace::new()));
        let mut listed: BTreeSet<Name> = BTreeSet::new();
        let mut stumbling = Stumbling::default();
        while let Some(event) = events.next().await {
            event.iter().for_each(|event| stumbling.heard(event));
            let changed = match event {
                Ok(Event::Init) => {
                    listed.clear();
                    false
                }
                Ok(Event::InitApply(object)) => {
                    listed.insert(name_of(&object));
                    self.put(kind, &object)
                }
                Ok(Event::InitDone) => {
                    self.look(|seen| {
                        seen.keep(kind, scope.as_deref(), &listed);
                        seen.unsynced.remove(&watch);
                    });
                    true
                }
                Ok(Event::Apply(object)) => self.put(kind, &object),
                Ok(Event::Delete(object)) => {
                    let (namespace, name) = name_of(&object);
                    self.look(|seen| seen.remove(&ObjectId { kind, namespace, name }));
                    true
                }
                Err(error) => {
                    if stumbling.begins() {
                        tracing::warn!(%error, watch, "a watch stumbled");
                    }
                    false
                }
            };
            if changed {
                self.ring();
            }
        }
    }

    fn put(&self, kind: Kind, object: &DynamicObject) -> bool {
        match serde_json::to_value(object) {
            Ok(object) => self.look(|seen| seen.put(&self.parser, kind, object)),
            Err(error) => {
                tracing::warn!(%error, %kind, name = object.name_any(), "an object cannot be read");
                false
            }
        }
    }

    async fn pods(self: Arc<Self>, api: Api<ApiPod>, scope: Option<String>) {
        let config = watcher::Config::default().labels(labels::GATEWAY);
        let mut events = std::pin::pin!(watcher::watcher(api, config).backoff(Pace::new()));
        let mut listed: BTreeSet<Name> = BTreeSet::new();
        let mut stumbling = Stumbling::default();
        while let Some(event) = events.next().await {
            event.iter().for_each(|event| stumbling.heard(event));
            match event {
                // Those that are known stay until the list is whole: a watch that begins anew is no pod that goes.
                Ok(Event::Init) => {
                    listed.clear();
                    continue;
                }
                Ok(Event::InitApply(pod)) => {
                    listed.insert(name_of(&pod));
                    self.look(|seen| take_pod(seen, &pod));
                }
                Ok(Event::Apply(pod)) => self.look(|seen| take_pod(seen, &pod)),
                Ok(Event::Delete(pod)) => self.look(|seen| {
                    seen.pods.remove(&name_of(&pod));
                }),
                Ok(Event::InitDone) => self.look(|seen| seen.pods.retain(|name, _| !is_lost(name, scope.as_deref(), &listed))),
                Err(error) => {
                    if stumbling.begins() {
                        tracing::warn!(%error, "the watch of pods stumbled");
                    }
                    continue;
                }
            }
            self.pods_bell.notify_one();
        }
    }

    async fn deployments(self: Arc<Self>, api: Api<Deployment>, scope: Option<String>) {
        let config = watcher::Config::default().labels(labels::MANAGED);
        let mut events = std::pin::pin!(watcher::watcher(api, config).backoff(Pace::new()));
        let mut listed: BTreeSet<Name> = BTreeSet::new();
        let mut stumbling = Stumbling::default();
        while let Some(event) = events.next().await {
            event.iter().for_each(|event| stumbling.heard(event));
            match event {
                Ok(Event::Init) => {
                    listed.clear();
                    continue;
                }
                Ok(Event::InitApply(found)) => {
                    listed.insert(name_of(&found));
                    self.look(|seen| seen.deployments.insert(name_of(&found), deployed(&found)));
                }
                Ok(Event::Apply(found)) => drop(self.look(|seen| seen.deployments.insert(name_of(&found), deployed(&found)))),
                Ok(Event::Delete(found)) => drop(self.look(|seen| seen.deployments.remove(&name_of(&found)))),
                Ok(Event::InitDone) => self.look(|seen| seen.deployments.retain(|name, _| !is_lost(name, scope.as_deref(), &listed))),
                Err(error) => {
                    if stumbling.begins() {
                        tracing::warn!(%error, "the watch of Deployments stumbled");
                    }
                    continue;
                }
            }
            self.pods_bell.notify_one();
        }
    }

    /// Watches what the operator wrote, to write it again when another hand changes it.
    fn watch_rendered<K>(self: &Arc<Self>, kind: &'static str, scope: Option<&str>)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
        K: serde::de::DeserializeOwned,
    {
        let api: Api<PartialObjectMeta<K>> = self.api(scope);
        let config = watcher::Config::default().labels(labels::MANAGED);
        let events = watcher::watcher(api, config).backoff(Pace::new());
        self.spawn(Arc::clone(self).rendered(kind, scope.map(str::to_owned), events));
    }

    async fn rendered<K: Resource>(
        self: Arc<Self>,
        kind: &'static str,
        scope: Option<String>,
        events: impl Stream<Item = watcher::Result<Event<PartialObjectMeta<K>>>>,
    ) {
        let mut events = std::pin::pin!(events);
        let mut listed: BTreeSet<Name> = BTreeSet::new();
        let mut stumbling = Stumbling::default();
        while let Some(event) = events.next().await {
            event.iter().for_each(|event| stumbling.heard(event));
            let strayed = match event {
                Ok(Event::Init) => {
                    listed.clear();
                    false
                }
                Ok(Event::InitApply(found)) => {
                    listed.insert(meta_name(&found.metadata));
                    self.look(|seen| changed(seen, kind, &found.metadata))
                }
                Ok(Event::Apply(found)) => self.look(|seen| changed(seen, kind, &found.metadata)),
                Ok(Event::Delete(found)) => self.look(|seen| deleted(seen, kind, &meta_name(&found.metadata))),
                Ok(Event::InitDone) => self.look(|seen| {
                    let here = seen.applied.keys().filter(|(applied, name)| *applied == kind && is_lost(name, scope.as_deref(), &listed));
                    let lost: Vec<Name> = here.map(|(_, name)| name.clone()).collect();
                    // One that was written while the list was on its way is written once more: nothing changes.
                    lost.iter().filter(|name| deleted(seen, kind, name)).count() > 0
                }),
                Err(error) => {
                    if stumbling.begins() {
                        tracing::warn!(%error, kind, "the watch of what was rendered stumbled");
                    }
                    false
                }
            };
            if strayed {
                self.ring();
            }
        }
    }
}

/// Where the API server has objects of a kind; documents that are none have no place there.
#[must_use]
pub fn resource(kind: Kind) -> Option<ApiResource> {
    match kind {
        Kind::LLMGateway => Some(ApiResource::erase::<LLMGateway>(&())),
        Kind::LLMProvider => Some(ApiResource::erase::<LLMProvider>(&())),
        Kind::VirtualKey => Some(ApiResource::erase::<VirtualKey>(&())),
        Kind::RoutingPolicy => Some(ApiResource::erase::<RoutingPolicy>(&())),
        Kind::CachePolicy => Some(ApiResource::erase::<CachePolicy>(&())),
        Kind::Budget => Some(ApiResource::erase::<Budget>(&())),
        Kind::Document => None,
    }
}

/// Who wrote what of an object and when, but for its status: it differs when another hand was there.
#[must_use]
pub fn hands(metadata: &ObjectMeta) -> String {
    let entries = metadata.managed_fields.iter().flatten().filter(|entry| entry.subresource.is_none());
    let text = entries.map(|entry| {
        let time = entry.time.as_ref().map(|time| time.0.to_string()).unwrap_or_default();
        format!("{} {} {time}", entry.manager.as_deref().unwrap_or_default(), entry.operation.as_deref().unwrap_or_default())
    });
    text.collect::<Vec<_>>().join(", ")
}

fn deployed(found: &Deployment) -> Deployed {
    let status = found.status.clone().unwrap_or_default();
    let replicas = status.replicas.unwrap_or(0);
    let updated = status.updated_replicas.unwrap_or(0);
    let wanted = found.spec.replicas.unwrap_or(1);
    let ready = status.ready_replicas.unwrap_or(0);
    let observed = status.observed_generation >= found.metadata.generation;
    Deployed { replicas, rolled_out: observed && updated == replicas && updated >= wanted && ready >= wanted }
}

pub(super) fn name_of<K: ResourceExt>(object: &K) -> Name {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn meta_name(metadata: &ObjectMeta) -> Name {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

/// Whether another hand changed what the operator wrote. A status moves neither the generation nor the hands.
fn changed(seen: &mut Gathered, kind: &'static str, found: &ObjectMeta) -> bool {
    let Some(applied) = seen.applied.get(&(kind, meta_name(found))) else { return false };
    let same = match (applied.generation, found.generation) {
        (Some(ours), Some(theirs)) => theirs <= ours,
        _ => hands(found) == applied.hands,
    };
    if !same {
        seen.strayed.insert(applied.gateway.clone());
    }
    !same
}

fn deleted(seen: &mut Gathered, kind: &'static str, found: &Name) -> bool {
    let Some(applied) = seen.applied.remove(&(kind, found.clone())) else { return false };
    seen.strayed.insert(applied.gateway);
    true
}

/// Whether a list of a namespace, or of all, would have named it and did not.
fn is_lost(name: &Name, scope: Option<&str>, listed: &BTreeSet<Name>) -> bool {
    scope.is_none_or(|scope| name.0 == scope) && !listed.contains(name)
}

fn take_pod(seen: &mut Gathered, pod: &ApiPod) {
    let name = name_of(pod);
    let Some(gateway) = pod.labels().get(labels::GATEWAY) else { return };
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let pod = Pod {
        gateway: (name.0.clone(), gateway.clone()),
        uid: pod.uid().unwrap_or_default(),
        address: status.and_then(|status| status.pod_ip.clone()),
        ready: ready && pod.metadata.deletion_timestamp.is_none(),
    };
    seen.pods.insert(name, pod);
}
