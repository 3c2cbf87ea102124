//! What the README promises.

use std::path::PathBuf;
use std::time::Instant;

use e2e::client::{self, chat, post};
use e2e::folder::Folder;
use e2e::gateway::Gateway;
use e2e::upstream::{self, Upstream};

const KEY: &str = "sk-ptl-qckstrt2-QuickstartQuickstartQuickstart000umcFQ";

fn example() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crds/examples/quickstart")
}

#[tokio::test]
async fn the_example_folder_answers_without_an_account() {
    let gateway = Gateway::start(&example(), &[]).await;
    let answer = post(gateway.listen, "/v1/chat/completions", KEY, &chat("demo", false)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.json()["choices"][0]["message"]["content"].as_str().expect("text").is_empty());
    let receipt = gateway.receipt_of(&answer.call()).await;
    assert_eq!(receipt["key"], "default/quickstart");
    assert_eq!(receipt["provider"], "default/simulated");
    assert_eq!(receipt["outcome"], "answered");
    assert_eq!(receipt["usage"]["prompt"], answer.json()["usage"]["prompt_tokens"]);
}

#[tokio::test]
async fn start_up_names_addresses_keys_models_and_the_next_thing_to_try_and_no_keys_text() {
    let gateway = Gateway::start(&example(), &[]).await;
    let log = gateway.log();
    for told in [gateway.listen.to_string(), gateway.admin.to_string(), "default/quickstart".into(), "demo".into(), "curl http://".into()] {
        assert!(log.contains(&told), "`{told}` is not in:\n{log}");
    }
    assert!(!log.contains(KEY), "the key's text is in the log");
}

#[tokio::test]
async fn a_waiting_provider_is_served_within_a_second_of_saving_its_key() {
    let up = Upstream::start(|_| upstream::json(200, &upstream::chat_answer("real-1", "hello"))).await;
    let folder = Folder::default();
    for file in ["key.yaml", "providers.yaml", "secrets.yaml"] {
        folder.write(file, &std::fs::read_to_string(example().join(file)).expect("the example"));
    }
    let waiting = e2e::folder::provider("real", "OpenAICompatible", up.address, &["real-model"], "");
    let secret = waiting.rfind("---").expect("two documents");
    folder.write("real.yaml", &waiting[..secret]);
    let gateway = Gateway::start(folder.path(), &[]).await;
    assert_eq!(post(gateway.listen, "/v1/chat/completions", KEY, &chat("real-model", false)).await.code(), "model_not_found");
    let before = gateway.sequence().await;
    let saved = Instant::now();
    folder.write("secret.yaml", &waiting[secret..]);
    gateway.newer_than(before).await;
    let answer = post(gateway.listen, "/v1/chat/completions", KEY, &chat("real-model", false)).await;
    let took = saved.elapsed();
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "hello");
    assert!(took.as_secs_f64() < 1.0, "it took {took:?} from saving to serving");
    assert_eq!(up.only().header("authorization"), Some("Bearer credential-of-real"));
}

#[tokio::test]
async fn a_name_in_a_manifest_is_expanded_only_when_a_flag_allows_it() {
    let up = Upstream::start(|_| upstream::json(200, &upstream::chat_answer("m", "hello"))).await;
    let key = e2e::folder::key_text(1);
    let provider = e2e::folder::provider("up", "OpenAICompatible", up.address, &["m"], "").replace("credential-of-up", "${SECRET_OF_UP}");
    let folder = Folder::with(&(provider + &e2e::folder::key("k", &key, "")));
    let env = [("SECRET_OF_UP", "expanded"), ("OTHER", "never")];
    let denied = Gateway::start_with(folder.path(), &[], &env).await;
    assert_eq!(post(denied.listen, "/v1/chat/completions", &key, &chat("m", false)).await.code(), "model_not_found");
    let allowed = Gateway::start_with(folder.path(), &["--env", "SECRET_OF_UP"], &env).await;
    assert_eq!(post(allowed.listen, "/v1/chat/completions", &key, &chat("m", false)).await.status, 200);
    assert_eq!(up.only().header("authorization"), Some("Bearer expanded"));
}

#[tokio::test]
async fn each_door_answers() {
    let gateway = Gateway::start(&example(), &[]).await;
    let ask = async |path: &str, body: &str| {
        let answer = post(gateway.listen, path, KEY, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    };
    assert_eq!(ask("/v1/completions", r#"{"model":"demo","prompt":"hi"}"#).await["object"], "text_completion");
    assert_eq!(ask("/v1/embeddings", r#"{"model":"demo-embedding","input":"hi"}"#).await["object"], "list");
    assert_eq!(ask("/v1/responses", r#"{"model":"demo","input":"hi"}"#).await["object"], "response");
    let message = r#"{"model":"demo","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(ask("/v1/messages", message).await["type"], "message");
    let mut wire = client::Wire::to(gateway.listen).await;
    wire.send(format!("GET /v1/models HTTP/1.1\r\nhost: g\r\nx-api-key: {KEY}\r\n\r\n")).await;
    let models = wire.answer().await.expect("an answer").json();
    let ids: Vec<&str> = models["data"].as_array().expect("a list").iter().filter_map(|model| model["id"].as_str()).collect();
    assert!(ids.contains(&"demo") && !ids.contains(&"gpt-4o-mini"), "only what can be used is listed: {ids:?}");
}

#[tokio::test]
async fn the_admin_port_tells_health_readiness_metrics_and_configuration() {
    let gateway = Gateway::start(&example(), &[]).await;
    assert_eq!(client::get(gateway.admin, "/healthz").await.status, 200);
    assert_eq!(client::get(gateway.admin, "/readyz").await.status, 200);
    let config = gateway.config().await;
    assert_eq!(config["sequence"], 1);
    let waiting: Vec<&str> = config["rejected"].as_array().expect("a list").iter().filter_map(|report| report["name"].as_str()).collect();
    assert_eq!(waiting, ["anthropic", "openai"], "the two providers without a key are told");
    let answer = post(gateway.listen, "/v1/chat/completions", KEY, &chat("demo", true)).await;
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    gateway.receipt_of(&answer.call()).await;
    let metrics = gateway.metrics().await;
    assert!((e2e::metrics::sum(&metrics, "portolan_calls_total", &["outcome=\"answered\""]) - 1.0).abs() < 0.1, "{metrics}");
}
