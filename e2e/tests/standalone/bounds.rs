//! Clients that send too much, too slowly, or in two voices. Each is stopped, and no neighbour notices.

use std::time::Duration;

use e2e::client::{Wire, chat, post, posting};
use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::{until, upstream};

use crate::Front;

async fn echo() -> Front {
    Front::start(|_| upstream::json(200, &upstream::chat_answer("m", "hello"))).await
}

fn sized(bytes: usize) -> String {
    let frame = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}".len();
    format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{}\"}}]}}", "x".repeat(bytes - frame))
}

#[tokio::test]
async fn a_body_of_20_mib_passes_and_one_byte_more_does_not() {
    let front = echo().await;
    assert_eq!(front.post(&sized(20 << 20)).await.status, 200);
    assert_eq!(front.upstream.only().body.len(), 20 << 20);
    let large = front.post(&sized((20 << 20) + 1)).await;
    assert_eq!((large.status, large.code().as_str()), (413, "body_too_large"));
    assert!(large.text().contains("20971520"), "{}", large.text());
    let mut wire = Wire::to(front.gateway.listen).await;
    let head = posting("/v1/chat/completions", &front.key, "").replace("content-length: 0", "transfer-encoding: chunked");
    wire.send(head).await;
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    for _ in 0..21 {
        wire.send(&chunk).await;
    }
    let answer = wire.answer().await.expect("an answer, though the length was not announced");
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    assert_eq!(front.upstream.asked().len(), 1, "nothing of it reached the provider");
}

#[tokio::test]
async fn two_thousand_slow_senders_stay_within_256_mib_and_another_keys_calls_are_answered() {
    let upstream = upstream::Upstream::start(|_| upstream::json(200, &upstream::chat_answer("m", "hello"))).await;
    let (slow, quick) = (folder::key_text(1), folder::key_text(2));
    let provider = folder::provider("up", "OpenAICompatible", upstream.address, &["m"], "");
    let folder = Folder::with(&(provider + &folder::key("slow", &slow, "") + &folder::key("quick", &quick, "")));
    let quarter = (64 << 20).to_string();
    let gateway = Gateway::start(folder.path(), &["--body-memory", &quarter]).await;
    let mut senders = Vec::new();
    for number in 0..2000 {
        let mut wire = Wire::to(gateway.listen).await;
        // Half of them announce a MiB; the other half announce nothing and send 60 KiB.
        let (length, body) = if number % 2 == 0 {
            ("content-length: 1048576".to_owned(), "{".to_owned())
        } else {
            ("transfer-encoding: chunked".to_owned(), format!("f000\r\n{}\r\n", "x".repeat(0xf000)))
        };
        wire.send(posting("/v1/chat/completions", &slow, "").replace("content-length: 0", &length)).await;
        wire.send(body).await;
        senders.push(wire);
    }
    let full = e2e::client::get(gateway.admin, "/metrics").await.text();
    assert!(e2e::metrics::sum(&full, "portolan_body_bytes", &[]) <= f64::from(64 << 20), "bodies stay within their bound");
    for _ in 0..20 {
        let answer = post(gateway.listen, "/v1/chat/completions", &quick, &chat("m", false)).await;
        assert_eq!(answer.status, 200, "the other key is answered: {}", answer.text());
    }
    let refused = until("some are refused before their body is read", async || {
        let metrics = gateway.metrics().await;
        let refused = e2e::metrics::sum(&metrics, "portolan_refusals_total", &["code=\"overloaded\""]);
        (refused > 0.0).then_some(refused)
    })
    .await;
    let peak = gateway.memory_kib("VmHWM");
    assert!(peak < 256 << 10, "resident memory peaked at {peak} KiB with {refused} refused");
    drop(senders);
    until("what they held is given back", async || {
        (e2e::metrics::sum(&gateway.metrics().await, "portolan_body_bytes", &[]) < 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_full_is_told_to_come_back_before_its_body_is_read() {
    let upstream = upstream::Upstream::start(|_| vec![upstream::Step::Hang]).await;
    let key = folder::key_text(1);
    let provider = folder::provider("up", "OpenAICompatible", upstream.address, &["m"], "");
    let folder = Folder::with(&(provider + &folder::key("k", &key, "maxInFlight: 1")));
    let gateway = Gateway::start(folder.path(), &[]).await;
    let mut first = Wire::to(gateway.listen).await;
    first.send(posting("/v1/chat/completions", &key, &chat("m", false))).await;
    until("the first is at the provider", async || (upstream.asked().len() == 1).then_some(())).await;
    let mut second = Wire::to(gateway.listen).await;
    second.send(posting("/v1/chat/completions", &key, "").replace("content-length: 0", "content-length: 100")).await;
    let answer = second.answer().await.expect("an answer without a body");
    assert_eq!((answer.status, answer.code().as_str(), answer.header("retry-after")), (429, "too_many_in_flight", Some("1")));
}

#[tokio::test]
async fn slow_heads_and_slow_bodies_are_cut_off() {
    let upstream = upstream::Upstream::start(|_| upstream::json(200, "{}")).await;
    let key = folder::key_text(1);
    let provider = folder::provider("up", "OpenAICompatible", upstream.address, &["m"], "");
    let folder = Folder::with(&(provider + &folder::key("k", &key, "")));
    let gateway = Gateway::start(folder.path(), &["--header-timeout-seconds", "1", "--body-idle-timeout-seconds", "1"]).await;
    let mut head = Wire::to(gateway.listen).await;
    head.send("POST /v1/chat/completions HTTP/1.1\r\nhost").await;
    let told = head.rest().await;
    assert!(told.is_empty() || told.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&told));
    let mut body = Wire::to(gateway.listen).await;
    body.send(posting("/v1/chat/completions", &key, "").replace("content-length: 0", "content-length: 9")).await;
    let answer = body.answer().await.expect("an answer");
    assert_eq!((answer.status, answer.code().as_str()), (408, "body_timeout"));
    assert!(upstream.asked().is_empty());
}

#[tokio::test]
async fn floods_of_headers_are_refused() {
    let front = echo().await;
    let many: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    let long = format!("x-long: {}\r\n", "y".repeat(100 << 10));
    for flood in [many, long] {
        let mut wire = Wire::to(front.gateway.listen).await;
        wire.send(posting("/v1/chat/completions", &front.key, &chat("m", false)).replacen("\r\n", &format!("\r\n{flood}"), 1)).await;
        let status = wire.answer().await.map(|answer| answer.status);
        assert!(status.is_none() || status == Some(431) || status == Some(400), "{status:?}");
    }
    assert!(front.upstream.asked().is_empty());
    assert_eq!(front.chat(false).await.status, 200);
}

/// Every way in which a proxy in front and this one could come to see two different requests in the same bytes. The bytes
/// behind the first request are a second one that must never be seen by the provider.
#[tokio::test]
async fn smuggled_requests_reach_nobody() {
    let front = echo().await;
    let inner = posting("/v1/chat/completions", &front.key, &chat("m", false).replace("hi", "smuggled"));
    let auth = format!("host: g\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n", front.key);
    let line = "POST /v1/chat/completions HTTP/1.1\r\n";
    let attempts = [
        ("a length and chunks", format!("{line}{auth}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}")),
        (
            "chunks and a length",
            format!("{line}{auth}transfer-encoding: chunked\r\ncontent-length: {}\r\n\r\n0\r\n\r\n{inner}", 5 + inner.len()),
        ),
        ("two lengths", format!("{line}{auth}content-length: 0\r\ncontent-length: {}\r\n\r\n{inner}", inner.len())),
        ("a list of lengths", format!("{line}{auth}content-length: 0, {}\r\n\r\n{inner}", inner.len())),
        ("a signed length", format!("{line}{auth}content-length: +0\r\n\r\n{inner}")),
        ("a negative length", format!("{line}{auth}content-length: -1\r\n\r\n{inner}")),
        ("a huge length", format!("{line}{auth}content-length: 18446744073709551616\r\n\r\n{inner}")),
        ("an unknown coding", format!("{line}{auth}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{inner}")),
        ("chunked not last", format!("{line}{auth}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}")),
        ("a space before the colon", format!("{line}{auth}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{inner}")),
        ("a folded header", format!("{line}{auth}transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n{inner}")),
        ("chunks in HTTP/1.0", format!("POST /v1/chat/completions HTTP/1.0\r\n{auth}transfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}")),
        ("a chunk's length that overflows", format!("{line}{auth}transfer-encoding: chunked\r\n\r\n10000000000000000\r\n\r\n{inner}")),
        ("a chunk's length with a sign", format!("{line}{auth}transfer-encoding: chunked\r\n\r\n+0\r\n\r\n{inner}")),
        ("a bare carriage return", format!("{line}{auth}x: y\rcontent-length: 0\r\n\r\n{inner}")),
        ("a null in a header", format!("{line}{auth}x: \0\r\ncontent-length: 0\r\n\r\n{inner}")),
        ("a garbage method", format!("GET\0 / HTTP/1.1\r\n\r\n{inner}")),
        ("HTTP/0.9", format!("POST /v1/chat/completions\r\n\r\n{inner}")),
    ];
    for (name, bytes) in attempts {
        let mut wire = Wire::to(front.gateway.listen).await;
        wire.send(bytes).await;
        wire.end().await;
        let mut statuses = Vec::new();
        while let Some(answer) = wire.answer().await {
            statuses.push(answer.status);
        }
        assert!(statuses.len() <= 1, "{name}: one request, not {statuses:?}");
        assert!(statuses.iter().all(|status| *status >= 400), "{name}: {statuses:?}");
        assert!(front.upstream.asked().is_empty(), "{name}: the provider was asked {:?}", front.upstream.asked());
    }
    assert_eq!(front.chat(false).await.status, 200);
}

#[tokio::test]
async fn what_a_client_sends_behind_a_refused_body_is_not_taken_for_a_request() {
    let front = echo().await;
    let inner = posting("/v1/chat/completions", &front.key, &chat("m", false));
    let mut wire = Wire::to(front.gateway.listen).await;
    // The key is wrong, so that the body is refused unread; its bytes look like a request.
    wire.send(posting("/v1/chat/completions", "sk-none", &inner)).await;
    assert_eq!(wire.answer().await.expect("an answer").status, 401);
    wire.send(posting("/v1/chat/completions", &front.key, &chat("m", false))).await;
    let next = wire.answer().await;
    assert!(next.is_none_or(|answer| answer.status == 200));
    assert!(front.upstream.asked().len() <= 1, "the body was not taken for a request");
}

#[tokio::test]
async fn connections_beyond_the_bound_are_turned_away_and_places_are_given_back() {
    let folder = Folder::with("");
    let gateway = Gateway::start(folder.path(), &["--max-connections", "3"]).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::to(gateway.listen).await;
        wire.send("GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n").await;
        assert_eq!(wire.answer().await.expect("an answer").status, 401);
        open.push(wire);
    }
    for _ in 0..20 {
        let mut another = Wire::to(gateway.listen).await;
        // What nobody reads must not reset the connection before its answer is read.
        another.send(posting("/v1/chat/completions", "sk-none", &sized(100 << 10))).await;
        let answer = another.answer().await.expect("an answer, though nobody listens");
        assert_eq!((answer.status, answer.code().as_str(), answer.header("retry-after")), (503, "overloaded", Some("1")));
    }
    let turned_away = e2e::metrics::sum(&gateway.metrics().await, "portolan_refusals_total", &["code=\"overloaded\""]);
    assert!(turned_away > 19.5, "{turned_away} are counted");
    let mut fourth = Wire::to(gateway.listen).await;
    assert_eq!(fourth.answer().await.expect("an answer without a request").status, 503);
    drop((open, fourth));
    until("a place is free again", async || {
        let mut wire = Wire::to(gateway.listen).await;
        wire.send("GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n").await;
        (wire.answer().await?.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn garbage_bytes_disturb_nobody() {
    let front = echo().await;
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..200 {
        let garbage: Vec<u8> = (0..256)
            .map(|_| {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                dice as u8
            })
            .collect();
        let mut wire = Wire::to(front.gateway.listen).await;
        wire.send(&garbage).await;
        wire.end().await;
        drop(tokio::time::timeout(Duration::from_secs(5), wire.rest()).await.expect("the connection ends"));
    }
    assert_eq!(front.chat(false).await.status, 200);
    assert_eq!(front.upstream.asked().len(), 1);
}
