//! Clients at the near ends of pipes.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use dataplane::clock::{Clock, Instant};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::{AbortHandle, JoinHandle};

use crate::house::within_the_hour;
use crate::manifests::text_of;

/// A call to be made.
#[derive(Debug, Clone)]
pub struct Call {
    method: &'static str,
    path: Cow<'static, str>,
    key: Option<String>,
    body: String,
    kind: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl Call {
    /// A chat call of the key with this id.
    pub fn chat(key: &str, model: &str) -> Self {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
        Self::post(key, "/v1/chat/completions", &body.to_string())
    }

    /// The same, streamed.
    pub fn stream(key: &str, model: &str) -> Self {
        let body = json!({ "model": model, "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
        Self { body: body.to_string(), ..Self::chat(key, model) }
    }

    /// Any body at any path.
    pub fn post(key: &str, path: impl Into<Cow<'static, str>>, body: &str) -> Self {
        Self {
            method: "POST",
            path: path.into(),
            key: Some(text_of(key)),
            body: body.to_owned(),
            kind: "application/json",
            headers: Vec::new(),
        }
    }

    /// A GET.
    pub fn get(key: &str, path: impl Into<Cow<'static, str>>) -> Self {
        Self { method: "GET", ..Self::post(key, path, "") }
    }

    /// Another method, and nothing that the body is.
    pub fn by(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    /// With another text of a key, or none.
    pub fn showing(self, key: Option<&str>) -> Self {
        Self { key: key.map(str::to_owned), ..self }
    }

    /// With a body of another type than JSON.
    pub fn of_kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// With one more header line.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn request(self) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(self.method).uri(&*self.path).header("host", "gateway.example");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let said = self.headers.iter().any(|(name, _)| *name == "content-type");
        if self.method == "POST" && !said {
            request = request.header("content-type", self.kind);
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(Full::from(self.body)).expect("a request")
    }
}

/// What a client got.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    /// From the call to the last byte.
    pub after: Duration,
    /// Whether the body came to its proper end.
    pub whole: bool,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a body of JSON")
    }

    /// The code of an error.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// A call under way.
pub struct Calling(JoinHandle<Answer>);

impl Calling {
    pub fn start(io: DuplexStream, call: Call, clock: Clock) -> Self {
        Self(tokio::spawn(async move {
            let began = clock.now();
            let (response, _connection) = send(io, call.request()).await;
            read(response, began, &clock).await
        }))
    }

    /// The whole answer.
    pub async fn answer(self) -> Answer {
        within_the_hour(self.0).await.expect("a client does not panic")
    }

    /// The client leaves: its connection is gone at once.
    pub async fn leaves(self) {
        self.0.abort();
        drop(self.0.await);
    }

    pub fn is_answered(&self) -> bool {
        self.0.is_finished()
    }
}

/// A connection's task, which ends when this is dropped.
pub struct Open(AbortHandle);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a request and waits for the head of its answer.
pub async fn send(io: DuplexStream, request: Request<Full<Bytes>>) -> (Response<Incoming>, Open) {
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.expect("a handshake");
    let open = Open(tokio::spawn(async move { drop(connection.await) }).abort_handle());
    (sender.send_request(request).await.expect("an answer"), open)
}

/// Reads an answer to its end.
pub async fn read(response: Response<Incoming>, began: Instant, clock: &Clock) -> Answer {
    let (head, mut incoming) = response.into_parts();
    let (mut body, mut whole) = (Vec::new(), true);
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(frame) => body.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            Err(_) => whole = false,
        }
    }
    let body = String::from_utf8(body).expect("an answer is text");
    Answer { status: head.status.as_u16(), headers: head.headers, body, after: clock.now() - began, whole }
}

/// A client that says bytes of its own and reads whatever comes.
pub struct Raw(pub DuplexStream);

impl Raw {
    pub async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("the gateway listens");
    }

    /// The head of a chat call that announces a body of so many bytes.
    pub async fn announce(&mut self, key: &str, bytes: usize) {
        let key = text_of(key);
        self.say(&format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n"
        ))
        .await;
    }

    /// Bytes until these stand among them, or the end.
    pub async fn hears(&mut self, until: &str) -> String {
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains(until) {
            if within_the_hour(self.0.read_buf(&mut heard)).await.unwrap_or(0) == 0 {
                break;
            }
        }
        String::from_utf8(heard).expect("text")
    }

    /// All bytes until the gateway closes.
    pub async fn hears_the_end(&mut self) -> String {
        let mut heard = Vec::new();
        drop(within_the_hour(self.0.read_to_end(&mut heard)).await);
        String::from_utf8(heard).expect("text")
    }
}
