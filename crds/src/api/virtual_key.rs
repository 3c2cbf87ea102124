//! VirtualKey: who may call, and what.

#![expect(clippy::duplicated_attributes, reason = "each printer column is an attribute of its own")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{ObjectRef, SecretKeyRef, Status};

/// Who may call, and what.
#[derive(CustomResource, Debug, Clone, PartialEq, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "portolan.dev",
    version = "v1alpha1",
    kind = "VirtualKey",
    plural = "virtualkeys",
    shortname = "vk",
    category = "portolan",
    namespaced,
    status = "Status",
    derive = "PartialEq"
)]
#[kube(
    printcolumn(name = "Team", type_ = "string", json_path = ".spec.owner.team"),
    printcolumn(name = "Expires", type_ = "date", json_path = ".spec.expiresAt"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VirtualKeySpec {
    /// The LLMGateway that it belongs to; by default the only one that admits its namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_ref: Option<ObjectRef>,
    /// Where the key comes from.
    pub source: Source,
    /// Who answers for its calls.
    #[serde(default)]
    pub owner: Owner,
    /// What it may do; what is not listed is all that the namespace may.
    #[serde(default)]
    pub allow: Allow,
    /// From when it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// Refused until this is false again.
    #[serde(default)]
    pub suspend: bool,
    /// Calls that may run at once, in each replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_in_flight: Option<i32>,
    /// The RoutingPolicy that decides where its calls go: of this namespace, or of the gateway's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing_policy_ref: Option<ObjectRef>,
}

/// Where a key comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(self.type == 'Hash') == has(self.sha256)").message("sha256 is required with type Hash, and only then"))]
#[x_kube(validation = Rule::new("(self.type == 'SecretRef') == has(self.secretRef)").message("secretRef is required with type SecretRef, and only then"))]
pub struct Source {
    /// Hash or SecretRef.
    #[serde(rename = "type")]
    pub kind: SourceType,
    /// SHA-256 of the key's text, in lower-case hex; safe to keep in Git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
    /// The Secret's entry that holds the key's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
}

/// Kinds of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SourceType {
    /// Its hash is written here.
    Hash,
    /// Its text is in a Secret of the same namespace.
    SecretRef,
}

/// Who answers for a key's calls; receipts carry it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Owner {
    /// A team; the namespace, unless the gateway grants another name to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub team: Option<String>,
    /// A person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub user: Option<String>,
    /// A program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub application: Option<String>,
    /// `prod`, `staging` and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub environment: Option<String>,
    /// Who pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub cost_center: Option<String>,
}

/// What a key may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allow {
    /// Names of models; `*` stands for any run of characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 256)), extend("x-kubernetes-list-type" = "set"))]
    pub models: Option<Vec<String>>,
    /// Providers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub providers: Option<Vec<ObjectRef>>,
    /// Operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub operations: Option<Vec<OperationName>>,
}

/// What calls are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum OperationName {
    /// Conversations, in both dialects.
    Chat,
    /// Texts continued.
    Completions,
    /// Texts as vectors.
    Embeddings,
    /// The Responses API.
    Responses,
}
