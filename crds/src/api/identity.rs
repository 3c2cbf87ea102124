//! Identities of clouds, as a provider's `auth` names them.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::SecretKeyRef;

/// Who the gateway is at AWS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(self.source == 'Keys') == has(self.accessKeyIDRef) && (self.source == 'Keys') == has(self.secretAccessKeyRef)").message("accessKeyIDRef and secretAccessKeyRef are required with source Keys, and only then"))]
#[x_kube(validation = Rule::new("self.source == 'Keys' || !has(self.sessionTokenRef)").message("sessionTokenRef is only for source Keys"))]
#[x_kube(validation = Rule::new("self.source != 'WebIdentity' || has(self.roleARN)").message("roleARN is required with source WebIdentity"))]
#[x_kube(validation = Rule::new("has(self.roleARN) || !(has(self.externalID) || has(self.sessionName) || has(self.stsEndpoint))").message("externalID, sessionName and stsEndpoint are only for a role: set roleARN"))]
#[x_kube(validation = Rule::new("self.source != 'Keys' || !has(self.tokenFile)").message("tokenFile is only for sources WebIdentity and PodIdentity"))]
#[x_kube(validation = Rule::new("self.source == 'PodIdentity' || !has(self.agentEndpoint)").message("agentEndpoint is only for source PodIdentity"))]
pub struct AWSAuth {
    /// The region that requests are signed for: `us-east-1`.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$"))]
    pub region: String,
    /// Keys, WebIdentity or PodIdentity. The last two are the gateway's own and work in its namespace only.
    pub source: AWSSource,
    /// The Secret's entry that holds the access key's id.
    #[serde(rename = "accessKeyIDRef", default, skip_serializing_if = "Option::is_none")]
    pub access_key_id_ref: Option<SecretKeyRef>,
    /// The Secret's entry that holds the secret access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key_ref: Option<SecretKeyRef>,
    /// The Secret's entry that holds the session token of keys that are good for a while only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token_ref: Option<SecretKeyRef>,
    /// A role to take on: with the keys, or with the token of the pods' ServiceAccount.
    #[serde(rename = "roleARN", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = 2048), regex(pattern = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[a-zA-Z0-9_+=,.@/-]+$"))]
    pub role_arn: Option<String>,
    /// What the role's owner wants to be told.
    #[serde(rename = "externalID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224), regex(pattern = r"^[a-zA-Z0-9_+=,.@:/-]+$"))]
    pub external_id: Option<String>,
    /// What AWS's audit logs call the gateway's sessions; by default portolan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 64), regex(pattern = r"^[a-zA-Z0-9_+=,.@-]+$"))]
    pub session_name: Option<String>,
    /// Where the pods' token is; by default where EKS mounts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1024), regex(pattern = r"^/[^\x00]+$"))]
    pub token_file: Option<String>,
    /// The Security Token Service; by default that of the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https://[^ ?#@]+$"))]
    pub sts_endpoint: Option<String>,
    /// The agent of source PodIdentity; by default that of EKS, `http://169.254.170.23/v1/credentials`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://[^ ?#@]+$"))]
    pub agent_endpoint: Option<String>,
}

/// Where keys of AWS come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum AWSSource {
    /// From a Secret.
    Keys,
    /// A token of the pods' ServiceAccount is exchanged for a role's keys (IRSA).
    WebIdentity,
    /// An agent on the node gives them (EKS Pod Identity).
    PodIdentity,
}

/// Who the gateway is at Google.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(self.source == 'Metadata') != has(self.secretRef)").message("secretRef is required with sources ServiceAccountKey and Federation, and only then"))]
#[x_kube(validation = Rule::new("self.source == 'Metadata' || !has(self.metadataEndpoint)").message("metadataEndpoint is only for source Metadata"))]
pub struct GoogleAuth {
    /// ServiceAccountKey, Metadata or Federation. The last two are the gateway's own and work in its namespace only.
    pub source: GoogleSource,
    /// The Secret's entry that holds the JSON of a service account's key, or of a federated account (`external_account`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
    /// The metadata server; by default `http://metadata.google.internal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://[^ ?#@]+$"))]
    pub metadata_endpoint: Option<String>,
}

/// Where tokens of Google come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum GoogleSource {
    /// A service account's key from a Secret.
    ServiceAccountKey,
    /// The node's metadata server (Workload Identity of GKE).
    Metadata,
    /// A token of the pods' ServiceAccount is exchanged (Workload Identity Federation).
    Federation,
}

/// Who the gateway is at Microsoft Entra.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(self.source == 'ClientSecret') == has(self.secretRef)").message("secretRef is required with source ClientSecret, and only then"))]
#[x_kube(validation = Rule::new("self.source == 'ManagedIdentity' || (has(self.tenantID) && has(self.clientID))").message("tenantID and clientID are required with sources ClientSecret and WorkloadIdentity"))]
#[x_kube(validation = Rule::new("self.source != 'ManagedIdentity' || !(has(self.tenantID) || has(self.authority))").message("tenantID and authority are not for source ManagedIdentity"))]
#[x_kube(validation = Rule::new("self.source == 'WorkloadIdentity' || !has(self.tokenFile)").message("tokenFile is only for source WorkloadIdentity"))]
#[x_kube(validation = Rule::new("self.source == 'ManagedIdentity' || !has(self.metadataEndpoint)").message("metadataEndpoint is only for source ManagedIdentity"))]
pub struct EntraAuth {
    /// ClientSecret, WorkloadIdentity or ManagedIdentity. The last two are the gateway's own and work in its namespace only.
    pub source: EntraSource,
    /// The tenant, by its id or domain.
    #[serde(rename = "tenantID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9.-]*$"))]
    pub tenant_id: Option<String>,
    /// The application; with ManagedIdentity only where the node has several identities.
    #[serde(rename = "clientID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[a-zA-Z0-9-]+$"))]
    pub client_id: Option<String>,
    /// The Secret's entry that holds the client secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
    /// Where the pods' token is; by default where the webhook of Azure Workload Identity mounts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1024), regex(pattern = r"^/[^\x00]+$"))]
    pub token_file: Option<String>,
    /// The cloud's token server; by default `https://login.microsoftonline.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https://[^ ?#@]+$"))]
    pub authority: Option<String>,
    /// What the token is for; by default `https://cognitiveservices.azure.com/.default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[^ ]+$"))]
    pub scope: Option<String>,
    /// The node's metadata service; by default `http://169.254.169.254/metadata/identity/oauth2/token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://[^ ?#@]+$"))]
    pub metadata_endpoint: Option<String>,
}

/// What Entra is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum EntraSource {
    /// A client secret from a Secret.
    ClientSecret,
    /// A token of the pods' ServiceAccount.
    WorkloadIdentity,
    /// Nothing: the node's metadata service knows who asks.
    ManagedIdentity,
}
