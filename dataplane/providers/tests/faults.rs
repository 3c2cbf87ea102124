//! What providers say of failures, as they say it, and the class that each is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use providers::fault::Fault;
use serde_json::Value;
use snapshot::FailureClass::{self, *};
use snapshot::Surface::{self, *};

/// Who, by which surface, with which status and body; the class.
const TOLD: [(&str, Surface, u16, &str, FailureClass); 61] = [
    (
        "OpenAI",
        ChatCompletions,
        401,
        r#"{"error":{"message":"Incorrect API key provided: sk-.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
        AuthFailed,
    ),
    (
        "OpenAI",
        ChatCompletions,
        404,
        r#"{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
        NotFound,
    ),
    (
        "OpenAI",
        Responses,
        400,
        r#"{"error":{"message":"The requested model 'x' does not exist.","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#,
        NotFound,
    ),
    (
        "OpenAI",
        ChatCompletions,
        400,
        r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        ContextLengthExceeded,
    ),
    (
        "OpenAI",
        ChatCompletions,
        429,
        r#"{"error":{"message":"Rate limit reached for requests","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
        RateLimited,
    ),
    (
        "OpenAI",
        ChatCompletions,
        429,
        r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
        QuotaExceeded,
    ),
    (
        "OpenAI",
        ChatCompletions,
        400,
        r#"{"error":{"message":"Your request was rejected by our safety system","type":"image_generation_user_error","param":null,"code":"moderation_blocked"}}"#,
        ContentFiltered,
    ),
    (
        "OpenAI",
        ChatCompletions,
        500,
        r#"{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}"#,
        ServerError,
    ),
    (
        "OpenAI",
        ChatCompletions,
        503,
        r#"{"error":{"message":"The engine is currently overloaded","type":"server_error","param":null,"code":null}}"#,
        Overloaded,
    ),
    (
        "Azure",
        ChatCompletions,
        401,
        r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}"#,
        AuthFailed,
    ),
    (
        "Azure",
        ChatCompletions,
        404,
        r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
        NotFound,
    ),
    (
        "Azure",
        ChatCompletions,
        400,
        r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
        ContentFiltered,
    ),
    (
        "Azure",
        ChatCompletions,
        400,
        r#"{"error":{"message":"filtered","code":"400","innererror":{"code":"ContentFiltered"}}}"#,
        ContentFiltered,
    ),
    ("Azure", ChatCompletions, 429, r#"{"error":{"code":"RateLimitReached","message":"Please retry after 7 seconds."}}"#, RateLimited),
    ("Anthropic", Messages, 401, r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#, AuthFailed),
    (
        "Anthropic",
        Messages,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 3333404 tokens > 200000 maximum"}}"#,
        ContextLengthExceeded,
    ),
    (
        "Anthropic",
        Messages,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
        QuotaExceeded,
    ),
    ("Anthropic", Messages, 402, r#"{"type":"error","error":{"type":"billing_error","message":"x"}}"#, QuotaExceeded),
    ("Anthropic", Messages, 404, r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#, NotFound),
    ("Anthropic", Messages, 413, r#"{"type":"error","error":{"type":"request_too_large","message":"x"}}"#, BadRequest),
    ("Anthropic", Messages, 429, r#"{"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#, RateLimited),
    ("Anthropic", Messages, 529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Overloaded),
    (
        "Gemini",
        GenerateContent,
        400,
        r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
        AuthFailed,
    ),
    (
        "Gemini",
        GenerateContent,
        400,
        r#"[{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8).","status":"INVALID_ARGUMENT"}}]"#,
        ContextLengthExceeded,
    ),
    (
        "Gemini",
        GenerateContent,
        429,
        r#"{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED"}}"#,
        RateLimited,
    ),
    (
        "Gemini",
        BatchEmbedContents,
        503,
        r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
        Overloaded,
    ),
    (
        "Vertex",
        GenerateContent,
        404,
        r#"{"error":{"code":404,"message":"Publisher Model `x` not found.","status":"NOT_FOUND","details":[]}}"#,
        NotFound,
    ),
    ("Bedrock", Converse, 400, r#"{"message":"The provided model identifier is invalid."}"#, NotFound),
    (
        "Bedrock",
        Converse,
        400,
        r#"{"message":"The model returned the following errors: Input Tokens Exceeded: Number of input tokens exceeds maximum length."}"#,
        ContextLengthExceeded,
    ),
    ("Bedrock", Converse, 403, r#"{"message":"The security token included in the request is invalid."}"#, AuthFailed),
    ("Bedrock", Converse, 408, r#"{"message":"x"}"#, Timeout),
    ("Bedrock", Converse, 424, r#"{"message":"x"}"#, ServerError),
    ("Bedrock", Converse, 429, r#"{"message":"Too many requests, please wait before trying again."}"#, RateLimited),
    (
        "Cohere",
        CohereChat,
        400,
        r#"{"error_type":"TOO_MANY_TOKENS","id":"c","message":"too many tokens: size limit exceeded by 25836 tokens."}"#,
        ContextLengthExceeded,
    ),
    ("Cohere", CohereEmbed, 404, r#"{"id":"8","message":"model 'x' not found"}"#, NotFound),
    ("Cohere", CohereChat, 498, r#"{"message":"invalid token"}"#, AuthFailed),
    ("Mistral", ChatCompletions, 401, r#"{"detail":"Invalid API Key"}"#, AuthFailed),
    (
        "Mistral",
        ChatCompletions,
        422,
        r#"{"detail":[{"loc":["body","messages",0,"name"],"msg":"Extra inputs are not permitted","type":"extra_forbidden"}]}"#,
        BadRequest,
    ),
    (
        "Mistral",
        ChatCompletions,
        429,
        r#"{"object":"error","message":"Service tier capacity exceeded for this model.","type":"invalid_request_error","param":null,"code":"3505"}"#,
        RateLimited,
    ),
    ("Ollama", OllamaChat, 404, r#"{"error":"model 'x' not found"}"#, NotFound),
    (
        "Ollama",
        ChatCompletions,
        400,
        r#"{"error":{"message":"prompt too long; exceeded max context length by 1119046 tokens","type":"invalid_request_error","param":null,"code":null}}"#,
        ContextLengthExceeded,
    ),
    ("xAI", ChatCompletions, 400, r#"{"code":"invalid-argument","error":"Incorrect API key provided: x."}"#, AuthFailed),
    ("xAI", ChatCompletions, 403, r#"{"code":"permission-denied","error":"Your team has used all available credits"}"#, QuotaExceeded),
    (
        "DeepSeek",
        ChatCompletions,
        401,
        r#"{"error":{"message":"Authentication Fails","type":"authentication_error","param":null,"code":"invalid_request_error"}}"#,
        AuthFailed,
    ),
    (
        "DeepSeek",
        ChatCompletions,
        402,
        r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
        QuotaExceeded,
    ),
    (
        "Groq",
        ChatCompletions,
        400,
        r#"{"error":{"code":"tool_use_failed","failed_generation":"{}","message":"Tool call validation failed","type":"invalid_request_error"}}"#,
        BadRequest,
    ),
    ("Groq", ChatCompletions, 498, r#"{"error":{"message":"capacity","type":"x","code":"capacity_exceeded"}}"#, Overloaded),
    ("Perplexity", ChatCompletions, 400, r#"{"error":{"message":"x","type":"too_many_prompt_tokens","code":400}}"#, ContextLengthExceeded),
    (
        "OpenRouter",
        ChatCompletions,
        400,
        r#"{"error":{"message":"This endpoint's maximum context length is 200000 tokens.","code":400,"metadata":{"provider_name":null}}}"#,
        ContextLengthExceeded,
    ),
    ("OpenRouter", ChatCompletions, 402, r#"{"error":{"message":"Insufficient credits","code":402}}"#, QuotaExceeded),
    (
        "Moonshot",
        ChatCompletions,
        429,
        r#"{"error":{"message":"The engine is currently overloaded","type":"engine_overloaded_error"}}"#,
        Overloaded,
    ),
    ("Moonshot", ChatCompletions, 429, r#"{"error":{"message":"x","type":"exceeded_current_quota_error"}}"#, QuotaExceeded),
    ("Zhipu", ChatCompletions, 429, r#"{"error":{"code":"1113","message":"x"}}"#, QuotaExceeded),
    (
        "Alibaba",
        ChatCompletions,
        400,
        r#"{"error":{"code":"data_inspection_failed","message":"Input data may contain inappropriate content.","type":"data_inspection_failed"}}"#,
        ContentFiltered,
    ),
    (
        "vLLM",
        ChatCompletions,
        400,
        r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}"#,
        ContextLengthExceeded,
    ),
    ("Voyage", Embeddings, 400, r#"{"detail":"Model x is not supported."}"#, BadRequest),
    ("Hugging Face", ChatCompletions, 503, r#"{"error":["Model x is currently loading"],"estimated_time":20.0}"#, Overloaded),
    (
        "watsonx",
        ChatCompletions,
        404,
        r#"{"errors":[{"code":"model_not_supported","message":"Model 'x' is not supported"}],"trace":"t","status_code":404}"#,
        NotFound,
    ),
    (
        "Cloudflare",
        ChatCompletions,
        401,
        r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"messages":[],"result":null}"#,
        AuthFailed,
    ),
    ("Databricks", ChatCompletions, 400, r#"{"error_code":"BAD_REQUEST","message":"prompt is too long"}"#, ContextLengthExceeded),
    ("a proxy", ChatCompletions, 524, "<html><body>A timeout occurred</body></html>", Timeout),
];

#[test]
fn each_provider_s_words_are_of_a_class() {
    for (who, surface, status, body, class) in TOLD {
        let fault = Fault::of_answer(surface, status, body.as_bytes());
        assert_eq!(fault.class, class, "{who}: {body}");
        assert!(body.starts_with('<') || !fault.message.starts_with(['{', '[']), "{who}: {}", fault.message);
    }
}

#[test]
fn complaints_and_codes_are_told_in_words() {
    let fault = |body: &str| Fault::of_answer(ChatCompletions, 422, body.as_bytes());
    let told =
        fault(r#"{"detail":[{"loc":["body","messages",0,"name"],"msg":"not permitted","type":"x"},{"loc":["body"],"msg":"and this"}]}"#);
    assert_eq!((told.message.as_str(), told.param.as_deref()), ("messages.0.name: not permitted; and this", Some("messages.0.name")));
    let told = fault(r#"{"code":"invalid-argument","error":"no"}"#);
    assert_eq!((told.message.as_str(), told.code.as_deref()), ("no", Some("invalid-argument")));
    let told = fault(r#"{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials.","request_id":"r"}"#);
    assert_eq!((told.message.as_str(), told.code.as_deref()), ("Invalid credentials.", Some("INVALID_AUTH")));
    assert_eq!(fault(r#"{"error":["a","b"]}"#).message, "a; b");
}

#[test]
fn a_kind_beside_the_body_counts() {
    let fault = Fault::of_kind(Converse, 400, Some("ValidationException"), br#"{"message":"x"}"#);
    assert_eq!(fault.class, BadRequest);
    let fault = Fault::of_kind(Converse, 400, Some("content_filter"), br#"{"message":"x"}"#);
    assert_eq!(fault.class, ContentFiltered, "what the status alone does not tell");
    let fault = Fault::of_kind(Converse, 400, Some("ValidationException"), br#"{"message":"x","type":"insufficient_quota"}"#);
    assert_eq!(fault.class, QuotaExceeded, "and the body's own wins");
}

#[test]
fn an_error_inside_an_answer_of_200_or_a_stream_is_of_a_class_too() {
    for (surface, json, class) in [
        (ChatCompletions, r#"{"error":{"message":"x","code":429}}"#, RateLimited),
        (ChatCompletions, r#"{"error":{"message":"x","code":"429"}}"#, RateLimited),
        (ChatCompletions, r#"{"error":{"message":"x","code":502,"metadata":{"provider_name":"p"}}}"#, ServerError),
        (ChatCompletions, r#"{"error":{"message":"x","code":7}}"#, ServerError),
        (ChatCompletions, r#"{"error":{"message":"x","type":"invalid_request_error","code":"tool_use_failed"}}"#, BadRequest),
        (ChatCompletions, r#"{"error":{"message":"Insufficient credits","type":"x"}}"#, QuotaExceeded),
        (Messages, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Overloaded),
        (Messages, r#"{"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#, RateLimited),
        (GenerateContent, r#"{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}"#, Overloaded),
        (OllamaChat, r#"{"error":"out of memory"}"#, ServerError),
    ] {
        assert_eq!(Fault::of_object(surface, json.as_bytes()).class, class, "{json}");
    }
}

#[test]
fn a_wait_is_found_in_the_body() {
    let wait = |body: &str| Fault::retry_delay(body.as_bytes());
    let google =
        r#"{"error":{"code":429,"message":"x. Please retry in 9s.","details":[{"@type":"x"},{"@type":"y","retryDelay":"34.4s"}]}}"#;
    assert_eq!(wait(google), Some(Duration::from_millis(34_400)), "what is meant for machines first");
    let openai = r#"{"error":{"message":"Rate limit reached for gpt-4o. Please try again in 1m12s. Visit https://x"}}"#;
    assert_eq!(wait(openai), Some(Duration::from_secs(72)));
    assert_eq!(wait(r#"{"error":{"code":"429","message":"Please retry after 7 seconds."}}"#), Some(Duration::from_secs(7)));
    assert_eq!(wait(r#"{"error":{"message":"Please try again later."}}"#), None);
}

/// Recorded errors of every provider, each with a class that its status allows; without recordings this says so and passes.
#[test]
fn recorded_errors_have_words_and_a_class() {
    #[expect(clippy::disallowed_methods, reason = "a test is told where recordings are")]
    let named = std::env::var("PORTOLAN_FIXTURES").map(PathBuf::from).ok();
    let root = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"));
    let Ok(providers) = std::fs::read_dir(&root) else {
        println!("SKIPPED: no recordings at {}; set PORTOLAN_FIXTURES", root.display());
        return;
    };
    let mut read = 0;
    let cases = providers.filter_map(|provider| std::fs::read_dir(provider.ok()?.path()).ok()).flatten();
    for case in cases.filter_map(|case| Some(case.ok()?.path())) {
        let json = |name: &str| serde_json::from_slice::<Value>(&std::fs::read(case.join(name)).ok()?).ok();
        let (Some(meta), Ok(body)) = (json("meta.json"), std::fs::read(case.join("response.json"))) else { continue };
        let status = meta["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
        if status < 400 {
            continue;
        }
        read += 1;
        let surface = match case.parent().and_then(Path::file_name).and_then(|name| name.to_str()).expect("a provider") {
            "anthropic" => Messages,
            "gemini" | "vertex" => GenerateContent,
            "bedrock" => Converse,
            "cohere" => CohereChat,
            _ => ChatCompletions,
        };
        let fault = Fault::of_answer(surface, status, &body);
        let fits = match status {
            401 | 403 => matches!(fault.class, AuthFailed),
            404 => matches!(fault.class, NotFound),
            429 => matches!(fault.class, RateLimited | QuotaExceeded | Overloaded),
            _ => matches!(fault.class, BadRequest | ContextLengthExceeded | NotFound | QuotaExceeded | ContentFiltered | AuthFailed),
        };
        assert!(fits && !fault.message.contains("without a reason"), "{}: {fault:?}", case.display());
        let long = case.to_string_lossy().contains("context");
        assert_eq!(fault.class == ContextLengthExceeded, long, "{}: {fault:?}", case.display());
    }
    assert!(read > 20, "{read} recorded errors");
}
