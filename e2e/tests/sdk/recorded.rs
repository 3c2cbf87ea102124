//! In front of recorded answers of OpenAI and Anthropic, replayed byte for byte in many small pieces. A recording is asked
//! for as `<provider>/<case>`; what must be read out of it was found by a decoder that has nothing in common with the gateway.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::upstream::{self, Asked, Step, Upstream};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{self, Sdk};

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

    let openai = replay(fixtures.join("openai")).await;
    let anthropic = replay(fixtures.join("anthropic")).await;
    let key = folder::key_text(1);
    let manifests = folder::key("k", &key, "")
        + &folder::provider("openai", "OpenAI", openai.address, &["unused"], "")
        + &folder::provider("anthropic", "Anthropic", anthropic.address, &["unused-too"], "");
    let folder = Folder::with(&manifests);
    let gateway = Gateway::start(folder.path(), &[]).await;
    let cases: BTreeSet<String> = recordings.iter().map(|recording| recording["name"].as_str().expect("a name").to_owned()).collect();
    program::run(command, gateway.listen, &key, &cases).await;
    for (asked, credential) in openai.asked().iter().map(|asked| (asked, asked.header("authorization"))) {
        assert_eq!(credential, Some("Bearer credential-of-openai"), "{}", asked.path);
    }
    for asked in anthropic.asked() {
        assert_eq!((asked.path.as_str(), asked.header("x-api-key")), ("/v1/messages", Some("credential-of-anthropic")));
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
fn pieces(stream: &[u8]) -> Vec<Step> {
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
    for dialect in ["openai", "anthropic"] {
        let cases = std::fs::read_dir(fixtures.join(dialect)).expect("recordings");
        for case in cases.map(|case| case.expect("a recording").path()) {
            found.extend(of_case(&case, dialect, sdk));
        }
    }
    found.sort_by_key(|recording| recording["name"].to_string());
    found
}

fn of_case(case: &Path, dialect: &str, sdk: Sdk) -> Vec<Value> {
    let name = format!("{dialect}/{}", case.file_name().unwrap_or_default().to_string_lossy());
    let (Some(meta), Some(request)) = (json_of(case, "meta.json"), json_of(case, "request.json")) else { return Vec::new() };
    let path = meta["url"].as_str().unwrap_or_default().split('?').next().unwrap_or_default();
    let failed = meta["status"].as_u64().is_none_or(|status| status >= 400);
    let chat = path.ends_with("/chat/completions") || path.ends_with("/messages") || path.ends_with("/messages/count_tokens");
    let kinds: &[&str] = match (chat, failed) {
        (true, false) => &["chat"],
        (true, true) => &["error"],
        (false, false) if sdk.dialect() == dialect && path.ends_with("/responses") => &["responses"],
        (false, false) if sdk.dialect() == dialect && path.ends_with("/embeddings") => {
            // What the SDK asks for when its user says nothing is base64.
            if request["encoding_format"] == "base64" { &["embeddings", "default_embeddings"] } else { &["embeddings"] }
        }
        (false, _) => &[],
    };
    let recording = |kind: &&str| {
        json!({
            "name": format!("{kind} {name}"), "kind": kind, "dialect": dialect, "model": name, "status": meta["status"],
            "stream": case.join("response.sse").exists(), "folder": case,
        })
    };
    kinds.iter().map(recording).collect()
}
