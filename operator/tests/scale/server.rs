//! An API server in memory, as far as the operator asks one: lists, watches, reads, writes. It keeps texts, so that it is
//! small beside what is measured, and judges nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

type Answer = UnsyncBoxBody<Bytes, Infallible>;

#[derive(Default)]
struct Held {
    /// By path.
    objects: BTreeMap<String, String>,
    /// Watches that are open, by the path that they watch, and whether they select by labels.
    watches: Vec<(String, bool, UnboundedSender<Bytes>)>,
    version: u64,
    /// Paths written, in order.
    written: Vec<String>,
}

/// The server.
#[derive(Clone, Default)]
pub struct Server(Arc<Mutex<Held>>);

impl Server {
    /// A client of it.
    pub fn client(&self) -> Client {
        let this = self.clone();
        Client::new(
            tower::service_fn(move |request: Request<Body>| {
                let this = this.clone();
                async move { this.answer(request).await }
            }),
            "default",
        )
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an object in, as a person would.
    pub fn put(&self, path: &str, object: Value) {
        self.held().put(path, object);
    }

    /// Changes an object, as a person would.
    pub fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut held = self.held();
        let mut object = held.get(path).expect("an object");
        change(&mut object);
        let generation = object["metadata"]["generation"].as_i64().unwrap_or(1) + 1;
        object["metadata"]["generation"] = json!(generation);
        held.put(path, object);
    }

    /// An object as it is held.
    pub fn get(&self, path: &str) -> Option<Value> {
        self.held().get(path)
    }

    /// Paths of the client's writes since the last time, without those of Leases.
    pub fn written(&self) -> Vec<String> {
        let mut written = std::mem::take(&mut self.held().written);
        written.retain(|path| !path.contains("/leases/"));
        written
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Answer>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
        let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut held = self.held();
        let selects = query.contains("labelSelector");
        if query.contains("watch=") {
            let (sender, receiver) = unbounded();
            held.watches.push((path, selects, sender));
            let frames = receiver.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
            return Ok(Response::new(StreamBody::new(frames).boxed_unsync()));
        }
        let answer = match head.method {
            Method::GET => held.get(&path).or_else(|| held.list(&path, selects)),
            Method::POST => {
                let path = format!("{path}/{}", sent["metadata"]["name"].as_str().unwrap_or_default());
                Some(held.write(&path, sent))
            }
            Method::PUT => Some(held.write(&path, sent)),
            Method::PATCH => {
                let of = path.trim_end_matches("/status").to_owned();
                let mut object = held.get(&of).unwrap_or_else(|| json!({}));
                merge(&mut object, sent);
                Some(held.write(&of, object))
            }
            _ => None,
        };
        let status = if answer.is_some() { 200 } else { 404 };
        let answer = answer.unwrap_or_else(|| json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}));
        let body = Full::new(Bytes::from(answer.to_string())).boxed_unsync();
        Ok(Response::builder().status(status).body(body).expect("an answer"))
    }
}

impl Held {
    fn get(&self, path: &str) -> Option<Value> {
        self.objects.get(path).map(|text| serde_json::from_str(text).expect("JSON"))
    }

    fn write(&mut self, path: &str, object: Value) -> Value {
        self.written.push(path.to_owned());
        self.put(path, object)
    }

    fn put(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!(self.version.to_string());
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(format!("uid-{}", self.version));
            metadata["generation"] = json!(1);
            metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        let before = self.objects.insert(path.to_owned(), object.to_string());
        let event = json!({"type": if before.is_some() { "MODIFIED" } else { "ADDED" }, "object": object});
        let line = Bytes::from(format!("{event}\n"));
        let places = places(path);
        self.watches
            .retain(|(watched, selects, sender)| *selects || !places.contains(watched) || sender.unbounded_send(line.clone()).is_ok());
        object
    }

    /// The objects below the path of a collection, in one namespace or in all.
    fn list(&self, path: &str, selects: bool) -> Option<Value> {
        let last = path.rsplit('/').next().unwrap_or_default();
        if !PLURALS.contains(&last) {
            return None;
        }
        let inside = self.objects.iter().filter(|(one, _)| !selects && places(one).iter().any(|place| place == path));
        let items: Vec<Value> = inside.map(|(_, text)| serde_json::from_str(text).expect("JSON")).collect();
        Some(json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": self.version.to_string()}, "items": items}))
    }
}

const PLURALS: [&str; 17] = [
    "llmgateways",
    "llmproviders",
    "virtualkeys",
    "routingpolicies",
    "cachepolicies",
    "budgets",
    "secrets",
    "configmaps",
    "pods",
    "deployments",
    "services",
    "serviceaccounts",
    "roles",
    "rolebindings",
    "poddisruptionbudgets",
    "horizontalpodautoscalers",
    "networkpolicies",
];

/// The collections that an object is in.
fn places(path: &str) -> [String; 2] {
    let collection = path.rsplit_once('/').map_or(path, |(collection, _)| collection);
    let everywhere = match collection.split_once("/namespaces/") {
        Some((group, rest)) => format!("{group}/{}", rest.rsplit('/').next().unwrap_or_default()),
        None => collection.to_owned(),
    };
    [collection.to_owned(), everywhere]
}

fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, patch) => *into = patch,
    }
}
