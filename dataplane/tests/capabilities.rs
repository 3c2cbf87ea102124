//! `docs/providers.md`: what each type of provider takes, found by asking the translators themselves. `UPDATE_GOLDEN=1`
//! writes it anew.

#![expect(clippy::expect_used, reason = "helpers of tests panic as tests do")]

use std::fs;
use std::path::Path;

use bytes::Bytes;
use crds::api::llm_provider::ProviderType;
use crds::compile::compile;
use crds::world::World;
use providers::embeddings::{Embeddings, Family};
use providers::head::Head;
use providers::passage::{CannotSay, Passage, Target};
use serde_json::{Value, json};
use snapshot::{Provider, ProviderKind, Surface};

/// Every type, in the order of the page.
const TYPES: [ProviderType; 11] = [
    ProviderType::OpenAI,
    ProviderType::OpenAICompatible,
    ProviderType::AzureOpenAI,
    ProviderType::Mistral,
    ProviderType::Anthropic,
    ProviderType::Gemini,
    ProviderType::VertexAI,
    ProviderType::Bedrock,
    ProviderType::Cohere,
    ProviderType::Ollama,
    ProviderType::Simulated,
];

/// What an object of the type needs besides it. A new type does not compile until it stands here.
fn needs(kind: ProviderType) -> &'static str {
    let address = "endpoint: { url: 'https://llm.example.com/v1' }";
    match kind {
        ProviderType::OpenAI | ProviderType::Mistral | ProviderType::Anthropic | ProviderType::Gemini | ProviderType::Cohere => KEY,
        ProviderType::VertexAI => "vertex: { project: p, location: global }, auth: { type: Google, google: { source: Metadata } }",
        ProviderType::AzureOpenAI | ProviderType::Bedrock => {
            "endpoint: { url: 'https://llm.example.com/v1' }, auth: { secretRef: { name: s, key: k } }"
        }
        ProviderType::OpenAICompatible | ProviderType::Ollama => address,
        ProviderType::Simulated => "simulated: {}",
    }
}

const KEY: &str = "auth: { secretRef: { name: s, key: k } }";

/// The provider of a type as the compiler makes it.
fn provider(kind: ProviderType) -> Provider {
    let manifests = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{ name: s }}\nstringData: {{ k: x }}\n---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{ name: p }}\nspec: {{ type: {kind:?}, {} }}\n",
        needs(kind)
    );
    let compiled = compile(&World::parse([("p.yaml", manifests.as_str())]), None);
    let config = compiled.gateways.into_values().next().expect("a gateway");
    let mut provider = config.snapshot.providers.values().next().expect("an accepted provider").clone();
    // Of Vertex AI's two publishers, Google's models: Anthropic's are spoken to as Anthropic is.
    if kind == ProviderType::VertexAI {
        provider.surfaces.remove(&Surface::Messages);
    }
    provider
}

/// What is asked, by which door, besides a model and the least that the door wants.
fn asked() -> Vec<(&'static str, Surface, Value)> {
    let (chat, embeddings) = (Surface::ChatCompletions, Surface::Embeddings);
    let tool = json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object", "properties": {} } } }]);
    let named = json!({ "type": "function", "function": { "name": "f" } });
    let part = |part: Value| json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "x" }, part] }] });
    let history = json!({ "messages": [
        { "role": "user", "content": "x" },
        { "role": "assistant", "content": null, "tool_calls": [{ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": "c", "content": "y" },
    ], "tools": tool });
    vec![
        ("`/v1/chat/completions`", chat, json!({})),
        ("streams", chat, json!({ "stream": true })),
        (
            "system and developer messages",
            chat,
            json!({ "messages": [{ "role": "developer", "content": "x" }, { "role": "user", "content": "x" }] }),
        ),
        ("tools, and what they gave", chat, history),
        ("`tool_choice: required`", chat, json!({ "tools": tool, "tool_choice": "required" })),
        ("`tool_choice` of one tool", chat, json!({ "tools": tool, "tool_choice": named })),
        ("`parallel_tool_calls: false`", chat, json!({ "tools": tool, "parallel_tool_calls": false })),
        ("images by URL", chat, part(json!({ "type": "image_url", "image_url": { "url": "https://example.com/a.png" } }))),
        ("images in base64", chat, part(json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,QUJD" } }))),
        (
            "PDF in base64",
            chat,
            part(json!({ "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD" } })),
        ),
        ("sound in base64", chat, part(json!({ "type": "input_audio", "input_audio": { "data": "QUJD", "format": "wav" } }))),
        ("`response_format: json_object`", chat, json!({ "response_format": { "type": "json_object" } })),
        (
            "`response_format: json_schema`",
            chat,
            json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "a", "schema": { "type": "object", "properties": {}, "additionalProperties": false } } } }),
        ),
        ("`reasoning_effort`", chat, json!({ "reasoning_effort": "low", "max_completion_tokens": 4096 })),
        ("`max_completion_tokens`", chat, json!({ "max_completion_tokens": 9 })),
        ("`temperature`, `top_p`", chat, json!({ "temperature": 0.5 })),
        ("`stop`", chat, json!({ "stop": ["a"] })),
        ("`seed`", chat, json!({ "seed": 7 })),
        ("`presence_penalty`, `frequency_penalty`", chat, json!({ "presence_penalty": 0.5 })),
        ("`logprobs`", chat, json!({ "logprobs": true })),
        ("`logit_bias`", chat, json!({ "logit_bias": { "1": 2 } })),
        ("`n: 2`", chat, json!({ "n": 2 })),
        ("`service_tier: flex`", chat, json!({ "service_tier": "flex" })),
        ("`user`", chat, json!({ "user": "u" })),
        ("`/v1/messages`", Surface::Messages, json!({ "max_tokens": 9 })),
        ("`/v1/responses`", Surface::Responses, json!({})),
        ("`/v1/completions`", Surface::Completions, json!({})),
        ("`/v1/embeddings`", embeddings, json!({})),
        ("`encoding_format: base64`", embeddings, json!({ "encoding_format": "base64" })),
        ("`dimensions`", embeddings, json!({ "dimensions": 8 })),
        ("tokens in the place of texts", embeddings, json!({ "input": [1, 2] })),
    ]
}

/// A request with the least that its door wants.
fn request(door: Surface, more: &Value) -> Bytes {
    let mut request = json!({ "model": "m" });
    if door == Surface::Completions {
        request["prompt"] = json!("x");
    } else if matches!(door, Surface::Embeddings | Surface::Responses) {
        request["input"] = json!("x");
    } else {
        request["messages"] = json!([{ "role": "user", "content": "x" }]);
    }
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request.to_string().into()
}

fn cell(provider: &Provider, door: Surface, more: &Value) -> &'static str {
    let body = request(door, more);
    // Models for embeddings of these two are asked in a way of their own.
    let family = match &provider.kind {
        ProviderKind::VertexAi(_) => Some(Family::Vertex),
        ProviderKind::Bedrock(_) => Family::of_bedrock("amazon.titan-embed-text-v2:0"),
        ProviderKind::OpenAi(_)
        | ProviderKind::OpenAiCompatible(_)
        | ProviderKind::AzureOpenAi(_)
        | ProviderKind::Mistral(_)
        | ProviderKind::Anthropic(_)
        | ProviderKind::Gemini(_)
        | ProviderKind::Cohere(_)
        | ProviderKind::Ollama(_)
        | ProviderKind::Simulated(_) => None,
    };
    if let Some(family) = family.filter(|_| door == Surface::Embeddings) {
        return if Embeddings::tell(family, &[body], "m").is_ok() { "told" } else { "refused" };
    }
    let head = Head::read(door, &body).expect("a request");
    match Passage::toward(door, &Target::of(provider), &head, &body, "m") {
        Ok(Passage::Same(_)) => "passes",
        Ok(Passage::Translated(_)) => "told",
        Err(CannotSay::Field { .. }) => "refused",
        Err(CannotSay::Surface { .. }) => "-",
    }
}

#[test]
fn the_page_of_providers_says_what_the_translators_do() {
    let providers: Vec<Provider> = TYPES.iter().map(|kind| provider(*kind)).collect();
    let mut page = String::from(
        "# Providers\n\nWhat each type of LLMProvider takes. **passes**: the provider speaks the client's dialect, and bytes go through as \
         they are, but for what\n[quirks](presets.md#quirks) say. **told**: it is said in the provider's own words, and its answers in the \
         client's. **refused**: the\nprovider has no word for it, and the client is told which field, unless `unsupportedFields` drops it. \
         **-**: it serves nothing of\nthe kind. A server of type OpenAICompatible may itself know less: its [preset](presets.md) says so.\n\n\
         This page is written by `dataplane/tests/capabilities.rs`, which asks the translators.\n\n",
    );
    page += &format!("| | {} |\n", TYPES.iter().map(|kind| format!("{kind:?}")).collect::<Vec<_>>().join(" | "));
    page += &format!("|---|{}\n", "---|".repeat(TYPES.len()));
    for (what, door, more) in asked() {
        let cells: Vec<&str> = providers.iter().map(|provider| cell(provider, door, &more)).collect();
        page += &format!("| {what} | {} |\n", cells.join(" | "));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/providers.md");
    #[expect(clippy::disallowed_methods, reason = "a person asks for a new file this way")]
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        fs::write(&path, &page).expect("a file");
    }
    assert!(fs::read_to_string(&path).unwrap_or_default() == page, "docs/providers.md differs; UPDATE_GOLDEN=1 writes it");
}
