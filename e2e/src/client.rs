//! A client that sends what it is told, byte for byte, and reads what comes.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// `error.code` of an OpenAI-shaped error, or `error.type` of an Anthropic-shaped one.
    #[must_use]
    pub fn code(&self) -> String {
        let error = &self.json()["error"];
        error["code"].as_str().or_else(|| error["type"].as_str()).unwrap_or_default().to_owned()
    }

    /// The gateway's id of the call.
    #[must_use]
    pub fn call(&self) -> String {
        self.header("x-portolan-call-id").expect("each answer names its call").to_owned()
    }
}

/// One connection.
pub struct Wire<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub async fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("somebody listens"))
    }
}

impl Wire {
    /// Connects, if somebody listens.
    ///
    /// # Errors
    /// Nobody does.
    pub async fn try_to(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self::over(TcpStream::connect(address).await?))
    }

    /// The same from a port of this side.
    ///
    /// # Errors
    /// The port is taken, or nobody accepts it.
    pub async fn try_from_port(port: u16, address: SocketAddr) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((std::net::Ipv4Addr::UNSPECIFIED, port).into())?;
        Ok(Self::over(socket.connect(address).await?))
    }

    /// Whether the other side keeps it open, as far as that is known without waiting.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let unread = self.stream.try_read(&mut [0]);
        unread.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Over any stream.
    pub fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Sends; a peer that no longer reads is no failure of the test by itself.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// Ends what is sent; what comes can still be read.
    pub async fn end(&mut self) {
        drop(self.stream.shutdown().await);
    }

    /// Reads some bytes into the buffer; false at the end.
    async fn more(&mut self) -> bool {
        let read = tokio::time::timeout(crate::PATIENCE, self.stream.read_buf(&mut self.buffer));
        matches!(read.await.expect("bytes or an end within 30 s"), Ok(count) if count > 0)
    }

    /// The head of the next answer; `None` when the connection ended before it.
    pub async fn head(&mut self) -> Option<(u16, Vec<(String, String)>)> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if !self.more().await {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers =
            lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Some((status, headers.collect()))
    }

    /// The next chunk of a chunked body; `None` after the last, or when it broke off.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let (at, length) = loop {
            if let Some(at) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let length = usize::from_str_radix(std::str::from_utf8(&self.buffer[..at]).expect("ASCII"), 16).expect("a chunk's length");
                break (at + 2, length);
            }
            if !self.more().await {
                return None;
            }
        };
        while self.buffer.len() < at + length + 2 {
            if !self.more().await {
                return None;
            }
        }
        let chunk = self.buffer[at..at + length].to_vec();
        self.buffer.drain(..at + length + 2);
        (length > 0).then_some(chunk)
    }

    /// A whole answer; `None` when the connection ended before it.
    pub async fn answer(&mut self) -> Option<Answer> {
        let (status, headers) = self.head().await?;
        let mut answer = Answer { status, headers, body: Vec::new() };
        if answer.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk().await {
                answer.body.extend(chunk);
            }
        } else if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().expect("a length");
            while self.buffer.len() < length && self.more().await {}
            answer.body = self.buffer.drain(..length.min(self.buffer.len())).collect();
        }
        Some(answer)
    }

    /// Everything until the end of the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.buffer)
    }
}

/// The bytes of a POST of JSON.
#[must_use]
pub fn posting(path: &str, key: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Posts JSON on a connection of its own.
pub async fn post(address: SocketAddr, path: &str, key: &str, body: &str) -> Answer {
    let mut wire = Wire::to(address).await;
    wire.send(posting(path, key, body)).await;
    wire.answer().await.expect("an answer")
}

/// Gets, without a key, on a connection of its own.
pub async fn get(address: SocketAddr, path: &str) -> Answer {
    let mut wire = Wire::to(address).await;
    wire.send(format!("GET {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n")).await;
    wire.answer().await.expect("an answer")
}

/// A chat of one message.
#[must_use]
pub fn chat(model: &str, stream: bool) -> String {
    let stream = if stream { ",\"stream\":true" } else { "" };
    format!("{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]{stream}}}")
}
