//! LLMProvider: where models are, how it is spoken to, and what they cost.

#![expect(clippy::duplicated_attributes, reason = "each printer column is an attribute of its own")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::identity::{AWSAuth, EntraAuth, GoogleAuth};
use super::price::Price;
use super::proxy::Proxy;
use super::quirk::{QuirkName, UnsupportedFields};
use super::shared::{ConfigMapKeyRef, Namespaces, SecretKeyRef, Status};

/// Where models are, how they are spoken to and what they cost.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "portolan.dev",
    version = "v1alpha1",
    kind = "LLMProvider",
    plural = "llmproviders",
    shortname = "lp",
    category = "portolan",
    namespaced,
    status = "Status",
    derive = "PartialEq"
)]
#[kube(
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self.type == oldSelf.type").message("type cannot be changed; make another LLMProvider"))]
#[x_kube(validation = Rule::new("(self.type == 'OpenAICompatible' || self.type == 'AzureOpenAI' || self.type == 'Bedrock' || self.type == 'Ollama') ? (has(self.endpoint) || has(self.preset) || (has(self.auth) && self.auth.type == 'AWS')) : true").message("endpoint is required with type OpenAICompatible, AzureOpenAI, Bedrock and Ollama, unless preset or auth.aws tells it"))]
#[x_kube(validation = Rule::new("self.type != 'Simulated' || !has(self.endpoint)").message("endpoint must not be set with type Simulated"))]
#[x_kube(validation = Rule::new("self.type != 'Simulated' || !has(self.auth)").message("auth must not be set with type Simulated"))]
#[x_kube(validation = Rule::new("(self.type == 'OpenAICompatible' || self.type == 'Ollama' || self.type == 'Simulated') ? true : has(self.auth)").message("auth is required with every type but OpenAICompatible, Ollama and Simulated"))]
#[x_kube(validation = Rule::new("self.type == 'Bedrock' || !has(self.auth) || self.auth.type != 'AWS'").message("auth.type AWS is only for type Bedrock"))]
#[x_kube(validation = Rule::new("self.type == 'VertexAI' || self.type == 'OpenAICompatible' || !has(self.auth) || self.auth.type != 'Google'").message("auth.type Google is only for types VertexAI and OpenAICompatible"))]
#[x_kube(validation = Rule::new("self.type == 'AzureOpenAI' || self.type == 'OpenAICompatible' || !has(self.auth) || self.auth.type != 'Entra'").message("auth.type Entra is only for types AzureOpenAI and OpenAICompatible"))]
#[x_kube(validation = Rule::new("self.type == 'AzureOpenAI' || !has(self.azure)").message("azure is only for type AzureOpenAI"))]
#[x_kube(validation = Rule::new("self.type != 'VertexAI' || !has(self.auth) || self.auth.type == 'Google'").message("type VertexAI wants auth.type Google"))]
#[x_kube(validation = Rule::new("(self.type == 'VertexAI') == has(self.vertex)").message("vertex is required with type VertexAI, and only then"))]
#[x_kube(validation = Rule::new("self.type != 'Simulated' || !has(self.proxy)").message("proxy must not be set with type Simulated"))]
#[x_kube(validation = Rule::new("self.type == 'Simulated' || !has(self.simulated)").message("simulated is only for type Simulated"))]
#[x_kube(validation = Rule::new("self.type == 'OpenAICompatible' || !has(self.surfaces)").message("surfaces is only for type OpenAICompatible"))]
#[x_kube(validation = Rule::new("self.type == 'OpenAICompatible' || !has(self.preset)").message("preset is only for type OpenAICompatible"))]
#[x_kube(validation = Rule::new("self.type == 'OpenAICompatible' || !has(self.quirks)").message("quirks is only for type OpenAICompatible"))]
pub struct LLMProviderSpec {
    /// Who answers. Cannot be changed.
    #[serde(rename = "type")]
    pub kind: ProviderType,
    /// Which OpenAI-compatible server it is: fills endpoint, header of the key, surfaces, quirks and prices, where they are
    /// not set. Names are in the list of presets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub preset: Option<String>,
    /// Where it is; by default the public endpoint of OpenAI, Anthropic, Gemini, Cohere and Mistral, the preset's, or that of the
    /// region of `auth.aws` or the location of `vertex`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Whose Vertex AI, and where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vertex: Option<Vertex>,
    /// Which of Azure's interfaces is spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<Azure>,
    /// How the gateway shows who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// What an OpenAI-compatible server speaks by itself; by default the preset's, else ChatCompletions, Completions,
    /// Embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), extend("x-kubernetes-list-type" = "set"))]
    pub surfaces: Option<Vec<SurfaceName>>,
    /// Where an OpenAI-compatible server differs from OpenAI; by default the preset's, else nowhere. See the list of quirks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"))]
    pub quirks: Option<Vec<QuirkName>>,
    /// What becomes of a call with a field that the provider cannot be told.
    #[serde(default)]
    pub unsupported_fields: UnsupportedFields,
    /// Models by the names that clients use. Any other model of the provider is reached as `provider/model`.
    #[serde(default)]
    #[schemars(length(max = 512), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub models: Vec<Model>,
    /// How long to wait.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Namespaces that may use it.
    #[serde(default)]
    pub allowed_namespaces: Namespaces,
    /// What clients may reach by its path at `/proxy/NAME/...`, passed through unread with the provider's credential; absent:
    /// nothing. The key must be granted the operation Proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// How a simulated provider behaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<Simulated>,
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ProviderType {
    /// OpenAI itself.
    OpenAI,
    /// Any server that speaks OpenAI's API.
    OpenAICompatible,
    /// Anthropic.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// Amazon Bedrock, with an API key of Bedrock or signed requests.
    Bedrock,
    /// Cohere.
    Cohere,
    /// Google's Vertex AI: Gemini's models and Anthropic's.
    VertexAI,
    /// OpenAI's models at Azure.
    AzureOpenAI,
    /// Mistral.
    Mistral,
    /// Ollama, by its own API.
    Ollama,
    /// Answers made by the gateway, for trials and tests.
    Simulated,
}

/// Whose Vertex AI, and where. Models whose name begins with `claude` are Anthropic's, all others Google's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vertex {
    /// The project, by its id or number.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[a-z0-9][a-z0-9.:-]*$"))]
    pub project: String,
    /// A region such as `europe-west1`, a multi-region (`us`, `eu`), or `global`.
    #[schemars(length(min = 2, max = 32), regex(pattern = r"^[a-z]+(-[a-z0-9]+)*$"))]
    pub location: String,
}

/// Which of Azure's interfaces is spoken. A model's `upstreamName` is the name of its deployment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self.api == 'V1' || has(self.apiVersion)").message("apiVersion is required with api Deployments and Models"))]
pub struct Azure {
    /// V1, Deployments or Models.
    #[serde(default = "v1")]
    pub api: AzureApi,
    /// The version of the interface, such as 2024-10-21; V1 needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z0-9-]+$"))]
    pub api_version: Option<String>,
}

fn v1() -> AzureApi {
    AzureApi::V1
}

impl Default for Azure {
    fn default() -> Self {
        Self { api: v1(), api_version: None }
    }
}

/// Interfaces of Azure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum AzureApi {
    /// `/openai/v1/...`
    V1,
    /// `/openai/deployments/DEPLOYMENT/...?api-version=`
    Deployments,
    /// `/models/...?api-version=`, of Azure AI Foundry.
    Models,
}

/// Where a provider is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self.url.startsWith('https://') || (has(self.allowInsecure) && self.allowInsecure)").message("url must be https://, unless allowInsecure is true"))]
#[x_kube(validation = Rule::new("!(has(self.caConfigMapRef) && has(self.caSecretRef))").message("caConfigMapRef and caSecretRef exclude each other"))]
pub struct Endpoint {
    /// Base URL that ends in the API version: `https://llm.example.com/v1`; of Ollama `http://ollama:11434/api`, of AzureOpenAI
    /// the resource: `https://name.openai.azure.com`.
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://[^ ?#@]+$"))]
    pub url: String,
    /// Take plain text, `http://`.
    #[serde(default)]
    pub allow_insecure: bool,
    /// Certificates in PEM to trust besides the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<ConfigMapKeyRef>,
    /// Certificates in PEM to trust besides the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
}

/// How the gateway shows who it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(self.type == 'APIKey') == has(self.secretRef)").message("secretRef is required with type APIKey, and only then"))]
#[x_kube(validation = Rule::new("self.type == 'APIKey' || !has(self.header)").message("header is only for type APIKey"))]
#[x_kube(validation = Rule::new("(self.type == 'AWS') == has(self.aws)").message("aws is required with type AWS, and only then"))]
#[x_kube(validation = Rule::new("(self.type == 'Google') == has(self.google)").message("google is required with type Google, and only then"))]
#[x_kube(validation = Rule::new("(self.type == 'Entra') == has(self.entra)").message("entra is required with type Entra, and only then"))]
pub struct Auth {
    /// APIKey, AWS, Google, Entra or None.
    #[serde(rename = "type", default = "api_key")]
    pub kind: AuthType,
    /// The Secret's entry that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
    /// The header that shows it; by default XAPIKey for Anthropic, GoogAPIKey for Gemini, APIKey for AzureOpenAI, Bearer for all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Header>,
    /// Who the gateway is at AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AWSAuth>,
    /// Who the gateway is at Google.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google: Option<GoogleAuth>,
    /// Who the gateway is at Microsoft Entra.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entra: Option<EntraAuth>,
}

impl Auth {
    /// Every entry of a Secret that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretKeyRef> {
        let aws = self.aws.iter().flat_map(|aws| [&aws.access_key_id_ref, &aws.secret_access_key_ref, &aws.session_token_ref]);
        let google = self.google.iter().map(|google| &google.secret_ref);
        let entra = self.entra.iter().map(|entra| &entra.secret_ref);
        aws.chain(google).chain(entra).chain([&self.secret_ref]).flatten()
    }
}

fn api_key() -> AuthType {
    AuthType::APIKey
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum AuthType {
    /// A key in a header.
    APIKey,
    /// Requests are signed for AWS.
    AWS,
    /// A token of Google.
    Google,
    /// A token of Microsoft Entra.
    Entra,
    /// Nothing is shown.
    None,
}

/// Headers that a key can stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Header {
    /// `Authorization: Bearer KEY`
    Bearer,
    /// `x-api-key: KEY`
    XAPIKey,
    /// `api-key: KEY`
    APIKey,
    /// `x-goog-api-key: KEY`
    GoogAPIKey,
}

/// Endpoints that a server can speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SurfaceName {
    /// /chat/completions
    ChatCompletions,
    /// /completions
    Completions,
    /// /embeddings
    Embeddings,
    /// /responses
    Responses,
    /// /messages
    Messages,
    /// /images/generations
    Images,
    /// /images/edits
    ImageEdits,
    /// /images/variations
    ImageVariations,
    /// /audio/speech
    Speech,
    /// /audio/transcriptions
    Transcriptions,
    /// /audio/translations
    Translations,
    /// /moderations
    Moderations,
    /// /rerank
    Rerank,
    /// /realtime, a WebSocket
    Realtime,
    /// /files
    Files,
}

/// A model by the name that clients use.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    /// The name.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9._:/@+-]*$"))]
    pub name: String,
    /// Other names for it.
    #[serde(default)]
    #[schemars(length(max = 16), inner(length(min = 1, max = 128), regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9._:/@+-]*$")), extend("x-kubernetes-list-type" = "set"))]
    pub aliases: Vec<String>,
    /// What the provider calls it; by default the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub upstream_name: Option<String>,
    /// Prices that override the catalog's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

/// How long to wait, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timeouts {
    /// For name look-up, TCP and TLS together.
    #[serde(default = "connect")]
    #[schemars(range(min = 10, max = 60_000))]
    pub connect_milliseconds: i32,
    /// For the first byte, or the first event of a stream.
    #[serde(default = "first_byte")]
    #[schemars(range(min = 10, max = 3_600_000))]
    pub first_byte_milliseconds: i32,
    /// Between two pieces of an answer.
    #[serde(default = "idle")]
    #[schemars(range(min = 10, max = 3_600_000))]
    pub idle_milliseconds: i32,
    /// For the whole call.
    #[serde(default = "total")]
    #[schemars(range(min = 10, max = 7_200_000))]
    pub total_milliseconds: i32,
}

fn connect() -> i32 {
    5_000
}

fn first_byte() -> i32 {
    120_000
}

fn idle() -> i32 {
    60_000
}

fn total() -> i32 {
    1_800_000
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_milliseconds: connect(),
            first_byte_milliseconds: first_byte(),
            idle_milliseconds: idle(),
            total_milliseconds: total(),
        }
    }
}

/// How a simulated provider behaves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Simulated {
    /// The same seed and request give the same answer.
    #[serde(default)]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub seed: i64,
    /// Wait before the first byte.
    #[serde(default)]
    #[schemars(range(min = 0, max = 600_000))]
    pub latency_milliseconds: i32,
    /// Wait between two tokens of a stream.
    #[serde(default)]
    #[schemars(range(min = 0, max = 60_000))]
    pub token_interval_milliseconds: i32,
    /// Tokens of an answer, unless the request asks for fewer.
    #[serde(default = "answer_tokens")]
    #[schemars(range(min = 1, max = 4096))]
    pub answer_tokens: i32,
    /// Faults, each with how many of a hundred calls it befalls.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub faults: Vec<Fault>,
}

fn answer_tokens() -> i32 {
    48
}

impl Default for Simulated {
    fn default() -> Self {
        Self { seed: 0, latency_milliseconds: 0, token_interval_milliseconds: 0, answer_tokens: answer_tokens(), faults: Vec::new() }
    }
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(self.type == 'Status') == has(self.status)").message("status is required with type Status, and only then"))]
#[x_kube(validation = Rule::new("self.type == 'Status' || !has(self.retryAfterSeconds)").message("retryAfterSeconds is only for type Status"))]
#[x_kube(validation = Rule::new("self.type == 'Drop' || !has(self.afterTokens)").message("afterTokens is only for type Drop"))]
pub struct Fault {
    /// Status, Drop or Hang.
    #[serde(rename = "type")]
    pub kind: FaultType,
    /// Of how many of a hundred calls.
    #[schemars(range(min = 1, max = 100))]
    pub percent: i32,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 400, max = 599))]
    pub status: Option<i32>,
    /// Seconds of a Retry-After header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub retry_after_seconds: Option<i32>,
    /// Tokens that come before the connection breaks; by default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4096))]
    pub after_tokens: Option<i32>,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum FaultType {
    /// An error answer.
    Status,
    /// The connection breaks.
    Drop,
    /// No byte comes.
    Hang,
}
