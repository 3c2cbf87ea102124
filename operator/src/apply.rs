//! Brings what was rendered into the cluster: server-side apply, under one name, and only over what is our own.
//!
//! `replicas` of the Deployment have one owner at a time. While an autoscaler decides, the operator does not say them; and
//! because an applied field that is no longer said would fall back to its default, it first lets another name hold it.

use std::collections::BTreeMap;

use crds::world::Name;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::gather::{Applied, Gather, hands};
use crate::lease::{Term, TermOver};
use crate::render::{self, Rendered, Subject, labels, seal_name};
use crate::seal::{self, SealError};

/// The name under which the operator owns fields.
pub const MANAGER: &str = "portolan-operator";
/// The name that holds `replicas` from when the operator lets go of them until an autoscaler takes them.
pub const KEEPER: &str = "portolan-operator-replicas";

/// Why a gateway does not run as it says.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Whoever led here leads no more.
    #[error(transparent)]
    TermOver(#[from] TermOver),
    /// Somebody else's object stands where ours would.
    #[error("{kind} {name} exists and does not belong to this gateway; rename one of them")]
    Foreign {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// No seal can be made.
    #[error("the platform gives no randomness")]
    Randomness,
    /// The API server did not take it.
    #[error("{kind} {name}: {error}")]
    Api {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What it said.
        error: Box<kube::Error>,
    },
}

impl ApplyError {
    /// Whether somebody must mend it; else it may be better in a moment.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::TermOver(_) | Self::Randomness => false,
            Self::Foreign { .. } => true,
            Self::Api { error, .. } => matches!(&**error, kube::Error::Api(status) if matches!(status.code, 400 | 403 | 422)),
        }
    }
}

/// What to do about `replicas` before the Deployment is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replicas {
    /// The operator says them.
    Said,
    /// An autoscaler does, and the operator does not own them.
    Left,
    /// Hand them over as they are, then let go.
    HandOver(i64),
    /// There is no Deployment yet: it begins with so many.
    Begin(i64),
}

/// Decides by the Deployment as it is, and the least that an autoscaler may choose.
#[must_use]
pub fn replicas(live: Option<&DynamicObject>, autoscaled_from: Option<i32>) -> Replicas {
    match (autoscaled_from, live) {
        (None, _) => Replicas::Said,
        (Some(least), None) => Replicas::Begin(i64::from(least)),
        (Some(_), Some(live)) if owns_replicas(live) => {
            Replicas::HandOver(live.data.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1))
        }
        (Some(_), Some(_)) => Replicas::Left,
    }
}

fn owns_replicas(live: &DynamicObject) -> bool {
    let entries = live.metadata.managed_fields.iter().flatten();
    let ours = entries.filter(|entry| entry.manager.as_deref() == Some(MANAGER) && entry.operation.as_deref() == Some("Apply"));
    ours.filter_map(|entry| entry.fields_v1.as_ref()).any(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
}

/// Whether the operator made it for this gateway.
#[must_use]
pub fn is_ours(found: &DynamicObject, gateway: &str) -> bool {
    let label = |key: &str, value: &str| found.labels().get(key).is_some_and(|found| found == value);
    let labelled = label("app.kubernetes.io/managed-by", MANAGER) && label(labels::GATEWAY, gateway);
    labelled || found.owner_references().iter().any(|owner| owner.kind == "LLMGateway" && owner.name == gateway)
}

/// Applies during a term; remembers what it applied.
pub struct Applier {
    client: Client,
    applied: BTreeMap<Name, Vec<Rendered>>,
}

impl Applier {
    /// Knows of nothing yet, so that each gateway is applied once.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, applied: BTreeMap::new() }
    }

    /// Applies what runs a gateway, if that changed since the last time, or in any case.
    ///
    /// # Errors
    /// See [`ApplyError`]. The rest is applied all the same; the first error is told.
    pub async fn gateway(&mut self, subject: Subject<'_>, again: bool, term: &Term, gather: &Gather) -> Result<(), ApplyError> {
        let gateway = (subject.namespace.to_owned(), subject.name.to_owned());
        let wanted = render::objects(subject);
        if !again && self.applied.get(&gateway) == Some(&wanted) {
            return Ok(());
        }
        self.applied.remove(&gateway);
        // Before the pods, so that none starts without it.
        term.check()?;
        let mut first = self.seal(subject).await.err();
        // What must go goes first: an autoscaler would go on changing what is then ours to say.
        let (gone, there): (Vec<_>, Vec<_>) = wanted.iter().partition(|one| one.body.is_none());
        for one in gone.into_iter().chain(there) {
            term.check()?;
            let done = self.one(one, subject, gather).await;
            first = first.or(done.err());
        }
        match first {
            None => {
                self.applied.insert(gateway, wanted);
                Ok(())
            }
            Some(error) => Err(error),
        }
    }

    async fn seal(&self, subject: Subject<'_>) -> Result<(), ApplyError> {
        let error = match seal::ensure(&self.client, subject).await {
            Ok(()) => return Ok(()),
            Err(SealError::Api(error)) => error,
            Err(SealError::Randomness) => return Err(ApplyError::Randomness),
        };
        Err(ApplyError::Api { kind: "Secret", name: seal_name(subject.name), error })
    }

    /// Forgets a gateway that is no more.
    pub fn forget(&mut self, keep: impl Fn(&Name) -> bool, gather: &Gather) {
        self.applied.retain(|gateway, _| keep(gateway));
        gather.look(|seen| seen.applied.retain(|_, applied| keep(&applied.gateway)));
    }

    async fn one(&self, one: &Rendered, subject: Subject<'_>, gather: &Gather) -> Result<(), ApplyError> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), subject.namespace, &one.resource);
        let failed = |error: kube::Error| ApplyError::Api { kind: one.kind, name: one.name.clone(), error: Box::new(error) };
        let live = api.get_opt(&one.name).await.map_err(failed)?;
        let ours = live.as_ref().is_none_or(|found| is_ours(found, subject.name));
        let key = (one.kind, (subject.namespace.to_owned(), one.name.clone()));
        // While it is written the watch must not take our own hand for another's.
        gather.look(|seen| seen.applied.remove(&key));
        let Some(body) = &one.body else {
            return match live {
                Some(found) if ours => delete(&api, &found).await.map_err(failed),
                Some(_) | None => Ok(()),
            };
        };
        if !ours {
            return Err(ApplyError::Foreign { kind: one.kind, name: one.name.clone() });
        }
        let least = subject.spec.autoscaling.as_ref().map(|scaling| scaling.min_replicas);
        let step = if one.kind == "Deployment" { replicas(live.as_ref(), least) } else { Replicas::Left };
        match step {
            Replicas::Said | Replicas::Left => {}
            Replicas::HandOver(count) => hand_over(&api, one, count).await.map_err(failed)?,
            Replicas::Begin(count) => {
                let mut first = body.clone();
                first["spec"]["replicas"] = json!(count);
                apply(&api, &one.name, MANAGER, &first).await.map_err(failed)?;
                hand_over(&api, one, count).await.map_err(failed)?;
            }
        }
        let stored = apply(&api, &one.name, MANAGER, body).await.map_err(failed)?;
        let applied = Applied {
            gateway: (subject.namespace.to_owned(), subject.name.to_owned()),
            hands: hands(&stored.metadata),
            generation: stored.metadata.generation,
        };
        gather.look(|seen| seen.applied.insert(key, applied));
        Ok(())
    }
}

async fn hand_over(api: &Api<DynamicObject>, one: &Rendered, count: i64) -> Result<(), kube::Error> {
    let only = json!({
        "apiVersion": one.resource.api_version,
        "kind": one.kind,
        "metadata": { "name": one.name },
        "spec": { "replicas": count },
    });
    apply(api, &one.name, KEEPER, &only).await.map(drop)
}

async fn apply(api: &Api<DynamicObject>, name: &str, manager: &str, body: &Value) -> Result<DynamicObject, kube::Error> {
    api.patch(name, &PatchParams::apply(manager).force(), &Patch::Apply(body)).await
}

async fn delete(api: &Api<DynamicObject>, found: &DynamicObject) -> Result<(), kube::Error> {
    let preconditions = Some(Preconditions { uid: found.uid(), resource_version: None });
    match api.delete(&found.name_any(), &DeleteParams { preconditions, ..DeleteParams::default() }).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}
