//! What a client is told when it errs: a status, a stable code and the way out, in its own dialect.

use e2e::client::{Answer, Wire, chat, post, posting};
use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use serde_json::Value;

const SIMULATED: &str = "apiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {name: NAME}\nspec: {type: Simulated, models: [{name: MODEL}, {name: both}]}\n";

struct House {
    gateway: Gateway,
    key: String,
    _folder: Folder,
}

/// Two providers that both have `both`, one key that may all, and some that may less.
async fn house() -> House {
    let texts: Vec<String> = (0..6).map(folder::key_text).collect();
    let mut all = SIMULATED.replace("NAME", "one").replace("MODEL", "first-model");
    all += "---\n";
    all += &SIMULATED.replace("NAME", "two").replace("MODEL", "second-model");
    for (name, place, more) in [
        ("all", 0, ""),
        ("suspended", 1, "suspend: true"),
        ("expired", 2, "expiresAt: \"2020-01-01T00:00:00Z\""),
        ("first", 3, "allow: {models: [first-*]}"),
        ("embeds", 4, "allow: {operations: [Embeddings]}"),
    ] {
        all += &folder::key(name, &texts[place], more);
    }
    let folder = Folder::with(&all);
    let gateway = Gateway::start(folder.path(), &[]).await;
    House { gateway, key: texts[0].clone(), _folder: folder }
}

impl House {
    async fn chat(&self, key: &str, body: &str) -> Answer {
        post(self.gateway.listen, "/v1/chat/completions", key, body).await
    }

    async fn with(&self, body: &str) -> Answer {
        self.chat(&self.key, body).await
    }

    async fn raw(&self, head: &str, body: &str) -> Answer {
        let mut wire = Wire::to(self.gateway.listen).await;
        wire.send(format!("{head}\r\nhost: g\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
        wire.answer().await.expect("an answer")
    }
}

/// Checks the shape of an OpenAI error and that its words hold what helps.
fn expect(answer: &Answer, status: u16, code: &str, words: &[&str]) {
    let error = &answer.json()["error"];
    assert_eq!((answer.status, error["code"].as_str()), (status, Some(code)), "{}", answer.text());
    let message = error["message"].as_str().expect("a message");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert!(error["type"].is_string() && error.get("param").is_some(), "{error}");
    assert!(answer.header("x-request-id").is_some());
}

#[tokio::test]
async fn keys_that_do_not_fit_are_told_apart() {
    let house = house().await;
    let nobody = house.raw("POST /v1/chat/completions HTTP/1.1", &chat("first-model", false)).await;
    expect(&nobody, 401, "missing_api_key", &["Authorization: Bearer"]);
    let mut mistyped = house.key.clone();
    mistyped.replace_range(20..21, if &mistyped[20..21] == "A" { "B" } else { "A" });
    expect(&house.chat(&mistyped, &chat("first-model", false)).await, 401, "mistyped_api_key", &["checksum"]);
    expect(&house.chat(&folder::key_text(99), &chat("first-model", false)).await, 401, "invalid_api_key", &["revoked"]);
    expect(&house.chat("hunter2", &chat("first-model", false)).await, 401, "invalid_api_key", &[]);
    expect(&house.chat(&folder::key_text(1), &chat("first-model", false)).await, 401, "suspended_api_key", &["resume"]);
    expect(&house.chat(&folder::key_text(2), &chat("first-model", false)).await, 401, "expired_api_key", &["expired"]);
    let log = house.gateway.receipts().iter().map(ToString::to_string).collect::<String>() + &house.gateway.log();
    assert!(!log.contains(&mistyped) && !log.contains("hunter2") && !log.contains(&house.key), "no key's text is in a log");
}

#[tokio::test]
async fn models_that_do_not_fit_are_told_with_the_way_out() {
    let house = house().await;
    expect(&house.with(&chat("frist-model", false)).await, 404, "model_not_found", &["did you mean `first-model`"]);
    expect(&house.with(&chat("both", false)).await, 400, "model_ambiguous", &["one/both", "two/both"]);
    assert_eq!(house.with(&chat("two/both", false)).await.status, 200, "the way out that it names");
    expect(&house.chat(&folder::key_text(3), &chat("second-model", false)).await, 403, "model_not_allowed", &["/v1/models"]);
    expect(&house.chat(&folder::key_text(4), &chat("first-model", false)).await, 403, "operation_not_allowed", &["spec.allow.operations"]);
}

#[tokio::test]
async fn a_key_lists_only_the_models_that_it_may_use() {
    let house = house().await;
    let mut wire = Wire::to(house.gateway.listen).await;
    wire.send(format!("GET /v1/models HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {}\r\n\r\n", folder::key_text(3))).await;
    let listed = wire.answer().await.expect("an answer").json();
    let ids: Vec<&str> = listed["data"].as_array().expect("a list").iter().filter_map(|model| model["id"].as_str()).collect();
    assert_eq!(ids, ["first-model"]);
}

#[tokio::test]
async fn malformed_bodies_are_told_where() {
    let house = house().await;
    for (body, code, words) in [
        ("", "invalid_json", ""),
        ("{", "invalid_json", "column 2"),
        ("{\"model\":\"first-model\",}", "invalid_json", "column 24"),
        ("{\"model\":\"first-model\"} {}", "invalid_json", "column"),
        ("[]", "invalid_body", "object"),
        ("{\"messages\":[]}", "invalid_body", "model"),
        ("{\"model\":7}", "invalid_body", "model"),
        ("{\"model\":\"a\",\"model\":\"b\"}", "invalid_body", "model"),
        ("{\"model\":\"first-model\",\"stream\":\"yes\"}", "invalid_body", "stream"),
        ("{\"model\":\"first-model\",\"x\":01}", "invalid_json", "column"),
        ("{\"model\":\"first-model\",\"x\":NaN}", "invalid_json", "column"),
        ("{\"model\":\"first-model\",\"x\":\"\n\"}", "invalid_json", "column"),
    ] {
        expect(&house.with(body).await, 400, code, &[words]);
    }
    expect(&house.with(&("[".repeat(100_000))).await, 400, "invalid_json", &[]);
    expect(&house.with(&format!("{{\"model\":\"first-model\",\"x\":{}", "[".repeat(100_000))).await, 400, "invalid_json", &[]);
}

#[tokio::test]
async fn malformed_utf_8_is_told_where() {
    let house = house().await;
    let body = b"{\"model\":\"first-model\",\"x\":\"\xff\"}";
    let mut wire = Wire::to(house.gateway.listen).await;
    wire.send(posting("/v1/chat/completions", &house.key, "").replace("content-length: 0", &format!("content-length: {}", body.len())))
        .await;
    wire.send(body).await;
    expect(&wire.answer().await.expect("an answer"), 400, "invalid_json", &["UTF-8", "byte 28"]);
}

#[tokio::test]
async fn wrong_paths_methods_and_kinds_of_content_are_told() {
    let house = house().await;
    expect(&house.raw("GET /v1/chat/completions HTTP/1.1", "").await, 405, "method_not_allowed", &["POST"]);
    expect(&house.raw("POST /v2/chat HTTP/1.1", "").await, 404, "unknown_path", &["/v2/chat", "/v1/chat/completions"]);
    let kind = format!("POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {}\r\ncontent-type: text/plain", house.key);
    expect(&house.raw(&kind, "{}").await, 415, "unsupported_content_type", &["text/plain"]);
    let packed = format!("POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {}\r\ncontent-encoding: gzip", house.key);
    expect(&house.raw(&packed, "{}").await, 415, "unsupported_content_type", &["gzip"]);
}

#[tokio::test]
async fn errors_at_the_second_door_have_its_shape() {
    let house = house().await;
    let answer = post(house.gateway.listen, "/v1/messages", &house.key, "{").await;
    let told = answer.json();
    assert_eq!((answer.status, &told["type"], &told["error"]["type"]), (400, &Value::from("error"), &Value::from("invalid_request_error")));
    assert!(told["error"]["message"].as_str().is_some_and(|text| text.contains("column")), "{told}");
    let unknown = post(house.gateway.listen, "/v1/messages", "sk-none", "{}").await;
    assert_eq!((unknown.status, unknown.json()["error"]["type"].as_str()), (401, Some("authentication_error")));
}

#[tokio::test]
async fn a_clients_request_id_is_echoed_when_it_is_safe_and_never_becomes_the_calls_id() {
    let house = house().await;
    for (sent, echoed) in [("abc-123", true), ("a b", false), (&"x".repeat(129), false), ("<script>", false)] {
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {}\r\nx-request-id: {sent}", house.key);
        let answer = house.raw(&head, &chat("first-model", false)).await;
        assert_eq!(answer.header("x-request-id") == Some(sent), echoed, "{sent}");
        assert_ne!(answer.call(), sent);
        let receipt = house.gateway.receipt_of(&answer.call()).await;
        assert_eq!(receipt["request"] == sent, echoed, "{receipt}");
    }
}
