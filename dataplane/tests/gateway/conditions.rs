//! Rules with a condition: what a call and its key say decides where the call goes.

use std::sync::Arc;

use dataplane::live::LivePolicy;
use sha2::{Digest, Sha256};
use snapshot::KeyHash;

use crate::client::Call;
use crate::house::House;
use crate::manifests::{key, provider, text_of};
use crate::provider::ANSWER;

/// A gateway that grants a team, and three providers.
fn grounds() -> Vec<String> {
    let gateway = "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMGateway\nmetadata: { name: portolan }\n\
                   spec: { teams: [{ name: research, namespaces: [default] }] }\n";
    let owner = "owner: { team: research, user: ada, application: bench, environment: prod, costCenter: c1 }";
    vec![
        gateway.to_owned(),
        provider("gold", ""),
        provider("lab", ""),
        provider("rest", ""),
        key("app", "routingPolicyRef: { name: p }"),
        key("lab", &format!("routingPolicyRef: {{ name: p }}, {owner}")),
    ]
}

/// A policy whose rules are a name, a condition (or none) and a provider each.
fn policy(rules: &[(&str, &str, &str)]) -> String {
    let rule = |(name, when, provider): &(&str, &str, &str)| {
        let when = if when.is_empty() { String::new() } else { format!("when: \"{when}\", ") };
        format!("{{ name: {name}, {when}targets: [{{ providerRef: {{ name: {provider} }} }}] }}")
    };
    let rules: Vec<String> = rules.iter().map(rule).collect();
    format!(
        "---\napiVersion: portolan.dev/v1alpha1\nkind: RoutingPolicy\nmetadata: {{ name: p }}\nspec: {{ rules: [{}] }}\n",
        rules.join(", ")
    )
}

fn world(rules: &[(&str, &str, &str)]) -> Vec<String> {
    let mut manifests = grounds();
    manifests.push(policy(rules));
    manifests
}

async fn reaches(house: &House, call: Call, host: &str) {
    let calling = house.call(call);
    let (_line, _) = house.providers.answers(host, 200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200, "{host}");
}

#[tokio::test(start_paused = true)]
async fn a_header_and_a_team_decide_where_a_call_goes() {
    let house = House::of(&world(&[
        ("gold", "'x-tier' in request.headers && request.headers['x-tier'] == 'gold'", "gold"),
        ("research", "key.team == 'research'", "lab"),
        ("rest", "", "rest"),
    ]));
    reaches(&house, Call::chat("app", "m").with("x-tier", "gold"), "gold.example").await;
    reaches(&house, Call::chat("lab", "m").with("x-tier", "gold"), "gold.example").await;
    reaches(&house, Call::chat("lab", "m"), "lab.example").await;
    reaches(&house, Call::chat("lab", "m").with("x-tier", "silver"), "lab.example").await;
    reaches(&house, Call::chat("app", "m"), "rest.example").await;
    assert!(!house.gateway.metrics.text().contains("portolan_rules_unanswered_total{"));
    for (receipt, rule) in house.receipts().iter().zip(["gold", "gold", "research", "research", "rest"]) {
        assert_eq!((receipt["rule"].as_str(), receipt["detail"].as_str()), (Some(rule), None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_condition_without_an_answer_does_not_fit_and_is_told() {
    let house = House::of(&world(&[
        ("gold", "request.headers['x-tier'] == 'gold'", "gold"),
        ("ada", "key.user == 'ada'", "lab"),
        ("rest", "", "rest"),
    ]));
    reaches(&house, Call::chat("app", "m"), "rest.example").await;
    reaches(&house, Call::chat("lab", "m"), "lab.example").await;
    reaches(&house, Call::chat("app", "m").with("x-tier", "gold"), "gold.example").await;
    let metrics = house.gateway.metrics.text();
    let counted = "portolan_rules_unanswered_total{policy=\"default/p\",why=\"no_header\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
    let receipts = house.receipts();
    let told = receipts.iter().map(|receipt| (receipt["rule"].as_str(), receipt["detail"].as_str()));
    let why = Some("rule gold has no answer: no_header");
    assert_eq!(told.collect::<Vec<_>>(), [(Some("rest"), why), (Some("ada"), why), (Some("gold"), None)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_no_condition_fits_goes_where_it_would_without_a_policy() {
    let mut manifests = world(&[("never", "request.model == 'other' || request.bytes < 0", "gold")]);
    manifests.push(provider("declaring", "models: [{ name: m }]"));
    let house = House::of(&manifests);
    reaches(&house, Call::chat("app", "m"), "declaring.example").await;
    assert_eq!(house.receipts()[0]["rule"].as_str(), None);
}

#[tokio::test(start_paused = true)]
async fn a_condition_sees_what_is_declared_and_no_credential() {
    let mut house = House::of(&world(&[("rest", "", "rest")]));
    for condition in [
        "request.model == 'm' && request.operation == 'chat'",
        "!request.stream",
        "request.bytes > 20 && request.bytes < 100",
        "request.headers['x-tier'] == 'gold' && has(request.headers.host)",
        "request.headers.exists(h, h == 'x-tier') && !request.headers.exists(h, h == 'authorization')",
        "!(('Author' + 'ization') in request.headers)",
        "key.namespace == 'default' && key.name == 'lab' && key.team == 'research'",
        "key.user == 'ada' && key.application == 'bench' && key.environment == 'prod' && key.costCenter == 'c1'",
    ] {
        house.configure(&world(&[("rule", condition, "gold"), ("rest", "", "rest")]));
        assert_eq!(house.reason("RoutingPolicy", "default", "p"), "", "{condition}");
        reaches(&house, Call::chat("lab", "m").with("x-tier", "gold"), "gold.example").await;
    }
    house.configure(&world(&[("rule", "request.stream", "gold"), ("rest", "", "rest")]));
    reaches(&house, Call::chat("lab", "m"), "rest.example").await;
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_is_refused_leaves_the_last_one_in_use() {
    let mut house = House::of(&world(&[("lab", "key.team == 'research'", "lab"), ("rest", "", "rest")]));
    house.configure(&world(&[("lab", "key.taem == 'research'", "gold"), ("rest", "", "rest")]));
    assert_eq!(house.reason("RoutingPolicy", "default", "p"), "Invalid");
    reaches(&house, Call::chat("lab", "m"), "lab.example").await;
    reaches(&house, Call::chat("app", "m"), "rest.example").await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_stays_as_it_is_is_not_compiled_again() {
    let rules = [("lab", "key.team == 'research'", "lab"), ("rest", "", "rest")];
    let mut house = House::of(&world(&rules));
    let made = |house: &House| -> Arc<LivePolicy> {
        let hash = KeyHash(Sha256::digest(text_of("lab")).into());
        let live = house.gateway.live.current().expect("a configuration");
        live.key(&hash).and_then(|key| key.policy.clone()).expect("a policy")
    };
    let first = made(&house);
    let mut manifests = world(&rules);
    manifests.push(provider("more", ""));
    house.configure(&manifests);
    assert!(Arc::ptr_eq(&first, &made(&house)), "it stayed");
    house.configure(&world(&rules[..1]));
    assert!(!Arc::ptr_eq(&first, &made(&house)), "it changed");
}
