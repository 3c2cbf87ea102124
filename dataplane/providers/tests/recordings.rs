//! Recorded answers of real providers, read as a client behind the gateway reads them: whole, cut at random, and byte by
//! byte. The recordings stay outside the project; without them these tests say so and pass.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper of a test fails the test, or says that it is skipped"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use providers::eventstream::Frames;
use providers::head::Head;
use providers::passage::{Facts, Passage, Target};
use serde_json::{Map, Value, json};
use snapshot::{Quirk, Surface};

fn folder() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a test is told where recordings are")]
    let named = std::env::var("PORTOLAN_FIXTURES").map(PathBuf::from).ok();
    let folder = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"));
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: no recordings at {}; set PORTOLAN_FIXTURES", folder.display());
    None
}

struct Recording {
    name: String,
    surface: Surface,
    expected: Value,
    whole: Option<Bytes>,
    stream: Option<Bytes>,
}

/// Recordings of chat answers (2xx) from providers that speak one of our dialects.
fn recordings() -> Vec<Recording> {
    let Some(folder) = folder() else { return Vec::new() };
    let mut found = Vec::new();
    for provider in [
        "openai",
        "anthropic",
        "groq",
        "deepseek",
        "mistral",
        "openrouter",
        "xai",
        "cerebras",
        "azure",
        "perplexity",
        "moonshot",
        "together",
        "openai-compatible",
        "alibaba",
        "crusoe",
        "bedrock-mantle",
        "snowflake",
        "gemini",
        "vertex",
        "bedrock",
        "cohere",
    ] {
        let Ok(cases) = std::fs::read_dir(folder.join(provider)) else { continue };
        for case in cases.filter_map(|case| Some(case.ok()?.path())) {
            let read = |name: &str| std::fs::read(case.join(name)).ok().map(Bytes::from);
            let json = |name: &str| serde_json::from_slice::<Value>(&read(name)?).ok();
            let (Some(expected), Some(meta)) = (json("expect.json"), json("meta.json")) else { continue };
            let path = meta["url"].as_str().unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
            // A list of answers is the form that a stream of Gemini has for those who do not ask for events.
            let (list, whole) = read("response.json")
                .map_or((None, None), |body| if body.starts_with(b"[") { (Some(body), None) } else { (None, Some(body)) });
            let lines = read("response.events.jsonl");
            let surface = match path {
                path if path.ends_with("/chat/completions") => Surface::ChatCompletions,
                path if path.ends_with("/messages") => Surface::Messages,
                path if path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent") => Surface::GenerateContent,
                path if path.ends_with("/converse") || path.ends_with("/converse-stream") => Surface::Converse,
                path if path.ends_with("/v2/chat") => Surface::CohereChat,
                // What Anthropic says, in Amazon's own envelope.
                path if path.ends_with("/invoke") || path.ends_with("/invoke-with-response-stream") => Surface::Messages,
                // Some recordings do not tell where; these are told by whose they are, or by what they hold.
                path if path.is_empty() => match provider {
                    "anthropic" => Surface::Messages,
                    "cohere" => Surface::CohereChat,
                    _ if whole.as_ref().or(lines.as_ref()).is_some_and(|body| is_of_openai(body)) => Surface::ChatCompletions,
                    _ => continue,
                },
                _ => continue,
            };
            let bin = read("response.bin").map(|bytes| if surface == Surface::Messages { unwrapped(&bytes) } else { bytes });
            let stream = read("response.sse").or(bin).or(list).or_else(|| lines.map(|lines| framed(surface, &lines)));
            if meta["status"].as_u64().is_some_and(|status| status >= 400) || expected.get("error").is_some() {
                continue;
            }
            let name = format!("{provider}/{}", case.file_name().unwrap_or_default().to_string_lossy());
            let mut expected = expected;
            // Cohere's text for no arguments, which `expect.json` keeps. Arguments are an object: whoever calls a function with
            // them fails at `null`, as seven frameworks do, and the SDK of whose tests this recording is reads it so too.
            if name == "cohere/vx-tool-null-args" {
                expected["tool_calls"][0]["arguments"] = json!({});
            }
            found.push(Recording { name, surface, expected, whole, stream });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Events of a recording that did not keep their frames.
fn framed(surface: Surface, lines: &[u8]) -> Bytes {
    let events = std::str::from_utf8(lines).expect("UTF-8").lines().filter(|line| !line.is_empty());
    if surface == Surface::Messages {
        return events.map(named).collect::<String>().into();
    }
    events.map(|line| format!("data: {line}\n\n")).chain(["data: [DONE]\n\n".to_owned()]).collect::<String>().into()
}

/// An event of Anthropic's.
fn named(data: &str) -> String {
    let event: Value = serde_json::from_str(data).expect("JSON");
    format!("event: {}\ndata: {data}\n\n", event["type"].as_str().expect("a type"))
}

/// Anthropic's events out of frames that hold them in base64.
fn unwrapped(bytes: &[u8]) -> Bytes {
    let mut frames = Frames::default();
    frames.push(bytes);
    let mut events = String::new();
    while let Some(frame) = frames.next_frame() {
        let frame: Value = serde_json::from_slice(&frame.expect("a frame").payload).expect("JSON");
        let event = STANDARD.decode(frame["bytes"].as_str().expect("an event")).expect("base64");
        events += &named(std::str::from_utf8(&event).expect("UTF-8"));
    }
    events.into()
}

fn is_of_openai(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.contains("\"choices\"") && text.contains("chat.completion")
}

/// Where the servers of a folder differ, by their preset; those that have none are taken as they are.
fn quirks(folder: &str) -> BTreeSet<Quirk> {
    // Some proxy in front of another dialect, which numbers calls by that dialect's blocks.
    if folder == "openai-compatible" {
        return BTreeSet::from([Quirk::CallIds]);
    }
    let table = include_str!("../../../crds/catalog/src/presets.tsv");
    let row = table.lines().find(|line| line.split('\t').next() == Some(folder)).unwrap_or_default();
    row.split('\t').nth(5).unwrap_or_default().split(' ').filter_map(Quirk::of).collect()
}

fn passage(client: Surface, upstream: Surface, stream: bool, include_usage: bool) -> Passage {
    passage_with(client, upstream, stream, include_usage, &BTreeSet::new())
}

fn passage_with(client: Surface, upstream: Surface, stream: bool, include_usage: bool, quirks: &BTreeSet<Quirk>) -> Passage {
    let mut request = json!({ "model": "m", "max_tokens": 9, "stream": stream, "messages": [{ "role": "user", "content": "x" }] });
    if client == Surface::Responses {
        request = json!({ "model": "m", "stream": stream, "input": "x" });
    }
    if include_usage {
        request["stream_options"] = json!({ "include_usage": true });
    }
    let body = Bytes::from(request.to_string());
    let head = Head::read(client, &body).expect("a request");
    let speaks = BTreeSet::from([upstream]);
    Passage::toward(client, &Target { speaks: &speaks, quirks, drops: false }, &head, &body, "m").expect("a passage")
}

/// Feeds a stream, cut at the places that `cut` gives.
fn feed(passage: &Passage, stream: &Bytes, mut cut: impl FnMut(usize) -> usize) -> Result<(Vec<u8>, Facts), String> {
    let mut reader = passage.stream_reader();
    let mut out = Vec::new();
    let mut from = 0;
    while from < stream.len() {
        let to = (from + cut(from).max(1)).min(stream.len());
        let pushed = reader.push(stream.slice(from..to));
        out.extend_from_slice(&pushed.bytes);
        if let Some(fault) = pushed.fault {
            return Err(format!("{fault:?}"));
        }
        from = to;
    }
    let pushed = reader.finish();
    out.extend_from_slice(&pushed.bytes);
    pushed.fault.map_or(Ok(()), |fault| Err(format!("{fault:?}")))?;
    Ok((out, reader.facts().clone()))
}

/// The size of the piece that begins at an offset.
type Cut = Box<dyn FnMut(usize) -> usize>;

/// Every way to cut: whole, pieces of many sizes, single bytes.
fn cuts() -> Vec<(&'static str, Cut)> {
    vec![("whole", Box::new(|_| usize::MAX / 2)), ("pieces", Box::new(|from| from * 7919 % 97 + 1)), ("bytes", Box::new(|_| 1))]
}

/// What a strict OpenAI client reads out of a stream.
fn read_chunks(stream: &[u8]) -> Value {
    let text = std::str::from_utf8(stream).expect("UTF-8");
    let (mut said, mut thought, mut finish, mut usage) = (String::new(), String::new(), Value::Null, Value::Null);
    let mut calls: Vec<(Value, String, String)> = Vec::new();
    let mut done = false;
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    for event in text.split("\n\n") {
        let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
        let data = data.join("\n");
        if data.is_empty() {
            continue;
        }
        assert!(!done, "something follows [DONE]");
        if data.trim() == "[DONE]" {
            done = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(&data).expect("JSON");
        usage = if chunk["usage"].is_object() { chunk["usage"].clone() } else { usage };
        // Of several choices the first is read.
        let first =
            chunk["choices"].as_array().and_then(|choices| choices.iter().find(|choice| choice["index"].as_u64().unwrap_or(0) == 0));
        let choice = first.unwrap_or(&Value::Null);
        said.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        thought.push_str(choice["delta"]["reasoning_content"].as_str().unwrap_or_default());
        if choice["finish_reason"].is_string() {
            assert!(finish.is_null(), "two reasons to finish");
            finish = choice["finish_reason"].clone();
        }
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = call["index"].as_u64().expect("an index") as usize;
            if index == calls.len() {
                calls.push((call["id"].clone(), call["function"]["name"].as_str().expect("a name").to_owned(), String::new()));
            }
            calls[index].2.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        }
    }
    assert!(done, "no [DONE]");
    let calls = calls.into_iter().map(|(id, name, arguments)| call(&id, &name, &arguments));
    json!({ "text": said, "reasoning": thought, "tool_calls": calls.collect::<Value>(), "finish_reason": finish, "usage": usage })
}

fn call(id: &Value, name: &str, arguments: &str) -> Value {
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_else(|_| panic!("arguments are not JSON: {arguments}"));
    json!({ "id": id, "name": name, "arguments": arguments })
}

/// What a strict OpenAI client reads out of a whole answer.
fn read_completion(body: &[u8]) -> Value {
    let answer: Value = serde_json::from_slice(body).expect("JSON");
    let message = &answer["choices"][0]["message"];
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    let calls = calls.map(|made| {
        call(&made["id"], made["function"]["name"].as_str().expect("a name"), made["function"]["arguments"].as_str().expect("arguments"))
    });
    json!({
        "text": message["content"].as_str().unwrap_or_default(), "reasoning": message["reasoning_content"].as_str().unwrap_or_default(),
        "tool_calls": calls.collect::<Value>(), "finish_reason": answer["choices"][0]["finish_reason"], "usage": answer["usage"],
    })
}

/// What a strict client of the Responses API reads out of a response.
fn read_response(response: &Value) -> Value {
    let (mut said, mut thought, mut plan) = (String::new(), String::new(), String::new());
    let mut calls = Vec::new();
    for item in response["output"].as_array().expect("items") {
        let texts = |list: &Value, field: &str| -> String {
            list.as_array().expect("a list").iter().filter_map(|part| part[field].as_str()).collect()
        };
        match item["type"].as_str() {
            Some("message") => said.push_str(&texts(&item["content"], "text")),
            Some("reasoning") => {
                let planned = item["encrypted_content"].as_str().is_some_and(|sealed| sealed.starts_with("plan:"));
                (if planned { &mut plan } else { &mut thought }).push_str(&texts(&item["summary"], "text"));
            }
            Some("function_call") => {
                calls.push(call(&item["call_id"], item["name"].as_str().expect("a name"), item["arguments"].as_str().expect("arguments")));
            }
            other => panic!("an item of type {other:?}"),
        }
    }
    let finish = match (response["status"].as_str(), response["incomplete_details"]["reason"].as_str()) {
        (Some("completed"), None) => {
            if calls.is_empty() {
                "stop"
            } else {
                "tool_calls"
            }
        }
        (Some("incomplete"), Some("max_output_tokens")) => "length",
        (Some("incomplete"), Some("content_filter")) => "content_filter",
        other => panic!("{other:?}"),
    };
    let told = &response["usage"];
    let usage = json!({
        "prompt_tokens": told["input_tokens"], "completion_tokens": told["output_tokens"], "total_tokens": told["total_tokens"],
        "prompt_tokens_details": told["input_tokens_details"],
    });
    json!({ "text": said, "reasoning": thought, "tool_calls": calls, "finish_reason": finish, "usage": usage, "tool_plan": plan })
}

/// Takes a stream of the Responses API by its grammar, and gives the response that its last event holds.
fn read_events(stream: &[u8]) -> Value {
    let text = std::str::from_utf8(stream).expect("UTF-8");
    let mut output: Vec<Value> = Vec::new();
    let mut under: Option<(Value, String, bool)> = None;
    let mut last = Value::Null;
    for (number, event) in text.split_terminator("\n\n").enumerate() {
        assert!(last.is_null(), "something follows the end");
        let (name, data) = event.split_once('\n').expect("two lines");
        let event: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
        let kind = event["type"].as_str().expect("a type");
        assert_eq!((name, event["sequence_number"].as_u64()), (&*format!("event: {kind}"), Some(number as u64)));
        let at_item = |under: &Option<(Value, String, bool)>| {
            let (item, ..) = under.as_ref().expect("an item under way");
            assert_eq!((&event["item_id"], event["output_index"].as_u64()), (&item["id"], Some(output.len() as u64)), "{kind}");
        };
        match (number, kind) {
            (0, "response.created") | (1, "response.in_progress") => {
                assert_eq!((&event["response"]["status"], &event["response"]["output"]), (&json!("in_progress"), &json!([])));
            }
            (_, "response.output_item.added") => {
                assert!(under.is_none(), "one item at a time");
                assert_eq!(event["output_index"].as_u64(), Some(output.len() as u64));
                under = Some((event["item"].clone(), String::new(), false));
            }
            (_, "response.content_part.added" | "response.reasoning_summary_part.added") => {
                at_item(&under);
                let (_, text, open) = under.as_mut().expect("an item");
                assert!(!std::mem::replace(open, true), "one part at a time");
                text.clear();
            }
            (_, delta) if delta.ends_with(".delta") => {
                at_item(&under);
                let (item, text, open) = under.as_mut().expect("an item");
                assert!(*open != (item["type"] == "function_call"), "a part is open");
                text.push_str(event["delta"].as_str().expect("a delta"));
            }
            (_, "response.output_text.done" | "response.reasoning_summary_text.done") => {
                at_item(&under);
                assert_eq!(event["text"].as_str(), under.as_ref().map(|(_, text, _)| text.as_str()));
            }
            (_, "response.refusal.done") => assert_eq!(event["refusal"].as_str(), under.as_ref().map(|(_, text, _)| text.as_str())),
            (_, "response.function_call_arguments.done") => {
                at_item(&under);
                assert_eq!(event["arguments"].as_str(), under.as_ref().map(|(_, text, _)| text.as_str()));
            }
            (_, "response.content_part.done" | "response.reasoning_summary_part.done") => {
                at_item(&under);
                let (_, text, open) = under.as_mut().expect("an item");
                let told = if event["part"]["type"] == "refusal" { &event["part"]["refusal"] } else { &event["part"]["text"] };
                assert_eq!(told.as_str(), Some(text.as_str()));
                assert!(std::mem::replace(open, false), "the part was open");
            }
            (_, "response.output_item.done") => {
                let (item, _, open) = under.take().expect("an item");
                assert!(!open, "no part is open");
                assert_eq!((&item["id"], &item["type"]), (&event["item"]["id"], &event["item"]["type"]));
                output.push(event["item"].clone());
            }
            (_, "response.completed" | "response.incomplete") => last = event["response"].clone(),
            (number, kind) => panic!("{kind} as event {number}"),
        }
    }
    assert_eq!(last["output"], Value::from(output), "the end repeats what was told");
    last
}

/// The parts of the expectation that a translated answer must meet.
fn compare(name: &str, read: &Value, expected: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for field in ["text", "reasoning", "tool_calls", "finish_reason"] {
        if read[field] != expected[field] {
            faults.push(format!("{name}: {field}: read {} and expected {}", read[field], expected[field]));
        }
    }
    for field in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        if read["usage"][field] != expected["usage"][field] {
            faults.push(format!("{name}: {field}: read {} and expected {}", read["usage"][field], expected["usage"][field]));
        }
    }
    faults
}

#[test]
fn recorded_anthropic_answers_are_read_right_by_an_openai_client() {
    let mut faults = Vec::new();
    let mut read = 0;
    for Recording { name, expected, whole, stream, .. } in
        recordings().into_iter().filter(|recording| recording.surface == Surface::Messages)
    {
        // Two beginnings in one stream: the first is the client's already, so the texts of both are.
        if name.ends_with("vx-stream-spliced-message-start") {
            continue;
        }
        read += 1;
        if let Some(whole) = whole {
            let answer = passage(Surface::ChatCompletions, Surface::Messages, false, false).read_whole(whole).expect("an answer");
            // The expectation of this case counts the last step alone; the sum of its steps is what is billed.
            let mut expected = expected.clone();
            if name.ends_with("vx-compaction") {
                expected["usage"] = json!({ "prompt_tokens": 61067, "completion_tokens": 1912, "total_tokens": 62979 });
            }
            faults.extend(compare(&name, &read_completion(&answer.body), &expected));
        }
        if let Some(stream) = stream {
            let passage = passage(Surface::ChatCompletions, Surface::Messages, true, true);
            for (way, cut) in cuts() {
                let (out, facts) = feed(&passage, &stream, cut).unwrap_or_else(|fault| panic!("{name} {way}: {fault}"));
                faults.extend(compare(&format!("{name} {way}"), &read_chunks(&out), &expected));
                assert_eq!(facts.usage.map(|usage| usage.prompt), expected["usage"]["prompt_tokens"].as_u64(), "{name}");
            }
        }
    }
    println!("{read} recordings read, {} faults", faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Tool calls as far as the recording tells them: some providers give no ids, and what is sealed is told by a mark.
fn calls(of: &Value) -> Value {
    let shown = |call: &Value| json!({ "name": call["name"], "arguments": call["arguments"] });
    of["tool_calls"].as_array().into_iter().flatten().map(shown).collect()
}

#[test]
fn recorded_answers_of_gemini_bedrock_and_cohere_are_read_right_by_an_openai_client() {
    let mut faults = Vec::new();
    let mut read = 0;
    let native = |surface| matches!(surface, Surface::GenerateContent | Surface::Converse | Surface::CohereChat);
    for Recording { name, surface, expected, whole, stream } in recordings().into_iter().filter(|recording| native(recording.surface)) {
        read += 1;
        let ids = expected["tool_calls"].as_array().into_iter().flatten().all(|call| call["id"].is_string());
        let mut check = |way: &str, told: Value| {
            let (mut told, mut expected) = (told, expected.clone());
            if !ids {
                (told["tool_calls"], expected["tool_calls"]) = (calls(&told), calls(&expected));
            }
            faults.extend(compare(&format!("{name} {way}"), &told, &expected));
            for (field, detail) in [("cached_tokens", &told["usage"]["prompt_tokens_details"]["cached_tokens"])] {
                if expected["usage"][field].is_u64() && *detail != expected["usage"][field] {
                    faults.push(format!("{name} {way}: {field}: read {detail} and expected {}", expected["usage"][field]));
                }
            }
        };
        if let Some(whole) = whole {
            let answer = passage(Surface::ChatCompletions, surface, false, false).read_whole(whole);
            check("whole", read_completion(&answer.unwrap_or_else(|fault| panic!("{name}: {fault:?}")).body));
        }
        if let Some(stream) = stream {
            let passage = passage(Surface::ChatCompletions, surface, true, true);
            for (way, cut) in cuts() {
                let (out, _) = feed(&passage, &stream, cut).unwrap_or_else(|fault| panic!("{name} {way}: {fault}"));
                check(way, read_chunks(&out));
            }
        }
    }
    println!("{read} recordings read, {} faults", faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn recorded_answers_of_all_are_read_right_by_a_client_of_responses() {
    let mut faults = Vec::new();
    let mut read = 0;
    for Recording { name, surface, expected, whole, stream } in recordings() {
        // Two beginnings in one stream: the first is the client's already, so the texts of both are.
        if name.ends_with("vx-stream-spliced-message-start") {
            continue;
        }
        read += 1;
        let ids = expected["tool_calls"].as_array().into_iter().flatten().all(|call| call["id"].is_string());
        let mut check = |way: &str, told: Value| {
            let (mut told, mut expected) = (told, expected.clone());
            if !ids {
                (told["tool_calls"], expected["tool_calls"]) = (calls(&told), calls(&expected));
            }
            if name.ends_with("vx-compaction") {
                expected["usage"] = json!({ "prompt_tokens": 61067, "completion_tokens": 1912, "total_tokens": 62979 });
            }
            // A stream without a reason to finish has its account of tokens, and then its end.
            if expected["finish_reason"].is_null() {
                expected["finish_reason"] = json!("stop");
            }
            if expected["tool_plan"].is_string() && told["tool_plan"] != expected["tool_plan"] {
                faults.push(format!("{name} {way}: read the plan {}", told["tool_plan"]));
            }
            faults.extend(compare(&format!("{name} {way}"), &told, &expected));
        };
        if let Some(whole) = whole {
            let answer = passage(Surface::Responses, surface, false, false).read_whole(whole);
            let body = answer.unwrap_or_else(|fault| panic!("{name}: {fault:?}")).body;
            check("whole", read_response(&serde_json::from_slice(&body).expect("JSON")));
        }
        if let Some(stream) = stream {
            let passage = passage(Surface::Responses, surface, true, false);
            for (way, cut) in cuts() {
                match feed(&passage, &stream, cut) {
                    Ok((out, _)) => check(way, read_response(&read_events(&out))),
                    Err(fault) => check(way, json!({ "fault": fault })),
                }
            }
        }
    }
    println!("{read} recordings read, {} faults", faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn recorded_answers_of_servers_that_speak_as_openai_are_read_right_each_with_its_preset() {
    let mut faults = Vec::new();
    let mut read = BTreeSet::new();
    for Recording { name, expected, whole, stream, .. } in
        recordings().into_iter().filter(|recording| recording.surface == Surface::ChatCompletions)
    {
        read.insert(name.clone());
        let quirks = quirks(name.split('/').next().unwrap_or_default());
        let chat = Surface::ChatCompletions;
        if let Some(whole) = whole {
            let answer = passage_with(chat, chat, false, false, &quirks).read_whole(whole);
            let answer = answer.unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
            faults.extend(compare(&name, &read_completion(&answer.body), &expected));
            let usage = answer.facts.usage.map(|usage| (usage.prompt, usage.completion));
            assert_eq!(usage.map(|usage| usage.1), expected["usage"]["completion_tokens"].as_u64(), "{name}");
        }
        if let Some(stream) = stream {
            let passage = passage_with(chat, chat, true, true, &quirks);
            for (way, cut) in cuts() {
                let (out, _) = feed(&passage, &stream, cut).unwrap_or_else(|fault| panic!("{name} {way}: {fault}"));
                faults.extend(compare(&format!("{name} {way}"), &read_chunks(&out), &expected));
            }
        }
    }
    println!("{} recordings read, {} faults", read.len(), faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn recorded_openai_streams_pass_byte_for_byte_and_their_usage_is_read() {
    let passing = recordings().into_iter().filter(|recording| Surface::DOORS.contains(&recording.surface));
    for Recording { name, surface, expected, whole, stream } in passing {
        let usage = |facts: &Facts| facts.usage.map(|usage| (usage.prompt, usage.completion));
        let count = |field: &str| expected["usage"][field].as_u64();
        let wanted = count("prompt_tokens").zip(count("completion_tokens"));
        if let Some(whole) = whole {
            let read =
                passage(surface, surface, false, false).read_whole(whole.clone()).unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
            assert_eq!(read.body, whole, "{name} passes as it is");
            if name != "anthropic/vx-compaction" && !name.starts_with("xai/") {
                assert_eq!(usage(&read.facts), wanted, "{name}");
            }
        }
        if let Some(stream) = stream {
            let passage = passage(surface, surface, true, true);
            for (way, cut) in cuts() {
                let (out, facts) = feed(&passage, &stream, cut).unwrap_or_else(|fault| panic!("{name} {way}: {fault}"));
                let added = out.len() - stream.len().min(out.len());
                let done = b"data: [DONE]\n\n";
                assert!(out.starts_with(stream.trim_ascii_end()), "{name} {way} passes as it is");
                assert!(added <= done.len() + 2, "{name} {way}: nothing is added but an end");
                if !name.starts_with("xai/") && wanted.is_some() && !name.ends_with("vx-stream-spliced-message-start") {
                    assert_eq!(usage(&facts), wanted, "{name} {way}");
                }
            }
        }
    }
}

#[test]
fn usage_that_the_client_did_not_ask_for_is_hidden_and_counted() {
    for Recording { name, surface, stream, .. } in recordings() {
        let (Some(stream), Surface::ChatCompletions) = (stream, surface) else { continue };
        let asked = feed(&passage(surface, surface, true, true), &stream, |_| 50).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let silent = passage(surface, surface, true, false);
        for (way, cut) in cuts() {
            let (out, facts) = feed(&silent, &stream, cut).unwrap_or_else(|fault| panic!("{name} {way}: {fault}"));
            assert_eq!(facts.usage, asked.1.usage, "{name} {way}: counted all the same");
            let chunks = String::from_utf8(out).expect("UTF-8");
            let lone = |line: &str| {
                serde_json::from_str::<Map<String, Value>>(line)
                    .is_ok_and(|chunk| chunk["choices"] == json!([]) && chunk.get("usage").is_some_and(Value::is_object))
            };
            assert!(!chunks.lines().filter_map(|line| line.strip_prefix("data: ")).any(lone), "{name} {way}: no chunk of usage alone");
        }
    }
}

/// Events of a stream, each with its name and its data.
fn events(stream: &[u8]) -> Vec<(Option<String>, String)> {
    let text = std::str::from_utf8(stream).expect("UTF-8").replace("\r\n", "\n");
    let told = text.split("\n\n").filter_map(|event| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim_start().to_owned());
        Some((field("event:"), field("data:")?))
    });
    told.collect()
}

/// The same events, written as servers may write them.
fn written(events: &[(Option<String>, String)], way: usize) -> Vec<u8> {
    let mut out = if way == 5 { "\u{feff}".to_owned() } else { String::new() };
    let (space, line) = (if way == 1 { "" } else { " " }, ["\n", "\n", "\r\n", "\r"][way.min(3) * usize::from(way < 4)]);
    for (name, data) in events {
        if way == 4 {
            out += ": a word between\n\nid: 7\nretry: 3000\n\n";
        }
        if let Some(name) = name {
            out += &format!("event:{space}{name}{line}");
        }
        // The data of one event on two lines, cut where JSON may have space.
        let cut = data.find('{').filter(|_| way == 6).map(|at| at + 1);
        match cut {
            Some(at) => out += &format!("data: {}\ndata: {}\n\n", &data[..at], &data[at..]),
            None => out += &format!("data:{space}{data}{line}{line}"),
        }
    }
    out.into_bytes()
}

/// Each piece of arguments in two, cut in the middle of whatever stands there, and words of the future between.
fn torn(events: &[(Option<String>, String)]) -> Vec<(Option<String>, String)> {
    let mut out = Vec::new();
    for (name, data) in events {
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            out.push((name.clone(), data.clone()));
            continue;
        };
        let place =
            ["/delta/partial_json", "/delta/message/tool_calls/function/arguments", "/choices/0/delta/tool_calls/0/function/arguments"]
                .into_iter()
                .find(|place| event.pointer(place).and_then(Value::as_str).is_some_and(|text| text.chars().count() > 1));
        let Some(place) = place else {
            if event["type"].is_string() && event["type"] != "message_start" && event["type"] != "message-start" {
                out.push((
                    Some("of_the_future".to_owned()),
                    json!({ "type": "of_the_future", "index": 0, "delta": { "new": "x" } }).to_string(),
                ));
            }
            out.push((name.clone(), data.clone()));
            continue;
        };
        let text = event.pointer(place).and_then(Value::as_str).expect("a text").to_owned();
        let half = text.char_indices().nth(text.chars().count() / 2).expect("a middle").0;
        for (number, piece) in [&text[..half], "", &text[half..]].into_iter().enumerate() {
            let mut event = event.clone();
            *event.pointer_mut(place).expect("a text") = json!(piece);
            // A name tells that a call begins, and a reason that the answer ends: each once.
            if number > 0 {
                if let Some(Value::Object(delta)) = event.pointer_mut("/choices/0/delta") {
                    delta.retain(|name, _| name == "tool_calls");
                }
                if let Some(Value::Array(calls)) = event.pointer_mut("/choices/0/delta/tool_calls") {
                    calls.truncate(1);
                }
                for path in ["/choices/0/delta/tool_calls/0", "/delta/message/tool_calls"] {
                    if let Some(Value::Object(call)) = event.pointer_mut(path) {
                        call.remove("id");
                        call.remove("type");
                        if let Some(Value::Object(function)) = call.get_mut("function") {
                            function.remove("name");
                        }
                    }
                }
            }
            if number < 2 && event["choices"].is_array() {
                event["choices"][0]["finish_reason"] = Value::Null;
                event.as_object_mut().expect("an object").remove("usage");
            }
            out.push((name.clone(), event.to_string()));
        }
    }
    out
}

/// However a server writes the events of a recording, an OpenAI client reads the same.
#[test]
fn recorded_streams_are_read_alike_however_they_are_written() {
    let mut read = 0;
    for Recording { name, surface, stream, .. } in recordings() {
        let Some(stream) = stream.filter(|stream| surface != Surface::Converse && !stream.starts_with(b"[")) else { continue };
        if name.ends_with("vx-stream-spliced-message-start") {
            continue;
        }
        let quirks = quirks(name.split('/').next().unwrap_or_default());
        let passage = passage_with(Surface::ChatCompletions, surface, true, true, &quirks);
        let told = |stream: &Bytes, cut: Cut, way: &str| {
            let (out, _) = feed(&passage, stream, cut).unwrap_or_else(|fault| panic!("{name} {way}: {fault}"));
            read_chunks(&out)
        };
        let plain = told(&stream, Box::new(|_| usize::MAX / 2), "as it is");
        let events = events(&stream);
        for way in 0..7 {
            for (kind, events) in [("whole", events.clone()), ("torn", torn(&events))] {
                let stream = Bytes::from(written(&events, way));
                for (how, cut) in cuts() {
                    assert_eq!(told(&stream, cut, kind), plain, "{name}, {kind}, written in way {way}, {how}");
                }
            }
        }
        read += 1;
    }
    println!("{read} recordings read");
}
