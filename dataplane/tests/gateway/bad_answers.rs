//! Answers with a status of success that are none, or odd ones: what every client of every provider is told of them. Where
//! client and provider speak one dialect what is odd passes as it is; elsewhere it is mended, or refused in plain words.

use serde_json::{Value, json};

use crate::backs::Back;
use crate::client::Answer;
use crate::fronts::{Front, call, events, house, pairs, understood};
use crate::house::House;

/// Whether client and provider speak one dialect.
fn same(front: &Front, back: &Back) -> bool {
    matches!((front.path, back.kind), ("/v1/chat/completions", "OpenAICompatible" | "Mistral") | ("/v1/messages", "Anthropic"))
}

/// The answer of a provider that says this for a whole answer, under these headers.
async fn whole(front: &Front, back: &Back, head: &str, body: &str) -> (Answer, House) {
    let house = house(back);
    let calling = house.call(call(front, false));
    let mut line = house.providers.line("back.example").await;
    line.asked().await;
    line.say(&format!("HTTP/1.1 200 OK\r\n{head}content-length: {}\r\n\r\n{body}", body.len())).await;
    (calling.answer().await, house)
}

/// The answer of a provider that says this for a stream.
async fn streamed(front: &Front, back: &Back, bytes: &[u8]) -> (Answer, House) {
    let house = house(back);
    let calling = house.call(call(front, true));
    let mut line = house.providers.line("back.example").await;
    line.asked().await;
    line.begins().await;
    if !bytes.is_empty() {
        line.bytes_of_chunk(bytes).await;
    }
    line.ends().await;
    (calling.answer().await, house)
}

fn told(answer: &Answer) -> Vec<Value> {
    events(&answer.body).into_iter().map(|(_, event)| event).collect()
}

/// Whether a stream ended as one that failed ends for this client.
fn failed(front: &Front, answer: &Answer) -> bool {
    let told = events(&answer.body);
    let last = told.len().checked_sub(front.last_words.len()).map(|from| &told[from..]).unwrap_or_default();
    last.iter().map(|(name, _)| name.as_str()).eq(front.last_words.iter().copied()) && last[0].1["error"]["message"].is_string()
}

/// An event by which a provider says that it failed, and the class that clients are told.
fn error_event(back: &Back) -> (Vec<u8>, u16) {
    let name = match back.kind {
        "Anthropic" => "error",
        "Bedrock" => "throttlingException",
        _ => "",
    };
    // Ollama's and Cohere's errors are words alone.
    (back.event(name, back.error), if matches!(back.kind, "Ollama" | "Cohere") { 502 } else { 429 })
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_an_answer_of_200_is_an_error() {
    for (front, back, pair) in pairs() {
        let (answer, house) = whole(front, back, "", back.error).await;
        let words_alone = matches!(back.kind, "Ollama" | "Cohere" | "Bedrock");
        assert_eq!(answer.status, if words_alone { 502 } else { 429 }, "{pair}: {}", answer.body);
        assert_eq!(house.receipts()[0]["outcome"], "failed", "{pair}");
        let (event, status) = error_event(back);
        let (answer, _) = streamed(front, back, &event).await;
        assert_eq!(answer.status, status, "{pair}, the first event: {}", answer.body);
        let begun = back.bytes(2);
        let (answer, house) = streamed(front, back, &[begun, event, back.bytes(back.stream.len())].concat()).await;
        assert!(answer.status == 200 && failed(front, &answer), "{pair}, amid a stream: {}", answer.body);
        assert_eq!(house.receipts()[0]["outcome"], "failed", "{pair}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_and_nothing_at_all_are_no_answers() {
    for (front, back, pair) in pairs() {
        for (head, body) in [
            ("", "<html><body>nginx</body></html>"),
            ("content-type: text/html\r\n", "<html></html>"),
            ("", ""),
            ("", "\n"),
            ("", "[]"),
            ("", "{}"),
        ] {
            // An object without a field of an answer passes where bytes pass.
            if body == "{}" && same(front, back) {
                continue;
            }
            let (answer, house) = whole(front, back, head, body).await;
            assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_invalid_response"), "{pair}, {body}: {}", answer.body);
            assert_eq!(house.receipts()[0]["outcome"], "failed", "{pair}");
        }
        for body in ["<html>\n<body>nginx</body>\n</html>\n", "", "\n\n"] {
            let (answer, _) = streamed(front, back, body.as_bytes()).await;
            assert_eq!(answer.status, 502, "{pair}, {body}: {}", answer.body);
            assert!(["upstream_invalid_response", "upstream_stream_broken"].contains(&answer.code().as_str()), "{pair}: {}", answer.body);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_told_twice_is_one_end() {
    for (front, back, pair) in pairs() {
        let last = back.stream.len() - 1;
        // An event of Gemini's with a call in it is a call.
        let end = back.stream[last].1.replace(r#"{"functionCall":{"id":"call_1","name":"f","args":{"x":1}}}"#, "");
        let again = back.event(back.stream[last].0, &end);
        let (answer, house) = streamed(front, back, &[back.bytes(last + 1), again].concat()).await;
        assert_eq!((answer.status, (front.events)(&told(&answer))), (200, understood()), "{pair}: {}", answer.body);
        let usage = &house.receipts()[0]["usage"];
        assert_eq!((&usage["prompt"], &usage["completion"]), (&3.into(), &6.into()), "{pair}");
        if back.kind == "OpenAICompatible" && !same(front, back) {
            let finish = back.event("", back.stream[2].1);
            let (answer, _) =
                streamed(front, back, &[back.bytes(3), finish, back.event("", back.stream[3].1), back.event("", "[DONE]")].concat()).await;
            assert_eq!((answer.status, (front.events)(&told(&answer))), (200, understood()), "{pair}, two reasons: {}", answer.body);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_nobody_knows_is_passed_over() {
    for (front, back, pair) in pairs() {
        let (name, data) = match back.kind {
            "Anthropic" | "Cohere" => ("new-thing", r#"{"type":"new-thing","index":7,"delta":{"new":[1]}}"#),
            "Bedrock" => ("newThing", r#"{"new":[1]}"#),
            _ => ("", r#"{"object":"new.thing","new":[1]}"#),
        };
        let bytes: Vec<u8> =
            back.stream.iter().flat_map(|(known, known_data)| [back.event(name, data), back.event(known, known_data)].concat()).collect();
        let (answer, _) = streamed(front, back, &bytes).await;
        assert_eq!((answer.status, (front.events)(&told(&answer))), (200, understood()), "{pair}: {}", answer.body);
    }
}

/// What passes is what was sent. What Mistral tells in a form of its own, the client is told in OpenAI's: what is called passes.
fn assert_passed(back: &Back, answer: &Answer, sent: &[u8], pair: &str) {
    if back.kind != "Mistral" {
        return assert_eq!(answer.body.as_bytes(), sent, "{pair}");
    }
    let called = |text: &str| text.split("\"function\":").skip(1).map(|rest| rest.split('}').next().map(str::to_owned)).collect::<Vec<_>>();
    let (sent, passed) = (called(&String::from_utf8_lossy(sent)), called(&answer.body));
    assert!(!sent.is_empty(), "{pair}");
    assert_eq!((answer.status, passed), (200, sent), "{pair}: {}", answer.body);
}

/// What a provider says, with other arguments of its call.
fn with_arguments(back: &Back, said: &str) -> String {
    match back.kind {
        "OpenAICompatible" | "Mistral" | "Cohere" => said.replace(r#"{\"x\":1}"#, r#"{\"x\":"#),
        "Anthropic" | "Bedrock" if said.contains("partial_json") || said.contains("contentBlockIndex") => {
            said.replace(r#"{\"x\":1}"#, r#"{\"x\":"#)
        }
        _ => said.replace(r#"{"x":1}"#, r#""x""#),
    }
}

#[tokio::test(start_paused = true)]
async fn arguments_that_are_no_object_are_no_call() {
    for (front, back, pair) in pairs() {
        let (answer, _) = whole(front, back, "", &with_arguments(back, back.whole)).await;
        if same(front, back) {
            assert_passed(back, &answer, with_arguments(back, back.whole).as_bytes(), &pair);
        } else {
            assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_invalid_response"), "{pair}: {}", answer.body);
        }
        let bytes: Vec<u8> = back.stream.iter().flat_map(|(name, data)| back.event(name, &with_arguments(back, data))).collect();
        let (answer, _) = streamed(front, back, &bytes).await;
        if same(front, back) {
            assert_passed(back, &answer, &bytes, &pair);
        } else {
            assert!(failed(front, &answer), "{pair}: {}", answer.body);
        }
    }
}

/// What a provider says, with other counts of tokens.
fn with_counts(said: &str, count: impl Fn(&str) -> String) -> String {
    const COUNTS: [&str; 14] = [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "input_tokens",
        "output_tokens",
        "promptTokenCount",
        "candidatesTokenCount",
        "totalTokenCount",
        "inputTokens",
        "outputTokens",
        "totalTokens",
        "prompt_eval_count",
        "eval_count",
        "usage_of_nothing",
    ];
    COUNTS.iter().fold(said.to_owned(), |said, name| said.replace(&format!("\"{name}\":"), &count(name)))
}

#[tokio::test(start_paused = true)]
async fn a_usage_that_is_missing_is_none_and_one_below_nothing_is_nothing() {
    for (front, back, pair) in pairs() {
        for (case, count) in [("missing", "\"no_{}\":"), ("negative", "\"{}\":-")] {
            let change = |said: &str| with_counts(said, |name| count.replace("{}", name));
            let (answer, house) = whole(front, back, "", &change(back.whole)).await;
            assert_eq!(answer.status, 200, "{pair}, {case}: {}", answer.body);
            let wanted = if case == "missing" { Value::Null } else { json!([0, 0]) };
            let receipt = &house.receipts()[0];
            assert_eq!(counted(receipt), wanted, "{pair}, {case}: {receipt}");
            assert_eq!(receipt["outcome"], "answered", "{pair}, {case}");
            let bytes: Vec<u8> = back.stream.iter().flat_map(|(name, data)| back.event(name, &change(data))).collect();
            let (answer, house) = streamed(front, back, &bytes).await;
            let understood = (front.events)(&told(&answer));
            assert_eq!(
                (answer.status, &understood[0], &understood[4]),
                (200, &"hello".into(), &true.into()),
                "{pair}, {case}: {}",
                answer.body
            );
            assert_eq!(counted(&house.receipts()[0]), wanted, "{pair}, {case}, streamed");
        }
    }
}

fn counted(receipt: &Value) -> Value {
    let usage = &receipt["usage"];
    if usage.is_null() { Value::Null } else { json!([usage["prompt"], usage["completion"]]) }
}

/// What a provider says, without the id of its call.
fn without_id(said: &str) -> String {
    [r#""id":"call_1","#, r#""toolUseId":"call_1","#].iter().fold(said.to_owned(), |said, id| said.replace(id, ""))
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_id_is_given_one() {
    for (front, back, pair) in pairs().filter(|(front, back, _)| !same(front, back)) {
        let (answer, _) = whole(front, back, "", &without_id(back.whole)).await;
        assert_eq!(answer.status, 200, "{pair}: {}", answer.body);
        let understood = (front.whole)(&answer.json());
        assert!(understood[1].as_str().is_some_and(|id| id.len() > 5) && understood[2] == "f", "{pair}: {}", answer.body);
        let bytes: Vec<u8> = back.stream.iter().flat_map(|(name, data)| back.event(name, &without_id(data))).collect();
        let (answer, _) = streamed(front, back, &bytes).await;
        let understood = (front.events)(&told(&answer));
        assert!(understood[1].as_str().is_some_and(|id| id.len() > 5) && understood[2] == "f", "{pair}: {}", answer.body);
    }
}

/// An answer with two calls of one id.
fn twins(back: &Back) -> String {
    let call = match back.kind {
        "OpenAICompatible" | "Cohere" => r#"{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}"#,
        "Anthropic" => r#"{"type":"tool_use","id":"call_1","name":"f","input":{"x":1}}"#,
        "Gemini" => r#"{"functionCall":{"id":"call_1","name":"f","args":{"x":1}}}"#,
        "Bedrock" => r#"{"toolUse":{"toolUseId":"call_1","name":"f","input":{"x":1}}}"#,
        _ => r#"{"id":"call_1","function":{"name":"f","arguments":{"x":1}}}"#,
    };
    let mistral = r#"{"id":"call_1","function":{"name":"f","arguments":"{\"x\":1}"},"index":0}"#;
    let call = if back.kind == "Mistral" { mistral } else { call };
    let twins = back.whole.replace(call, &format!("{call},{call}"));
    assert_ne!(twins, back.whole);
    twins
}

#[tokio::test(start_paused = true)]
async fn two_calls_of_one_id_are_told_apart() {
    for (front, back, pair) in pairs() {
        let (answer, _) = whole(front, back, "", &twins(back)).await;
        if same(front, back) {
            assert_passed(back, &answer, twins(back).as_bytes(), &pair);
            continue;
        }
        let said = answer.json();
        let ids: Vec<&str> = [
            "/choices/0/message/tool_calls/0/id",
            "/choices/0/message/tool_calls/1/id",
            "/output/1/call_id",
            "/output/2/call_id",
            "/content/1/id",
            "/content/2/id",
        ]
        .iter()
        .filter_map(|path| said.pointer(path)?.as_str())
        .collect();
        assert!(ids.len() == 2 && ids[0] == "call_1" && ids[1] != "call_1" && !ids[1].is_empty(), "{pair}: {}", answer.body);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_compressed_though_nobody_asked_is_refused() {
    for (front, back, pair) in pairs() {
        let (answer, house) = whole(front, back, "content-encoding: gzip\r\n", "\u{1f}").await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_invalid_response"), "{pair}: {}", answer.body);
        let ask = crate::fronts::house(back);
        let calling = ask.call(call(front, true));
        let mut line = ask.providers.line("back.example").await;
        line.asked().await;
        line.say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\n\u{1f}").await;
        let streamed = calling.answer().await;
        assert_eq!((streamed.status, streamed.code().as_str()), (502, "upstream_invalid_response"), "{pair}: {}", streamed.body);
        let detail = house.receipts()[0]["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains("gzip"), "{pair}: {detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_sent_elsewhere() {
    for (front, back, pair) in pairs() {
        for stream in [false, true] {
            let house = house(back);
            let calling = house.call(call(front, stream));
            let mut line = house.providers.line("back.example").await;
            line.asked().await;
            line.say("HTTP/1.1 307 Go\r\nlocation: http://elsewhere.example/\r\ncontent-length: 0\r\n\r\n").await;
            let answer = calling.answer().await;
            assert_eq!((answer.status, answer.header("location")), (502, ""), "{pair}: {}", answer.body);
            assert_eq!(house.providers.dialled(), ["back.example"], "{pair}");
        }
    }
}
