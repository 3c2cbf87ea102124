//! How a call ended. Grows while the call goes through the rooms; the ledger reads it once.

use std::sync::Arc;
use std::time::Duration;

use providers::head::Picture;
use snapshot::{FailureClass, Measured, Surface, Usage};

use super::{Attempt, CallId, ClientRequestId, Unanswered};
use crate::live::{Live, LiveKey};

/// The end of a call in one word, for metrics and receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Answered in full.
    Answered,
    /// The gateway said no; the word is the refusal's code.
    Refused(&'static str),
    /// Every attempt failed, or the answer broke off.
    Failed(FailureClass),
    /// The client left before the end.
    ClientGone,
}

/// All that is known of a call when it ends.
#[derive(Debug)]
pub struct Outcome {
    /// Ours.
    pub call: CallId,
    /// The client's, if it sent a safe one.
    pub client_request: Option<ClientRequestId>,
    /// Milliseconds since 1970 at which its head was read.
    pub received_unix_ms: u64,
    /// By which door; `None` for a path that is none.
    pub surface: Option<Surface>,
    /// The configuration that it saw.
    pub live: Arc<Live>,
    /// Whose call it was, once that is known.
    pub key: Option<Arc<LiveKey>>,
    /// The model as the client wrote it.
    pub model_asked: Option<Box<str>>,
    /// The model as the answer names it.
    pub model_served: Option<Box<str>>,
    /// The routing rule that decided.
    pub rule: Option<Arc<str>>,
    /// The first rule whose condition had no answer.
    pub unanswered: Option<Unanswered>,
    /// The last attempt that was made.
    pub attempt: Option<Attempt>,
    /// How many attempts were made.
    pub attempts: u32,
    /// Whether the request was translated for the target.
    pub translated: bool,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// The HTTP status that the client got; 0 when it left before one.
    pub status: u16,
    /// How it ended.
    pub ending: Ending,
    /// Tokens as the provider counts them; `None` when it told none.
    pub usage: Option<Usage>,
    /// What is counted otherwise than in tokens.
    pub measured: Option<Measured>,
    /// Some of what was used is not in `usage` and has prices that nobody here knows.
    pub unpriced: bool,
    /// Pictures as the client wanted them.
    pub picture: Picture,
    /// From the head of the request to the last byte of the answer.
    pub total: Duration,
    /// From the head of the request to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// Spent waiting for providers before the first byte, all attempts together.
    pub upstream_wait: Duration,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body as sent to the client.
    pub answer_bytes: u64,
    /// What went wrong, for our log alone; bounded, without content and without credentials.
    pub detail: Option<String>,
}
