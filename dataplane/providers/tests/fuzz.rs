//! Bodies for fuzzing, driven here by some thousand spoilt inputs each: whatever strangers send, nothing panics, what is
//! told is well-formed, and cuts change nothing.

#![expect(clippy::expect_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeSet;

use bytes::Bytes;
use providers::fault::Fault;
use providers::head::Head;
use providers::json::Scanner;
use providers::passage::{Facts, Passage};
use providers::simulated::{Beat, Heard, play};
use providers::sse::Frames;
use serde_json::Value;
use serde_json::value::RawValue;
use snapshot::{Simulated, Surface};

/// The scanner takes nothing that serde_json refuses, and stays in its bytes.
pub fn fuzz_json(data: &[u8]) {
    let mut scanner = Scanner::new(data);
    let Ok(range) = scanner.skip() else { return };
    assert!(range.end <= data.len() && range.end == scanner.at());
    if let Ok(text) = std::str::from_utf8(&data[range]) {
        assert!(serde_json::from_str::<&RawValue>(text).is_ok(), "{text}");
    }
    if scanner.end().is_ok() && std::str::from_utf8(data).is_ok() {
        assert!(serde_json::from_slice::<&RawValue>(data).is_ok(), "and the whole is JSON");
    }
}

/// A head that was read tells what the body says, and what is sent is the body with another model.
pub fn fuzz_head(data: &[u8]) {
    for surface in Surface::DOORS {
        let Ok(head) = Head::read(surface, data) else { continue };
        let body = Bytes::copy_from_slice(data);
        let passage = Passage::choose(surface, &BTreeSet::from([surface]), &head, &body, "an\"other").expect("the same dialect");
        let sent = passage.request().concat();
        let (Ok(before), Ok(after)) = (serde_json::from_slice::<Value>(data), serde_json::from_slice::<Value>(&sent)) else {
            assert!(serde_json::from_slice::<&RawValue>(&sent).is_ok(), "what is sent is JSON");
            continue;
        };
        if surface != Surface::Moderations {
            assert_eq!(before["model"], head.model.as_str());
        }
        assert_eq!(after["model"], "an\"other");
        for (name, value) in before.as_object().into_iter().flatten().filter(|(name, _)| *name != "model" && *name != "stream_options") {
            assert_eq!(after.get(name), Some(value), "{name}");
        }
    }
}

/// Events joined are the bytes that came, and cuts change none of them.
pub fn fuzz_sse(data: &[u8]) {
    let split = |step: usize| {
        let mut frames = Frames::default();
        let mut events = Vec::new();
        for piece in data.chunks(step) {
            frames.push(Bytes::copy_from_slice(piece));
            while let Some(event) = frames.next_event() {
                events.push(event.expect("of a size").raw);
            }
        }
        events.extend(frames.take_rest().map(|event| event.raw));
        events
    };
    let whole = split(data.len().max(1));
    let joined: Vec<u8> = whole.iter().flatten().copied().collect();
    assert!(data.starts_with(&joined) && data[joined.len()..].trim_ascii().is_empty());
    let fields = |events: &[Bytes]| -> Vec<_> {
        let events = events.iter().map(|raw| providers::sse::Event { raw: raw.clone() });
        events.map(|event| (event.name().map(<[u8]>::to_vec), event.data().map(|data| data.into_owned()))).collect()
    };
    for step in [1, 2, 7] {
        assert_eq!(fields(&split(step)), fields(&whole));
    }
}

fn passage(client: Surface, upstream: Surface) -> Passage {
    let body: &[u8] = if client == Surface::Responses {
        br#"{"model":"m","stream":true,"input":"x"}"#
    } else {
        br#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}]}"#
    };
    let body = Bytes::from_static(body);
    let head = Head::read(client, &body).expect("a request");
    Passage::choose(client, &BTreeSet::from([upstream]), &head, &body, "m").expect("a passage")
}

fn read(passage: &Passage, data: &[u8], step: usize) -> (Vec<u8>, Option<Fault>, Facts, bool) {
    let mut reader = passage.stream_reader();
    let mut out = Vec::new();
    let mut fault = None;
    for piece in data.chunks(step) {
        let pushed = reader.push(Bytes::copy_from_slice(piece));
        out.extend_from_slice(&pushed.bytes);
        fault = fault.or(pushed.fault);
    }
    let end = reader.finish();
    out.extend_from_slice(&end.bytes);
    (out, fault.or(end.fault), reader.facts().clone(), reader.is_done())
}

/// A stream that is translated: what is told is whole events of JSON, and either a fault or the end.
fn translated(client: Surface, upstream: Surface, data: &[u8]) {
    let passage = passage(client, upstream);
    let whole = read(&passage, data, data.len().max(1));
    for step in [1, 5] {
        assert_eq!(read(&passage, data, step), whole, "cut every {step}");
    }
    let (out, fault, _, done) = whole;
    let text = String::from_utf8(out).expect("UTF-8");
    for line in text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]") {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
    let ended = if client == Surface::Messages {
        text.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
    } else if client == Surface::Responses {
        text.contains("event: response.completed\n") || text.contains("event: response.incomplete\n")
    } else {
        text.ends_with("data: [DONE]\n\n")
    };
    assert_eq!(ended, done, "the end is told when there is one");
    assert!(done || fault.is_some(), "no end is a fault");
}

/// A stream of OpenAI's.
pub fn fuzz_openai_stream(data: &[u8]) {
    translated(Surface::Messages, Surface::ChatCompletions, data);
    translated(Surface::Responses, Surface::ChatCompletions, data);
    passes(Surface::ChatCompletions, data);
}

/// A stream of Anthropic's.
pub fn fuzz_anthropic_stream(data: &[u8]) {
    translated(Surface::ChatCompletions, Surface::Messages, data);
    translated(Surface::Responses, Surface::Messages, data);
    passes(Surface::Messages, data);
}

/// A stream that passes: nothing is said that the provider did not say, but for an end.
fn passes(surface: Surface, data: &[u8]) {
    let passage = passage(surface, surface);
    let (out, fault, _, done) = read(&passage, data, data.len().max(1));
    assert!(done || fault.is_some(), "no end is a fault");
    assert!(out.len() <= data.len() + "\n\ndata: [DONE]\n\n".len());
    for step in [1, 5] {
        let (again, other, ..) = read(&passage, data, step);
        assert_eq!((again, other), (out.clone(), fault.clone()), "cut every {step}");
    }
}

/// A whole answer of either dialect, and an error of any shape.
pub fn fuzz_answers(data: &[u8]) {
    for client in [Surface::ChatCompletions, Surface::Messages, Surface::Responses] {
        for upstream in [Surface::ChatCompletions, Surface::Messages] {
            if let Ok(read) = passage(client, upstream).read_whole(Bytes::copy_from_slice(data)) {
                // What passes, passes as it came, even where a character is broken; what is translated is well-formed.
                let well_formed = serde_json::from_slice::<&RawValue>(&read.body).is_ok();
                assert!(if client == upstream { read.body == data } else { well_formed }, "{}", String::from_utf8_lossy(&read.body));
            }
            drop(Fault::of_answer(upstream, 500, data));
            drop(Fault::of_object(upstream, data));
        }
    }
}

/// A request of either dialect: what is sent is JSON with our model.
pub fn fuzz_requests(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let count = providers::count::tokens(data);
    assert!(count <= 4 * data.len() as u64 + 4 || data.windows(4).any(|window| window == b"data"), "{count} tokens");
    for (client, upstream) in [
        (Surface::ChatCompletions, Surface::Messages),
        (Surface::Messages, Surface::ChatCompletions),
        (Surface::Responses, Surface::ChatCompletions),
        (Surface::Responses, Surface::Messages),
    ] {
        let Ok(head) = Head::read(client, data) else { continue };
        let Ok(passage) = Passage::choose(client, &BTreeSet::from([upstream]), &head, &body, "real") else { continue };
        let sent = passage.request().concat();
        assert!(serde_json::from_slice::<&RawValue>(&sent).is_ok(), "{}", String::from_utf8_lossy(&sent));
        assert!(sent.starts_with(b"{\"model\":\"real\""));
    }
}

/// The simulated provider answers anything, and only a bad request with an error.
pub fn fuzz_simulated(data: &[u8]) {
    let config = Simulated { seed: 3, latency_ms: 0, token_interval_ms: 0, answer_tokens: 8, faults: Vec::new() };
    for surface in Surface::DOORS {
        let script = play(&config, surface, Heard::Json(data), 0);
        let body: Vec<u8> =
            script.beats.filter_map(|beat| if let Beat::Bytes(bytes) = beat { Some(bytes) } else { None }).flatten().collect();
        assert!(matches!((script.status, script.content_type), (200, _) | (400, "application/json")));
        assert!(script.content_type != "application/json" || serde_json::from_slice::<Value>(&body).is_ok());
    }
}

/// Repeatable dice (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).expect("64 bits") % bound.max(1)
    }
}

/// Bytes that readers trip over.
const STONES: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\xff",
    b"\xc3",
    b"\\ud800",
    b"1e999",
    b"-0",
    b"\0",
    b"\"model\":",
    b"data: ",
    b"[DONE]",
    b"\"usage\":{}",
    b"\"error\":",
    b"\xef\xbb\xbf",
];

/// An input of the seeds: some bytes flipped, left out, said twice, swapped for stones, cut off or joined to another.
fn spoilt(seeds: &[&[u8]], dice: &mut Dice) -> Vec<u8> {
    let mut data = seeds[dice.below(seeds.len())].to_vec();
    for _ in 0..dice.below(5) {
        let from = dice.below(data.len() + 1);
        let to = (from + dice.below(12)).min(data.len());
        match dice.below(6) {
            0 => drop(data.drain(from..to)),
            1 => {
                let twice = data[from..to].to_vec();
                data.splice(from..from, twice).for_each(drop);
            }
            2 => data.splice(from..to, STONES[dice.below(STONES.len())].iter().copied()).for_each(drop),
            3 => data.truncate(from),
            4 => {
                let other = seeds[dice.below(seeds.len())];
                data.splice(from..from, other[dice.below(other.len())..].iter().copied()).for_each(drop);
            }
            _ => data.iter_mut().skip(from).take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
        }
    }
    data
}

fn drive(body: fn(&[u8]), seeds: &[&[u8]]) {
    seeds.iter().for_each(|seed| body(seed));
    body(b"");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..3000 {
        body(&spoilt(seeds, &mut dice));
    }
}

const REQUESTS: [&[u8]; 6] = [
    br#"{"model":"m","max_tokens":9,"stream":true,"stream_options":{"x":1},"messages":[{"role":"user","content":"x"}],"stop":["a"],"temperature":0.5}"#,
    br#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"\u00e9"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]},{"role":"assistant","content":null,"tool_calls":[{"id":"a:1","type":"function","function":{"name":"f.g","arguments":"{\"x\":[1]}"}}]},{"role":"tool","tool_call_id":"a:1","content":"r"}],"tools":[{"type":"function","function":{"name":"f.g","parameters":{"type":"object"}}}],"tool_choice":"required"}"#,
    br#"{"model":"m","max_tokens":9,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{"x":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"r","is_error":true}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}],"thinking":{"type":"enabled","budget_tokens":9}}"#,
    br#"{"model":"m","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]}],"previous_response_id":null}"#,
    br#"{"model":"m","instructions":"i","input":[{"role":"user","content":"x"},{"type":"reasoning","summary":[{"type":"summary_text","text":"t"}],"encrypted_content":"call:s"},{"type":"function_call","call_id":"a:1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"a:1","output":[{"type":"input_image","image_url":"data:image/png;base64,AA"}]}],"tools":[{"type":"custom","name":"c"},{"type":"function","name":"f","parameters":{}}],"text":{"format":{"type":"json_object"},"verbosity":"low"},"reasoning":{"effort":"low"}}"#,
    br#"{"model":"m","input":["a","b"],"encoding_format":"base64","dimensions":4,"prompt":"x"}"#,
];

const ANSWERS: [&[u8]; 4] = [
    br#"{"id":"c","object":"chat.completion","created":1,"model":"g","choices":[{"index":0,"message":{"role":"assistant","content":"x","reasoning":"t","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
    br#"{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"x"},{"type":"tool_use","id":"a","name":"f","input":{"x":1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}"#,
    br#"{"error":{"message":"no","type":"t","code":429,"param":null}}"#,
    br#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#,
];

const OPENAI_STREAMS: [&[u8]; 2] = [
    b"data: {\"id\":\"c\",\"model\":\"g\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"h\xc3\xa9\"}}]}\n\n: ping\n\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]}}]}\n\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
    b"data:{\"id\":\"c\",\"model\":\"g\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"t\"}}]}\r\n\r\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\r\n\r\n{\"error\":{\"message\":\"late\"}}",
];

const ANTHROPIC_STREAMS: [&[u8]; 2] = [
    b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}  \n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":2}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    b"event: message_start\rdata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\"}}\r\revent: ping\rdata: {\"type\":\"ping\"}\r\revent: content_block_start\rdata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\r\revent: content_block_delta\rdata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"s\"}}\r\revent: error\rdata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"no\"}}\r\r",
];

#[test]
fn spoilt_json_is_scanned_safely() {
    drive(fuzz_json, &[REQUESTS.as_slice(), ANSWERS.as_slice()].concat());
}

#[test]
fn spoilt_requests_are_read_and_told_safely() {
    drive(fuzz_head, &REQUESTS);
    drive(fuzz_requests, &REQUESTS);
    drive(fuzz_simulated, &REQUESTS);
}

#[test]
fn spoilt_answers_are_read_safely() {
    drive(fuzz_answers, &ANSWERS);
}

#[test]
fn spoilt_streams_are_read_safely() {
    drive(fuzz_sse, &[OPENAI_STREAMS.as_slice(), ANTHROPIC_STREAMS.as_slice()].concat());
    drive(fuzz_openai_stream, &OPENAI_STREAMS);
    drive(fuzz_anthropic_stream, &ANTHROPIC_STREAMS);
}
