//! What types of providers speak besides the surfaces that a snapshot names: it follows from the type alone, so that a
//! machine of before, which has no doors for it, is not disturbed by reading of it.

use std::collections::BTreeSet;

use snapshot::{AzureApi, Provider, ProviderKind, Surface};

use super::paths;

const PICTURES: [Surface; 3] = [Surface::Images, Surface::ImageEdits, Surface::ImageVariations];
const SOUND: [Surface; 3] = [Surface::Speech, Surface::Transcriptions, Surface::Translations];

/// All that a provider speaks.
pub(super) fn of(provider: &Provider) -> BTreeSet<Surface> {
    let mut speaks = provider.surfaces.clone();
    match &provider.kind {
        ProviderKind::OpenAi(_) => speaks.extend(PICTURES.into_iter().chain(SOUND).chain([Surface::Moderations, Surface::Files])),
        ProviderKind::AzureOpenAi(azure) => match azure.api {
            AzureApi::V1 { .. } | AzureApi::Deployments { .. } => {
                speaks.extend([Surface::Images, Surface::ImageEdits, Surface::Files].into_iter().chain(SOUND));
            }
            AzureApi::Models { .. } => {}
        },
        ProviderKind::Mistral(_) => speaks.extend([Surface::Speech, Surface::Transcriptions, Surface::Moderations]),
        ProviderKind::Cohere(_) => speaks.extend([Surface::CohereRerank]),
        ProviderKind::Anthropic(_) => speaks.extend([Surface::CountTokens]),
        ProviderKind::Simulated(_) => {
            speaks.extend(PICTURES.into_iter().chain(SOUND).chain([Surface::Moderations, Surface::Rerank]));
        }
        ProviderKind::OpenAiCompatible(_)
        | ProviderKind::Gemini(_)
        | ProviderKind::Bedrock(_)
        | ProviderKind::VertexAi(_)
        | ProviderKind::Ollama(_) => {}
    }
    if paths::has_sessions(&provider.kind) {
        speaks.insert(Surface::Realtime);
    }
    speaks
}
