//! What passes through passes as it came.

use e2e::client::{Wire, posting};
use e2e::until;
use e2e::upstream::{self, chat_end, chat_event, chunk, events, last_chunk, stream_head};
use tokio::sync::watch;

use crate::Front;

#[tokio::test]
async fn a_request_reaches_the_provider_byte_for_byte_but_for_the_model() {
    let front = Front::start(|_| upstream::json(200, &upstream::chat_answer("m", "hello"))).await;
    let odd = "{ \"zeta\":1.0e+2,\"model\" : \"up/deep/er\",\n \"messages\":[ {\"content\":\"\\u00e9\\ud83d\\ude00\",\"role\":\"user\"} ],\"n\":12345678901234567890 , \"unknown\":{\"b\":1,\"a\":-0.0} }";
    assert_eq!(front.post(odd).await.status, 200);
    let came = front.upstream.only();
    assert_eq!(String::from_utf8(came.body.clone()).expect("text"), odd.replace("up/deep/er", "deep/er"));
    assert_eq!(came.header("authorization"), Some("Bearer credential-of-up"));
    assert_eq!(came.header("content-length"), Some((odd.len() - 3).to_string().as_str()));
    assert!(came.headers.iter().all(|(_, value)| !value.contains(&front.key)), "the virtual key stays here");
}

#[tokio::test]
async fn an_answer_reaches_the_client_byte_for_byte() {
    let answer = "{\"id\":\"x\" ,\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"\\u00e9\"},\"finish_reason\":\"stop\"}],\n\"model\":\"m-2\",\"unknown\":1.50,\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}";
    let front = Front::start(move |_| upstream::json(200, answer)).await;
    let came = front.chat(false).await;
    assert_eq!(came.text(), answer);
    let receipt = front.gateway.receipt_of(&came.call()).await;
    assert_eq!((&receipt["model_served"], &receipt["usage"]["completion"]), (&"m-2".into(), &2.into()));
}

#[tokio::test]
async fn usage_is_asked_for_and_hidden_from_a_client_that_did_not_ask() {
    let body = [chat_event("m", "he"), chat_event("m", "llo"), chat_end("m")].concat();
    let shown = body.clone();
    let front = Front::start(move |_| events(&body)).await;
    let unasked = front.chat(true).await;
    assert_eq!(front.upstream.only().json()["stream_options"]["include_usage"], true);
    assert!(!unasked.text().contains("total_tokens") && unasked.text().ends_with("data: [DONE]\n\n"), "{}", unasked.text());
    assert_eq!(front.gateway.receipt_of(&unasked.call()).await["usage"]["prompt"], 3);
    let asked = front
        .post(r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#)
        .await;
    assert_eq!(asked.body, shown);
}

#[tokio::test]
async fn an_event_goes_on_at_once_while_the_stream_is_open() {
    let (open, gate) = watch::channel(false);
    let front = Front::start(move |_| {
        vec![stream_head(), chunk(&chat_event("m", "first")), upstream::Step::Await(gate.clone()), chunk(&chat_end("m")), last_chunk()]
    })
    .await;
    let mut wire = Wire::to(front.gateway.listen).await;
    wire.send(posting("/v1/chat/completions", &front.key, &e2e::client::chat("m", true))).await;
    assert_eq!(wire.head().await.expect("a head").0, 200);
    assert_eq!(wire.chunk().await.expect("a chunk"), chat_event("m", "first"), "the first event came before the provider sent more");
    open.send(true).expect("the script waits");
    let mut rest = Vec::new();
    while let Some(bytes) = wire.chunk().await {
        rest.extend(bytes);
    }
    assert!(rest.ends_with(b"data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_call_at_the_provider() {
    let front = Front::start(|_| vec![stream_head(), chunk(&chat_event("m", "first")), upstream::Step::Hang]).await;
    let mut wire = Wire::to(front.gateway.listen).await;
    wire.send(posting("/v1/chat/completions", &front.key, &e2e::client::chat("m", true))).await;
    let (_, headers) = wire.head().await.expect("a head");
    wire.chunk().await.expect("an event");
    let left = std::time::Instant::now();
    drop(wire);
    until("the provider sees it leave", async || (front.upstream.left() == 1).then_some(())).await;
    assert!(left.elapsed().as_millis() < 1000, "{:?}", left.elapsed());
    let call = &headers.iter().find(|(name, _)| name == "x-portolan-call-id").expect("an id").1;
    assert_eq!(front.gateway.receipt_of(call).await["outcome"], "client_gone");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_began_cancels_too() {
    let front = Front::start(|_| vec![upstream::Step::Hang]).await;
    let mut wire = Wire::to(front.gateway.listen).await;
    wire.send(posting("/v1/chat/completions", &front.key, &e2e::client::chat("m", false))).await;
    until("the provider was asked", async || (!front.upstream.asked().is_empty()).then_some(())).await;
    drop(wire);
    until("the provider sees it leave", async || (front.upstream.left() == 1).then_some(())).await;
    until("the receipt says so", async || front.gateway.receipts().iter().any(|receipt| receipt["outcome"] == "client_gone").then_some(()))
        .await;
}

#[tokio::test]
async fn a_stream_that_is_cut_into_single_bytes_arrives_whole() {
    let body = [b": keep-alive\r\n\r\n".to_vec(), chat_event("m", "h\u{e9}llo"), chat_end("m")].concat();
    let framed = format!("{:x}\r\n", body.len()).into_bytes();
    let all = [framed, body, b"\r\n0\r\n\r\n".to_vec()].concat();
    let front = Front::start(move |_| vec![stream_head(), upstream::Step::Drip(all.clone())]).await;
    let answer = front.chat(true).await;
    assert!(answer.text().contains("h\u{e9}llo") && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
}
