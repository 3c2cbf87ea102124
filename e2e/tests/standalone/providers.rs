//! Providers that misbehave. Each gives the client a clear error in its dialect, and disturbs no neighbour.

use e2e::client::{Answer, chat, post};
use e2e::upstream::{self, Step, chat_event, chunk, events, last_chunk, stream_head, whole};

use crate::Front;

/// Asks a provider that does this, and then one more time a provider that is well.
async fn met_with(stream: bool, steps: Vec<Step>) -> Answer {
    let front = Front::start_with("timeouts: {firstByteMilliseconds: 300, idleMilliseconds: 300}", &[], move |asked| {
        if String::from_utf8_lossy(&asked.body).contains("be well") {
            upstream::json(200, &upstream::chat_answer("m", "well"))
        } else {
            steps.clone()
        }
    })
    .await;
    let answer = front.chat(stream).await;
    let receipt = front.gateway.receipt_of(&answer.call()).await;
    assert_eq!(receipt["outcome"], "failed", "{receipt}");
    let well = front.post(r#"{"model":"m","messages":[{"role":"user","content":"be well"}]}"#).await;
    assert_eq!(well.status, 200, "the next call is answered: {}", well.text());
    answer
}

#[tokio::test]
async fn a_hanging_provider_is_a_timeout() {
    let answer = met_with(false, vec![Step::Hang]).await;
    assert_eq!((answer.status, answer.code().as_str()), (504, "upstream_timeout"));
}

#[tokio::test]
async fn a_provider_that_hangs_after_its_head_is_a_timeout() {
    for stream in [false, true] {
        let answer = met_with(stream, vec![stream_head(), Step::Hang]).await;
        assert_eq!((answer.status, answer.code().as_str()), (504, "upstream_timeout"));
    }
}

#[tokio::test]
async fn a_reset_is_unreachable() {
    let answer = met_with(false, vec![Step::Reset]).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"));
}

#[tokio::test]
async fn html_is_no_answer_and_is_not_shown() {
    let answer = met_with(false, whole(200, "text/html", b"<html>login at internal.example</html>")).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_invalid_response"));
    assert!(!answer.text().contains("internal.example"));
    let answer = met_with(false, whole(502, "text/html", b"<html>nginx internal.example</html>")).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_error"));
    assert!(!answer.text().contains("internal.example"));
}

#[tokio::test]
async fn garbage_with_status_200_is_no_answer() {
    for garbage in ["", "null", "{\"choices\":", "[1]", "\u{0}"] {
        let answer = met_with(false, upstream::json(200, garbage)).await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_invalid_response"), "{garbage:?}");
    }
}

#[tokio::test]
async fn an_error_with_status_200_is_an_error() {
    let said = r#"{"error":{"message":"too many","type":"rate_limit_error","code":"rate_limit_exceeded"}}"#;
    let answer = met_with(false, upstream::json(200, said)).await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "upstream_rate_limited"));
    let answer = met_with(true, events(format!("data: {said}\n\n").as_bytes())).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (429, "upstream_rate_limited"),
        "before the first byte the status can still say it"
    );
}

#[tokio::test]
async fn a_stream_that_ends_without_its_terminal_event_ends_in_an_error() {
    let cut = [vec![stream_head(), chunk(&chat_event("m", "first"))], vec![Step::Reset]].concat();
    let ended = vec![stream_head(), chunk(&chat_event("m", "first")), last_chunk()];
    let hung = vec![stream_head(), chunk(&chat_event("m", "first")), Step::Hang];
    let garbage = vec![stream_head(), chunk(&chat_event("m", "first")), chunk(b"data: {\"choices\": oops\n\n"), last_chunk()];
    for steps in [cut, ended, hung, garbage] {
        let text = met_with(true, steps).await.text();
        let last = text.trim_end().rsplit("data: ").next().expect("an event");
        let last: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error} in {text}"));
        assert!(last["error"]["code"].as_str().is_some_and(|code| code.starts_with("upstream_")), "{text}");
        assert!(!text.contains("[DONE]"), "a broken stream does not say that it is done: {text}");
    }
}

#[tokio::test]
async fn an_empty_stream_is_no_answer() {
    let answer = met_with(true, events(b"")).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_stream_broken"));
}

#[tokio::test]
async fn a_truncated_answer_is_no_answer() {
    let cut = Step::Send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"id\":".to_vec());
    let answer = met_with(false, vec![cut, Step::Close]).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
}

#[tokio::test]
async fn the_providers_no_to_the_request_is_repeated_and_its_no_to_us_is_not() {
    let bad = r#"{"error":{"message":"temperature must be at most 2","type":"invalid_request_error","param":"temperature","code":null}}"#;
    let answer = met_with(false, upstream::json(400, bad)).await;
    assert_eq!((answer.status, answer.text().as_str()), (400, bad));
    let secret =
        r#"{"error":{"message":"Incorrect API key provided: credenti*****f-up","type":"invalid_request_error","code":"invalid_api_key"}}"#;
    let answer = met_with(false, upstream::json(401, secret)).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_auth_failed"));
    assert!(!answer.text().contains("credenti*"), "{}", answer.text());
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    let reply = b"HTTP/1.1 429 T\r\ncontent-type: application/json\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}";
    let answer = met_with(false, vec![Step::Send(reply.to_vec())]).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_unreachable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let key = e2e::folder::key_text(1);
    let folder =
        e2e::folder::Folder::with(&(e2e::folder::provider("up", "OpenAICompatible", free, &["m"], "") + &e2e::folder::key("k", &key, "")));
    let gateway = e2e::gateway::Gateway::start(folder.path(), &[]).await;
    let answer = post(gateway.listen, "/v1/chat/completions", &key, &chat("m", false)).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"));
    assert!(!answer.text().contains(&free.to_string()), "addresses stay in the house: {}", answer.text());
}

#[tokio::test]
async fn an_anthropic_provider_that_breaks_off_ends_an_openai_stream_in_an_openai_error() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hel\"}}\n\n";
    let up = upstream::Upstream::start(move |_| events(start.as_bytes())).await;
    let key = e2e::folder::key_text(1);
    let folder =
        e2e::folder::Folder::with(&(e2e::folder::provider("up", "Anthropic", up.address, &["c"], "") + &e2e::folder::key("k", &key, "")));
    let gateway = e2e::gateway::Gateway::start(folder.path(), &[]).await;
    let answer = post(gateway.listen, "/v1/chat/completions", &key, &chat("c", true)).await;
    assert!(answer.text().contains("\"content\":\"hel\""), "{}", answer.text());
    assert!(answer.text().contains("\"code\":\"upstream_stream_broken\"") && !answer.text().contains("[DONE]"), "{}", answer.text());
    assert_eq!(up.only().path, "/v1/messages");
    assert_eq!(up.only().header("x-api-key"), Some("credential-of-up"));
}
