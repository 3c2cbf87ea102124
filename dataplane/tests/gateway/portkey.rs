//! Clients of Portkey change a URL: their headers are honoured, ignored or refused, and none of them goes on to a provider.

use crate::client::Call;
use crate::house::House;
use crate::manifests::{key, policy, provider, provider_of, text_of};
use crate::provider::{ANSWER, Asked, Line, event};

fn house() -> House {
    let alpha = provider("alpha", "models: [{ name: small, aliases: [portkey-default], upstreamName: s-1 }]");
    House::of(&[
        alpha,
        provider("beta", ""),
        key("app", ""),
        key("narrow", "allow: { providers: [{ name: beta }], models: ['beta/m'] }"),
        policy("way", &["beta"], ""),
        key("led", "routingPolicyRef: { name: way }"),
    ])
}

/// Makes a call that a provider answers.
async fn answered(house: &House, call: Call, host: &str) -> (Asked, crate::client::Answer) {
    let calling = house.call(call.clone());
    let (_line, asked) = house.providers.answers(host, 200, ANSWER).await;
    assert!(!asked.head.to_lowercase().contains("portkey"), "a provider hears of no header of Portkey's: {}", asked.head);
    let answer = calling.answer().await;
    assert_eq!(answer.status, 200, "{call:?}: {}", answer.body);
    (asked, answer)
}

/// Makes a call that is refused before any provider is dialled; gives its message.
async fn refused(house: &House, call: Call, status: u16, code: &str, param: &str) -> String {
    let dialled = house.providers.dialled().len();
    let answer = house.call(call.clone()).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{call:?}: {}", answer.body);
    assert_eq!(answer.json()["error"]["param"].as_str().unwrap_or_default(), param, "{}", answer.body);
    assert_eq!(house.providers.dialled().len(), dialled, "no provider hears of it");
    answer.json()["error"]["message"].as_str().expect("a message").to_owned()
}

fn chat(model: &str) -> Call {
    Call::chat("app", model)
}

#[tokio::test(start_paused = true)]
async fn a_key_is_shown_in_portkeys_header_too() {
    let house = house();
    let own = text_of("app");
    let bare = || chat("alpha/m").showing(None).with("x-portkey-api-key", &own);
    answered(&house, bare(), "alpha.example").await;
    // What stands in the place of a key in Portkey's SDK, or is a provider's.
    answered(&house, bare().with("authorization", "Bearer OPENAI_API_KEY"), "alpha.example").await;
    let (asked, _) = answered(&house, bare().with("authorization", "Bearer sk-proj-mine"), "alpha.example").await;
    assert_eq!(asked.header("authorization"), "Bearer credential-of-alpha", "and is not passed on");
    // Ours in the usual place comes first.
    answered(&house, chat("alpha/m").with("x-portkey-api-key", "pk-of-another-house"), "alpha.example").await;
    let narrow = Call::chat("narrow", "alpha/m").with("x-portkey-api-key", &own);
    refused(&house, narrow, 404, "model_not_found", "model").await;
    let strange = chat("alpha/m").showing(Some("OPENAI_API_KEY")).with("x-portkey-api-key", "pk-of-another-house");
    refused(&house, strange, 401, "invalid_api_key", "").await;
    let mistyped = chat("m").showing(None).with("x-portkey-api-key", "sk-ptl-qckstrt2-QuickstartQuickstartQuickstart000umcFR");
    refused(&house, mistyped, 401, "mistyped_api_key", "").await;
    refused(&house, chat("m").showing(None).with("x-portkey-api-key", " "), 401, "missing_api_key", "").await;
    let listed = house.call(Call::get("app", "/v1/models").showing(None).with("x-portkey-api-key", &own)).answer().await;
    assert_eq!(listed.status, 200, "{}", listed.body);
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_named_by_a_header_or_before_the_model() {
    let house = house();
    let named = |header: &'static str, value: &str, model: &str| chat(model).with(header, value);
    for (call, host, model) in [
        (named("x-portkey-provider", "@beta", "small"), "beta.example", "small"),
        (named("x-portkey-provider", "alpha", "small"), "alpha.example", "s-1"),
        (named("x-portkey-provider", "alpha", "portkey-default"), "alpha.example", "s-1"),
        (named("x-portkey-virtual-key", "beta", "org/m"), "beta.example", "org/m"),
        (named("x-portkey-virtual-key", "beta", "m").with("x-portkey-provider", "alpha"), "beta.example", "m"),
        (named("x-portkey-config", r#"{"virtual_key":"beta"}"#, "m"), "beta.example", "m"),
        (chat("@alpha/small"), "alpha.example", "s-1"),
        (chat("@beta/x/y"), "beta.example", "x/y"),
        (named("x-portkey-provider", "beta", "@alpha/small"), "alpha.example", "s-1"),
        (chat("beta/@cf/meta/llama"), "beta.example", "@cf/meta/llama"),
        (named("x-portkey-provider", "alpha", "@cf/meta/llama"), "alpha.example", "@cf/meta/llama"),
    ] {
        let (asked, _) = answered(&house, call.clone(), host).await;
        assert_eq!(asked.body["model"], model, "{call:?}");
    }
    // The key's lists hold as if it were written `provider/model`.
    answered(&house, Call::chat("narrow", "m").with("x-portkey-provider", "@beta"), "beta.example").await;
    answered(&house, Call::chat("narrow", "@beta/m"), "beta.example").await;
    refused(&house, Call::chat("narrow", "@beta/other"), 403, "model_not_allowed", "model").await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_provider_is_refused_with_the_names_of_those_that_there_are() {
    let house = house();
    let unknown = |call, param: &'static str| refused(&house, call, 400, "provider_not_found", param);
    let said = unknown(chat("small").with("x-portkey-provider", "@openai"), "x-portkey-provider").await;
    assert!(said.contains("`openai`") && said.contains("`alpha`, `beta`"), "{said}");
    unknown(chat("small").with("x-portkey-virtual-key", "vk-1"), "x-portkey-virtual-key").await;
    unknown(chat("small").with("x-portkey-config", r#"{"provider":"@x"}"#), "x-portkey-config").await;
    unknown(chat("@openai/small"), "model").await;
    unknown(Call::chat("led", "small").with("x-portkey-provider", "openai"), "x-portkey-provider").await;
    // What the key may not use is not there for it.
    let said = unknown(Call::chat("narrow", "m").with("x-portkey-provider", "alpha"), "x-portkey-provider").await;
    assert!(said.ends_with("it may use `beta`; the name is that of an LLMProvider"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_configuration_is_the_name_of_the_keys_own_policy() {
    let house = house();
    let config = |key: &str, config: &str| Call::chat(key, "m").with("x-portkey-config", config);
    answered(&house, config("led", "way"), "beta.example").await;
    for call in [config("led", "pc-else"), config("app", "way"), config("app", r#"{"strategy":{"mode":"fallback"},"targets":[]}"#)] {
        let said = refused(&house, call, 400, "unsupported_header", "x-portkey-config").await;
        assert!(said.contains("RoutingPolicy"), "{said}");
    }
    let secret = config("app", r#"{"provider":"alpha","api_key":"sk-live-secret"}"#);
    let said = refused(&house, secret, 400, "unsupported_header", "x-portkey-config").await;
    assert!(said.contains("`api_key`") && !said.contains("sk-live-secret"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_would_lead_elsewhere_is_refused_once_the_caller_is_known() {
    let house = house();
    for (header, value) in [
        ("x-portkey-custom-host", "http://127.0.0.1:1/v1"),
        ("x-portkey-forward-headers", "cookie"),
        ("x-portkey-aws-secret-access-key", "secret"),
        ("x-portkey-default-input-guardrails", "[]"),
        ("x-portkey-request-timeout", "soon"),
    ] {
        let said = refused(&house, chat("alpha/m").with(header, value), 400, "unsupported_header", header).await;
        assert!(said.contains(header), "{said}");
        refused(&house, chat("alpha/m").showing(None).with(header, value), 401, "missing_api_key", "").await;
    }
    let anthropic = Call::post("app", "/v1/messages", r#"{"model":"alpha/m","max_tokens":1,"messages":[]}"#);
    let answer = house.call(anthropic.with("x-portkey-custom-host", "http://h")).answer().await;
    assert_eq!((answer.status, &answer.json()["type"]), (400, &serde_json::json!("error")), "in the client's dialect: {}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn what_is_ignored_changes_nothing() {
    let house = house();
    let mut call = chat("alpha/m");
    for (header, value) in [
        ("x-portkey-metadata", "{\"_user\":\"u\"}"),
        ("x-portkey-strict-open-ai-compliance", "false"),
        ("x-portkey-cache-force-refresh", "true"),
        ("x-portkey-debug", "false"),
        ("x-portkey-package-version", "portkey-2.3.4"),
        ("x-portkey-something-new", "1"),
    ] {
        call = call.with(header, value);
    }
    answered(&house, call, "alpha.example").await;
}

#[tokio::test(start_paused = true)]
async fn a_trace_is_told_back_and_stands_in_the_receipt_where_no_request_id_is() {
    let house = house();
    let traced = || chat("alpha/m").with("x-portkey-trace-id", "trace-1");
    let (_, first) = answered(&house, traced(), "alpha.example").await;
    assert_eq!((first.header("x-portkey-trace-id"), first.header("x-request-id")), ("trace-1", "trace-1"));
    let (_, second) = answered(&house, traced().with("x-request-id", "mine"), "alpha.example").await;
    assert_eq!((second.header("x-portkey-trace-id"), second.header("x-request-id")), ("trace-1", "mine"));
    let (_, third) = answered(&house, chat("alpha/m").with("x-portkey-trace-id", "no trace"), "alpha.example").await;
    assert_eq!(third.header("x-portkey-trace-id"), "", "what is not safe is not repeated");
    let requests: Vec<_> = house.receipts().into_iter().map(|receipt| receipt["request"].clone()).collect();
    assert_eq!(requests, [serde_json::json!("trace-1"), serde_json::json!("mine"), serde_json::Value::Null]);
}

#[tokio::test(start_paused = true)]
async fn a_clients_patience_shortens_the_wait_for_an_answer() {
    let house = house();
    let patient = |call: Call| call.with("x-portkey-request-timeout", "1500");
    let late = |calling: crate::client::Calling| async {
        let answer = calling.answer().await;
        assert_eq!((answer.status, answer.code().as_str(), answer.after.as_millis()), (504, "upstream_timeout", 1500));
    };
    let calling = house.call(patient(chat("alpha/m")));
    let mut line: Line = house.providers.line("alpha.example").await;
    line.asked().await;
    late(calling).await;

    // A whole answer that has begun must end in time too; a stream may take the time that it needs.
    let calling = house.call(patient(chat("alpha/m")));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.say("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{").await;
    late(calling).await;
    let calling = house.call(patient(Call::stream("app", "alpha/m")));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk(&event("a")).await;
    crate::house::elapse(3000).await;
    line.chunk(&event("b")).await;
    line.chunk(crate::provider::DONE).await;
    line.ends().await;
    let answer = calling.answer().await;
    assert!(answer.status == 200 && answer.body.contains("[DONE]") && answer.after.as_millis() >= 3000, "{}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn patience_holds_for_a_provider_that_the_gateway_plays_and_for_one_that_cannot_be_reached() {
    let simulated = "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: { name: sim }\n\
                     spec: { type: Simulated, simulated: { latencyMilliseconds: 60000 }, models: [{ name: slow }] }\n";
    let house = House::of(&[simulated.to_owned(), provider_of("Anthropic", "claude", ""), key("app", "")]);
    house.host("claude.example", crate::provider::Manner::Hangs);
    for (model, status) in [("slow", 504), ("claude/m", 502)] {
        for call in [chat(model), Call::stream("app", model)] {
            let answer = house.call(call.with("x-portkey-request-timeout", "700")).answer().await;
            assert_eq!((answer.status, answer.after.as_millis()), (status, 700), "{model}: {}", answer.body);
        }
    }
}
