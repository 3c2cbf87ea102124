//! What the pods may: read the objects of their own bundle, by name, and nothing else.

use crds::api::workload::Delivery;
use serde_json::{Value, json};
use snapshot::GatewayId;
use snapshot::bundle::{PARTS, PartKind, Slot, index_name, part_name};

use super::{Subject, metadata};

/// The name of the pods' account, role and binding. Not the gateway's own, which might be `default`.
pub(super) fn account_name(gateway: &str) -> String {
    format!("{gateway}-gateway")
}

pub(super) fn service_account(subject: Subject<'_>) -> Value {
    let mut metadata = metadata(subject, &account_name(subject.name));
    let annotations = &subject.spec.pod_template.service_account_annotations;
    if !annotations.is_empty() {
        metadata["annotations"] = json!(annotations);
    }
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": false })
}

/// None for pods without a token: what they could not use they need not have.
pub(super) fn role(subject: Subject<'_>) -> Option<Value> {
    if subject.spec.delivery == Delivery::Files {
        return None;
    }
    let (index, maps, secrets) = names(subject);
    Some(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": metadata(subject, &account_name(subject.name)),
        "rules": [
            { "apiGroups": [""], "resources": ["configmaps"], "resourceNames": [index], "verbs": ["get", "list", "watch"] },
            { "apiGroups": [""], "resources": ["configmaps"], "resourceNames": maps, "verbs": ["get"] },
            { "apiGroups": [""], "resources": ["secrets"], "resourceNames": secrets, "verbs": ["get"] },
        ],
    }))
}

pub(super) fn role_binding(subject: Subject<'_>) -> Option<Value> {
    if subject.spec.delivery == Delivery::Files {
        return None;
    }
    let account = account_name(subject.name);
    Some(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata(subject, &account),
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account },
        "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": subject.namespace }],
    }))
}

/// Names of the objects of the gateway's bundle: the index, the ConfigMaps and the Secrets of parts.
pub(super) fn names(subject: Subject<'_>) -> (String, Vec<String>, Vec<String>) {
    // A gateway whose name is no id is never compiled, so nothing is published and no name is needed.
    let Ok(id) = GatewayId::new(subject.namespace, subject.name) else { return Default::default() };
    let all = (0..PARTS).flat_map(|number| [Slot::A, Slot::B].map(|slot| (PartKind::of(number), part_name(&id, number, slot))));
    let (maps, secrets): (Vec<_>, Vec<_>) = all.partition(|(kind, _)| *kind == PartKind::Config);
    let bare = |named: Vec<(PartKind, String)>| named.into_iter().map(|(_, name)| name).collect();
    (index_name(&id), bare(maps), bare(secrets))
}
