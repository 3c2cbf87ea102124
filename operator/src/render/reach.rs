//! How the pods are reached, and by whom.

use std::collections::BTreeSet;

use crds::api::shared::From;
use crds::api::workload::ServiceType;
use serde_json::{Value, json};

use super::{Subject, labels, metadata};

pub(super) fn service(subject: Subject<'_>) -> Value {
    let service = &subject.spec.service;
    let mut metadata = metadata(subject, subject.name);
    if !service.annotations.is_empty() {
        metadata["annotations"] = json!(service.annotations);
    }
    let kind = match service.kind {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    };
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "type": kind,
            "selector": labels::selector(subject.name),
            "ports": [{ "name": "http", "port": service.port, "targetPort": "http", "protocol": "TCP" }],
        },
    })
}

/// Clients from the namespaces that the gateway admits; the admin port for the operator and for those who monitor.
/// Anybody may be a client of a gateway that admits every namespace: its clients may well be outside the cluster.
pub(super) fn network_policy(subject: Subject<'_>) -> Value {
    let access = &subject.spec.network_access;
    let allowed = &subject.spec.allowed_namespaces;
    let named = allowed.names.iter().flatten().chain(&access.client_namespaces).map(String::as_str);
    let clients: BTreeSet<&str> = named.chain([subject.namespace]).collect();
    let mut door = json!({ "ports": [{ "port": "http", "protocol": "TCP" }] });
    match allowed.from {
        From::All => {}
        From::Same | From::Names => door["from"] = json!([in_namespaces(&clients)]),
    }
    let mut admin = vec![json!({
        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": subject.around.operator_namespace } },
        "podSelector": { "matchLabels": { "app.kubernetes.io/name": "portolan-operator" } },
    })];
    if !access.monitoring_namespaces.is_empty() {
        admin.push(in_namespaces(&access.monitoring_namespaces.iter().map(String::as_str).collect()));
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(subject, subject.name),
        "spec": {
            "podSelector": { "matchLabels": labels::selector(subject.name) },
            "policyTypes": ["Ingress"],
            "ingress": [door, { "ports": [{ "port": "admin", "protocol": "TCP" }], "from": admin }],
        },
    })
}

fn in_namespaces(names: &BTreeSet<&str>) -> Value {
    json!({ "namespaceSelector": { "matchExpressions": [
        { "key": "kubernetes.io/metadata.name", "operator": "In", "values": names },
    ] } })
}
