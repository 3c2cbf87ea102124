//! Vertex AI: paths of two publishers, tokens of Google, and what differs in the body.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::client::Call;
use crate::house::{House, elapse};
use crate::manifests::{cloud_provider, key};
use crate::provider::Asked;

const GEMINI: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hello"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"thoughtsTokenCount":4,"totalTokenCount":9},"modelVersion":"gemini-x","responseId":"r1"}"#;
const CLAUDE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":6}}"#;
const TOKEN: &str = r#"{"access_token":"token-one","expires_in":3599,"token_type":"Bearer"}"#;
const OAUTH: &str = "oauth2.googleapis.com";
const METADATA: &str = "metadata.google.internal";
const VERTEX: &str = "europe-west1-aiplatform.googleapis.com";
const BASE: &str = "/v1/projects/my-project/locations/europe-west1/publishers";

/// Made for these tests; no account knows it.
const KEY: &str = include_str!("service_account_key.pem");

fn house_in(location: &str, auth: &str, entry: &Value) -> House {
    let spec =
        format!("type: VertexAI, vertex: {{ project: my-project, location: {location} }}, auth: {{ type: Google, google: {{ {auth} }} }}");
    let text = entry.to_string().replace('\'', "''");
    House::of(&[cloud_provider("vertex", &spec, &[("json", &text)]), key("app", "")])
}

fn house(auth: &str, entry: &Value) -> House {
    house_in("europe-west1", auth, entry)
}

fn with_metadata() -> House {
    house("source: Metadata", &json!({}))
}

/// Answers the next call to a host on a connection of its own, which then closes.
async fn asked_of(house: &House, host: &str, status: u16, body: &str) -> Asked {
    house.providers.answers(host, status, body).await.1
}

fn target(asked: &Asked) -> &str {
    asked.head.split(' ').nth(1).expect("a path")
}

fn field<'a>(form: &'a str, name: &str) -> &'a str {
    form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn the_key_of_a_service_account_signs_an_assertion_that_is_exchanged_for_a_token() {
    let entry = json!({
        "type": "service_account", "project_id": "p", "private_key_id": "k-1", "private_key": KEY,
        "client_email": "gateway@p.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token"
    });
    let house = house("source: ServiceAccountKey, secretRef: { name: vertex, key: json }", &entry);
    let calling = house.call(Call::chat("app", "vertex/gemini-2.5-flash"));
    let asked = asked_of(&house, OAUTH, 200, TOKEN).await;
    assert!(asked.head.starts_with("POST /token HTTP/1.1"), "{}", asked.head);
    assert_eq!(field(&asked.text, "grant_type"), "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer");
    let assertion = field(&asked.text, "assertion");
    let (signed, signature) = assertion.rsplit_once('.').expect("a JWT");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
    let PrivateKeyDer::Pkcs8(der) = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("PEM") else { unreachable!("it is PKCS 8") };
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("a key");
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    public.verify(signed.as_bytes(), &signature).expect("signed with the account's key");
    let decoded = |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON") };
    let (header, claims) = signed.split_once('.').expect("two parts");
    assert_eq!(decoded(header), json!({ "alg": "RS256", "typ": "JWT", "kid": "k-1" }));
    let claims = decoded(claims);
    assert_eq!(
        (&claims["iss"], &claims["aud"], &claims["scope"]),
        (&entry["client_email"], &entry["token_uri"], &json!("https://www.googleapis.com/auth/cloud-platform"))
    );
    let now = house.clock.unix_ms() / 1000;
    assert_eq!(claims["exp"].as_u64().expect("a moment") - claims["iat"].as_u64().expect("a moment"), 3600);
    assert!(claims["iat"].as_u64().expect("a moment").abs_diff(now) <= 5);
    let asked = asked_of(&house, VERTEX, 200, GEMINI).await;
    assert_eq!(target(&asked), format!("{BASE}/google/models/gemini-2.5-flash:generateContent"));
    assert_eq!(asked.header("authorization"), "Bearer token-one");
    let body = calling.answer().await.json();
    assert_eq!((&body["choices"][0]["message"]["content"], &body["usage"]["completion_tokens"]), (&"hello".into(), &6.into()));
    assert!(!house.receipts()[0].to_string().contains("token-one"));
}

#[tokio::test(start_paused = true)]
async fn the_metadata_server_gives_tokens_and_is_asked_again_before_they_end() {
    let house = with_metadata();
    for (wait, asks, token) in [(0, true, "token-one"), (2_000_000, false, "token-one"), (1_600_000, true, "token-two")] {
        elapse(wait).await;
        let calling = house.call(Call::chat("app", "vertex/gemini-2.5-flash"));
        if asks {
            let asked = asked_of(&house, METADATA, 200, &TOKEN.replace("token-one", token)).await;
            assert_eq!(asked.head.lines().next(), Some("GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1"));
            assert_eq!(asked.header("metadata-flavor"), "Google");
        }
        let asked = asked_of(&house, VERTEX, 200, GEMINI).await;
        assert_eq!(asked.header("authorization"), format!("Bearer {token}"));
        assert_eq!(calling.answer().await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_issuer_is_exchanged_and_then_shown_for_a_service_accounts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token.json");
    std::fs::write(&file, r#"{"id_token":"jwt-of-pod"}"#).expect("written");
    let entry = json!({
        "type": "external_account", "audience": "//iam.googleapis.com/pool", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": { "file": file, "format": { "type": "json", "subject_token_field_name": "id_token" } },
        "service_account_impersonation_url":
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/gateway@p.iam.gserviceaccount.com:generateAccessToken"
    });
    let house = house_in("eu", "source: Federation, secretRef: { name: vertex, key: json }", &entry);
    let calling = house.call(Call::chat("app", "vertex/gemini-2.5-flash"));
    let asked = asked_of(&house, "sts.googleapis.com", 200, TOKEN).await;
    assert_eq!(target(&asked), "/v1/token");
    assert_eq!(field(&asked.text, "subject_token"), "jwt-of-pod");
    assert_eq!(field(&asked.text, "audience"), "%2F%2Fiam.googleapis.com%2Fpool");
    assert_eq!(field(&asked.text, "subject_token_type"), "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt");
    let lent = r#"{"accessToken":"token-of-account","expireTime":"2999-01-01T00:00:00Z"}"#;
    let asked = asked_of(&house, "iamcredentials.googleapis.com", 200, lent).await;
    assert_eq!(target(&asked), "/v1/projects/-/serviceAccounts/gateway@p.iam.gserviceaccount.com:generateAccessToken");
    assert_eq!(asked.header("authorization"), "Bearer token-one");
    assert_eq!(asked.body, json!({ "scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "3600s" }));
    let asked = asked_of(&house, "aiplatform.eu.rep.googleapis.com", 200, GEMINI).await;
    assert_eq!(target(&asked), "/v1/projects/my-project/locations/eu/publishers/google/models/gemini-2.5-flash:generateContent");
    assert_eq!(asked.header("authorization"), "Bearer token-of-account");
    assert_eq!(calling.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_google_is_told_by_its_code_alone() {
    let house = with_metadata();
    let calling = house.call(Call::chat("app", "vertex/gemini-2.5-flash"));
    asked_of(&house, METADATA, 403, r#"{"error":"invalid_grant","error_description":"token-one is spent"}"#).await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_auth_failed"));
    assert_eq!(house.receipts()[0]["detail"], "identity: `metadata.google.internal` answered 403 invalid_grant");
}

#[tokio::test(start_paused = true)]
async fn models_of_anthropic_have_their_own_place_and_tell_the_version_in_the_body() {
    let house = with_metadata();
    let calling = house.call(Call::chat("app", "vertex/claude-sonnet-4@20250514"));
    asked_of(&house, METADATA, 200, TOKEN).await;
    let asked = asked_of(&house, VERTEX, 200, CLAUDE).await;
    assert_eq!(target(&asked), format!("{BASE}/anthropic/models/claude-sonnet-4@20250514:rawPredict"));
    assert_eq!(asked.body["anthropic_version"], "vertex-2023-10-16");
    assert!(asked.body.get("model").is_none() && asked.body["max_tokens"].is_u64(), "{}", asked.text);
    assert_eq!((asked.header("anthropic-version"), asked.header("x-api-key")), ("", ""));
    assert_eq!(calling.answer().await.json()["choices"][0]["message"]["content"], "hello");

    // In Anthropic's own dialect, with a header that belongs into the body there.
    let body = json!({ "model": "vertex/claude-sonnet-4@20250514", "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] });
    let call =
        Call::post("app", "/v1/messages", &body.to_string()).with("anthropic-beta", "one,two").with("anthropic-version", "2023-06-01");
    let calling = house.call(call);
    let asked = asked_of(&house, VERTEX, 200, CLAUDE).await;
    assert_eq!(
        asked.body,
        json!({ "anthropic_version": "vertex-2023-10-16", "anthropic_beta": ["one", "two"], "max_tokens": 9, "messages": body["messages"] })
    );
    assert_eq!((asked.header("anthropic-beta"), asked.header("anthropic-version")), ("", ""));
    assert_eq!(calling.answer().await.body, CLAUDE, "byte for byte");
    let receipt = &house.receipts()[1];
    assert_eq!((&receipt["provider"], &receipt["usage"]["prompt"]), (&"default/vertex".into(), &3.into()), "{receipt}");
}

#[tokio::test(start_paused = true)]
async fn streams_of_both_publishers_are_asked_for_at_their_own_paths() {
    let house = with_metadata();
    let calling = house.call(Call::stream("app", "vertex/gemini-2.5-flash"));
    asked_of(&house, METADATA, 200, TOKEN).await;
    let mut line = house.providers.line(VERTEX).await;
    assert_eq!(target(&line.asked().await), format!("{BASE}/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse"));
    line.begins().await;
    line.chunk(&format!("data: {GEMINI}\n\n")).await;
    line.ends().await;
    let answer = calling.answer().await;
    assert!(answer.body.contains(r#""content":"hello""#) && answer.body.ends_with("data: [DONE]\n\n"), "{}", answer.body);
    drop(line);

    let calling = house.call(Call::stream("app", "vertex/claude-sonnet-4@20250514"));
    let mut line = house.providers.line(VERTEX).await;
    let asked = line.asked().await;
    assert_eq!(target(&asked), format!("{BASE}/anthropic/models/claude-sonnet-4@20250514:streamRawPredict"));
    assert_eq!(asked.body["stream"], true);
    line.begins().await;
    for event in [
        json!({ "type": "message_start", "message": { "id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": { "input_tokens": 3, "output_tokens": 1 } } }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "hello" } }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": 6 } }),
        json!({ "type": "message_stop" }),
    ] {
        let name = event["type"].as_str().expect("a type").to_owned();
        line.chunk(&format!("event: {name}\ndata: {event}\n\n")).await;
    }
    line.ends().await;
    let answer = calling.answer().await;
    assert!(answer.body.contains(r#""content":"hello""#) && answer.body.ends_with("data: [DONE]\n\n"), "{}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn embeddings_are_predicted_and_what_a_publisher_does_not_serve_is_refused() {
    let house = with_metadata();
    let calling = house.call(Call::post("app", "/v1/embeddings", r#"{"model":"vertex/text-embedding-005","input":["a","b"]}"#));
    asked_of(&house, METADATA, 200, TOKEN).await;
    let predicted = r#"{"predictions":[{"embeddings":{"values":[0.5],"statistics":{"token_count":1}}},{"embeddings":{"values":[0.25],"statistics":{"token_count":2}}}]}"#;
    let asked = asked_of(&house, VERTEX, 200, predicted).await;
    assert_eq!(target(&asked), format!("{BASE}/google/models/text-embedding-005:predict"));
    assert_eq!(asked.body, json!({ "instances": [{ "content": "a" }, { "content": "b" }] }));
    let answer = calling.answer().await.json();
    assert_eq!((&answer["data"][1]["embedding"], &answer["usage"]["prompt_tokens"]), (&json!([0.25]), &json!(3)), "{answer}");
    let call = Call::post("app", "/v1/completions", r#"{"model":"vertex/gemini-2.5-flash","prompt":"hi"}"#);
    assert_eq!(house.call(call).answer().await.code(), "unsupported_by_provider");
}
