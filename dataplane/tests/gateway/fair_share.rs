//! One connection of HTTP/2 does not pin a core for ever.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinSet;

use crate::client::Call;
use crate::house::House;
use crate::manifests::{key, provider};
use crate::provider::{ANSWER, Line};

/// One more than what is nobody's greed.
const AT_ONCE: usize = 33;

fn house() -> House {
    House::of(&[provider("alpha", ""), key("app", "")])
}

/// A connection to a process of so many cores that has served a thousand calls.
async fn warm(house: &House, cores: u16) -> SendRequest<Full<Bytes>> {
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(house.line_to(cores))).await.expect("a handshake");
    tokio::spawn(async move { drop(connection.await) });
    for _ in 0..1000 {
        let answer = sender.send_request(request(Call::get("app", "/v1/models").showing(None))).await.expect("an answer");
        answer.into_body().collect().await.expect("a body");
    }
    sender
}

fn request(call: Call) -> Request<Full<Bytes>> {
    let mut request = call.request();
    *request.uri_mut() = format!("http://gateway.example{}", request.uri().path()).parse().expect("a URI");
    request.headers_mut().remove("host");
    request
}

/// So many calls at once, each at its provider and none answered.
async fn open(house: &House, sender: &SendRequest<Full<Bytes>>) -> (JoinSet<u16>, Vec<Line>) {
    let (mut calls, mut lines) = (JoinSet::new(), Vec::new());
    for _ in 0..AT_ONCE {
        let mut sender = sender.clone();
        calls.spawn(async move {
            let answer = sender.send_request(request(Call::chat("app", "alpha/m"))).await.expect("an answer");
            let status = answer.status().as_u16();
            answer.into_body().collect().await.expect("a body");
            status
        });
        let mut line = house.providers.line("alpha.example").await;
        line.asked().await;
        lines.push(line);
    }
    (calls, lines)
}

/// Whether the connection still takes calls.
async fn takes_calls(house: &House, sender: &mut SendRequest<Full<Bytes>>) -> bool {
    house.settle().await;
    sender.send_request(request(Call::get("app", "/v1/models"))).await.is_ok()
}

async fn all_answered((calls, mut lines): (JoinSet<u16>, Vec<Line>)) {
    for line in &mut lines {
        line.answer(200, ANSWER).await;
    }
    assert_eq!(calls.join_all().await, [200; AT_ONCE], "what was taken on is answered");
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_more_than_its_share_is_asked_to_go_elsewhere_and_its_calls_go_on() {
    let house = house();
    let mut sender = warm(&house, 2).await;
    let running = open(&house, &sender).await;
    assert!(!takes_calls(&house, &mut sender).await);
    all_answered(running).await;
    assert_eq!(house.gateway.process.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_just_its_share_stays() {
    let house = house();
    let (mut one, mut other) = (warm(&house, 2).await, warm(&house, 2).await);
    // Each in turn, or the calls of the first would be all that there are.
    let (mut first, mut second) = ((JoinSet::new(), Vec::new()), (JoinSet::new(), Vec::new()));
    for _ in 0..AT_ONCE {
        for (sender, running) in [(&one, &mut first), (&other, &mut second)] {
            let mut sender = sender.clone();
            running.0.spawn(async move {
                sender.send_request(request(Call::chat("app", "alpha/m"))).await.expect("an answer").status().as_u16()
            });
            let mut line = house.providers.line("alpha.example").await;
            line.asked().await;
            running.1.push(line);
        }
    }
    assert!(takes_calls(&house, &mut one).await && takes_calls(&house, &mut other).await);
    all_answered(first).await;
    all_answered(second).await;
}

#[tokio::test(start_paused = true)]
async fn on_one_core_there_is_nowhere_else_to_go() {
    let house = house();
    let mut sender = warm(&house, 1).await;
    let running = open(&house, &sender).await;
    assert!(takes_calls(&house, &mut sender).await);
    all_answered(running).await;
}
