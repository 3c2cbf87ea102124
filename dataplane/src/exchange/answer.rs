//! What a provider gave back, past the commit point: from here on there is no other target.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use providers::fault::Fault;
use providers::passage::{StreamReader, Whole};
use snapshot::FailureClass;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Refusal;

/// The rest of an answer. Dropping it cancels the call at the provider.
pub type Source = Pin<Box<dyn Body<Data = Bytes, Error = Broken> + Send>>;

/// Where an answer that is not streamed is gathered: a hostile provider's must not take all memory.
pub trait Room: Send {
    /// Another answer begins; what was taken for the one before is given back.
    fn begin(&mut self);

    /// Takes room for so many more bytes.
    ///
    /// # Errors
    /// There is none left.
    fn more(&mut self, bytes: u64) -> Result<(), Refusal>;
}

/// Why the rest of an answer did not come.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub struct Broken {
    /// Its class.
    pub class: FailureClass,
    /// For our log: what happened, without content.
    pub detail: String,
}

/// An accepted answer.
pub enum Answer {
    /// All of it is here, in the client's dialect.
    Whole(Box<Whole>),
    /// Its first event is here; the rest comes.
    Stream(Box<Streaming>),
    /// Passed on as it is.
    Raw(Box<Raw>),
}

/// Bytes in both directions, whatever carries them.
pub trait Link: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Link for T {}

/// A session with a provider that is open: frames of a WebSocket go over it from here on. Dropping it ends the session.
pub struct Session {
    /// To the provider.
    pub link: Box<dyn Link>,
    /// What the client may call the model that answers: as it asked, and as the provider knows it.
    pub models: [String; 2],
    /// The longest silence of either side.
    pub idle: Duration,
    /// What is left of the time for all of it.
    pub total: Duration,
}

/// An answer that nobody reads on its way: a file, sound, or whatever was asked for by its path.
pub struct Raw {
    /// The provider's status.
    pub status: u16,
    /// What the client is told of the provider's head: the type of its content, and what a short list names besides.
    pub headers: HeaderMap,
    /// All of its content. What it announces of its length is announced to the client.
    pub source: Source,
}

/// A stream that has begun.
pub struct Streaming {
    /// Bytes for the client that the first events gave.
    pub first: Bytes,
    /// A fault that followed the first events at once.
    pub fault: Option<Fault>,
    /// Reads the rest.
    pub reader: StreamReader,
    /// The rest.
    pub source: Source,
}
