//! Paths of providers, passed through: what goes over and comes back, and each way around that somebody might try.

use crate::client::{Answer, Call, Raw};
use crate::house::{House, elapse};
use crate::manifests::{cloud_provider, key, open_gateway, provider, provider_of, text_of};
use crate::provider::{ANSWER, Asked, DONE, Line, event};

const GRANTED: &str = "allow: { operations: [Proxy] }";
const FILES: &str = "proxy: { paths: [/files, '/files/*', '/files/*/content', '/threads/**'], methods: [GET, POST, DELETE] }";

fn house() -> House {
    House::of(&[provider("alpha", FILES), provider("closed", ""), key("app", GRANTED), key("chat", "allow: { operations: [Chat] }")])
}

/// Makes a call that reaches the provider, and answers it.
async fn passes(house: &House, call: Call) -> (Asked, Answer) {
    let calling = house.call(call);
    let (_line, asked) = house.providers.answers("alpha.example", 200, "{}").await;
    (asked, calling.answer().await)
}

/// Makes a call that no provider hears of.
async fn in_vain(house: &House, call: Call) -> (u16, String) {
    let answer = house.call(call).answer().await;
    assert_eq!(house.providers.dialled(), [""; 0]);
    (answer.status, answer.code())
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_on_as_it_came_with_the_providers_credential() {
    let house = house();
    let call = Call::post("app", "/proxy/alpha/files?purpose=batch&limit=2", "--x\r\nany bytes\r\n--x--")
        .with("content-type", "multipart/form-data; boundary=x")
        .with("openai-beta", "assistants=v2")
        .with("accept", "application/json");
    let (asked, answer) = passes(&house, call).await;
    assert!(asked.head.starts_with("POST /v1/files?purpose=batch&limit=2 HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!(asked.header("authorization"), "Bearer credential-of-alpha");
    assert_eq!(asked.header("host"), "alpha.example");
    assert_eq!(asked.header("content-type"), "multipart/form-data; boundary=x");
    assert_eq!((asked.header("openai-beta"), asked.header("accept")), ("assistants=v2", "application/json"));
    assert_eq!(asked.text, "--x\r\nany bytes\r\n--x--");
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    let receipt = &house.receipts()[0];
    assert_eq!((receipt["surface"].as_str(), receipt["provider"].as_str()), (Some("proxy"), Some("default/alpha")));
    assert_eq!(
        (receipt["rule"].as_str(), receipt["outcome"].as_str(), receipt["attempts"].as_u64()),
        (Some("/files"), Some("answered"), Some(1))
    );
    assert!(receipt["model"].is_null() && receipt["upstream_model"].is_null() && receipt["usage"].is_null(), "{receipt}");
    let metrics = house.gateway.metrics.text();
    assert!(metrics.contains(r#"portolan_calls_total{outcome="answered",surface="proxy"} 1"#), "{metrics}");
    assert!(metrics.contains(r#"portolan_attempts_total{provider="default/alpha",result="ok"} 1"#), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_any_status_and_kind_comes_back_as_it_is() {
    let house = house();
    for (status, body) in
        [(200, "{\"a\": 1}"), (201, ""), (404, "{\"error\":{\"message\":\"no such file\"}}"), (429, "slow"), (500, "<html>")]
    {
        let calling = house.call(Call::get("app", "/proxy/alpha/files/f-1/content"));
        let mut line = house.providers.line("alpha.example").await;
        line.asked().await;
        let length = body.len();
        line.say(&format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: text/x-said\r\ncontent-length: {length}\r\nretry-after: 3\r\ncontent-disposition: attachment\r\nconnection: close\r\n\r\n{body}"
        ))
        .await;
        let answer = calling.answer().await;
        assert_eq!((answer.status, answer.body.as_str(), answer.whole), (status, body, true));
        assert_eq!((answer.header("content-type"), answer.header("content-disposition")), ("text/x-said", "attachment"));
        assert_eq!((answer.header("content-length"), answer.header("retry-after")), (length.to_string().as_str(), "3"));
    }
    let told: Vec<_> = house.receipts().iter().map(|receipt| (receipt["status"].clone(), receipt["outcome"].clone())).collect();
    assert_eq!(told, [200, 201, 404, 429, 500].map(|status| (status.into(), "answered".into())));
    let metrics = house.gateway.metrics.text();
    assert!(metrics.contains(r#"portolan_attempts_total{provider="default/alpha",result="rate_limited"} 1"#), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_comes_as_it_is_said() {
    let house = house();
    let calling = house.call(Call::post("app", "/proxy/alpha/threads/t-1/runs", "{\"stream\":true}"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk(&event("one")).await;
    elapse(10).await;
    assert_eq!(house.gateway.process.calls(), 1, "held while it runs");
    line.chunk(DONE).await;
    line.ends().await;
    let answer = calling.answer().await;
    assert_eq!((answer.header("content-type"), answer.body.as_str()), ("text/event-stream", [&event("one"), DONE].concat().as_str()));
    house.settle().await;
    assert_eq!(house.gateway.process.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_breaks_off_for_the_client_too() {
    let house = house();
    let calling = house.call(Call::get("app", "/proxy/alpha/files"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk("half").await;
    drop(line);
    let answer = calling.answer().await;
    assert_eq!((answer.body.as_str(), answer.whole), ("half", false));
    let receipt = &house.receipts()[0];
    assert_eq!((receipt["outcome"].as_str(), receipt["code"].as_str()), (Some("failed"), Some("stream_broken")));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_the_call_at_the_provider() {
    let house = house();
    let calling = house.call(Call::get("app", "/proxy/alpha/files"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk("half").await;
    elapse(10).await;
    calling.leaves().await;
    line.left().await;
    assert_eq!(house.receipts()[0]["outcome"], "client_gone");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_silent_or_not_there_is_told_as_everywhere() {
    let manifest = provider("alpha", &format!("{FILES}, timeouts: {{ firstByteMilliseconds: 700, idleMilliseconds: 900 }}"));
    let house = House::of(&[manifest, key("app", GRANTED)]);
    let calling = house.call(Call::get("app", "/proxy/alpha/files"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.code().as_str(), answer.after.as_millis()), (504, "upstream_timeout", 700));
    let calling = house.call(Call::get("app", "/proxy/alpha/files"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk("half").await;
    let answer = calling.answer().await;
    assert_eq!((answer.whole, answer.after.as_millis()), (false, 900), "nothing came for the idle time");
    house.host("alpha.example", crate::provider::Manner::Refuses);
    let answer = house.call(Call::get("app", "/proxy/alpha/files")).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"));
}

#[tokio::test(start_paused = true)]
async fn a_key_has_it_only_when_it_is_granted_by_name() {
    let house = House::of(&[provider("alpha", FILES), key("any", ""), key("chat", "allow: { operations: [Chat] }"), key("app", GRANTED)]);
    for id in ["any", "chat"] {
        assert_eq!(in_vain(&house, Call::get(id, "/proxy/alpha/files")).await, (403, "operation_not_allowed".to_owned()), "{id}");
    }
    assert_eq!(in_vain(&house, Call::get("stranger", "/proxy/alpha/files")).await, (401, "invalid_api_key".to_owned()));
    assert_eq!(in_vain(&house, Call::get("app", "/proxy/alpha/files").showing(None)).await, (401, "missing_api_key".to_owned()));
    assert_eq!(in_vain(&house, Call::chat("app", "alpha/m")).await, (403, "operation_not_allowed".to_owned()), "nor more than that");
    assert_eq!(passes(&house, Call::get("app", "/proxy/alpha/files")).await.1.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_path_or_method_that_is_not_allowed_is_not_passed() {
    let house = house();
    let not_allowed = (403, "path_not_allowed".to_owned());
    for path in [
        "/proxy/alpha/chat/completions",
        "/proxy/alpha/filesx",
        "/proxy/alpha/Files",
        "/proxy/alpha/files/f-1/more",
        "/proxy/alpha/threads",
        "/proxy/alpha/%66iles",
        "/proxy/alpha/v1/files",
        "/proxy/closed/files",
    ] {
        assert_eq!(in_vain(&house, Call::get("app", path)).await, not_allowed, "{path}");
    }
    for method in ["PUT", "PATCH"] {
        assert_eq!(in_vain(&house, Call::get("app", "/proxy/alpha/files").by(method)).await, not_allowed, "{method}");
    }
    for method in ["OPTIONS", "TRACE", "PROPFIND"] {
        let answer = house.call(Call::get("app", "/proxy/alpha/files").by(method)).answer().await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD, POST, PUT, PATCH, DELETE"), "{method}");
    }
    assert_eq!(house.providers.dialled(), [""; 0]);
    let (asked, _) = passes(&house, Call::get("app", "/proxy/alpha/files/f-1").by("DELETE")).await;
    assert!(asked.head.starts_with("DELETE /v1/files/f-1 HTTP/1.1\r\n"), "{}", asked.head);
}

#[tokio::test(start_paused = true)]
async fn what_is_looked_at_alone_tells_its_length_and_sends_nothing() {
    let house = house();
    let calling = house.call(Call::get("app", "/proxy/alpha/files/f-1").by("HEAD"));
    let mut line = house.providers.line("alpha.example").await;
    assert!(line.asked().await.head.starts_with("HEAD /v1/files/f-1 "));
    line.say("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 900\r\n\r\n").await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.header("content-length"), answer.body.as_str()), (200, "900", ""));
    assert_eq!(house.receipts()[0]["outcome"], "answered");
}

/// Says a request line of its own, with a key that may, and hears what comes.
async fn says(house: &House, line: &str) -> String {
    let mut client = Raw(house.line());
    let key = text_of("app");
    client.say(&format!("{line}\r\nhost: g\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n")).await;
    let heard = client.hears_the_end().await;
    assert_eq!(house.providers.dialled(), [""; 0], "{line}");
    heard
}

#[tokio::test(start_paused = true)]
async fn a_path_that_could_lead_elsewhere_is_refused_before_anything_else() {
    let house = house();
    for path in [
        "/proxy/alpha",
        "/proxy/alpha/",
        "/proxy/alpha//files",
        "/proxy/alpha/files/",
        "/proxy/alpha/files/..",
        "/proxy/alpha/files/../chat/completions",
        "/proxy/alpha/./files",
        "/proxy/alpha/files/%2e%2e",
        "/proxy/alpha/files/%2E%2E/chat",
        "/proxy/alpha/files/.%2e",
        "/proxy/alpha/files/%252e%252e",
        "/proxy/alpha/threads/a%2fb",
        "/proxy/alpha/threads/a%5Cb",
        "/proxy/alpha/threads/..;/admin",
        "/proxy/alpha/threads/%00",
        "/proxy/alpha/threads/%0d%0ax:y",
        "/proxy/alpha/threads/%c0%ae%c0%ae",
        "/proxy/alpha/threads/%",
        "/proxy//files",
    ] {
        let heard = says(&house, &format!("GET {path} HTTP/1.1")).await;
        let refused = heard.starts_with("HTTP/1.1 400 ") && heard.contains("invalid_path");
        // No provider has an empty name.
        let nobody = path == "/proxy//files" && heard.contains("provider_not_found");
        assert!(refused || nobody, "{path}: {heard}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_request_line_reaches_another_host() {
    let house = house();
    for line in [
        "GET /proxy/alpha/http://evil.example/files HTTP/1.1",
        "GET /proxy/alpha//evil.example/files HTTP/1.1",
        "GET /proxy/evil.example/files HTTP/1.1",
        "GET /proxy/alpha@evil.example/files HTTP/1.1",
        "GET /proxy/alpha:8080/files HTTP/1.1",
        "GET /proxy/http:%2f%2fevil.example/files HTTP/1.1",
        "GET http://evil.example/proxy/nobody/files HTTP/1.1",
        "CONNECT evil.example:443 HTTP/1.1",
    ] {
        let heard = says(&house, line).await;
        assert!(heard.starts_with("HTTP/1.1 4"), "{line}: {heard}");
    }
    // Whatever host a client names, the provider is asked at its own.
    let mut client = Raw(house.line());
    let key = text_of("app");
    client
        .say(&format!("GET http://evil.example/proxy/alpha/files HTTP/1.1\r\nhost: evil.example\r\nauthorization: Bearer {key}\r\n\r\n"))
        .await;
    let mut line = house.providers.line("alpha.example").await;
    let asked = line.asked().await;
    assert!(asked.head.starts_with("GET /v1/files HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!(asked.header("host"), "alpha.example");
}

#[tokio::test(start_paused = true)]
async fn nothing_that_the_client_says_of_itself_reaches_the_provider() {
    let house = house();
    let mut call = Call::post("app", "/proxy/alpha/files", "x").with("content-type", "text/plain").with("x-kept", "kept");
    for name in [
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "cookie",
        "proxy-authorization",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-portolan-model",
        "x-portkey-virtual-key",
        "x-portkey-config",
        "idempotency-key",
        "x-request-id",
        "openai-organization",
        "openai-project",
        "x-amz-security-token",
        "x-goog-user-project",
        "x-http-method-override",
        "x-original-url",
        "x_api_key",
        "te",
        "keep-alive",
        "x-nominated",
    ] {
        call = call.with(name, "of-the-client");
    }
    let (asked, _) = passes(&house, call.with("connection", "x-nominated")).await;
    assert!(!asked.head.contains("of-the-client") && !asked.head.contains(&text_of("app")), "{}", asked.head);
    assert_eq!((asked.header("x-kept"), asked.header("content-length"), asked.header("transfer-encoding")), ("kept", "1", ""));
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_end_is_told_twice_is_not_passed() {
    let house = house();
    let key = text_of("app");
    for lengths in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "content-length: 3\r\ncontent-length: 4\r\n",
        "transfer-encoding: chunked, identity\r\n",
    ] {
        let mut client = Raw(house.line());
        let body = "0\r\n\r\nGET /proxy/alpha/chat/completions HTTP/1.1\r\nhost: g\r\n\r\n";
        client
            .say(&format!(
                "POST /proxy/alpha/files HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\nconnection: close\r\n{lengths}\r\n{body}"
            ))
            .await;
        if lengths.starts_with("content-length: 3\r\ntransfer") {
            // What is chunked is read as chunks, and goes on with a length of its own and nothing behind it.
            let mut line = house.providers.line("alpha.example").await;
            let asked = line.asked().await;
            assert_eq!((asked.header("content-length"), asked.header("transfer-encoding"), asked.text.as_str()), ("0", "", ""));
            line.answer(200, "{}").await;
            let heard = client.hears_the_end().await;
            assert_eq!(heard.matches("HTTP/1.1").count(), 1, "{heard}");
        } else {
            let heard = client.hears_the_end().await;
            assert!(heard.starts_with("HTTP/1.1 400"), "{lengths}: {heard}");
        }
    }
    assert_eq!(house.providers.dialled().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_that_is_not_the_clients_comes_back() {
    let house = house();
    let calling = house.call(Call::get("app", "/proxy/alpha/files"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.say(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nset-cookie: session=1\r\nkeep-alive: timeout=5\r\nproxy-authenticate: Basic\r\ntrailer: x\r\nupgrade: h2c\r\nopenai-organization: org-of-ours\r\nx-request-id: theirs\r\naccess-control-allow-origin: *\r\nstrict-transport-security: max-age=1\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let answer = calling.answer().await;
    let mut names: Vec<&str> = answer.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "date", "x-portolan-call-id", "x-request-id"]);
    assert_ne!(answer.header("x-request-id"), "theirs");
}

#[tokio::test(start_paused = true)]
async fn a_redirection_is_told_only_where_it_stays_behind_the_gateway() {
    let house = house();
    for (location, told) in [
        ("http://alpha.example/v1/files/f-2", "/proxy/alpha/files/f-2"),
        ("http://alpha.example:80/v1/files/f-2?x=1", "/proxy/alpha/files/f-2?x=1"),
        ("/v1/files/f-2", "/proxy/alpha/files/f-2"),
        ("https://evil.example/v1/files", ""),
        ("https://alpha.example/v1/files", ""),
        ("http://alpha.example.evil.example/v1/files", ""),
        ("http://alpha.example:8080/v1/files", ""),
        ("http://alpha.example@evil.example/v1/files", ""),
        ("//evil.example/v1/files", ""),
        ("/v1//evil.example", ""),
        ("/v1/../admin", ""),
        ("/elsewhere", ""),
        ("files", ""),
        ("javascript:alert(1)", ""),
    ] {
        let calling = house.call(Call::get("app", "/proxy/alpha/files"));
        let mut line = house.providers.line("alpha.example").await;
        line.asked().await;
        line.say(&format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")).await;
        let answer = calling.answer().await;
        assert_eq!((answer.status, answer.header("location")), (302, told), "{location}");
    }
    assert!(house.providers.dialled().iter().all(|host| host == "alpha.example"), "and nobody follows it");
}

#[tokio::test(start_paused = true)]
async fn a_body_is_bounded_as_everywhere() {
    let gateway =
        "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMGateway\nmetadata: { name: small }\nspec: { limits: { maxBodyBytes: 1024 } }\n";
    let house = House::of(&[gateway.to_owned(), provider("alpha", FILES), key("app", &format!("{GRANTED}, maxInFlight: 1"))]);
    let call = Call::post("app", "/proxy/alpha/files", &"x".repeat(1025)).with("content-type", "text/plain");
    assert_eq!(in_vain(&house, call).await, (413, "body_too_large".to_owned()));
    let calling = house.call(Call::get("app", "/proxy/alpha/files"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    let second = house.call(Call::get("app", "/proxy/alpha/files")).answer().await;
    assert_eq!((second.status, second.code().as_str()), (429, "too_many_in_flight"));
    line.answer(200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_reaches_its_own_providers_and_those_that_are_shared_with_it() {
    let shared = |id: &str, more: &str| provider(id, &format!("{FILES}, {more}"));
    let house = House::of(&[
        open_gateway(),
        shared("a/own", ""),
        shared("b/private", ""),
        shared("b/public", "allowedNamespaces: { from: All }"),
        key("a/app", GRANTED),
        key("a/narrow", "allow: { operations: [Proxy], providers: [{ name: own }] }"),
    ]);
    for (id, path) in [("a/app", "/proxy/private/files"), ("a/app", "/proxy/b.private/files"), ("a/narrow", "/proxy/public/files")] {
        assert_eq!(in_vain(&house, Call::get(id, path)).await, (404, "provider_not_found".to_owned()), "{id} {path}");
    }
    assert_eq!(in_vain(&house, Call::get("a/app", "/proxy/b/private/files")).await, (404, "provider_not_found".to_owned()));
    for (id, path, host) in [
        ("a/app", "/proxy/own/files", "own.a.example"),
        ("a/app", "/proxy/public/files", "public.b.example"),
        ("a/narrow", "/proxy/own/files", "own.a.example"),
    ] {
        let calling = house.call(Call::get(id, path));
        let (_line, asked) = house.providers.answers(host, 200, "{}").await;
        assert!(asked.head.starts_with("GET /v1/files "), "{}", asked.head);
        assert_eq!(calling.answer().await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_credential_is_shown_in_its_place() {
    for (kind, header, value) in [
        ("OpenAI", "authorization", "Bearer credential-of-alpha"),
        ("Anthropic", "x-api-key", "credential-of-alpha"),
        ("Gemini", "x-goog-api-key", "credential-of-alpha"),
        ("AzureOpenAI", "api-key", "credential-of-alpha"),
        ("Cohere", "authorization", "Bearer credential-of-alpha"),
    ] {
        let house = House::of(&[provider_of(kind, "alpha", FILES), key("app", GRANTED)]);
        let call = Call::get("app", "/proxy/alpha/files").with(if kind == "Anthropic" { "x-kept" } else { "x-api-key" }, "of-the-client");
        let (asked, _) = passes(&house, call).await;
        assert_eq!(asked.header(header), value, "{kind}");
        let shown = asked.head.matches("credential-of-alpha").count();
        assert_eq!((shown, asked.header("anthropic-version")), (1, if kind == "Anthropic" { "2023-06-01" } else { "" }), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_to_amazon_is_signed_with_its_path_and_query() {
    let spec = "type: Bedrock, auth: { type: AWS, aws: { region: eu-west-1, source: Keys, accessKeyIDRef: { name: aws, key: id }, secretAccessKeyRef: { name: aws, key: secret } } }, proxy: { paths: ['/model/*/invoke'] }";
    let house = House::of(&[cloud_provider("aws", spec, &[("id", "AKIDSTATIC"), ("secret", "secret-of-static")]), key("app", GRANTED)]);
    house.host("bedrock-runtime.eu-west-1.amazonaws.com", crate::provider::Manner::Http1);
    let call = Call::post("app", "/proxy/aws/model/amazon.nova-micro-v1:0/invoke?x=1", "{}").with("x-amz-date", "19700101T000000Z");
    let calling = house.call(call);
    let mut line: Line = house.providers.line("bedrock-runtime.eu-west-1.amazonaws.com").await;
    let asked = line.asked().await;
    assert!(asked.head.starts_with("POST /model/amazon.nova-micro-v1:0/invoke?x=1 "), "{}", asked.head);
    assert!(asked.header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=AKIDSTATIC/"), "{}", asked.head);
    assert_ne!(asked.header("x-amz-date"), "19700101T000000Z");
    line.answer(200, "{}").await;
    assert_eq!(calling.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_browser_may_use_every_method_of_a_path() {
    let gateway =
        "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMGateway\nmetadata: { name: open }\nspec: { cors: { allowOrigins: ['*'] } }\n";
    let house = House::of(&[gateway.to_owned(), provider("alpha", FILES), key("app", GRANTED)]);
    let call = Call::get("app", "/proxy/alpha/files/f-1").by("OPTIONS").showing(None);
    let call = call.with("origin", "https://app.example").with("access-control-request-method", "DELETE");
    let answer = house.call(call).answer().await;
    assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, "GET, POST, PUT, PATCH, DELETE"));
}
