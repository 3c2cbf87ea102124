//! One attempt's way through: the request to send, and how its answer is read.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use snapshot::{Surface, Usage};

use crate::eventstream;
use crate::fault::{ClientError, Fault};
use crate::head::Head;
use crate::same::{Same, SameStream};
use crate::sse::Frames;
use crate::translate::{self, Stream, Translation};

/// Either the client's own bytes, or a translation.
#[derive(Debug)]
pub enum Passage {
    /// Client and target speak the same surface: bytes pass, a few fields are spliced.
    Same(Same),
    /// They do not, and one is told in the words of the other.
    Translated(Translated),
}

/// A translated call.
#[derive(Debug)]
pub struct Translated {
    upstream: Surface,
    request: [Bytes; 1],
    translation: Translation,
}

/// Why a target cannot take a call. `Display` is for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CannotSay {
    /// It has nothing of the kind.
    Surface {
        /// By which door the client came.
        surface: Surface,
    },
    /// It has no word for a field.
    Field {
        /// Which.
        field: String,
        /// Why not, or what to do.
        why: String,
    },
}

impl fmt::Display for CannotSay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Surface { surface } => write!(f, "it does not serve /v1{}", surface.path()),
            Self::Field { field, why } => write!(f, "`{field}` cannot be said to it: {why}"),
        }
    }
}

/// What an answer says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Tokens, in one convention.
    pub usage: Option<Usage>,
    /// The model as the provider names it.
    pub model: Option<String>,
}

/// An answer that is not streamed, in the client's dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// For the client.
    pub body: Bytes,
    /// What it says of itself.
    pub facts: Facts,
    /// It is an estimate of the gateway's: no provider was asked.
    pub estimate: bool,
}

/// What a piece of a stream gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// For the client; holds all that came before the fault.
    pub bytes: Bytes,
    /// The provider told an error, or garbage.
    pub fault: Option<Fault>,
}

impl Passage {
    /// The way through for a target that speaks these surfaces.
    ///
    /// # Errors
    /// The target cannot take the call.
    pub fn choose(client: Surface, speaks: &BTreeSet<Surface>, head: &Head, body: &Bytes, upstream_model: &str) -> Result<Self, CannotSay> {
        if speaks.contains(&client) {
            return Ok(Self::Same(Same::new(client, head, body, upstream_model)));
        }
        let upstream = translate::target(client, speaks).ok_or(CannotSay::Surface { surface: client })?;
        let translation = Translation::begin(client, upstream, body, upstream_model)?;
        Ok(Self::Translated(Translated { upstream, request: [translation.request()], translation }))
    }

    /// What is spoken to the target.
    #[must_use]
    pub fn surface(&self) -> Surface {
        match self {
            Self::Same(same) => same.surface(),
            Self::Translated(translated) => translated.upstream,
        }
    }

    /// Pieces to send, in order.
    #[must_use]
    pub fn request(&self) -> &[Bytes] {
        match self {
            Self::Same(same) => same.request(),
            Self::Translated(translated) => &translated.request,
        }
    }

    /// Reads an answer that is not streamed, once all of it is here.
    ///
    /// # Errors
    /// An error inside an answer of 200, or something that is no answer.
    pub fn read_whole(&self, body: Bytes) -> Result<Whole, Fault> {
        match self {
            Self::Same(same) => same.read_whole(body),
            Self::Translated(translated) => {
                let (body, facts) = translated.translation.read_whole(&body)?;
                Ok(Whole { body, facts, estimate: false })
            }
        }
    }

    /// Reads a streamed answer.
    #[must_use]
    pub fn stream_reader(&self) -> StreamReader {
        StreamReader(match self {
            Self::Same(same) => Reader::Same(same.stream()),
            Self::Translated(translated) => {
                let framing = match translated.upstream {
                    Surface::Converse => Framing::Binary(eventstream::Frames::default()),
                    Surface::ChatCompletions
                    | Surface::Completions
                    | Surface::Embeddings
                    | Surface::Responses
                    | Surface::Messages
                    | Surface::CountTokens
                    | Surface::GenerateContent
                    | Surface::CohereChat => Framing::Events(Frames::default()),
                };
                Reader::Translated { framing, stream: Box::new(translated.translation.stream()), stopped: false }
            }
        })
    }
}

/// Reads a stream piece by piece, however it is cut.
#[derive(Debug)]
pub struct StreamReader(Reader);

#[derive(Debug)]
enum Reader {
    Same(SameStream),
    Translated { framing: Framing, stream: Box<Stream>, stopped: bool },
}

/// How a provider's stream is cut into what it says.
#[derive(Debug)]
enum Framing {
    /// Server-sent events.
    Events(Frames),
    /// Amazon's frames.
    Binary(eventstream::Frames),
}

impl Framing {
    /// Takes bytes, and gives what is whole to the stream.
    fn push(&mut self, chunk: Bytes, stream: &mut Stream, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Events(frames) => {
                frames.push(chunk);
                while let Some(event) = frames.next_event() {
                    stream.event(&event.map_err(|_| oversized())?, out)?;
                }
            }
            Self::Binary(frames) => {
                frames.push(&chunk);
                while let Some(frame) = frames.next_frame() {
                    let frame = frame.map_err(|broken| match broken {
                        eventstream::Broken::Oversized => oversized(),
                        eventstream::Broken::Length | eventstream::Broken::Checksum | eventstream::Broken::Headers => {
                            Fault::new(snapshot::FailureClass::InvalidResponse, "the provider's stream is garbled")
                        }
                    })?;
                    stream.data(&frame.kind, &frame.payload, out)?;
                }
            }
        }
        Ok(())
    }

    /// The end of the bytes.
    fn finish(&mut self, stream: &mut Stream, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Events(frames) => frames.take_rest().map_or(Ok(()), |event| stream.event(&event, out))?,
            Self::Binary(frames) if frames.is_cut() && !stream.is_done() => {
                return Err(Fault::new(snapshot::FailureClass::StreamBroken, "the stream ended inside a frame"));
            }
            Self::Binary(_) => {}
        }
        stream.finish(out)
    }
}

impl StreamReader {
    /// Takes bytes of the provider and gives bytes for the client.
    pub fn push(&mut self, chunk: Bytes) -> Pushed {
        match &mut self.0 {
            Reader::Same(same) => same.push(chunk),
            Reader::Translated { stopped: true, .. } => Pushed::default(),
            Reader::Translated { framing, stream, stopped } => {
                let mut out = Vec::new();
                let fault = framing.push(chunk, stream, &mut out).err();
                *stopped = fault.is_some();
                Pushed { bytes: out.into(), fault }
            }
        }
    }

    /// The provider's stream is over. Without its terminal event that is a fault.
    pub fn finish(&mut self) -> Pushed {
        match &mut self.0 {
            Reader::Same(same) => same.finish(),
            Reader::Translated { stopped: true, .. } => Pushed::default(),
            Reader::Translated { framing, stream, stopped } => {
                let mut out = Vec::new();
                let fault = framing.finish(stream, &mut out).err();
                *stopped = true;
                Pushed { bytes: out.into(), fault }
            }
        }
    }

    /// The last events for the client of a stream that failed after it began.
    #[must_use]
    pub fn fail(&self, client: Surface, error: &ClientError<'_>) -> Bytes {
        match &self.0 {
            Reader::Same(same) => error.event(client, same.events()),
            Reader::Translated { stream, .. } => stream.fail(client, error),
        }
    }

    /// Whether a first real event was understood: the commit point.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        match &self.0 {
            Reader::Same(same) => same.has_begun(),
            Reader::Translated { stream, .. } => stream.has_begun(),
        }
    }

    /// Whether the terminal event was seen.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match &self.0 {
            Reader::Same(same) => same.is_done(),
            Reader::Translated { stream, .. } => stream.is_done(),
        }
    }

    /// What the answer said of itself so far.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        match &self.0 {
            Reader::Same(same) => same.facts(),
            Reader::Translated { stream, .. } => stream.facts(),
        }
    }
}

pub(crate) fn oversized() -> Fault {
    Fault::new(snapshot::FailureClass::InvalidResponse, "an event of the stream is too large")
}
