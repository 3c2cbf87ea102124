//! The recordings, as far as they are answers of chats.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// One recording.
#[derive(Debug, Clone)]
pub struct Case {
    /// `<provider>/<case>`.
    pub name: String,
    /// Whose it is: the name of the folder.
    pub provider: String,
    /// The model to ask for: the name of the case.
    pub model: String,
    /// What must be read.
    pub expected: Value,
    /// The status of the answer.
    pub status: u16,
    /// Headers of the answer that say something of it.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
    /// Whether it is a stream.
    pub stream: bool,
    /// The request that was answered.
    pub asked: Option<Value>,
    /// Where it went, without what follows a question mark.
    pub url: String,
}

impl Case {
    /// The request that was answered, where it is a chat in words that a client of OpenAI may use.
    pub fn asked_as_openai(&self) -> Option<&Value> {
        self.asked.as_ref().filter(|_| self.url.ends_with("/chat/completions") && !self.is_refusal())
    }

    /// Whether an error is what is recorded, instead of an answer.
    pub fn is_refusal(&self) -> bool {
        self.status >= 400
    }
}

/// All of them, in order of their names.
pub fn all(fixtures: &Path) -> Vec<Case> {
    let folders = |of: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(of).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        entries.filter(|path| path.is_dir()).collect()
    };
    let mut found: Vec<Case> = folders(fixtures).iter().flat_map(|provider| folders(provider)).filter_map(|case| one(&case)).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn one(case: &Path) -> Option<Case> {
    let json = |file: &str| serde_json::from_slice::<Value>(&std::fs::read(case.join(file)).ok()?).ok();
    let (expected, meta) = (json("expect.json")?, json("meta.json")?);
    let named = |path: Option<&Path>| path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let (model, provider) = (named(Some(case)), named(case.parent()));
    let read = |file: &str| std::fs::read(case.join(file)).ok();
    let url = meta["url"].as_str().unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    let asked = json("request.json");
    let (body, kind, stream) = None
        // A list of answers is the form that a stream of Gemini has for those who do not ask for events.
        .or_else(|| {
            read("response.json")
                .map(|body| (body.trim_ascii_start().starts_with(b"["), body))
                .map(|(list, body)| (body, "application/json", list))
        })
        .or_else(|| read("response.sse").map(|body| (body, "text/event-stream", true)))
        .or_else(|| read("response.bin").map(|body| (body, "application/vnd.amazon.eventstream", true)))
        .or_else(|| read("response.ndjson").map(|body| (body, "application/x-ndjson", true)))
        .or_else(|| read("response.events.jsonl").map(|lines| (framed(&provider, &lines), "text/event-stream", true)))
        .unwrap_or_else(|| panic!("{}: no answer is recorded", case.display()));
    let recorded = meta["response_headers"].as_object().cloned().unwrap_or_default();
    let kept = |name: &str| !matches!(name, "content-length" | "transfer-encoding" | "content-encoding" | "connection" | "content-type");
    let mut headers = vec![("content-type".to_owned(), recorded.get("content-type").and_then(Value::as_str).unwrap_or(kind).to_owned())];
    for (name, value) in recorded.iter().filter(|(name, _)| kept(&name.to_ascii_lowercase())) {
        let value = value.as_str().map_or_else(|| value[0].as_str().unwrap_or_default().to_owned(), str::to_owned);
        if value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            headers.push((name.clone(), value));
        }
    }
    let status = u16::try_from(meta["status"].as_u64().expect("a status")).expect("a status");
    Some(Case {
        name: format!("{provider}/{model}"),
        // Those who asked in vain may have asked for a stream.
        stream: stream || status >= 400 && asked.as_ref().is_some_and(|asked| asked["stream"] == true) || url.contains("stream"),
        asked,
        provider,
        model,
        expected,
        status,
        headers,
        body,
        url,
    })
}

/// Events of a recording that did not keep their frames.
fn framed(provider: &str, lines: &[u8]) -> Vec<u8> {
    let events = std::str::from_utf8(lines).expect("UTF-8").lines().filter(|line| !line.is_empty());
    let named = |line: &str| -> String {
        let event: Value = serde_json::from_str(line).expect("JSON");
        format!("event: {}\ndata: {line}\n\n", event["type"].as_str().expect("a type"))
    };
    match provider {
        "anthropic" => events.map(named).collect::<String>().into_bytes(),
        _ => events.map(|line| format!("data: {line}\n\n")).chain(["data: [DONE]\n\n".to_owned()]).collect::<String>().into_bytes(),
    }
}
