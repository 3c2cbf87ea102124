//! Same dialect on both sides: the client's bytes pass with at most two splices, and the answer's bytes pass while they
//! are read for usage, the model, the end and errors.

mod raw;
mod sealing;
mod searches;
mod seen;
mod splice;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use memchr::memmem::Finder;
use snapshot::{FailureClass, Operation, Quirk, Surface};

use crate::fault::Fault;
use crate::head::Head;
use crate::measure;
use crate::multipart::Form;
use crate::passage::{CannotSay, Facts, Pushed, Target, Whole, oversized};
use crate::quirks::{self, Mender};
use crate::sse::{Event, Frames, Passing, missing_end};
use crate::stored::Names;
use crate::usage::{self, AnthropicUsage};

pub use raw::Raw;
use sealing::{Sealing, is_delta};
use seen::{Seen, is_null, nested_usage, said_nothing, wrapped};
pub(crate) use splice::apply;
use splice::{ask_for_usage, renamed};

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\""));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"finish_reason\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));

/// A call that passes as it is.
#[derive(Debug)]
pub struct Same {
    surface: Surface,
    request: Vec<Bytes>,
    /// The client did not ask for the usage of its stream, so the chunk that we asked for is taken out.
    hide_usage: bool,
    /// Where the target differs from the dialect; of chat alone.
    quirks: BTreeSet<Quirk>,
    model: String,
    dropped: Vec<String>,
    raw: Raw,
    sealing: Sealing,
    /// A form passes with these in it; its bytes stay where they are kept.
    splices: Vec<(Range<usize>, Bytes)>,
}

impl Same {
    pub(crate) fn new(surface: Surface, target: &Target<'_>, head: &Head, body: &Bytes, upstream_model: &str) -> Result<Self, CannotSay> {
        let quirks = if surface == Surface::ChatCompletions { target.quirks.clone() } else { BTreeSet::new() };
        let streams_usage = matches!(surface, Surface::ChatCompletions | Surface::Completions) && !quirks.contains(&Quirk::NoStreamOptions);
        let hide_usage = head.stream && streams_usage && !head.include_usage;
        let mut splices: Vec<(Range<usize>, Bytes)> = Vec::new();
        splices.extend(renamed(head, body, upstream_model));
        if hide_usage {
            splices.push(ask_for_usage(head));
            splices.sort_by_key(|(range, _)| range.start);
        }
        let request = apply(body, &splices);
        let (request, dropped) = if quirks.is_empty() {
            (request, Vec::new())
        } else {
            let asked = quirks::ask(request.concat().into(), &quirks, target.drops)?;
            (vec![asked.body], asked.dropped)
        };
        Ok(Self {
            surface,
            request,
            hide_usage,
            quirks,
            model: upstream_model.to_owned(),
            dropped,
            raw: Raw::of(surface, head),
            sealing: Sealing::default(),
            splices: Vec::new(),
        })
    }

    /// A form, whose bytes are not here.
    pub(crate) fn form(surface: Surface, form: &Form, upstream_model: &str) -> Self {
        Self {
            surface,
            request: Vec::new(),
            hide_usage: false,
            quirks: BTreeSet::new(),
            model: String::new(),
            dropped: Vec::new(),
            raw: Raw::of(surface, &form.head),
            sealing: Sealing::default(),
            splices: form.renamed(upstream_model).into_iter().collect(),
        }
    }

    /// Ids of what is answered are sealed, where it is of the API whose answers are kept.
    pub(crate) fn seal(&mut self, names: Arc<dyn Names>) {
        self.sealing = Sealing(Some(names).filter(|_| self.surface == Surface::Responses));
    }

    pub(crate) fn splices(&self) -> &[(Range<usize>, Bytes)] {
        &self.splices
    }

    pub(crate) fn raw(&self) -> Raw {
        self.raw
    }

    pub(crate) fn dropped(&self) -> &[String] {
        &self.dropped
    }

    pub(crate) fn surface(&self) -> Surface {
        self.surface
    }

    pub(crate) fn request(&self) -> &[Bytes] {
        &self.request
    }

    pub(crate) fn read_whole(&self, body: Bytes) -> Result<Whole, Fault> {
        let mended = Mender::of_whole(&self.quirks, &self.model).map_or(Ok(None), |mut mender| mender.mend(&body))?;
        let body = mended.map_or(body, Bytes::from);
        let facts = read_object(self.surface, &body)?;
        let body = self.sealing.answer(&body).map_or(body, Bytes::from);
        Ok(Whole { body, facts, estimate: false })
    }

    pub(crate) fn stream(&self) -> SameStream {
        SameStream {
            surface: self.surface,
            hide_usage: self.hide_usage,
            events: 0,
            frames: Frames::default(),
            mender: Mender::of_stream(&self.quirks, !self.hide_usage, &self.model),
            sealing: self.sealing.clone(),
            facts: Facts::default(),
            anthropic: AnthropicUsage::default(),
            pictures: 0,
            service: None,
            begun: false,
            finished: false,
            done: false,
            stopped: false,
        }
    }
}

/// Reads a whole answer: it must be an object without an error.
fn read_object(surface: Surface, body: &[u8]) -> Result<Facts, Fault> {
    let seen = Seen::read(body).map_err(|wrong| {
        let page = body.trim_ascii_start().starts_with(b"<");
        let what = if body.trim_ascii().is_empty() {
            "it is empty"
        } else if page {
            "it is a page of HTML"
        } else {
            wrong.what
        };
        Fault::new(FailureClass::InvalidResponse, format!("the answer is not JSON: {what}"))
    })?;
    if let Some(fault) = seen.failure(surface, body) {
        return Err(fault);
    }
    let measured = match surface.operation() {
        Operation::Images => measure::images(seen.items),
        Operation::Audio => seen.usage.clone().and_then(|range| measure::seconds(&body[range])).or_else(|| measure::lasted(seen.duration)),
        Operation::Rerank => seen.meta.and_then(|range| measure::searches(&body[range])),
        Operation::Chat
        | Operation::Completions
        | Operation::Embeddings
        | Operation::Responses
        | Operation::Moderations
        | Operation::Files
        | Operation::Proxy
        | Operation::Realtime => None,
    };
    let usage = seen.usage.and_then(|range| {
        let json = &body[range];
        let told = match surface {
            Surface::Messages => {
                let mut usage = AnthropicUsage::default();
                usage.take(json);
                usage.usage()
            }
            Surface::GenerateContent | Surface::BatchEmbedContents => usage::of_gemini(json),
            Surface::Converse => usage::of_converse(json),
            Surface::CohereChat | Surface::CohereEmbed => usage::of_cohere(json),
            // Ollama's counts stand at the top, and nobody is let through to it as it is; to count is no use of a model.
            Surface::OllamaChat | Surface::OllamaEmbed | Surface::CountTokens | Surface::Files | Surface::Proxy | Surface::Realtime => None,
            Surface::Responses => searches::added(usage::of_openai(json), body),
            Surface::Images | Surface::ImageEdits | Surface::ImageVariations => usage::of_pictures(json),
            Surface::Speech => usage::of_speech(json),
            Surface::ChatCompletions
            | Surface::Completions
            | Surface::Embeddings
            | Surface::Moderations
            | Surface::Rerank
            | Surface::Transcriptions
            | Surface::Translations
            | Surface::CohereRerank => usage::of_openai(json),
        };
        usage::served(told, seen.service.as_deref())
    });
    Ok(Facts { usage, measured, model: seen.model })
}

/// Reads a stream while it passes.
#[derive(Debug)]
pub(crate) struct SameStream {
    surface: Surface,
    hide_usage: bool,
    /// Events that passed; those of the Responses API are numbered.
    events: u64,
    frames: Frames,
    mender: Option<Mender>,
    sealing: Sealing,
    facts: Facts,
    anthropic: AnthropicUsage,
    /// That are whole.
    pictures: u64,
    service: Option<String>,
    begun: bool,
    /// A reason to finish was told: an end, if none more formal comes.
    finished: bool,
    done: bool,
    stopped: bool,
}

enum Verdict {
    Pass,
    Hide,
    Fail(Fault),
}

impl SameStream {
    pub(crate) fn push(&mut self, chunk: Bytes) -> Pushed {
        if self.stopped {
            return Pushed::default();
        }
        let mut passing = Passing::default();
        self.frames.push(chunk);
        while let Some(event) = self.frames.next_event() {
            let event = match event {
                Ok(event) => self.mended(event).map_err(Box::new),
                Err(_) => Err(Box::new(oversized())),
            };
            let verdict = match &event {
                Ok(event) => self.look(event),
                Err(fault) => Verdict::Fail((**fault).clone()),
            };
            match (verdict, event) {
                (Verdict::Pass, Ok(event)) => {
                    self.events += 1;
                    if self.done {
                        self.missing_end(&mut passing);
                    }
                    passing.add(self.sealing.event(event).raw);
                }
                (Verdict::Fail(fault), _) => {
                    self.stopped = true;
                    return Pushed { bytes: passing.take(), fault: Some(fault) };
                }
                (Verdict::Pass | Verdict::Hide, _) => {}
            }
        }
        Pushed { bytes: passing.take(), fault: None }
    }

    pub(crate) fn finish(&mut self) -> Pushed {
        if self.stopped {
            return Pushed::default();
        }
        self.stopped = true;
        let mut passing = Passing::default();
        if let Some(event) = self.frames.take_rest() {
            let event = match self.mended(event) {
                Ok(event) => event,
                Err(fault) => return Pushed { bytes: Bytes::new(), fault: Some(fault) },
            };
            match self.look(&event) {
                Verdict::Fail(fault) => return Pushed { bytes: Bytes::new(), fault: Some(fault) },
                // An event without its blank line was cut off, unless it is the last word.
                Verdict::Pass if self.done || self.finished => {
                    let event = self.sealing.event(event);
                    let missing = missing_end(&event.raw);
                    if self.done {
                        self.missing_end(&mut passing);
                    }
                    passing.add(event.raw);
                    passing.add(Bytes::from_static(missing));
                }
                Verdict::Pass | Verdict::Hide => {}
            }
        }
        if !self.done {
            self.missing_end(&mut passing);
        }
        if !self.done && self.finished && matches!(self.surface, Surface::ChatCompletions | Surface::Completions) {
            // Some servers never say it, and clients wait for it.
            passing.add(Bytes::from_static(b"data: [DONE]\n\n"));
            self.done = true;
        }
        let fault = (!self.done).then(|| Fault::new(FailureClass::StreamBroken, "the stream ended before its terminal event"));
        Pushed { bytes: passing.take(), fault }
    }

    /// How many events passed.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// What the server left out of its end goes before its last word.
    fn missing_end(&mut self, passing: &mut Passing) {
        while let Some(end) = self.mender.as_mut().and_then(Mender::missing_end) {
            let event = Event { raw: [b"data: ", &*end, b"\n\n"].concat().into() };
            if matches!(self.look(&event), Verdict::Pass) {
                passing.add(event.raw);
            }
        }
    }

    /// The event as OpenAI would tell it.
    fn mended(&mut self, event: Event) -> Result<Event, Fault> {
        let (Some(mender), Some(data)) = (&mut self.mender, event.data()) else { return Ok(event) };
        if data.trim_ascii() == b"[DONE]" {
            return Ok(event);
        }
        let Some(mended) = mender.mend(&data)? else { return Ok(event) };
        if let Some(usage) = mender.usage_so_far() {
            self.facts.usage = usage::of_openai(usage).or(self.facts.usage);
        }
        let name = event.name().map_or_else(Vec::new, |name| [b"event: ", name, b"\n"].concat());
        Ok(Event { raw: [&name, &b"data: "[..], &mended, b"\n\n"].concat().into() })
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    fn look(&mut self, event: &Event) -> Verdict {
        let Some(data) = event.data() else {
            // A leftover that is bare JSON with an error is how some servers shed load in mid-stream.
            let bare = event.raw.trim_ascii();
            return if bare.starts_with(b"{") && ERROR.find(bare).is_some() {
                Verdict::Fail(Fault::of_object(self.surface, bare))
            } else {
                Verdict::Pass
            };
        };
        if data.trim_ascii() == b"[DONE]" {
            self.done = self.begun;
            return if self.begun { Verdict::Pass } else { Verdict::Fail(said_nothing()) };
        }
        match self.surface {
            Surface::ChatCompletions
            | Surface::Completions
            | Surface::Embeddings
            | Surface::GenerateContent
            | Surface::Converse
            | Surface::CohereChat
            | Surface::BatchEmbedContents
            | Surface::CohereEmbed
            | Surface::OllamaChat
            | Surface::OllamaEmbed
            | Surface::Moderations
            | Surface::Rerank
            | Surface::CohereRerank
            | Surface::Files => self.look_at_chunk(event, &data),
            Surface::Responses
            | Surface::Messages
            | Surface::CountTokens
            | Surface::Proxy
            | Surface::Realtime
            | Surface::Images
            | Surface::ImageEdits
            | Surface::ImageVariations
            | Surface::Speech
            | Surface::Transcriptions
            | Surface::Translations => self.look_at_named(event, &data),
        }
    }

    fn look_at_chunk(&mut self, event: &Event, data: &[u8]) -> Verdict {
        let error = event.name() == Some(b"error") || ERROR.find(data).is_some();
        let usage = USAGE.find(data).is_some_and(|at| !is_null(&data[at + 7..]));
        let finish = FINISH.find(data).is_some_and(|at| !is_null(&data[at + 15..]));
        if self.begun && !error && !usage && !finish {
            return Verdict::Pass;
        }
        let Ok(seen) = Seen::read(data) else {
            let message = "an event of the stream is not JSON";
            return Verdict::Fail(Fault::new(FailureClass::InvalidResponse, message));
        };
        if event.name() == Some(b"error") || seen.error.is_some() || seen.is_error {
            let json = seen.error.map_or_else(|| data.to_vec(), |range| wrapped(&data[range]));
            return Verdict::Fail(Fault::of_passing(self.surface, &json));
        }
        self.begun = true;
        self.finished |= seen.finish;
        if self.facts.model.is_none() {
            self.facts.model = seen.model.filter(|model| !model.is_empty());
        }
        let told = seen.usage.or_else(|| nested_usage(data, seen.inner)).and_then(|range| usage::of_openai(&data[range]));
        self.service = seen.service.or(self.service.take());
        let told = usage::served(told, self.service.as_deref());
        if told.is_some() {
            self.facts.usage = told;
            if self.hide_usage && seen.no_choices {
                return Verdict::Hide;
            }
        }
        Verdict::Pass
    }

    /// Dialects whose events have names: Anthropic's and the Responses API.
    fn look_at_named(&mut self, event: &Event, data: &[u8]) -> Verdict {
        let name = event.name().unwrap_or_default();
        if self.begun && is_delta(name) {
            return Verdict::Pass;
        }
        let Ok(seen) = Seen::read(data) else {
            return Verdict::Fail(Fault::new(FailureClass::InvalidResponse, "an event of the stream is not JSON"));
        };
        let kind = seen.kind.as_deref().map_or(name, str::as_bytes);
        if kind == b"error" || (seen.kind.is_none() && seen.error.is_some()) {
            let passes = self.surface == Surface::Messages;
            return Verdict::Fail(if passes { Fault::of_passing(self.surface, data) } else { Fault::of_object(self.surface, data) });
        }
        if kind == b"ping" {
            return Verdict::Pass;
        }
        self.begun = true;
        let inner = seen.inner.clone().map(|range| &data[range]);
        let inside = inner.and_then(|inner| Seen::read(inner).ok().map(|seen| (inner, seen)));
        if self.surface == Surface::Messages {
            if let Some(range) = seen.usage {
                self.anthropic.take(&data[range]);
            }
            if let Some((inner, Seen { usage: Some(range), .. })) = &inside {
                self.anthropic.take(&inner[range.clone()]);
            }
            self.facts.usage = self.anthropic.usage();
            self.done |= kind == b"message_stop";
        } else if self.surface != Surface::Responses {
            self.look_at_media(kind, seen.usage.map(|range| &data[range]));
        } else {
            if let Some((inner, Seen { usage: Some(range), service, .. })) = &inside {
                let told = usage::served(usage::of_openai(&inner[range.clone()]), service.as_deref());
                self.facts.usage = searches::added(told, inner).or(self.facts.usage);
            }
            self.done |= matches!(kind, b"response.completed" | b"response.incomplete" | b"response.failed" | b"response.cancelled");
        }
        if self.facts.model.is_none() {
            self.facts.model = inside.and_then(|(_, seen)| seen.model);
        }
        Verdict::Pass
    }

    /// Pictures, speech and transcripts: `image_generation.completed`, `speech.audio.done`, `transcript.text.done`.
    fn look_at_media(&mut self, kind: &[u8], usage: Option<&[u8]>) {
        let picture = kind.ends_with(b".completed");
        if picture {
            self.pictures += 1;
            self.facts.measured = measure::images(self.pictures);
        }
        if let Some(usage) = usage {
            let told = match self.surface.operation() {
                Operation::Images => usage::of_pictures(usage),
                Operation::Audio if self.surface == Surface::Speech => usage::of_speech(usage),
                Operation::Audio
                | Operation::Rerank
                | Operation::Chat
                | Operation::Completions
                | Operation::Embeddings
                | Operation::Responses
                | Operation::Moderations
                | Operation::Files
                | Operation::Proxy
                | Operation::Realtime => usage::of_openai(usage),
            };
            self.facts.usage = told.or(self.facts.usage);
            self.facts.measured = measure::seconds(usage).or(self.facts.measured);
        }
        self.done |= picture || kind.ends_with(b".done");
    }
}
