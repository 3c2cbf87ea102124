//! Providers: where calls go and how they are spoken to.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{AwsIdentity, EntraIdentity, GoogleIdentity, ModelName, MorePrices, NanoUsd, ProviderId, Proxy, Quirk, Surface};

/// One provider as the machine needs it. Its credential travels apart, in [`crate::Credentials`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Which LLMProvider this is.
    pub id: ProviderId,
    /// Who answers.
    pub kind: ProviderKind,
    /// Surfaces that it speaks by itself; all else is translated or refused.
    pub surfaces: BTreeSet<Surface>,
    /// Declared models, in declared order.
    pub models: Vec<Model>,
    /// Namespaces that may use it.
    pub visibility: Visibility,
    /// Where it differs from the dialect that it speaks.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub quirks: BTreeSet<Quirk>,
    /// Fields that it cannot be told are left out, and the client is told so; otherwise the call is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drops: bool,
    /// The catalog's word for it, where its type does not tell who answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<String>,
    /// What of it may be reached by its path; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
}

/// The type of a provider, with what only this type has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ProviderKind {
    /// OpenAI itself.
    OpenAi(Endpoint),
    /// Any server that speaks OpenAI's API.
    OpenAiCompatible(Endpoint),
    /// Anthropic.
    Anthropic(Endpoint),
    /// Google's Gemini API.
    Gemini(Endpoint),
    /// Amazon Bedrock.
    Bedrock(Endpoint),
    /// Cohere.
    Cohere(Endpoint),
    /// Google's Vertex AI: its own models and Anthropic's. The base path names project and location.
    VertexAi(Endpoint),
    /// OpenAI's models at Azure.
    AzureOpenAi(Azure),
    /// Mistral, which speaks OpenAI's dialect with quirks of its own.
    Mistral(Endpoint),
    /// Ollama, by its own API.
    Ollama(Endpoint),
    /// Answers made inside the process.
    Simulated(Simulated),
}

impl ProviderKind {
    /// Where it is dialled; a simulated provider is not.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::OpenAi(endpoint)
            | Self::OpenAiCompatible(endpoint)
            | Self::Anthropic(endpoint)
            | Self::Gemini(endpoint)
            | Self::Bedrock(endpoint)
            | Self::Cohere(endpoint)
            | Self::VertexAi(endpoint)
            | Self::AzureOpenAi(Azure { endpoint, .. })
            | Self::Mistral(endpoint)
            | Self::Ollama(endpoint) => Some(endpoint),
            Self::Simulated(_) => None,
        }
    }

    /// The same, to be changed.
    #[must_use]
    pub fn endpoint_mut(&mut self) -> Option<&mut Endpoint> {
        match self {
            Self::OpenAi(endpoint)
            | Self::OpenAiCompatible(endpoint)
            | Self::Anthropic(endpoint)
            | Self::Gemini(endpoint)
            | Self::Bedrock(endpoint)
            | Self::Cohere(endpoint)
            | Self::VertexAi(endpoint)
            | Self::AzureOpenAi(Azure { endpoint, .. })
            | Self::Mistral(endpoint)
            | Self::Ollama(endpoint) => Some(endpoint),
            Self::Simulated(_) => None,
        }
    }

    /// A stable word for metrics and log lines.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::OpenAi(_) => "OpenAI",
            Self::OpenAiCompatible(_) => "OpenAICompatible",
            Self::Anthropic(_) => "Anthropic",
            Self::Gemini(_) => "Gemini",
            Self::Bedrock(_) => "Bedrock",
            Self::Cohere(_) => "Cohere",
            Self::VertexAi(_) => "VertexAI",
            Self::AzureOpenAi(_) => "AzureOpenAI",
            Self::Mistral(_) => "Mistral",
            Self::Ollama(_) => "Ollama",
            Self::Simulated(_) => "Simulated",
        }
    }
}

/// A resource of Azure, and which of its interfaces is spoken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Azure {
    /// The resource.
    pub endpoint: Endpoint,
    /// The interface.
    pub api: AzureApi,
}

/// Interfaces of Azure: where a model's name stands, and what the version is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum AzureApi {
    /// `/openai/v1/chat/completions`: the deployment's name is the body's `model`.
    V1 {
        /// `preview`, where that is wanted.
        version: Option<String>,
    },
    /// `/openai/deployments/{deployment}/chat/completions?api-version=`
    Deployments {
        /// `2024-10-21`
        version: String,
    },
    /// `/models/chat/completions?api-version=`: models of Azure AI Foundry.
    Models {
        /// `2024-05-01-preview`
        version: String,
    },
}

/// A base URL, taken apart, and how it is dialled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// TLS or not.
    pub scheme: Scheme,
    /// A DNS name or an IP address (IPv6 without brackets).
    pub host: String,
    /// The port.
    pub port: u16,
    /// What stands before `Surface::path`, without a slash at its end: `/v1`, or empty.
    pub base_path: String,
    /// How the credential is shown.
    pub auth: AuthStyle,
    /// Which addresses may be dialled.
    pub reach: Reach,
    /// Certificates in PEM that are trusted besides the platform's.
    pub extra_ca_pem: Option<String>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// The scheme of a base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scheme {
    /// Plain text, HTTP/1.1.
    Http,
    /// TLS; HTTP/2 where the server offers it.
    Https,
}

/// How a provider wants its credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthStyle {
    /// No credential.
    None,
    /// `Authorization: Bearer <credential>`
    Bearer,
    /// `x-api-key: <credential>` (Anthropic)
    XApiKey,
    /// `api-key: <credential>`
    ApiKey,
    /// `x-goog-api-key: <credential>` (Gemini)
    GoogApiKey,
    /// A signature of AWS.
    Aws(Box<AwsIdentity>),
    /// A token of Google, as `Authorization: Bearer`.
    Google(Box<GoogleIdentity>),
    /// A token of Microsoft Entra, as `Authorization: Bearer`.
    Entra(Box<EntraIdentity>),
}

impl AuthStyle {
    /// Whether it shows who the gateway itself is, by the pod that it runs in.
    #[must_use]
    pub fn is_ambient(&self) -> bool {
        match self {
            Self::None | Self::Bearer | Self::XApiKey | Self::ApiKey | Self::GoogApiKey => false,
            Self::Aws(identity) => identity.is_ambient(),
            Self::Google(identity) => identity.is_ambient(),
            Self::Entra(identity) => identity.is_ambient(),
        }
    }

    /// Whether it must be got, and renewed: nothing but keys in a Secret was there before.
    #[must_use]
    pub fn is_of_a_cloud(&self) -> bool {
        match self {
            Self::None | Self::Bearer | Self::XApiKey | Self::ApiKey | Self::GoogApiKey => false,
            Self::Aws(_) | Self::Google(_) | Self::Entra(_) => true,
        }
    }
}

/// Which addresses a provider may be dialled at; checked at connect time, after name look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// Any: the provider lives in the gateway's own namespace.
    Any,
    /// Public addresses and those that the gateway's egress allows.
    Public,
}

/// Milliseconds to wait for each step of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// Name look-up, TCP and TLS together.
    pub connect_ms: u32,
    /// From the request's last byte to the answer's first.
    pub first_byte_ms: u32,
    /// Between two pieces of an answer.
    pub idle_ms: u32,
    /// The whole call.
    pub total_ms: u32,
}

/// A declared model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What clients write.
    pub name: ModelName,
    /// Other names for it.
    pub aliases: BTreeSet<ModelName>,
    /// What the provider calls it.
    pub upstream_name: ModelName,
    /// Prices of tokens that override the catalog's.
    pub price: Option<Price>,
    /// Other prices that do. Boxed, for few models have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_prices: Option<Box<MorePrices>>,
}

/// Nano-dollars per **million** tokens. `cached` and `cache_write` default to `input`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens read.
    pub input: NanoUsd,
    /// Tokens written.
    pub output: NanoUsd,
    /// Tokens read from the provider's cache.
    pub cached: Option<NanoUsd>,
    /// Tokens written into the provider's cache.
    pub cache_write: Option<NanoUsd>,
}

/// Namespaces that may use a provider. The provider's own namespace always may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Visibility {
    /// Every namespace that the gateway admits.
    All,
    /// These.
    Namespaces(BTreeSet<String>),
}

/// A provider that is played inside the process; the same seed and request give the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulated {
    /// Makes the answers repeatable.
    pub seed: u64,
    /// Wait before the first byte, in milliseconds.
    pub latency_ms: u32,
    /// Wait between two tokens of a stream, in milliseconds.
    pub token_interval_ms: u32,
    /// Tokens of an answer unless the request asks for fewer.
    pub answer_tokens: u32,
    /// Faults and how often each befalls a call.
    pub faults: Vec<SimulatedFault>,
}

/// Something that goes wrong in so many of a hundred calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum SimulatedFault {
    /// An error answer with this status.
    Status {
        /// 400 to 599.
        status: u16,
        /// 1 to 100.
        percent: u8,
        /// Seconds of a `Retry-After` header.
        retry_after_seconds: Option<u32>,
    },
    /// The connection closes after so many tokens of a stream, or before an answer that is not streamed.
    Drop {
        /// 1 to 100.
        percent: u8,
        /// Tokens sent before.
        after_tokens: u32,
    },
    /// No byte ever comes.
    Hang {
        /// 1 to 100.
        percent: u8,
    },
}
