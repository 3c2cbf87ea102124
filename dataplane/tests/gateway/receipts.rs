//! What the books say of a call.

use dataplane::ledger::FIELDS;
use serde_json::Value;

use crate::client::Call;
use crate::house::{House, elapse};
use crate::manifests::{key, policy, provider};
use crate::provider::{ANSWER, event};

const PRICED: &str = "models: [{ name: m, price: { inputPerMillion: '2', outputPerMillion: '10' } }]";

fn house() -> House {
    let way = policy("way", &["alpha", "beta"], "");
    let owner = "owner: { user: u, application: a, environment: e, costCenter: c }";
    House::of(&[
        provider("alpha", PRICED),
        provider("beta", PRICED),
        way,
        key("app", owner),
        key("policed", "routingPolicyRef: { name: way }"),
    ])
}

#[tokio::test(start_paused = true)]
async fn an_answered_call_has_every_field_in_order_with_its_price_and_the_catalogs_version() {
    let house = house();
    let calling = house.call(Call::chat("app", "alpha/m").with("x-request-id", "mine"));
    house.providers.answers("alpha.example", 200, ANSWER).await;
    let answer = calling.answer().await;
    let receipt = &house.receipts()[0];
    let names: Vec<&str> = receipt.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, FIELDS.map(|(name, _)| name));
    assert_eq!(receipt["catalog"], catalog::version());
    assert_eq!(receipt["usage"]["prompt"], 3);
    assert_eq!(receipt["cost_nano_usd"], 3 * 2_000 + 2 * 10_000, "3 tokens at 2 and 2 at 10 dollars a million");
    assert_eq!((&receipt["request"], &receipt["call"]), (&"mine".into(), &answer.header("x-portolan-call-id").into()));
    let owner = ["key", "team", "user", "application", "environment", "cost_center"].map(|name| receipt[name].as_str().unwrap_or("?"));
    assert_eq!(owner, ["default/app", "default", "u", "a", "e", "c"]);
    assert_eq!((&receipt["priced"], &receipt["model_served"], &receipt["detail"]), (&true.into(), &"m-1".into(), &Value::Null));
    assert_eq!(receipt["answer_bytes"], ANSWER.len());
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_client_left_names_whom_it_was_asked_of_all_the_same() {
    let house = house();
    let calling = house.call(Call::chat("policed", "m"));
    house.providers.answers("alpha.example", 500, "{}").await;
    let mut line = house.providers.line("beta.example").await;
    line.asked().await;
    elapse(100).await;
    calling.leaves().await;
    house.settle().await;
    let receipt = &house.receipts()[0];
    assert_eq!((&receipt["outcome"], &receipt["status"]), (&"client_gone".into(), &0.into()));
    assert_eq!((&receipt["provider"], &receipt["attempts"], &receipt["upstream_model"]), (&"default/beta".into(), &2.into(), &"m".into()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_says_what_went_wrong_last() {
    let house = house();
    let calling = house.call(Call::stream("policed", "m"));
    house.providers.answers("alpha.example", 500, "{}").await;
    let mut line = house.providers.line("beta.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk(&event("one")).await;
    house.settle().await;
    drop(line);
    calling.answer().await;
    let receipt = &house.receipts()[0];
    assert_eq!((&receipt["outcome"], &receipt["detail"]), (&"failed".into(), &"after the first byte: stream_broken".into()));
}
