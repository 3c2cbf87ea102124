//! The world as it was last seen: watches feed it, one lock guards it, whoever changes it rings the bell.
//!
//! Objects of our kinds are watched untyped, so that one that is malformed (stored before the schema was tightened) stops
//! no watch and becomes a report instead. Of Secrets and ConfigMaps only those that objects refer to are read, by name.

mod named;
mod pace;
mod watches;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crds::report::{Kind, ObjectId};
use crds::world::{Name, Parsed, Parser};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub use named::{Fetched, Source};
pub use watches::{hands, resource};

/// Annotations that begin so are ours; no others are kept.
pub const PREFIX: &str = "portolan.dev/";

/// What is known of an object beside what the compiler sees.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its UID.
    pub uid: String,
    /// Its generation.
    pub generation: i64,
    /// Its annotations below [`PREFIX`].
    pub annotations: BTreeMap<String, String>,
    /// Its status as last seen or written.
    pub status: Told,
}

/// A status as text: a tenth of what it takes as a tree, and there are many thousand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told(Box<str>);

impl Told {
    /// Of a tree.
    #[must_use]
    pub fn of(status: &Value) -> Self {
        if status.is_null() { Self::default() } else { Self(status.to_string().into()) }
    }

    /// As a tree.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// A pod of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Of which gateway.
    pub gateway: Name,
    /// Its UID.
    pub uid: String,
    /// Its address, once it has one.
    pub address: Option<String>,
    /// Ready, and not leaving.
    pub ready: bool,
}

/// A Deployment of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// Pods that it has.
    pub replicas: i32,
    /// All that it should have are there, of its newest template, and ready.
    pub rolled_out: bool,
}

/// Everything that was seen.
#[derive(Default)]
pub struct Gathered {
    /// For the compiler.
    pub parsed: Parsed,
    /// Beside it.
    pub known: BTreeMap<ObjectId, Known>,
    /// Pods of gateways.
    pub pods: BTreeMap<Name, Pod>,
    /// Deployments of gateways.
    pub deployments: BTreeMap<Name, Deployed>,
    /// Secrets and ConfigMaps that objects refer to.
    pub fetched: BTreeMap<(Source, Name), Fetched>,
    /// Resource versions of objects that the publisher wrote; None while it is writing.
    pub shelved: BTreeMap<(Source, Name), Option<String>>,
    /// Of those, which another hand changed.
    pub disturbed: BTreeSet<(Source, Name)>,
    /// Generations of workload objects that the operator wrote, by kind and name; others' changes are told by `strayed`.
    pub applied: BTreeMap<(&'static str, Name), Applied>,
    /// Gateways of which a workload object was changed or deleted by another hand.
    pub strayed: BTreeSet<Name>,
    /// Objects whose status is being written: what the watch says of it is older than what we know.
    pub telling: BTreeSet<ObjectId>,
    /// What objects refer to, and how many of them do.
    wanted: BTreeMap<(Source, Name), usize>,
    watched: BTreeSet<(Source, String)>,
    unsynced: BTreeSet<String>,
}

/// What the operator wrote last of a workload object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// For which gateway.
    pub gateway: Name,
    /// Who had written what of it, see [`hands`].
    pub hands: String,
    /// Its generation then, for kinds that have one.
    pub generation: Option<i64>,
}

/// The watches and what they saw.
pub struct Gather {
    client: Client,
    parser: Parser,
    seen: Mutex<Gathered>,
    bell: Notify,
    pods_bell: Notify,
    tasks: Mutex<JoinSet<()>>,
    started: AtomicBool,
}

/// The world could not be read; nothing may be concluded from it.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// The API server did not give something that objects refer to, and did not say that it is not there.
    #[error("{source_kind:?} {namespace}/{name} cannot be read: {error}")]
    Unreadable {
        /// Secret or ConfigMap.
        source_kind: Source,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What the API server said.
        error: Box<kube::Error>,
    },
}

impl Gather {
    /// Starts watching these namespaces; all of them when none is named.
    #[must_use]
    pub fn start(client: Client, namespaces: &[String]) -> Arc<Self> {
        let gather = Arc::new(Self {
            client,
            parser: Parser::default(),
            seen: Mutex::default(),
            bell: Notify::new(),
            pods_bell: Notify::new(),
            tasks: Mutex::default(),
            started: AtomicBool::new(false),
        });
        gather.look(|seen| seen.parsed.world.cluster = true);
        let scopes: Vec<Option<String>> = if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect() };
        for scope in scopes {
            gather.watch_scope(scope.as_deref());
        }
        gather.started.store(true, Relaxed);
        gather
    }

    /// Looks at what was seen. The look must be short: watches wait.
    pub fn look<T>(&self, look: impl FnOnce(&mut Gathered) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something changed since the last time.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }

    /// Waits until a pod changed since the last time.
    pub async fn pods_changed(&self) {
        self.pods_bell.notified().await;
    }

    /// Rings the bell.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Whether every watch has seen all that there is.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.started.load(Relaxed) && self.look(|seen| seen.unsynced.is_empty())
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }
}

impl Gathered {
    /// Takes an object of one of our kinds in; true when the compiler would see a difference.
    fn put(&mut self, parser: &Parser, kind: Kind, mut object: Value) -> bool {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = ObjectId { kind, namespace: text("/metadata/namespace"), name: text("/metadata/name") };
        let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object).into_iter().flatten();
        let ours = annotations
            .filter(|(key, _)| key.starts_with(PREFIX))
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        let mut known = Known {
            uid: text("/metadata/uid"),
            generation: object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0),
            annotations: ours.collect(),
            status: object.get_mut("status").map(|status| Told::of(&status.take())).unwrap_or_default(),
        };
        let before = self.known.get(&id);
        let same =
            before.is_some_and(|old| old.uid == known.uid && old.generation == known.generation && old.annotations == known.annotations);
        if let Some(old) = before.filter(|old| old.uid == known.uid && self.telling.contains(&id)) {
            known.status = old.status.clone();
        }
        let name = (id.namespace.clone(), id.name.clone());
        self.known.insert(id, known);
        if !same {
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                // Neither is the compiler's business, and both are large.
                metadata.remove("managedFields");
                metadata.remove("annotations");
            }
            self.refer(kind, &name, |seen| parser.put(&mut seen.parsed, object));
        }
        !same
    }

    /// Forgets what belonged to an earlier term.
    pub fn begin_term(&mut self) {
        self.shelved.clear();
        self.disturbed.clear();
        self.applied.clear();
        self.strayed.clear();
        self.telling.clear();
    }

    fn remove(&mut self, id: &ObjectId) {
        self.known.remove(id);
        let name = (id.namespace.clone(), id.name.clone());
        self.refer(id.kind, &name, |seen| seen.parsed.remove(id.kind, &name));
    }

    /// Takes out the objects of a kind, in a namespace or anywhere, that a list did not name.
    fn keep(&mut self, kind: Kind, scope: Option<&str>, listed: &BTreeSet<Name>) {
        let gone = |id: &&ObjectId| {
            id.kind == kind && scope.is_none_or(|scope| id.namespace == scope) && !listed.contains(&(id.namespace.clone(), id.name.clone()))
        };
        let gone: Vec<ObjectId> = self.known.keys().filter(gone).cloned().collect();
        gone.iter().for_each(|id| self.remove(id));
    }

    /// When an object was made, for those that have no clock of their own.
    #[must_use]
    pub fn known_of(&self, id: &ObjectId) -> Option<&Known> {
        self.known.get(id)
    }
}

/// When a text of RFC 3339 is.
#[must_use]
pub fn time_of(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}
