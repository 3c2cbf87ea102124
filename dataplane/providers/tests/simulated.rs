//! The simulated provider's answers against the schemas that the providers publish, and the translations of its answers
//! and of recorded ones. OpenAI's document and the recordings stay outside the project; Anthropic publishes none, so its
//! shapes are written down in `schema/anthropic.json` and are themselves held against recordings.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper of a test fails the test, or says that it is skipped"
)]

mod schema;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use providers::head::Head;
use providers::passage::Passage;
use providers::simulated::{Beat, Heard, Script, play};
use schema::Schemas;
use serde_json::{Value, json};
use snapshot::{Simulated, SimulatedFault, Surface};

fn fixtures() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "a test is told where recordings are")]
    let named = std::env::var("PORTOLAN_FIXTURES").map(PathBuf::from).ok();
    named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"))
}

fn openai() -> Option<Schemas> {
    let path = fixtures().join("openapi/openai.json");
    let Ok(text) = std::fs::read(&path) else {
        println!("SKIPPED: no OpenAPI document at {}; set PORTOLAN_FIXTURES", path.display());
        return None;
    };
    Some(Schemas::new(serde_json::from_slice(&text).expect("JSON")))
}

fn anthropic() -> Schemas {
    Schemas::new(serde_json::from_str(include_str!("schema/anthropic.json")).expect("JSON"))
}

fn config() -> Simulated {
    Simulated { seed: 7, latency_ms: 0, token_interval_ms: 0, answer_tokens: 40, faults: Vec::new() }
}

fn body(script: Script) -> Vec<u8> {
    let bytes = script.beats.filter_map(|beat| match beat {
        Beat::Bytes(bytes) => Some(bytes),
        Beat::Wait(_) | Beat::Drop | Beat::Hang => None,
    });
    bytes.flatten().collect()
}

fn whole(surface: Surface, request: &Value) -> Value {
    let script = play(&config(), surface, Heard::Json(request.to_string().as_bytes()), 0);
    assert_eq!((script.status, script.content_type), (200, "application/json"), "{request}");
    serde_json::from_slice(&body(script)).expect("JSON")
}

/// The data of the events of a stream, but for `[DONE]`, each with the name of its event.
fn events(stream: &[u8]) -> Vec<(Option<String>, Value)> {
    let text = std::str::from_utf8(stream).expect("UTF-8").replace("\r\n", "\n");
    let blocks = text.split("\n\n").filter_map(|block| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
        let data = field("data:").filter(|data| data != "[DONE]")?;
        Some((field("event:"), serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}"))))
    });
    blocks.collect()
}

fn stream(surface: Surface, request: &Value) -> Vec<(Option<String>, Value)> {
    let mut request = request.clone();
    request["stream"] = json!(true);
    let script = play(&config(), surface, Heard::Json(request.to_string().as_bytes()), 0);
    assert_eq!((script.status, script.content_type), (200, "text/event-stream"), "{request}");
    events(&body(script))
}

fn fine(schemas: &Schemas, name: &str, value: &Value) {
    let complaints = schemas.complaints(name, value);
    assert!(complaints.is_empty(), "{name}: {complaints:#?}\n{value:#}");
}

fn parameters() -> Value {
    json!({ "type": "object", "required": ["city", "days"], "properties": { "city": { "type": "string" }, "days": { "type": "integer" } } })
}

/// Requests of every kind of chat.
fn chats() -> Vec<Value> {
    let tool = |name: &str| json!({ "type": "function", "function": { "name": name, "parameters": parameters() } });
    let with = |extra: Value| {
        let mut request =
            json!({ "model": "pilot", "messages": [{ "role": "user", "content": "Find the harbour with weather and tide" }] });
        request.as_object_mut().zip(extra.as_object()).into_iter().for_each(|(all, more)| all.extend(more.clone()));
        request
    };
    vec![
        with(json!({})),
        with(json!({ "n": 3 })),
        with(json!({ "max_tokens": 4 })),
        with(json!({ "stop": ["provider"] })),
        with(json!({ "tools": [tool("weather")] })),
        with(json!({ "tools": [tool("weather"), tool("tide")] })),
        with(json!({ "tools": [tool("bare")], "tool_choice": "required" })),
        with(json!({ "tools": [{ "type": "function", "function": { "name": "empty" } }], "tool_choice": "required" })),
        with(json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "x", "schema": parameters() } } })),
        with(json!({ "stream_options": { "include_usage": true } })),
    ]
}

fn conversations() -> Vec<Value> {
    let tool = |name: &str| json!({ "name": name, "input_schema": parameters() });
    let with = |extra: Value| {
        let mut request = json!({ "model": "pilot", "max_tokens": 100, "messages": [{ "role": "user", "content": "Find the harbour with weather and tide" }] });
        request.as_object_mut().zip(extra.as_object()).into_iter().for_each(|(all, more)| all.extend(more.clone()));
        request
    };
    vec![
        with(json!({})),
        with(json!({ "max_tokens": 4 })),
        with(json!({ "stop_sequences": ["provider"] })),
        with(json!({ "tools": [tool("weather")] })),
        with(json!({ "tools": [tool("weather"), tool("tide")] })),
        with(json!({ "tools": [{ "name": "empty", "input_schema": { "type": "object" } }], "tool_choice": { "type": "any" } })),
        with(json!({ "output_config": { "format": { "type": "json_schema", "schema": parameters() } } })),
    ]
}

#[test]
fn simulated_chats_are_what_openai_publishes() {
    let Some(schemas) = openai() else { return };
    for request in chats() {
        fine(&schemas, "CreateChatCompletionResponse", &whole(Surface::ChatCompletions, &request));
        for (_, chunk) in stream(Surface::ChatCompletions, &request) {
            fine(&schemas, "CreateChatCompletionStreamResponse", &chunk);
        }
    }
}

#[test]
fn simulated_completions_and_embeddings_are_what_openai_publishes() {
    let Some(schemas) = openai() else { return };
    let request = json!({ "model": "pilot", "prompt": "Once", "n": 2, "max_tokens": 5 });
    fine(&schemas, "CreateCompletionResponse", &whole(Surface::Completions, &request));
    for (_, mut chunk) in stream(Surface::Completions, &request) {
        // The document gives streams the schema of whole answers, whose `finish_reason` is never null; real streams are.
        let last = chunk["choices"][0]["finish_reason"].is_string();
        if !last {
            chunk["choices"][0]["finish_reason"] = json!("stop");
        }
        fine(&schemas, "CreateCompletionResponse", &chunk);
    }
    for input in [json!("one"), json!(["one", "two"]), json!([1, 2, 3]), json!([[1, 2], [3]])] {
        fine(&schemas, "CreateEmbeddingResponse", &whole(Surface::Embeddings, &json!({ "model": "e", "input": input, "dimensions": 8 })));
    }
}

#[test]
fn simulated_responses_are_what_openai_publishes() {
    let Some(mut schemas) = openai() else { return };
    // Real answers have it; the document forgot it.
    schemas.ours = BTreeSet::from(["store"]);
    let tool = json!({ "type": "function", "name": "weather", "parameters": parameters(), "strict": true });
    for request in [
        json!({ "model": "pilot", "input": "hi" }),
        json!({ "model": "pilot", "input": "hi", "instructions": "be brief", "max_output_tokens": 3 }),
        json!({ "model": "pilot", "input": [{ "role": "user", "content": [{ "type": "input_text", "text": "weather" }] }], "tools": [tool], "parallel_tool_calls": false }),
        json!({ "model": "pilot", "input": "x", "text": { "format": { "type": "json_schema", "name": "n", "schema": parameters() } } }),
    ] {
        fine(&schemas, "Response", &whole(Surface::Responses, &request));
        for (place, (name, event)) in stream(Surface::Responses, &request).into_iter().enumerate() {
            fine(&schemas, "ResponseStreamEvent", &event);
            assert_eq!(name.as_deref(), event["type"].as_str(), "an event is named for its type");
            assert_eq!(event["sequence_number"], json!(place), "events are numbered");
        }
    }
}

#[test]
fn simulated_messages_are_what_anthropic_sends() {
    let schemas = anthropic();
    for request in conversations() {
        fine(&schemas, "Message", &whole(Surface::Messages, &request));
        for (name, event) in stream(Surface::Messages, &request) {
            fine(&schemas, "Event", &event);
            assert_eq!(name.as_deref(), event["type"].as_str(), "an event is named for its type");
        }
    }
}

#[test]
fn simulated_errors_are_what_the_providers_publish() {
    let openai = openai();
    let anthropic = anthropic();
    let mut told = Vec::new();
    for surface in Surface::DOORS {
        for request in [&b"{"[..], b"{}", br#"{"model":"m"}"#, br#"{"model":"m","messages":[1],"max_tokens":1}"#] {
            let script = play(&config(), surface, Heard::Json(request), 0);
            if script.status == 400 {
                told.push((surface, body(script)));
            }
        }
        for status in [400, 401, 403, 404, 413, 429, 500, 503, 529] {
            let fault = SimulatedFault::Status { status, percent: 100, retry_after_seconds: Some(2) };
            let script = play(&Simulated { faults: vec![fault], ..config() }, surface, Heard::Json(b"{}"), 0);
            assert_eq!((script.status, script.retry_after_seconds), (status, Some(2)));
            told.push((surface, body(script)));
        }
    }
    assert!(told.len() > 55, "bad requests are refused too");
    for (surface, error) in told {
        let error = serde_json::from_slice(&error).expect("JSON");
        if matches!(surface, Surface::Messages | Surface::CountTokens) {
            fine(&anthropic, "Error", &error);
        } else if let Some(openai) = &openai {
            fine(openai, "ErrorResponse", &error);
        }
    }
}

fn passage(client: Surface, upstream: Surface, request: &Value) -> Passage {
    let body = Bytes::from(request.to_string());
    let head = Head::read(client, &body).expect("a request");
    Passage::choose(client, &BTreeSet::from([upstream]), &head, &body, "real").expect("a passage")
}

/// What a client gets of a provider that speaks the other dialect: of the simulated one, whole and streamed.
fn translated(client: Surface, upstream: Surface, request: &Value) -> (Value, Vec<(Option<String>, Value)>) {
    let plain = passage(client, upstream, request);
    let answer = body(play(&config(), upstream, Heard::Json(&plain.request().concat()), 0));
    let read = plain.read_whole(answer.into()).expect("an answer");
    let mut request = request.clone();
    request["stream"] = json!(true);
    let streamed = passage(client, upstream, &request);
    let answer = body(play(&config(), upstream, Heard::Json(&streamed.request().concat()), 0));
    (serde_json::from_slice(&read.body).expect("JSON"), events(&told(&streamed, &answer)))
}

fn told(passage: &Passage, stream: &[u8]) -> Vec<u8> {
    let mut reader = passage.stream_reader();
    let pushed = reader.push(Bytes::copy_from_slice(stream));
    let end = reader.finish();
    assert_eq!((pushed.fault, end.fault), (None, None));
    [pushed.bytes, end.bytes].concat()
}

/// Words of ours that OpenAI's schema lacks: thoughts, which it has no place for, and tokens written to a cache.
fn with_ours(mut schemas: Schemas) -> Schemas {
    schemas.ours = BTreeSet::from(["reasoning_content", "thinking_blocks"]);
    schemas
}

#[test]
fn translated_answers_are_what_the_dialect_of_the_client_publishes() {
    let openai = openai().map(with_ours);
    let anthropic = anthropic();
    for request in chats().into_iter().filter(|request| request.get("n").is_none()) {
        let (whole, chunks) = translated(Surface::ChatCompletions, Surface::Messages, &request);
        let Some(schemas) = &openai else { continue };
        fine(schemas, "CreateChatCompletionResponse", &whole);
        chunks.iter().for_each(|(_, chunk)| fine(schemas, "CreateChatCompletionStreamResponse", chunk));
    }
    for request in conversations() {
        let (whole, events) = translated(Surface::Messages, Surface::ChatCompletions, &request);
        fine(&anthropic, "Message", &whole);
        events.iter().for_each(|(_, event)| fine(&anthropic, "Event", event));
    }
}

/// The name of a recording, and its whole answer or its stream.
type Recording = (String, Option<Vec<u8>>, Option<Vec<u8>>);

/// Recorded answers of 2xx of a provider.
fn recordings(provider: &str, path: &str) -> Vec<Recording> {
    let folder = fixtures().join(provider);
    let Ok(cases) = std::fs::read_dir(&folder) else {
        println!("SKIPPED: no recordings at {}; set PORTOLAN_FIXTURES", folder.display());
        return Vec::new();
    };
    let mut found = Vec::new();
    for case in cases.filter_map(|case| Some(case.ok()?.path())) {
        let read = |name: &str| std::fs::read(case.join(name)).ok();
        let meta: Value = read("meta.json").and_then(|meta| serde_json::from_slice(&meta).ok()).unwrap_or_default();
        let url = meta["url"].as_str().unwrap_or_default().split('?').next().unwrap_or_default();
        let told_an_error = read("expect.json")
            .and_then(|expected| serde_json::from_slice::<Value>(&expected).ok())
            .is_some_and(|expected| expected.get("error").is_some());
        if url.ends_with(path) && !told_an_error && meta["status"].as_u64().is_none_or(|status| status < 400) {
            found.push((case.file_name().unwrap_or_default().to_string_lossy().into_owned(), read("response.json"), read("response.sse")));
        }
    }
    found.sort();
    found
}

#[test]
fn the_shapes_of_anthropic_that_are_written_down_here_are_those_of_recordings() {
    let mut schemas = anthropic();
    schemas.closed = false;
    let found = recordings("anthropic", "/messages");
    for (name, whole, stream) in &found {
        if let Some(whole) = whole {
            let complaints = schemas.complaints("Message", &serde_json::from_slice(whole).expect("JSON"));
            assert!(complaints.is_empty(), "{name}: {complaints:#?}");
        }
        for (_, event) in stream.iter().flat_map(|stream| events(stream)) {
            let complaints = schemas.complaints("Event", &event);
            assert!(complaints.is_empty(), "{name}: {complaints:#?}\n{event:#}");
        }
    }
}

#[test]
fn recorded_answers_are_translated_into_what_the_other_dialect_publishes() {
    let Some(openai) = openai().map(with_ours) else { return };
    let request = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }] });
    let mut streamed = request.clone();
    streamed["stream"] = json!(true);
    for (client, upstream, provider, path) in [
        (Surface::ChatCompletions, Surface::Messages, "anthropic", "/messages"),
        (Surface::Messages, Surface::ChatCompletions, "openai", "/chat/completions"),
        (Surface::Messages, Surface::ChatCompletions, "groq", "/chat/completions"),
        (Surface::Messages, Surface::ChatCompletions, "mistral", "/chat/completions"),
        (Surface::Messages, Surface::ChatCompletions, "deepseek", "/chat/completions"),
    ] {
        let anthropic = anthropic();
        let (schemas, whole_name, event_name) = if client == Surface::ChatCompletions {
            (&openai, "CreateChatCompletionResponse", "CreateChatCompletionStreamResponse")
        } else {
            (&anthropic, "Message", "Event")
        };
        for (name, whole, stream) in recordings(provider, path) {
            if let Some(whole) = whole {
                match passage(client, upstream, &request).read_whole(whole.into()) {
                    Ok(read) => fine(schemas, whole_name, &serde_json::from_slice(&read.body).expect("JSON")),
                    Err(fault) => panic!("{provider}/{name}: {fault:?}"),
                }
            }
            if let Some(stream) = stream {
                let passage = passage(client, upstream, &streamed);
                let mut reader = passage.stream_reader();
                let (pushed, end) = (reader.push(stream.into()), reader.finish());
                assert_eq!((pushed.fault, end.fault), (None, None), "{provider}/{name}");
                let told = [pushed.bytes, end.bytes].concat();
                events(&told).iter().for_each(|(_, event)| fine(schemas, event_name, event));
            }
        }
    }
}

#[test]
fn the_check_of_schemas_finds_what_is_wrong() {
    let schemas = anthropic();
    let right = whole(Surface::Messages, &conversations()[3]);
    assert_eq!(schemas.complaints("Message", &right), Vec::<String>::new());
    let wrong: [fn(&mut Value); 7] = [
        |answer| answer["role"] = json!("user"),
        |answer| answer["usage"]["input_tokens"] = json!("many"),
        |answer| answer["usage"]["output_tokens"] = json!(-1),
        |answer| answer["stop_reason"] = json!("done"),
        |answer| answer["content"][0]["input"] = json!("{}"),
        |answer| answer["made_up"] = json!(1),
        |answer| drop(answer.as_object_mut().map(|fields| fields.remove("stop_sequence"))),
    ];
    for spoil in wrong {
        let mut answer = right.clone();
        spoil(&mut answer);
        assert_ne!(schemas.complaints("Message", &answer), Vec::<String>::new(), "{answer}");
    }
}

#[test]
fn the_seed_decides_what_is_said_and_the_same_seed_says_the_same() {
    let request = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] }).to_string();
    let said = |seed: u64| body(play(&Simulated { seed, ..config() }, Surface::ChatCompletions, Heard::Json(request.as_bytes()), 0));
    assert_eq!(said(7), said(7));
    assert_ne!(said(7), said(8));
}

#[test]
fn the_arguments_of_a_simulated_call_have_what_the_tool_requires() {
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" }, "days": { "type": "integer" } }, "required": ["city", "days"] });
    let tool = json!({ "type": "function", "function": { "name": "weather", "parameters": parameters } });
    let request = json!({ "model": "m", "tools": [tool], "tool_choice": "required", "messages": [{ "role": "user", "content": "hi" }] });
    let answer = whole(Surface::ChatCompletions, &request);
    let arguments = answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].as_str().expect("arguments");
    let arguments: Value = serde_json::from_str(arguments).expect("JSON");
    assert!(arguments["city"].is_string() && arguments["days"].is_i64(), "{arguments}");
}

#[test]
fn pictures_speech_transcripts_and_judgements_are_what_openai_publishes() {
    let Some(schemas) = openai() else { return };
    let wanted = json!({ "model": "m", "prompt": "a sea", "n": 2, "partial_images": 2 });
    let pictures = whole(Surface::Images, &wanted);
    fine(&schemas, "ImagesResponse", &pictures);
    assert_eq!(pictures["data"].as_array().map(Vec::len), Some(2));
    let events = stream(Surface::Images, &wanted);
    assert_eq!(events.len(), 3);
    fine(&schemas, "ImageGenPartialImageEvent", &events[0].1);
    fine(&schemas, "ImageGenCompletedEvent", &events[2].1);
    let judged = whole(Surface::Moderations, &json!({ "model": "m", "input": ["hello", "I will kill you"] }));
    fine(&schemas, "CreateModerationResponse", &judged);
    assert_eq!((&judged["results"][0]["flagged"], &judged["results"][1]["flagged"]), (&json!(false), &json!(true)));
    let spoken = json!({ "model": "m", "input": "hello", "voice": "v", "stream_format": "sse" });
    let events = stream(Surface::Speech, &spoken);
    let last = events.len() - 1;
    fine(&schemas, "SpeechAudioDeltaEvent", &events[0].1);
    fine(&schemas, "SpeechAudioDoneEvent", &events[last].1);
}

#[test]
fn speech_is_a_file_of_sound_and_documents_come_in_the_order_of_shared_words() {
    let spoken = json!({ "model": "m", "input": "hello", "voice": "v" }).to_string();
    let script = play(&config(), Surface::Speech, Heard::Json(spoken.as_bytes()), 0);
    assert_eq!((script.status, script.content_type), (200, "audio/wav"));
    let sound = body(script);
    assert_eq!((&sound[..4], &sound[8..16]), (&b"RIFF"[..], &b"WAVEfmt "[..]));
    let told = u32::from_le_bytes(sound[40..44].try_into().expect("four bytes")) as usize;
    assert_eq!((told, sound.len()), (5 * 800 * 2, told + 44));
    let wanted = json!({ "model": "m", "query": "red harbour", "documents": ["a green hill", { "text": "the red harbour" }, "red"], "top_n": 2, "return_documents": true });
    let ranked = whole(Surface::Rerank, &wanted);
    let order: Vec<_> = ranked["results"].as_array().into_iter().flatten().map(|one| one["index"].clone()).collect();
    assert_eq!(order, [json!(1), json!(2)]);
    assert_eq!(ranked["results"][0]["document"]["text"], "the red harbour");
    for (surface, bad) in [
        (Surface::Images, json!({ "model": "m" })),
        (Surface::Speech, json!({ "model": "m", "input": "x" })),
        (Surface::Moderations, json!({ "model": "m" })),
        (Surface::Rerank, json!({ "model": "m", "query": "q", "documents": [] })),
    ] {
        assert_eq!(play(&config(), surface, Heard::Json(bad.to_string().as_bytes()), 0).status, 400, "{bad}");
    }
}
