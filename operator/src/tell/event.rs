//! Events: one for each turn of `Ready`, and one when something is held back.

use crds::api::{GROUP, VERSION};
use crds::report::{Kind, ObjectId};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::apply::MANAGER;
use crate::clock;
use crate::status::find;

/// The longest note that the API server takes.
const NOTE_BYTES_MAX: usize = 1024;

/// One Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    id: ObjectId,
    uid: String,
    warning: bool,
    reason: String,
    note: String,
    /// What tells this turn from any other of the same object.
    seal: String,
}

/// The turns between two statuses.
pub(super) fn of(id: &ObjectId, uid: &str, before: &Value, after: &Value) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut add = |warning: bool, reason: &str, note: &str, since: &str| {
        // Of whatever leader it comes, it is told once; and two edits within the second that times are told in are two.
        let seal = format!("{uid} {reason} {since} {note}");
        let (reason, note) = (reason.to_owned(), cut(note).to_owned());
        turns.push(Turn { id: id.clone(), uid: uid.to_owned(), warning, reason, note, seal });
    };
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    if let Some(now) = find(after, "Ready") {
        let same = find(before, "Ready").is_some_and(|old| old["status"] == now["status"] && old["reason"] == now["reason"]);
        let (word, reason) = (text(now, "status"), text(now, "reason"));
        // What is on its way is nothing to tell, unless it does not arrive.
        if !same && (word != "Unknown" || reason == "ConvergenceTimeout") {
            let note =
                Some(text(now, "message")).filter(|note| !note.is_empty()).unwrap_or_else(|| "every ready replica serves it".to_owned());
            let since = format!("{} {}", text(now, "lastTransitionTime"), now["observedGeneration"]);
            add(word != "True", &reason, &note, &since);
        }
    }
    let held = |status: &Value| status.get("heldBack").and_then(Value::as_str).map(str::to_owned);
    if let Some(why) = held(after).filter(|_| held(before).is_none()) {
        add(true, "HeldBack", &why, "");
    }
    turns
}

fn cut(note: &str) -> &str {
    let end = (0..=NOTE_BYTES_MAX.min(note.len())).rev().find(|end| note.is_char_boundary(*end));
    &note[..end.unwrap_or(0)]
}

impl Turn {
    pub(super) async fn write(self, client: &Client) -> Result<(), kube::Error> {
        let api: Api<Event> = Api::namespaced(client.clone(), &self.id.namespace);
        match api.create(&PostParams::default(), &self.event()).await {
            Ok(_) => Ok(()),
            // It was told already.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn event(self) -> Event {
        let seal: String = Sha256::digest(self.seal.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let stem: String = self.id.name.chars().take(200).collect();
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{stem}.{seal}")),
                namespace: Some(self.id.namespace.clone()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(clock::timestamp())),
            reporting_controller: Some(format!("{GROUP}/operator")),
            reporting_instance: Some(MANAGER.to_owned()),
            action: Some(if self.id.kind == Kind::LLMGateway { "Supply" } else { "Serve" }.to_owned()),
            type_: Some(if self.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(self.reason),
            note: Some(self.note),
            regarding: Some(ObjectReference {
                api_version: Some(format!("{GROUP}/{VERSION}")),
                kind: Some(self.id.kind.to_string()),
                name: Some(self.id.name),
                namespace: Some(self.id.namespace),
                uid: Some(self.uid),
                ..ObjectReference::default()
            }),
            ..Event::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ready(word: &str, reason: &str, generation: i64) -> Value {
        let condition = json!({
            "type": "Ready", "status": word, "reason": reason, "message": "", "observedGeneration": generation,
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        });
        json!({ "conditions": [condition] })
    }

    fn names(before: &Value, after: &Value) -> Vec<Option<String>> {
        let id = ObjectId { kind: Kind::VirtualKey, namespace: "ai".to_owned(), name: "app".to_owned() };
        of(&id, "u", before, after).into_iter().map(|turn| turn.event().metadata.name).collect()
    }

    #[test]
    fn two_leaders_tell_a_turn_once_and_two_edits_within_a_second_are_two_turns() {
        let (good, bad) = (ready("True", "Ready", 1), ready("False", "NotPermitted", 2));
        let first = names(&Value::Null, &good);
        assert_eq!(first.len(), 1);
        assert_eq!(names(&bad, &good), first, "whatever a leader saw before");
        let again = names(&bad, &ready("True", "Ready", 3));
        assert_eq!(again.len(), 1);
        assert_ne!(again, first, "the same second, another edit");
        assert!(names(&good, &ready("True", "Ready", 2)).is_empty(), "no turn");
    }
}
