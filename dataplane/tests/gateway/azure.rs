//! Azure OpenAI: three interfaces, keys and tokens of Entra, deployments, and errors in Azure's words.

use serde_json::json;

use crate::client::Call;
use crate::house::House;
use crate::manifests::{cloud_provider, key};
use crate::provider::{ANSWER, Asked};

const HOST: &str = "my-resource.openai.azure.com";
const ENTRA: &str = "login.microsoftonline.com";
const METADATA: &str = "169.254.169.254";
const KEY: &str = "auth: { secretRef: { name: azure, key: apiKey } }";
const MODELS: &str = "models: [{ name: gpt-4o, upstreamName: our-deployment }]";
const IDS: &str = "tenantID: my-tenant, clientID: my-client";

fn house(spec: &str) -> House {
    let spec = format!("type: AzureOpenAI, endpoint: {{ url: 'https://{HOST}' }}, {MODELS}, {spec}");
    House::of(&[cloud_provider("azure", &spec, &[("apiKey", "key-of-azure"), ("secret", "secret-of-client")]), key("app", "")])
}

/// Answers the next call to a host on a connection of its own, which then closes.
async fn asked_of(house: &House, host: &str, status: u16, body: &str) -> Asked {
    house.providers.answers(host, status, body).await.1
}

fn target(asked: &Asked) -> &str {
    asked.head.split(' ').nth(1).expect("a path")
}

#[tokio::test(start_paused = true)]
async fn each_interface_has_its_paths_and_the_deployment_stands_for_the_model() {
    let (v1, deployments, models) = (
        "azure: { api: V1 }",
        "azure: { api: Deployments, apiVersion: '2024-10-21' }",
        "azure: { api: Models, apiVersion: 2024-05-01-preview }",
    );
    let chat = json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": "hi" }] }).to_string();
    let embed = json!({ "model": "gpt-4o", "input": "hi" }).to_string();
    for (api, path, body, expected) in [
        (v1, "/v1/chat/completions", &chat, "/openai/v1/chat/completions"),
        (v1, "/v1/embeddings", &embed, "/openai/v1/embeddings"),
        (v1, "/v1/responses", &embed, "/openai/v1/responses"),
        ("azure: { apiVersion: preview }", "/v1/responses", &embed, "/openai/v1/responses?api-version=preview"),
        (deployments, "/v1/chat/completions", &chat, "/openai/deployments/our-deployment/chat/completions?api-version=2024-10-21"),
        (deployments, "/v1/embeddings", &embed, "/openai/deployments/our-deployment/embeddings?api-version=2024-10-21"),
        (deployments, "/v1/responses", &embed, "/openai/responses?api-version=2024-10-21"),
        (models, "/v1/chat/completions", &chat, "/models/chat/completions?api-version=2024-05-01-preview"),
        (models, "/v1/embeddings", &embed, "/models/embeddings?api-version=2024-05-01-preview"),
    ] {
        let house = house(&format!("{api}, {KEY}"));
        let calling = house.call(Call::post("app", path, body));
        let asked = asked_of(&house, HOST, 200, ANSWER).await;
        assert_eq!((target(&asked), &asked.body["model"]), (expected, &json!("our-deployment")), "{api} {path}");
        assert_eq!((asked.header("api-key"), asked.header("authorization")), ("key-of-azure", ""));
        assert_eq!(calling.answer().await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_of_a_deployment_cannot_leave_its_place_in_the_path() {
    let house = house(&format!("azure: {{ api: Deployments, apiVersion: '2024-10-21' }}, {KEY}"));
    let calling = house.call(Call::chat("app", "azure/a/../../b?x=1&y"));
    let asked = asked_of(&house, HOST, 200, ANSWER).await;
    assert_eq!(target(&asked), "/openai/deployments/a%2F..%2F..%2Fb%3Fx%3D1%26y/chat/completions?api-version=2024-10-21");
    assert_eq!(calling.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_client_secret_a_token_of_the_pod_and_the_node_each_give_a_token_of_entra() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "jwt-of-pod").expect("written");
    let scope = "scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default";
    for (auth, host, line, text, answer) in [
        (
            format!("source: ClientSecret, {IDS}, secretRef: {{ name: azure, key: secret }}"),
            ENTRA,
            "POST /my-tenant/oauth2/v2.0/token HTTP/1.1",
            format!("grant_type=client_credentials&client_id=my-client&{scope}&client_secret=secret-of-client"),
            r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"token-one"}"#,
        ),
        (
            format!("source: WorkloadIdentity, {IDS}, tokenFile: '{}'", file.display()),
            ENTRA,
            "POST /my-tenant/oauth2/v2.0/token HTTP/1.1",
            format!(
                "grant_type=client_credentials&client_id=my-client&{scope}&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=jwt-of-pod"
            ),
            r#"{"token_type":"Bearer","expires_in":3599,"access_token":"token-one"}"#,
        ),
        (
            "source: ManagedIdentity, clientID: my-client".to_owned(),
            METADATA,
            "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=my-client HTTP/1.1",
            String::new(),
            r#"{"access_token":"token-one","expires_in":"3599","resource":"r","token_type":"Bearer"}"#,
        ),
    ] {
        let house = house(&format!("auth: {{ type: Entra, entra: {{ {auth} }} }}"));
        let calling = house.call(Call::chat("app", "gpt-4o"));
        let asked = asked_of(&house, host, 200, answer).await;
        assert_eq!((asked.head.lines().next(), asked.text.as_str()), (Some(line), text.as_str()));
        assert_eq!(asked.header("metadata"), if host == METADATA { "true" } else { "" });
        let asked = asked_of(&house, HOST, 200, ANSWER).await;
        assert_eq!((target(&asked), asked.header("authorization")), ("/openai/v1/chat/completions", "Bearer token-one"));
        assert_eq!(asked.header("api-key"), "");
        assert_eq!(calling.answer().await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn errors_in_azures_words_have_their_class() {
    let filtered = r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}"#;
    let newer = r#"{"error":{"message":"blocked","code":"BadRequest","innererror":{"code":"ContentFiltered"}}}"#;
    for (status, body, class) in [
        (400, filtered, "content_filtered"),
        (400, newer, "content_filtered"),
        (401, r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key"}}"#, "auth_failed"),
        (404, r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#, "not_found"),
        (404, r#"{"error":{"code":"404","message": "Resource not found"}}"#, "not_found"),
        (429, r#"{"error":{"code":"RateLimitReached","message":"retry after 6 seconds"}}"#, "rate_limited"),
        (
            429,
            r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation have exceeded token rate limit"}}"#,
            "rate_limited",
        ),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            "context_length_exceeded",
        ),
        (
            400,
            r#"{"error":{"code":"unsupported_parameter","message":"no","param":"max_tokens","type":"invalid_request_error"}}"#,
            "bad_request",
        ),
    ] {
        let house = house(KEY);
        let calling = house.call(Call::chat("app", "gpt-4o"));
        asked_of(&house, HOST, status, body).await;
        calling.answer().await;
        assert_eq!(house.receipts()[0]["code"], class, "{status} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_chunk_without_choices_and_the_verdicts_of_the_filter_are_no_trouble_in_any_dialect() {
    let chunks = [
        r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}"#,
        r#"{"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"c1","model":"gpt-4o","object":"chat.completion.chunk"}"#,
        r#"{"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"content":"hello"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"c1","model":"gpt-4o","object":"chat.completion.chunk"}"#,
        r#"{"choices":[{"content_filter_offsets":{"check_offset":1},"content_filter_results":{"hate":{"filtered":false}},"finish_reason":null,"index":0}],"created":0,"id":"","model":"","object":""}"#,
        r#"{"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0,"logprobs":null}],"created":1,"id":"c1","model":"gpt-4o","object":"chat.completion.chunk"}"#,
        r#"{"choices":[],"created":1,"id":"c1","model":"gpt-4o","object":"chat.completion.chunk","usage":{"completion_tokens":2,"prompt_tokens":3,"total_tokens":5,"latency_checkpoint":{}}}"#,
        "[DONE]",
    ];
    let messages = json!({ "model": "gpt-4o", "stream": true, "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] });
    for (call, hello) in [
        (Call::stream("app", "gpt-4o"), r#""content":"hello""#),
        (Call::post("app", "/v1/messages", &messages.to_string()), r#""text":"hello""#),
    ] {
        let house = house(&format!("azure: {{ api: Deployments, apiVersion: '2024-10-21' }}, {KEY}"));
        let calling = house.call(call);
        let mut line = house.providers.line(HOST).await;
        line.asked().await;
        line.begins().await;
        for chunk in chunks {
            line.chunk(&format!("data: {chunk}\n\n")).await;
        }
        line.ends().await;
        let answer = calling.answer().await;
        assert!(answer.whole && answer.body.contains(hello), "{}", answer.body);
        let receipt = &house.receipts()[0];
        assert_eq!(
            (&receipt["outcome"], &receipt["usage"]["prompt"], &receipt["usage"]["completion"]),
            (&"answered".into(), &3.into(), &2.into())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_costs_what_the_model_costs_that_it_is_called_by() {
    let house = house(KEY);
    let calling = house.call(Call::chat("app", "gpt-4o"));
    asked_of(&house, HOST, 200, ANSWER).await;
    calling.answer().await;
    let receipt = &house.receipts()[0];
    assert!(receipt["cost_nano_usd"].as_u64().is_some_and(|cost| cost > 0), "{receipt}");
}
