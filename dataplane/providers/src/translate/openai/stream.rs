//! Streams, read: chunks as pieces.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::{FailureClass, Surface, Usage};

use super::answer::stop;
use super::{Extra, said};
use crate::fault::Fault;
use crate::translate::chat::{self, News, Part, Piece, Stop};
use crate::translate::not_an_answer;
use crate::usage;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    object: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    /// Where Groq tells usage to those who did not ask for it.
    #[serde(borrow, default)]
    x_groq: Option<XGroq<'a>>,
    #[serde(borrow, default)]
    service_tier: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct XGroq<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<CallDelta<'a>>>,
}

#[derive(Deserialize)]
struct CallDelta<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    function: Option<FunctionDelta<'a>>,
    #[serde(borrow, default)]
    extra_content: Option<Extra<'a>>,
}

#[derive(Deserialize)]
struct FunctionDelta<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<Cow<'a, str>>,
}

/// More calls in one answer are not taken.
const CALLS_MAX: usize = 1024;

/// What waits for its turn, in bytes.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// Reads chunks. Calls may come interleaved and words may come between them; the dialect behind wants one block after the
/// other, so the first call is told as it comes and all else waits for its end.
#[derive(Debug, Default)]
pub(in crate::translate) struct Reader {
    begun: bool,
    id: String,
    calls: Vec<Call>,
    /// The first call was told.
    open: bool,
    /// Thoughts and words that came after the first call.
    late_thoughts: String,
    late_words: String,
    waiting_bytes: usize,
    refused: bool,
    stop: Option<Stop>,
    usage: Option<Usage>,
    /// How it is served, as the last chunk that told it says.
    service: Option<String>,
    /// A chunk of usage alone came, which stands at the end.
    accounted: bool,
    ended: bool,
}

/// A call under way, with what of it waits.
#[derive(Debug, Default)]
struct Call {
    index: u32,
    id: String,
    name: String,
    seal: Option<String>,
    arguments: String,
    /// Arguments came.
    argued: bool,
}

impl Call {
    /// Whether a delta of the same index begins another call. Some servers number all calls 0 and tell them apart by id;
    /// some have no ids either, and a name after arguments is all there is.
    fn is_followed_by(&self, id: &str, name: &str) -> bool {
        if name.is_empty() {
            // Some servers make up an id for every piece; what has no name begins nothing.
            return false;
        }
        if id.is_empty() {
            return self.argued && !self.name.is_empty();
        }
        id != self.id && (self.argued || !self.id.is_empty())
    }
}

impl Reader {
    pub(in crate::translate) fn event(&mut self, data: &[u8], write: &mut impl FnMut(Piece<'_>)) -> Result<News, Fault> {
        if data.trim_ascii() == b"[DONE]" {
            // Some servers end with it whatever befell them; without a reason to finish, or at least an account of the
            // tokens, the answer is not whole.
            if self.accounted {
                self.stop = self.stop.or(Some(stop("", !self.calls.is_empty(), self.refused)));
            }
            if !self.finish(write) {
                return Err(Fault::new(FailureClass::StreamBroken, "the stream ended before its reason to finish"));
            }
            return Ok(News { begun: self.begun, done: true });
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data).map_err(|error| not_an_answer(&error.to_string()))?;
        if chunk.error.is_some() || chunk.object.as_deref() == Some("error") {
            return Err(Fault::of_object(Surface::ChatCompletions, data));
        }
        let told = chunk.usage.or(chunk.x_groq.and_then(|groq| groq.usage));
        self.accounted |= self.begun && told.is_some() && chunk.choices.as_ref().is_none_or(Vec::is_empty);
        self.service = chunk.service_tier.map(Cow::into_owned).or(self.service.take());
        let told = told.and_then(|usage| usage::of_openai(usage.get().as_bytes()));
        self.usage = usage::served(told, self.service.as_deref()).or(self.usage);
        let choice = chunk.choices.into_iter().flatten().find(|choice| choice.index.unwrap_or(0) == 0);
        if !self.begun && (choice.is_some() || chunk.id.as_ref().is_some_and(|id| !id.is_empty())) {
            self.begun = true;
            self.id = chunk.id.filter(|id| !id.is_empty()).map_or_else(|| chat::id_of_answer(data), Cow::into_owned);
            write(Piece::Begin { id: &self.id, model: chunk.model.as_deref().unwrap_or_default(), usage: None });
        }
        if let Some(choice) = choice {
            self.delta(choice.delta.unwrap_or_default(), write)?;
            if let Some(reason) = choice.finish_reason {
                self.stop = Some(stop(&reason, !self.calls.is_empty(), self.refused));
            }
        }
        Ok(News { begun: self.begun, done: false })
    }

    fn delta(&mut self, delta: Delta<'_>, write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        let reasoning = delta.reasoning.filter(|raw| raw.get().starts_with('"')).and_then(|raw| chat::text(raw, "reasoning").ok());
        if let Some(thought) = delta.reasoning_content.filter(|text| !text.is_empty()).or(reasoning) {
            self.thought(&thought, write)?;
        }
        for part in said(delta.content).map_err(|error| not_an_answer(&error.to_string()))? {
            match part {
                Part::Text { text, .. } => self.words(&text, write)?,
                Part::Thinking { text, .. } => self.thought(&text, write)?,
                Part::Image(_) | Part::File { .. } | Part::Call { .. } | Part::Result { .. } | Part::Redacted { .. } | Part::Plan(_) => {}
            }
        }
        if let Some(refusal) = delta.refusal.filter(|text| !text.is_empty()) {
            self.refused = true;
            if self.open { self.words(&refusal, write)? } else { write(Piece::Refusal(&refusal)) }
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.call(call, write)?;
        }
        Ok(())
    }

    fn thought(&mut self, text: &str, write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        if self.open {
            self.late_thoughts.push_str(text);
            return self.wait(text.len());
        }
        if !text.is_empty() {
            write(Piece::Thinking(text));
        }
        Ok(())
    }

    fn words(&mut self, text: &str, write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        if self.open {
            self.late_words.push_str(text);
            return self.wait(text.len());
        }
        if !text.is_empty() {
            write(Piece::Text(text));
        }
        Ok(())
    }

    fn wait(&mut self, bytes: usize) -> Result<(), Fault> {
        self.waiting_bytes += bytes;
        if self.waiting_bytes > WAITING_BYTES_MAX { Err(not_an_answer("too much of it comes out of turn")) } else { Ok(()) }
    }

    fn call(&mut self, delta: CallDelta<'_>, write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        let index = delta.index.unwrap_or(0);
        let (name, arguments) = delta.function.map_or((None, None), |function| (function.name, function.arguments));
        let (id, name, arguments) = (delta.id.unwrap_or_default(), name.unwrap_or_default(), arguments.unwrap_or_default());
        let known = self.calls.iter().rposition(|call| call.index == index);
        let place = match known.filter(|place| !self.calls[*place].is_followed_by(&id, &name)) {
            Some(place) => place,
            None if self.calls.len() >= CALLS_MAX => return Err(not_an_answer("it makes too many tool calls")),
            None => {
                self.calls.push(Call { index, ..Call::default() });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[place];
        let (open, first) = (self.open, place == 0);
        // Servers that repeat an id or a name with every piece mean the same one.
        if call.id.is_empty() {
            (*id).clone_into(&mut call.id);
        }
        if call.name.is_empty() {
            (*name).clone_into(&mut call.name);
        }
        if call.seal.is_none() {
            call.seal = delta.extra_content.and_then(Extra::seal).map(Cow::into_owned);
        }
        call.argued |= !arguments.is_empty();
        if first && open {
            if !arguments.is_empty() {
                write(Piece::Arguments(&arguments));
            }
            return Ok(());
        }
        call.arguments.push_str(&arguments);
        if first && !call.name.is_empty() {
            self.open = true;
            self.tell(0, write);
            return Ok(());
        }
        self.wait(id.len() + name.len() + arguments.len())
    }

    /// Tells a call that waited, with what there is of it.
    fn tell(&mut self, place: usize, write: &mut impl FnMut(Piece<'_>)) {
        let call = &mut self.calls[place];
        write(Piece::Call { id: &chat::id_of_call(&call.id, &self.id, place), name: &call.name, seal: call.seal.as_deref() });
        let arguments = std::mem::take(&mut call.arguments);
        if !arguments.is_empty() {
            write(Piece::Arguments(&arguments));
        }
    }

    /// The end: `[DONE]`, or the end of the stream after a reason to finish. Tells whether it was one.
    pub(in crate::translate) fn finish(&mut self, write: &mut impl FnMut(Piece<'_>)) -> bool {
        let Some(stop) = self.stop.filter(|_| !self.ended) else { return self.ended };
        self.ended = true;
        if self.open {
            write(Piece::PartEnd);
        }
        if !self.late_thoughts.is_empty() {
            write(Piece::Thinking(&self.late_thoughts));
        }
        if !self.late_words.is_empty() {
            write(Piece::Text(&self.late_words));
        }
        for place in usize::from(self.open)..self.calls.len() {
            self.tell(place, write);
            write(Piece::PartEnd);
        }
        write(Piece::End { stop, stop_text: None, usage: self.usage });
        true
    }
}
