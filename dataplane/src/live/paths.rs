//! Where a surface is below a provider's base path: the usual place, or that of a cloud.

use std::collections::BTreeSet;

use snapshot::{AzureApi, ProviderKind, Surface};

/// Stands in a path for the model's name.
const MODEL: &str = "{model}";

/// The path of a surface, with its query; of one that is fixed the name of the model changes nothing.
pub(super) fn path(kind: &ProviderKind, surface: Surface, model: &str, stream: bool) -> Option<String> {
    let (below, keep) = match kind {
        ProviderKind::VertexAi(_) => (of_vertex(surface, stream)?, &b"@"[..]),
        ProviderKind::Bedrock(_) if surface == Surface::Embeddings => (format!("/model/{MODEL}/invoke"), &b""[..]),
        ProviderKind::AzureOpenAi(azure) if surface == Surface::Realtime => (session_of_azure(&azure.api)?, &b""[..]),
        ProviderKind::AzureOpenAi(azure) => (of_azure(&azure.api, surface), &b""[..]),
        _ if surface == Surface::Realtime => (format!("{}?model={MODEL}", surface.path()), &b""[..]),
        ProviderKind::OpenAi(_)
        | ProviderKind::OpenAiCompatible(_)
        | ProviderKind::Anthropic(_)
        | ProviderKind::Gemini(_)
        | ProviderKind::Bedrock(_)
        | ProviderKind::Cohere(_)
        | ProviderKind::Mistral(_)
        | ProviderKind::Ollama(_)
        | ProviderKind::Simulated(_) => (if stream { surface.stream_path() } else { surface.path() }.to_owned(), &b""[..]),
    };
    let base = kind.endpoint().map_or("/v1", |endpoint| endpoint.base_path.as_str());
    Some(format!("{base}{}", below.replace(MODEL, &providers::sigv4::encoded(model, keep))))
}

/// Whether the path of a surface is the same for every model, streamed or not.
pub(super) fn is_fixed(kind: &ProviderKind, surface: Surface) -> bool {
    let of = |model, stream| path(kind, surface, model, stream);
    of("a", false) == of("b", false) && of("a", false) == of("a", true)
}

/// Deployments are in the path of the older interface, but for what is older than none of them.
fn of_azure(api: &AzureApi, surface: Surface) -> String {
    let below = surface.path();
    match api {
        AzureApi::V1 { version: None } => format!("/openai/v1{below}"),
        AzureApi::V1 { version: Some(version) } => format!("/openai/v1{below}?api-version={version}"),
        AzureApi::Deployments { version } if matches!(surface, Surface::Responses | Surface::Files) => {
            format!("/openai{below}?api-version={version}")
        }
        AzureApi::Deployments { version } => format!("/openai/deployments/{MODEL}{below}?api-version={version}"),
        AzureApi::Models { version } => format!("/models{below}?api-version={version}"),
    }
}

/// A session names its model, or its deployment, in the query.
fn session_of_azure(api: &AzureApi) -> Option<String> {
    match api {
        AzureApi::V1 { version: None } => Some(format!("/openai/v1/realtime?model={MODEL}")),
        AzureApi::V1 { version: Some(version) } => Some(format!("/openai/v1/realtime?api-version={version}&model={MODEL}")),
        AzureApi::Deployments { version } => Some(format!("/openai/realtime?api-version={version}&deployment={MODEL}")),
        AzureApi::Models { .. } => None,
    }
}

/// Whether such a provider takes sessions by itself, whatever its surfaces say.
pub(super) fn has_sessions(kind: &ProviderKind) -> bool {
    match kind {
        ProviderKind::OpenAi(_) | ProviderKind::Simulated(_) => true,
        ProviderKind::AzureOpenAi(azure) => session_of_azure(&azure.api).is_some(),
        ProviderKind::OpenAiCompatible(_)
        | ProviderKind::Anthropic(_)
        | ProviderKind::Gemini(_)
        | ProviderKind::Bedrock(_)
        | ProviderKind::Cohere(_)
        | ProviderKind::VertexAi(_)
        | ProviderKind::Mistral(_)
        | ProviderKind::Ollama(_) => false,
    }
}

/// Each publisher's models have a place of their own.
fn of_vertex(surface: Surface, stream: bool) -> Option<String> {
    let (publisher, verb) = match (surface, stream) {
        (Surface::GenerateContent, false) => ("google", "generateContent"),
        (Surface::GenerateContent, true) => ("google", "streamGenerateContent?alt=sse"),
        (Surface::Messages, false) => ("anthropic", "rawPredict"),
        (Surface::Messages, true) => ("anthropic", "streamRawPredict"),
        (Surface::Embeddings, _) => ("google", "predict"),
        (
            Surface::ChatCompletions
            | Surface::Completions
            | Surface::Responses
            | Surface::CountTokens
            | Surface::Converse
            | Surface::CohereChat
            | Surface::BatchEmbedContents
            | Surface::CohereEmbed
            | Surface::OllamaChat
            | Surface::OllamaEmbed
            | Surface::Proxy
            | Surface::Realtime
            | Surface::Moderations
            | Surface::Rerank
            | Surface::Images
            | Surface::ImageEdits
            | Surface::ImageVariations
            | Surface::Speech
            | Surface::Transcriptions
            | Surface::Translations
            | Surface::CohereRerank
            | Surface::Files,
            _,
        ) => return None,
    };
    Some(format!("/publishers/{publisher}/models/{MODEL}:{verb}"))
}

/// What the kinds of models of one provider speak, where they speak differently: told by the name of the model.
#[derive(Debug)]
pub(super) struct Publishers {
    /// Whose name begins with `claude`.
    anthropic: BTreeSet<Surface>,
    /// Those for embeddings.
    embeddings: BTreeSet<Surface>,
    /// All others.
    others: BTreeSet<Surface>,
}

impl Publishers {
    pub(super) fn of(kind: &ProviderKind) -> Option<Self> {
        let embeddings = BTreeSet::from([Surface::Embeddings]);
        match kind {
            ProviderKind::VertexAi(_) => Some(Self {
                anthropic: BTreeSet::from([Surface::Messages]),
                embeddings,
                others: BTreeSet::from([Surface::GenerateContent]),
            }),
            ProviderKind::Bedrock(_) => {
                let others = BTreeSet::from([Surface::Converse]);
                Some(Self { anthropic: others.clone(), embeddings, others })
            }
            ProviderKind::OpenAi(_)
            | ProviderKind::OpenAiCompatible(_)
            | ProviderKind::Anthropic(_)
            | ProviderKind::Gemini(_)
            | ProviderKind::Cohere(_)
            | ProviderKind::Mistral(_)
            | ProviderKind::Ollama(_)
            | ProviderKind::AzureOpenAi(_)
            | ProviderKind::Simulated(_) => None,
        }
    }

    pub(super) fn speak(&self, model: &str) -> &BTreeSet<Surface> {
        if model.starts_with("claude") {
            &self.anthropic
        } else if model.contains("embed") {
            &self.embeddings
        } else {
            &self.others
        }
    }
}
