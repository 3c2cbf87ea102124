//! What is bounded is refused when it is full, before anything is spent, and given back on every way out.

use crate::client::{Call, Raw};
use crate::house::{BODY_IDLE, House, elapse};
use crate::manifests::{key, provider};
use crate::provider::{ANSWER, Line, event};

fn house(more: &str) -> House {
    House::of(&[provider("alpha", "timeouts: { firstByteMilliseconds: 700 }"), key("app", more)])
}

async fn asked(house: &House) -> Line {
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line
}

#[tokio::test(start_paused = true)]
async fn a_key_runs_as_many_calls_at_once_as_it_may() {
    let house = house("maxInFlight: 2");
    let running = [house.call(Call::chat("app", "alpha/m")), house.call(Call::chat("app", "alpha/m"))];
    let mut lines = [asked(&house).await, asked(&house).await];
    let third = house.call(Call::chat("app", "alpha/m")).answer().await;
    assert_eq!((third.status, third.code().as_str(), third.header("retry-after")), (429, "too_many_in_flight", "1"));
    lines[0].answer(200, ANSWER).await;
    lines[1].answer(200, ANSWER).await;
    for calling in running {
        assert_eq!(calling.answer().await.status, 200);
    }
    is_free(&house).await;
}

#[tokio::test(start_paused = true)]
async fn keys_do_not_take_one_anothers_places() {
    let house = House::of(&[provider("alpha", ""), key("app", "maxInFlight: 1"), key("other", "maxInFlight: 1")]);
    let (_one, _other) = (house.call(Call::chat("app", "alpha/m")), house.call(Call::chat("other", "alpha/m")));
    asked(&house).await;
    asked(&house).await;
}

/// Nothing is held any more: a call of a key that may run one is taken.
async fn is_free(house: &House) {
    house.settle().await;
    assert_eq!((house.gateway.process.calls(), house.gateway.process.body_bytes()), (0, 0));
    let refused = house.call(Call::chat("app", "nowhere/m")).answer().await;
    assert_eq!(refused.code(), "model_not_found", "a place is free");
}

#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_after_an_answer() {
    let house = house("maxInFlight: 1");
    let calling = house.call(Call::chat("app", "alpha/m"));
    asked(&house).await.answer(200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
    is_free(&house).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_after_a_refusal() {
    let house = house("maxInFlight: 1");
    for (body, code) in [("{", "invalid_json"), ("{}", "invalid_body"), (r#"{"model":"x","messages":[]}"#, "model_not_found")] {
        let answer = house.call(Call::post("app", "/v1/chat/completions", body)).answer().await;
        assert_eq!(answer.code(), code);
        is_free(&house).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_after_a_failure_and_after_a_timeout() {
    let house = house("maxInFlight: 1");
    let calling = house.call(Call::chat("app", "alpha/m"));
    asked(&house).await.answer(500, "{}").await;
    assert_eq!(calling.answer().await.status, 502);
    is_free(&house).await;
    let calling = house.call(Call::chat("app", "alpha/m"));
    let _silent = asked(&house).await;
    assert_eq!(calling.answer().await.status, 504);
    is_free(&house).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_when_a_stream_breaks() {
    let house = house("maxInFlight: 1");
    let calling = house.call(Call::stream("app", "alpha/m"));
    let mut line = asked(&house).await;
    line.begins().await;
    line.chunk(&event("one")).await;
    elapse(10).await;
    assert_eq!(house.gateway.process.calls(), 1, "held while the stream runs");
    drop(line);
    assert!(calling.answer().await.body.contains("upstream_stream_broken"));
    is_free(&house).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_when_the_client_leaves() {
    let house = house("maxInFlight: 1");
    let calling = house.call(Call::chat("app", "alpha/m"));
    let _line = asked(&house).await;
    calling.leaves().await;
    is_free(&house).await;
    let calling = house.call(Call::stream("app", "alpha/m"));
    let mut line = asked(&house).await;
    line.begins().await;
    line.chunk(&event("one")).await;
    elapse(10).await;
    calling.leaves().await;
    is_free(&house).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_when_a_body_stalls_or_breaks_off() {
    let house = house("maxInFlight: 1");
    let mut client = Raw(house.line());
    client.announce("app", 100).await;
    elapse(u64::try_from(BODY_IDLE.as_millis()).expect("fits")).await;
    client.hears("body_timeout").await;
    is_free(&house).await;
    let mut client = Raw(house.line());
    client.announce("app", 100).await;
    elapse(10).await;
    assert_eq!((house.gateway.process.calls(), house.gateway.process.body_bytes()), (1, 100));
    drop(client);
    is_free(&house).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_process_says_so_before_it_reads_a_body() {
    let house = House::with(&[provider("alpha", ""), key("app", "")], |settings| settings.calls_max = 1);
    let calling = house.call(Call::chat("app", "alpha/m"));
    let mut line = asked(&house).await;
    let began = house.clock.now();
    let mut client = Raw(house.line());
    client.announce("app", 1_000_000).await;
    let heard = client.hears("overloaded").await;
    assert!(heard.starts_with("HTTP/1.1 503") && heard.contains("retry-after: 1\r\n"), "{heard}");
    assert_eq!(house.clock.now(), began, "at once");
    line.answer(200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
    is_free(&house).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_process_does_not_keep_strangers_from_hearing_that_their_key_is_wrong() {
    let house = House::with(&[provider("alpha", ""), key("app", "")], |settings| settings.calls_max = 0);
    assert_eq!(house.call(Call::chat("stranger", "alpha/m")).answer().await.code(), "invalid_api_key");
    assert_eq!(house.call(Call::chat("app", "alpha/m")).answer().await.code(), "overloaded");
}

fn small_memory() -> House {
    House::with(&[provider("alpha", ""), key("app", ""), key("other", ""), key("third", "")], |settings| settings.body_memory_bytes = 1000)
}

#[tokio::test(start_paused = true)]
async fn bodies_are_bounded_by_what_they_announce_before_they_are_read() {
    let house = small_memory();
    let mut clients = Vec::new();
    for id in ["app", "other"] {
        let mut client = Raw(house.line());
        client.announce(id, 500).await;
        clients.push(client);
    }
    house.settle().await;
    assert_eq!(house.gateway.process.body_bytes(), 1000);
    let mut third = Raw(house.line());
    third.announce("third", 1).await;
    let heard = third.hears("overloaded").await;
    assert!(heard.starts_with("HTTP/1.1 503") && heard.contains("retry-after: 1\r\n"), "{heard}");
    drop(clients);
    is_free(&house).await;
}

#[tokio::test(start_paused = true)]
async fn no_key_has_more_than_half_of_the_memory_of_bodies() {
    let house = small_memory();
    let mut first = Raw(house.line());
    first.announce("app", 501).await;
    assert!(first.hears("overloaded").await.starts_with("HTTP/1.1 503"));
    let mut second = Raw(house.line());
    second.announce("app", 500).await;
    house.settle().await;
    assert_eq!(house.gateway.process.body_bytes(), 500, "the half itself is given");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_announces_nothing_is_bounded_as_it_grows() {
    let house = small_memory();
    let mut client = Raw(house.line());
    let key = crate::manifests::text_of("app");
    client
        .say(&format!("POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\ntransfer-encoding: chunked\r\n\r\n"))
        .await;
    for expected in [200, 400] {
        client.say(&format!("c8\r\n{}\r\n", " ".repeat(200))).await;
        house.settle().await;
        assert_eq!(house.gateway.process.body_bytes(), expected);
    }
    client.say(&format!("c8\r\n{}\r\n", " ".repeat(200))).await;
    let heard = client.hears("overloaded").await;
    assert!(heard.starts_with("HTTP/1.1 503"), "{heard}");
    is_free(&house).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_larger_than_the_gateway_takes_is_refused_at_its_head() {
    let gateway =
        "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMGateway\nmetadata: { name: small }\nspec: { limits: { maxBodyBytes: 1024 } }\n";
    let house = House::of(&[gateway.to_owned(), provider("alpha", ""), key("app", "")]);
    let mut client = Raw(house.line());
    client.announce("app", 1025).await;
    let heard = client.hears("body_too_large").await;
    assert!(heard.starts_with("HTTP/1.1 413") && heard.contains("1024"), "{heard}");
    let calling = house.call(Call::chat("app", "alpha/m"));
    asked(&house).await.answer(200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
}

/// A whole answer of so many bytes.
fn large(bytes: usize) -> String {
    ANSWER.replace("hello", &"x".repeat(bytes - ANSWER.len() + "hello".len()))
}

#[tokio::test(start_paused = true)]
async fn large_answers_take_room_until_their_clients_have_them_and_one_key_cannot_take_all() {
    let house = House::with(&[provider("alpha", ""), key("app", ""), key("other", "")], |settings| settings.body_memory_bytes = 400_000);
    let mut slow = Raw(house.line());
    let body = r#"{"model":"alpha/m","messages":[]}"#;
    slow.announce("app", body.len()).await;
    slow.say(body).await;
    let mut line = asked(&house).await;
    line.answer(200, &large(150_000)).await;
    elapse(10).await;
    assert_eq!(house.gateway.process.body_bytes(), 150_000, "its client does not read");

    let second = house.call(Call::chat("app", "alpha/m"));
    line.asked().await;
    let flooding = tokio::spawn(async move { line.answer_as_far_as_it_is_read(&large(150_000)).await });
    let refused = second.answer().await;
    assert_eq!((refused.status, refused.code().as_str(), refused.header("retry-after")), (503, "overloaded", "1"));
    flooding.await.expect("a provider");

    let third = house.call(Call::chat("other", "alpha/m"));
    let mut line = asked(&house).await;
    line.answer(200, ANSWER).await;
    assert_eq!(third.answer().await.status, 200, "a small answer needs no room");
    let fourth = house.call(Call::chat("other", "alpha/m"));
    line.asked().await;
    line.answer(200, &large(150_000)).await;
    assert_eq!(fourth.answer().await.body.len(), 150_000, "and another key has room of its own");

    slow.hears("\"total_tokens\":5}}").await;
    is_free(&house).await;
}
