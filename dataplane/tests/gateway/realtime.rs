//! Sessions: how they open, what passes, and each way in which they end.

use dataplane::exchange::websocket_accept;
use dataplane::http::listener::Leaving;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use crate::client::Call;
use crate::house::{House, elapse, within_the_hour};
use crate::manifests::{key, policy, provider, provider_of, text_of};
use crate::provider::{ANSWER, Asked};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const DONE: &str =
    r#"{"type":"response.done","response":{"usage":{"input_tokens":20,"output_tokens":10,"input_token_details":{"cached_tokens":8}}}}"#;

type Socket = WebSocketStream<DuplexStream>;

fn house(more: &str) -> House {
    House::of(&[
        provider_of("OpenAI", "alpha", "models: [{ name: talker, upstreamName: gpt-4o-mini }]"),
        provider("plain", ""),
        key("app", more),
    ])
}

/// The head of a handshake; `more` are lines of it.
fn hand(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: g\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n{more}\r\n"
    )
}

fn shown(key: &str) -> String {
    format!("authorization: Bearer {}\r\n", text_of(key))
}

/// Says a head and reads the head of the answer, to its last byte.
async fn heads(io: &mut DuplexStream, said: &str) -> String {
    io.write_all(said.as_bytes()).await.expect("the gateway listens");
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        heard.push(within_the_hour(io.read_u8()).await.expect("a head"));
    }
    String::from_utf8(heard).expect("text")
}

/// How a provider opens a session.
fn switching(asked: &Asked) -> String {
    let accept = websocket_accept(asked.header("sec-websocket-key"));
    format!(
        "HTTP/1.1 101 Switching\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\nsec-websocket-protocol: realtime\r\n\r\n"
    )
}

/// A session that is open: the client's end, the provider's, and what the provider was asked.
async fn opened(house: &House, said: &str) -> (Socket, Socket, Asked, String) {
    let mut io = house.line();
    let said = said.to_owned();
    let client = tokio::spawn(async move {
        let head = heads(&mut io, &said).await;
        (io, head)
    });
    let mut line = house.providers.line("alpha.example").await;
    let asked = line.asked().await;
    line.say(&switching(&asked)).await;
    let (io, head) = client.await.expect("a client does not panic");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let client = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    let provider = WebSocketStream::from_raw_socket(line.io, Role::Server, None).await;
    (client, provider, asked, head)
}

async fn open(house: &House) -> (Socket, Socket) {
    let (client, provider, ..) = opened(house, &hand("/v1/realtime?model=talker", &shown("app"))).await;
    (client, provider)
}

async fn next(socket: &mut Socket) -> Option<Message> {
    within_the_hour(socket.next()).await.and_then(Result::ok)
}

/// The code of the close that comes, whatever comes before.
async fn closed_with(socket: &mut Socket) -> Option<u16> {
    while let Some(message) = next(socket).await {
        if let Message::Close(frame) = message {
            drop(socket.close(None).await);
            return frame.map(|frame| frame.code.into());
        }
    }
    None
}

fn code(code: u16) -> Message {
    Message::Close(Some(CloseFrame { code: code.into(), reason: "so".into() }))
}

#[tokio::test(start_paused = true)]
async fn messages_pass_both_ways_and_what_was_used_is_in_the_receipt() {
    let house = house("");
    let (mut client, mut provider, asked, head) =
        opened(&house, &hand("/v1/realtime?model=talker", &format!("{}openai-beta: realtime=v1\r\ncookie: a=b\r\n", shown("app")))).await;
    assert!(asked.head.starts_with("GET /v1/realtime?model=gpt-4o-mini HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!((asked.header("authorization"), asked.header("host")), ("Bearer credential-of-alpha", "alpha.example"));
    assert_eq!((asked.header("openai-beta"), asked.header("cookie")), ("realtime=v1", ""));
    assert!(
        head.contains(&format!("sec-websocket-accept: {}\r\n", websocket_accept(KEY))) && !head.contains("sec-websocket-protocol"),
        "{head}"
    );
    for text in ["{\"type\":\"response.create\"}", &"x".repeat(200_000)] {
        client.send(Message::text(text)).await.expect("sent");
        assert_eq!(next(&mut provider).await, Some(Message::text(text)));
    }
    for message in [
        Message::text(r#"{"type":"session.created","session":{"model":"m-1"}}"#),
        Message::text(DONE),
        Message::binary(vec![1, 2]),
        Message::text(DONE),
    ] {
        provider.send(message.clone()).await.expect("sent");
        assert_eq!(next(&mut client).await, Some(message));
    }
    assert_eq!(house.gateway.process.calls(), 1, "a place is held for the whole session");
    client.send(code(1000)).await.expect("sent");
    assert_eq!(closed_with(&mut provider).await, Some(1000));
    assert_eq!(closed_with(&mut client).await, Some(1000));
    elapse(2000).await;
    assert_eq!(house.gateway.process.calls(), 0);
    let receipt = &house.receipts()[0];
    assert_eq!(
        (receipt["surface"].as_str(), receipt["status"].as_u64(), receipt["outcome"].as_str()),
        (Some("realtime"), Some(101), Some("answered"))
    );
    assert_eq!((receipt["model"].as_str(), receipt["model_served"].as_str()), (Some("talker"), Some("m-1")));
    assert_eq!(receipt["usage"], serde_json::json!({ "prompt": 40, "completion": 20, "cached": 16, "cache_write": 0, "reasoning": 0 }));
    // 24 tokens at 0.15, 16 at 0.075 and 20 at 0.6 dollars a million.
    assert_eq!((receipt["cost_nano_usd"].as_u64(), receipt["priced"].as_bool()), (Some(24 * 150 + 16 * 75 + 20 * 600), Some(true)));
}

#[tokio::test(start_paused = true)]
async fn a_browser_shows_its_key_as_a_protocol_and_the_provider_never_sees_it() {
    let house = house("");
    let offers = format!("sec-websocket-protocol: realtime, openai-insecure-api-key.{}, openai-beta.realtime-v1\r\n", text_of("app"));
    let (_client, _provider, asked, head) = opened(&house, &hand("/v1/realtime?model=alpha%2Fm", &offers)).await;
    assert!(!asked.head.contains(&text_of("app")), "{}", asked.head);
    assert_eq!((asked.header("sec-websocket-protocol"), asked.header("openai-beta")), ("realtime", "realtime=v1"));
    assert_eq!(asked.header("authorization"), "Bearer credential-of-alpha");
    assert!(head.contains("sec-websocket-protocol: realtime\r\n"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_opened_is_refused_in_plain_words_before_the_switch() {
    let house = House::of(&[
        provider_of("OpenAI", "alpha", "models: [{ name: talker }]"),
        provider("plain", ""),
        key("app", ""),
        key("narrow", "allow: { models: ['other*'] }"),
        key("chat", "allow: { operations: [Chat] }"),
    ]);
    let (path, app) = ("/v1/realtime?model=talker", shown("app"));
    for (said, status, error) in [
        (hand(path, ""), 401, "missing_api_key"),
        (hand(path, "authorization: Bearer wrong\r\n"), 401, "invalid_api_key"),
        (hand(path, "sec-websocket-protocol: openai-insecure-api-key.wrong\r\n"), 401, "invalid_api_key"),
        (hand(path, &shown("narrow")), 403, "model_not_allowed"),
        (hand(path, &shown("chat")), 403, "operation_not_allowed"),
        (hand("/v1/realtime?model=nowhere", &app), 404, "model_not_found"),
        (hand("/v1/realtime?model=plain/m", &app), 400, "unsupported_by_provider"),
        (hand("/v1/realtime", &app), 400, "invalid_query"),
        (hand("/v1/realtime?model=talker&intent=transcription", &app), 400, "invalid_query"),
        (hand(path, &app).replace("version: 13", "version: 8"), 426, "websocket_required"),
        (hand(path, &app).replace(KEY, "short"), 426, "websocket_required"),
        (hand(path, &app).replace("upgrade: WebSocket", "upgrade: h2c"), 426, "websocket_required"),
        (hand(path, &app).replace("GET", "POST").replace("host: g", "host: g\r\ncontent-length: 0"), 405, "method_not_allowed"),
    ] {
        let mut io = house.line();
        let head = heads(&mut io, &said).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{error}: {head}");
        let mut body = vec![0; 4096];
        let read = io.read(&mut body).await.expect("a body");
        let body = String::from_utf8_lossy(&body[..read]).into_owned();
        assert!(body.starts_with("{\"error\":") && body.contains(error), "{error}: {body}");
    }
    let told = heads(&mut house.line(), &hand(path, &app).replace("version: 13", "version: 8")).await;
    assert!(told.contains("upgrade: websocket\r\n"), "{told}");
    assert_eq!(house.providers.dialled(), [""; 0]);
    house.settle().await;
    assert_eq!(house.gateway.process.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_opens_nothing_is_told_as_everywhere() {
    let house = house("");
    for (answer, status, error) in [
        ("HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\n{}", 502, "upstream_auth_failed"),
        ("HTTP/1.1 429 No\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}", 429, "upstream_rate_limited"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 502, "upstream_invalid_response"),
        ("HTTP/1.1 302 Found\r\nlocation: https://evil.example/\r\ncontent-length: 0\r\n\r\n", 502, "upstream_invalid_response"),
        (
            "HTTP/1.1 101 Yes\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: wrong\r\n\r\n",
            502,
            "upstream_invalid_response",
        ),
    ] {
        let mut io = house.line();
        let client = tokio::spawn(async move {
            let head = heads(&mut io, &hand("/v1/realtime?model=talker", &shown("app"))).await;
            let mut body = vec![0; 4096];
            let read = io.read(&mut body).await.expect("a body");
            (head, String::from_utf8_lossy(&body[..read]).into_owned())
        });
        let mut line = house.providers.line("alpha.example").await;
        line.asked().await;
        line.say(answer).await;
        let (head, body) = client.await.expect("a client does not panic");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")) && body.contains(error), "{error}: {head}{body}");
    }
    assert!(house.providers.dialled().iter().all(|host| host == "alpha.example"));
}

#[tokio::test(start_paused = true)]
async fn who_closes_is_heard_by_the_other_with_the_code() {
    for (said, outcome) in [(1000, "answered"), (1001, "answered"), (4000, "failed"), (1011, "failed")] {
        let house = house("");
        let (mut client, mut provider) = open(&house).await;
        provider.send(code(said)).await.expect("sent");
        assert_eq!(closed_with(&mut client).await, Some(said));
        elapse(2000).await;
        assert_eq!(house.receipts()[0]["outcome"], outcome, "{said}");
    }
    for said in [1000, 1001, 3000, 4999] {
        let house = house("");
        let (mut client, mut provider) = open(&house).await;
        client.send(code(said)).await.expect("sent");
        assert_eq!(closed_with(&mut provider).await, Some(said));
        elapse(2000).await;
        assert_eq!(house.receipts()[0]["outcome"], "answered", "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_side_that_is_gone_ends_the_session_for_the_other() {
    let house = house("");
    let (client, mut provider) = open(&house).await;
    drop(client);
    assert_eq!(closed_with(&mut provider).await, Some(1001));
    let (mut client, provider) = open(&house).await;
    drop(provider);
    assert_eq!(closed_with(&mut client).await, Some(u16::from(CloseCode::Error)));
    elapse(2000).await;
    assert_eq!(house.gateway.process.calls(), 0);
    let told: Vec<_> = house.receipts().iter().map(|receipt| (receipt["outcome"].clone(), receipt["code"].clone())).collect();
    assert_eq!(told, [("client_gone".into(), serde_json::Value::Null), ("failed".into(), "stream_broken".into())]);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_and_whoever_answers_them_may_be_silent_for_long() {
    let house = house("");
    let (mut client, mut provider) = open(&house).await;
    client.send(Message::Ping("a".into())).await.expect("sent");
    assert_eq!(next(&mut client).await, Some(Message::Pong("a".into())));
    // Both ends answer pings for ten minutes, while they are listened to, and say nothing else.
    let (heard, also) = tokio::join!(
        tokio::time::timeout(std::time::Duration::from_secs(600), async {
            while !matches!(next(&mut client).await, None | Some(Message::Close(_))) {}
        }),
        tokio::time::timeout(std::time::Duration::from_secs(600), async {
            while !matches!(next(&mut provider).await, None | Some(Message::Close(_))) {}
        }),
    );
    assert!(heard.is_err() && also.is_err(), "the session is still open");
    client.send(Message::text("still here")).await.expect("sent");
    while let Some(message) = next(&mut provider).await {
        if message == Message::text("still here") {
            return;
        }
    }
    panic!("the session ended");
}

#[tokio::test(start_paused = true)]
async fn a_side_that_does_not_even_answer_pings_ends_it() {
    let manifest = provider_of("OpenAI", "alpha", "models: [{ name: talker }], timeouts: { idleMilliseconds: 9000 }");
    let house = House::of(&[manifest, key("app", "")]);
    let began = house.clock.now();
    let (client, mut provider) = open(&house).await;
    assert_eq!(closed_with(&mut provider).await, Some(1001), "the client is silent");
    assert!((9000..11_000).contains(&(house.clock.now() - began).as_millis()));
    drop(client);
    let (mut client, provider) = open(&house).await;
    assert_eq!(closed_with(&mut client).await, Some(1011), "the provider is");
    drop(provider);
    elapse(2000).await;
    let told: Vec<_> = house.receipts().iter().map(|receipt| (receipt["outcome"].clone(), receipt["code"].clone())).collect();
    assert_eq!(told, [("client_gone".into(), serde_json::Value::Null), ("failed".into(), "timeout".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_session_has_so_much_time_and_no_more() {
    let manifest = provider_of("OpenAI", "alpha", "models: [{ name: talker }], timeouts: { totalMilliseconds: 5000 }");
    let house = House::of(&[manifest, key("app", "")]);
    let began = house.clock.now();
    let (mut client, mut provider) = open(&house).await;
    let (client, provider) = tokio::join!(closed_with(&mut client), closed_with(&mut provider));
    assert_eq!((client, provider), (Some(1001), Some(1001)));
    assert_eq!((house.clock.now() - began).as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_at_once_is_not_taken() {
    let house = house("");
    let (mut client, mut provider) = open(&house).await;
    let large = "x".repeat((16 << 20) + 1);
    let (sent, told) = tokio::join!(client.send(Message::text(large)), closed_with(&mut provider));
    drop(sent);
    assert_eq!(told, Some(1001));
    assert_eq!(closed_with(&mut client).await, Some(1009));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_leaves_lets_sessions_go_on_and_closes_them_at_the_end() {
    let house = house("");
    let (mut client, mut provider) = open(&house).await;
    for how in [Leaving::Announced, Leaving::Closing] {
        house.leave(how);
        house.settle().await;
        client.send(Message::text("on")).await.expect("sent");
        assert_eq!(next(&mut provider).await, Some(Message::text("on")), "{how:?}");
    }
    house.leave(Leaving::Now);
    let (client, provider) = tokio::join!(closed_with(&mut client), closed_with(&mut provider));
    assert_eq!((client, provider), (Some(1001), Some(1001)));
    elapse(2000).await;
    assert_eq!(house.receipts()[0]["outcome"], "answered");
}

#[tokio::test(start_paused = true)]
async fn a_session_counts_among_the_calls_of_its_key() {
    let house = house("maxInFlight: 1");
    let (mut client, _provider) = open(&house).await;
    let second = house.call(Call::chat("app", "plain/m")).answer().await;
    assert_eq!((second.status, second.code().as_str()), (429, "too_many_in_flight"));
    client.send(code(1000)).await.expect("sent");
    assert_eq!(closed_with(&mut client).await, Some(1000));
    elapse(2000).await;
    let calling = house.call(Call::chat("app", "plain/m"));
    house.providers.answers("plain.example", 200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
}

/// The receipt of a session in which the provider says this and no more.
async fn receipt_of(events: &[&str]) -> serde_json::Value {
    let house = House::of(&[provider_of("OpenAI", "alpha", "models: [{ name: talker, upstreamName: gpt-realtime }]"), key("app", "")]);
    let (mut client, mut provider) = open(&house).await;
    for event in events {
        provider.send(Message::text(*event)).await.expect("sent");
        next(&mut client).await;
    }
    provider.send(code(1000)).await.expect("sent");
    closed_with(&mut client).await;
    elapse(2000).await;
    house.receipts().remove(0)
}

#[tokio::test(start_paused = true)]
async fn sound_and_pictures_in_a_session_cost_their_own_prices() {
    let done = r#"{"type":"response.done","response":{"usage":{"input_tokens":100,"output_tokens":40,"input_token_details":{"cached_tokens":25,"audio_tokens":60,"image_tokens":10,"cached_tokens_details":{"text_tokens":5,"audio_tokens":20}},"output_token_details":{"text_tokens":10,"audio_tokens":30}}}}"#;
    let receipt = receipt_of(&[done, done]).await;
    assert_eq!((&receipt["usage"]["audio_input"], &receipt["usage"]["audio_output"]), (&120.into(), &60.into()), "{receipt}");
    let cost = 25 * 4_000 + 5 * 400 + 40 * 32_000 + 20 * 400 + 10 * 5_000 + 10 * 16_000 + 30 * 64_000;
    assert_eq!((receipt["cost_nano_usd"].as_u64(), receipt["priced"].as_bool()), (Some(2 * cost), Some(true)), "{receipt}");
    // What another model costs that wrote speech down is not known; the rest is.
    let written = r#"{"type":"conversation.item.input_audio_transcription.completed","usage":{"type":"duration","seconds":3}}"#;
    let receipt = receipt_of(&[written, done]).await;
    assert_eq!((receipt["cost_nano_usd"].as_u64(), receipt["priced"].as_bool()), (Some(cost), Some(false)), "{receipt}");
}

#[tokio::test(start_paused = true)]
async fn what_answers_while_a_session_closes_is_still_counted() {
    let house = house("");
    let (mut client, mut provider) = open(&house).await;
    client.send(code(1000)).await.expect("sent");
    while !matches!(next(&mut provider).await, None | Some(Message::Close(_))) {}
    // The provider had it under way; a client that leaves in time would else have it for nothing.
    let (mut client, mut provider) = open(&house).await;
    let (_, sent) = tokio::join!(client.send(code(1000)), provider.send(Message::text(DONE)));
    sent.expect("sent");
    while !matches!(next(&mut provider).await, None | Some(Message::Close(_))) {}
    elapse(2000).await;
    assert_eq!(house.receipts()[1]["usage"]["prompt"], 20);
}

#[tokio::test(start_paused = true)]
async fn the_next_target_is_asked_before_the_client_hears_of_a_session() {
    let policy = policy("two", &["alpha", "beta"], "fallbackOn: [RateLimited]");
    let [alpha, beta] = ["alpha", "beta"].map(|name| provider_of("OpenAI", name, "models: [{ name: talker }]"));
    let house = House::of(&[alpha, beta, policy, key("app", "routingPolicyRef: { name: two }")]);
    let mut io = house.line();
    let client = tokio::spawn(async move {
        let head = heads(&mut io, &hand("/v1/realtime?model=talker", &format!("api-key: {}\r\n", text_of("app")))).await;
        (io, head)
    });
    house.providers.answers("alpha.example", 429, "{}").await;
    let mut line = house.providers.line("beta.example").await;
    let asked = line.asked().await;
    assert_eq!(asked.header("authorization"), "Bearer credential-of-beta");
    line.say(&switching(&asked)).await;
    let (io, head) = client.await.expect("a client does not panic");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    drop((io, line));
    elapse(2000).await;
    let receipt = &house.receipts()[0];
    assert_eq!((receipt["attempts"].as_u64(), receipt["provider"].as_str()), (Some(2), Some("default/beta")));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_no_longer_good_ends_its_sessions_and_no_others() {
    let alpha = || provider_of("OpenAI", "alpha", "models: [{ name: talker }]");
    for gone in ["suspended: true", "expiresAt: '2020-01-01T00:00:00Z'", "allow: { operations: [Chat] }", "nothing at all"] {
        let mut house = House::of(&[alpha(), key("app", ""), key("other", "")]);
        let (mut client, mut provider) = open(&house).await;
        let (mut others, mut to_others, ..) = opened(&house, &hand("/v1/realtime?model=talker", &shown("other"))).await;
        let app = if gone == "nothing at all" { String::new() } else { key("app", gone) };
        house.configure(&[alpha(), app, key("other", "allow: { operations: [Chat, Realtime] }")]);
        let (client, provider) = tokio::join!(closed_with(&mut client), closed_with(&mut provider));
        assert_eq!((client, provider), (Some(1008), Some(1001)), "{gone}");
        others.send(Message::text("on")).await.expect("sent");
        assert_eq!(next(&mut to_others).await, Some(Message::text("on")), "{gone}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_its_key_expires() {
    let house = house("expiresAt: '2100-01-01T00:00:00Z'");
    let unix_ms = i64::try_from(house.clock.unix_ms()).expect("a moment");
    house.clock.shift_wall_ms(4_102_444_795_000 - unix_ms);
    let began = house.clock.now();
    let (mut client, _provider) = open(&house).await;
    let closing = closed_with(&mut client);
    let passing = async {
        elapse(5000).await;
        house.clock.shift_wall_ms(5000);
    };
    assert_eq!(tokio::join!(closing, passing).0, Some(1008));
    assert!((house.clock.now() - began).as_secs() <= 10);
}

#[tokio::test(start_paused = true)]
async fn messages_take_room_of_the_memory_for_bodies_and_the_client_hears_when_there_is_none() {
    let house = House::with(&[provider_of("OpenAI", "alpha", "models: [{ name: talker }]"), key("app", "")], |settings| {
        settings.body_memory_bytes = 1 << 20;
    });
    let (mut client, mut provider) = open(&house).await;
    let fits = "x".repeat(200 << 10);
    let (sent, heard) = tokio::join!(client.send(Message::text(&fits)), next(&mut provider));
    sent.expect("sent");
    assert_eq!(heard, Some(Message::text(&fits)));
    let held = house.gateway.process.body_bytes();
    assert!((400 << 10..450 << 10).contains(&held), "{held}: as it came and as it went");
    // Of the provider's messages the same; a key has half of all.
    let larger = "x".repeat(300 << 10);
    let (sent, told) = tokio::join!(provider.send(Message::text(&larger)), closed_with(&mut client));
    drop(sent);
    assert_eq!(told, Some(1013));
    elapse(2000).await;
    assert_eq!(house.gateway.process.body_bytes(), 0);
    assert_eq!(house.receipts()[0]["code"], "overloaded");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_names_a_prompt_of_the_provider_is_closed() {
    let house = house("");
    let (mut client, mut provider) = open(&house).await;
    client.send(Message::text(r#"{"type":"response.create","response":{"prompt":{"id":"pmpt_1"}}}"#)).await.expect("sent");
    let told = async {
        let told = next(&mut client).await;
        drop(client.close(None).await);
        told
    };
    let (told, provider) = tokio::join!(told, closed_with(&mut provider));
    let Some(Message::Close(Some(frame))) = told else { panic!("{told:?}") };
    assert!(u16::from(frame.code) == 1008 && frame.reason.contains("`prompt`"), "{frame:?}");
    assert_eq!(provider, Some(1001));
}

#[tokio::test(start_paused = true)]
async fn the_simulated_provider_takes_part_in_a_session() {
    let demo = |faults: &str| {
        format!(
            "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{ name: demo }}\nspec: {{ type: Simulated, models: [{{ name: talker }}], simulated: {{ faults: [{faults}] }} }}\n"
        )
    };
    let house = House::of(&[demo(""), key("app", "")]);
    let mut io = house.line();
    let head = heads(&mut io, &hand("/v1/realtime?model=talker", &shown("app"))).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut client = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    client.send(Message::text(r#"{"type":"response.create"}"#)).await.expect("sent");
    let mut last = String::new();
    while !last.contains("\"response.done\"") {
        let Some(Message::Text(text)) = next(&mut client).await else { panic!("the session ended: {last}") };
        last = text.to_string();
    }
    client.send(code(1000)).await.expect("sent");
    assert_eq!(closed_with(&mut client).await, Some(1000));
    elapse(2000).await;
    let receipt = &house.receipts()[0];
    assert!(receipt["usage"]["completion"].as_u64() > Some(0) && receipt["model_served"] == "talker", "{receipt}");

    let house = House::of(&[demo("{ type: Status, status: 429, percent: 100, retryAfterSeconds: 7 }"), key("app", "")]);
    let head = heads(&mut house.line(), &hand("/v1/realtime?model=talker", &shown("app"))).await;
    assert!(head.starts_with("HTTP/1.1 429 ") && head.contains("retry-after: 7\r\n"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_to_change_its_model_is_closed() {
    let house = house("");
    let (mut client, mut provider) = open(&house).await;
    for model in ["talker", "gpt-4o-mini"] {
        let update = format!(r#"{{"type":"session.update","session":{{"model":"{model}"}}}}"#);
        client.send(Message::text(&update)).await.expect("sent");
        assert_eq!(next(&mut provider).await, Some(Message::text(&update)));
    }
    client.send(Message::text(r#"{"type":"session.update","session":{"model":"dearer"}}"#)).await.expect("sent");
    let (client, provider) = tokio::join!(closed_with(&mut client), closed_with(&mut provider));
    assert_eq!((client, provider), (Some(1008), Some(1001)));
}

/// A session of a key that may use these models, and of what its provider declares.
async fn limited(models: &str) -> (House, Socket, Socket) {
    let declared = "models: [{ name: talker }, { name: scribe, aliases: [clerk], upstreamName: whisper-1 }]";
    let house = House::of(&[provider_of("OpenAI", "alpha", declared), key("app", &format!("allow: {{ models: [{models}] }}"))]);
    let (client, provider) = open(&house).await;
    (house, client, provider)
}

#[tokio::test(start_paused = true)]
async fn a_model_that_writes_speech_down_must_be_among_the_keys() {
    let naming = |model: &str| {
        [
            format!(
                r#"{{"type":"session.update","event_id":"mine","session":{{"type":"realtime","audio":{{"input":{{"transcription":{{"model":"{model}"}}}}}}}}}}"#
            ),
            format!(r#"{{"type":"session.update","event_id":"mine","session":{{"input_audio_transcription":{{"model":"{model}"}}}}}}"#),
        ]
    };
    let fields = ["session.audio.input.transcription.model", "session.input_audio_transcription.model"];
    for models in ["talker, scribe", "talker, clerk", "talker, whisper-*", "talker, alpha/whisper-1", "'alpha/*', talker", "'*'"] {
        let (_house, mut client, mut provider) = limited(models).await;
        for update in naming("whisper-1") {
            client.send(Message::text(&update)).await.expect("sent");
            assert_eq!(next(&mut provider).await, Some(Message::text(&update)), "{models}");
        }
    }
    let (house, mut client, mut provider) = limited("talker").await;
    for (update, field) in naming("whisper-1").iter().zip(fields).chain(naming("scribe").iter().zip(fields)) {
        client.send(Message::text(update)).await.expect("sent");
        let Some(Message::Text(told)) = next(&mut client).await else { panic!("the session ended") };
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        let error = &told["error"];
        assert_eq!(
            (&told["type"], &error["code"], &error["param"]),
            (&"error".into(), &"model_not_allowed".into(), &field.into()),
            "{told}"
        );
        assert_eq!(error["event_id"], "mine");
        assert!(error["message"].as_str().is_some_and(|text| text.contains(field)), "{told}");
    }
    // What the provider takes when none is named nobody here knows.
    client
        .send(Message::text(r#"{"type":"session.update","session":{"model":"talker","input_audio_transcription":{}}}"#))
        .await
        .expect("sent");
    let Some(Message::Text(told)) = next(&mut client).await else { panic!("the session ended") };
    assert!(told.contains("invalid_value") && told.contains(fields[1]), "{told}");
    // The session goes on, and of all this the provider heard nothing.
    client.send(Message::text("on")).await.expect("sent");
    assert_eq!(next(&mut provider).await, Some(Message::text("on")));
    provider.send(Message::text(DONE)).await.expect("sent");
    assert_eq!(next(&mut client).await, Some(Message::text(DONE)));
    client.send(code(1000)).await.expect("sent");
    assert_eq!(closed_with(&mut provider).await, Some(1000));
    elapse(2000).await;
    assert_eq!(house.receipts()[0]["outcome"], "answered");
}

#[tokio::test(start_paused = true)]
async fn a_list_of_models_that_changes_holds_in_sessions_that_are_open() {
    let (mut house, mut client, mut provider) = limited("talker, scribe").await;
    let update = r#"{"type":"session.update","session":{"audio":{"input":{"transcription":{"model":"whisper-1"}}}}}"#;
    client.send(Message::text(update)).await.expect("sent");
    assert_eq!(next(&mut provider).await, Some(Message::text(update)));
    let declared = "models: [{ name: talker }, { name: scribe, aliases: [clerk], upstreamName: whisper-1 }]";
    house.configure(&[provider_of("OpenAI", "alpha", declared), key("app", "allow: { models: [talker] }")]);
    client.send(Message::text(update)).await.expect("sent");
    let Some(Message::Text(told)) = next(&mut client).await else { panic!("the session ended") };
    assert!(told.contains("model_not_allowed"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_of_what_is_refused_ends_its_session() {
    let (house, mut client, mut provider) = limited("talker").await;
    let began = house.clock.now();
    let update = r#"{"type":"session.update","session":{"audio":{"input":{"transcription":{"model":"whisper-1"}}}}}"#;
    let asking = async { while client.send(Message::text(update)).await.is_ok() {} };
    tokio::select! {
        () = asking => {}
        told = closed_with(&mut provider) => assert_eq!(told, Some(1001)),
    }
    assert!((house.clock.now() - began).as_secs() < 600, "long before the time of the session is over");
    elapse(2000).await;
    assert_eq!(house.receipts()[0]["outcome"], "client_gone", "it is not the provider's fault");
}
