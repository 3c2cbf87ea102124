//! Writes statuses and Events: apart from everything else, so that no publishing waits for them.
//!
//! The queue holds one text for each object; a newer one takes its place. So it is never longer than there are objects. Of
//! an object one text is on its way at a time: two could overtake one another, and the older one would stay.

mod event;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crds::report::ObjectId;
use futures::future::join_all;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::apply::MANAGER;
use crate::gather::{Gather, Told, resource};
use crate::lease::Term;
use crate::metrics::Metrics;

/// Statuses that are written at once.
const WRITERS: usize = 8;
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// So often is a status tried.
const ATTEMPTS: u32 = 5;

/// A status to be written.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    uid: String,
    status: Told,
    attempts: u32,
}

#[derive(Default)]
struct Queue {
    order: VecDeque<ObjectId>,
    wanted: BTreeMap<ObjectId, Wanted>,
    /// Objects whose status is on its way; what comes for them meanwhile waits here.
    writing: BTreeSet<ObjectId>,
}

impl Queue {
    fn put(&mut self, id: ObjectId, wanted: Wanted, newer: bool) {
        if !newer && self.wanted.contains_key(&id) {
            return;
        }
        if self.wanted.insert(id.clone(), wanted).is_none() && !self.writing.contains(&id) {
            self.order.push_back(id);
        }
    }

    /// The next that may be written. [`Self::written`] must follow.
    fn next(&mut self) -> Option<(ObjectId, Wanted)> {
        while let Some(id) = self.order.pop_front() {
            // One may stand here twice: taken back, and put again.
            if self.writing.contains(&id) {
                continue;
            }
            if let Some(wanted) = self.wanted.remove(&id) {
                self.writing.insert(id.clone());
                return Some((id, wanted));
            }
        }
        None
    }

    fn written(&mut self, id: &ObjectId) {
        self.writing.remove(id);
        if self.wanted.contains_key(id) {
            self.order.push_back(id.clone());
        }
    }
}

/// Tells what became of objects.
pub struct Teller {
    client: Client,
    metrics: Metrics,
    queue: Mutex<Queue>,
    filled: Notify,
}

impl Teller {
    /// Has nothing to tell yet.
    #[must_use]
    pub fn new(client: Client, metrics: Metrics) -> Self {
        Self { client, metrics, queue: Mutex::default(), filled: Notify::new() }
    }

    /// Has a status written, in the place of one that still waits.
    pub fn tell(&self, id: ObjectId, uid: String, status: &Value) {
        self.put(id, Wanted { uid, status: Told::of(status), attempts: 0 }, true);
    }

    /// What still waits for an object is outdated: its status is right, unless another is on its way, which it then follows.
    pub fn withdraw(&self, id: &ObjectId, uid: &str, status: &Value) {
        self.look(|queue| {
            queue.wanted.remove(id);
            if queue.writing.contains(id) {
                queue.put(id.clone(), Wanted { uid: uid.to_owned(), status: Told::of(status), attempts: 0 }, true);
            }
        });
    }

    fn put(&self, id: ObjectId, wanted: Wanted, newer: bool) {
        self.look(|queue| queue.put(id, wanted, newer));
        self.filled.notify_one();
    }

    /// Writes until the term is over.
    pub async fn work(&self, gather: &Gather, term: &Term) {
        join_all((0..WRITERS).map(|_| self.writer(gather, term))).await;
    }

    async fn writer(&self, gather: &Gather, term: &Term) {
        while term.check().is_ok() {
            let Some((id, wanted)) = self.look(Queue::next) else {
                self.filled.notified().await;
                continue;
            };
            // Others may sleep while there is more.
            self.filled.notify_one();
            let written = self.write(gather, &id, &wanted).await;
            self.look(|queue| queue.written(&id));
            self.filled.notify_one();
            if let Err(error) = written {
                // What the API server says no to is tried a few times; while it says nothing, for ever.
                let code = if let kube::Error::Api(status) = &error { status.code } else { 0 };
                let attempts = wanted.attempts + u32::from((400..500).contains(&code) && code != 429);
                if code == 422 {
                    // So malformed that the API server takes no status of it: an Event must do.
                    self.announce(&id, &wanted.uid, &Value::Null, &wanted.status.value()).await;
                }
                if code == 404 || code == 422 || attempts >= ATTEMPTS {
                    tracing::warn!(%error, kind = %id.kind, namespace = id.namespace, name = id.name, "a status was not written");
                    continue;
                }
                sleep(PAUSE).await;
                self.put(id, Wanted { attempts, ..wanted }, false);
            }
        }
    }

    async fn write(&self, gather: &Gather, id: &ObjectId, wanted: &Wanted) -> Result<(), kube::Error> {
        let Some(resource) = resource(id.kind) else { return Ok(()) };
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &id.namespace, &resource);
        let before = gather.look(|seen| {
            let known = seen.known.get(id).filter(|known| known.uid == wanted.uid)?;
            seen.telling.insert(id.clone());
            Some(known.status.clone())
        });
        let status = wanted.status.value();
        let Some(before) = before.map(|before| before.value()).filter(|before| *before != status) else {
            gather.look(|seen| seen.telling.remove(id));
            return Ok(());
        };
        let written = api.patch_status(&id.name, &parameters(), &Patch::Merge(patch(&before, &wanted.uid, status.clone()))).await;
        gather.look(|seen| {
            seen.telling.remove(id);
            if let Some(known) = seen.known.get_mut(id).filter(|known| written.is_ok() && known.uid == wanted.uid) {
                known.status = wanted.status.clone();
            }
        });
        written?;
        self.metrics.statuses.inc();
        self.announce(id, &wanted.uid, &before, &status).await;
        Ok(())
    }

    async fn announce(&self, id: &ObjectId, uid: &str, before: &Value, after: &Value) {
        for event in event::of(id, uid, before, after) {
            if let Err(error) = event.write(&self.client).await {
                tracing::debug!(%error, kind = %id.kind, namespace = id.namespace, name = id.name, "an Event was not written");
            }
        }
    }

    fn look<T>(&self, look: impl FnOnce(&mut Queue) -> T) -> T {
        look(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn parameters() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

/// What leads from one status to another; for this very object alone.
fn patch(before: &Value, uid: &str, mut status: Value) -> Value {
    for (key, _) in before.as_object().into_iter().flatten() {
        if status.get(key).is_none() {
            status[key.as_str()] = Value::Null;
        }
    }
    json!({ "metadata": { "uid": uid }, "status": status })
}

#[cfg(test)]
mod tests {
    use crds::report::Kind;

    use super::*;

    fn id(name: &str) -> ObjectId {
        ObjectId { kind: Kind::VirtualKey, namespace: "ai".to_owned(), name: name.to_owned() }
    }

    fn wanted(status: &str) -> Wanted {
        Wanted { uid: "u".to_owned(), status: Told::of(&json!(status)), attempts: 0 }
    }

    #[test]
    fn of_an_object_one_status_is_on_its_way_and_the_newest_follows_it() {
        let mut queue = Queue::default();
        queue.put(id("a"), wanted("1"), true);
        assert_eq!(queue.next(), Some((id("a"), wanted("1"))));
        queue.put(id("a"), wanted("2"), true);
        queue.put(id("b"), wanted("1"), true);
        queue.put(id("a"), wanted("3"), true);
        assert_eq!(queue.next(), Some((id("b"), wanted("1"))), "another object does not wait");
        assert_eq!(queue.next(), None, "the first is on its way still");
        queue.written(&id("a"));
        assert_eq!(queue.next(), Some((id("a"), wanted("3"))));
        queue.written(&id("a"));
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn what_is_taken_back_and_put_again_is_written_once() {
        let mut queue = Queue::default();
        queue.put(id("a"), wanted("1"), true);
        queue.wanted.remove(&id("a"));
        queue.put(id("a"), wanted("2"), true);
        assert_eq!(queue.next(), Some((id("a"), wanted("2"))));
        assert_eq!(queue.next(), None);
        queue.put(id("a"), wanted("1"), false);
        queue.written(&id("a"));
        assert_eq!(queue.next(), Some((id("a"), wanted("1"))), "what failed is tried again");
    }
}
