//! RoutingPolicy: which targets a model's calls go to, and when to the next.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{ObjectRef, Status};

/// Which targets a model's calls go to, and when to the next. VirtualKeys name it.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "portolan.dev",
    version = "v1alpha1",
    kind = "RoutingPolicy",
    plural = "routingpolicies",
    shortname = "rp",
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
pub struct RoutingPolicySpec {
    /// Tried in order; the first that fits decides. None fits: the model is resolved as without a policy.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<RoutingRule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoutingRule {
    /// Its name; receipts carry it.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Names of models that it is for, `*` stands for any run of characters; empty: every model.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)), extend("x-kubernetes-list-type" = "set"))]
    pub models: Vec<String>,
    /// A condition in CEL over `request` and `key` that must hold besides, such as `key.team == 'research'`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub when: Option<String>,
    /// Where calls go, tried in this order.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub targets: Vec<Target>,
    /// Failures after which the next target is tried, before the first byte of an answer.
    #[serde(default = "fallback_on")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub fallback_on: Vec<FailureName>,
}

fn fallback_on() -> Vec<FailureName> {
    use FailureName::{AuthFailed, ConnectError, InvalidResponse, Overloaded, QuotaExceeded, RateLimited, ServerError, Timeout};
    vec![RateLimited, Overloaded, QuotaExceeded, AuthFailed, ConnectError, Timeout, ServerError, InvalidResponse]
}

/// A provider, with the model to ask it for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// The LLMProvider.
    pub provider_ref: ObjectRef,
    /// Its name, alias or own id of a model; by default as the client wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub model: Option<String>,
}

/// Ways to fail at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum FailureName {
    /// Too many requests or tokens for now.
    RateLimited,
    /// The provider is out of capacity.
    Overloaded,
    /// The account's money or quota is used up.
    QuotaExceeded,
    /// The provider refused our credential.
    AuthFailed,
    /// The request is at fault.
    BadRequest,
    /// The conversation is too long for the model.
    ContextLengthExceeded,
    /// The provider's safety rules refused it.
    ContentFiltered,
    /// No such model or path.
    NotFound,
    /// No connection.
    ConnectError,
    /// Too late.
    Timeout,
    /// 5xx without a closer name.
    ServerError,
    /// An answer that is none.
    InvalidResponse,
    /// The answer broke off.
    StreamBroken,
}
