//! VirtualKey: who may call, and what.

#![expect(clippy::duplicated_attributes, reason = "each printer column is an attribute of its own")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{DataPlaneStatus, ObjectRef, SecretKeyRef};

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
    status = "VirtualKeyStatus",
    derive = "PartialEq"
)]
#[kube(
    printcolumn(name = "Team", type_ = "string", json_path = ".spec.owner.team"),
    printcolumn(name = "Expires", type_ = "date", json_path = ".spec.expiresAt"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "KeyID", type_ = "string", json_path = ".status.key.id", priority = 1),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.rotation) || self.source.type == 'Generated'").message("rotation is for keys of type Generated alone"))]
pub struct VirtualKeySpec {
    /// The LLMGateway that it belongs to; by default the only one that admits its namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_ref: Option<ObjectRef>,
    /// Where the key comes from.
    pub source: Source,
    /// When a generated key gets a new text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
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
#[x_kube(validation = Rule::new("!has(self.generated) || self.type == 'Generated'").message("generated is for type Generated alone"))]
pub struct Source {
    /// Generated, Hash or SecretRef.
    #[serde(rename = "type")]
    pub kind: SourceType,
    /// SHA-256 of the key's text, in lower-case hex; safe to keep in Git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
    /// The Secret's entry that holds the key's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
    /// Where the operator puts the text of a key that it makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<Generated>,
}

/// Where the operator puts the text of a key that it makes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Generated {
    /// Name of the Secret that the operator creates; by default that of the VirtualKey with `-key` behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub secret_name: Option<String>,
    /// Key inside the Secret; the text before the last rotation stands beside it with `.previous` behind its name.
    #[serde(default = "secret_key")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub secret_key: String,
    /// What becomes of the Secret when the VirtualKey goes.
    #[serde(default = "delete")]
    pub deletion_policy: DeletionPolicy,
}

/// What becomes of a generated Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It goes with the VirtualKey.
    Delete,
    /// It stays, and a VirtualKey of the same name takes it over.
    Retain,
}

fn secret_key() -> String {
    "apiKey".to_owned()
}

fn delete() -> DeletionPolicy {
    DeletionPolicy::Delete
}

impl Default for Generated {
    fn default() -> Self {
        Self { secret_name: None, secret_key: secret_key(), deletion_policy: delete() }
    }
}

impl Generated {
    /// The name of the Secret of the VirtualKey with this name.
    #[must_use]
    pub fn secret_of(&self, key: &str) -> String {
        self.secret_name.clone().unwrap_or_else(|| format!("{key}-key"))
    }

    /// The entry that holds the text before the last rotation.
    #[must_use]
    pub fn previous_key(&self) -> String {
        format!("{}.previous", self.secret_key)
    }
}

/// When a generated key gets a new text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rotation {
    /// So long after the last time; absent: only when the annotation `portolan.dev/rotate` gets a new value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 315_360_000))]
    pub interval_seconds: Option<i64>,
    /// How long the text before it stays good.
    #[serde(default = "overlap_seconds")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub overlap_seconds: i64,
}

fn overlap_seconds() -> i64 {
    86_400
}

impl Default for Rotation {
    fn default() -> Self {
        Self { interval_seconds: None, overlap_seconds: overlap_seconds() }
    }
}

/// The state of a key.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualKeyStatus {
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
    /// What was made for this key, when its type is Generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<MintedKey>,
}

/// A key that was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MintedKey {
    /// Its id: the part of its text that is no secret, and by which logs name it.
    #[schemars(length(max = 63))]
    pub id: String,
    /// The Secret that holds its text.
    #[schemars(length(max = 253))]
    pub secret_name: String,
    /// The UID of the VirtualKey that it was made for: it is made once.
    #[schemars(length(max = 64))]
    pub minted_for: String,
    /// The value of the annotation `portolan.dev/rotate` that was last obeyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub rotated_for: Option<String>,
}

/// Kinds of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SourceType {
    /// The operator makes it and puts its text into a Secret.
    Generated,
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
    /// Pictures made and changed.
    Images,
    /// Speech made, and written down.
    Audio,
    /// Texts and pictures judged.
    Moderations,
    /// Documents put in the order of a question.
    Rerank,
    /// Files kept at a provider.
    Files,
    /// Paths of providers, passed through. A key without a list has it not.
    Proxy,
    /// Sessions over an open connection.
    Realtime,
}
