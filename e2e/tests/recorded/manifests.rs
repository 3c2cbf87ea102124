//! One provider for each recorded dialect, as its owner would declare it: the type or preset of that provider, and where it is.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::cases::Case;

/// What a provider is beyond its name, for those that are no preset.
fn spec(provider: &str) -> &'static str {
    match provider {
        "openai" => "type: OpenAI",
        "anthropic" => "type: Anthropic",
        "azure" => "type: AzureOpenAI\n  azure: {api: Models, apiVersion: 2024-05-01-preview}",
        "gemini" => "type: Gemini",
        "bedrock" => "type: Bedrock",
        "cohere" => "type: Cohere",
        "mistral" => "type: Mistral",
        // What was recorded is its interface of OpenAI's shape.
        "ollama" => "type: OpenAICompatible\n  preset: ollama-cloud",
        // Some proxy in front of another dialect, which numbers calls by that dialect's blocks.
        "openai-compatible" => "type: OpenAICompatible\n  quirks: [CallIds]",
        _ => "",
    }
}

/// The manifests of all providers of the cases, at one address.
pub fn of(cases: &[Case], address: SocketAddr) -> String {
    let mut text = String::new();
    for provider in cases.iter().map(|case| &case.provider).collect::<BTreeSet<_>>() {
        let preset = format!("type: OpenAICompatible\n  preset: {provider}");
        let spec = if spec(provider).is_empty() { &preset } else { spec(provider) };
        let (spec, auth) = if provider == "vertex" {
            let vertex = "type: VertexAI\n  vertex: {project: my-project, location: europe-west1}";
            (vertex, format!("{{type: Google, google: {{source: Metadata, metadataEndpoint: \"http://{address}\"}}}}"))
        } else {
            (spec, format!("{{secretRef: {{name: {provider}-credential, key: apiKey}}}}"))
        };
        write!(
            text,
            "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: {provider}}}\nspec:\n  {spec}\n  endpoint: {{url: \"http://{address}/{provider}\", allowInsecure: true}}\n  auth: {auth}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {provider}-credential}}\nstringData: {{apiKey: \"credential-of-{provider}\"}}\n"
        )
        .expect("a string grows");
    }
    text
}
