//! A configuration that changes while calls run: each sees one.

use crate::client::{Call, Raw};
use crate::house::House;
use crate::manifests::{key, policy, provider, with_credential};
use crate::provider::{ANSWER, DONE, event};

const POLICED: &str = "routingPolicyRef: { name: way }";

fn before() -> [String; 4] {
    [provider("alpha", ""), provider("beta", ""), policy("way", &["alpha", "beta"], ""), key("app", POLICED)]
}

/// The same with another second target, and other credentials.
fn after() -> [String; 5] {
    let other =
        |name: &str| with_credential(name, "another", &format!("endpoint: {{ url: 'http://{name}.example/v1', allowInsecure: true }}"));
    [other("alpha"), other("beta"), provider("gamma", ""), policy("way", &["gamma"], ""), key("app", POLICED)]
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_with_the_configuration_that_it_began_with() {
    let mut house = House::of(&before());
    let first = house.gateway.live.current().expect("a configuration").revision.text.to_string();
    let calling = house.call(Call::chat("app", "m"));
    let mut line = house.providers.line("alpha.example").await;
    assert_eq!(line.asked().await.header("authorization"), "Bearer credential-of-alpha");
    let second = house.configure(&after()).text.to_string();
    assert_ne!(first, second);
    line.answer(500, "{}").await;
    let (_beta, asked) = house.providers.answers("beta.example", 200, ANSWER).await;
    assert_eq!(asked.header("authorization"), "Bearer credential-of-beta", "the second attempt too is of the first configuration");
    assert_eq!(calling.answer().await.status, 200);

    let calling = house.call(Call::chat("app", "m"));
    house.providers.answers("gamma.example", 200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
    let revisions: Vec<_> = house.receipts().iter().map(|receipt| receipt["revision"].as_str().map(str::to_owned)).collect();
    assert_eq!(revisions, [Some(first), Some(second)]);
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_comes_while_a_body_is_read_is_for_the_next_call() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let mut house = House::of(&before());
    let first = house.gateway.live.current().expect("a configuration").revision.text.to_string();
    let mut client = Raw(house.line());
    client.announce("app", body.len()).await;
    client.say(&body[..9]).await;
    house.settle().await;
    house.configure(&after());
    client.say(&body[9..]).await;
    let (_line, asked) = house.providers.answers("alpha.example", 200, ANSWER).await;
    assert_eq!(asked.header("authorization"), "Bearer credential-of-alpha");
    client.hears("hello").await;
    assert_eq!(house.receipts()[0]["revision"], first);
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_its_key_and_the_next_call_does_not() {
    let mut house = House::of(&before());
    let calling = house.call(Call::stream("app", "m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk(&event("one")).await;
    house.settle().await;
    house.configure(&[]);
    let refused = house.call(Call::chat("app", "m")).answer().await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "invalid_api_key"));
    line.chunk(&(event("two") + DONE)).await;
    line.ends().await;
    let answer = calling.answer().await;
    assert!(answer.whole && answer.body.contains("two") && answer.body.ends_with(DONE), "{}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn what_a_key_has_in_flight_counts_on_over_a_change() {
    let keyed = |more: &str| [provider("alpha", more), key("app", "maxInFlight: 1")];
    let mut house = House::of(&keyed(""));
    let calling = house.call(Call::chat("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    house.configure(&keyed("models: [{ name: m }]"));
    let second = house.call(Call::chat("app", "alpha/m")).answer().await;
    assert_eq!((second.status, second.code().as_str()), (429, "too_many_in_flight"));
    line.answer(200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
    house.settle().await;
    let third = house.call(Call::chat("app", "alpha/m"));
    line.asked().await;
    line.answer(200, ANSWER).await;
    assert_eq!(third.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn connections_outlive_a_change_that_is_not_of_their_endpoint() {
    let mut house = House::of(&before());
    let calling = house.call(Call::chat("app", "alpha/m"));
    let (mut line, _) = house.providers.answers("alpha.example", 200, ANSWER).await;
    calling.answer().await;
    let mut changed = before();
    changed[0] = with_credential("alpha", "another", "endpoint: { url: 'http://alpha.example/v1', allowInsecure: true }");
    house.configure(&changed);
    let calling = house.call(Call::chat("app", "alpha/m"));
    assert_eq!(line.asked().await.header("authorization"), "Bearer another");
    line.answer(200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
    assert_eq!(house.providers.dialled(), ["alpha.example"]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_endpoint_is_dialled_anew() {
    let mut house = House::of(&before());
    let calling = house.call(Call::chat("app", "alpha/m"));
    let (_line, _) = house.providers.answers("alpha.example", 200, ANSWER).await;
    calling.answer().await;
    let mut changed = before();
    changed[0] = with_credential("alpha", "another", "endpoint: { url: 'http://elsewhere.example/v1', allowInsecure: true }");
    house.configure(&changed);
    let calling = house.call(Call::chat("app", "m"));
    let (_line, asked) = house.providers.answers("elsewhere.example", 200, ANSWER).await;
    assert_eq!((asked.header("authorization"), asked.header("host")), ("Bearer another", "elsewhere.example"));
    assert_eq!(calling.answer().await.status, 200);
}
