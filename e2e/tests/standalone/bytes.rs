//! What SDKs never send and never show: framing, spelling and cutting of heads, bodies and events, byte for byte.

use e2e::client::{Answer, Wire};
use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::upstream::{self, Step, Upstream, chunk, last_chunk, stream_head};

use crate::Front;

/// Events of one stream, without their line ends; one of them is two lines long.
const LINES: [&[&str]; 7] = [
    &[": keep-alive"],
    &[
        "id: 1",
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":"h\u00e9"},"finish_reason":null}]}"#,
    ],
    &[
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m-1","choices":[{"index":0,"delta":{"content":"llo ✓"},"finish_reason":null}] , "unknown":1.0e+2}"#,
    ],
    &["retry: 10", ": still there"],
    &[
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    ],
    &[
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
    ],
    &["data: [DONE]"],
];

/// Which of the lines is the usage that a client may not have asked for.
const USAGE: usize = 5;

/// The stream with these line ends, with or without the space after a colon.
fn spelled(line_end: &str, space: bool, left_out: Option<usize>) -> Vec<u8> {
    let events = LINES.iter().enumerate().filter(|(place, _)| Some(*place) != left_out);
    let text: String =
        events.map(|(_, lines)| lines.iter().map(|line| format!("{line}{line_end}")).collect::<String>() + line_end).collect();
    if space { text.into_bytes() } else { text.replace("data: ", "data:").into_bytes() }
}

/// Chunks of so many bytes.
fn cut(stream: &[u8], bytes: usize) -> Vec<Step> {
    [vec![stream_head()], stream.chunks(bytes).map(chunk).collect(), vec![last_chunk()]].concat()
}

fn asking_for_usage() -> &'static str {
    r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#
}

/// Sends these bytes on a connection of their own, and reads one answer.
async fn say(front: &Front, bytes: impl AsRef<[u8]>) -> Answer {
    let mut wire = Wire::to(front.gateway.listen).await;
    wire.send(bytes).await;
    wire.answer().await.expect("an answer")
}

#[tokio::test]
async fn a_stream_passes_byte_for_byte_however_it_is_spelled_and_cut() {
    let spellings: Vec<Vec<u8>> =
        ["\n", "\r\n", "\r"].iter().flat_map(|end| [true, false].map(|space| spelled(end, space, None))).collect();
    let streams = spellings.clone();
    // The user's name says which spelling, in pieces of how many bytes.
    let front = Front::start(move |asked| {
        let user = asked.json()["user"].as_str().expect("a name").to_owned();
        let (spelling, bytes) = user.split_once(' ').expect("two numbers");
        cut(&streams[spelling.parse::<usize>().expect("a number")], bytes.parse().expect("a number"))
    })
    .await;
    for (spelling, stream) in spellings.iter().enumerate() {
        for bytes in [1, 2, 3, 7, 64, 10_000] {
            let body = asking_for_usage().replacen('{', &format!("{{\"user\":\"{spelling} {bytes}\","), 1);
            let answer = front.post(&body).await;
            assert_eq!(answer.text(), String::from_utf8_lossy(stream), "spelling {spelling} in pieces of {bytes}");
            let receipt = front.gateway.receipt_of(&answer.call()).await;
            assert_eq!((&receipt["outcome"], &receipt["usage"]["prompt"]), (&"answered".into(), &3.into()), "{receipt}");
        }
    }
}

#[tokio::test]
async fn usage_is_hidden_and_every_other_byte_passes_however_the_stream_is_spelled() {
    for (line_end, space) in [("\n", false), ("\r\n", true), ("\r\n", false)] {
        let front = Front::start(move |_| cut(&spelled(line_end, space, None), 5)).await;
        let answer = front.chat(true).await;
        let shown = String::from_utf8(spelled(line_end, space, Some(USAGE))).expect("text");
        assert_eq!(answer.text(), shown, "{line_end:?} {space}");
        assert_eq!(front.gateway.receipt_of(&answer.call()).await["usage"]["completion"], 2);
    }
}

#[tokio::test]
async fn a_foreign_dialect_is_read_however_its_stream_is_spelled_and_cut() {
    let events = [
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"héllo"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    for line_end in ["\n", "\r\n"] {
        let named = events.map(|data| {
            let kind = data.split('"').nth(3).expect("a type");
            format!("event:{kind}{line_end}data:{data}{line_end}{line_end}")
        });
        let stream = format!(": hello{line_end}{line_end}") + &named.concat();
        let up = Upstream::start(move |_| cut(stream.as_bytes(), 3)).await;
        let key = folder::key_text(1);
        let folder = Folder::with(&(folder::provider("up", "Anthropic", up.address, &["m"], "") + &folder::key("k", &key, "")));
        let gateway = Gateway::start(folder.path(), &[]).await;
        let answer = e2e::client::post(gateway.listen, "/v1/chat/completions", &key, asking_for_usage()).await.text();
        let chunks = answer.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").expect("an event of OpenAI's shape"));
        let chunks: Vec<serde_json::Value> = chunks.filter_map(|data| serde_json::from_str(data).ok()).collect();
        let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(text, "héllo", "{answer}");
        assert_eq!(chunks.last().expect("chunks")["usage"]["total_tokens"], 5, "{answer}");
        assert!(answer.ends_with("data: [DONE]\n\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_in_chunks_is_read_whole_wherever_it_is_cut() {
    let front = Front::start(|_| upstream::json(200, &upstream::chat_answer("m", "hello"))).await;
    let body = r#"{"model":"m","messages":[{"role":"user","content":"h✓llo"}],"n":1.50}"#;
    for bytes in [1, 2, 9, 1000] {
        let mut wire = Wire::to(front.gateway.listen).await;
        let key = &front.key;
        wire.send(format!("POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nx-api-key: {key}\r\ntransfer-encoding: chunked\r\n\r\n")).await;
        for piece in body.as_bytes().chunks(bytes) {
            wire.send(format!("{:X};name=\"value\"\r\n", piece.len())).await;
            wire.send([piece, b"\r\n"].concat()).await;
        }
        wire.send("0\r\nx-trailer: of no interest\r\n\r\n").await;
        assert_eq!(wire.answer().await.expect("an answer").status, 200, "in pieces of {bytes}");
    }
    for asked in front.upstream.asked() {
        assert_eq!(String::from_utf8(asked.body.clone()).expect("text"), body);
        assert_eq!(asked.header("content-length"), Some(body.len().to_string().as_str()), "{:?}", asked.headers);
        assert_eq!((asked.header("x-trailer"), asked.header("transfer-encoding")), (None, None), "{:?}", asked.headers);
    }
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_answered() {
    let front = Front::start(|_| upstream::json(200, &upstream::chat_answer("m", "hello"))).await;
    let mut wire = Wire::to(front.gateway.listen).await;
    for byte in e2e::client::posting("/v1/chat/completions", &front.key, &e2e::client::chat("m", false)).bytes() {
        wire.send([byte]).await;
    }
    assert_eq!(wire.answer().await.expect("an answer").status, 200);
}

#[tokio::test]
async fn heads_are_read_in_any_case_on_both_sides() {
    let stream = spelled("\n", true, None);
    let front = Front::start(move |asked| {
        let head = if asked.stream() {
            "HTTP/1.1 200 oK\r\nCONTENT-TYPE: Text/Event-Stream; Charset=UTF-8\r\nTRANSFER-ENCODING: Chunked\r\n\r\n".to_owned()
        } else {
            let enough = "HTTP/1.1 429 Enough\r\nCONTENT-TYPE: Application/JSON\r\nRETRY-AFTER: 7\r\nCONTENT-LENGTH: 2\r\n\r\n{}";
            return vec![Step::Send(enough.into())];
        };
        vec![Step::Send(head.into()), chunk(&stream), last_chunk()]
    })
    .await;
    for scheme in ["AUTHORIZATION: bearer ", "authorization:BEARER   ", "X-API-KEY: ", "x-Api-kEy:"] {
        let post = |body: &str| {
            let (key, length) = (&front.key, body.len());
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nHOST: g\r\n{scheme}{key}\r\nCONTENT-TYPE: Application/JSON; Charset=UTF-8\r\nCONTENT-LENGTH: {length}\r\n\r\n{body}"
            )
        };
        let streamed = say(&front, post(asking_for_usage())).await;
        assert_eq!((streamed.status, streamed.body), (200, spelled("\n", true, None)), "{scheme}");
        let refused = say(&front, post(&e2e::client::chat("m", false))).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("7")), "{scheme}");
    }
}

#[tokio::test]
async fn calls_that_follow_one_another_without_waiting_are_answered_in_their_order() {
    let front =
        Front::start(|asked| upstream::json(200, &upstream::chat_answer("m", asked.json()["user"].as_str().unwrap_or_default()))).await;
    let call = |user: &str| {
        let body = format!("{{\"model\":\"m\",\"user\":\"{user}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}");
        e2e::client::posting("/v1/chat/completions", &front.key, &body)
    };
    let mut wire = Wire::to(front.gateway.listen).await;
    wire.send(["first", "second", "third"].map(call).concat()).await;
    for user in ["first", "second", "third"] {
        let answer = wire.answer().await.expect("an answer").json();
        assert_eq!(answer["choices"][0]["message"]["content"], user);
    }
}

#[tokio::test]
async fn a_client_that_asks_whether_to_go_on_is_told_to() {
    let front = Front::start(|_| upstream::json(200, &upstream::chat_answer("m", "hello"))).await;
    let post = e2e::client::posting("/v1/chat/completions", &front.key, &e2e::client::chat("m", false));
    let (head, body) = post.split_once("\r\n\r\n").expect("a head");
    let mut wire = Wire::to(front.gateway.listen).await;
    wire.send(format!("{head}\r\nexpect: 100-continue\r\n\r\n")).await;
    assert_eq!(wire.head().await.expect("a head").0, 100, "before the body is sent");
    wire.send(body).await;
    assert_eq!(wire.answer().await.expect("an answer").status, 200);
}

#[tokio::test]
async fn bytes_after_a_body_are_another_request_and_bytes_within_it_are_no_json() {
    let front = Front::start(|_| upstream::json(200, &upstream::chat_answer("m", "hello"))).await;
    let body = e2e::client::chat("m", false);
    let spaced = say(&front, e2e::client::posting("/v1/chat/completions", &front.key, &format!("\r\n {body} \n\t"))).await;
    assert_eq!(spaced.status, 200, "white space is none: {}", spaced.text());
    for trailing in ["x", "{}", "\u{0}", ",", "]"] {
        let answer = say(&front, e2e::client::posting("/v1/chat/completions", &front.key, &format!("{body}{trailing}"))).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_json"), "{trailing:?}");
    }
    let mut wire = Wire::to(front.gateway.listen).await;
    wire.send(e2e::client::posting("/v1/chat/completions", &front.key, &body) + "{\"model\":\"m\"}\r\n\r\n").await;
    assert_eq!(wire.answer().await.expect("an answer").status, 200);
    assert_eq!(wire.answer().await.expect("an answer").status, 400, "what follows is no request");
    assert!(wire.rest().await.is_empty(), "and the connection ends");
    assert_eq!(front.upstream.asked().len(), 2);
}

#[tokio::test]
async fn bytes_that_a_provider_sends_after_its_answer_are_nobodys_answer() {
    let smuggled = upstream::chat_answer("m", "smuggled");
    let front = Front::start(move |asked| {
        let Step::Send(mut bytes) = upstream::json(200, &upstream::chat_answer("m", "hello")).remove(0) else { return Vec::new() };
        if asked.json()["user"] == "first" {
            bytes.extend(
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{smuggled}", smuggled.len())
                    .into_bytes(),
            );
        }
        vec![Step::Send(bytes)]
    })
    .await;
    let first = front.post(r#"{"model":"m","user":"first","messages":[{"role":"user","content":"hi"}]}"#).await;
    assert_eq!(first.json()["choices"][0]["message"]["content"], "hello");
    for _ in 0..3 {
        assert_eq!(front.chat(false).await.json()["choices"][0]["message"]["content"], "hello");
    }
}

#[tokio::test]
async fn an_answer_may_say_its_length_by_its_end() {
    let body = upstream::chat_answer("m", "hello");
    let whole = format!("HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n\r\n {body}\n \n").into_bytes();
    let stream = spelled("\r\n", true, None);
    let streamed = [b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n", stream.as_slice()].concat();
    let front =
        Front::start(move |asked| vec![Step::Drip(if asked.stream() { streamed.clone() } else { whole.clone() }), Step::Close]).await;
    assert_eq!(front.chat(false).await.text(), format!("\r\n {body}\n \n"), "white space around an answer passes too");
    assert_eq!(front.post(asking_for_usage()).await.body, stream);
}

#[tokio::test]
async fn what_follows_the_terminal_event_harms_nobody() {
    let stream = spelled("\n", true, None);
    for trailing in [": bye\n\n", "data: ", "\n\n\n", "data: [DONE]\n\n", "half an even"] {
        let sent = [stream.as_slice(), trailing.as_bytes()].concat();
        let front = Front::start(move |_| cut(&sent, 11)).await;
        let answer = front.post(asking_for_usage()).await;
        assert!(answer.body.starts_with(&stream), "{}", answer.text());
        assert!(!answer.text().contains("error"), "{trailing:?}: {}", answer.text());
        assert_eq!(front.gateway.receipt_of(&answer.call()).await["outcome"], "answered", "{trailing:?}");
    }
}
