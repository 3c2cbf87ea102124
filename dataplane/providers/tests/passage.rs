//! What passes, what is spliced, what is refused, and how answers that are none are told.

#![expect(clippy::expect_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use providers::fault::{ClientError, Fault};
use providers::head::{BadBody, Head, opened};
use providers::passage::{CannotSay, Passage};
use serde_json::{Value, json};
use snapshot::{Dialect, FailureClass, Surface, Usage};

fn choose(client: Surface, upstream: Surface, body: &str, model: &str) -> Result<Passage, CannotSay> {
    let body = Bytes::from(body.to_owned());
    let head = Head::read(client, &body).expect("a request");
    Passage::choose(client, &BTreeSet::from([upstream]), &head, &body, model)
}

fn sent(passage: &Passage) -> String {
    String::from_utf8(passage.request().concat()).expect("UTF-8")
}

fn bad(surface: Surface, body: &str) -> BadBody {
    Head::read(surface, body.as_bytes()).expect_err("a bad body")
}

#[test]
fn each_bad_body_is_told_by_its_place_and_its_field() {
    let chat = Surface::ChatCompletions;
    assert_eq!(bad(chat, "{\n \"model\": \"m\",\n \"messages\": [}"), BadBody::NotJson { line: 3, column: 15, what: "expected a value" });
    assert_eq!(
        bad(chat, "{\"model\":\"m\"} x"),
        BadBody::NotJson { line: 1, column: 15, what: "something follows after the end of the JSON" }
    );
    assert_eq!(bad(chat, ""), BadBody::NotJson { line: 1, column: 1, what: "the text ends too early" });
    assert_eq!(bad(chat, "[]"), BadBody::NotAnObject);
    assert_eq!(bad(chat, "{}"), BadBody::Missing { field: "model" });
    assert_eq!(bad(chat, r#"{"model":7}"#), BadBody::WrongType { field: "model", expected: "a string" });
    assert_eq!(bad(chat, r#"{"model":"m","stream":"yes"}"#), BadBody::WrongType { field: "stream", expected: "true or false" });
    assert_eq!(
        bad(chat, r#"{"model":"m","max_tokens":-1}"#),
        BadBody::WrongType { field: "max_tokens", expected: "a whole number that is not negative" }
    );
    assert_eq!(
        bad(chat, r#"{"model":"cheap","mod\u0065l":"dear"}"#),
        BadBody::Duplicate { field: "model" },
        "an escaped name is the same name"
    );
    assert_eq!(
        bad(chat, r#"{"model":"cheap","MoDel":"dear"}"#),
        BadBody::Lookalike { field: "model" },
        "a server that matches names whatever their case would serve the dear one"
    );
    assert_eq!(bad(chat, &format!(r#"{{"model":"m","x":{}1{}}}"#, "[".repeat(500), "]".repeat(500))), BadBody::TooDeep);
    assert_eq!(Head::read(chat, b"{\"model\":\"\xff\"}"), Err(BadBody::NotUtf8 { at: 10 }));
}

#[test]
fn references_to_objects_at_the_provider_are_refused() {
    for (body, field) in [
        (r#"{"model":"m","input":"x","previous_response_id":7}"#, "previous_response_id"),
        (r#"{"model":"m","input":"x","conversation":{"id":"conv_1"}}"#, "conversation"),
        (r#"{"model":"m","input":"x","background":true}"#, "background"),
        (r#"{"model":"m","prompt":{"id":"pmpt_1"}}"#, "prompt"),
        (r#"{"model":"m","input":[{"type":"item_reference","id":"msg_1"}]}"#, "input[].type"),
        (r#"{"model":"m","input":[{"id":"msg_1"}]}"#, "input[].id"),
        (r#"{"model":"m","input":[{"type":"message","file_id":7}]}"#, "input[].file_id"),
    ] {
        assert_eq!(bad(Surface::Responses, body), BadBody::ForeignId { field }, "{body}");
    }
    let fine = r#"{"model":"m","previous_response_id":null,"background":false,"input":[{"role":"user","content":"x"}]}"#;
    assert!(Head::read(Surface::Responses, fine.as_bytes()).is_ok());
}

#[test]
fn stores_containers_and_files_of_anthropic_are_refused_wherever_they_stand() {
    let responses = [
        (r#""input":"x","tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]"#, "tools[].vector_store_ids"),
        (r#""input":"x","tools":[{"type":"code_interpreter","container":"cntr_1"}]"#, "tools[].container"),
        (r#""tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":[["file-1"]]}}]"#, "tools[].container.file_ids"),
        (r#""tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":"file-1"}}]"#, "tools[].container.file_ids"),
    ];
    let chat = [(r#""messages":[{"role":"assistant","audio":{"id":"audio_1"}}]"#, "messages[].audio.id")];
    let source = "messages[].content[].source.file_id";
    let messages = [
        (r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"file_1"}}]}]"#, source),
        (
            r#""messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"image","source":{"file_id":"f"}}]}]}]"#,
            source,
        ),
        (r#""messages":[{"role":"user","content":[{"type":"container_upload","file_id":"file_1"}]}]"#, source),
        (r#""messages":[],"container":"container_1""#, "container"),
        (r#""messages":[],"container":{"skills":[{"type":"custom","skill_id":"skill_1"}]}"#, "container"),
    ];
    let doors = [(Surface::Responses, &responses[..]), (Surface::ChatCompletions, &chat[..]), (Surface::Messages, &messages[..])];
    for (surface, attempts) in doors {
        for (fields, field) in attempts {
            assert_eq!(bad(surface, &format!(r#"{{"model":"m",{fields}}}"#)), BadBody::ForeignId { field }, "{fields}");
        }
    }
}

/// Bodies that name files, with the field of each.
const FILES: [(Surface, &str, &str); 6] = [
    (
        Surface::Responses,
        r#""input":[{"role":"user","content":[{"type":"input_file","file_id":"f-1"},{"type":"input_image","file_id": "f-2"}]}]"#,
        "input[].file_id",
    ),
    (
        Surface::Responses,
        r#""input":[{"type":"computer_call_output","output":{"type":"computer_screenshot","file_id":"f-1"}},{"file_id":"f-2"}]"#,
        "input[].file_id",
    ),
    (
        Surface::Responses,
        r#""input":[{"type":"function_call_output","output":[{"type":"input_file","file\u005fid":"f-1"},{"file_id":"f\u002d2"}]}]"#,
        "input[].file_id",
    ),
    (
        Surface::Responses,
        r#""tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["f-1", "f-2"]}}]"#,
        "tools[].container.file_ids",
    ),
    (
        Surface::Responses,
        r#""tools":[{"type":"image_generation","input_image_mask":{"file_id":"f-1"}},{"file_id":"f-2"}]"#,
        "tools[].file_id",
    ),
    (
        Surface::ChatCompletions,
        r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f-1"}},{"file":{"file_id":"f-2"}}]}]"#,
        "messages[].content[].file.file_id",
    ),
];

#[test]
fn files_at_the_provider_are_found_wherever_they_stand_and_opened_in_their_place() {
    for (surface, fields, field) in FILES {
        let body = Bytes::from(format!(r#"{{{fields} , "model":"m","x":1.0e5}}"#));
        let head = Head::read(surface, &body).expect("a head");
        let found: Vec<_> = head.references.iter().map(|reference| (reference.field, reference.id.as_str())).collect();
        assert_eq!(found, [(field, "f-1"), (field, "f-2")], "{fields}");
        let opened = opened(&body, &head, &["own\"1".to_owned(), "own2".to_owned()]);
        let plain = fields.replace("f\\u002d2", "f-2").replace("\"f-1\"", "\"own\\\"1\"").replace("\"f-2\"", "\"own2\"");
        assert_eq!(opened, format!(r#"{{{plain} , "model":"m","x":1.0e5}}"#));
    }
}

#[test]
fn a_file_at_the_provider_is_not_named_in_other_words() {
    for (surface, fields, field) in FILES {
        let body = format!(r#"{{"model":"m",{fields}}}"#);
        for other in [Surface::Messages, Surface::GenerateContent, Surface::Converse, Surface::CohereChat, Surface::OllamaChat] {
            let told = choose(surface, other, &body, "m").expect_err("it has no words for it");
            assert!(matches!(&told, CannotSay::Field { field: found, .. } if found == field), "{told:?}");
        }
    }
}

#[test]
fn what_is_only_named_like_a_reference_is_the_callers_own() {
    for (surface, fields) in [
        (
            Surface::ChatCompletions,
            r#""messages":[{"role":"user","content":"file_id"}],"tools":[{"function":{"parameters":{"properties":{"file_id":{"type":"string"}}}}}]"#,
        ),
        (Surface::ChatCompletions, r#""messages":[{"role":"assistant","audio":null}],"audio":{"voice":"alloy","format":"wav"}"#),
        (
            Surface::Messages,
            r#""messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"n","input":{"file_id":"my own"}}]}]"#,
        ),
        (Surface::Messages, r#""container":null,"tools":[{"name":"n","input_schema":{"default":{"file_id":"x"}}}]"#),
        (
            Surface::Responses,
            r#""tools":[{"type":"function","parameters":{"default":{"file_id":"x"}}},{"type":"code_interpreter","container":{"type":"auto"}}]"#,
        ),
        (Surface::Responses, r#""tools":[{"type":"file_search","vector_store_ids":[]}],"tool_choice":"auto""#),
    ] {
        let body = format!(r#"{{"model":"m",{fields}}}"#);
        assert!(Head::read(surface, body.as_bytes()).is_ok(), "{fields}: {:?}", Head::read(surface, body.as_bytes()));
    }
}

#[test]
fn a_body_passes_byte_for_byte_but_for_its_model() {
    let body = "{ \"seed\" : 1.50e+3,\n\t\"model\" :\"alias\" , \"x\":\"\\u00e9\", \"messages\": [ ] }";
    assert_eq!(sent(&choose(Surface::ChatCompletions, Surface::ChatCompletions, body, "alias").expect("a passage")), body);
    let spliced = sent(&choose(Surface::ChatCompletions, Surface::ChatCompletions, body, "real\"one").expect("a passage"));
    assert_eq!(spliced, body.replace("\"alias\"", "\"real\\\"one\""));
}

#[test]
fn a_stream_is_asked_for_its_usage_however_the_options_stand() {
    for options in [
        "",
        r#","stream_options":null"#,
        r#","stream_options":{}"#,
        r#","stream_options":{"x":1}"#,
        r#","stream_options":{"include_usage":false,"x":1}"#,
        r#","stream_options":{"include_usage":null}"#,
    ] {
        for (body, model) in [
            (format!(r#"{{"stream":true{options},"model":"m","messages":[]}}"#), "m"),
            (format!(r#"{{"stream":true{options},"model":"m","messages":[]}}"#), "another"),
            (format!(r#"{{"model":"m","messages":[],"stream":true{options}}}"#), "another"),
        ] {
            let passage = choose(Surface::ChatCompletions, Surface::ChatCompletions, &body, model).expect("a passage");
            let request: Value = serde_json::from_str(&sent(&passage)).unwrap_or_else(|error| panic!("{body}: {error}"));
            assert_eq!(request["model"], model, "{body}");
            assert_eq!(request["stream_options"]["include_usage"], json!(true), "{body}");
            let asked_for_more = request["stream_options"].as_object().is_some_and(|options| options.contains_key("x"));
            assert_eq!(asked_for_more, options.contains('x'), "{body}: what else was asked stays");
        }
    }
    let asked = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(sent(&choose(Surface::ChatCompletions, Surface::ChatCompletions, asked, "m").expect("a passage")), asked);
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::hash_map("[a-z\"\\\\]{0,6}", inner, 0..5).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn a_splice_changes_the_model_and_nothing_else(model in "\\PC{1,40}", before in json_value(), after in json_value(), to in "\\PC{1,40}") {
        let request = json!({ "before": before, "model": model, "after": after });
        let body = request.to_string();
        let spliced: Value = serde_json::from_str(&sent(&choose(Surface::ChatCompletions, Surface::ChatCompletions, &body, &to).expect("a passage"))).expect("JSON");
        let mut expected = request;
        expected["model"] = json!(to);
        assert_eq!(spliced, expected);
    }

    #[test]
    fn any_bytes_of_a_client_are_safe(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for surface in Surface::DOORS {
            drop(Head::read(surface, &body));
        }
    }

    #[test]
    fn any_bytes_of_a_provider_are_safe(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8), text in "(data: |event: error|\\{|\\}|\"error\"|\"choices\":\\[|\\]|\n|\r\n|\"usage\":|null|:|,|\"type\":\"message_start\"){0,30}") {
        for (client, upstream) in [(Surface::ChatCompletions, Surface::ChatCompletions), (Surface::Messages, Surface::Messages), (Surface::Responses, Surface::Responses), (Surface::ChatCompletions, Surface::Messages), (Surface::Messages, Surface::ChatCompletions)] {
            let passage = choose(client, upstream, r#"{"model":"m","max_tokens":1,"stream":true,"messages":[]}"#, "m").expect("a passage");
            let mut reader = passage.stream_reader();
            for chunk in chunks.iter().cloned().chain([text.clone().into_bytes()]) {
                drop(reader.push(chunk.clone().into()));
                drop(passage.read_whole(chunk.into()));
            }
            drop(reader.finish());
        }
        drop(Fault::of_answer(Surface::Messages, 500, text.as_bytes()));
    }
}

/// All of a stream at once: the client's bytes and the fault.
fn stream(client: Surface, upstream: Surface, text: &str) -> (String, Option<FailureClass>, bool) {
    let passage = choose(client, upstream, r#"{"model":"m","max_tokens":1,"stream":true,"messages":[]}"#, "m").expect("a passage");
    let mut reader = passage.stream_reader();
    let mut pushed = reader.push(Bytes::from(text.to_owned()));
    let mut bytes = pushed.bytes.to_vec();
    if pushed.fault.is_none() {
        pushed = reader.finish();
        bytes.extend_from_slice(&pushed.bytes);
    }
    (String::from_utf8(bytes).expect("UTF-8"), pushed.fault.map(|fault| fault.class), reader.has_begun())
}

const CHUNK: &str =
    "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}]}\n\n";
const FINISH: &str = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[test]
fn a_stream_that_ends_before_its_end_is_broken_for_both_clients() {
    let chat = Surface::ChatCompletions;
    assert_eq!(stream(chat, chat, CHUNK), (CHUNK.to_owned(), Some(FailureClass::StreamBroken), true));
    assert_eq!(
        stream(chat, chat, &format!("{CHUNK}{}", &CHUNK[..40])),
        (CHUNK.to_owned(), Some(FailureClass::StreamBroken), true),
        "half an event is not passed on"
    );
    assert_eq!(stream(chat, chat, ""), (String::new(), Some(FailureClass::StreamBroken), false));
    assert_eq!(stream(Surface::Messages, chat, CHUNK).1, Some(FailureClass::StreamBroken));
    let begun = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n";
    assert_eq!(stream(Surface::Messages, Surface::Messages, begun).1, Some(FailureClass::StreamBroken));
    assert_eq!(stream(chat, Surface::Messages, begun).1, Some(FailureClass::StreamBroken));
}

#[test]
fn a_reason_to_finish_is_an_end_where_done_is_never_said() {
    let chat = Surface::ChatCompletions;
    assert_eq!(stream(chat, chat, &format!("{CHUNK}{FINISH}")), (format!("{CHUNK}{FINISH}data: [DONE]\n\n"), None, true));
    assert!(stream(Surface::Messages, chat, &format!("{CHUNK}{FINISH}")).0.ends_with("data: {\"type\":\"message_stop\"}\n\n"));
}

#[test]
fn an_error_inside_a_stream_is_told_and_what_came_before_is_kept() {
    let chat = Surface::ChatCompletions;
    let error = "data: {\"error\":{\"message\":\"no capacity\",\"type\":\"overloaded_error\"}}\n\n";
    assert_eq!(
        stream(chat, chat, error),
        (String::new(), Some(FailureClass::Overloaded), false),
        "before the first event nothing has begun"
    );
    assert_eq!(stream(chat, chat, &format!("{CHUNK}{error}{CHUNK}")), (CHUNK.to_owned(), Some(FailureClass::Overloaded), true));
    let bare = format!("{CHUNK}{{\"error\":{{\"message\":\"shed\",\"code\":503}}}}");
    assert_eq!(stream(chat, chat, &bare).1, Some(FailureClass::Overloaded), "bare JSON after events");
    let theirs = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    for client in [chat, Surface::Messages] {
        assert_eq!(stream(client, Surface::Messages, theirs).1, Some(FailureClass::Overloaded), "{client:?}");
    }
    assert_eq!(
        stream(chat, chat, &format!("{CHUNK}data: <html>\n\n")).1,
        None.or(Some(FailureClass::StreamBroken)),
        "an event of no news is not looked into"
    );
    assert_eq!(stream(chat, chat, "data: <html>\n\n").1, Some(FailureClass::InvalidResponse));
}

#[test]
fn an_answer_of_200_that_is_none_is_a_fault() {
    for (client, upstream) in [
        (Surface::ChatCompletions, Surface::ChatCompletions),
        (Surface::ChatCompletions, Surface::Messages),
        (Surface::Messages, Surface::ChatCompletions),
        (Surface::Messages, Surface::Messages),
    ] {
        let passage = choose(client, upstream, r#"{"model":"m","max_tokens":1,"messages":[]}"#, "m").expect("a passage");
        let class =
            |body: &'static str| passage.read_whole(Bytes::from_static(body.as_bytes())).map_err(|fault| fault.class).expect_err(body);
        for body in ["", "<html>nginx</html>", "{\"id\":", "[]", "nonsense"] {
            assert_eq!(class(body), FailureClass::InvalidResponse, "{client:?} {upstream:?} {body}");
        }
    }
    let passage = choose(Surface::ChatCompletions, Surface::ChatCompletions, r#"{"model":"m","messages":[]}"#, "m").expect("a passage");
    let fault = passage.read_whole(Bytes::from_static(b"{\"error\":{\"message\":\"slow down\",\"code\":429}}")).expect_err("an error");
    assert_eq!((fault.class, fault.message.as_str()), (FailureClass::RateLimited, "slow down"));
    let fooled =
        br#"{"choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":999}"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let read = passage.read_whole(Bytes::from_static(fooled)).expect("an answer");
    assert_eq!(read.facts.usage, Some(Usage { prompt: 1, completion: 2, ..Usage::default() }), "a text is not a usage");
}

#[test]
fn errors_of_every_shape_have_a_class_and_words() {
    let of = |status, body: &str| {
        let fault = Fault::of_answer(Surface::ChatCompletions, status, body.as_bytes());
        (fault.class, fault.message)
    };
    let says = |class, words: &str| (class, words.to_owned());
    assert_eq!(
        of(429, r#"{"error":{"message":"slow","type":"requests","code":"rate_limit_exceeded"}}"#),
        says(FailureClass::RateLimited, "slow")
    );
    assert_eq!(of(429, r#"{"error":{"message":"pay","code":"insufficient_quota"}}"#), says(FailureClass::QuotaExceeded, "pay"));
    assert_eq!(
        of(400, r#"{"error":{"message":"This model's maximum context length is 8","code":"context_length_exceeded"}}"#).0,
        FailureClass::ContextLengthExceeded
    );
    assert_eq!(of(400, r#"{"error":{"message":"no","code":"content_filter"}}"#).0, FailureClass::ContentFiltered);
    assert_eq!(of(401, r#"{"error":"bad key"}"#), says(FailureClass::AuthFailed, "bad key"));
    assert_eq!(of(422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#).0, FailureClass::BadRequest);
    assert_eq!(of(502, "<html>bad gateway</html>"), says(FailureClass::ServerError, "status 502 without a reason"));
    assert_eq!(of(503, ""), says(FailureClass::Overloaded, "status 503 without a reason"));
    assert_eq!(of(500, r#"[{"error":{"message":"in a list"}}]"#), says(FailureClass::ServerError, "in a list"));
    let theirs = Fault::of_answer(
        Surface::Messages,
        400,
        br#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 3 tokens > 2 maximum"}}"#,
    );
    assert_eq!(theirs.class, FailureClass::ContextLengthExceeded);
    assert!(Fault::of_answer(Surface::Messages, 500, "é".repeat(9000).as_bytes()).message.len() <= 2048, "words are bounded");
}

#[test]
fn a_client_is_told_in_its_dialect() {
    let error =
        ClientError { openai_type: "t", anthropic_type: "a", code: "c", message: "say \"x\"", param: Some("model"), request_id: "r" };
    let json = |bytes: Bytes| serde_json::from_slice::<Value>(&bytes).expect("JSON");
    assert_eq!(
        json(error.body(Dialect::OpenAi)),
        json!({ "error": { "message": "say \"x\"", "type": "t", "param": "model", "code": "c" } })
    );
    assert_eq!(
        json(error.body(Dialect::Anthropic)),
        json!({ "type": "error", "error": { "type": "a", "message": "say \"x\"", "code": "c" }, "request_id": "r" })
    );
    assert!(error.event(Surface::ChatCompletions, 0).starts_with(b"data: {\"error\":"));
    assert!(error.event(Surface::Responses, 0).starts_with(b"event: error\ndata: {\"type\":\"error\""));
    assert!(error.event(Surface::Messages, 0).starts_with(b"event: error\ndata: {\"type\":\"error\""));
}
