//! A client of OpenAI's chat, in front of a provider that answers what a test says.

use std::collections::BTreeSet;

use bytes::Bytes;
use providers::fault::Fault;
use providers::head::Head;
use providers::passage::{Passage, Target};
use serde_json::{Value, json};
use snapshot::{FailureClass, Quirk, Surface};

/// What a client made of an answer.
#[derive(Debug, Default, PartialEq)]
pub struct Read {
    pub text: String,
    pub thoughts: String,
    pub refusal: String,
    pub plan: String,
    /// Names and arguments.
    pub calls: Vec<(String, Value)>,
    pub ids: Vec<String>,
    pub finish: String,
    /// Of the prompt, of the answer, cached, written to the cache, thought.
    pub usage: Option<[u64; 5]>,
}

impl Read {
    fn message(&mut self, message: &Value) {
        let text = |name: &str| message[name].as_str().unwrap_or_default();
        self.text += text("content");
        self.thoughts += text("reasoning_content");
        self.refusal += text("refusal");
        self.plan += text("tool_plan");
    }

    fn usage(&mut self, usage: &Value) {
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        let (read, written) = (&usage["prompt_tokens_details"], &usage["completion_tokens_details"]);
        let [prompt, completion] = [&usage["prompt_tokens"], &usage["completion_tokens"]].map(count);
        assert_eq!(count(&usage["total_tokens"]), prompt + completion, "{usage}");
        self.usage = Some([
            prompt,
            completion,
            count(&read["cached_tokens"]),
            count(&read["cache_write_tokens"]),
            count(&written["reasoning_tokens"]),
        ]);
    }

    fn call(&mut self, id: &Value, name: &str, arguments: &str) {
        self.ids.push(id.as_str().expect("an id").to_owned());
        let arguments = serde_json::from_str(arguments).unwrap_or_else(|_| panic!("arguments are no JSON: {arguments}"));
        self.calls.push((name.to_owned(), arguments));
    }
}

/// Calls without their ids.
pub fn calls(calls: &[(&str, Value)]) -> Vec<(String, Value)> {
    calls.iter().map(|(name, arguments)| ((*name).to_owned(), arguments.clone())).collect()
}

pub fn passage(client: Surface, upstream: Surface, quirks: &BTreeSet<Quirk>, stream: bool) -> Passage {
    let mut request = json!({ "model": "m", "max_tokens": 9, "stream": stream, "messages": [{ "role": "user", "content": "x" }] });
    if client == Surface::Responses {
        request = json!({ "model": "m", "stream": stream, "input": "x" });
    }
    if stream && client == Surface::ChatCompletions {
        request["stream_options"] = json!({ "include_usage": true });
    }
    let body = Bytes::from(request.to_string());
    let head = Head::read(client, &body).expect("a request");
    let speaks = BTreeSet::from([upstream]);
    Passage::toward(client, &Target { speaks: &speaks, quirks, drops: false }, &head, &body, "real-model").expect("a passage")
}

/// The quirks of a preset.
pub fn preset(name: &str) -> BTreeSet<Quirk> {
    let table = include_str!("../../../../crds/catalog/src/presets.tsv");
    let row = table.lines().find(|line| line.split('\t').next() == Some(name)).expect("a preset");
    row.split('\t').nth(5).expect("quirks").split(' ').filter_map(Quirk::of).collect()
}

/// Reads a whole answer.
pub fn whole(upstream: Surface, quirks: &BTreeSet<Quirk>, answer: &Value) -> Result<Read, Fault> {
    let body = Bytes::from(answer.to_string());
    // Clients of the other dialects are told it too.
    for other in [Surface::Messages, Surface::Responses] {
        if other != upstream {
            let told = passage(other, upstream, quirks, false).read_whole(body.clone());
            assert_eq!(
                told.map(|_| ()).map_err(|fault| fault.class),
                read_whole(upstream, quirks, body.clone()).map(|_| ()).map_err(|fault| fault.class)
            );
        }
    }
    read_whole(upstream, quirks, body)
}

fn read_whole(upstream: Surface, quirks: &BTreeSet<Quirk>, body: Bytes) -> Result<Read, Fault> {
    let told = passage(Surface::ChatCompletions, upstream, quirks, false).read_whole(body)?;
    let answer: Value = serde_json::from_slice(&told.body).expect("JSON");
    for name in ["id", "model", "object"] {
        assert!(answer[name].as_str().is_some_and(|text| !text.is_empty()), "{name} of {answer}");
    }
    let (choice, mut read) = (&answer["choices"][0], Read::default());
    let message = &choice["message"];
    assert!(message["content"].is_null() || message["content"].is_string(), "{message}");
    read.message(message);
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        assert_eq!(call["type"], "function");
        let function = &call["function"];
        read.call(&call["id"], function["name"].as_str().expect("a name"), function["arguments"].as_str().expect("arguments"));
    }
    choice["finish_reason"].as_str().expect("a reason to finish").clone_into(&mut read.finish);
    if answer["usage"].is_object() {
        read.usage(&answer["usage"]);
    }
    Ok(read)
}

/// Feeds a stream in pieces that end at these places, and gives what came of it.
fn feed(passage: &Passage, stream: &Bytes, cuts: &[usize]) -> (Vec<u8>, Option<Fault>) {
    let mut reader = passage.stream_reader();
    let (mut out, mut from) = (Vec::new(), 0);
    for to in cuts.iter().copied().chain([stream.len()]) {
        let pushed = reader.push(stream.slice(from..to));
        out.extend_from_slice(&pushed.bytes);
        if pushed.fault.is_some() {
            return (out, pushed.fault);
        }
        from = to;
    }
    let pushed = reader.finish();
    out.extend_from_slice(&pushed.bytes);
    (out, pushed.fault)
}

/// Reads a stream, which must be the same however it is cut, for clients of every dialect; the last is cut at every place.
pub fn stream(upstream: Surface, quirks: &BTreeSet<Quirk>, stream: impl Into<Bytes>) -> Result<Read, FailureClass> {
    let stream = stream.into();
    let mut read = None;
    for client in [Surface::Messages, Surface::Responses, Surface::ChatCompletions] {
        if client == upstream && client != Surface::ChatCompletions {
            continue;
        }
        let passage = passage(client, upstream, quirks, true);
        let (told, fault) = feed(&passage, &stream, &[]);
        let every: Vec<usize> = (1..stream.len()).collect();
        assert_eq!(feed(&passage, &stream, &every), (told.clone(), fault.clone()), "{client:?} byte by byte");
        for cut in (1..stream.len()).filter(|_| client == Surface::ChatCompletions) {
            assert_eq!(feed(&passage, &stream, &[cut]), (told.clone(), fault.clone()), "{client:?} cut at {cut}");
        }
        read = Some(fault.map_or_else(|| Ok(told), |fault| Err(fault.class)));
    }
    read.expect("a client of OpenAI's chat").map(|told| chunks(&told))
}

/// What a strict client reads out of chunks.
fn chunks(stream: &[u8]) -> Read {
    let text = std::str::from_utf8(stream).expect("UTF-8");
    let (mut read, mut under, mut roles, mut id) = (Read::default(), Vec::<(Value, String, String)>::new(), 0, Value::Null);
    let body = text.strip_suffix("data: [DONE]\n\n").unwrap_or_else(|| panic!("no [DONE] at the end of {text}"));
    for event in body.split_terminator("\n\n") {
        let data = event.lines().find_map(|line| line.strip_prefix("data: "));
        let Some(data) = data else {
            assert!(event.starts_with(':'), "no data in {event}");
            continue;
        };
        let chunk: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(chunk["object"], "chat.completion.chunk", "{data}");
        assert!(chunk["id"].as_str().is_some_and(|id| !id.is_empty()) && (id.is_null() || id == chunk["id"]), "{data}");
        assert!(chunk["model"].as_str().is_some_and(|model| !model.is_empty()), "{data}");
        id = chunk["id"].clone();
        if chunk["usage"].is_object() {
            assert_eq!(chunk["choices"], json!([]), "usage beside a choice");
            read.usage(&chunk["usage"]);
            continue;
        }
        let choice = &chunk["choices"][0];
        assert!(choice["delta"].is_object(), "{data}");
        assert_eq!(choice["delta"]["role"], if roles == 0 { json!("assistant") } else { Value::Null }, "{data}");
        roles += 1;
        read.message(&choice["delta"]);
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().expect("an index")).expect("small");
            if index == under.len() {
                assert_eq!(call["type"], "function", "{data}");
                under.push((call["id"].clone(), call["function"]["name"].as_str().expect("a name").to_owned(), String::new()));
            } else {
                assert!(call["id"].is_null() && matches!(call["function"]["name"].as_str(), None | Some("")), "{data}");
            }
            under[index].2 += call["function"]["arguments"].as_str().unwrap_or_default();
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            assert!(read.finish.is_empty(), "two reasons to finish");
            reason.clone_into(&mut read.finish);
        }
    }
    under.iter().for_each(|(id, name, arguments)| read.call(id, name, arguments));
    read
}

/// Events without names, and the last word of those who have one.
pub fn events(events: &[Value], done: bool) -> String {
    let lines: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    lines + if done { "data: [DONE]\n\n" } else { "" }
}
