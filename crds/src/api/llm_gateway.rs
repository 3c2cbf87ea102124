//! LLMGateway: one data plane, who may attach to it, and what it allows.

#![expect(clippy::duplicated_attributes, reason = "each printer column is an attribute of its own")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{DataPlaneStatus, Namespaces};
use super::workload::{Autoscaling, Delivery, NetworkAccess, PodTemplate, Service};

/// One data plane: who may attach keys to it and what it allows.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "portolan.dev",
    version = "v1alpha1",
    kind = "LLMGateway",
    plural = "llmgateways",
    shortname = "lgw",
    category = "portolan",
    namespaced,
    status = "GatewayStatus",
    scale = r#"{"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}"#,
    derive = "PartialEq"
)]
#[kube(
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Programmed", type_ = "string", json_path = ".status.programmed"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LLMGatewaySpec {
    /// Namespaces whose VirtualKeys may belong to this gateway.
    #[serde(default)]
    pub allowed_namespaces: Namespaces,
    /// Team names that are granted to namespaces; without a grant a key's team is its namespace.
    #[serde(default)]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub teams: Vec<Team>,
    /// Where providers outside the gateway's namespace may dial.
    #[serde(default)]
    pub egress: Egress,
    /// Bounds of requests.
    #[serde(default)]
    pub limits: Limits,
    /// Which web pages may call the gateway.
    #[serde(default)]
    pub cors: Cors,
    /// How a replica leaves.
    #[serde(default)]
    pub drain: Drain,
    /// Replicas, unless `autoscaling` decides.
    #[serde(default = "replicas")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,
    /// Lets the load decide how many replicas there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// How the pods learn of changes.
    #[serde(default)]
    pub delivery: Delivery,
    /// The version of the data plane, as a tag of its image; by default the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"))]
    pub version: Option<String>,
    /// How clients reach the pods.
    #[serde(default)]
    pub service: Service,
    /// Who may connect to the pods, beside the namespaces that the gateway admits.
    #[serde(default)]
    pub network_access: NetworkAccess,
    /// What the cluster asks of the pods.
    #[serde(default)]
    pub pod_template: PodTemplate,
}

fn replicas() -> i32 {
    2
}

impl LLMGatewaySpec {
    /// A gateway of which nothing is said but whom it admits.
    #[must_use]
    pub fn admitting(allowed_namespaces: Namespaces) -> Self {
        Self {
            allowed_namespaces,
            teams: Vec::new(),
            egress: Egress::default(),
            limits: Limits::default(),
            cors: Cors::default(),
            drain: Drain::default(),
            replicas: replicas(),
            autoscaling: None,
            delivery: Delivery::default(),
            version: None,
            service: Service::default(),
            network_access: NetworkAccess::default(),
            pod_template: PodTemplate::default(),
        }
    }
}

/// The state of a gateway: that of the object, and that of its replicas.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Accepted, ResolvedRefs, Programmed, Ready.
    #[serde(default)]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// First revision with this generation that every replica served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_plane: Option<DataPlaneStatus>,
    /// The generation that is served while this one is not accepted: its last accepted form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub serving_generation: Option<i64>,
    /// Replicas that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,
    /// The pods' labels, as a selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub selector: Option<String>,
    /// The revision that is published: `<sequence>-<8 hex digits>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub revision: Option<String>,
    /// Ready replicas that serve it, of all ready ones: `3/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub programmed: Option<String>,
    /// Ready replicas that do not serve it yet; ten at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10), inner(length(max = 253)), extend("x-kubernetes-list-type" = "atomic"))]
    pub lagging: Option<Vec<String>>,
    /// Why nothing new is published, or what is held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub held_back: Option<String>,
}

/// A team name and the namespaces that may use it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Team {
    /// The name.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$"))]
    pub name: String,
    /// Namespaces whose keys may say it in `owner.team`.
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<String>,
}

/// Where providers outside the gateway's namespace may dial besides public addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Egress {
    /// Networks such as 10.20.0.0/16.
    #[serde(default, rename = "allowCIDRs")]
    #[schemars(length(max = 64), inner(length(min = 3, max = 49), regex(pattern = r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")), extend("x-kubernetes-list-type" = "set"))]
    pub allow_cidrs: Vec<String>,
}

/// Bounds of requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Largest body of a request, in bytes.
    #[serde(default = "max_body_bytes")]
    #[schemars(range(min = 1024, max = 104_857_600))]
    pub max_body_bytes: i64,
    /// Largest form with files in it (pictures to be edited, sound to be written down), in bytes.
    #[serde(default = "max_form_bytes")]
    #[schemars(range(min = 1024, max = 1_073_741_824))]
    pub max_form_bytes: i64,
}

fn max_body_bytes() -> i64 {
    20 << 20
}

fn max_form_bytes() -> i64 {
    100 << 20
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_body_bytes: max_body_bytes(), max_form_bytes: max_form_bytes() }
    }
}

/// Which web pages may call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.allowOrigins) || size(self.allowOrigins) == 1 || !self.allowOrigins.exists(o, o == '*')").message("'*' must be the only entry of allowOrigins"))]
pub struct Cors {
    /// Exact origins such as `https://app.example.com`, or the single entry `*`. Empty: no page may.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253), regex(pattern = r"^(\*|https?://[^/ ]+)$")), extend("x-kubernetes-list-type" = "set"))]
    pub allow_origins: Vec<String>,
}

/// How a replica leaves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drain {
    /// Seconds for which it is not ready and yet accepts, so that balancers notice.
    #[serde(default = "delay_seconds")]
    #[schemars(range(min = 0, max = 300))]
    pub delay_seconds: i32,
    /// Seconds for which calls in flight may then go on.
    #[serde(default = "timeout_seconds")]
    #[schemars(range(min = 0, max = 7200))]
    pub timeout_seconds: i32,
}

fn delay_seconds() -> i32 {
    10
}

fn timeout_seconds() -> i32 {
    600
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay_seconds: delay_seconds(), timeout_seconds: timeout_seconds() }
    }
}
