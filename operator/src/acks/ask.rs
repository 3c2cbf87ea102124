//! One question to one pod: `GET /internal/config`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crds::report::{Kind, ObjectId};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(1);
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// What a pod said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The sequence that it serves; 0: none.
    pub sequence: u64,
    /// The oldest and the newest schema of bundles that it reads.
    pub schemas: [u32; 2],
    /// Objects that it refuses, and why.
    pub rejected: BTreeMap<ObjectId, String>,
}

impl Answer {
    /// Whether it reads bundles of a schema.
    #[must_use]
    pub fn reads(&self, schema: u32) -> bool {
        (self.schemas[0]..=self.schemas[1]).contains(&schema)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("it does not answer in time")]
    Slow,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("{0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Answer(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Config {
    sequence: u64,
    schemas: [u32; 2],
    #[serde(default)]
    rejected: Vec<Rejected>,
}

#[derive(Deserialize)]
struct Rejected {
    kind: String,
    namespace: String,
    name: String,
    message: String,
}

pub(super) async fn config(address: SocketAddr) -> Result<Answer, AskError> {
    timeout(PATIENCE, asked(address)).await.map_err(|_| AskError::Slow)?
}

async fn asked(address: SocketAddr) -> Result<Answer, AskError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = hyper::Uri::from_static("/internal/config");
    if let Ok(host) = address.to_string().parse() {
        request.headers_mut().insert(hyper::header::HOST, host);
    }
    let answer = async {
        let response = sender.send_request(request).await?;
        Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(AskError::Body)
    };
    // The connection makes headway only while it is driven; it may end before the answer is read to its end.
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(answer);
    let body = tokio::select! {
        body = &mut answer => body?,
        ended = &mut connection => {
            ended?;
            answer.await?
        }
    };
    let Config { sequence, schemas, rejected } = serde_json::from_slice(&body.to_bytes())?;
    let rejected = rejected.into_iter().map(|one| {
        let Rejected { kind, namespace, name, message } = one;
        (ObjectId { kind: Kind::of(&kind), namespace, name }, message)
    });
    Ok(Answer { sequence, schemas, rejected: rejected.collect() })
}
