//! When the next target is tried, and when not.

use std::collections::BTreeSet;

use snapshot::FailureClass;

use crate::client::{Answer, Call};
use crate::house::{House, elapse};
use crate::manifests::{key, policy, provider};
use crate::provider::{ANSWER, DONE, Line, Manner, event};

const BROKEN: &str = r#"{"error":{"message":"it broke","type":"server_error"}}"#;
const POLICED: &str = "routingPolicyRef: { name: way }";

fn house(targets: &[&str], fallback_on: &str) -> House {
    let mut manifests: Vec<String> = targets.iter().map(|name| provider(name, "timeouts: { firstByteMilliseconds: 700 }")).collect();
    manifests.extend([policy("way", targets, fallback_on), key("app", POLICED), key("plain", "")]);
    House::of(&manifests)
}

#[tokio::test(start_paused = true)]
async fn targets_are_tried_in_the_order_of_the_policy_until_one_answers() {
    let house = house(&["gamma", "alpha", "beta"], "");
    let calling = house.call(Call::chat("app", "m"));
    house.providers.answers("gamma.example", 500, BROKEN).await;
    house.providers.answers("alpha.example", 503, BROKEN).await;
    let (_line, asked) = house.providers.answers("beta.example", 200, ANSWER).await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ANSWER));
    assert_eq!(asked.body["model"], "m", "each target is asked for what the client wrote");
    assert_eq!(house.providers.dialled(), ["gamma.example", "alpha.example", "beta.example"]);
    let receipt = &house.receipts()[0];
    assert_eq!((&receipt["attempts"], &receipt["provider"], &receipt["rule"]), (&3.into(), &"default/beta".into(), &"only".into()));
}

#[tokio::test(start_paused = true)]
async fn when_every_target_fails_the_client_is_told_of_the_last() {
    let house = house(&["alpha", "beta"], "");
    let calling = house.call(Call::chat("app", "m"));
    house.providers.answers("alpha.example", 500, BROKEN).await;
    let mut line = house.providers.line("beta.example").await;
    line.asked().await;
    line.say("HTTP/1.1 429 Slow\r\nretry-after: 17\r\ncontent-length: 0\r\n\r\n").await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.code().as_str(), answer.header("retry-after")), (429, "upstream_rate_limited", "17"));
    assert!(answer.body.contains("`beta`"), "{}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_nothing_is_tried_twice() {
    let house = house(&["alpha", "beta"], "");
    let calling = house.call(Call::chat("plain", "alpha/m"));
    house.providers.answers("alpha.example", 500, BROKEN).await;
    assert_eq!(calling.answer().await.status, 502);
    assert_eq!(house.providers.dialled(), ["alpha.example"]);
}

/// The names of classes in manifests.
fn names(classes: &BTreeSet<FailureClass>) -> String {
    let names: Vec<String> = classes.iter().map(|class| format!("{class:?}")).collect();
    format!("fallbackOn: [{}]", names.join(", "))
}

/// Lets `alpha` fail in this class.
async fn fail(house: &House, class: FailureClass) -> Option<Line> {
    let told = |status, error: &str| (status, format!("{{\"error\":{{\"message\":\"no\",{error}}}}}"));
    let (status, body) = match class {
        FailureClass::RateLimited => told(429, r#""type":"requests""#),
        FailureClass::Overloaded => told(503, r#""type":"server_error""#),
        FailureClass::QuotaExceeded => told(429, r#""code":"insufficient_quota""#),
        FailureClass::AuthFailed => told(401, r#""type":"invalid_request_error""#),
        FailureClass::BadRequest => told(400, r#""type":"invalid_request_error""#),
        FailureClass::ContextLengthExceeded => told(400, r#""code":"context_length_exceeded""#),
        FailureClass::ContentFiltered => told(400, r#""code":"content_filter""#),
        FailureClass::NotFound => told(404, r#""code":"model_not_found""#),
        FailureClass::ServerError => told(500, r#""type":"server_error""#),
        FailureClass::ConnectError => {
            house.host("alpha.example", Manner::Refuses);
            return None;
        }
        FailureClass::Timeout => {
            let mut line = house.providers.line("alpha.example").await;
            line.asked().await;
            elapse(700).await;
            return Some(line);
        }
        FailureClass::InvalidResponse => (200, "<html>hello</html>".to_owned()),
        FailureClass::StreamBroken => {
            let mut line = house.providers.line("alpha.example").await;
            line.asked().await;
            line.say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await;
            return None;
        }
    };
    Some(house.providers.answers("alpha.example", status, &body).await.0)
}

async fn called(class: FailureClass, fallback_on: &BTreeSet<FailureClass>) -> (Answer, Vec<String>) {
    let house = house(&["alpha", "beta"], &names(fallback_on));
    let calling = house.call(Call::chat("app", "m"));
    let _line = fail(&house, class).await;
    let providers = house.providers.clone();
    let second = tokio::spawn(async move { providers.answers("beta.example", 200, ANSWER).await });
    let answer = calling.answer().await;
    second.abort();
    (answer, house.providers.dialled())
}

#[tokio::test(start_paused = true)]
async fn each_class_of_failure_leads_to_the_next_target_when_the_policy_names_it_and_only_then() {
    for class in FailureClass::ALL {
        let (answer, dialled) = called(class, &[class].into()).await;
        assert_eq!((answer.status, dialled.len()), (200, 2), "{class:?} alone is named: {}", answer.body);
        let others = FailureClass::ALL.into_iter().filter(|other| *other != class).collect();
        let (answer, dialled) = called(class, &others).await;
        assert_ne!(answer.status, 200, "{class:?} alone is not named");
        assert_eq!(dialled, ["alpha.example"], "{class:?} alone is not named");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_again_once_the_client_has_a_byte() {
    let house = house(&["alpha", "beta"], &names(&FailureClass::ALL.into()));
    let calling = house.call(Call::stream("app", "m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk(&event("one")).await;
    house.settle().await;
    drop(line);
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.whole), (200, true));
    assert!(answer.body.contains("one") && answer.body.contains("upstream_stream_broken"), "{}", answer.body);
    assert!(!answer.body.contains("[DONE]"), "a broken stream has no terminal event: {}", answer.body);
    assert_eq!(house.providers.dialled(), ["alpha.example"]);
    let receipts = house.receipts();
    assert_eq!((receipts.len(), &receipts[0]["outcome"], &receipts[0]["code"]), (1, &"failed".into(), &"stream_broken".into()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_without_its_terminal_event_is_a_broken_one() {
    let house = house(&["alpha", "beta"], "");
    let calling = house.call(Call::stream("app", "m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk(&event("one")).await;
    line.ends().await;
    let answer = calling.answer().await;
    assert!(answer.body.contains("upstream_stream_broken"), "{}", answer.body);
    assert_eq!(house.receipts()[0]["outcome"], "failed");
}

#[tokio::test(start_paused = true)]
async fn the_first_event_of_a_stream_decides_the_status() {
    let house = house(&["alpha"], "");
    let calling = house.call(Call::stream("app", "m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk(": a keep-alive decides nothing\n\n").await;
    elapse(100).await;
    assert!(!calling.is_answered());
    line.chunk("data: {\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\"}}\n\n").await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "upstream_rate_limited"));
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_first_event_is_an_error_leads_to_the_next_target() {
    let house = house(&["alpha", "beta"], "");
    let calling = house.call(Call::stream("app", "m"));
    let mut first = house.providers.line("alpha.example").await;
    first.asked().await;
    first.begins().await;
    first.chunk("data: {\"error\":{\"message\":\"full\",\"code\":\"overloaded\"}}\n\n").await;
    let mut second = house.providers.line("beta.example").await;
    second.asked().await;
    second.begins().await;
    second.chunk(&(event("from beta") + DONE)).await;
    second.ends().await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.body.contains("full"), answer.body.contains("from beta")), (200, false, true), "{}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn a_head_without_an_event_commits_to_nothing() {
    let house = house(&["alpha"], "");
    let (io, clock) = (house.line(), house.clock.clone());
    let began = clock.now();
    let sending = tokio::spawn(crate::client::send(io, Call::stream("app", "m").request()));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    elapse(500).await;
    assert!(!sending.is_finished(), "the client has no status yet");
    line.chunk(&event("one")).await;
    let (response, _open) = sending.await.expect("a head");
    assert_eq!((response.status().as_u16(), (clock.now() - began).as_millis()), (200, 500), "the first event is not held back");
}
