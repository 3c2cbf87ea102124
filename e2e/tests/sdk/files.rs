//! In front of a provider that keeps files, which two teams share.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::upstream::{self, Asked, Step, Upstream};
use serde_json::{Value, json};

use crate::program::{self, Sdk};

const CASES: [&str; 7] = [
    "a_file_comes_and_goes",
    "what_is_in_a_file_streams",
    "a_list_has_all_pages",
    "a_file_is_named_in_a_chat",
    "a_file_is_named_in_a_response",
    "another_team_sees_none_of_it",
    "a_response_is_gone_on_from",
];

struct Kept {
    id: String,
    name: String,
    content: Vec<u8>,
}

impl Kept {
    fn told(&self) -> Value {
        json!({
            "id": self.id, "object": "file", "bytes": self.content.len(), "created_at": 1_700_000_000, "filename": self.name,
            "purpose": "user_data", "status": "processed",
        })
    }
}

/// A provider that keeps files as OpenAI does, three to a page of a list.
fn keeper() -> impl Fn(&Asked) -> Vec<Step> {
    let (kept, made): (Mutex<Vec<Kept>>, AtomicU32) = Default::default();
    move |asked| {
        let mut kept = kept.lock().expect("nobody panicked");
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let words: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        let place = |kept: &[Kept], id: &str| kept.iter().position(|one| one.id == id);
        match (asked.method.as_str(), words.as_slice()) {
            ("POST", ["files"]) => {
                let text = String::from_utf8_lossy(&asked.body).into_owned();
                let (_, rest) = text.split_once("filename=\"").expect("a name");
                let (name, rest) = rest.split_once('"').expect("its end");
                let (_, content) = rest.split_once("\r\n\r\n").expect("a part");
                let content = content.split("\r\n--").next().expect("a part").as_bytes().to_vec();
                // Ids are never given twice.
                made.fetch_add(1, Ordering::Relaxed);
                let id = format!("file-{:04}", made.load(Ordering::Relaxed));
                kept.push(Kept { id, name: name.to_owned(), content });
                upstream::json(200, &kept.last().expect("it was put there").told().to_string())
            }
            ("GET", ["files"]) => {
                let after = query.split('&').find_map(|pair| pair.strip_prefix("after="));
                let from = after.and_then(|id| place(&kept, id)).map_or(0, |place| place + 1);
                let page: Vec<Value> = kept[from..].iter().take(3).map(Kept::told).collect();
                upstream::json(200, &json!({ "object": "list", "has_more": from + page.len() < kept.len(), "data": page }).to_string())
            }
            (method, ["files", id, rest @ ..]) => match (place(&kept, id), method, rest) {
                (Some(place), "GET", []) => upstream::json(200, &kept[place].told().to_string()),
                (Some(place), "GET", ["content"]) => upstream::whole(200, "application/octet-stream", &kept[place].content),
                (Some(place), "DELETE", []) => {
                    let gone = kept.remove(place);
                    upstream::json(200, &json!({ "id": gone.id, "object": "file", "deleted": true }).to_string())
                }
                _ => upstream::json(404, &json!({ "error": { "message": format!("No such File object: {id}"), "type": "invalid_request_error", "param": "id", "code": null } }).to_string()),
            },
            // Tells the name of the file that it was given.
            (_, ["chat", "completions"]) => {
                let id = asked.json()["messages"][0]["content"][0]["file"]["file_id"].as_str().unwrap_or_default().to_owned();
                let name = place(&kept, &id).map_or("?", |place| &kept[place].name);
                upstream::json(200, &upstream::chat_answer("m", &name[..name.len().min(4)]))
            }
            ("GET" | "DELETE", ["responses", id, rest @ ..]) => {
                let told = match (asked.method.as_str(), rest) {
                    ("DELETE", _) => json!({ "id": id, "object": "response", "deleted": true }),
                    (_, ["input_items"]) => json!({ "object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false }),
                    _ => response(id, &Value::Null, "kept"),
                };
                upstream::json(200, &told.to_string())
            }
            (_, ["responses"]) => {
                let said = asked.json();
                if said["input"].is_string() {
                    let before = &said["previous_response_id"];
                    let told = response("resp_1", before, before.as_str().unwrap_or("first"));
                    if !asked.stream() {
                        return upstream::json(200, &told.to_string());
                    }
                    let event = |kind: &str, number: u32| {
                        format!("event: {kind}\ndata: {}\n\n", json!({ "type": kind, "sequence_number": number, "response": told }))
                    };
                    return upstream::events((event("response.created", 0) + &event("response.completed", 1)).as_bytes());
                }
                let id = asked.json()["input"][0]["content"][0]["file_id"].as_str().unwrap_or_default().to_owned();
                let text = place(&kept, &id).map_or("?", |place| &kept[place].name);
                upstream::json(200, &response("resp_1", &Value::Null, &text[..text.len().min(4)]).to_string())
            }
            _ => upstream::json(404, "{}"),
        }
    }
}

fn response(id: &str, before: &Value, text: &str) -> Value {
    let content = json!([{ "type": "output_text", "text": text, "annotations": [] }]);
    let message = json!({ "id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content });
    json!({
        "id": id, "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": [message],
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "previous_response_id": before,
    })
}

/// Runs the program with the keys of two teams.
pub async fn test() {
    let Some(mut command) = Sdk::OpenAiPython.program("files").await else { return };
    let provider = Upstream::start(keeper()).await;
    let (key, other) = (folder::key_text(1), folder::key_text(2));
    let shared = "allowedNamespaces: {from: All}";
    let manifests = [
        format!("---\napiVersion: portolan.dev/v1alpha1\nkind: LLMGateway\nmetadata: {{name: main}}\nspec: {{{shared}}}\n"),
        folder::provider("keeper", "OpenAI", provider.address, &["m"], shared),
        folder::key("one", &key, ""),
        folder::key("two", &other, "").replace("metadata: {", "metadata: {namespace: two, "),
    ];
    let folder = Folder::with(&manifests.concat());
    let gateway = Gateway::start(folder.path(), &[]).await;
    command.env("PORTOLAN_OTHER_KEY", &other);
    let cases: BTreeSet<String> = CASES.into_iter().map(str::to_owned).collect();
    program::run(command, gateway.listen, &key, &cases).await;
    let strangers: Vec<_> = provider.asked().into_iter().filter(|asked| asked.path.len() > 100).collect();
    assert!(strangers.is_empty(), "no sealed id reaches a provider: {strangers:?}");
}
