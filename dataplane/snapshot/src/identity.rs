//! Identities of clouds: what a provider shows in the place of a key that never changes, and where the machine gets it.
//!
//! What is secret in them travels apart, as the provider's credential. An identity that the gateway's pods have by
//! themselves is *ambient*: whoever could use it from another namespace would act as the gateway.

use serde::{Deserialize, Serialize};

use crate::Scheme;

/// Where tokens and temporary keys are asked for: a URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// TLS or not; services beside the pod speak none.
    pub scheme: Scheme,
    /// A DNS name or an IP address (IPv6 without brackets).
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path, with its slash.
    pub path: String,
}

/// Who the gateway is at AWS. Requests are signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsIdentity {
    /// `us-east-1`
    pub region: String,
    /// The service that requests are signed for: `bedrock`.
    pub service: String,
    /// Where keys come from.
    pub source: AwsSource,
    /// The role that is taken on with those keys; it gives others, good for an hour.
    pub role: Option<AwsRole>,
    /// The Security Token Service.
    pub sts: Site,
}

/// Where keys of AWS come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum AwsSource {
    /// From a Secret: the credential is JSON with `access_key_id`, `secret_access_key` and maybe `session_token`.
    Keys,
    /// The role is taken on with a token of the pod's ServiceAccount (IRSA).
    WebIdentity {
        /// The role.
        role: AwsRole,
        /// Where the token is; read anew each time.
        token_file: String,
    },
    /// An agent on the node gives them (EKS Pod Identity, ECS).
    Container {
        /// Where the agent is.
        agent: Site,
        /// What it wants to be shown; read anew each time.
        token_file: String,
    },
}

/// A role of AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsRole {
    /// `arn:aws:iam::123456789012:role/name`
    pub arn: String,
    /// What audit logs call the session.
    pub session_name: String,
    /// What the role's owner wants to be told.
    pub external_id: Option<String>,
}

/// Who the gateway is at Microsoft Entra. A token is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntraIdentity {
    /// The application; `None`: the only identity that the node has.
    pub client_id: Option<String>,
    /// What the token is for: `https://cognitiveservices.azure.com/.default`.
    pub scope: String,
    /// The tenant's token server, or the node's metadata service.
    pub server: Site,
    /// What is shown there.
    pub source: EntraSource,
}

/// What Entra is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum EntraSource {
    /// A secret of the application: the credential.
    ClientSecret,
    /// A token of the pod, which the application trusts.
    WorkloadIdentity {
        /// Where it is; read anew each time.
        token_file: String,
    },
    /// Nothing: the node's metadata service knows who asks.
    ManagedIdentity,
}

impl EntraIdentity {
    /// Whether it is the gateway's own, by the pod or node that it runs on.
    #[must_use]
    pub fn is_ambient(&self) -> bool {
        match self.source {
            EntraSource::ClientSecret => false,
            EntraSource::WorkloadIdentity { .. } | EntraSource::ManagedIdentity => true,
        }
    }
}

/// Who the gateway is at Google. A token is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum GoogleIdentity {
    /// A service account whose key is there: the credential is its private key in PEM.
    ServiceAccountKey {
        /// The account.
        email: String,
        /// Which of its keys.
        key_id: String,
        /// The token server as the key names it, which the assertion is made for.
        audience: String,
        /// The same, taken apart.
        server: Site,
    },
    /// Whoever the node's metadata server says (Workload Identity of GKE).
    Metadata {
        /// The metadata server.
        server: Site,
    },
    /// A token of another issuer is exchanged (Workload Identity Federation).
    Federation(Federation),
}

/// How a token of the pod becomes one of Google's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Federation {
    /// The pool's provider that trusts the issuer.
    pub audience: String,
    /// `urn:ietf:params:oauth:token-type:jwt`
    pub subject_token_type: String,
    /// Where the token is; read anew each time.
    pub token_file: String,
    /// The field of the file's JSON that holds it; `None`: the file is the token.
    pub token_field: Option<String>,
    /// Where tokens are exchanged.
    pub server: Site,
    /// Where a token for a service account is made; `None`: the exchanged one is shown.
    pub impersonate: Option<Site>,
}

impl GoogleIdentity {
    /// Whether it is the gateway's own, by the pod that it runs in.
    #[must_use]
    pub fn is_ambient(&self) -> bool {
        match self {
            Self::ServiceAccountKey { .. } => false,
            Self::Metadata { .. } | Self::Federation(_) => true,
        }
    }
}

impl AwsIdentity {
    /// Whether it is the gateway's own, by the pod that it runs in.
    #[must_use]
    pub fn is_ambient(&self) -> bool {
        match self.source {
            AwsSource::Keys => false,
            AwsSource::WebIdentity { .. } | AwsSource::Container { .. } => true,
        }
    }
}
