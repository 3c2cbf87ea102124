//! Translated streams: one reader for each dialect of providers, one writer for each of clients.

use bytes::Bytes;
use serde_json::value::RawValue;
use snapshot::{FailureClass, Surface};

use super::anthropic::stream::ToAnthropic;
use super::calls::Calls;
use super::chat::{News, Piece};
use super::ends::Back;
use super::names::Names;
use super::openai::chunks::ToOpenAi;
use super::responses::events::ToResponses;
use super::{anthropic, cohere, converse, gemini, not_an_answer, ollama, openai};
use crate::eventstream::Frame;
use crate::fault::{ClientError, Fault};
use crate::passage::Facts;
use crate::sse::Event;

/// Reads what a provider sends.
#[derive(Debug)]
enum Reader {
    OpenAi(openai::stream::Reader),
    Anthropic(anthropic::stream::Reader),
    Gemini(gemini::stream::Reader),
    Converse(converse::stream::Reader),
    Cohere(cohere::stream::Reader),
    Ollama(ollama::stream::Reader),
}

/// Writes what a client is given.
#[derive(Debug)]
pub(super) enum Writer {
    OpenAi(ToOpenAi),
    Anthropic(ToAnthropic),
    Responses(Box<ToResponses>),
}

impl Writer {
    fn piece(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match self {
            Self::OpenAi(writer) => writer.piece(piece, out),
            Self::Anthropic(writer) => writer.piece(piece, out),
            Self::Responses(writer) => writer.piece(piece, out),
        }
    }
}

/// A translated stream.
#[derive(Debug)]
pub(crate) struct Stream {
    upstream: Surface,
    reader: Reader,
    telling: Telling,
    news: News,
}

/// What pieces go through on their way to the client.
#[derive(Debug)]
struct Telling {
    writer: Writer,
    names: Names,
    calls: Calls,
    /// What is told is no answer after all.
    fault: Option<Fault>,
    facts: Facts,
    /// Stands in for the model's name where the provider does not tell it.
    model: String,
}

impl Telling {
    fn piece(&mut self, piece: Piece<'_>, out: &mut Vec<u8>) {
        self.note(&piece);
        if let Piece::Begin { id, model: "", usage } = piece {
            return self.writer.piece(&Piece::Begin { id, model: &self.model, usage }, out);
        }
        let piece = self.names.told(piece);
        if let Piece::Call { id, name, seal } = piece {
            let id = self.calls.begin(id, name);
            return self.writer.piece(&Piece::Call { id: &id, name, seal }, out);
        }
        self.calls.look(&piece);
        if let Piece::End { stop, .. } = &piece {
            self.fault = self.calls.end(*stop).err();
        }
        if self.fault.is_none() {
            self.writer.piece(&piece, out);
        }
    }

    fn note(&mut self, piece: &Piece<'_>) {
        match piece {
            Piece::Begin { model, usage, .. } => {
                self.facts.model = (!model.is_empty()).then(|| (*model).to_owned());
                self.facts.usage = usage.or(self.facts.usage);
            }
            Piece::End { usage, .. } => self.facts.usage = usage.or(self.facts.usage),
            Piece::Text(_)
            | Piece::Thinking(_)
            | Piece::Signature(_)
            | Piece::Redacted(_)
            | Piece::Call { .. }
            | Piece::Arguments(_)
            | Piece::Plan(_)
            | Piece::PartEnd
            | Piece::Refusal(_) => {}
        }
    }
}

impl Stream {
    pub(super) fn new((upstream, back): (Surface, Back), writer: Writer, model: &str, names: Names) -> Self {
        let reader = match back {
            Back::OpenAi => Reader::OpenAi(openai::stream::Reader::default()),
            Back::Anthropic => Reader::Anthropic(anthropic::stream::Reader::default()),
            Back::Gemini => Reader::Gemini(gemini::stream::Reader::default()),
            Back::Converse => Reader::Converse(converse::stream::Reader::default()),
            Back::Cohere => Reader::Cohere(cohere::stream::Reader::default()),
            Back::Ollama => Reader::Ollama(ollama::stream::Reader::default()),
        };
        let telling = Telling { writer, names, calls: Calls::default(), fault: None, facts: Facts::default(), model: model.to_owned() };
        Self { upstream, reader, telling, news: News::default() }
    }

    /// Takes one event of the provider and writes what it means to the client.
    pub(crate) fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<(), Fault> {
        if let Some(data) = event.data() {
            return self.data("", &data, out);
        }
        let bare = event.raw.trim_ascii();
        match (bare.first(), self.upstream) {
            // A list of answers in the place of events: Gemini's form of a stream for those who did not ask for events.
            (Some(b'['), Surface::GenerateContent) => {
                let list: Vec<&RawValue> = serde_json::from_slice(bare).map_err(|error| not_an_answer(&error.to_string()))?;
                list.into_iter().try_for_each(|answer| self.data("", answer.get().as_bytes(), out))
            }
            // Bare JSON in the place of an event is how some servers say that they break off.
            (Some(b'{'), _) => Err(Fault::of_object(self.upstream, bare)),
            _ => Ok(()),
        }
    }

    /// Takes one frame of Amazon's.
    pub(crate) fn frame(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), Fault> {
        if frame.failed && !self.news.done {
            return Err(Fault::of_exception(self.upstream, &frame.kind, &frame.payload));
        }
        self.data(&frame.kind, &frame.payload, out)
    }

    /// Takes what one event or frame holds. Only frames tell their kind apart from what they hold.
    pub(crate) fn data(&mut self, kind: &str, data: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.news.done {
            return Ok(());
        }
        let telling = &mut self.telling;
        let mut write = |piece: Piece<'_>| telling.piece(piece, out);
        let news = match &mut self.reader {
            Reader::OpenAi(reader) => reader.event(data, &mut write),
            Reader::Anthropic(reader) => reader.event(data, &mut write),
            Reader::Gemini(reader) => reader.event(data, &mut write),
            Reader::Converse(reader) => reader.event(kind, data, &mut write),
            Reader::Cohere(reader) => reader.event(data, &mut write),
            Reader::Ollama(reader) => reader.line(data, &mut write),
        }?;
        self.telling.fault.take().map_or(Ok(()), Err)?;
        self.news.begun |= news.begun;
        self.news.done |= news.done;
        match &self.telling.writer {
            Writer::Responses(writer) if writer.is_full() => Err(not_an_answer("it is too long to be told in the end")),
            Writer::Responses(_) | Writer::OpenAi(_) | Writer::Anthropic(_) => Ok(()),
        }
    }

    /// The provider's stream is over.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.news.done {
            return Ok(());
        }
        let telling = &mut self.telling;
        let mut write = |piece: Piece<'_>| telling.piece(piece, out);
        self.news.done = match &mut self.reader {
            // A server that never says `[DONE]` ends with its reason to finish.
            Reader::OpenAi(reader) => reader.finish(&mut write),
            Reader::Gemini(reader) => reader.finish(&mut write),
            Reader::Converse(reader) => reader.finish(&mut write),
            Reader::Anthropic(_) | Reader::Cohere(_) | Reader::Ollama(_) => false,
        };
        self.telling.fault.take().map_or(Ok(()), Err)?;
        if self.news.done { Ok(()) } else { Err(Fault::new(FailureClass::StreamBroken, "the stream ended before its terminal event")) }
    }

    /// The last events for the client of a stream that failed.
    pub(crate) fn fail(&self, client: Surface, error: &ClientError<'_>) -> Bytes {
        match &self.telling.writer {
            Writer::Responses(writer) => writer.fail(error),
            Writer::OpenAi(_) | Writer::Anthropic(_) => error.event(client, 0),
        }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.news.begun
    }

    pub(crate) fn is_done(&self) -> bool {
        self.news.done
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.telling.facts
    }
}
