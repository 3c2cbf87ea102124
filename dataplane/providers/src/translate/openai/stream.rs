//! OpenAI's streams: chunks read as pieces, pieces written as chunks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::{Surface, Usage};

use super::CREATED;
use super::answer::{finish_reason, stop, write_usage};
use crate::fault::Fault;
use crate::json::write_text;
use crate::translate::chat::{self, News, Piece, Stop};
use crate::translate::not_an_answer;
use crate::usage;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning: Option<Cow<'a, str>>,
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

/// Arguments of calls that wait for their turn, in bytes.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// Reads chunks. Calls may come interleaved; the dialect behind wants one after the other, so all but the first wait.
#[derive(Debug, Default)]
pub(in crate::translate) struct Reader {
    begun: bool,
    open: Option<u32>,
    waiting: BTreeMap<u32, Waiting>,
    waiting_bytes: usize,
    called: bool,
    stop: Option<Stop>,
    usage: Option<Usage>,
    ended: bool,
}

#[derive(Debug, Default)]
struct Waiting {
    id: String,
    name: String,
    arguments: String,
}

impl Reader {
    pub(in crate::translate) fn event(&mut self, data: &[u8], write: &mut impl FnMut(Piece<'_>)) -> Result<News, Fault> {
        if data.trim_ascii() == b"[DONE]" {
            self.finish(write);
            return Ok(News { begun: self.begun, done: true });
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data).map_err(|error| not_an_answer(&error.to_string()))?;
        if chunk.error.is_some() {
            return Err(Fault::of_object(Surface::ChatCompletions, data));
        }
        self.usage = chunk.usage.and_then(|usage| usage::of_openai(usage.get().as_bytes())).or(self.usage);
        let choice = chunk.choices.into_iter().flatten().find(|choice| choice.index == 0);
        if !self.begun && (choice.is_some() || chunk.id.as_ref().is_some_and(|id| !id.is_empty())) {
            self.begun = true;
            write(Piece::Begin {
                id: chunk.id.as_deref().unwrap_or_default(),
                model: chunk.model.as_deref().unwrap_or_default(),
                usage: None,
            });
        }
        if let Some(choice) = choice {
            self.delta(choice.delta.unwrap_or_default(), write)?;
            if let Some(reason) = choice.finish_reason {
                self.stop = Some(stop(&reason, self.called));
            }
        }
        Ok(News { begun: self.begun, done: false })
    }

    fn delta(&mut self, delta: Delta<'_>, write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        let some = |text: &Option<Cow<'_, str>>| text.as_ref().is_some_and(|text| !text.is_empty());
        if let Some(text) = delta.reasoning_content.or(delta.reasoning).filter(|text| !text.is_empty()) {
            write(Piece::Thinking(&text));
        }
        if some(&delta.content) {
            write(Piece::Text(delta.content.as_deref().unwrap_or_default()));
        }
        if some(&delta.refusal) {
            write(Piece::Refusal(delta.refusal.as_deref().unwrap_or_default()));
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.call(call, write)?;
        }
        Ok(())
    }

    fn call(&mut self, call: CallDelta<'_>, write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        self.called = true;
        let index = call.index.unwrap_or(0);
        let (name, arguments) = call.function.map_or((None, None), |function| (function.name, function.arguments));
        let (name, arguments) = (name.unwrap_or_default(), arguments.unwrap_or_default());
        if self.open == Some(index) {
            if !arguments.is_empty() {
                write(Piece::Arguments(&arguments));
            }
            return Ok(());
        }
        if self.open.is_none() && self.waiting.is_empty() && !name.is_empty() {
            self.open = Some(index);
            write(Piece::Call { id: &chat::safe_id(&call.id.unwrap_or_default()), name: &name });
            if !arguments.is_empty() {
                write(Piece::Arguments(&arguments));
            }
            return Ok(());
        }
        self.waiting_bytes += arguments.len() + name.len();
        if self.waiting.len() >= CALLS_MAX || self.waiting_bytes > WAITING_BYTES_MAX {
            return Err(not_an_answer("too many tool calls at once"));
        }
        let waiting = self.waiting.entry(index).or_default();
        if let Some(id) = call.id.filter(|id| !id.is_empty()) {
            waiting.id = id.into_owned();
        }
        waiting.name.push_str(&name);
        waiting.arguments.push_str(&arguments);
        Ok(())
    }

    /// The end: `[DONE]`, or the end of the stream after a reason to finish. Tells whether it was one.
    pub(in crate::translate) fn finish(&mut self, write: &mut impl FnMut(Piece<'_>)) -> bool {
        let Some(stop) = self.stop.filter(|_| !self.ended) else { return self.ended };
        self.ended = true;
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            write(Piece::PartEnd);
            write(Piece::Call { id: &chat::safe_id(&waiting.id), name: &waiting.name });
            write(Piece::Arguments(&waiting.arguments));
        }
        write(Piece::End { stop, stop_text: None, usage: self.usage });
        true
    }
}

/// Writes chunks for a client.
#[derive(Debug)]
pub(in crate::translate) struct ToOpenAi {
    include_usage: bool,
    id: String,
    model: String,
    calls: u32,
    /// The call under way has no arguments yet.
    bare_call: bool,
}

impl ToOpenAi {
    pub(in crate::translate) fn new(include_usage: bool) -> Self {
        Self { include_usage, id: String::new(), model: String::new(), calls: 0, bare_call: false }
    }

    pub(in crate::translate) fn piece(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match piece {
            Piece::Begin { id, model, .. } => {
                (*id).clone_into(&mut self.id);
                (*model).clone_into(&mut self.model);
                self.chunk(out, |out| out.extend_from_slice(b"\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"), None);
            }
            Piece::Text(text) => self.chunk(out, |out| texted(out, "content", text), None),
            Piece::Refusal(text) => self.chunk(out, |out| texted(out, "refusal", text), None),
            Piece::Thinking(text) => self.chunk(out, |out| texted(out, "reasoning_content", text), None),
            Piece::Signature(signature) => self.chunk(out, |out| block(out, "thinking", "signature", signature), None),
            Piece::Redacted(data) => self.chunk(out, |out| block(out, "redacted_thinking", "data", data), None),
            Piece::Call { id, name } => {
                let index = self.calls;
                self.calls += 1;
                self.bare_call = true;
                self.chunk(
                    out,
                    |out| {
                        out.extend_from_slice(format!("\"tool_calls\":[{{\"index\":{index},\"id\":").as_bytes());
                        write_text(out, id);
                        out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
                        write_text(out, name);
                        out.extend_from_slice(b",\"arguments\":\"\"}}]");
                    },
                    None,
                );
            }
            Piece::Arguments(text) => self.arguments(text, out),
            Piece::PartEnd => {
                if std::mem::take(&mut self.bare_call) {
                    self.arguments("{}", out);
                }
            }
            Piece::End { stop, usage, .. } => {
                self.chunk(out, |_| {}, Some(finish_reason(*stop)));
                if self.include_usage {
                    self.usage(usage.as_ref().unwrap_or(&Usage::default()), out);
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
        }
    }

    fn arguments(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.bare_call = false;
        let index = self.calls.saturating_sub(1);
        self.chunk(
            out,
            |out| {
                out.extend_from_slice(format!("\"tool_calls\":[{{\"index\":{index},\"function\":{{\"arguments\":").as_bytes());
                write_text(out, text);
                out.extend_from_slice(b"}}]");
            },
            None,
        );
    }

    fn head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: {\"id\":");
        write_text(out, &self.id);
        out.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        out.extend_from_slice(CREATED.as_bytes());
        out.extend_from_slice(b",\"model\":");
        write_text(out, &self.model);
    }

    fn chunk(&self, out: &mut Vec<u8>, delta: impl FnOnce(&mut Vec<u8>), finish: Option<&str>) {
        self.head(out);
        out.extend_from_slice(b",\"choices\":[{\"index\":0,\"delta\":{");
        delta(out);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":");
        match finish {
            Some(finish) => write_text(out, finish),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(if self.include_usage { b"}],\"usage\":null}\n\n" } else { b"}]}\n\n" });
    }

    fn usage(&self, usage: &Usage, out: &mut Vec<u8>) {
        self.head(out);
        out.extend_from_slice(b",\"choices\":[],\"usage\":");
        write_usage(usage, out);
        out.extend_from_slice(b"}\n\n");
    }
}

fn texted(out: &mut Vec<u8>, field: &str, text: &str) {
    write_text(out, field);
    out.push(b':');
    write_text(out, text);
}

/// Signatures and redacted thoughts have no word in OpenAI's stream; they ride in a list that clients send back.
fn block(out: &mut Vec<u8>, kind: &str, field: &str, value: &str) {
    out.extend_from_slice(b"\"thinking_blocks\":[{\"type\":");
    write_text(out, kind);
    out.push(b',');
    texted(out, field, value);
    out.extend_from_slice(b"}]");
}
