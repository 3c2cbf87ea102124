//! A client that leaves: the provider is left at once, and the books are closed once.

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::client::{Call, Raw};
use crate::house::{House, elapse};
use crate::manifests::{key, policy, provider};
use crate::provider::{ANSWER, Line, Manner, event};

fn house() -> House {
    let way = policy("way", &["alpha", "beta"], "");
    House::of(&[provider("alpha", ""), provider("beta", ""), way, key("app", ""), key("policed", "routingPolicyRef: { name: way }")])
}

/// Waits until the gateway leaves the provider, and holds it against 100 milliseconds since `gone`.
async fn is_left(house: &House, line: &mut Line, gone: dataplane::clock::Instant) {
    tokio::time::timeout(std::time::Duration::from_secs(10), line.left()).await.expect("the gateway leaves the provider");
    let after = house.clock.now() - gone;
    assert!(after.as_millis() < 100, "left after {after:?}");
}

/// One receipt that says that the client left.
fn one_receipt(house: &House, status: u16) {
    let receipts = house.receipts();
    assert_eq!(receipts.len(), 1, "{receipts:?}");
    assert_eq!((&receipts[0]["outcome"], &receipts[0]["status"]), (&"client_gone".into(), &status.into()));
    assert_eq!(house.gateway.process.calls(), 0);
    assert_eq!(house.gateway.process.body_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_the_answer_takes_the_call_at_the_provider_with_it() {
    let house = house();
    let calling = house.call(Call::chat("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    elapse(1000).await;
    let gone = house.clock.now();
    calling.leaves().await;
    is_left(&house, &mut line, gone).await;
    one_receipt(&house, 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_amid_a_stream_takes_the_call_at_the_provider_with_it() {
    let house = house();
    let calling = house.call(Call::stream("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk(&event("one")).await;
    elapse(1000).await;
    let gone = house.clock.now();
    calling.leaves().await;
    is_left(&house, &mut line, gone).await;
    one_receipt(&house, 200);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_the_provider_is_dialled_stops_the_dialling() {
    let house = house();
    house.host("alpha.example", Manner::Hangs);
    let calling = house.call(Call::chat("policed", "m"));
    elapse(100).await;
    calling.leaves().await;
    elapse(60_000).await;
    assert_eq!(house.providers.dialled(), ["alpha.example"], "no other target is tried for nobody");
    one_receipt(&house, 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_amid_its_body_is_in_the_books_once() {
    let house = house();
    let mut client = Raw(house.line());
    client.announce("app", 100).await;
    client.say("{\"model\"").await;
    elapse(100).await;
    assert_eq!(house.gateway.process.calls(), 1);
    drop(client);
    elapse(100).await;
    let receipts = house.receipts();
    assert_eq!(receipts.len(), 1, "{receipts:?}");
    assert_eq!((house.gateway.process.calls(), house.gateway.process.body_bytes()), (0, 0));
    assert_eq!(house.providers.dialled(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_http2_client_that_leaves_one_call_keeps_its_others() {
    let house = house();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(house.line())).await.expect("a handshake");
    tokio::spawn(async move { drop(connection.await) });
    let mut send = |model: &str| {
        let mut request: Request<Full<_>> = Call::stream("app", model).request();
        *request.uri_mut() = "http://gateway.example/v1/chat/completions".parse().expect("a URI");
        request.headers_mut().remove("host");
        tokio::spawn(sender.send_request(request))
    };
    let (left, kept) = (send("alpha/m"), send("beta/m"));
    let mut lines = Vec::new();
    for host in ["alpha.example", "beta.example"] {
        let mut line = house.providers.line(host).await;
        line.asked().await;
        line.begins().await;
        line.chunk(&event("one")).await;
        lines.push(line);
    }
    let left = left.await.expect("a task").expect("a head");
    let mut kept = kept.await.expect("a task").expect("a head").into_body();
    let gone = house.clock.now();
    drop(left);
    is_left(&house, &mut lines[0], gone).await;
    lines[1].chunk(&event("two")).await;
    lines[1].chunk(crate::provider::DONE).await;
    lines[1].ends().await;
    let mut body = String::new();
    while let Some(frame) = kept.frame().await {
        body.push_str(std::str::from_utf8(frame.expect("the stream goes on").data_ref().expect("data")).expect("text"));
    }
    assert!(body.contains("two") && body.ends_with(crate::provider::DONE), "{body}");
    house.settle().await;
    let mut outcomes: Vec<String> = house.receipts().iter().map(|receipt| receipt["outcome"].to_string()).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["\"answered\"", "\"client_gone\""]);
}

#[tokio::test(start_paused = true)]
async fn every_call_has_one_receipt_however_it_ended() {
    let house = house();
    let calling = house.call(Call::chat("app", "alpha/m"));
    let (mut line, _) = house.providers.answers("alpha.example", 200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
    let calling = house.call(Call::chat("app", "alpha/m"));
    line.asked().await;
    line.answer(500, "{}").await;
    assert_eq!(calling.answer().await.status, 502);
    assert_eq!(house.call(Call::chat("app", "nothing/m")).answer().await.status, 404);
    assert_eq!(house.call(Call::get("app", "/v1/models")).answer().await.status, 200);
    assert_eq!(house.call(Call::get("app", "/nowhere")).answer().await.status, 404);
    let told: Vec<_> =
        house.receipts().iter().map(|receipt| (receipt["outcome"].as_str().map(str::to_owned), receipt["status"].as_u64())).collect();
    let expected = [("answered", 200), ("failed", 502), ("refused", 404), ("answered", 200), ("refused", 404)];
    assert_eq!(told, expected.map(|(word, status)| (Some(word.to_owned()), Some(status))));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_after_the_terminal_event_has_its_answer() {
    let house = house();
    let calling = house.call(Call::stream("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk(&(event("one") + crate::provider::DONE)).await;
    elapse(100).await;
    calling.leaves().await;
    house.settle().await;
    let receipts = house.receipts();
    assert_eq!((receipts.len(), &receipts[0]["outcome"]), (1, &"answered".into()));
}
