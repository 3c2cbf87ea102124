//! A strict client of OpenAI's chat: it takes answers and streams by their grammar and complains of all that OpenAI itself
//! would not send.

use serde_json::{Value, json};

/// What was read, and what there is to complain of.
#[derive(Debug, Default)]
pub struct Read {
    pub text: String,
    pub reasoning: String,
    pub calls: Vec<Value>,
    pub finish: Value,
    pub usage: Value,
    pub plan: String,
    /// The error that a stream ended with.
    pub error: Value,
    pub complaints: Vec<String>,
}

impl Read {
    fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            let what = what();
            if !self.complaints.contains(&what) {
                self.complaints.push(what);
            }
        }
    }

    fn usage(&mut self, usage: &Value) {
        let count = |name: &str| usage[name].as_u64();
        let sum = count("prompt_tokens").zip(count("completion_tokens")).map(|(prompt, completion)| prompt + completion);
        self.must(sum.is_some() && sum == count("total_tokens"), || format!("usage is no sum: {usage}"));
        self.usage = usage.clone();
    }

    fn finish(&mut self, reason: &Value) {
        let known = ["stop", "length", "tool_calls", "content_filter", "function_call"];
        self.must(reason.as_str().is_some_and(|reason| known.contains(&reason)), || format!("no reason to finish is {reason}"));
        self.must(self.finish.is_null(), || "two reasons to finish".to_owned());
        self.finish = reason.clone();
    }

    /// The thoughts of a message or delta, under the name that most clients read.
    fn thoughts(&mut self, of: &Value) {
        let (told, alias) = (&of["reasoning_content"], &of["reasoning"]);
        self.must(told.is_null() || told.is_string(), || format!("thoughts are {told}"));
        let (told, alias) = (told.as_str().unwrap_or_default(), alias.as_str().unwrap_or_default());
        self.must(alias.is_empty() || alias == told, || format!("thoughts that most clients do not read: {alias}"));
        self.reasoning.push_str(told);
    }

    fn head(&mut self, of: &Value, object: &str) {
        self.must(of["object"] == object, || format!("object is {}", of["object"]));
        self.must(of["id"].as_str().is_some_and(|id| !id.is_empty()), || format!("id is {}", of["id"]));
        self.must(of["model"].as_str().is_some_and(|model| !model.is_empty()), || format!("model is {}", of["model"]));
        self.must(of["created"].is_u64(), || format!("created is {}", of["created"]));
        self.must(of["choices"].is_array(), || format!("choices are {}", of["choices"]));
    }

    fn whole_call(&mut self, call: &Value) {
        let (id, name, arguments) = (&call["id"], &call["function"]["name"], &call["function"]["arguments"]);
        self.must(call["type"] == "function", || format!("a call of type {}", call["type"]));
        self.must(id.as_str().is_some_and(|id| !id.is_empty()), || format!("a call with the id {id}"));
        self.must(name.as_str().is_some_and(|name| !name.is_empty()), || format!("a call with the name {name}"));
        let Some(text) = arguments.as_str() else {
            return self.must(false, || format!("arguments are {arguments}"));
        };
        let parsed = serde_json::from_str::<Value>(text);
        self.must(parsed.is_ok(), || format!("arguments are no JSON: {text}"));
        self.calls.push(json!({ "id": id, "name": name, "arguments": parsed.unwrap_or_default() }));
    }
}

/// Reads an answer that is not streamed.
pub fn whole(body: &[u8]) -> Read {
    let mut read = Read::default();
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        read.complaints.push("the answer is no JSON".to_owned());
        return read;
    };
    read.head(&answer, "chat.completion");
    let choices = answer["choices"].as_array().cloned().unwrap_or_default();
    let Some(first) = choices.iter().find(|choice| choice["index"] == 0) else {
        read.complaints.push("there is no choice 0".to_owned());
        return read;
    };
    let message = &first["message"];
    read.must(message["role"] == "assistant", || format!("the role is {}", message["role"]));
    let content = &message["content"];
    read.must(content.is_null() || content.is_string(), || format!("content is {content}"));
    read.text = content.as_str().unwrap_or_default().to_owned();
    read.plan = message["tool_plan"].as_str().unwrap_or_default().to_owned();
    read.thoughts(message);
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        read.whole_call(call);
    }
    read.finish(&first["finish_reason"]);
    if answer["usage"].is_object() {
        read.usage(&answer["usage"]);
    }
    read
}

/// A call under way.
#[derive(Debug, Default)]
struct Under {
    id: Value,
    name: Value,
    arguments: String,
}

/// What is seen of a stream.
#[derive(Debug, Default)]
struct Chunks {
    read: Read,
    id: Value,
    under: Vec<Under>,
    roles: usize,
    done: bool,
}

/// Reads a stream.
pub fn stream(body: &[u8]) -> Read {
    let mut chunks = Chunks::default();
    let text = std::str::from_utf8(body).unwrap_or_default();
    chunks.read.must(!text.is_empty(), || "the stream is empty, or no UTF-8".to_owned());
    chunks.read.must(text.ends_with("\n\n") || text.ends_with("\r\n\r\n"), || "the last event is not ended".to_owned());
    for event in text.replace("\r\n", "\n").split("\n\n") {
        let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
        if !data.is_empty() {
            chunks.event(data.join("\n").trim());
        }
    }
    chunks.end()
}

impl Chunks {
    fn event(&mut self, data: &str) {
        let read = &mut self.read;
        read.must(!self.done && read.error.is_null(), || "something follows the end".to_owned());
        if data == "[DONE]" {
            self.done = true;
            return;
        }
        let Ok(chunk) = serde_json::from_str::<Value>(data) else {
            return read.must(false, || format!("an event is no JSON: {data}"));
        };
        if chunk["error"].is_object() {
            read.error = chunk["error"].clone();
            return;
        }
        // What Azure's filter found in the prompt, in a form that clients of Azure look for.
        if chunk["choices"] == json!([]) && chunk["prompt_filter_results"].is_array() {
            return;
        }
        read.must(read.usage.is_null(), || "a chunk follows the usage".to_owned());
        read.head(&chunk, "chat.completion.chunk");
        if self.id.is_null() {
            self.id = chunk["id"].clone();
        }
        read.must(self.id == chunk["id"], || "the id changes".to_owned());
        let choices = chunk["choices"].as_array().cloned().unwrap_or_default();
        if chunk["usage"].is_object() {
            read.must(choices.is_empty(), || "usage beside a choice".to_owned());
            read.usage(&chunk["usage"]);
        } else {
            read.must(!choices.is_empty(), || "a chunk of nothing".to_owned());
        }
        for choice in &choices {
            let read = &mut self.read;
            read.must(choice["index"].is_u64(), || format!("the index is {}", choice["index"]));
            read.must(choice["delta"].is_object(), || format!("the delta is {}", choice["delta"]));
            // Of several choices the first is read.
            if choice["index"] == 0 {
                self.delta(&choice["delta"], &choice["finish_reason"]);
            }
        }
    }

    fn delta(&mut self, delta: &Value, finish: &Value) {
        let read = &mut self.read;
        let begins = self.roles == 0;
        self.roles += 1;
        let role = &delta["role"];
        read.must(role.is_null() || begins && role == "assistant", || "a role in the middle".to_owned());
        read.must(!begins || role == "assistant", || "no role at the beginning".to_owned());
        let says = delta.as_object().into_iter().flatten().any(|(name, value)| name != "role" && !value.is_null() && value != "");
        read.must(!says || read.finish.is_null(), || "something is said after the reason to finish".to_owned());
        let content = &delta["content"];
        read.must(content.is_null() || content.is_string(), || format!("content is {content}"));
        read.text.push_str(content.as_str().unwrap_or_default());
        read.plan.push_str(delta["tool_plan"].as_str().unwrap_or_default());
        read.thoughts(delta);
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.call(call);
        }
        if !finish.is_null() {
            self.read.finish(finish);
        }
    }

    fn call(&mut self, call: &Value) {
        let read = &mut self.read;
        let Some(index) = call["index"].as_u64().and_then(|index| usize::try_from(index).ok()) else {
            return read.must(false, || format!("a call with the index {}", call["index"]));
        };
        read.must(index <= self.under.len(), || format!("a call with the index {index} after {}", self.under.len()));
        let arguments = call["function"]["arguments"].as_str();
        if index >= self.under.len() {
            read.must(call["type"] == "function", || format!("a call of type {}", call["type"]));
            self.under.push(Under { id: call["id"].clone(), name: call["function"]["name"].clone(), arguments: String::new() });
        } else {
            let known = &self.under[index];
            read.must(call["id"].is_null() || call["id"] == known.id, || "the id of a call changes".to_owned());
            let name = &call["function"]["name"];
            read.must(name.is_null() || name == "", || "a call is named twice".to_owned());
        }
        if let Some(under) = self.under.get_mut(index) {
            under.arguments.push_str(arguments.unwrap_or_default());
        }
    }

    fn end(mut self) -> Read {
        let failed = !self.read.error.is_null();
        self.read.must(self.done != failed, || if failed { "[DONE] after an error".to_owned() } else { "no [DONE]".to_owned() });
        // Of an answer that broke off no call is made.
        for call in self.under.into_iter().filter(|_| !failed) {
            let whole = json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": call.arguments } });
            self.read.whole_call(&whole);
        }
        self.read
    }
}
