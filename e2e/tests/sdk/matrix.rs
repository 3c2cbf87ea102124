//! SDKs and frameworks in front of recorded answers of five providers, each in its own dialect: a chat, a stream, a round of
//! tools (call, result, answer) and an error. What is to be read was found by a decoder that has nothing in common with the
//! gateway. The programs are `matrix_*` in `e2e/sdk`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::upstream::{self, Asked, Step, Upstream};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::install::{self, Environment};
use crate::program;
use crate::recorded::pieces;

/// What runs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Python,
    Node,
}

/// An SDK or a framework: its name, what runs its program, what it is installed with, and the program.
pub type Framework = (&'static str, Language, Environment, &'static str);

/// All of them.
pub const FRAMEWORKS: [Framework; 18] = [
    ("OpenAI SDK (Python)", Language::Python, install::PYTHON, "matrix_openai"),
    ("Anthropic SDK (Python)", Language::Python, install::PYTHON, "matrix_anthropic"),
    ("OpenAI SDK (JavaScript)", Language::Node, install::NODE, "matrix_openai"),
    ("Anthropic SDK (JavaScript)", Language::Node, install::NODE, "matrix_anthropic"),
    ("LangChain (Python)", Language::Python, install::PYTHON_FRAMEWORKS, "matrix_langchain"),
    ("LlamaIndex", Language::Python, install::PYTHON_FRAMEWORKS, "matrix_llamaindex"),
    ("LiteLLM", Language::Python, install::PYTHON_FRAMEWORKS, "matrix_litellm"),
    ("CrewAI", Language::Python, install::PYTHON_FRAMEWORKS, "matrix_crewai"),
    ("AutoGen", Language::Python, install::PYTHON_FRAMEWORKS, "matrix_autogen"),
    ("Haystack", Language::Python, install::PYTHON_FRAMEWORKS, "matrix_haystack"),
    ("Instructor", Language::Python, install::PYTHON_FRAMEWORKS, "matrix_instructor"),
    ("Pydantic AI", Language::Python, install::PYDANTIC_AI, "matrix_pydantic_ai"),
    ("OpenAI Agents SDK (Python)", Language::Python, install::PYTHON_FRAMEWORKS, "matrix_agents"),
    ("Portkey SDK (Python)", Language::Python, install::PYTHON_FRAMEWORKS, "matrix_portkey"),
    ("Vercel AI SDK", Language::Node, install::NODE_FRAMEWORKS, "matrix_ai"),
    ("LangChain (JavaScript)", Language::Node, install::NODE_FRAMEWORKS, "matrix_langchain"),
    ("OpenAI Agents SDK (JavaScript)", Language::Node, install::NODE_FRAMEWORKS, "matrix_agents"),
    ("Portkey SDK (JavaScript)", Language::Node, install::NODE_FRAMEWORKS, "matrix_portkey"),
];

/// What each of them is tried with.
const CASES: [&str; 3] = ["chat", "stream", "tools"];

/// A provider with its recordings: a text, a call of tools, an answer to their results; whole and streamed.
struct Back {
    name: &'static str,
    kind: &'static str,
    whole: [&'static str; 3],
    stream: [&'static str; 3],
}

const BACKS: [Back; 5] = [
    Back {
        name: "openai",
        kind: "OpenAI",
        whole: ["openai/text-n-detailed", "crusoe/tool-call", "openai/tool-result"],
        stream: ["openai/stream-text", "openai/stream-parallel-tool-calls", "mistral/stream-tool-result"],
    },
    Back {
        name: "anthropic",
        kind: "Anthropic",
        whole: ["anthropic/document-text", "anthropic/tool-choice-any", "anthropic/tool-result"],
        stream: ["anthropic/stream-thinking", "anthropic/stream-tool-call-args", "anthropic/stream-after-tool-result"],
    },
    Back {
        name: "gemini",
        kind: "Gemini",
        whole: ["gemini/image-inline", "gemini/tool-call-gemini3-signature", "gemini/tool-result-gemini3-signature"],
        stream: ["gemini/audio-inline", "vertex/tool-call-signature", "vertex/tool-result-signature"],
    },
    Back {
        name: "bedrock",
        kind: "Bedrock",
        whole: ["bedrock/converse-image", "bedrock/converse-tool-call", "bedrock/converse-tool-result"],
        stream: [
            "bedrock/converse-stream-nova-micro",
            "bedrock/converse-stream-tool-nova-micro",
            "bedrock/converse-stream-gpt-oss-empty-text",
        ],
    },
    Back {
        name: "cohere",
        kind: "Cohere",
        whole: ["cohere/reasoning", "cohere/vx-tool-null-args", "cohere/tool-choice-none"],
        stream: ["cohere/stream-text", "cohere/stream-tool-call", "cohere/stream-tool-result"],
    },
];

/// What every tool of the programs answers.
const RESULT: &str = "nineteen degrees";

/// The model that a provider refuses because it has enough, and the recording of its refusal.
const LIMITED: (&str, &str) = ("limited", "gemini/error-429");

/// Runs a framework's program and prints its row of the matrix.
#[expect(clippy::print_stdout, reason = "the row of the matrix, which the suite shows")]
pub async fn test(program: &str, language: Language) {
    let Some((name, ..)) = FRAMEWORKS.iter().find(|(_, its, _, file)| (*its, *file) == (language, program)) else {
        panic!("FRAMEWORKS has no {program}");
    };
    let Some(fixtures) = e2e::fixtures::folder("frameworks in front of recorded answers") else { return };
    let Some(mut command) = command(program, language).await else { return };
    let directory = TempDir::new().expect("a folder");
    let list = directory.path().join("backs.json");
    std::fs::write(&list, backs(&fixtures).to_string()).expect("a file");
    command.env("PORTOLAN_BACKS", &list);
    let (outside, seen) = outside().await;
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env(variable, &outside);
    }
    for variable in ["NO_PROXY", "no_proxy"] {
        command.env(variable, "127.0.0.1,localhost");
    }

    let key = folder::key_text(1);
    let mut manifests = folder::key("k", &key, "");
    let mut upstreams = Vec::new();
    for back in &BACKS {
        let upstream = replay(&fixtures, back).await;
        let models = [format!("from-{}", back.name), LIMITED.0.to_owned()];
        let models: Vec<&str> = models.iter().map(String::as_str).take(if back.kind == "Gemini" { 2 } else { 1 }).collect();
        manifests += &folder::provider(&format!("{}-house", back.name), back.kind, upstream.address, &models, "");
        upstreams.push(upstream);
    }
    let folder = Folder::with(&manifests);
    let gateway = Gateway::start(folder.path(), &[]).await;
    let cases: BTreeSet<String> = CASES
        .iter()
        .flat_map(|case| BACKS.iter().map(move |back| format!("{case} from-{}", back.name)))
        .chain([format!("error {}", LIMITED.0)])
        .collect();
    program::run(command, gateway.listen, &key, &cases).await;
    for asked in upstreams.iter().flat_map(Upstream::asked) {
        let text = String::from_utf8_lossy(&asked.body).into_owned();
        assert!(stage(&asked) != 2 || text.contains(RESULT), "the tools' results arrive: {text}");
        let foreign = asked.headers.iter().any(|(name, value)| name.starts_with("x-portkey") || value.contains(&key));
        assert!(!foreign, "neither a key of ours nor a header of Portkey's goes on: {:?}", asked.headers);
    }
    assert_eq!(seen.load(Relaxed), 0, "it asked somebody else than the gateway");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    cases.iter().filter_map(|case| case.split(' ').next()).for_each(|case| *counts.entry(case).or_default() += 1);
    let cells: Vec<String> =
        CASES.iter().chain(&["error"]).map(|case| format!("{case} {}", counts.get(case).copied().unwrap_or(0))).collect();
    println!("MATRIX {name}: {}", cells.join(", "));
}

async fn command(program: &str, language: Language) -> Option<Command> {
    let (_, _, environment, file) = *FRAMEWORKS.iter().find(|(_, its, _, file)| (*its, *file) == (language, program))?;
    let made = tokio::task::spawn_blocking(move || match language {
        Language::Python => {
            let mut command = Command::new(install::python(environment)?);
            command.arg(Path::new(install::SOURCES).join(format!("python/{file}.py")));
            Some(command)
        }
        Language::Node => {
            let folder = install::node(environment)?;
            let mut command = Command::new("node");
            command.arg(Path::new(install::SOURCES).join(format!("node/{file}.mjs")));
            command.env("PORTOLAN_SDK", folder);
            Some(command)
        }
    });
    made.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// A proxy that counts who wants to go out, and lets nobody.
async fn outside() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let seen = Arc::new(AtomicUsize::new(0));
    let counting = seen.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counting.fetch_add(1, Relaxed);
        }
    });
    (format!("http://{address}"), seen)
}

/// What the programs are told of each provider: its model, and what is to be read.
fn backs(fixtures: &Path) -> Value {
    let read = |case: &str| json_of(fixtures.join(case).join("expect.json")).unwrap_or_else(|| panic!("no expect.json of {case}"));
    let told = |[text, call, answer]: [&str; 3]| {
        let calls: Vec<Value> =
            read(call)["tool_calls"].as_array().into_iter().flatten().map(|call| json!([call["name"], call["arguments"]])).collect();
        json!({"text": read(text)["text"], "calls": calls, "before": read(call)["text"], "answer": read(answer)["text"]})
    };
    BACKS
        .iter()
        .map(|back| json!({"model": format!("from-{}", back.name), "whole": told(back.whole), "stream": told(back.stream)}))
        .collect()
}

/// How far a conversation is: 0 a question, 1 one that may call tools, 2 the results of tools.
fn stage(asked: &Asked) -> usize {
    let body = asked.json();
    let text = body.to_string();
    let results = ["\"role\":\"tool\"", "\"type\":\"tool_result\"", "\"functionResponse\"", "\"toolResult\"", "\"function_call_output\""];
    if results.iter().any(|mark| text.contains(mark)) {
        return 2;
    }
    let tools = ["tools", "toolConfig"]
        .iter()
        .any(|field| body[field].as_array().is_some_and(|tools| !tools.is_empty()) || body[field].is_object());
    usize::from(tools)
}

/// A provider that answers with the recording for how far the conversation is.
async fn replay(fixtures: &Path, back: &'static Back) -> Upstream {
    let fixtures = fixtures.to_owned();
    Upstream::start(move |asked: &Asked| {
        let path = asked.path.split('?').next().unwrap_or_default();
        if format!("{path}{}", asked.json()).contains(LIMITED.0) {
            return upstream::json(429, &text_of(fixtures.join(LIMITED.1).join("response.json")));
        }
        let stream = asked.stream() || path.ends_with("stream") || path.ends_with(":streamGenerateContent");
        let responses = path.ends_with("/responses");
        assert!(!responses, "recordings of OpenAI's chat are no answers of its Responses API");
        let case = fixtures.join(if stream { back.stream } else { back.whole }[stage(asked)]);
        if stream { streamed(&case) } else { upstream::json(200, &text_of(case.join("response.json"))) }
    })
    .await
}

/// A stream as it was recorded; a whole answer of Gemini is a stream of one event.
fn streamed(case: &Path) -> Vec<Step> {
    if let Ok(frames) = std::fs::read(case.join("response.bin")) {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        return [vec![Step::Send(head)], pieces(&frames), vec![upstream::last_chunk()]].concat();
    }
    let events = std::fs::read(case.join("response.sse")).unwrap_or_else(|_| {
        let whole = json_of(case.join("response.json")).expect("a recorded answer");
        format!("data: {whole}\r\n\r\n").into_bytes()
    });
    [vec![upstream::stream_head()], pieces(&events), vec![upstream::last_chunk()]].concat()
}

fn text_of(file: PathBuf) -> String {
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn json_of(file: PathBuf) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}
