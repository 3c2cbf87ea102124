//! From one dialect into the other and back: OpenAI's chat completions and Anthropic's messages.
//!
//! One canonical conversation stands in the middle ([`chat`]); each dialect has a reader and a writer for requests, for
//! whole answers and for streams, so that a third dialect touches its own file and the two matches below.
//!
//! Invariant: what cannot be said in the other dialect is refused by name, never lost.

mod anthropic;
mod chat;
mod names;
mod openai;

use bytes::Bytes;
use snapshot::{FailureClass, Surface};

use crate::fault::Fault;
use crate::passage::{CannotSay, Facts};
use crate::sse::Event;

use anthropic::stream::ToAnthropic;
use chat::{Answer, News, Piece};
use names::Names;
use openai::chunks::ToOpenAi;

/// A translated call: what is sent, and what is needed to read its answer.
#[derive(Debug)]
pub(crate) struct Translation {
    client: Surface,
    request: Bytes,
    /// The client asked for the usage chunk.
    include_usage: bool,
    names: Names,
}

/// The longest name of a tool that each dialect takes.
const OPENAI_NAME_MAX: usize = 64;
const ANTHROPIC_NAME_MAX: usize = 128;

impl Translation {
    /// Translates a request of `client` for a target that speaks the other dialect.
    pub(crate) fn begin(client: Surface, body: &Bytes, upstream_model: &str) -> Result<Self, CannotSay> {
        let mut out = Vec::with_capacity(body.len() + 256);
        let (names, include_usage) = match client {
            Surface::Messages => {
                let mut request = anthropic::read_request(body)?;
                let names = Names::fit(&mut request, OPENAI_NAME_MAX);
                openai::write_request(&request, upstream_model, &mut out)?;
                (names, false)
            }
            Surface::ChatCompletions => {
                let mut request = openai::read_request(body)?;
                let names = Names::fit(&mut request, ANTHROPIC_NAME_MAX);
                anthropic::write_request(&request, upstream_model, &mut out)?;
                (names, request.include_usage)
            }
            Surface::Completions | Surface::Embeddings | Surface::Responses => return Err(CannotSay::Surface { surface: client }),
        };
        Ok(Self { client, request: out.into(), include_usage, names })
    }

    pub(crate) fn request(&self) -> Bytes {
        self.request.clone()
    }

    pub(crate) fn read_whole(&self, body: &[u8]) -> Result<(Bytes, Facts), Fault> {
        let mut out = Vec::with_capacity(body.len() + 256);
        let answer = if self.client == Surface::Messages {
            let mut answer = openai::read_answer(body)?;
            self.names.restore(&mut answer.parts);
            anthropic::write_answer(&answer, &mut out);
            answer
        } else {
            let mut answer = anthropic::read_answer(body)?;
            self.names.restore(&mut answer.parts);
            openai::write_answer(&answer, &mut out);
            answer
        };
        let Answer { usage, model, .. } = answer;
        let facts = Facts { usage, model: (!model.is_empty()).then(|| model.into_owned()) };
        Ok((out.into(), facts))
    }

    pub(crate) fn stream(&self) -> Stream {
        let direction = if self.client == Surface::Messages {
            Direction::ToAnthropic { reader: openai::stream::Reader::default(), writer: ToAnthropic::default() }
        } else {
            Direction::ToOpenAi { reader: anthropic::stream::Reader::default(), writer: ToOpenAi::new(self.include_usage) }
        };
        Stream { direction, names: self.names.clone(), facts: Facts::default(), news: News::default() }
    }
}

#[derive(Debug)]
enum Direction {
    /// The client speaks OpenAI, the provider Anthropic.
    ToOpenAi { reader: anthropic::stream::Reader, writer: ToOpenAi },
    /// The client speaks Anthropic, the provider OpenAI.
    ToAnthropic { reader: openai::stream::Reader, writer: ToAnthropic },
}

/// A translated stream.
#[derive(Debug)]
pub(crate) struct Stream {
    direction: Direction,
    names: Names,
    facts: Facts,
    news: News,
}

impl Stream {
    /// Takes one event of the provider and writes what it means to the client.
    pub(crate) fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<(), Fault> {
        let upstream = match self.direction {
            Direction::ToOpenAi { .. } => Surface::Messages,
            Direction::ToAnthropic { .. } => Surface::ChatCompletions,
        };
        let Some(data) = event.data() else {
            // Bare JSON in the place of an event is how some servers say that they break off.
            let bare = event.raw.trim_ascii();
            return if bare.starts_with(b"{") { Err(Fault::of_object(upstream, bare)) } else { Ok(()) };
        };
        if self.news.done {
            return Ok(());
        }
        let (facts, names) = (&mut self.facts, &self.names);
        let news = match &mut self.direction {
            Direction::ToOpenAi { reader, writer } => reader.event(&data, &mut |piece| {
                note(facts, &piece);
                writer.piece(&names.told(piece), out);
            }),
            Direction::ToAnthropic { reader, writer } => reader.event(&data, &mut |piece| {
                note(facts, &piece);
                writer.piece(&names.told(piece), out);
            }),
        }?;
        self.news.begun |= news.begun;
        self.news.done |= news.done;
        Ok(())
    }

    /// The provider's stream is over.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.news.done {
            return Ok(());
        }
        let (facts, names) = (&mut self.facts, &self.names);
        if let Direction::ToAnthropic { reader, writer } = &mut self.direction {
            // A server that never says `[DONE]` ends with its reason to finish.
            self.news.done = reader.finish(&mut |piece| {
                note(facts, &piece);
                writer.piece(&names.told(piece), out);
            });
        }
        if self.news.done { Ok(()) } else { Err(Fault::new(FailureClass::StreamBroken, "the stream ended before its terminal event")) }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.news.begun
    }

    pub(crate) fn is_done(&self) -> bool {
        self.news.done
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }
}

fn note(facts: &mut Facts, piece: &Piece<'_>) {
    match piece {
        Piece::Begin { model, usage, .. } => {
            facts.model = (!model.is_empty()).then(|| (*model).to_owned());
            facts.usage = usage.or(facts.usage);
        }
        Piece::End { usage, .. } => facts.usage = usage.or(facts.usage),
        Piece::Text(_)
        | Piece::Thinking(_)
        | Piece::Signature(_)
        | Piece::Redacted(_)
        | Piece::Call { .. }
        | Piece::Arguments(_)
        | Piece::PartEnd
        | Piece::Refusal(_) => {}
    }
}

/// What a provider sent is not what its dialect says.
fn not_an_answer(why: &str) -> Fault {
    Fault::new(FailureClass::InvalidResponse, format!("the answer cannot be read: {why}"))
}
