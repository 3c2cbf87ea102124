//! What the metrics say: closed words and ids of the configuration, never a client's text.

use crate::client::Call;
use crate::house::{House, elapse};
use crate::manifests::{key, provider};
use crate::provider::{ANSWER, DONE, event};

const PRICED: &str = "models: [{ name: m, price: { inputPerMillion: '2', outputPerMillion: '10' } }]";

fn house() -> House {
    House::of(&[provider("alpha", PRICED), provider("beta", ""), key("app", "")])
}

/// The value of a series, written as Prometheus writes it.
fn value(house: &House, series: &str) -> Option<f64> {
    let text = (house.gateway.admin_state().metrics_text)();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().expect("a number"))
}

#[tokio::test(start_paused = true)]
async fn an_answered_call_is_counted_with_its_tokens_and_its_cost() {
    let house = house();
    let calling = house.call(Call::chat("app", "alpha/m"));
    house.providers.answers("alpha.example", 200, ANSWER).await;
    calling.answer().await;
    house.settle().await;
    for (series, expected) in [
        (r#"portolan_calls_total{outcome="answered",surface="chat_completions"}"#, 1.0),
        (r#"portolan_calls_total{outcome="failed",surface="chat_completions"}"#, 0.0),
        (r#"portolan_attempts_total{provider="default/alpha",result="ok"}"#, 1.0),
        (r#"portolan_tokens_total{kind="prompt",provider="default/alpha"}"#, 3.0),
        (r#"portolan_tokens_total{kind="completion",provider="default/alpha"}"#, 2.0),
        (r#"portolan_cost_nano_usd_total{provider="default/alpha"}"#, 26_000.0),
        (r#"portolan_unpriced_calls_total{provider="default/alpha"}"#, 0.0),
        (r#"portolan_call_seconds_count{surface="chat_completions"}"#, 1.0),
    ] {
        assert_eq!(value(&house, series), Some(expected), "{series}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_no_price_is_known_for_is_counted_as_that_and_not_as_free() {
    let house = house();
    let calling = house.call(Call::chat("app", "beta/m"));
    house.providers.answers("beta.example", 200, ANSWER).await;
    calling.answer().await;
    house.settle().await;
    assert_eq!(value(&house, r#"portolan_unpriced_calls_total{provider="default/beta"}"#), Some(1.0));
    assert_eq!(value(&house, r#"portolan_cost_nano_usd_total{provider="default/beta"}"#), Some(0.0));
    let receipt = &house.receipts()[0];
    assert_eq!((&receipt["priced"], &receipt["cost_nano_usd"]), (&false.into(), &serde_json::Value::Null));
}

#[tokio::test(start_paused = true)]
async fn the_overhead_is_the_gateways_own_time_without_the_wait_for_the_provider() {
    let house = house();
    let calling = house.call(Call::chat("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    elapse(400).await;
    line.answer(200, ANSWER).await;
    calling.answer().await;
    house.settle().await;
    // The clock stood still but for the provider's time; the first bucket ends at 50 microseconds.
    assert_eq!(value(&house, r#"portolan_gateway_overhead_seconds_bucket{le="0.00005"}"#), Some(1.0));
    let first_byte = value(&house, r#"portolan_first_byte_seconds_sum{surface="chat_completions"}"#);
    assert!(first_byte.is_some_and(|seconds| (0.4..0.41).contains(&seconds)), "{first_byte:?}");
    let receipt = &house.receipts()[0];
    let times = ["first_byte_us", "upstream_us", "overhead_us"].map(|name| receipt[name].as_u64().expect("a time") / 1000);
    assert_eq!(times, [400, 400, 0], "in milliseconds");
}

#[tokio::test(start_paused = true)]
async fn refusals_and_failures_are_counted_by_their_words() {
    let house = house();
    house.call(Call::chat("app", "nowhere")).answer().await;
    house.call(Call::chat("app", "alpha/m").showing(None)).answer().await;
    let calling = house.call(Call::chat("app", "alpha/m"));
    house.providers.answers("alpha.example", 500, "{}").await;
    calling.answer().await;
    house.settle().await;
    for (series, expected) in [
        (r#"portolan_refusals_total{code="model_not_found"}"#, 1.0),
        (r#"portolan_refusals_total{code="missing_api_key"}"#, 1.0),
        (r#"portolan_calls_total{outcome="refused",surface="chat_completions"}"#, 2.0),
        (r#"portolan_calls_total{outcome="failed",surface="chat_completions"}"#, 1.0),
        (r#"portolan_attempts_total{provider="default/alpha",result="server_error"}"#, 1.0),
        (r#"portolan_attempts_total{provider="default/alpha",result="ok"}"#, 0.0),
    ] {
        assert_eq!(value(&house, series), Some(expected), "{series}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_shown_while_it_runs() {
    let house = house();
    let calling = house.call(Call::stream("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    assert_eq!(value(&house, "portolan_calls_in_flight"), Some(1.0));
    assert!(value(&house, "portolan_body_bytes").is_some_and(|bytes| bytes > 0.0), "a body is kept until a provider answers");
    line.begins().await;
    line.chunk(&event("one")).await;
    line.chunk(DONE).await;
    line.ends().await;
    calling.answer().await;
    house.settle().await;
    assert_eq!(value(&house, "portolan_calls_in_flight"), Some(0.0));
    assert_eq!(value(&house, "portolan_body_bytes"), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn whatever_clients_write_adds_no_series() {
    let house = house();
    let series = || (house.gateway.admin_state().metrics_text)().lines().filter(|line| !line.starts_with('#')).count();
    let strange = async |text: String| {
        let body = serde_json::json!({ "model": text, "user": text, "messages": [{ "role": "user", "content": text }] }).to_string();
        house.call(Call::post("app", "/v1/chat/completions", &body)).answer().await;
        let body = body.replace(&text, &format!("beta/{text}"));
        let calling = house.call(Call::post("app", "/v1/chat/completions", &body));
        house.providers.answers("beta.example", 200, ANSWER).await;
        calling.answer().await;
        house.call(Call::chat("app", "m").showing(Some(&text))).answer().await;
        house.call(Call::get("app", "/v1/strange")).answer().await;
        house.settle().await;
    };
    strange("strange-0".to_owned()).await;
    let before = series();
    for number in 1..8 {
        strange(format!("strange-{number}")).await;
    }
    assert_eq!(series(), before);
    let text = (house.gateway.admin_state().metrics_text)();
    assert!(!text.contains("strange"), "{text}");
}
