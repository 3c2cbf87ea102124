//! A provider that does as a script says, byte for byte, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One request that came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// The first header of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether a stream is asked for.
    #[must_use]
    pub fn stream(&self) -> bool {
        self.json()["stream"] == true
    }
}

/// What it does with a connection, in order.
#[derive(Debug, Clone)]
pub enum Step {
    /// Bytes, at once.
    Send(Vec<u8>),
    /// Bytes, one in a packet.
    Drip(Vec<u8>),
    /// Waits, as a provider does between two tokens.
    Pause(std::time::Duration),
    /// Waits until the gate opens.
    Await(watch::Receiver<bool>),
    /// Never goes on, and notices when the other side leaves.
    Hang,
    /// Closes without a farewell, so that the peer sees a reset.
    Reset,
    /// Closes.
    Close,
}

/// An answer of JSON.
#[must_use]
pub fn json(status: u16, body: &str) -> Vec<Step> {
    whole(status, "application/json", body.as_bytes())
}

/// A whole answer.
#[must_use]
pub fn whole(status: u16, kind: &str, body: &[u8]) -> Vec<Step> {
    let mut bytes = format!("HTTP/1.1 {status} S\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    vec![Step::Send(bytes)]
}

/// The head of an event stream, chunked.
#[must_use]
pub fn stream_head() -> Step {
    Step::Send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec())
}

/// A chunk of a chunked body.
#[must_use]
pub fn chunk(bytes: &[u8]) -> Step {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    Step::Send(framed)
}

/// The end of a chunked body.
#[must_use]
pub fn last_chunk() -> Step {
    Step::Send(b"0\r\n\r\n".to_vec())
}

/// An event stream with these bytes as its body.
#[must_use]
pub fn events(body: &[u8]) -> Vec<Step> {
    vec![stream_head(), chunk(body), last_chunk()]
}

/// A chat answer of OpenAI's shape.
#[must_use]
pub fn chat_answer(model: &str, text: &str) -> String {
    serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null}, "finish_reason": "stop", "logprobs": null}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    })
    .to_string()
}

/// An event of a chat stream of OpenAI's shape.
#[must_use]
pub fn chat_event(model: &str, text: &str) -> Vec<u8> {
    let event = serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model,
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]
    });
    format!("data: {event}\n\n").into_bytes()
}

/// The end of a chat stream: a finish, the usage, `[DONE]`.
#[must_use]
pub fn chat_end(model: &str) -> Vec<u8> {
    let head = serde_json::json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model});
    let mut finish = head.clone();
    finish["choices"] = serde_json::json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
    let mut usage = head;
    usage["choices"] = serde_json::json!([]);
    usage["usage"] = serde_json::json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    format!("data: {finish}\n\ndata: {usage}\n\ndata: [DONE]\n\n").into_bytes()
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    left: Mutex<usize>,
}

/// A running provider; gone when dropped.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Upstream {
    /// Starts one that answers each request by a script.
    pub async fn start(script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1", script).await
    }

    /// The same on another address of this machine, such as [`crate::cluster::HOST`], where pods find it.
    pub async fn start_at(address: &str, script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Seen::default());
        let (script, noting) = (Arc::new(script), seen.clone());
        let accepting = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream.set_nodelay(true));
                open.spawn(converse(stream, script.clone(), noting.clone()));
            }
        });
        Self { address, seen, accepting }
    }

    /// What it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The only request that came.
    #[must_use]
    pub fn only(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "one request came");
        asked[0].clone()
    }

    /// How often the other side left in the middle of an answer.
    #[must_use]
    pub fn left(&self) -> usize {
        *self.seen.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn converse(mut stream: TcpStream, script: Arc<impl Fn(&Asked) -> Vec<Step>>, seen: Arc<Seen>) {
    let mut buffer = Vec::new();
    while let Some(asked) = read(&mut stream, &mut buffer).await {
        let steps = script(&asked);
        seen.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        for step in steps {
            let gone = match step {
                Step::Send(bytes) => stream.write_all(&bytes).await.is_err(),
                Step::Drip(bytes) => drip(&mut stream, &bytes).await,
                Step::Pause(time) => {
                    tokio::time::sleep(time).await;
                    false
                }
                Step::Await(mut gate) => tokio::select! {
                    opened = gate.wait_for(|open| *open) => opened.is_err(),
                    _ = stream.read_u8() => true,
                },
                Step::Hang => {
                    drop(stream.read_u8().await);
                    true
                }
                Step::Reset => {
                    drop(stream.set_zero_linger());
                    return;
                }
                Step::Close => return,
            };
            if gone {
                *seen.left.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                return;
            }
        }
    }
}

async fn drip(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    for byte in bytes {
        if stream.write_all(&[*byte]).await.is_err() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked { method, path, headers, body: buffer.drain(..length).collect() })
}
