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
mod cohere;
mod converse;
mod gemini;
mod names;
mod ollama;
mod openai;
mod responses;
mod stream;

use std::borrow::Cow;

use bytes::Bytes;
use snapshot::{FailureClass, Surface};

use crate::fault::Fault;
use crate::passage::{CannotSay, Facts};

use anthropic::stream::ToAnthropic;
pub(crate) use chat::id_of_call;
use names::{Fit, Names};
use openai::chunks::ToOpenAi;
pub(crate) use openai::thoughts_and_words;
use responses::events::ToResponses;
pub(crate) use stream::Stream;
use stream::Writer;

/// A translated call: what is sent, and what is needed to read its answer.
#[derive(Debug)]
pub(crate) struct Translation {
    client: Surface,
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
    let chats = [
        Surface::ChatCompletions,
        Surface::Messages,
        Surface::GenerateContent,
        Surface::Converse,
        Surface::CohereChat,
        Surface::OllamaChat,
    ];
    let has_reader = matches!(client, Surface::ChatCompletions | Surface::Messages | Surface::Responses);
    chats.into_iter().find(|surface| has_reader && *surface != client && speaks.contains(surface))
}

impl Translation {
    /// Translates a request of `client` for a target that speaks another dialect.
    pub(crate) fn begin(client: Surface, upstream: Surface, body: &Bytes, upstream_model: &str) -> Result<Self, CannotSay> {
        let mut request = match client {
            Surface::Messages => anthropic::read_request(body)?,
            Surface::ChatCompletions => openai::read_request(body)?,
            Surface::Responses => responses::read_request(body)?,
            Surface::Completions
            | Surface::Embeddings
            | Surface::CountTokens
            | Surface::GenerateContent
            | Surface::Converse
            | Surface::CohereChat
            | Surface::BatchEmbedContents
            | Surface::CohereEmbed
            | Surface::OllamaChat
            | Surface::OllamaEmbed
            | Surface::Proxy
            | Surface::Moderations
            | Surface::Rerank
            | Surface::Images
            | Surface::ImageEdits
            | Surface::ImageVariations
            | Surface::Speech
            | Surface::Transcriptions
            | Surface::Translations
            | Surface::CohereRerank => return Err(CannotSay::Surface { surface: client }),
        };
        let asked = if client == Surface::Responses { responses::Asked::of(body, &request)? } else { responses::Asked::default() };
        let names = Names::fit(&mut request, fit(upstream));
        let mut out = Vec::with_capacity(body.len() + 256);
        match upstream {
            Surface::ChatCompletions => openai::write_request(&request, upstream_model, &mut out)?,
            Surface::Messages => anthropic::write_request(&request, upstream_model, &mut out)?,
            Surface::GenerateContent => gemini::write_request(&request, upstream_model, &mut out)?,
            Surface::Converse => converse::write_request(&request, upstream_model, &mut out)?,
            Surface::CohereChat => cohere::write_request(&request, upstream_model, &mut out)?,
            Surface::OllamaChat => ollama::write_request(&request, upstream_model, &mut out)?,
            Surface::Completions
            | Surface::Embeddings
            | Surface::Responses
            | Surface::CountTokens
            | Surface::BatchEmbedContents
            | Surface::CohereEmbed
            | Surface::OllamaEmbed
            | Surface::Proxy
            | Surface::Moderations
            | Surface::Rerank
            | Surface::Images
            | Surface::ImageEdits
            | Surface::ImageVariations
            | Surface::Speech
            | Surface::Transcriptions
            | Surface::Translations
            | Surface::CohereRerank => return Err(CannotSay::Surface { surface: client }),
        }
        let include_usage = client == Surface::ChatCompletions && request.include_usage;
        Ok(Self { client, upstream, request: out.into(), include_usage, model: upstream_model.to_owned(), names, asked })
    }

    pub(crate) fn request(&self) -> Bytes {
        self.request.clone()
    }

    pub(crate) fn read_whole(&self, body: &[u8]) -> Result<(Bytes, Facts), Fault> {
        let mut answer = match self.upstream {
            Surface::ChatCompletions => openai::read_answer(body)?,
            Surface::Messages => anthropic::read_answer(body)?,
            Surface::GenerateContent => gemini::read_answer(body)?,
            Surface::Converse => converse::read_answer(body)?,
            Surface::CohereChat => cohere::read_answer(body)?,
            Surface::OllamaChat => ollama::read_answer(body)?,
            Surface::Completions
            | Surface::Embeddings
            | Surface::Responses
            | Surface::CountTokens
            | Surface::BatchEmbedContents
            | Surface::CohereEmbed
            | Surface::OllamaEmbed
            | Surface::Proxy
            | Surface::Moderations
            | Surface::Rerank
            | Surface::Images
            | Surface::ImageEdits
            | Surface::ImageVariations
            | Surface::Speech
            | Surface::Transcriptions
            | Surface::Translations
            | Surface::CohereRerank => return Err(not_an_answer("nobody reads it")),
        };
        let told = (!answer.model.is_empty()).then(|| answer.model.clone().into_owned());
        if told.is_none() {
            answer.model = Cow::Borrowed(&self.model);
        }
        calls::look(&mut answer.parts, answer.stop)?;
        self.names.restore(&mut answer.parts);
        let mut out = Vec::with_capacity(body.len() + 256);
        match self.client {
            Surface::Messages => anthropic::write_answer(&answer, &mut out),
            Surface::Responses => responses::write_answer(&answer, &self.asked, &mut out),
            Surface::ChatCompletions
            | Surface::Completions
            | Surface::Embeddings
            | Surface::CountTokens
            | Surface::GenerateContent
            | Surface::Converse
            | Surface::CohereChat
            | Surface::BatchEmbedContents
            | Surface::CohereEmbed
            | Surface::OllamaChat
            | Surface::OllamaEmbed
            | Surface::Proxy
            | Surface::Moderations
            | Surface::Rerank
            | Surface::Images
            | Surface::ImageEdits
            | Surface::ImageVariations
            | Surface::Speech
            | Surface::Transcriptions
            | Surface::Translations
            | Surface::CohereRerank => openai::write_answer(&answer, &mut out),
        }
        Ok((out.into(), Facts { usage: answer.usage, model: told, ..Facts::default() }))
    }

    pub(crate) fn stream(&self) -> Stream {
        let writer = match self.client {
            Surface::Messages => Writer::Anthropic(ToAnthropic::default()),
            Surface::Responses => Writer::Responses(Box::new(ToResponses::new(self.asked.clone()))),
            Surface::ChatCompletions
            | Surface::Completions
            | Surface::Embeddings
            | Surface::CountTokens
            | Surface::GenerateContent
            | Surface::Converse
            | Surface::CohereChat
            | Surface::BatchEmbedContents
            | Surface::CohereEmbed
            | Surface::OllamaChat
            | Surface::OllamaEmbed
            | Surface::Proxy
            | Surface::Moderations
            | Surface::Rerank
            | Surface::Images
            | Surface::ImageEdits
            | Surface::ImageVariations
            | Surface::Speech
            | Surface::Transcriptions
            | Surface::Translations
            | Surface::CohereRerank => Writer::OpenAi(ToOpenAi::new(self.include_usage)),
        };
        Stream::new(self.upstream, writer, &self.model, self.names.clone())
    }
}

/// What names of tools each dialect takes.
fn fit(upstream: Surface) -> Fit {
    match upstream {
        Surface::Messages => Fit { longest: 128, letter_first: false },
        Surface::GenerateContent => Fit { longest: 64, letter_first: true },
        Surface::ChatCompletions
        | Surface::Converse
        | Surface::CohereChat
        | Surface::BatchEmbedContents
        | Surface::CohereEmbed
        | Surface::OllamaChat
        | Surface::OllamaEmbed
        | Surface::Proxy
        | Surface::Completions
        | Surface::Embeddings
        | Surface::CountTokens
        | Surface::Responses
        | Surface::Moderations
        | Surface::Rerank
        | Surface::Images
        | Surface::ImageEdits
        | Surface::ImageVariations
        | Surface::Speech
        | Surface::Transcriptions
        | Surface::Translations
        | Surface::CohereRerank => Fit { longest: 64, letter_first: false },
    }
}

/// What a provider sent is not what its dialect says.
fn not_an_answer(why: &str) -> Fault {
    Fault::new(FailureClass::InvalidResponse, format!("the answer cannot be read: {why}"))
}
