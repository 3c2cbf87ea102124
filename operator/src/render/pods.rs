//! The pods: how they run, how many, and how they come and go.

use std::collections::BTreeMap;

use crds::api::workload::{Amounts, Delivery, PodTemplate, TaintEffect, Toleration, Volume};
use serde_json::{Map, Value, json};

use super::{Subject, access, labels, metadata, seal_name};
use crate::seal::KEYS;

/// Where the bundle is mounted, one file for each object, named as the object.
pub const SNAPSHOT_FOLDER: &str = "/var/run/portolan/snapshot";
/// Where a pod keeps its last good bundle: memory that outlives the container, not the pod.
pub const LAST_GOOD_FOLDER: &str = "/var/run/portolan/last-good";

/// Where a pod keeps large forms while it sends them on. Told by the environment: a data plane of before, which a gateway may
/// be pinned to, does not know the flag.
const SPOOL_FOLDER: &str = "/var/run/portolan/spool";
/// Where a pod finds the keys of its seal; told by the environment too.
const SEAL_FOLDER: &str = "/var/run/portolan/seal";
const EXTRA_CA_FOLDER: &str = "/var/run/portolan/extra-ca";

pub(super) fn deployment(subject: Subject<'_>) -> Value {
    let spec = subject.spec;
    let mut body = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(subject, subject.name),
        "spec": {
            "selector": { "matchLabels": labels::selector(subject.name) },
            "revisionHistoryLimit": 3,
            // A new pod is ready before an old one goes.
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": 0 } },
            "template": { "metadata": pod_metadata(subject), "spec": pod(subject) },
        },
    });
    if spec.autoscaling.is_none() {
        body["spec"]["replicas"] = json!(spec.replicas);
    }
    body
}

fn pod_metadata(subject: Subject<'_>) -> Value {
    let PodTemplate { labels: wanted, annotations, .. } = &subject.spec.pod_template;
    let mut all: BTreeMap<String, String> = wanted.clone();
    all.extend(labels::of(subject.name));
    all.extend(labels::selector(subject.name));
    let mut metadata = json!({ "labels": all });
    if !annotations.is_empty() {
        metadata["annotations"] = json!(annotations);
    }
    metadata
}

fn pod(subject: Subject<'_>) -> Value {
    let PodTemplate {
        labels: _,
        annotations: _,
        service_account_annotations: _,
        node_selector,
        tolerations,
        resources: _,
        priority_class_name,
        image_pull_secrets,
        extra_ca_config_map_ref: _,
        volumes: _,
    } = &subject.spec.pod_template;
    let drain = &subject.spec.drain;
    let ours = json!({ "matchLabels": labels::selector(subject.name) });
    // The pods of one revision are spread among themselves, not against those that they replace.
    let hosts = json!({
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": ours,
        "matchLabelKeys": ["pod-template-hash"],
    });
    // No second constraint: a scheduler passes over every node that lacks the key of any of them, so that without zones
    // hosts would count no more.
    let zones = json!({ "weight": 100, "podAffinityTerm": { "topologyKey": "topology.kubernetes.io/zone", "labelSelector": ours } });
    let (volumes, mounts) = volumes(subject);
    let mut pod = json!({
        "serviceAccountName": access::account_name(subject.name),
        "automountServiceAccountToken": subject.spec.delivery == Delivery::Watch,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": i64::from(drain.delay_seconds) + i64::from(drain.timeout_seconds) + 5,
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        "topologySpreadConstraints": [hosts],
        "affinity": { "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [zones] } },
        "containers": [container(subject, &mounts)],
        "volumes": volumes,
    });
    let mut set = |field: &str, value: Option<Value>| {
        if let (Some(value), Some(pod)) = (value, pod.as_object_mut()) {
            pod.insert(field.to_owned(), value);
        }
    };
    set("nodeSelector", (!node_selector.is_empty()).then(|| json!(node_selector)));
    set("tolerations", (!tolerations.is_empty()).then(|| tolerations.iter().map(toleration).collect()));
    set("priorityClassName", priority_class_name.as_ref().map(|name| json!(name)));
    set(
        "imagePullSecrets",
        (!image_pull_secrets.is_empty()).then(|| image_pull_secrets.iter().map(|name| json!({ "name": name })).collect()),
    );
    pod
}

fn container(subject: Subject<'_>, mounts: &[Value]) -> Value {
    let mut args = vec![
        "--snapshot-dir".to_owned(),
        SNAPSHOT_FOLDER.to_owned(),
        "--last-good-dir".to_owned(),
        LAST_GOOD_FOLDER.to_owned(),
        "--gateway".to_owned(),
        format!("{}/{}", subject.namespace, subject.name),
        "--listen".to_owned(),
        "0.0.0.0:8080".to_owned(),
        "--admin".to_owned(),
        "0.0.0.0:9090".to_owned(),
    ];
    match subject.spec.delivery {
        Delivery::Watch => args.push("--watch-api".to_owned()),
        Delivery::Files => {}
    }
    if subject.spec.pod_template.extra_ca_config_map_ref.is_some() {
        args.extend(["--extra-ca".to_owned(), format!("{EXTRA_CA_FOLDER}/ca.pem")]);
    }
    let probe = |path: &str, period: u32, failures: u32| json!({ "httpGet": { "path": path, "port": "admin" }, "periodSeconds": period, "timeoutSeconds": 2, "failureThreshold": failures });
    json!({
        "name": "gateway",
        "image": image(&subject.around.image, subject.spec.version.as_deref()),
        "imagePullPolicy": subject.around.image_pull_policy,
        "args": args,
        "env": [
            { "name": "PORTOLAN_SPOOL_DIR", "value": SPOOL_FOLDER },
            { "name": "PORTOLAN_SEAL_FILE", "value": format!("{SEAL_FOLDER}/{KEYS}") },
        ],
        "ports": [
            { "name": "http", "containerPort": 8080, "protocol": "TCP" },
            { "name": "admin", "containerPort": 9090, "protocol": "TCP" },
        ],
        "readinessProbe": probe("/readyz", 2, 2),
        "livenessProbe": probe("/healthz", 10, 6),
        "resources": resources(&subject.spec.pod_template),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
        "volumeMounts": mounts,
    })
}

/// The image with another tag.
fn image(image: &str, version: Option<&str>) -> String {
    let Some(version) = version else { return image.to_owned() };
    let bare = image.split_once('@').map_or(image, |(bare, _)| bare);
    let name = bare.rfind('/').map_or(0, |slash| slash + 1);
    let end = bare[name..].find(':').map_or(bare.len(), |colon| name + colon);
    format!("{}:{version}", &bare[..end])
}

fn resources(template: &PodTemplate) -> Value {
    let amounts = |amounts: &Option<Amounts>, usual: Amounts| {
        let Amounts { cpu, memory } = amounts.clone().unwrap_or(usual);
        let pairs = [("cpu", cpu), ("memory", memory)].into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?))));
        Value::Object(Map::from_iter(pairs))
    };
    let amount = |text: &str| Some(text.to_owned());
    json!({
        "requests": amounts(&template.resources.requests, Amounts { cpu: amount("250m"), memory: amount("128Mi") }),
        "limits": amounts(&template.resources.limits, Amounts { cpu: None, memory: amount("512Mi") }),
    })
}

fn toleration(wanted: &Toleration) -> Value {
    let mut toleration = Map::new();
    let operator = if wanted.value.is_some() { "Equal" } else { "Exists" };
    toleration.insert("operator".to_owned(), json!(operator));
    if let Some(key) = &wanted.key {
        toleration.insert("key".to_owned(), json!(key));
    }
    if let Some(value) = &wanted.value {
        toleration.insert("value".to_owned(), json!(value));
    }
    let effect = wanted.effect.map(|effect| match effect {
        TaintEffect::NoSchedule => "NoSchedule",
        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        TaintEffect::NoExecute => "NoExecute",
    });
    if let Some(effect) = effect {
        toleration.insert("effect".to_owned(), json!(effect));
    }
    Value::Object(toleration)
}

/// Volumes and where they are mounted. Every object of the bundle is an optional source of one volume, so that no pod
/// waits for one that does not exist yet.
fn volumes(subject: Subject<'_>) -> (Vec<Value>, Vec<Value>) {
    let (index, maps, secrets) = access::names(subject);
    let source =
        |kind: &str, key: &str, name: &String| json!({ kind: { "name": name, "optional": true, "items": [{ "key": key, "path": name }] } });
    let sources: Vec<Value> = std::iter::once(source("configMap", "index", &index))
        .chain(maps.iter().map(|name| source("configMap", "part", name)))
        .chain(secrets.iter().map(|name| source("secret", "part", name)))
        .collect();
    let mut volumes = vec![
        json!({ "name": "snapshot", "projected": { "sources": sources } }),
        json!({ "name": "last-good", "emptyDir": { "medium": "Memory", "sizeLimit": "32Mi" } }),
        json!({ "name": "spool", "emptyDir": { "sizeLimit": "1100Mi" } }),
        // Optional: a pod without a seal serves all but what needs one.
        json!({ "name": "seal", "secret": { "secretName": seal_name(subject.name), "optional": true, "items": [{ "key": KEYS, "path": KEYS }] } }),
    ];
    let mut mounts = vec![
        json!({ "name": "snapshot", "mountPath": SNAPSHOT_FOLDER, "readOnly": true }),
        json!({ "name": "last-good", "mountPath": LAST_GOOD_FOLDER }),
        json!({ "name": "spool", "mountPath": SPOOL_FOLDER }),
        json!({ "name": "seal", "mountPath": SEAL_FOLDER, "readOnly": true }),
    ];
    if let Some(wanted) = &subject.spec.pod_template.extra_ca_config_map_ref {
        let items = json!([{ "key": wanted.key, "path": "ca.pem" }]);
        volumes.push(json!({ "name": "extra-ca", "configMap": { "name": wanted.name, "items": items } }));
        mounts.push(json!({ "name": "extra-ca", "mountPath": EXTRA_CA_FOLDER, "readOnly": true }));
    }
    for wanted in &subject.spec.pod_template.volumes {
        // A name of its own, whatever people choose.
        let name = format!("extra-{}", wanted.name);
        mounts.push(json!({ "name": name, "mountPath": wanted.mount_path, "readOnly": true }));
        volumes.push(extra(&name, wanted));
    }
    (volumes, mounts)
}

fn extra(name: &str, Volume { name: _, mount_path: _, config_map, secret, service_account_token }: &Volume) -> Value {
    if let Some(map) = config_map {
        return json!({ "name": name, "configMap": { "name": map } });
    }
    if let Some(secret) = secret {
        return json!({ "name": name, "secret": { "secretName": secret } });
    }
    let sources: Vec<Value> = service_account_token
        .iter()
        .map(|token| {
            json!({ "serviceAccountToken": {
                "audience": token.audience, "expirationSeconds": token.expiration_seconds, "path": "token",
            } })
        })
        .collect();
    json!({ "name": name, "projected": { "sources": sources } })
}

pub(super) fn disruption_budget(subject: Subject<'_>) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(subject, subject.name),
        "spec": { "maxUnavailable": 1, "selector": { "matchLabels": labels::selector(subject.name) } },
    })
}

pub(super) fn autoscaler(subject: Subject<'_>) -> Option<Value> {
    let scaling = subject.spec.autoscaling.as_ref()?;
    Some(json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(subject, subject.name),
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": subject.name },
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            "metrics": [{ "type": "Resource", "resource": {
                "name": "cpu", "target": { "type": "Utilization", "averageUtilization": scaling.target_cpu_percent },
            } }],
        },
    }))
}
