//! The doors for pictures, speech, judgement and order: each passes to whoever speaks it, and to nobody else.

use serde_json::json;

use crate::client::Call;
use crate::house::House;
use crate::manifests::{key, policy, provider, provider_of};
use crate::provider::Manner;

const JUDGED: &str = r#"{"id":"modr-1","model":"omni-moderation-2026","results":[{"flagged":false}]}"#;
const PICTURES: &str = r#"{"created":1,"data":[{"b64_json":"aGk="},{"b64_json":"aGk="}]}"#;
const RANKED: &str = r#"{"id":"r","results":[{"index":1,"relevance_score":0.98},{"index":0,"relevance_score":0.1}],"meta":{"billed_units":{"search_units":2}}}"#;

fn openai(more: &str) -> House {
    House::of(&[provider_of("OpenAI", "back", more), key("app", "")])
}

#[tokio::test(start_paused = true)]
async fn a_text_is_judged_by_the_usual_model_when_none_is_named() {
    let house = openai("models: [{ name: omni-moderation-latest, upstreamName: omni-2 }]");
    for (sent, told) in [
        (r#"{"input":"hello"}"#, r#"{"model":"omni-2","input":"hello"}"#),
        (r#" { "model": "omni-moderation-latest", "input": [] }"#, r#" { "model": "omni-2", "input": [] }"#),
        ("{}", r#"{"model":"omni-2"}"#),
    ] {
        let calling = house.call(Call::post("app", "/v1/moderations", sent));
        let (_line, asked) = house.providers.answers("back.example", 200, JUDGED).await;
        assert_eq!(asked.head.lines().next(), Some("POST /v1/moderations HTTP/1.1"));
        assert_eq!(asked.text, told);
        let answer = calling.answer().await;
        assert_eq!((answer.status, answer.body.as_str()), (200, JUDGED));
    }
}

#[tokio::test(start_paused = true)]
async fn pictures_are_counted_and_priced_by_the_piece() {
    let house = openai("");
    let calling = house.call(Call::post("app", "/v1/images/generations", r#"{"model":"back/m","prompt":"a sea","n":2}"#));
    let (_line, asked) = house.providers.answers("back.example", 200, PICTURES).await;
    assert_eq!((asked.head.lines().next(), &asked.body["model"]), (Some("POST /v1/images/generations HTTP/1.1"), &json!("m")));
    assert_eq!(calling.answer().await.body, PICTURES);
    let receipt = &house.receipts()[0];
    assert_eq!((&receipt["surface"], &receipt["measured"]), (&json!("images"), &json!({ "unit": "image", "count": 2 })), "{receipt}");
    assert_eq!((&receipt["usage"], &receipt["priced"]), (&json!(null), &json!(false)), "an unpriced picture is no free one");
    let metrics = house.gateway.metrics.text();
    assert!(metrics.contains("portolan_unpriced_calls_total{provider=\"default/back\"} 1"), "{metrics}");
    assert!(metrics.contains("portolan_units_thousandths_total{provider=\"default/back\",unit=\"image\"} 2000"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn pictures_are_streamed_as_they_become_clearer_or_come_whole_where_the_server_cannot() {
    let house = openai("");
    let wanted = r#"{"model":"back/gpt-image-1","prompt":"a sea","stream":true,"partial_images":1}"#;
    let calling = house.call(Call::post("app", "/v1/images/generations", wanted));
    let mut line = house.providers.line("back.example").await;
    line.asked().await;
    line.begins().await;
    let partial = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"aGk=\"}\n\n";
    let last = "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"aGk=\",\"usage\":{\"input_tokens\":10,\"output_tokens\":272}}\n\n";
    line.chunk(partial).await;
    line.chunk(last).await;
    line.ends().await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/event-stream; charset=utf-8"));
    assert_eq!(answer.body, [partial, last].concat());
    let calling = house.call(Call::post("app", "/v1/images/generations", wanted));
    line.asked().await;
    line.answer(200, PICTURES).await;
    let answer = calling.answer().await;
    assert_eq!((answer.header("content-type"), answer.body.as_str()), ("application/json", PICTURES));
    let receipts = house.receipts();
    assert_eq!((&receipts[0]["outcome"], &receipts[0]["usage"]["completion"]), (&json!("answered"), &json!(272)), "{}", receipts[0]);
    assert_eq!(&receipts[0]["measured"]["count"], &json!(1));
    assert_eq!(&receipts[1]["measured"]["count"], &json!(2));
}

#[tokio::test(start_paused = true)]
async fn speech_comes_as_the_provider_speaks_it_and_is_paid_by_the_letter() {
    let house = openai("");
    let calling = house.call(Call::post("app", "/v1/audio/speech", r#"{"model":"back/tts-1","input":"h\u00e9llo","voice":"alloy"}"#));
    let mut line = house.providers.line("back.example").await;
    let asked = line.asked().await;
    assert_eq!((asked.head.lines().next(), asked.header("accept")), (Some("POST /v1/audio/speech HTTP/1.1"), "*/*"));
    line.say("HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for piece in ["one", "two", "three"] {
        line.chunk(piece).await;
    }
    line.ends().await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.header("content-type"), answer.body.as_str()), (200, "audio/mpeg", "onetwothree"));
    let receipt = &house.receipts()[0];
    assert_eq!(&receipt["measured"], &json!({ "unit": "character", "count": 5 }), "{receipt}");
    assert_eq!((&receipt["cost_nano_usd"], &receipt["priced"]), (&json!(5 * 15_000), &json!(true)));
}

#[tokio::test(start_paused = true)]
async fn speech_that_breaks_off_breaks_off_at_the_client_and_before_its_first_byte_another_speaks() {
    let targets = [provider_of("OpenAI", "alpha", ""), provider_of("OpenAI", "beta", "")];
    let [alpha, beta] = targets;
    let house = House::of(&[
        alpha,
        beta,
        policy("way", &["alpha", "beta"], "fallbackOn: [StreamBroken]"),
        key("app", "routingPolicyRef: { name: way }"),
    ]);
    let body = r#"{"model":"tts-1","input":"hello","voice":"alloy"}"#;
    let calling = house.call(Call::post("app", "/v1/audio/speech", body));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 100\r\n\r\n";
    let mut first = house.providers.line("alpha.example").await;
    first.asked().await;
    first.say(head).await;
    drop(first);
    let mut second = house.providers.line("beta.example").await;
    second.asked().await;
    second.say(&format!("{head}half")).await;
    house.settle().await;
    drop(second);
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.body.as_str(), answer.whole), (200, "half", false));
    let receipt = &house.receipts()[0];
    assert_eq!((&receipt["outcome"], &receipt["provider"]), (&json!("failed"), &json!("default/beta")), "{receipt}");
}

#[tokio::test(start_paused = true)]
async fn speech_as_events_is_a_stream() {
    let house = openai("");
    let wanted = r#"{"model":"back/gpt-4o-mini-tts","input":"hello","voice":"alloy","stream_format":"sse"}"#;
    let calling = house.call(Call::post("app", "/v1/audio/speech", wanted));
    let mut line = house.providers.line("back.example").await;
    line.asked().await;
    line.begins().await;
    let events = "data: {\"type\":\"speech.audio.delta\",\"audio\":\"aGk=\"}\n\ndata: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":5,\"output_tokens\":9,\"total_tokens\":14}}\n\n";
    line.chunk(events).await;
    line.ends().await;
    assert_eq!(calling.answer().await.body, events);
    let receipt = &house.receipts()[0];
    assert_eq!((&receipt["outcome"], &receipt["usage"]["prompt"]), (&json!("answered"), &json!(5)), "{receipt}");
}

#[tokio::test(start_paused = true)]
async fn documents_are_ordered_by_both_paths() {
    let house = House::of(&[provider("back", "surfaces: [Rerank]"), key("app", "")]);
    let body = r#"{"model":"back/m","query":"q","documents":["a","b"],"top_n":2}"#;
    for path in ["/v1/rerank", "/v2/rerank"] {
        let calling = house.call(Call::post("app", path, body));
        let (_line, asked) = house.providers.answers("back.example", 200, RANKED).await;
        assert_eq!((asked.head.lines().next(), asked.text), (Some("POST /v1/rerank HTTP/1.1"), body.replace("back/m", "m")));
        assert_eq!(calling.answer().await.body, RANKED);
    }
    assert_eq!(house.receipts()[0]["measured"], json!({ "unit": "search", "count": 2 }));
}

#[tokio::test(start_paused = true)]
async fn cohere_is_told_an_order_in_its_own_words_and_documents_come_back_when_they_are_wanted() {
    let house = House::of(&[provider_of("Cohere", "back", ""), key("app", "")]);
    let body =
        r#"{"model":"back/rerank-v3.5","query":"q\n","documents":["a",{"text":"b\"c"}],"top_n":2,"return_documents":true,"priority":1}"#;
    let calling = house.call(Call::post("app", "/v1/rerank", body));
    let (_line, asked) = house.providers.answers("back.example", 200, RANKED).await;
    assert_eq!(asked.head.lines().next(), Some("POST /v1/rerank HTTP/1.1"), "below the base URL of the test");
    assert_eq!(asked.text, r#"{"model":"rerank-v3.5","query":"q\n","documents":["a","b\"c"],"top_n":2,"priority":1}"#);
    let answer = calling.answer().await.json();
    assert_eq!(answer["results"][0], json!({ "index": 1, "relevance_score": 0.98, "document": { "text": "b\"c" } }));
    assert_eq!((&answer["results"][1]["document"]["text"], &answer["id"]), (&json!("a"), &json!("r")));
    for (field, sent) in [
        ("rank_fields", r#"{"model":"back/m","query":"q","documents":["a"],"rank_fields":["x"]}"#),
        ("documents", r#"{"model":"back/m","query":"q","documents":[{"text":"a","title":"t"}]}"#),
        ("query", r#"{"model":"back/m","documents":["a"]}"#),
    ] {
        let refused = house.call(Call::post("app", "/v1/rerank", sent)).answer().await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "unsupported_by_provider"), "{}", refused.body);
        assert_eq!(refused.json()["error"]["param"], field);
    }
    let receipt = &house.receipts()[0];
    assert_eq!((&receipt["cost_nano_usd"], &receipt["translated"]), (&json!(4_000_000), &json!(true)), "{receipt}");
}

#[tokio::test(start_paused = true)]
async fn a_door_that_the_provider_does_not_have_is_refused_by_name() {
    let house = House::of(&[provider("back", ""), provider_of("Anthropic", "other", ""), key("app", "")]);
    for (path, body) in [
        ("/v1/moderations", r#"{"model":"back/m","input":"x"}"#),
        ("/v1/rerank", r#"{"model":"other/m","query":"q","documents":["a"]}"#),
        ("/v1/images/generations", r#"{"model":"back/m","prompt":"x"}"#),
        ("/v1/audio/speech", r#"{"model":"other/m","input":"x","voice":"v"}"#),
    ] {
        let answer = house.call(Call::post("app", path, body)).answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "unsupported_by_provider"), "{path}");
        assert!(answer.body.contains(path), "{}", answer.body);
    }
    assert!(house.providers.dialled().is_empty(), "nobody is asked");
}

#[tokio::test(start_paused = true)]
async fn bad_bodies_failures_and_keys_are_told_as_at_every_door() {
    let house = House::of(&[provider_of("OpenAI", "back", ""), key("app", ""), key("chat", "allow: { operations: [Chat] }")]);
    for (path, body, status, code) in [
        ("/v1/images/generations", r#"{"prompt":"x"}"#, 400, "invalid_body"),
        ("/v1/images/generations", "{", 400, "invalid_json"),
        ("/v1/audio/speech", r#"{"model":"back/m","input":7}"#, 400, "invalid_body"),
        ("/v1/rerank", "[]", 400, "invalid_body"),
        ("/v1/moderations", r#"{"input":"x"}"#, 404, "model_not_found"),
    ] {
        let answer = house.call(Call::post("app", path, body)).answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path} {body}: {}", answer.body);
    }
    let answer = house.call(Call::post("app", "/v1/audio/speech", "--x").of_kind("multipart/form-data; boundary=x")).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (415, "unsupported_content_type"));
    let answer = house.call(Call::post("chat", "/v1/images/generations", r#"{"model":"back/m","prompt":"x"}"#)).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "operation_not_allowed"));
    let calling = house.call(Call::post("app", "/v1/audio/speech", r#"{"model":"back/m","input":"x","voice":"v"}"#));
    house.providers.answers("back.example", 429, r#"{"error":{"message":"slow","type":"requests"}}"#).await;
    assert_eq!(calling.answer().await.code(), "upstream_rate_limited");
    house.host("back.example", Manner::Refuses);
    let answer = house.call(Call::post("app", "/v1/moderations", r#"{"model":"back/m","input":"x"}"#)).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"));
}
