//! Cohere's chat.

use std::collections::BTreeSet;

use providers::fault::Fault;
use serde_json::{Value, json};
use snapshot::FailureClass;
use snapshot::Surface::CohereChat;

use crate::client::{Read, calls, events, stream, whole};

fn answer(message: Value, reason: &str) -> Result<Read, Fault> {
    let usage = json!({ "billed_units": { "input_tokens": 5.0, "output_tokens": 2.0 }, "tokens": { "input_tokens": 60.0, "output_tokens": 2.0 }, "cached_tokens": 16.0 });
    whole(CohereChat, &BTreeSet::new(), &json!({ "id": "c", "message": message, "finish_reason": reason, "usage": usage }))
}

fn told(middle: &[Value], reason: &str) -> Result<Read, FailureClass> {
    let start = json!({ "id": "c", "type": "message-start", "delta": { "message": { "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": [] } } });
    let end = json!({ "type": "message-end", "delta": { "finish_reason": reason, "usage": { "billed_units": { "input_tokens": 5, "output_tokens": 2 }, "tokens": { "input_tokens": 60, "output_tokens": 2 } } } });
    let all: Vec<Value> = [start].into_iter().chain(middle.iter().cloned()).chain([end]).collect();
    stream(CohereChat, &BTreeSet::new(), events(&all, true))
}

fn content(kind: &str, content: Value) -> Value {
    json!({ "type": kind, "index": 0, "delta": { "message": { "content": content } } })
}

fn call(kind: &str, call: Value) -> Value {
    json!({ "type": kind, "index": 0, "delta": { "message": { "tool_calls": call } } })
}

#[test]
fn thoughts_words_and_what_they_rest_on() {
    let cited = json!([{ "start": 0, "end": 4, "text": "High", "type": "TEXT_CONTENT", "sources": [{ "type": "document", "id": "d", "document": { "id": "d", "snippet": "high" } }] }]);
    let message = json!({ "role": "assistant", "citations": cited, "content": [{ "type": "thinking", "thinking": "Hm." }, { "type": "text", "text": "High" }, { "type": "text", "text": "." }] });
    let wanted = |cached| Read {
        text: "High.".into(),
        thoughts: "Hm.".into(),
        finish: "stop".into(),
        usage: Some([60, 2, cached, 0, 0]),
        ..Read::default()
    };
    assert_eq!(answer(message, "COMPLETE"), Ok(wanted(16)));
    let middle = [
        content("content-start", json!({ "type": "thinking", "thinking": "" })),
        content("content-delta", json!({ "thinking": "Hm." })),
        json!({ "type": "content-end", "index": 0 }),
        content("content-start", json!({ "type": "text", "text": "Hi" })),
        json!({ "type": "citation-start", "index": 0, "delta": { "message": { "citations": cited[0] } } }),
        json!({ "type": "citation-end", "index": 0 }),
        content("content-delta", json!({ "text": "gh." })),
        json!({ "type": "content-end", "index": 1 }),
    ];
    assert_eq!(told(&middle, "COMPLETE"), Ok(wanted(0)));
}

#[test]
fn calls_without_arguments_have_an_object_for_them() {
    for arguments in [json!(null), json!(""), json!("null"), json!("{}")] {
        let function = json!({ "name": "f", "arguments": arguments });
        let message = json!({ "role": "assistant", "tool_plan": "I ask f.", "tool_calls": [{ "id": "f_1", "type": "function", "function": function }] });
        let wanted = || Read {
            plan: "I ask f.".into(),
            calls: calls(&[("f", json!({}))]),
            ids: vec!["f_1".into()],
            finish: "tool_calls".into(),
            ..Read::default()
        };
        assert_eq!(answer(message, "TOOL_CALL").map(|read| Read { usage: None, ..read }), Ok(wanted()), "{arguments}");
        let plan = |text: &str| json!({ "type": "tool-plan-delta", "delta": { "message": { "tool_plan": text } } });
        let middle = [
            plan("I ask"),
            plan(" f."),
            call("tool-call-start", json!({ "id": "f_1", "type": "function", "function": { "name": "f", "arguments": "" } })),
            call("tool-call-delta", json!({ "function": { "arguments": arguments } })),
            json!({ "type": "tool-call-end", "index": 0 }),
        ];
        assert_eq!(told(&middle, "TOOL_CALL").map(|read| Read { usage: None, ..read }), Ok(wanted()), "{arguments}");
    }
}

#[test]
fn reasons_to_stop_are_told_and_those_that_are_none_are_failures() {
    let said = || json!({ "role": "assistant", "content": [{ "type": "text", "text": "x" }] });
    let middle = [content("content-start", json!({ "type": "text", "text": "x" }))];
    for (reason, wanted) in
        [("COMPLETE", "stop"), ("STOP_SEQUENCE", "stop"), ("MAX_TOKENS", "length"), ("ERROR_TOXIC", "content_filter"), ("NEW", "stop")]
    {
        assert_eq!(answer(said(), reason).map(|read| read.finish), Ok(wanted.to_owned()), "{reason}");
        assert_eq!(told(&middle, reason).map(|read| read.finish), Ok(wanted.to_owned()), "{reason}");
    }
    for (reason, class) in [("ERROR", FailureClass::ServerError), ("TIMEOUT", FailureClass::Timeout)] {
        assert_eq!(answer(said(), reason).map_err(|fault| fault.class), Err(class), "{reason}");
        assert_eq!(told(&middle, reason), Err(class), "{reason}");
    }
}
