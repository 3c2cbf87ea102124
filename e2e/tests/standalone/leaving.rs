//! SIGTERM: nothing that was taken on is lost.

use std::time::Instant;

use e2e::client::{Wire, chat, get, post, posting};
use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::until;
use e2e::upstream::{self, Step, Upstream, chat_end, chat_event, chunk, last_chunk, stream_head};
use tokio::sync::watch;

async fn house(drain: &str, upstream: &Upstream) -> (Gateway, String, Folder) {
    let key = folder::key_text(1);
    let text = format!(
        "apiVersion: portolan.dev/v1alpha1\nkind: LLMGateway\nmetadata: {{name: g}}\nspec: {{drain: {{{drain}}}}}\n{}{}",
        folder::provider("up", "OpenAICompatible", upstream.address, &["m"], ""),
        folder::key("k", &key, "")
    );
    let folder = Folder::with(&text);
    (Gateway::start(folder.path(), &[]).await, key, folder)
}

#[tokio::test]
async fn a_stream_goes_on_to_its_end_new_calls_are_taken_during_the_delay_and_then_the_process_ends_well() {
    let (open, gate) = watch::channel(false);
    let up = Upstream::start(move |asked| {
        if asked.stream() {
            vec![stream_head(), chunk(&chat_event("m", "first")), Step::Await(gate.clone()), chunk(&chat_end("m")), last_chunk()]
        } else {
            upstream::json(200, &upstream::chat_answer("m", "hello"))
        }
    })
    .await;
    let (mut gateway, key, _folder) = house("delaySeconds: 1, timeoutSeconds: 60", &up).await;
    let mut stream = Wire::to(gateway.listen).await;
    stream.send(posting("/v1/chat/completions", &key, &chat("m", true))).await;
    stream.head().await.expect("a head");
    stream.chunk().await.expect("an event");
    gateway.terminate();
    until("it is no longer ready", async || (get(gateway.admin, "/readyz").await.status == 503).then_some(())).await;
    let late = post(gateway.listen, "/v1/chat/completions", &key, &chat("m", false)).await;
    assert_eq!((late.status, late.header("connection")), (200, Some("close")), "taken on, and told to go elsewhere next");
    until("it no longer accepts", async || tokio::net::TcpStream::connect(gateway.listen).await.is_err().then_some(())).await;
    assert_eq!(gateway.ended(), None, "the stream is still open");
    open.send(true).expect("the script waits");
    let mut rest = Vec::new();
    while let Some(bytes) = stream.chunk().await {
        rest.extend(bytes);
    }
    assert!(rest.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(until("the process ends", async || gateway.ended()).await, 0);
    let outcomes: Vec<String> = gateway.receipts().iter().map(|receipt| receipt["outcome"].to_string()).collect();
    assert_eq!(outcomes, ["\"answered\"", "\"answered\""], "every receipt is written before the process ends");
}

#[tokio::test]
async fn what_is_still_open_after_the_timeout_is_cut_off_and_has_its_receipt() {
    let up = Upstream::start(|_| vec![stream_head(), chunk(&chat_event("m", "first")), Step::Hang]).await;
    let (mut gateway, key, _folder) = house("delaySeconds: 0, timeoutSeconds: 1", &up).await;
    let mut stream = Wire::to(gateway.listen).await;
    stream.send(posting("/v1/chat/completions", &key, &chat("m", true))).await;
    stream.head().await.expect("a head");
    let began = Instant::now();
    gateway.terminate();
    assert_eq!(until("the process ends", async || gateway.ended()).await, 0);
    assert!(began.elapsed().as_secs_f64() >= 1.0, "it was given its time");
    assert_eq!(gateway.receipts().len(), 1);
}

#[tokio::test]
async fn a_person_who_is_in_a_hurry_presses_ctrl_c_again() {
    let up = Upstream::start(|_| vec![stream_head(), chunk(&chat_event("m", "first")), Step::Hang]).await;
    let (mut gateway, key, _folder) = house("delaySeconds: 300, timeoutSeconds: 600", &up).await;
    let mut stream = Wire::to(gateway.listen).await;
    stream.send(posting("/v1/chat/completions", &key, &chat("m", true))).await;
    stream.head().await.expect("a head");
    gateway.interrupt();
    until("it is no longer ready", async || (get(gateway.admin, "/readyz").await.status == 503).then_some(())).await;
    assert_eq!(gateway.ended(), None, "the stream goes on");
    gateway.interrupt();
    assert_eq!(until("the process ends at once", async || gateway.ended()).await, 0);
    assert_eq!(gateway.receipts().len(), 1, "what was cut off has its receipt");
}

#[tokio::test]
async fn an_idle_gateway_leaves_at_once_after_its_delay() {
    let up = Upstream::start(|_| vec![Step::Hang]).await;
    let (mut gateway, _key, _folder) = house("delaySeconds: 0, timeoutSeconds: 600", &up).await;
    let mut idle = Wire::to(gateway.listen).await;
    idle.send("GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n").await;
    assert_eq!(idle.answer().await.expect("an answer").status, 401);
    gateway.terminate();
    assert_eq!(until("the process ends although a connection idles", async || gateway.ended()).await, 0);
}

#[tokio::test]
async fn http_2_is_asked_to_go_elsewhere_when_leaving_is_announced_and_its_open_streams_go_on() {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let (open, gate) = watch::channel(false);
    let up = Upstream::start(move |_| {
        vec![stream_head(), chunk(&chat_event("m", "first")), Step::Await(gate.clone()), chunk(&chat_end("m")), last_chunk()]
    })
    .await;
    let (mut gateway, key, _folder) = house("delaySeconds: 300, timeoutSeconds: 60", &up).await;
    let stream = tokio::net::TcpStream::connect(gateway.listen).await.expect("a connection");
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    let driving = tokio::spawn(connection);
    let request = http::Request::post("http://g/v1/chat/completions").header("x-api-key", &key);
    let asked = sender.send_request(request.body(Full::new(Bytes::from(chat("m", true)))).expect("a request")).await.expect("an answer");
    let mut body = asked.into_body();
    body.frame().await.expect("an event").expect("an event");
    gateway.terminate();
    until("the connection takes no new calls", async || {
        let another = http::Request::get("http://g/v1/models").body(Full::new(Bytes::new())).expect("a request");
        sender.send_request(another).await.is_err().then_some(())
    })
    .await;
    assert_eq!(gateway.ended(), None, "the delay has only begun");
    open.send(true).expect("the script waits");
    let rest = body.collect().await.expect("the stream goes on to its end").to_bytes();
    assert!(rest.ends_with(b"data: [DONE]\n\n"));
    driving.await.expect("a task").expect("the connection ends well");
}
