//! From one dialect into another and back: three that clients speak, in front of five that providers speak.
//!
//! One canonical conversation stands in the middle ([`chat`]). A dialect that clients speak has a reader of requests and
//! writers of answers and streams; one that providers speak has a writer of requests and readers of answers and streams: a
//! further dialect touches its own files and the matches below.
//!
//! Invariant: what cannot be said in the other dialect is refused by name, never lost.

mod anthropic;
mod calls;
mod chat;
mod claude;
mod cohere;
mod converse;
mod ends;
mod gemini;
mod names;
mod ollama;
mod openai;
mod responses;
mod stream;
mod turns;

use std::borrow::Cow;

use bytes::Bytes;
use snapshot::{FailureClass, Surface};

use crate::fault::Fault;
use crate::passage::{CannotSay, Facts};

use anthropic::stream::ToAnthropic;
pub(crate) use chat::id_of_call;
use ends::{Back, Front};
use names::{Fit, Names};
use openai::chunks::ToOpenAi;
pub(crate) use openai::thoughts_and_words;
use responses::events::ToResponses;
pub(crate) use stream::Stream;
use stream::Writer;

/// A translated call: what is sent, and what is needed to read its answer.
#[derive(Debug)]
pub(crate) struct Translation {
    front: Front,
    back: Back,
    upstream: Surface,
    request: Bytes,
    /// The client asked for the usage chunk.
    include_usage: bool,
    /// Stands in for the model's name in answers that do not tell it.
    model: String,
    names: Names,
    /// What an answer of the Responses API repeats.
    asked: responses::Asked,
}

/// How a chat of this client can be told to a provider that speaks these surfaces: the first of them that can.
pub(crate) fn target(client: Surface, speaks: &std::collections::BTreeSet<Surface>) -> Option<Surface> {
    let mut chats = Back::ALL.into_iter().map(|(surface, _)| surface).filter(|surface| *surface != client && speaks.contains(surface));
    Front::of(client).and_then(|_| chats.next())
}

impl Translation {
    /// Translates a request of `client` for a target that speaks another dialect.
    pub(crate) fn begin(client: Surface, upstream: Surface, body: &Bytes, upstream_model: &str) -> Result<Self, CannotSay> {
        let (Some(front), Some(back)) = (Front::of(client), Back::of(upstream)) else { return Err(CannotSay::Surface { surface: client }) };
        let mut request = match front {
            Front::Anthropic => anthropic::read_request(body)?,
            Front::OpenAi => openai::read_request(body)?,
            Front::Responses => responses::read_request(body)?,
        };
        let asked = if front == Front::Responses { responses::Asked::of(body, &request)? } else { responses::Asked::default() };
        let names = Names::fit(&mut request, fit(back));
        let mut out = Vec::with_capacity(body.len() + 256);
        match back {
            Back::OpenAi => openai::write_request(&request, upstream_model, &mut out)?,
            Back::Anthropic => anthropic::write_request(&request, upstream_model, &mut out)?,
            Back::Gemini => gemini::write_request(&request, upstream_model, &mut out)?,
            Back::Converse => converse::write_request(&request, upstream_model, &mut out)?,
            Back::Cohere => cohere::write_request(&request, upstream_model, &mut out)?,
            Back::Ollama => ollama::write_request(&request, upstream_model, &mut out)?,
        }
        let include_usage = front == Front::OpenAi && request.include_usage;
        Ok(Self { front, back, upstream, request: out.into(), include_usage, model: upstream_model.to_owned(), names, asked })
    }

    pub(crate) fn request(&self) -> Bytes {
        self.request.clone()
    }

    pub(crate) fn read_whole(&self, body: &[u8]) -> Result<(Bytes, Facts), Fault> {
        let mut answer = match self.back {
            Back::OpenAi => openai::read_answer(body)?,
            Back::Anthropic => anthropic::read_answer(body)?,
            Back::Gemini => gemini::read_answer(body)?,
            Back::Converse => converse::read_answer(body)?,
            Back::Cohere => cohere::read_answer(body)?,
            Back::Ollama => ollama::read_answer(body)?,
        };
        let told = (!answer.model.is_empty()).then(|| answer.model.clone().into_owned());
        if told.is_none() {
            answer.model = Cow::Borrowed(&self.model);
        }
        calls::look(&mut answer.parts, answer.stop)?;
        self.names.restore(&mut answer.parts);
        let mut out = Vec::with_capacity(body.len() + 256);
        match self.front {
            Front::Anthropic => anthropic::write_answer(&answer, &mut out),
            Front::Responses => responses::write_answer(&answer, &self.asked, &mut out),
            Front::OpenAi => openai::write_answer(&answer, &mut out),
        }
        Ok((out.into(), Facts { usage: answer.usage, model: told, ..Facts::default() }))
    }

    pub(crate) fn stream(&self) -> Stream {
        let writer = match self.front {
            Front::Anthropic => Writer::Anthropic(ToAnthropic::default()),
            Front::Responses => Writer::Responses(Box::new(ToResponses::new(self.asked.clone()))),
            Front::OpenAi => Writer::OpenAi(ToOpenAi::new(self.include_usage)),
        };
        Stream::new((self.upstream, self.back), writer, &self.model, self.names.clone())
    }
}

/// What names of tools each dialect takes.
fn fit(back: Back) -> Fit {
    match back {
        Back::Anthropic => Fit { longest: 128, letter_first: false },
        Back::Gemini => Fit { longest: 64, letter_first: true },
        Back::OpenAi | Back::Converse | Back::Cohere | Back::Ollama => Fit { longest: 64, letter_first: false },
    }
}

/// What a provider sent is not what its dialect says.
fn not_an_answer(why: &str) -> Fault {
    Fault::new(FailureClass::InvalidResponse, format!("the answer cannot be read: {why}"))
}
