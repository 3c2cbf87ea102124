//! Ollama's own chat.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use snapshot::FailureClass;
use snapshot::Surface::OllamaChat;

use crate::client::{Read, calls, stream, whole};

fn line(message: Value) -> Value {
    json!({ "model": "llama", "created_at": "2030-01-01T00:00:00Z", "message": message, "done": false })
}

fn last(message: Value, reason: &str) -> Value {
    let mut last = line(message);
    last["done"] = json!(true);
    last["done_reason"] = json!(reason);
    last["total_duration"] = json!(9);
    last["prompt_eval_count"] = json!(7);
    last["eval_count"] = json!(3);
    last
}

fn told(lines: &[Value]) -> Result<Read, FailureClass> {
    stream(OllamaChat, &BTreeSet::new(), lines.iter().map(|line| format!("{line}\n")).collect::<String>())
}

#[test]
fn thoughts_words_and_calls() {
    let call = |name: &str, arguments: Value| json!({ "function": { "index": 0, "name": name, "arguments": arguments } });
    let wanted = calls(&[("f", json!({ "x": 1 })), ("g", json!({}))]);
    let both = json!([call("f", json!({ "x": 1 })), call("g", json!({}))]);
    let read = whole(
        OllamaChat,
        &BTreeSet::new(),
        &last(json!({ "role": "assistant", "content": "So.", "thinking": "Hm.", "tool_calls": both, "images": null }), "stop"),
    )
    .expect("an answer");
    let (streamed, empty) = (
        told(&[
            line(json!({ "role": "assistant", "content": "", "thinking": "Hm." })),
            line(json!({ "role": "assistant", "content": "So." })),
            line(json!({ "role": "assistant", "content": "", "tool_calls": [both[0]] })),
            line(json!({ "role": "assistant", "content": "", "tool_calls": [both[1]] })),
            last(json!({ "role": "assistant", "content": "" }), "stop"),
        ]),
        told(&[last(json!({ "role": "assistant", "content": "" }), "load")]),
    );
    for read in [read, streamed.expect("a stream")] {
        assert_eq!(
            (&*read.text, &*read.thoughts, &read.calls, &*read.finish, read.usage),
            ("So.", "Hm.", &wanted, "tool_calls", Some([7, 3, 0, 0, 0]))
        );
    }
    assert_eq!(empty.map(|read| (read.text, read.finish)), Ok((String::new(), "stop".to_owned())));
}

#[test]
fn an_end_by_length_and_an_error_in_the_middle() {
    let said = || line(json!({ "role": "assistant", "content": "x" }));
    assert_eq!(
        told(&[said(), last(json!({ "role": "assistant", "content": "" }), "length")]).map(|read| read.finish),
        Ok("length".to_owned())
    );
    assert_eq!(told(&[said(), json!({ "error": "an error was encountered while running the model" })]), Err(FailureClass::ServerError));
    assert_eq!(told(&[said()]), Err(FailureClass::StreamBroken));
}
