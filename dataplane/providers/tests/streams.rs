//! Streams of any answer, in any spelling that event streams allow, cut anywhere: a client is told the same answer.

#![expect(clippy::expect_used, clippy::panic, reason = "a helper of a test fails the test")]

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use providers::head::Head;
use providers::passage::{Facts, Passage};
use serde_json::{Value, json};
use snapshot::Surface::{self, ChatCompletions, Messages, Responses};
use snapshot::Usage;

/// An answer, in neither dialect.
#[derive(Debug, Clone, PartialEq)]
struct Answer {
    thought: Option<(Vec<String>, String)>,
    words: Vec<String>,
    calls: Vec<Call>,
    cut_off: bool,
    usage: Usage,
}

#[derive(Debug, Clone, PartialEq)]
struct Call {
    name: String,
    /// A JSON object, in the pieces that it comes in.
    pieces: Vec<String>,
}

/// How a server writes its events.
#[derive(Debug, Clone)]
struct Spelling {
    line_end: &'static str,
    space: bool,
    byte_order_mark: bool,
    /// What stands between events.
    between: Vec<&'static str>,
    no_last_blank_line: bool,
}

fn pieces() -> impl Strategy<Value = Vec<String>> {
    vec(any::<String>().prop_filter("empty pieces say nothing", |text| !text.is_empty()), 1..5)
}

fn call() -> impl Strategy<Value = Call> {
    let arguments = vec(("[a-z\"\\\\é]{0,4}", any::<String>()), 0..3)
        .prop_map(|fields| fields.into_iter().map(|(name, value)| (name, json!(value))).collect::<Value>().to_string());
    ("[a-z_]{1,8}", arguments, vec(any::<prop::sample::Index>(), 0..4)).prop_map(|(name, text, cuts)| {
        let characters: Vec<char> = text.chars().collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(characters.len())).chain([0, characters.len()]).collect();
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| characters[cut[0]..cut[1]].iter().collect()).collect();
        Call { name, pieces }
    })
}

fn answer() -> impl Strategy<Value = Answer> {
    let usage = (0..1000_u64, 0..1000_u64, 0..100_u64);
    (option::of((pieces(), "[a-z]{1,8}")), option::of(pieces()), vec(call(), 0..3), any::<bool>(), usage).prop_map(
        |(thought, words, calls, cut_off, (fresh, completion, cached))| {
            let usage = Usage { prompt: fresh + cached, completion, cached, ..Usage::default() };
            let cut_off = cut_off && calls.is_empty();
            Answer { thought, words: words.unwrap_or_default(), calls, cut_off, usage }
        },
    )
}

fn spelling() -> impl Strategy<Value = Spelling> {
    let line_end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    let between = vec(prop_oneof![Just(": OPENROUTER PROCESSING"), Just(":"), Just("retry: 10"), Just("id: 7")], 0..4);
    (line_end, any::<bool>(), any::<bool>(), between, any::<bool>()).prop_map(
        |(line_end, space, byte_order_mark, between, no_last_blank_line)| Spelling {
            line_end,
            space,
            byte_order_mark,
            between,
            no_last_blank_line,
        },
    )
}

impl Spelling {
    fn write(&self, events: &[(Option<&str>, String)]) -> Vec<u8> {
        let mut text = if self.byte_order_mark { "\u{feff}".to_owned() } else { String::new() };
        let colon = if self.space { ": " } else { ":" };
        for (place, (name, data)) in events.iter().enumerate() {
            if let Some(remark) = self.between.get(place % 5) {
                text.push_str(&format!("{remark}{}{}", self.line_end, self.line_end));
            }
            if let Some(name) = name {
                text.push_str(&format!("event{colon}{name}{}", self.line_end));
            }
            text.push_str(&format!("data{colon}{data}{}{}", self.line_end, self.line_end));
        }
        if self.no_last_blank_line {
            text.truncate(text.len() - self.line_end.len());
        }
        text.into_bytes()
    }
}

impl Answer {
    fn openai(&self) -> Vec<(Option<&'static str>, String)> {
        let chunk = |delta: Value, finish: Value| {
            (None, json!({ "id": "c", "model": "gpt", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] }).to_string())
        };
        let mut events = vec![chunk(json!({ "role": "assistant", "content": "" }), Value::Null)];
        events.extend(
            self.thought.iter().flat_map(|(pieces, _)| pieces).map(|text| chunk(json!({ "reasoning_content": text }), Value::Null)),
        );
        events.extend(self.words.iter().map(|text| chunk(json!({ "content": text }), Value::Null)));
        for (index, call) in self.calls.iter().enumerate() {
            let id = format!("call_{index}");
            events.push(chunk(json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": { "name": call.name, "arguments": "" } }] }), Value::Null));
            let piece =
                |text: &String| chunk(json!({ "tool_calls": [{ "index": index, "function": { "arguments": text } }] }), Value::Null);
            events.extend(call.pieces.iter().map(piece));
        }
        events.push(chunk(json!({}), json!(self.finish())));
        let Usage { prompt, completion, cached, .. } = self.usage;
        let usage =
            json!({ "prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": { "cached_tokens": cached } });
        events.push((None, json!({ "id": "c", "model": "gpt", "choices": [], "usage": usage }).to_string()));
        events.push((None, "[DONE]".to_owned()));
        events
    }

    fn anthropic(&self) -> Vec<(Option<&'static str>, String)> {
        let Usage { prompt, completion, cached, .. } = self.usage;
        let mut events: Vec<(&'static str, Value)> = vec![(
            "message_start",
            json!({ "message": { "id": "c", "model": "gpt", "content": [], "usage": { "input_tokens": prompt - cached, "cache_read_input_tokens": cached, "output_tokens": 1 } } }),
        )];
        let mut index = 0;
        let mut block = |block: Value, deltas: Vec<Value>| {
            events.push(("content_block_start", json!({ "index": index, "content_block": block })));
            events.push(("ping", json!({})));
            events.extend(deltas.into_iter().map(|delta| ("content_block_delta", json!({ "index": index, "delta": delta }))));
            events.push(("content_block_stop", json!({ "index": index })));
            index += 1;
        };
        if let Some((pieces, signature)) = &self.thought {
            let mut deltas: Vec<Value> = pieces.iter().map(|text| json!({ "type": "thinking_delta", "thinking": text })).collect();
            deltas.push(json!({ "type": "signature_delta", "signature": signature }));
            block(json!({ "type": "thinking", "thinking": "", "signature": "" }), deltas);
        }
        if !self.words.is_empty() {
            block(
                json!({ "type": "text", "text": "" }),
                self.words.iter().map(|text| json!({ "type": "text_delta", "text": text })).collect(),
            );
        }
        for (place, call) in self.calls.iter().enumerate() {
            let deltas = call.pieces.iter().map(|text| json!({ "type": "input_json_delta", "partial_json": text })).collect();
            block(json!({ "type": "tool_use", "id": format!("call_{place}"), "name": call.name, "input": {} }), deltas);
        }
        let reason = if !self.calls.is_empty() {
            "tool_use"
        } else if self.cut_off {
            "max_tokens"
        } else {
            "end_turn"
        };
        events.push((
            "message_delta",
            json!({ "delta": { "stop_reason": reason, "stop_sequence": null }, "usage": { "output_tokens": completion } }),
        ));
        events.push(("message_stop", json!({})));
        let named = events.into_iter().map(|(name, mut data)| {
            data["type"] = json!(name);
            (Some(name), data.to_string() + "   ")
        });
        named.collect()
    }

    fn finish(&self) -> &'static str {
        if !self.calls.is_empty() {
            "tool_calls"
        } else if self.cut_off {
            "length"
        } else {
            "stop"
        }
    }

    /// What a client must have understood: thoughts, words, calls with their arguments, the reason to finish.
    fn understood(&self) -> Value {
        let calls = self.calls.iter().enumerate().map(|(place, call)| json!([format!("call_{place}"), call.name, call.pieces.concat()]));
        let thought = self.thought.as_ref().map(|(pieces, _)| pieces.concat()).unwrap_or_default();
        json!([thought, self.words.concat(), calls.collect::<Value>(), self.finish()])
    }
}

fn feed(client: Surface, upstream: Surface, stream: &[u8], cuts: &[usize]) -> (Vec<u8>, Facts) {
    let body = Bytes::from_static(
        br#"{"model":"m","max_tokens":9,"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}"#,
    );
    let body = if client == Responses {
        Bytes::from_static(br#"{"model":"m","stream":true,"input":"x"}"#)
    } else if client == Messages {
        Bytes::from(String::from_utf8_lossy(&body).replace("\"stream_options\":{\"include_usage\":true},", ""))
    } else {
        body
    };
    let head = Head::read(client, &body).expect("a request");
    let mut reader = Passage::choose(client, &BTreeSet::from([upstream]), &head, &body, "m").expect("a passage").stream_reader();
    let mut out = Vec::new();
    let mut from = 0;
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).chain([stream.len()]).collect();
    cuts.sort_unstable();
    for to in cuts {
        let pushed = reader.push(Bytes::copy_from_slice(&stream[from..to]));
        assert_eq!(pushed.fault, None);
        out.extend_from_slice(&pushed.bytes);
        from = to;
    }
    let end = reader.finish();
    assert_eq!(end.fault, None);
    assert!(reader.is_done() && reader.has_begun());
    out.extend_from_slice(&end.bytes);
    (out, reader.facts().clone())
}

fn data(stream: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stream).expect("UTF-8");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

/// What a client of OpenAI's understands.
fn openai_client(stream: &[u8]) -> Value {
    let (mut thought, mut words, mut finish) = (String::new(), String::new(), Value::Null);
    let mut calls: Vec<(Value, Value, String)> = Vec::new();
    for chunk in data(stream) {
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        thought.push_str(delta["reasoning_content"].as_str().unwrap_or_default());
        words.push_str(delta["content"].as_str().unwrap_or_default());
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            if call["index"] == json!(calls.len()) {
                calls.push((call["id"].clone(), call["function"]["name"].clone(), String::new()));
            }
            calls.last_mut().expect("a call").2.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        }
        if !choice["finish_reason"].is_null() {
            assert!(finish.is_null(), "one reason to finish");
            finish = choice["finish_reason"].clone();
        }
    }
    json!([thought, words, calls, finish])
}

/// What a client of the Responses API understands: of the last event, which repeats what the others told.
fn responses_client(stream: &[u8]) -> Value {
    let events = data(stream);
    let (mut thought, mut words, mut calls) = (String::new(), String::new(), Vec::new());
    for event in &events {
        let delta = event["delta"].as_str().unwrap_or_default();
        match event["type"].as_str() {
            Some("response.reasoning_summary_text.delta") => thought.push_str(delta),
            Some("response.output_text.delta") => words.push_str(delta),
            Some("response.output_item.done") if event["item"]["type"] == "function_call" => {
                calls.push(json!([event["item"]["call_id"], event["item"]["name"], event["item"]["arguments"]]));
            }
            _ => {}
        }
    }
    let response = &events[events.len() - 1]["response"];
    let repeated = |kind: &str, list: &str| -> String {
        let items = response["output"].as_array().expect("items").iter().filter(|item| item["type"] == kind);
        items.flat_map(|item| item[list].as_array().expect("a list")).filter_map(|part| part["text"].as_str()).collect()
    };
    assert_eq!((repeated("reasoning", "summary"), repeated("message", "content")), (thought.clone(), words.clone()));
    let finish = match (response["status"].as_str(), calls.is_empty()) {
        (Some("completed"), true) => "stop",
        (Some("completed"), false) => "tool_calls",
        _ => "length",
    };
    json!([thought, words, calls, finish])
}

/// What a client of Anthropic's understands.
fn anthropic_client(stream: &[u8]) -> Value {
    let (mut thought, mut words, mut finish) = (String::new(), String::new(), Value::Null);
    let mut calls: Vec<(Value, Value, String)> = Vec::new();
    for event in data(stream) {
        let (block, delta) = (&event["content_block"], &event["delta"]);
        if block["type"] == "tool_use" {
            calls.push((block["id"].clone(), block["name"].clone(), String::new()));
        }
        thought.push_str(delta["thinking"].as_str().unwrap_or_default());
        words.push_str(delta["text"].as_str().unwrap_or_default());
        if let Some(piece) = delta["partial_json"].as_str() {
            calls.last_mut().expect("a call").2.push_str(piece);
        }
        if event["type"] == "message_delta" {
            finish = match delta["stop_reason"].as_str() {
                Some("tool_use") => json!("tool_calls"),
                Some("max_tokens") => json!("length"),
                Some("end_turn") => json!("stop"),
                other => panic!("{other:?}"),
            };
        }
    }
    json!([thought, words, calls, finish])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_answer_is_understood_in_both_dialects_however_its_stream_is_spelt_and_cut(
        answer in answer(), spelling in spelling(), cuts in vec(any::<usize>(), 0..24)
    ) {
        let facts = Facts { usage: Some(answer.usage), model: Some("gpt".to_owned()), ..Facts::default() };
        let pairs = [
            (Messages, ChatCompletions), (ChatCompletions, Messages), (ChatCompletions, ChatCompletions), (Messages, Messages),
            (Responses, ChatCompletions), (Responses, Messages),
        ];
        for (client, upstream) in pairs {
            let events = if upstream == ChatCompletions { answer.openai() } else { answer.anthropic() };
            let stream = spelling.write(&events);
            let (told, learnt) = feed(client, upstream, &stream, &cuts);
            assert_eq!(learnt, facts);
            if client == upstream {
                // A last event gets what it lacks of its blank line.
                let lacks = [&b""[..], b"\n", b"\n\n"];
                let ended = lacks.map(|lack| [stream.as_slice(), lack].concat());
                let place = ended.iter().position(|ended| *ended == told);
                let blank = [&b"\n\n"[..], b"\r\r", b"\r\n\r\n"].iter().any(|blank| stream.ends_with(blank));
                assert!(place.is_some_and(|place| place == 0 || !blank), "what is not translated passes byte for byte: {:?} and {:?}", String::from_utf8_lossy(&stream), String::from_utf8_lossy(&told));
            } else {
                let understood = if client == ChatCompletions {
                    openai_client(&told)
                } else if client == Responses {
                    responses_client(&told)
                } else {
                    anthropic_client(&told)
                };
                assert_eq!(understood, answer.understood());
            }
            let bytes: Vec<usize> = (0..stream.len()).collect();
            assert_eq!(feed(client, upstream, &stream, &bytes), (told, learnt), "byte by byte it is the same");
        }
    }
}

#[test]
fn a_cut_at_every_single_place_changes_nothing() {
    let answer = Answer {
        thought: Some((vec!["Häm ".to_owned(), "…".to_owned()], "seal".to_owned())),
        words: vec!["né\r\n".to_owned(), "🧭".to_owned()],
        calls: vec![Call { name: "f".to_owned(), pieces: vec!["{\"ü\":".to_owned(), "\"\\n\"}".to_owned()] }],
        cut_off: false,
        usage: Usage { prompt: 9, completion: 4, cached: 3, ..Usage::default() },
    };
    for line_end in ["\n", "\r\n", "\r"] {
        let spelling = Spelling { line_end, space: true, byte_order_mark: true, between: vec![": ping"], no_last_blank_line: false };
        for (client, upstream) in
            [(Messages, ChatCompletions), (ChatCompletions, Messages), (ChatCompletions, ChatCompletions), (Messages, Messages)]
        {
            let stream = spelling.write(&if upstream == ChatCompletions { answer.openai() } else { answer.anthropic() });
            let whole = feed(client, upstream, &stream, &[]);
            for cut in 0..stream.len() {
                assert_eq!(feed(client, upstream, &stream, &[cut]), whole, "{line_end:?} cut at {cut}");
            }
        }
    }
}
