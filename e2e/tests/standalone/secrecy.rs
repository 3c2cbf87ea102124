//! What is said in calls stays in calls: no log, no metric and no admin page repeats it; and no client can grow a metric.

use std::collections::BTreeSet;

use e2e::client::{Wire, chat, post, posting};
use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::upstream::{self, Asked, Step, Upstream, chunk, events, last_chunk, stream_head};
use serde_json::json;

/// Stands in everything that is said, by either side.
const CANARY: &str = "canary-4711";

/// One way to answer for each call, told by a word in the body: all the ways to go well and wrong.
fn script(asked: &Asked) -> Vec<Step> {
    let text = String::from_utf8_lossy(&asked.body).into_owned();
    let event = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{CANARY}\"}},\"finish_reason\":null}}]}}\n\n");
    let error = |kind: &str| json!({"error": {"message": CANARY, "type": kind, "code": CANARY, "param": CANARY}}).to_string();
    match ["bad", "broken", "html", "inside", "garbage", "cut", "late"].into_iter().find(|word| text.contains(&format!("to-be-{word}"))) {
        Some("bad") => upstream::json(400, &error("invalid_request_error")),
        Some("broken") => upstream::json(500, &error("server_error")),
        Some("html") => upstream::whole(200, "text/html", format!("<html>{CANARY}</html>").as_bytes()),
        Some("inside") => upstream::json(200, &error("rate_limit_error")),
        Some("garbage") => upstream::json(200, &format!("{{\"choices\": {CANARY}")),
        Some("cut") => vec![stream_head(), chunk(event.as_bytes()), Step::Reset],
        Some("late") => vec![stream_head(), chunk(event.as_bytes()), chunk(format!("data: {{{CANARY}\n\n").as_bytes()), last_chunk()],
        _ if asked.stream() => events(format!("{event}data: [DONE]\n\n").as_bytes()),
        _ => upstream::json(200, &upstream::chat_answer("m", CANARY)),
    }
}

struct House {
    gateway: Gateway,
    key: String,
    _folder: Folder,
    _upstream: Upstream,
}

async fn house() -> House {
    let up = Upstream::start(script).await;
    let key = folder::key_text(1);
    let more = "timeouts: {firstByteMilliseconds: 2000, idleMilliseconds: 500}";
    let manifests = folder::provider("up", "OpenAICompatible", up.address, &["m"], more)
        + &folder::provider("claude", "Anthropic", up.address, &["c"], more)
        + &folder::key("k", &key, "");
    let folder = Folder::with(&manifests);
    let gateway = Gateway::start(folder.path(), &["--log-level", "debug"]).await;
    House { gateway, key, _folder: folder, _upstream: up }
}

/// Calls of every sort at every door, with the canary wherever a client can put it, but for the name of the model.
async fn all_sorts_of_calls(house: &House) -> usize {
    let mut calls = 0;
    for word in ["well", "bad", "broken", "html", "inside", "garbage", "cut", "late"] {
        for model in ["m", "c"] {
            for stream in [false, true] {
                let said = format!("{CANARY} to-be-{word}");
                let body = json!({
                    "model": model, "stream": stream, "max_tokens": 9, "user": CANARY, "metadata": {CANARY: CANARY},
                    "messages": [{"role": "system", "content": said}, {"role": "user", "content": [{"type": "text", "text": CANARY}]}],
                });
                post(house.gateway.listen, "/v1/chat/completions", &house.key, &body.to_string()).await;
                let body = json!({
                    "model": model, "stream": stream, "max_tokens": 9, "system": said,
                    "messages": [{"role": "user", "content": CANARY}],
                });
                post(house.gateway.listen, "/v1/messages", &house.key, &body.to_string()).await;
                calls += 2;
            }
        }
    }
    for (path, body) in [
        ("/v1/embeddings", format!("{{\"model\":\"m\",\"input\":\"{CANARY}\"}}")),
        ("/v1/completions", format!("{{\"model\":\"m\",\"prompt\":\"{CANARY}\"}}")),
        ("/v1/chat/completions", format!("{{\"model\":\"m\",\"{CANARY}")),
        ("/v1/chat/completions", format!("{{\"model\":\"m\",\"stream\":\"{CANARY}\"}}")),
    ] {
        post(house.gateway.listen, path, &house.key, &body).await;
        calls += 1;
    }
    // In a path, a key, a header and a kind of content.
    for (path, key, header) in [
        (format!("/{CANARY}"), house.key.as_str(), String::new()),
        (format!("/v1/chat/completions?{CANARY}"), house.key.as_str(), String::new()),
        ("/v1/chat/completions".to_owned(), CANARY, String::new()),
        ("/v1/chat/completions".to_owned(), house.key.as_str(), format!("x-request-id: <{CANARY}>\r\nanthropic-beta: {CANARY}\r\n")),
        ("/v1/chat/completions".to_owned(), house.key.as_str(), format!("content-encoding: {CANARY}\r\n")),
    ] {
        let mut wire = Wire::to(house.gateway.listen).await;
        wire.send(posting(&path, key, &chat("m", false)).replacen("host: gateway\r\n", &format!("host: gateway\r\n{header}"), 1)).await;
        wire.answer().await.expect("an answer");
        calls += 1;
    }
    calls
}

#[tokio::test]
async fn nothing_that_is_said_in_a_call_is_in_a_log_a_metric_or_the_admin_port() {
    let house = house().await;
    let calls = all_sorts_of_calls(&house).await;
    e2e::until("every call has its receipt", async || (house.gateway.receipts().len() >= calls).then_some(())).await;
    let receipts: String = house.gateway.receipts().iter().map(ToString::to_string).collect();
    let told = [receipts, house.gateway.log(), house.gateway.metrics().await, house.gateway.config().await.to_string()];
    for (name, text) in ["receipts", "the log", "metrics", "the configuration"].into_iter().zip(&told) {
        for secret in [CANARY, house.key.as_str(), "credential-of-up", "credential-of-claude"] {
            let found = text.find(secret).map(|at| text[at.saturating_sub(200)..(at + 100).min(text.len())].to_owned());
            assert_eq!(found, None, "{secret} is in {name}");
        }
    }
}

#[tokio::test]
async fn labels_of_metrics_are_closed_words_or_names_of_the_configuration_whatever_clients_send() {
    let house = house().await;
    all_sorts_of_calls(&house).await;
    for number in 0..50 {
        post(house.gateway.listen, &format!("/v1/path-{number}"), &house.key, "{}").await;
        post(house.gateway.listen, "/v1/chat/completions", &house.key, &chat(&format!("up/model-{number}"), false)).await;
        post(house.gateway.listen, "/v1/chat/completions", &house.key, &chat(&format!("nobody-{number}/m"), false)).await;
        post(house.gateway.listen, "/v1/chat/completions", &folder::key_text(100 + number), &chat("m", false)).await;
    }
    let metrics = house.gateway.metrics().await;
    let mut values: BTreeSet<&str> = BTreeSet::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#') && !line.starts_with("portolan_build_info")) {
        let labels = line.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
        let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
        values.extend(pairs.filter(|(name, _)| *name != "le").map(|(_, value)| value.trim_matches('"')));
    }
    let word = |value: &&str| value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let strange: Vec<&str> = values.iter().copied().filter(|value| !word(value)).collect();
    assert_eq!(
        strange,
        ["LLMProvider", "cache_write_1h", "default/claude", "default/up"],
        "all but kinds, one class and the providers' names are words"
    );
    assert!(values.len() < 90, "closed sets are small: {values:?}");
}
