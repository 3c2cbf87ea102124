//! How the pods of a gateway run: how many, which version, what a cluster asks of them beside our own template.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::ConfigMapKeyRef;

/// How many replicas, by how busy they are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self.minReplicas <= self.maxReplicas").message("minReplicas must not exceed maxReplicas"))]
pub struct Autoscaling {
    /// Replicas at least.
    #[schemars(range(min = 1, max = 1000))]
    pub min_replicas: i32,
    /// Replicas at most.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: i32,
    /// Mean use of the requested CPU to aim at, in percent.
    #[serde(default = "target_cpu_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub target_cpu_percent: i32,
}

fn target_cpu_percent() -> i32 {
    70
}

/// How pods learn of changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Delivery {
    /// They watch one object of the API server, with a token that may read the gateway's bundle alone: within a second.
    #[default]
    Watch,
    /// They have no token and no right; the kubelet brings changes to their volume, within about two minutes.
    Files,
}

/// How clients reach the pods.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// ClusterIP, NodePort or LoadBalancer.
    #[serde(rename = "type", default = "cluster_ip")]
    pub kind: ServiceType,
    /// The port of the Service.
    #[serde(default = "service_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Annotations of the Service, for load balancers of clouds.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 4096}))]
    pub annotations: BTreeMap<String, String>,
}

/// Kinds of Services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ServiceType {
    /// Inside the cluster.
    ClusterIP,
    /// On a port of every node.
    NodePort,
    /// Behind the cloud's load balancer.
    LoadBalancer,
}

fn cluster_ip() -> ServiceType {
    ServiceType::ClusterIP
}

fn service_port() -> i32 {
    80
}

impl Default for Service {
    fn default() -> Self {
        Self { kind: cluster_ip(), port: service_port(), annotations: BTreeMap::new() }
    }
}

/// Who may connect to the pods, beside the namespaces that the gateway admits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkAccess {
    /// Namespaces that may connect though the gateway does not admit their keys: ingress controllers and the like.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub client_namespaces: Vec<String>,
    /// Namespaces that may read metrics and health, such as that of Prometheus.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub monitoring_namespaces: Vec<String>,
}

/// What a cluster asks of the pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodTemplate {
    /// Labels; those that the operator sets itself stay as they are.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 4096}))]
    pub annotations: BTreeMap<String, String>,
    /// Labels of the nodes to run on.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes to run on all the same.
    #[serde(default)]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Vec<Toleration>,
    /// CPU and memory of a pod.
    #[serde(default)]
    pub resources: Resources,
    /// The priority class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// Secrets with which to pull the image.
    #[serde(default)]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub image_pull_secrets: Vec<String>,
    /// Annotations of the pods' ServiceAccount, for identities of clouds.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 4096}))]
    pub service_account_annotations: BTreeMap<String, String>,
    /// Certificates in PEM that are trusted at every provider besides the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_ca_config_map_ref: Option<ConfigMapKeyRef>,
    /// More volumes, each mounted read-only.
    #[serde(default)]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub volumes: Vec<Volume>,
}

/// A taint that is tolerated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Toleration {
    /// Key of the taint; absent: every taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
    /// Value of the taint; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// Effect of the taint; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
}

/// Effects of taints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum TaintEffect {
    /// No new pods.
    NoSchedule,
    /// No new pods if there is another node.
    PreferNoSchedule,
    /// Pods are sent away.
    NoExecute,
}

/// CPU and memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// What a pod is promised; by default 250m of CPU and 128Mi of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Amounts>,
    /// What a pod may use; by default 512Mi of memory and any CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Amounts>,
}

/// Amounts of CPU and memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Amounts {
    /// CPUs such as "2" or 500m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]+(\.[0-9]{1,3}|m)?$"))]
    pub cpu: Option<String>,
    /// Bytes such as 512Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]+(Ki|Mi|Gi|k|M|G)?$"))]
    pub memory: Option<String>,
}

/// A volume and where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(has(self.configMap) ? 1 : 0) + (has(self.secret) ? 1 : 0) + (has(self.serviceAccountToken) ? 1 : 0) == 1").message("a volume has exactly one of configMap, secret and serviceAccountToken"))]
pub struct Volume {
    /// Its name.
    #[schemars(length(min = 1, max = 50), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Where it is mounted.
    #[schemars(length(min = 2, max = 1024), regex(pattern = r"^/[^:]+$"))]
    pub mount_path: String,
    /// Name of a ConfigMap in the gateway's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub config_map: Option<String>,
    /// Name of a Secret in the gateway's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret: Option<String>,
    /// A token of the pods' ServiceAccount, for identities of clouds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_token: Option<ServiceAccountToken>,
}

/// A token of the ServiceAccount, in the file `token`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceAccountToken {
    /// Whom it is for.
    #[schemars(length(min = 1, max = 512))]
    pub audience: String,
    /// How long it lives; the kubelet renews it in time.
    #[serde(default = "expiration_seconds")]
    #[schemars(range(min = 600, max = 86400))]
    pub expiration_seconds: i32,
}

fn expiration_seconds() -> i32 {
    3600
}
