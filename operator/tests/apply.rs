//! Who owns `replicas`, and whose objects are touched.
#![expect(clippy::expect_used, reason = "what fails in a helper fails the test")]

use kube::api::DynamicObject;
use operator::apply::{Replicas, is_ours, replicas};
use serde_json::{Value, json};

fn deployment(owners: &Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "main", "managedFields": owners },
        "spec": { "replicas": 6 },
    }))
    .expect("a Deployment")
}

fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
    json!({ "manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields })
}

#[test]
fn replicas_are_handed_over_before_the_operator_lets_go_of_them() {
    let (with, without) = (json!({"f:spec": {"f:replicas": {}, "f:template": {}}}), json!({"f:spec": {"f:template": {}}}));
    let ours = deployment(&json!([entry("portolan-operator", "Apply", &with)]));
    let handed = deployment(&json!([entry("portolan-operator", "Apply", &without), entry("portolan-operator-replicas", "Apply", &with)]));
    let scaled = deployment(&json!([entry("portolan-operator", "Apply", &without), entry("kube-controller-manager", "Update", &with)]));
    for live in [None, Some(&ours), Some(&handed), Some(&scaled)] {
        assert_eq!(replicas(live, None), Replicas::Said, "without an autoscaler the operator says them");
    }
    assert_eq!(replicas(None, Some(3)), Replicas::Begin(3));
    assert_eq!(replicas(Some(&ours), Some(3)), Replicas::HandOver(6), "as they are, not as the least would be");
    assert_eq!(replicas(Some(&handed), Some(3)), Replicas::Left);
    assert_eq!(replicas(Some(&scaled), Some(3)), Replicas::Left);
}

#[test]
fn only_what_was_made_for_the_gateway_is_touched() {
    let object = |metadata: Value| -> DynamicObject {
        serde_json::from_value(json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata})).expect("an object")
    };
    let labelled = |gateway: &str| json!({"name": "main", "labels": {"app.kubernetes.io/managed-by": "portolan-operator", "portolan.dev/gateway": gateway}});
    let owned = |kind: &str, name: &str| json!({"name": "main", "ownerReferences": [{"apiVersion": "portolan.dev/v1alpha1", "kind": kind, "name": name, "uid": "1"}]});
    assert!(is_ours(&object(labelled("main")), "main"));
    assert!(is_ours(&object(owned("LLMGateway", "main")), "main"), "somebody took its labels off");
    for foreign in [json!({"name": "main"}), labelled("other"), owned("LLMGateway", "other"), owned("Deployment", "main")] {
        assert!(!is_ours(&object(foreign.clone()), "main"), "{foreign}");
    }
}
