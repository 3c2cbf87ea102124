//! What the client asks, and whether the provider was asked as it takes it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use e2e::upstream::Asked;
use serde_json::{Value, json};

use crate::cases::Case;
use crate::schema::Schemas;

/// The request of a case: the recorded one where it is a chat of OpenAI's words that was answered, else one with all that a
/// conversation of agents holds.
pub fn request(case: &Case) -> Value {
    let mut body = case.asked_as_openai().cloned().unwrap_or_else(|| conversation(case));
    body["model"] = json!(format!("{}/{}", case.provider, case.model));
    if case.stream {
        body["stream"] = json!(true);
        body["stream_options"] = json!({ "include_usage": true });
    }
    body
}

fn conversation(case: &Case) -> Value {
    let called = case.expected["tool_calls"].as_array().into_iter().flatten().filter_map(|call| call["name"].as_str());
    let tool = |name: &str| json!({ "type": "function", "function": { "name": name, "description": "a tool", "parameters": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] } } });
    let names: BTreeSet<&str> = called.chain(["get_weather"]).collect();
    let mut body = json!({
        "messages": [
            { "role": "system", "content": "be short" },
            { "role": "user", "content": "what is the weather in Paris and Rome?" },
            { "role": "assistant", "content": "", "tool_calls": [
                { "id": "call_1", "type": "function", "function": { "name": "get_weather", "arguments": "{\"city\":\"Paris\"}" } },
                { "id": "call_2", "type": "function", "function": { "name": "get_weather", "arguments": "{\"city\":\"Rome\"}" } },
            ] },
            { "role": "tool", "tool_call_id": "call_1", "content": "nineteen degrees" },
            { "role": "tool", "tool_call_id": "call_2", "content": "twenty degrees" },
            { "role": "user", "content": "and tomorrow?" },
        ],
        "max_completion_tokens": 64,
    });
    // Perplexity has none.
    if case.provider == "perplexity" {
        body["messages"] = json!([{ "role": "system", "content": "be short" }, { "role": "user", "content": "and tomorrow?" }]);
    } else {
        body["tools"] = names.into_iter().map(tool).collect();
    }
    body
}

/// The rules of the providers' requests, where recordings hold them.
pub struct Rules {
    /// Of OpenAI, who publishes them.
    openai: Option<Schemas>,
    /// Of those who speak a dialect of their own: the names of fields that their recorded requests have.
    native: BTreeMap<&'static str, BTreeSet<String>>,
}

/// Fields that no recorded request has and that a dialect's description has.
const DESCRIBED: [(&str, &str); 2] = [("cohere", ".max_tokens"), ("gemini", ".tools.functionDeclarations.parametersJsonSchema")];

/// Whose requests have the same shape, for those who speak a dialect of their own.
fn dialect(provider: &str) -> Option<&'static str> {
    match provider {
        "anthropic" => Some("anthropic"),
        "gemini" | "vertex" => Some("gemini"),
        "bedrock" => Some("converse"),
        "cohere" => Some("cohere"),
        _ => None,
    }
}

impl Rules {
    pub fn of(fixtures: &Path, cases: &[Case]) -> Self {
        let openai = std::fs::read(fixtures.join("openapi/openai.json")).ok();
        let openai = openai.map(|document| Schemas::new(serde_json::from_slice(&document).expect("JSON")));
        let mut native: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (dialect, field) in DESCRIBED {
            native.entry(dialect).or_default().insert(field.to_owned());
        }
        for case in cases {
            if let (Some(dialect), Some(asked)) = (dialect(&case.provider), &case.asked)
                && !["/invoke", "/invoke-with-response-stream", "/embed"].iter().any(|other| case.url.ends_with(other))
            {
                fields(asked, "", native.entry(dialect).or_default());
            }
        }
        Self { openai, native }
    }

    /// What is wrong with what the provider was asked.
    pub fn complaints(&self, case: &Case, body: &Value, asked: &Asked) -> Vec<String> {
        let told = asked.json();
        if !told.is_object() {
            return vec![format!("the provider was asked {}", String::from_utf8_lossy(&asked.body))];
        }
        if let Some(dialect) = dialect(&case.provider) {
            let mut has = BTreeSet::new();
            fields(&told, "", &mut has);
            let known = &self.native[dialect];
            return has.iter().filter(|field| !known.contains(*field)).map(|field| format!("no recorded request has {field}")).collect();
        }
        let mut wrong = changed(case, body, &told);
        if case.provider == "openai"
            && let Some(rules) = &self.openai
        {
            wrong.extend(rules.complaints("CreateChatCompletionRequest", &told));
        }
        wrong
    }
}

/// What another server of OpenAI's dialect was told otherwise than the client said it, but for the names that it knows.
fn changed(case: &Case, body: &Value, told: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        let other = match name.as_str() {
            // Mistral is told no such thing, and tells the usage unasked.
            "stream_options" | "model" => continue,
            "max_completion_tokens" if told.get(name).is_none() => "max_tokens",
            // One answer is what everybody gives.
            "n" if *value == 1 => continue,
            "seed" if told.get(name).is_none() => "random_seed",
            name => name,
        };
        if told[other] != *value && !is_told_shorter(other, value, &told[other]) {
            wrong.push(format!("{name}: the client said {value}, the provider was told {}", told[other]));
        }
    }
    if told["model"] != case.model.as_str() {
        wrong.push(format!("the model is {}", told["model"]));
    }
    wrong
}

/// Ids of calls are short ones at Mistral, and its messages have no names.
fn is_told_shorter(name: &str, said: &Value, told: &Value) -> bool {
    let count = |list: &Value| list.as_array().map(Vec::len);
    name == "messages" && count(said) == count(told) && said.to_string().contains("call_")
}

/// The names of all fields of a request, each with its way from the top; what a tool's owner writes is nobody's to judge.
fn fields(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let at = format!("{at}.{name}");
                let free = ["input_schema", "input", "json", "parameters", "parametersJsonSchema", "args", "response", "metadata"];
                if !free.contains(&name.as_str()) {
                    fields(inner, &at, found);
                }
                found.insert(at);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| fields(inner, at, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
