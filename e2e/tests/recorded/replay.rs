//! The provider: it answers each request with the recording that is on, cut as the way says, and keeps what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use e2e::upstream::{self, Asked, Step, Upstream};

use crate::cases::Case;

/// How an answer is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Whole,
    Cut,
    Bytes,
}

/// All ways.
pub const WAYS: [Way; 3] = [Way::Whole, Way::Cut, Way::Bytes];

impl Way {
    /// As the figure calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Cut => "cut",
            Self::Bytes => "byte by byte",
        }
    }

    /// The body in chunks of a chunked body; the random cuts are the same ones each time.
    fn chunks(self, body: &[u8]) -> Vec<Step> {
        let mut dice: u64 = 0x2545_f491_4f6c_dd1d;
        let mut chunks = Vec::new();
        let mut from = 0;
        while from < body.len() {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let length = match self {
                Self::Whole => body.len(),
                Self::Cut => usize::try_from(dice % 97).expect("small") + 1,
                Self::Bytes => 1,
            };
            let to = (from + length).min(body.len());
            chunks.push(upstream::chunk(&body[from..to]));
            from = to;
        }
        chunks
    }
}

/// What is played, and what was asked.
#[derive(Default)]
struct Stage {
    steps: Vec<Step>,
    asked: Option<Asked>,
}

/// The provider.
pub struct Replay {
    upstream: Upstream,
    stage: Arc<Mutex<Stage>>,
}

impl Replay {
    pub async fn start() -> Self {
        let stage = Arc::new(Mutex::new(Stage::default()));
        let playing = stage.clone();
        let upstream = Upstream::start(move |asked: &Asked| {
            if asked.path.starts_with("/computeMetadata/") {
                return upstream::json(200, r#"{"access_token":"token","expires_in":3599,"token_type":"Bearer"}"#);
            }
            let mut stage = playing.lock().unwrap_or_else(PoisonError::into_inner);
            stage.asked = Some(asked.clone());
            stage.steps.clone()
        })
        .await;
        Self { upstream, stage }
    }

    pub fn address(&self) -> SocketAddr {
        self.upstream.address
    }

    /// Puts a recording on.
    pub fn play(&self, case: &Case, way: Way) {
        self.put(case.status, &case.headers, way.chunks(&case.body));
    }

    fn put(&self, status: u16, headers: &[(String, String)], chunks: Vec<Step>) {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 {status} S\r\n{headers}transfer-encoding: chunked\r\n\r\n");
        let steps = [vec![Step::Send(head.into_bytes())], chunks, vec![upstream::last_chunk()]].concat();
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Stage { steps, asked: None };
    }

    /// What it was asked since.
    pub fn asked(&self) -> Option<Asked> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }
}
