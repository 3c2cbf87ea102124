//! LLMGateway: one data plane, who may attach to it, and what it allows.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{Namespaces, Status};

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
    status = "Status",
    derive = "PartialEq"
)]
#[kube(
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
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
}

fn max_body_bytes() -> i64 {
    20 << 20
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_body_bytes: max_body_bytes() }
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
