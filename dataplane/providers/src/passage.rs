//! One attempt's way through: the request to send, and how its answer is read.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use snapshot::{Measured, Provider, Quirk, Surface, Usage};

use crate::embed::{self, Embedding};
use crate::eventstream;
use crate::fault::{ClientError, Fault};
use crate::foreign;
use crate::head::Head;
use crate::multipart::Form;
use crate::ndjson::Lines;
use crate::quirks::{self, Mender};
use crate::rerank::Order;
use crate::same::{Same, SameStream};
use crate::sse::{Event, Frames};
use crate::stored::Names;
use crate::translate::{self, Stream, Translation};

pub use crate::same::Raw;

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
    told: Told,
    /// Where the target differs from its dialect; of OpenAI's chat alone.
    quirks: BTreeSet<Quirk>,
    dropped: Vec<String>,
}

/// What is told in other words.
#[derive(Debug)]
enum Told {
    Chat(Box<Translation>),
    Embeddings(Embedding),
    Order(Order),
}

/// What a call is told to.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Surfaces that it speaks.
    pub speaks: &'a BTreeSet<Surface>,
    /// Where it differs from the dialect that it speaks.
    pub quirks: &'a BTreeSet<Quirk>,
    /// Fields that it cannot be told are left out.
    pub drops: bool,
}

impl<'a> Target<'a> {
    /// A provider.
    #[must_use]
    pub fn of(provider: &'a Provider) -> Self {
        Self { speaks: &provider.surfaces, quirks: &provider.quirks, drops: provider.drops }
    }
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
    /// What is counted otherwise than in tokens.
    pub measured: Option<Measured>,
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

impl Translated {
    fn begin(client: Surface, target: &Target<'_>, body: &Bytes, upstream_model: &str) -> Result<Self, CannotSay> {
        if client == Surface::Embeddings
            && let Some(upstream) = embed::target(target.speaks)
        {
            let embedding = Embedding::begin(upstream, body, upstream_model)?;
            let request = [embedding.request()];
            return Ok(Self { upstream, request, told: Told::Embeddings(embedding), quirks: BTreeSet::new(), dropped: Vec::new() });
        }
        if client == Surface::Rerank && target.speaks.contains(&Surface::CohereRerank) {
            let order = Order::begin(body, upstream_model)?;
            let (upstream, request) = (Surface::CohereRerank, [order.request()]);
            return Ok(Self { upstream, request, told: Told::Order(order), quirks: BTreeSet::new(), dropped: Vec::new() });
        }
        let upstream = translate::target(client, target.speaks).ok_or(CannotSay::Surface { surface: client })?;
        let translation = Translation::begin(client, upstream, body, upstream_model)?;
        let quirks = if upstream == Surface::ChatCompletions { target.quirks.clone() } else { BTreeSet::new() };
        let asked = quirks::ask(translation.request(), &quirks, target.drops)?;
        let told = Told::Chat(Box::new(translation));
        Ok(Self { upstream, request: [asked.body], told, quirks, dropped: asked.dropped })
    }
}

impl Passage {
    /// The way through for a target that speaks these surfaces, just as their dialects are.
    ///
    /// # Errors
    /// The target cannot take the call.
    pub fn choose(client: Surface, speaks: &BTreeSet<Surface>, head: &Head, body: &Bytes, upstream_model: &str) -> Result<Self, CannotSay> {
        Self::toward(client, &Target { speaks, quirks: &BTreeSet::new(), drops: false }, head, body, upstream_model)
    }

    /// The way through to a target.
    ///
    /// # Errors
    /// The target cannot take the call.
    pub fn toward(client: Surface, target: &Target<'_>, head: &Head, body: &Bytes, upstream_model: &str) -> Result<Self, CannotSay> {
        if target.speaks.contains(&client) {
            return Ok(Self::Same(Same::new(client, target, head, body, upstream_model)?));
        }
        foreign::told_in_other_words(head)?;
        let mut dropped = Vec::new();
        let mut body = body.clone();
        loop {
            match Translated::begin(client, target, &body, upstream_model) {
                Ok(mut translated) => {
                    dropped.append(&mut translated.dropped);
                    return Ok(Self::Translated(Translated { dropped, ..translated }));
                }
                Err(CannotSay::Field { field, why }) => match quirks::without(&body, &field).filter(|_| target.drops) {
                    Some(without) => {
                        body = without;
                        dropped.push(field);
                    }
                    None => return Err(CannotSay::Field { field, why }),
                },
                Err(cannot @ CannotSay::Surface { .. }) => return Err(cannot),
            }
        }
    }

    /// The way through of a form. Its files are not for translating.
    ///
    /// # Errors
    /// The target does not speak the surface.
    pub fn form(surface: Surface, target: &Target<'_>, form: &Form, upstream_model: &str) -> Result<Self, CannotSay> {
        let spoken = target.speaks.contains(&surface);
        spoken.then(|| Self::Same(Same::form(surface, form, upstream_model))).ok_or(CannotSay::Surface { surface })
    }

    /// Ids of what the target keeps and tells are sealed. A translated answer is kept nowhere.
    pub fn seal(&mut self, names: Arc<dyn Names>) {
        if let Self::Same(same) = self {
            same.seal(names);
        }
    }

    /// What is put into a form on its way, in order: each in the place of a range of its bytes.
    #[must_use]
    pub fn splices(&self) -> &[(Range<usize>, Bytes)] {
        match self {
            Self::Same(same) => same.splices(),
            Self::Translated(_) => &[],
        }
    }

    /// Whether the answer may be something else than JSON or events.
    #[must_use]
    pub fn raw(&self) -> Raw {
        match self {
            Self::Same(same) => same.raw(),
            Self::Translated(_) => Raw::Never,
        }
    }

    /// Whether calls by a door can be told at all to a target that speaks these surfaces.
    #[must_use]
    pub fn leads(client: Surface, speaks: &BTreeSet<Surface>) -> bool {
        // Where nobody counts, the gateway estimates.
        let client = if client == Surface::CountTokens { Surface::Messages } else { client };
        let embeds = client == Surface::Embeddings && embed::target(speaks).is_some();
        let orders = client == Surface::Rerank && speaks.contains(&Surface::CohereRerank);
        embeds || orders || speaks.contains(&client) || translate::target(client, speaks).is_some()
    }

    /// Fields that were left out because the target cannot be told them.
    #[must_use]
    pub fn dropped(&self) -> &[String] {
        match self {
            Self::Same(same) => same.dropped(),
            Self::Translated(translated) => &translated.dropped,
        }
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
                let mended = match Mender::of_whole(&translated.quirks, "") {
                    Some(mut mender) => mender.mend(&body)?,
                    None => None,
                };
                let body = mended.map_or(body, Bytes::from);
                let (body, facts) = match &translated.told {
                    Told::Chat(translation) => translation.read_whole(&body)?,
                    Told::Embeddings(embedding) => embedding.read_whole(&body)?,
                    Told::Order(order) => order.read_whole(&body)?,
                };
                Ok(Whole { body, facts, estimate: false })
            }
        }
    }

    /// Reads a streamed answer. One of vectors does not exist: its reader says so.
    #[must_use]
    pub fn stream_reader(&self) -> StreamReader {
        StreamReader(match self {
            Self::Same(same) => Reader::Same(Box::new(same.stream())),
            Self::Translated(Translated { told: Told::Chat(translation), upstream, quirks, .. }) => {
                let framing = match upstream {
                    Surface::Converse => Framing::Binary(eventstream::Frames::default()),
                    Surface::OllamaChat => Framing::Lines(Lines::default()),
                    Surface::ChatCompletions
                    | Surface::Completions
                    | Surface::Embeddings
                    | Surface::Responses
                    | Surface::Messages
                    | Surface::CountTokens
                    | Surface::GenerateContent
                    | Surface::CohereChat
                    | Surface::BatchEmbedContents
                    | Surface::CohereEmbed
                    | Surface::OllamaEmbed
                    | Surface::Proxy
                    | Surface::Realtime
                    | Surface::Moderations
                    | Surface::Rerank
                    | Surface::Images
                    | Surface::ImageEdits
                    | Surface::ImageVariations
                    | Surface::Speech
                    | Surface::Transcriptions
                    | Surface::Translations
                    | Surface::CohereRerank
                    | Surface::Files => Framing::Events(Frames::default(), Mender::of_stream(quirks, true, "").map(Box::new)),
                };
                Reader::Translated { framing, stream: Box::new(translation.stream()), stopped: false }
            }
            Self::Translated(Translated { told: Told::Embeddings(_) | Told::Order(_), .. }) => Reader::None(Facts::default()),
        })
    }
}

/// Reads a stream piece by piece, however it is cut.
#[derive(Debug)]
pub struct StreamReader(Reader);

#[derive(Debug)]
enum Reader {
    Same(Box<SameStream>),
    Translated {
        framing: Framing,
        stream: Box<Stream>,
        stopped: bool,
    },
    /// There is nothing to be streamed.
    None(Facts),
}

/// How a provider's stream is cut into what it says.
#[derive(Debug)]
enum Framing {
    /// Server-sent events, and what mends them.
    Events(Frames, Option<Box<Mender>>),
    /// Amazon's frames.
    Binary(eventstream::Frames),
    /// Lines of JSON.
    Lines(Lines),
}

impl Framing {
    /// Takes bytes, and gives what is whole to the stream.
    fn push(&mut self, chunk: Bytes, stream: &mut Stream, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Events(frames, mender) => {
                frames.push(chunk);
                while let Some(event) = frames.next_event() {
                    told(&event.map_err(|_| oversized())?, mender.as_deref_mut(), stream, out)?;
                }
            }
            Self::Lines(lines) => {
                lines.push(&chunk);
                while let Some(line) = lines.next_line() {
                    stream.data("", &line.map_err(|_| oversized())?, out)?;
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
                    stream.frame(&frame, out)?;
                }
            }
        }
        Ok(())
    }

    /// The end of the bytes.
    fn finish(&mut self, stream: &mut Stream, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Events(frames, mender) => {
                frames.take_rest().map_or(Ok(()), |event| told(&event, mender.as_deref_mut(), stream, out))?;
                while let Some(end) = mender.as_deref_mut().filter(|_| !stream.is_done()).and_then(Mender::missing_end) {
                    stream.data("", &end, out)?;
                }
            }
            Self::Lines(lines) => lines.take_rest().map_or(Ok(()), |line| stream.data("", &line, out))?,
            Self::Binary(frames) if frames.is_cut() && !stream.is_done() => {
                return Err(Fault::new(snapshot::FailureClass::StreamBroken, "the stream ended inside a frame"));
            }
            Self::Binary(_) => {}
        }
        stream.finish(out)
    }
}

/// Gives the stream one event, as its dialect tells it.
fn told(event: &Event, mender: Option<&mut Mender>, stream: &mut Stream, out: &mut Vec<u8>) -> Result<(), Fault> {
    let (Some(mender), Some(data)) = (mender, event.data()) else { return stream.event(event, out) };
    let mended = if data.trim_ascii() == b"[DONE]" {
        while let Some(end) = mender.missing_end() {
            stream.data("", &end, out)?;
        }
        None
    } else {
        mender.mend(&data)?
    };
    match mended {
        Some(mended) => stream.data("", &mended, out),
        None => stream.event(event, out),
    }
}

impl StreamReader {
    /// Takes bytes of the provider and gives bytes for the client.
    pub fn push(&mut self, chunk: Bytes) -> Pushed {
        match &mut self.0 {
            Reader::Same(same) => same.push(chunk),
            Reader::None(_) => Pushed { bytes: Bytes::new(), fault: Some(not_streamed()) },
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
            Reader::None(_) => Pushed { bytes: Bytes::new(), fault: Some(not_streamed()) },
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
            Reader::None(_) => error.event(client, 0),
        }
    }

    /// Whether a first real event was understood: the commit point.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        match &self.0 {
            Reader::Same(same) => same.has_begun(),
            Reader::Translated { stream, .. } => stream.has_begun(),
            Reader::None(_) => false,
        }
    }

    /// Whether the terminal event was seen.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match &self.0 {
            Reader::Same(same) => same.is_done(),
            Reader::Translated { stream, .. } => stream.is_done(),
            Reader::None(_) => false,
        }
    }

    /// What the answer said of itself so far.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        match &self.0 {
            Reader::Same(same) => same.facts(),
            Reader::Translated { stream, .. } => stream.facts(),
            Reader::None(facts) => facts,
        }
    }
}

fn not_streamed() -> Fault {
    Fault::new(snapshot::FailureClass::InvalidResponse, "vectors are not streamed")
}

pub(crate) fn oversized() -> Fault {
    Fault::new(snapshot::FailureClass::InvalidResponse, "an event of the stream is too large")
}
