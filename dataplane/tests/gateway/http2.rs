//! Providers that choose HTTP/2.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::sync::{Notify, oneshot};

use crate::client::Call;
use crate::house::{House, elapse};
use crate::manifests::{key, policy, provider, secure_provider};
use crate::provider::{ANSWER, Manner};

/// What an HTTP/2 provider was asked, and how its answers are let go.
#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<(Version, Uri, HeaderMap, Value)>>,
    /// Calls that were dropped before their answer.
    dropped: Mutex<usize>,
    go: Notify,
}

/// Counts a call that ends without an answer.
struct Waiting(Arc<Seen>, bool);

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.1 {
            *self.0.dropped.lock().expect("no panic") += 1;
        }
    }
}

async fn answer(seen: Arc<Seen>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let body = serde_json::from_slice(&body).expect("a body of JSON");
    seen.asked.lock().expect("no panic").push((head.version, head.uri, head.headers, body));
    let mut waiting = Waiting(seen.clone(), false);
    seen.go.notified().await;
    waiting.1 = true;
    Ok(Response::builder().header("content-type", "application/json").body(Full::from(ANSWER)).expect("an answer"))
}

/// Serves one connection to the host; closes it when the sender is dropped, and falls silent, the connection open, when it
/// sends.
async fn serve(house: &House, host: &str) -> (Arc<Seen>, oneshot::Sender<()>) {
    let line = house.providers.line(host).await;
    let seen = Arc::new(Seen::default());
    let theirs = seen.clone();
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(async move {
        let service = service_fn(move |request| answer(theirs.clone(), request));
        let mut connection = Box::pin(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(line.io), service));
        tokio::select! {
            ended = connection.as_mut() => drop(ended),
            told = stopped => if told.is_ok() { std::future::pending().await },
        }
    });
    (seen, stop)
}

fn house() -> House {
    let house = House::of(&[secure_provider("alpha", "timeouts: { firstByteMilliseconds: 700 }"), key("app", "")]);
    house.host("alpha.example", Manner::Http2);
    house
}

#[tokio::test(start_paused = true)]
async fn calls_at_the_same_time_share_one_connection_of_http2() {
    let house = house();
    let first = house.call(Call::chat("app", "alpha/m"));
    let (seen, _stop) = serve(&house, "alpha.example").await;
    seen.go.notify_one();
    assert_eq!(first.answer().await.status, 200);
    let calling = [house.call(Call::chat("app", "alpha/m")), house.call(Call::chat("app", "alpha/m"))];
    elapse(10).await;
    assert_eq!(seen.asked.lock().expect("no panic").len(), 3, "both are there before either is answered");
    seen.go.notify_waiters();
    for calling in calling {
        assert_eq!(calling.answer().await.body, ANSWER);
    }
    assert_eq!(house.providers.dialled(), ["alpha.example"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_http2_that_is_full_is_not_waited_for() {
    let house = house();
    let first = house.call(Call::chat("app", "alpha/m"));
    let (one, _stop_one) = serve(&house, "alpha.example").await;
    one.go.notify_one();
    first.answer().await;
    let mut calling = Vec::new();
    for _ in 0..100 {
        calling.push(house.call(Call::chat("app", "alpha/m")));
    }
    elapse(10).await;
    assert_eq!((one.asked.lock().expect("no panic").len(), house.providers.dialled().len()), (101, 1));
    calling.push(house.call(Call::chat("app", "alpha/m")));
    let (two, _stop_two) = serve(&house, "alpha.example").await;
    two.go.notify_one();
    assert_eq!(calling.pop().expect("the last").answer().await.status, 200, "while the first hundred wait");
    let next = house.call(Call::chat("app", "alpha/m"));
    elapse(10).await;
    two.go.notify_one();
    assert_eq!(next.answer().await.status, 200, "the second connection is kept as long as the first is full");
    one.go.notify_waiters();
    for calling in calling {
        assert_eq!(calling.answer().await.status, 200);
    }
    assert_eq!(house.providers.dialled().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_over_http2_names_its_authority_and_shows_its_credential() {
    let house = house();
    let calling = house.call(Call::chat("app", "alpha/m"));
    let (seen, _stop) = serve(&house, "alpha.example").await;
    seen.go.notify_one();
    assert_eq!(calling.answer().await.status, 200);
    let asked = seen.asked.lock().expect("no panic");
    let (version, uri, headers, body) = &asked[0];
    assert_eq!((*version, uri.to_string()), (Version::HTTP_2, "https://alpha.example/v1/chat/completions".to_owned()));
    assert_eq!((&headers["authorization"], headers.get("host")), (&"Bearer credential-of-alpha".parse().expect("a header"), None));
    assert_eq!(body["model"], "m");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_resets_its_call_and_no_other_on_the_connection() {
    let house = house();
    let first = house.call(Call::chat("app", "alpha/m"));
    let (seen, _stop) = serve(&house, "alpha.example").await;
    seen.go.notify_one();
    first.answer().await;
    let (leaving, staying) = (house.call(Call::chat("app", "alpha/m")), house.call(Call::chat("app", "alpha/m")));
    elapse(10).await;
    leaving.leaves().await;
    elapse(99).await;
    assert_eq!(*seen.dropped.lock().expect("no panic"), 1, "the provider was told within 100 milliseconds");
    seen.go.notify_waiters();
    assert_eq!(staying.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn one_slow_call_over_http2_times_out_alone() {
    let house = house();
    let first = house.call(Call::chat("app", "alpha/m"));
    let (seen, _stop) = serve(&house, "alpha.example").await;
    seen.go.notify_one();
    first.answer().await;
    let slow = house.call(Call::chat("app", "alpha/m"));
    elapse(600).await;
    let late = house.call(Call::chat("app", "alpha/m"));
    let answer = slow.answer().await;
    assert_eq!((answer.status, answer.after.as_millis()), (504, 700));
    seen.go.notify_waiters();
    assert_eq!(late.answer().await.status, 200);
    assert_eq!(house.providers.dialled(), ["alpha.example"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_http2_that_ends_is_dialled_anew() {
    let house = house();
    for _ in 0..2 {
        let calling = house.call(Call::chat("app", "alpha/m"));
        let (seen, stop) = serve(&house, "alpha.example").await;
        seen.go.notify_one();
        assert_eq!(calling.answer().await.status, 200);
        drop(stop);
        house.settle().await;
    }
    assert_eq!(house.providers.dialled().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_http2_that_fell_silent_is_given_up_and_dialled_anew() {
    let house = House::of(&[secure_provider("alpha", ""), key("app", "")]);
    house.host("alpha.example", Manner::Http2);
    let first = house.call(Call::chat("app", "alpha/m"));
    let (seen, stop) = serve(&house, "alpha.example").await;
    seen.go.notify_one();
    assert_eq!(first.answer().await.status, 200);
    stop.send(()).expect("it is served");
    let lost = house.call(Call::chat("app", "alpha/m")).answer().await;
    assert_eq!((lost.status, lost.code().as_str()), (502, "upstream_unreachable"));
    assert_eq!(lost.after.as_secs(), 30, "long before the first-byte time");
    let calling = house.call(Call::chat("app", "alpha/m"));
    let (seen, _stop) = serve(&house, "alpha.example").await;
    seen.go.notify_one();
    assert_eq!(calling.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_chooses_http1_over_tls_is_asked_by_path() {
    let house = House::of(&[secure_provider("alpha", ""), key("app", "")]);
    let calling = house.call(Call::chat("app", "alpha/m"));
    let (_line, asked) = house.providers.answers("alpha.example", 200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
    assert!(asked.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!(asked.header("host"), "alpha.example");
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_of_http2_leads_to_the_next_target() {
    let way = policy("way", &["alpha", "beta"], "fallbackOn: [ConnectError]");
    let house = House::of(&[secure_provider("alpha", ""), provider("beta", ""), way, key("app", "routingPolicyRef: { name: way }")]);
    house.host("alpha.example", Manner::Http2);
    let calling = house.call(Call::chat("app", "m"));
    let (seen, stop) = serve(&house, "alpha.example").await;
    elapse(10).await;
    assert_eq!(seen.asked.lock().expect("no panic").len(), 1);
    drop(stop);
    let (_line, _) = house.providers.answers("beta.example", 200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
}
