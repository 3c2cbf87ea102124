//! The health that Argo CD shows.

use std::process::Command;

use e2e::cluster::programs;
use serde_json::{Value, json};

use crate::rendered::{had, root, run, text};

fn kinds() -> Vec<String> {
    crds::api::definitions().into_iter().map(|definition| definition.spec.names.kind).collect()
}

#[test]
fn every_kind_has_the_script_in_the_config_map_for_argo_cd() {
    let map: Value = serde_yaml::from_str(&text("charts/argocd/argocd-cm.yaml")).expect("YAML");
    let script = text("charts/argocd/health.lua");
    let data = map["data"].as_object().expect("data");
    assert_eq!(data.len(), kinds().len());
    for kind in kinds() {
        assert_eq!(data[&format!("resource.customizations.health.portolan.dev_{kind}")], script, "{kind}");
    }
    assert_eq!(map["metadata"]["labels"]["app.kubernetes.io/part-of"], "argocd", "without it Argo CD does not read the map");
}

/// An object of generation 3 with such a status.
fn object(kind: &str, status: Value) -> Value {
    json!({"apiVersion": "portolan.dev/v1alpha1", "kind": kind, "metadata": {"name": "a", "generation": 3}, "status": status})
}

fn ready(status: &str, generation: i64) -> Value {
    let accepted = json!({"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": generation});
    let ready = json!({"type": "Ready", "status": status, "reason": "Why", "message": "because", "observedGeneration": generation});
    json!({"observedGeneration": generation, "conditions": [accepted, ready]})
}

#[test]
fn only_ready_true_of_this_generation_is_healthy_and_only_ready_false_is_degraded() {
    let Some(lua) = had(programs::lua()) else { return };
    let mut deleted = object("LLMGateway", ready("True", 3));
    deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let mut absent = object("LLMProvider", json!({}));
    absent.as_object_mut().expect("an object").remove("status");
    let without = json!({"conditions": [{"type": "Accepted", "status": "False", "reason": "Invalid", "message": "no"}]});
    // The schema's own default, before the operator came by; it has no generation.
    let default =
        json!({"conditions": [{"type": "Ready", "status": "Unknown", "reason": "Pending", "message": "waiting for the operator"}]});
    let mut table = vec![
        (absent, "Progressing", "The operator has not told anything yet"),
        (object("Budget", json!({})), "Progressing", "The operator has not told anything yet"),
        (object("Budget", json!({"conditions": []})), "Progressing", "The operator has not told anything yet"),
        (object("CachePolicy", without), "Progressing", "The operator has not told anything yet"),
        (object("VirtualKey", default), "Progressing", "Pending: waiting for the operator"),
        (object("VirtualKey", ready("True", 2)), "Progressing", "The operator has not seen generation 3 yet"),
        (object("VirtualKey", ready("False", 2)), "Progressing", "The operator has not seen generation 3 yet"),
        (deleted, "Progressing", "Being deleted"),
    ];
    let kinds = kinds();
    for kind in &kinds {
        table.push((object(kind, ready("True", 3)), "Healthy", "Why: because"));
        table.push((object(kind, ready("False", 3)), "Degraded", "Why: because"));
        table.push((object(kind, ready("Unknown", 3)), "Progressing", "Why: because"));
    }
    let objects: Vec<String> = table.iter().map(|(object, _, _)| object.to_string()).collect();
    let mut command = Command::new(lua);
    command.arg(root().join("charts/argocd/health.lua"));
    let told = run(command, &(objects.join("\n") + "\n")).expect("a script that runs");
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(told.len(), table.len());
    for ((object, status, message), told) in table.iter().zip(told) {
        assert_eq!(told, json!({"status": status, "message": message}), "{object}");
    }
}
