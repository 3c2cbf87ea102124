//! Every time limit, at its very millisecond.

use std::time::Duration;

use crate::client::{Call, Raw};
use crate::house::{BODY_IDLE, HEADER_TIME, House, elapse};
use crate::manifests::{key, provider};
use crate::provider::{ANSWER, DONE, Manner, event};

const LIMITS: &str = "timeouts: { connectMilliseconds: 250, firstByteMilliseconds: 700, idleMilliseconds: 400, totalMilliseconds: 2000 }";

fn house() -> House {
    House::of(&[provider("alpha", LIMITS), key("app", "")])
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_cannot_be_connected_to_is_given_up_at_the_connect_time() {
    let house = house();
    house.host("alpha.example", Manner::Hangs);
    let calling = house.call(Call::chat("app", "alpha/m"));
    elapse(249).await;
    assert!(!calling.is_answered());
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.code().as_str(), answer.after), (502, "upstream_unreachable", ms(250)));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_says_nothing_is_given_up_at_the_first_byte_time() {
    let house = house();
    let calling = house.call(Call::chat("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.code().as_str(), answer.after), (504, "upstream_timeout", ms(700)));
    line.left().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_the_last_millisecond_of_the_first_byte_time_is_an_answer() {
    let house = house();
    let calling = house.call(Call::chat("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    elapse(699).await;
    line.answer(200, ANSWER).await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.after), (200, ms(699)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_a_head_and_no_event_is_given_up_at_the_first_byte_time_of_the_call() {
    let house = House::of(&[provider("alpha", "timeouts: { firstByteMilliseconds: 700 }"), key("app", "")]);
    let calling = house.call(Call::stream("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    elapse(300).await;
    line.begins().await;
    elapse(300).await;
    line.chunk(": a keep-alive is no event\n\n").await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.code().as_str(), answer.after), (504, "upstream_timeout", ms(700)));
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_stalls_is_given_up_at_the_idle_time_after_its_last_byte() {
    let house = house();
    let calling = house.call(Call::chat("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.say("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{").await;
    elapse(150).await;
    line.say("\"id\"").await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.code().as_str(), answer.after), (504, "upstream_timeout", ms(550)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stalls_tells_its_client_at_the_idle_time_after_its_last_byte() {
    let house = house();
    let calling = house.call(Call::stream("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk(&event("one")).await;
    elapse(399).await;
    line.chunk(&event("two")).await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.after, answer.whole), (200, ms(799), true));
    assert!(answer.body.contains("one") && answer.body.contains("two"), "{}", answer.body);
    let last = answer.body.trim_end().rsplit("\n\n").next().unwrap_or_default();
    assert!(last.contains("upstream_timeout"), "the last event is the error: {}", answer.body);
    let receipts = house.receipts();
    assert_eq!((receipts.len(), &receipts[0]["outcome"], &receipts[0]["code"]), (1, &"failed".into(), &"timeout".into()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_drips_is_cut_at_the_total_time() {
    let house = house();
    let calling = house.call(Call::stream("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    let dripping = tokio::spawn(async move {
        for _ in 0..19 {
            line.chunk(&event("drip")).await;
            elapse(105).await;
        }
        line.left().await;
    });
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.after), (200, ms(2000)));
    assert!(answer.body.contains("upstream_timeout"), "{}", answer.body);
    dripping.await.expect("the gateway left the provider");
}

#[tokio::test(start_paused = true)]
async fn the_total_time_bounds_connecting_and_the_first_byte_too() {
    let limits = "timeouts: { connectMilliseconds: 5000, firstByteMilliseconds: 5000, totalMilliseconds: 300 }";
    let house = House::of(&[provider("alpha", limits), provider("beta", limits), key("app", "")]);
    house.host("beta.example", Manner::Hangs);
    for (model, code) in [("alpha/m", "upstream_timeout"), ("beta/m", "upstream_unreachable")] {
        let answer = house.call(Call::chat("app", model)).answer().await;
        assert_eq!((answer.code().as_str(), answer.after), (code, ms(300)), "{model}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_within_all_limits_takes_as_long_as_it_takes() {
    let house = house();
    let calling = house.call(Call::stream("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    elapse(699).await;
    line.begins().await;
    for _ in 0..3 {
        line.chunk(&event("piece")).await;
        elapse(399).await;
    }
    line.chunk(DONE).await;
    line.ends().await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.after), (200, ms(699 + 3 * 399)));
    assert!(answer.body.ends_with(DONE), "{}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_end_its_head_is_closed_at_the_header_time() {
    let house = house();
    let began = house.clock.now();
    let mut client = Raw(house.line());
    client.say("POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\n").await;
    client.hears_the_end().await;
    assert_eq!(house.clock.now() - began, HEADER_TIME);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_next_call_is_closed_at_the_header_time() {
    let house = house();
    let mut client = Raw(house.line());
    client.say("GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n").await;
    client.hears("missing_api_key").await;
    let answered = house.clock.now();
    client.hears_the_end().await;
    assert_eq!(house.clock.now() - answered, HEADER_TIME);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_refused_at_the_idle_time_after_its_last_byte() {
    let house = house();
    let mut client = Raw(house.line());
    client.announce("app", 100).await;
    elapse(1000).await;
    client.say("{\"model\":").await;
    let last = house.clock.now();
    let heard = client.hears("body_timeout").await;
    assert_eq!(house.clock.now() - last, BODY_IDLE);
    assert!(heard.starts_with("HTTP/1.1 408"), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_refused_after_five_minutes() {
    let house = house();
    let mut client = Raw(house.line());
    client.announce("app", 100).await;
    let began = house.clock.now();
    for _ in 0..30 {
        client.say(" ").await;
        elapse(9_990).await;
    }
    let heard = client.hears("body_timeout").await;
    assert_eq!(house.clock.now() - began, Duration::from_secs(300));
    assert!(heard.starts_with("HTTP/1.1 408"), "{heard}");
}
