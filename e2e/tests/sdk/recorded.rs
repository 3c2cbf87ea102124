//! In front of recorded answers of OpenAI, Anthropic and some who speak just as OpenAI does, replayed byte for byte in many
//! small pieces. A recording is asked for as `<provider>/<case>`; what must be read out of it was found by a decoder that has
//! nothing in common with the gateway.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::upstream::{self, Asked, Step, Upstream};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{self, Sdk};

/// Whose answers were recorded, with the type of provider that reaches them.
const PROVIDERS: [(&str, &str); 5] = [
    ("openai", "OpenAI"),
    ("anthropic", "Anthropic"),
    ("cerebras", "OpenAICompatible"),
    ("perplexity", "OpenAICompatible"),
    ("together", "OpenAICompatible"),
];

/// Runs the program over all recordings that its SDK can ask for.
pub async fn test(sdk: Sdk) {
    let Some(fixtures) = e2e::fixtures::folder("recorded answers read by SDKs") else { return };
    let Some(mut command) = sdk.program("recorded").await else { return };
    let recordings = recordings(&fixtures, sdk);
    assert!(recordings.len() > 20, "only {} recordings were found in {}", recordings.len(), fixtures.display());
    let directory = TempDir::new().expect("a folder");
    let list = directory.path().join("recordings.json");
    std::fs::write(&list, Value::from(recordings.clone()).to_string()).expect("a file");
    command.env("PORTOLAN_RECORDINGS", &list);

    let key = folder::key_text(1);
    let mut manifests = folder::key("k", &key, "");
    let mut providers = Vec::new();
    for (name, kind) in PROVIDERS {
        let upstream = replay(fixtures.join(name)).await;
        manifests += &folder::provider(name, kind, upstream.address, &[&format!("none-of-{name}")], "");
        providers.push((name, upstream));
    }
    let folder = Folder::with(&manifests);
    let gateway = Gateway::start(folder.path(), &[]).await;
    let cases: BTreeSet<String> = recordings.iter().map(|recording| recording["name"].as_str().expect("a name").to_owned()).collect();
    program::run(command, gateway.listen, &key, &cases).await;
    for (name, asked) in providers.iter().flat_map(|(name, upstream)| upstream.asked().into_iter().map(move |asked| (*name, asked))) {
        was_asked_well(name, sdk, &asked);
    }
}

/// With its own credential, and where client and provider speak different dialects, with everything that the client said.
fn was_asked_well(provider: &str, sdk: Sdk, asked: &Asked) {
    let body = asked.json();
    let round = if provider == "anthropic" {
        assert_eq!((asked.path.as_str(), asked.header("x-api-key")), ("/v1/messages", Some("credential-of-anthropic")));
        json!([
            body["system"][0]["text"],
            body["tools"][0]["name"],
            body["tools"][0]["input_schema"]["required"],
            body["messages"][1]["content"][0]["id"],
            body["messages"][1]["content"][0]["input"],
            body["messages"][2]["content"][0]["tool_use_id"],
            body["messages"][2]["content"][0]["content"][0]["text"],
        ])
    } else {
        assert_eq!(asked.header("authorization"), Some(format!("Bearer credential-of-{provider}").as_str()), "{}", asked.path);
        let call = &body["messages"][2]["tool_calls"][0];
        let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
        json!([
            body["messages"][0]["content"],
            body["tools"][0]["function"]["name"],
            body["tools"][0]["function"]["parameters"]["required"],
            call["id"],
            serde_json::from_str::<Value>(arguments).unwrap_or_default(),
            body["messages"][3]["tool_call_id"],
            body["messages"][3]["content"],
        ])
    };
    if (sdk.dialect() == "anthropic") != (provider == "anthropic") {
        let said = json!(["be short", "get_weather", ["city"], "call_1", {"city": "Paris"}, "call_1", "nineteen degrees"]);
        assert_eq!(round, said, "{provider} was asked {body}");
    }
}

/// A provider that answers with the recording that is named as the model.
async fn replay(folder: PathBuf) -> Upstream {
    Upstream::start(move |asked: &Asked| {
        let body = asked.json();
        let case = folder.join(body["model"].as_str().unwrap_or_default());
        let status = json_of(&case, "meta.json").and_then(|meta| meta["status"].as_u64()).unwrap_or(500);
        if let Ok(events) = std::fs::read(case.join("response.sse")) {
            return [vec![upstream::stream_head()], pieces(&events), vec![upstream::last_chunk()]].concat();
        }
        let answer = std::fs::read_to_string(case.join("response.json")).expect("a recorded answer");
        upstream::json(u16::try_from(status).expect("a status"), &answer)
    })
    .await
}

/// The chunks of a stream: of every size from one byte on, so that events and characters are cut everywhere.
pub fn pieces(stream: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = 0;
    while at < stream.len() {
        let end = (at + at * 7919 % 97 + 1).min(stream.len());
        steps.push(upstream::chunk(&stream[at..end]));
        at = end;
    }
    steps
}

fn json_of(case: &Path, file: &str) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(case.join(file)).ok()?).ok()
}

/// What the program is told of each recording. It reads the recording's files itself, so that no number is read by anybody else.
fn recordings(fixtures: &Path, sdk: Sdk) -> Vec<Value> {
    let mut found = Vec::new();
    for (provider, _) in PROVIDERS {
        let cases = std::fs::read_dir(fixtures.join(provider)).expect("recordings");
        for case in cases.map(|case| case.expect("a recording").path()) {
            found.extend(of_case(&case, provider, sdk));
        }
    }
    found.sort_by_key(|recording| recording["name"].to_string());
    found
}

fn of_case(case: &Path, provider: &str, sdk: Sdk) -> Vec<Value> {
    let name = format!("{provider}/{}", case.file_name().unwrap_or_default().to_string_lossy());
    let (Some(meta), Some(request)) = (json_of(case, "meta.json"), json_of(case, "request.json")) else { return Vec::new() };
    let dialect = if provider == "anthropic" { "anthropic" } else { "openai" };
    let path = meta["url"].as_str().unwrap_or_default().split('?').next().unwrap_or_default();
    let failed = meta["status"].as_u64().is_none_or(|status| status >= 400);
    let chat = path.ends_with("/chat/completions") || path.ends_with("/messages") || path.ends_with("/messages/count_tokens");
    let is_native = sdk.dialect() == provider;
    let kinds: &[&str] = match (chat, failed) {
        (true, false) => &["chat"],
        // Errors of others have other shapes, of which their dialect says nothing.
        (true, true) if provider == dialect => &["error"],
        (false, false) if is_native && path.ends_with("/responses") => &["responses"],
        (false, false) if is_native && path.ends_with("/embeddings") => {
            // What the SDK asks for when its user says nothing is base64.
            if request["encoding_format"] == "base64" { &["embeddings", "default_embeddings"] } else { &["embeddings"] }
        }
        (true | false, _) => &[],
    };
    let recording = |kind: &&str| {
        json!({
            "name": format!("{kind} {name}"), "kind": kind, "dialect": dialect, "model": name, "status": meta["status"],
            "stream": case.join("response.sse").exists(), "folder": case,
        })
    };
    kinds.iter().map(recording).collect()
}
