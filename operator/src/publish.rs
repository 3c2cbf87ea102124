//! Puts a gateway's configuration where its pods find it: parts first, the index last.
//!
//! Every write carries the resource version that this leader last saw, or says that nothing is there yet. Another's write
//! in between is a conflict, and a conflict ends the term: so no leader of the past brings back what was revoked. What such
//! a leader still has under way inside the API server may name parts that are about to be written over: so the first thing
//! that is written on a shelf is its index as it stands, which gives it a new version and makes what is under way conflict.

pub mod guard;
pub mod purse;
pub mod supply;
pub mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::compile::Config;
use crds::world::Name;
use futures::{StreamExt, stream};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};
use snapshot::GatewayId;
use snapshot::bundle::{self, Index, PARTS, Slot, Torn, Write};

use crate::clock;
use crate::gather::{Gather, Source};
use crate::lease::{Term, TermOver};
use crate::metrics::Metrics;
use crate::render::labels;

/// The key of the index in its ConfigMap.
pub const INDEX_KEY: &str = "index";
/// What tells an index that stands from the same one before: no write is one that changes nothing.
const FENCE: &str = "portolan.dev/fence";
/// The key of a part in its object.
pub const PART_KEY: &str = "part";
const AT_ONCE: usize = 16;

/// Why a configuration was not published. What was published before stands.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Whoever led here leads no more.
    #[error(transparent)]
    TermOver(#[from] TermOver),
    /// The API server did not take a write, or did not answer a question.
    #[error("{object} was not written or read: {error}")]
    Api {
        /// Which.
        object: String,
        /// What it said.
        error: Box<kube::Error>,
    },
    /// It does not fit a bundle.
    #[error(transparent)]
    Bundle(#[from] bundle::PublishError),
    /// An operator of a newer version wrote what is there.
    #[error("what is published is newer than this operator: {0}")]
    Newer(Torn),
}

impl PublishError {
    /// Whether the API server answered, and said no.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Api { error, .. } if matches!(&**error, kube::Error::Api(status) if matches!(status.code, 403 | 404)))
    }
}

/// What a gateway's pods find, as this leader knows it.
pub struct Shelf {
    client: Client,
    gateway: GatewayId,
    /// What is published; absent when there is nothing whole.
    index: Option<Index>,
    /// What it says.
    published: Option<Arc<Config>>,
    /// The parts that the index names are what this version cuts of it, and need not be cut again to know so.
    cut: bool,
    /// Resource versions of all objects that are there.
    versions: BTreeMap<(Source, Name), String>,
    /// What is known of it is what is there. Who had no answer to a write does not know: the index that was to be written
    /// may be published, and parts that it names must not be written over.
    sure: bool,
    /// The index as it was read, until this hand has fenced it off.
    unfenced: Option<Unfenced>,
    /// The mark of a fence that had no answer.
    tried: Option<String>,
}

/// An index that somebody may still be about to write.
struct Unfenced {
    data: BTreeMap<String, String>,
    mark: Option<String>,
}

impl Shelf {
    /// Reads what is there. `floor` is the highest sequence that anybody remembers: should the index be lost, the next one
    /// is higher all the same.
    ///
    /// # Errors
    /// The API server does not answer, or what is there is newer.
    pub async fn read(client: Client, gateway: GatewayId, floor: u64) -> Result<Self, PublishError> {
        let versions = BTreeMap::new();
        let mut shelf =
            Self { client, gateway, index: None, published: None, cut: false, versions, sure: true, unfenced: None, tried: None };
        let index = shelf.index_bytes().await?;
        let parsed = index.as_deref().map(|bytes| Index::parse(&shelf.gateway, bytes));
        shelf.index = match parsed {
            Some(Ok(index)) => Some(index),
            Some(Err(torn @ Torn::SchemaTooNew { .. })) => return Err(PublishError::Newer(torn)),
            Some(Err(torn)) => {
                tracing::warn!(%torn, gateway = shelf.gateway.as_str(), "the index cannot be used; it is written anew");
                None
            }
            None => None,
        };
        let parts = shelf.parts().await?;
        let taken = |name: &str, _| parts.get(name);
        shelf.published = match index.as_deref().filter(|_| shelf.index.is_some()).map(|bytes| bundle::join(&shelf.gateway, bytes, taken)) {
            Some(Ok(joined)) => {
                // Another version may have cut it otherwise, or written what is refused here.
                let again = bundle::publish(Some(&joined.index), &joined.snapshot, &joined.credentials);
                shelf.cut = joined.refused.is_empty() && again.is_ok_and(|again| again.writes.is_empty());
                Some(Arc::new(Config { snapshot: joined.snapshot, credentials: joined.credentials }))
            }
            Some(Err(torn)) => {
                tracing::warn!(%torn, gateway = shelf.gateway.as_str(), "what is published is not whole; it is written anew");
                None
            }
            None => None,
        };
        let found = shelf.index.as_ref().map_or(0, |index| index.sequence);
        if shelf.published.is_none() && (found > 0 || floor > 0) {
            // Names no part, so that every part is written; and keeps the sequence.
            shelf.index = Some(Index {
                gateway: shelf.gateway.clone(),
                sequence: floor.max(found),
                digest: String::new(),
                schema: snapshot::SCHEMA,
                requires: Vec::new(),
                parts: Vec::new(),
            });
        }
        Ok(shelf)
    }

    /// Whether what is known of it is what is there; else it must be read again before anything is written.
    #[must_use]
    pub fn is_sure(&self) -> bool {
        self.sure
    }

    /// What is published.
    #[must_use]
    pub fn published(&self) -> Option<&Arc<Config>> {
        self.published.as_ref()
    }

    /// Keeps an equal configuration in the place of what is published, so that there is one of them.
    pub fn share(&mut self, same: &Arc<Config>) {
        debug_assert!(self.published.as_ref() == Some(same), "another one is not published by this");
        self.published = Some(Arc::clone(same));
    }

    /// The sequence and revision that are published.
    #[must_use]
    pub fn revision(&self) -> Option<(u64, String)> {
        let index = self.index.as_ref().filter(|_| self.published.is_some())?;
        Some((index.sequence, format!("{}-{}", index.sequence, index.digest.get(..8).unwrap_or_default())))
    }

    /// What would be written for a configuration.
    ///
    /// # Errors
    /// It does not fit a bundle.
    pub fn plan(&self, config: &Config) -> Result<bundle::Published, PublishError> {
        let Config { snapshot, credentials } = config;
        let known = self.index.as_ref().zip(self.published.as_ref()).filter(|_| self.cut);
        Ok(match known {
            Some((index, published)) => {
                let before = bundle::Before { index, snapshot: &published.snapshot, credentials: &published.credentials };
                bundle::publish_over(&before, snapshot, credentials)?
            }
            None => bundle::publish(self.index.as_ref(), snapshot, credentials)?,
        })
    }

    /// Writes a plan of [`Self::plan`] for this very configuration: parts beside one another, the index after all of them.
    ///
    /// # Errors
    /// The term is over, or the API server refused. What the index names is whole all the same.
    pub async fn write(&mut self, plan: bundle::Published, config: &Arc<Config>, hands: &Hands<'_>) -> Result<(), PublishError> {
        let index = bundle::index_name(&self.gateway);
        self.sure = false;
        self.fence(hands).await?;
        let (last, parts): (Vec<_>, Vec<_>) = plan.writes.into_iter().partition(|write| write.name == index);
        for writes in [parts, last] {
            let this = &*self;
            let done: Vec<_> = stream::iter(writes).map(|write| this.write_one(write, hands)).buffer_unordered(AT_ONCE).collect().await;
            let mut failed = None;
            for written in done {
                match written {
                    Ok((one, version)) => drop(self.versions.insert(one, version)),
                    // That the term is over says more than what else went wrong.
                    Err(error @ PublishError::TermOver(_)) => failed = Some(error),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            failed.map_or(Ok(()), Err)?;
        }
        self.index = Some(plan.index);
        (self.published, self.cut, self.sure) = (Some(Arc::clone(config)), true, true);
        Ok(())
    }

    /// Makes every write of the index that is under way a conflict.
    async fn fence(&mut self, hands: &Hands<'_>) -> Result<(), PublishError> {
        let Some(Unfenced { data, .. }) = &self.unfenced else { return Ok(()) };
        hands.term.check()?;
        hands.metrics.writes.with_label_values(&["index"]).inc();
        hands.metrics.write_bytes.inc_by(data.values().map(|text| text.len() as u64).sum());
        let one = (Source::ConfigMap, (self.gateway.namespace().to_owned(), bundle::index_name(&self.gateway)));
        let (mut metadata, mark) = (self.metadata(&one, hands), clock::timestamp().to_string());
        metadata.annotations = Some(BTreeMap::from([(FENCE.to_owned(), mark.clone())]));
        let map = ConfigMap { metadata, data: Some(data.clone()), ..ConfigMap::default() };
        self.tried = Some(mark);
        hands.gather.look(|seen| seen.shelved.insert(one.clone(), None));
        let (one, version) = Self::told(one, self.put_config_map(map).await, hands)?;
        self.versions.insert(one, version);
        (self.unfenced, self.tried) = (None, None);
        Ok(())
    }

    /// The same, read after `before` had no answer: a fence that stands is one, whoever heard of it.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        let stands = self.unfenced.as_ref().and_then(|unfenced| unfenced.mark.as_ref());
        if stands.is_some() && stands == before.tried.as_ref() {
            self.unfenced = None;
        }
        self
    }

    fn metadata(&self, one: &(Source, Name), hands: &Hands<'_>) -> ObjectMeta {
        let (_, (namespace, name)) = one;
        ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(namespace.clone()),
            resource_version: self.versions.get(one).cloned(),
            owner_references: Some(vec![hands.owner.clone()]),
            labels: Some(labels::of(self.gateway.name())),
            ..ObjectMeta::default()
        }
    }

    async fn write_one(&self, write: Write, hands: &Hands<'_>) -> Result<((Source, Name), String), PublishError> {
        hands.term.check()?;
        let index = write.name == bundle::index_name(&self.gateway);
        hands.metrics.writes.with_label_values(&[if index { "index" } else { "part" }]).inc();
        hands.metrics.write_bytes.inc_by(write.bytes.len() as u64);
        let source = if write.secret { Source::Secret } else { Source::ConfigMap };
        let one = (source, (self.gateway.namespace().to_owned(), write.name));
        let metadata = self.metadata(&one, hands);
        hands.gather.look(|seen| seen.shelved.insert(one.clone(), None));
        let written = match source {
            Source::Secret => self.put_secret(metadata, write.bytes).await,
            Source::ConfigMap if index => {
                // The index is JSON: text, which people may read.
                let text = String::from_utf8(write.bytes).unwrap_or_default();
                let data = Some(BTreeMap::from([(INDEX_KEY.to_owned(), text)]));
                self.put_config_map(ConfigMap { metadata, data, ..ConfigMap::default() }).await
            }
            Source::ConfigMap => {
                let binary_data = Some(BTreeMap::from([(PART_KEY.to_owned(), ByteString(write.bytes))]));
                self.put_config_map(ConfigMap { metadata, binary_data, ..ConfigMap::default() }).await
            }
        };
        Self::told(one, written, hands)
    }

    /// What the answer to a write means.
    fn told(
        one: (Source, Name),
        written: Result<String, kube::Error>,
        hands: &Hands<'_>,
    ) -> Result<((Source, Name), String), PublishError> {
        match written {
            Ok(version) => {
                hands.gather.look(|seen| seen.shelved.insert(one.clone(), Some(version.clone())));
                Ok((one, version))
            }
            // Another wrote here, or took away what was here.
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => {
                let (_, (_, object)) = one;
                tracing::warn!(object, reason = status.reason, "another hand wrote where the leader writes: the term is over");
                hands.term.end();
                Err(TermOver.into())
            }
            Err(error) => Err(PublishError::Api { object: one.1.1, error: Box::new(error) }),
        }
    }

    async fn put_secret(&self, metadata: ObjectMeta, bytes: Vec<u8>) -> Result<String, kube::Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), self.gateway.namespace());
        let data = Some(BTreeMap::from([(PART_KEY.to_owned(), ByteString(bytes))]));
        let secret = Secret { metadata, data, ..Secret::default() };
        let stored = match &secret.metadata.resource_version {
            Some(_) => api.replace(&secret.name_any(), &PostParams::default(), &secret).await?,
            None => api.create(&PostParams::default(), &secret).await?,
        };
        Ok(stored.resource_version().unwrap_or_default())
    }

    async fn put_config_map(&self, map: ConfigMap) -> Result<String, kube::Error> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), self.gateway.namespace());
        let stored = match &map.metadata.resource_version {
            Some(_) => api.replace(&map.name_any(), &PostParams::default(), &map).await?,
            None => api.create(&PostParams::default(), &map).await?,
        };
        Ok(stored.resource_version().unwrap_or_default())
    }

    async fn index_bytes(&mut self) -> Result<Option<Vec<u8>>, PublishError> {
        let name = bundle::index_name(&self.gateway);
        let Some(map) = self.config_map(&name).await? else { return Ok(None) };
        let mark = map.annotations().get(FENCE).cloned();
        self.unfenced = Some(Unfenced { data: map.data.clone().unwrap_or_default(), mark });
        Ok(map.data.and_then(|mut data| data.remove(INDEX_KEY)).map(String::into_bytes).or(Some(Vec::new())))
    }

    /// The bytes of all parts in both slots, by object name; notes their versions.
    async fn parts(&mut self) -> Result<BTreeMap<String, Vec<u8>>, PublishError> {
        let names = (0..PARTS).flat_map(|number| [(number, Slot::A), (number, Slot::B)]);
        let this = &*self;
        let reads = names.map(|(number, slot)| async move {
            let name = bundle::part_name(&this.gateway, number, slot);
            let (source, found) = match bundle::PartKind::of(number) {
                bundle::PartKind::Credentials => (Source::Secret, this.secret_part(&name).await?),
                bundle::PartKind::Config => (Source::ConfigMap, this.config_part(&name).await?),
            };
            Ok::<_, PublishError>((source, name, found))
        });
        let answers: Vec<_> = stream::iter(reads).buffer_unordered(AT_ONCE).collect().await;
        let mut parts = BTreeMap::new();
        for answer in answers {
            let (source, name, found) = answer?;
            if let Some((version, bytes)) = found {
                self.versions.insert((source, (self.gateway.namespace().to_owned(), name.clone())), version);
                parts.insert(name, bytes);
            }
        }
        Ok(parts)
    }

    async fn secret_part(&self, name: &str) -> Result<Option<(String, Vec<u8>)>, PublishError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), self.gateway.namespace());
        let found = api.get_opt(name).await.map_err(|error| PublishError::Api { object: name.to_owned(), error: Box::new(error) })?;
        Ok(found.map(|secret| {
            let version = secret.resource_version().unwrap_or_default();
            (version, secret.data.and_then(|mut data| data.remove(PART_KEY)).map(|bytes| bytes.0).unwrap_or_default())
        }))
    }

    async fn config_part(&self, name: &str) -> Result<Option<(String, Vec<u8>)>, PublishError> {
        let found = self.get_config_map(name).await?;
        Ok(found.map(|map| {
            let version = map.resource_version().unwrap_or_default();
            (version, map.binary_data.and_then(|mut data| data.remove(PART_KEY)).map(|bytes| bytes.0).unwrap_or_default())
        }))
    }

    async fn config_map(&mut self, name: &str) -> Result<Option<ConfigMap>, PublishError> {
        let found = self.get_config_map(name).await?;
        if let Some(map) = &found {
            let one = (Source::ConfigMap, (self.gateway.namespace().to_owned(), name.to_owned()));
            self.versions.insert(one, map.resource_version().unwrap_or_default());
        }
        Ok(found)
    }

    async fn get_config_map(&self, name: &str) -> Result<Option<ConfigMap>, PublishError> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), self.gateway.namespace());
        api.get_opt(name).await.map_err(|error| PublishError::Api { object: name.to_owned(), error: Box::new(error) })
    }

    /// Tells the watches which objects to guard.
    pub fn guard(&self, gather: &Gather) {
        gather.look(|seen| {
            for (one, version) in &self.versions {
                seen.shelved.insert(one.clone(), Some(version.clone()));
            }
            let (namespace, prefix) = (self.gateway.namespace(), bundle::index_name(&self.gateway));
            seen.disturbed.retain(|(_, name)| name.0 != namespace || !name.1.starts_with(&prefix));
        });
    }
}

/// What a write needs beside its bytes.
pub struct Hands<'a> {
    /// The right to write.
    pub term: &'a Term,
    /// Who guards what was written.
    pub gather: &'a Gather,
    /// The LLMGateway; what is written goes with it.
    pub owner: OwnerReference,
    /// What is counted.
    pub metrics: &'a Metrics,
}
