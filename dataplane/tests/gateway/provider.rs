//! Providers at the far ends of pipes: a test reads what they are asked and says what they answer, byte by byte.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use dataplane::live::Origin;
use dataplane::upstream::Dial;
use dataplane::upstream::dial::{DialError, Dialled, Dialling};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;

use crate::house::within_the_hour;

/// A whole answer to a chat call.
pub const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

/// The terminal event of a stream.
pub const DONE: &str = "data: [DONE]\n\n";

/// An event of a stream with this text.
pub fn event(text: &str) -> String {
    let (head, tail) = (
        r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m-1","choices":[{"index":0,"delta":{"content":""#,
        r#""},"finish_reason":null}]}"#,
    );
    format!("data: {head}{text}{tail}\n\n")
}

/// How connections to a host come about.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// At once, HTTP/1.1.
    Http1,
    /// At once, HTTP/2 chosen by ALPN.
    Http2,
    /// Never.
    Hangs,
    /// Refused.
    Refuses,
}

/// Dials pipes, and holds their far ends until a test takes them.
#[derive(Default)]
pub struct Pipes {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    manners: HashMap<String, Manner>,
    waiting: Vec<Line>,
    dialled: Vec<String>,
}

impl Dial for Pipes {
    fn dial<'a>(&'a self, origin: &'a Arc<Origin>) -> Dialling<'a> {
        Box::pin(self.connect(&origin.endpoint.host))
    }
}

impl Pipes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panicked with it")
    }

    async fn connect(&self, host: &str) -> Result<Dialled, DialError> {
        let manner = {
            let mut state = self.state();
            state.dialled.push(host.to_owned());
            state.manners.get(host).copied().unwrap_or(Manner::Http1)
        };
        let http2 = match manner {
            Manner::Http1 => false,
            Manner::Http2 => true,
            Manner::Hangs => std::future::pending().await,
            Manner::Refuses => {
                let address = SocketAddr::from(([203, 0, 113, 1], 443));
                return Err(DialError::Connect { address, source: io::ErrorKind::ConnectionRefused.into() });
            }
        };
        let (near, far) = tokio::io::duplex(64 << 10);
        self.state().waiting.push(Line { host: host.to_owned(), io: far, unread: Vec::new() });
        self.arrived.notify_waiters();
        Ok(Dialled { io: Box::new(near), http2 })
    }

    /// How connections to a host come about from now on.
    pub fn behave(&self, host: &str, manner: Manner) {
        self.state().manners.insert(host.to_owned(), manner);
    }

    /// Hosts in the order in which they were dialled.
    pub fn dialled(&self) -> Vec<String> {
        self.state().dialled.clone()
    }

    /// The next connection to the host.
    pub async fn line(&self, host: &str) -> Line {
        loop {
            let arrived = self.arrived.notified();
            {
                let mut state = self.state();
                if let Some(place) = state.waiting.iter().position(|line| line.host == host) {
                    return state.waiting.remove(place);
                }
            }
            within_the_hour(arrived).await;
        }
    }

    /// Takes the next connection to the host and answers its first call.
    pub async fn answers(&self, host: &str, status: u16, body: &str) -> (Line, Asked) {
        let mut line = self.line(host).await;
        let asked = line.asked().await;
        line.answer(status, body).await;
        (line, asked)
    }
}

/// The provider's end of one connection.
#[derive(Debug)]
pub struct Line {
    pub host: String,
    pub io: DuplexStream,
    unread: Vec<u8>,
}

/// A request as it came.
#[derive(Debug)]
pub struct Asked {
    /// Request line and headers.
    pub head: String,
    /// The body, when it is JSON.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Asked {
    /// The value of a header; empty without one.
    pub fn header(&self, name: &str) -> &str {
        let found = self.head.lines().skip(1).filter_map(|line| line.split_once(": ")).find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

impl Line {
    /// Reads one request.
    pub async fn asked(&mut self) -> Asked {
        loop {
            if let Some(end) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = String::from_utf8(self.unread[..end].to_vec()).expect("a head is text");
                let asked = Asked { head, body: Value::Null, text: String::new() };
                // What is looked at has no body.
                let length: usize = if ["GET ", "HEAD ", "DELETE "].iter().any(|verb| asked.head.starts_with(verb)) {
                    0
                } else {
                    asked.header("content-length").parse().expect("a length")
                };
                if let Some(body) = self.unread.get(end + 4..end + 4 + length) {
                    let text = String::from_utf8(body.to_vec()).expect("a body is text");
                    let json = asked.header("content-type") == "application/json";
                    let body = if json { serde_json::from_str(&text).expect("a body of JSON") } else { Value::Null };
                    self.unread.drain(..end + 4 + length);
                    return Asked { body, text, ..asked };
                }
            }
            let read = within_the_hour(self.io.read_buf(&mut self.unread)).await.expect("the pipe");
            assert!(read > 0, "the gateway closed the connection without asking: {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    /// Says anything.
    pub async fn say(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).await.expect("the gateway listens");
    }

    /// A whole answer.
    pub async fn answer(&mut self, status: u16, body: &str) {
        let length = body.len();
        self.say(&format!("HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")).await;
    }

    /// A whole answer to somebody who may leave amid it.
    pub async fn answer_as_far_as_it_is_read(&mut self, body: &str) {
        let head = format!("HTTP/1.1 200 Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        drop(self.io.write_all(format!("{head}{body}").as_bytes()).await);
    }

    /// The head of a stream.
    pub async fn begins(&mut self) {
        self.say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await;
    }

    /// Bytes of a stream.
    pub async fn chunk(&mut self, text: &str) {
        self.say(&format!("{:x}\r\n{text}\r\n", text.len())).await;
    }

    /// Bytes of a stream that are no text.
    pub async fn bytes_of_chunk(&mut self, bytes: &[u8]) {
        self.say(&format!("{:x}\r\n", bytes.len())).await;
        self.io.write_all(bytes).await.expect("the gateway listens");
        self.say("\r\n").await;
    }

    /// The end of a stream.
    pub async fn ends(&mut self) {
        self.say("0\r\n\r\n").await;
    }

    /// Waits until the gateway leaves.
    pub async fn left(&mut self) {
        let mut rest = [0; 1024];
        while within_the_hour(self.io.read(&mut rest)).await.is_ok_and(|read| read > 0) {}
    }
}
