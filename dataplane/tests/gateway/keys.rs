//! What a key may do, and until when.

use dataplane::auth;
use dataplane::exchange::Refusal;
use http::HeaderMap;

use crate::client::{Call, Raw};
use crate::house::House;
use crate::manifests::{key, policy, provider, text_of};
use crate::provider::ANSWER;

/// 2100-01-01T00:00:00Z, in milliseconds.
const EXPIRY: u64 = 4_102_444_800_000;

fn house(more: &str) -> House {
    let alpha = provider("alpha", "models: [{ name: small, aliases: [tiny], upstreamName: s-1 }, { name: large }]");
    House::of(&[alpha, provider("beta", "models: [{ name: other }]"), key("app", more)])
}

/// Makes a call that a provider answers.
async fn answered(house: &House, call: Call, host: &str) {
    let calling = house.call(call.clone());
    let (_line, _) = house.providers.answers(host, 200, ANSWER).await;
    let answer = calling.answer().await;
    assert_eq!(answer.status, 200, "{call:?}: {}", answer.body);
}

/// Makes a call that is refused before any provider is dialled.
async fn refused(house: &House, call: Call, status: u16, code: &str) -> String {
    let dialled = house.providers.dialled().len();
    let answer = house.call(call.clone()).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{call:?}: {}", answer.body);
    assert_eq!(house.providers.dialled().len(), dialled, "no provider hears of it");
    answer.body
}

#[test]
fn a_key_expires_at_its_very_second() {
    let house = house("expiresAt: '2100-01-01T00:00:00Z'");
    let live = house.gateway.live.current().expect("a configuration");
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", text_of("app").parse().expect("a header"));
    assert!(auth::identify(&live, &headers, EXPIRY - 1).is_ok(), "good in the last millisecond before");
    assert!(matches!(auth::identify(&live, &headers, EXPIRY), Err(Refusal::KeyExpired)), "no good from the first millisecond on");
}

#[tokio::test(start_paused = true)]
async fn the_wall_clock_decides_whether_a_key_has_expired() {
    let house = house("expiresAt: '2100-01-01T00:00:00Z'");
    let to =
        |target: u64| house.clock.shift_wall_ms(i64::try_from(target).expect("fits") - i64::try_from(house.clock.unix_ms()).expect("fits"));
    to(EXPIRY - 60_000);
    answered(&house, Call::chat("app", "small"), "alpha.example").await;
    to(EXPIRY);
    refused(&house, Call::chat("app", "small"), 401, "expired_api_key").await;
    refused(&house, Call::get("app", "/v1/models"), 401, "expired_api_key").await;
    to(EXPIRY - 60_000);
    let calling = house.call(Call::get("app", "/v1/models"));
    assert_eq!(calling.answer().await.status, 200, "a wall clock that was set back is believed");
}

#[tokio::test(start_paused = true)]
async fn a_suspended_key_is_refused_until_it_is_resumed() {
    let mut house = house("suspend: true");
    refused(&house, Call::chat("app", "small"), 401, "suspended_api_key").await;
    refused(&house, Call::get("app", "/v1/models"), 401, "suspended_api_key").await;
    house.configure(&[provider("alpha", ""), key("app", "suspend: false")]);
    answered(&house, Call::chat("app", "alpha/m"), "alpha.example").await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_missing_mistyped_or_unknown_is_told_apart() {
    let house = house("");
    let call = || Call::chat("app", "small");
    refused(&house, call().showing(None), 401, "missing_api_key").await;
    refused(&house, call().showing(Some("sk-ptl-qckstrt2-QuickstartQuickstartQuickstart000umcFR")), 401, "mistyped_api_key").await;
    refused(&house, call().showing(Some("sk-ptl-qckstrt2-QuickstartQuickstartQuickstart000umcFQ")), 401, "invalid_api_key").await;
    refused(&house, call().showing(Some("anything")), 401, "invalid_api_key").await;
}

#[tokio::test(start_paused = true)]
async fn a_list_of_models_allows_what_it_names_and_nothing_else() {
    let house = house("allow: { models: ['sm*'] }");
    answered(&house, Call::chat("app", "small"), "alpha.example").await;
    for model in ["large", "other", "alpha/large", "alpha/undeclared"] {
        refused(&house, Call::chat("app", model), 403, "model_not_allowed").await;
    }
    assert_eq!(listed(&house).await, ["small", "tiny"], "an alias of an allowed model is allowed");
}

#[tokio::test(start_paused = true)]
async fn an_alias_and_a_providers_own_name_count_as_the_declared_model() {
    let house = house("allow: { models: [small] }");
    let mut line = None;
    for model in ["small", "tiny", "alpha/small", "alpha/tiny"] {
        let calling = house.call(Call::chat("app", model));
        let mut open = match line.take() {
            Some(line) => line,
            None => house.providers.line("alpha.example").await,
        };
        assert_eq!(open.asked().await.body["model"], "s-1", "{model}");
        open.answer(200, ANSWER).await;
        assert_eq!(calling.answer().await.status, 200, "{model}");
        line = Some(open);
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_models_holds_against_a_policy_too() {
    let way = policy("way", &["alpha"], "");
    let limited = key("app", "routingPolicyRef: { name: way }, allow: { models: [small] }");
    let house = House::of(&[provider("alpha", ""), way, limited]);
    refused(&house, Call::chat("app", "large"), 403, "model_not_allowed").await;
    answered(&house, Call::chat("app", "small"), "alpha.example").await;
}

#[tokio::test(start_paused = true)]
async fn a_list_of_providers_hides_all_others() {
    let house = house("allow: { providers: [{ name: beta }] }");
    answered(&house, Call::chat("app", "other"), "beta.example").await;
    for model in ["small", "alpha/small", "alpha/m"] {
        refused(&house, Call::chat("app", model), 404, "model_not_found").await;
    }
    let near = refused(&house, Call::chat("app", "smal"), 404, "model_not_found").await;
    assert!(!near.contains("small"), "what is hidden is not offered: {near}");
    assert_eq!(listed(&house).await, ["other"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_providers_takes_targets_out_of_a_policy() {
    let way = policy("way", &["alpha", "beta"], "");
    let limited = key("app", "routingPolicyRef: { name: way }, allow: { providers: [{ name: beta }] }");
    let shut_out = key("none", "routingPolicyRef: { name: way }, allow: { providers: [{ name: gamma }] }");
    let house = House::of(&[provider("alpha", ""), provider("beta", ""), provider("gamma", ""), way, limited, shut_out]);
    answered(&house, Call::chat("app", "m"), "beta.example").await;
    assert_eq!(house.providers.dialled(), ["beta.example"]);
    refused(&house, Call::chat("none", "m"), 403, "model_not_allowed").await;
}

#[tokio::test(start_paused = true)]
async fn a_list_of_operations_refuses_the_others_before_their_body() {
    let house = house("allow: { operations: [Embeddings] }");
    refused(&house, Call::post("app", "/v1/messages", "not even JSON"), 403, "operation_not_allowed").await;
    refused(&house, Call::post("app", "/v1/completions", "not even JSON"), 403, "operation_not_allowed").await;
    let mut client = Raw(house.line());
    client.announce("app", 1_000_000).await;
    let heard = client.hears("operation_not_allowed").await;
    assert!(heard.starts_with("HTTP/1.1 403"), "without a byte of its body: {heard}");
    answered(&house, Call::post("app", "/v1/embeddings", r#"{"model":"small","input":"hi"}"#), "alpha.example").await;
}

#[tokio::test(start_paused = true)]
async fn a_model_is_looked_up_by_every_name_that_a_call_could_use() {
    let house = house("allow: { models: [small] }");
    for (path, id, owner) in [
        ("/v1/models/small", "small", "alpha"),
        ("/v1/models/tiny", "tiny", "alpha"),
        ("/v1/models/alpha/small", "alpha/small", "alpha"),
        ("/v1/models/alpha%2Fsmall", "alpha/small", "alpha"),
    ] {
        let answer = house.call(Call::get("app", path)).answer().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!((&answer.json()["id"], &answer.json()["owned_by"]), (&id.into(), &owner.into()), "{path}");
    }
    refused(&house, Call::get("app", "/v1/models/alpha%2Flarge"), 403, "model_not_allowed").await;
    refused(&house, Call::get("app", "/v1/models/smal"), 404, "model_not_found").await;
}

async fn listed(house: &House) -> Vec<String> {
    let list = house.call(Call::get("app", "/v1/models")).answer().await.json();
    list["data"].as_array().expect("a list").iter().map(|model| model["id"].as_str().expect("an id").to_owned()).collect()
}
