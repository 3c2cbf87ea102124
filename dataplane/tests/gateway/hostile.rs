//! Providers and clients that mean no good, or know no better.

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;

use crate::client::Call;
use crate::house::House;
use crate::manifests::{key, provider};
use crate::provider::{ANSWER, Line};

fn house() -> House {
    House::of(&[provider("alpha", "surfaces: [ChatCompletions, Messages], models: [{ name: m }]"), key("app", "")])
}

async fn asked(house: &House) -> Line {
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_says_much_and_never_begins_is_given_up_long_before_memory_is() {
    let house = house();
    let calling = house.call(Call::stream("app", "alpha/m"));
    let mut line = asked(&house).await;
    line.begins().await;
    let flooding = tokio::spawn(async move {
        let comment = format!(": {}\n\n", "x".repeat(60_000));
        let chunk = format!("{:x}\r\n{comment}\r\n", comment.len());
        let mut sent = 0_usize;
        while line.io.write_all(chunk.as_bytes()).await.is_ok() {
            sent += chunk.len();
        }
        sent
    });
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_invalid_response"));
    let sent = flooding.await.expect("a provider");
    assert!(sent < 2 << 20, "{sent} bytes were taken");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_providers_own_shape_is_told_in_the_clients_dialect_with_a_code() {
    for (said, word) in [
        (r#"{"detail":[{"loc":["body","temperature"],"msg":"too hot"}]}"#, "too hot"),
        (r#"{"object":"error","message":"temperature is too hot","code":400}"#, "too hot"),
        (r#"{"error":"temperature is too hot"}"#, "too hot"),
        ("{}", "refused the request"),
    ] {
        let house = house();
        let calling = house.call(Call::chat("app", "alpha/m"));
        asked(&house).await.answer(400, said).await;
        let answer = calling.answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "upstream_bad_request"), "{said}: {}", answer.body);
        assert!(answer.json()["error"]["message"].as_str().is_some_and(|text| text.contains(word)), "{}", answer.body);
    }
    let house = house();
    let calling = house.call(Call::post("app", "/v1/messages", r#"{"model":"alpha/m","max_tokens":9,"messages":[]}"#));
    asked(&house).await.answer(400, r#"{"error":{"message":"an OpenAI error at Anthropic's door","type":"x"}}"#).await;
    let told = calling.answer().await.json();
    assert_eq!((&told["type"], &told["error"]["code"]), (&"error".into(), &"upstream_bad_request".into()), "{told}");
}

#[tokio::test(start_paused = true)]
async fn headers_that_concern_the_provider_go_on_line_by_line_and_none_that_names_anothers_call() {
    let house = house();
    let call = Call::post("app", "/v1/messages", r#"{"model":"alpha/m","max_tokens":9,"messages":[]}"#)
        .with("anthropic-beta", "one")
        .with("anthropic-beta", "two")
        .with("anthropic-version", "2099-01-01")
        .with("idempotency-key", "of-another-tenant")
        .with("x-forwarded-for", "10.0.0.1")
        .with("cookie", "a=b")
        .with("traceparent", "00-1-1-00");
    let calling = house.call(call);
    let mut line = house.providers.line("alpha.example").await;
    let asked = line.asked().await;
    line.answer(200, ANSWER).await;
    calling.answer().await;
    let mut told: Vec<&str> = asked.head.lines().filter(|line| line.starts_with("anthropic-")).collect();
    told.sort_unstable();
    assert_eq!(told, ["anthropic-beta: one", "anthropic-beta: two", "anthropic-version: 2099-01-01"], "{}", asked.head);
    for name in ["idempotency-key", "x-forwarded-for", "cookie", "traceparent"] {
        assert_eq!(asked.header(name), "", "{name} stays here");
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_spelled_in_another_case_beside_the_allowed_one_reaches_no_provider() {
    let house = House::of(&[provider("alpha", "models: [{ name: cheap }, { name: dear }]"), key("app", "allow: { models: [cheap] }")]);
    let body = r#"{"model":"cheap","Model":"dear","messages":[]}"#;
    let answer = house.call(Call::post("app", "/v1/chat/completions", body)).answer().await;
    assert_eq!((answer.status, answer.code().as_str(), &answer.json()["error"]["param"]), (400, "invalid_body", &"model".into()));
    assert_eq!(house.providers.dialled(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn floods_of_headers_over_http2_are_refused_and_the_next_call_is_answered() {
    let house = house();
    let long = |call: Call| call.with("x-long", &"y".repeat(100 << 10));
    let many = |call: Call| (0..2000).fold(call, |call, _| call.with("x-many", "0123456789012345678901234567890123456789"));
    for call in [long(Call::chat("app", "alpha/m")), many(Call::chat("app", "alpha/m"))] {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(house.line())).await.expect("a handshake");
        tokio::spawn(async move { drop(connection.await) });
        let mut request = call.request();
        *request.uri_mut() = "http://gateway.example/v1/chat/completions".parse().expect("a URI");
        let told = sender.send_request(request).await.map(|answer| answer.status().as_u16());
        assert!(told.as_ref().map_or(true, |status| *status == 431), "{told:?}");
    }
    assert_eq!(house.providers.dialled(), [""; 0]);
    assert_eq!(house.gateway.process.calls(), 0);
    let calling = house.call(Call::chat("app", "alpha/m"));
    asked(&house).await.answer(200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
}
