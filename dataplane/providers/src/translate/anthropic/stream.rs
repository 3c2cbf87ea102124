//! Anthropic's streams: events read as pieces, pieces written as events.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::{Surface, Usage};

use super::answer::{StopDetails, stop, stop_reason, write_usage};
use super::{Block, SEAL};
use crate::fault::Fault;
use crate::json::write_text;
use crate::translate::chat::{News, Piece, Stop, id_of_call, is_unknown, safe_id};
use crate::translate::not_an_answer;
use crate::translate::turns::Turns;
use crate::usage::AnthropicUsage;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    content_block: Option<Block<'a>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    partial_json: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    stop_sequence: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    stop_details: Option<StopDetails<'a>>,
}

/// Types of events that say something; pings, and whatever comes to be, are passed over.
const KINDS: [&str; 7] =
    ["error", "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"];

/// Reads events.
#[derive(Debug, Default)]
pub(in crate::translate) struct Reader {
    begun: bool,
    id: String,
    calls: usize,
    turns: Turns,
    /// The block under way is one that the client can be told of.
    told: bool,
    /// The input that the call under way began with, until pieces of it come.
    input: Option<String>,
    usage: AnthropicUsage,
    stop: Option<Stop>,
    stop_text: Option<String>,
}

impl Reader {
    pub(in crate::translate) fn event(&mut self, data: &[u8], write: &mut impl FnMut(Piece<'_>)) -> Result<News, Fault> {
        let done = self.one(data, write)?;
        while let Some(held) = self.turns.next() {
            for (_, data) in held {
                self.one(&data, write)?;
            }
        }
        Ok(News { begun: self.begun, done })
    }

    /// Takes one event; tells whether it is the end.
    fn one(&mut self, data: &[u8], write: &mut impl FnMut(Piece<'_>)) -> Result<bool, Fault> {
        let event: Event<'_> = match serde_json::from_slice(data) {
            Ok(event) => event,
            Err(_) if is_unknown(data, &KINDS) => return Ok(false),
            Err(error) => return Err(unreadable(data, &error)),
        };
        if let Some(usage) = event.usage {
            self.usage.take(usage.get().as_bytes());
        }
        let block = event.index.filter(|_| event.kind.starts_with("content_block_"));
        if !self.turns.is_due(block, "", data)? {
            return Ok(false);
        }
        match &*event.kind {
            "error" => return Err(Fault::of_object(Surface::Messages, data)),
            "message_start" => self.begin(event.message, write),
            "content_block_start" => self.open(event.content_block, write),
            "content_block_delta" => self.delta(event.delta, write),
            "content_block_stop" => self.close(write),
            "message_delta" => {
                if let Some(delta) = event.delta {
                    self.stop = delta.stop_reason.as_deref().map(stop).or(self.stop);
                    self.stop_text = delta.stop_sequence.map(Cow::into_owned).or(self.stop_text.take());
                    if let Some(text) = delta.stop_details.and_then(|details| details.explanation) {
                        write(Piece::Refusal(&text));
                    }
                }
            }
            "message_stop" => {
                self.tell_the_rest(write)?;
                write(Piece::End { stop: self.stop.unwrap_or(Stop::End), stop_text: self.stop_text.as_deref(), usage: self.usage.usage() });
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }

    fn close(&mut self, write: &mut impl FnMut(Piece<'_>)) {
        self.turns.end();
        if self.told {
            if let Some(input) = self.input.take() {
                write(Piece::Arguments(&input));
            }
            write(Piece::PartEnd);
        }
    }

    /// Blocks that still wait when the message ends.
    fn tell_the_rest(&mut self, write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        self.turns.end();
        while let Some(held) = self.turns.next() {
            write(Piece::PartEnd);
            for (_, data) in held {
                self.one(&data, write)?;
            }
            self.turns.end();
        }
        Ok(())
    }

    /// A second beginning is that of a fallback inside the provider; the client has had the first already.
    fn begin(&mut self, message: Option<Message<'_>>, write: &mut impl FnMut(Piece<'_>)) {
        let Some(message) = message else { return };
        if let Some(usage) = message.usage {
            self.usage.take(usage.get().as_bytes());
        }
        if std::mem::replace(&mut self.begun, true) {
            self.close(write);
        } else {
            message.id.as_deref().unwrap_or_default().clone_into(&mut self.id);
            write(Piece::Begin {
                id: message.id.as_deref().unwrap_or_default(),
                model: message.model.as_deref().unwrap_or_default(),
                usage: self.usage.usage(),
            });
        }
    }

    fn open(&mut self, block: Option<Block<'_>>, write: &mut impl FnMut(Piece<'_>)) {
        let Some(block) = block else { return };
        self.told = matches!(&*block.kind, "text" | "tool_use" | "thinking" | "redacted_thinking");
        match &*block.kind {
            "tool_use" => {
                let id = id_of_call(block.id.as_deref().unwrap_or_default(), &self.id, self.calls);
                self.calls += 1;
                write(Piece::Call { id: &id, name: block.name.as_deref().unwrap_or_default(), seal: None });
                // A call that the provider's own code makes comes whole at once.
                self.input = block.input.map(|input| input.get().to_owned()).filter(|input| !is_empty(input));
            }
            "redacted_thinking" => write(Piece::Redacted(block.data.as_deref().unwrap_or_default())),
            // A block may begin with its first words.
            "text" => block.text().filter(|text| !text.is_empty()).into_iter().for_each(|text| write(Piece::Text(text))),
            "thinking" => {
                block.thinking.as_deref().filter(|text| !text.is_empty()).into_iter().for_each(|text| write(Piece::Thinking(text)));
                block.signature.as_deref().filter(|seal| !seal.is_empty()).into_iter().for_each(|seal| write(Piece::Signature(seal)));
            }
            _ => {}
        }
    }

    fn delta(&mut self, delta: Option<Delta<'_>>, write: &mut impl FnMut(Piece<'_>)) {
        let Some(delta) = delta.filter(|_| self.told) else { return };
        let some = |text: &'_ Option<Cow<'_, str>>| text.as_ref().is_some_and(|text| !text.is_empty());
        if some(&delta.text) {
            write(Piece::Text(delta.text.as_deref().unwrap_or_default()));
        }
        if some(&delta.thinking) {
            write(Piece::Thinking(delta.thinking.as_deref().unwrap_or_default()));
        }
        if some(&delta.signature) {
            write(Piece::Signature(delta.signature.as_deref().unwrap_or_default()));
        }
        if some(&delta.partial_json) {
            self.input = None;
            write(Piece::Arguments(delta.partial_json.as_deref().unwrap_or_default()));
        }
    }
}

/// An event without a type is an error, where it holds one.
fn unreadable(data: &[u8], error: &serde_json::Error) -> Fault {
    #[derive(Deserialize)]
    struct Failed<'a> {
        #[serde(borrow)]
        error: &'a RawValue,
    }
    match serde_json::from_slice::<Failed<'_>>(data) {
        Ok(failed) if failed.error.get() != "null" => Fault::of_object(Surface::Messages, data),
        _ => not_an_answer(&error.to_string()),
    }
}

/// Whether an object has no fields.
fn is_empty(object: &str) -> bool {
    object.trim_start_matches('{').trim() == "}"
}

/// What kind of block is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Under {
    Text,
    Thinking,
    Call,
}

/// Writes events for a client.
#[derive(Debug, Default)]
pub(in crate::translate) struct ToAnthropic {
    index: u32,
    under: Option<Under>,
}

impl ToAnthropic {
    pub(in crate::translate) fn piece(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match piece {
            Piece::Begin { id, model, usage } => {
                out.extend_from_slice(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":");
                write_text(out, id);
                out.extend_from_slice(b",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
                write_text(out, model);
                out.extend_from_slice(b",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
                write_usage(&usage.unwrap_or_default(), out);
                out.extend_from_slice(b"}}\n\n");
            }
            Piece::Text(text) | Piece::Refusal(text) | Piece::Plan(text) => {
                self.enter(Under::Text, out, |out| out.extend_from_slice(b"{\"type\":\"text\",\"text\":\"\"}"));
                self.delta(out, "text_delta", "text", text);
            }
            Piece::Thinking(text) => {
                self.enter(Under::Thinking, out, |out| {
                    out.extend_from_slice(b"{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
                });
                self.delta(out, "thinking_delta", "thinking", text);
            }
            Piece::Signature(signature) => self.delta(out, "signature_delta", "signature", signature),
            Piece::Redacted(data) => {
                self.leave(out);
                self.start(out, |out| {
                    out.extend_from_slice(b"{\"type\":\"redacted_thinking\",\"data\":");
                    write_text(out, data);
                    out.push(b'}');
                });
                self.under = Some(Under::Thinking);
                self.leave(out);
            }
            Piece::Call { id, name, seal } => {
                self.leave(out);
                if let Some(seal) = seal {
                    self.piece(&Piece::Thinking(""), out);
                    self.piece(&Piece::Signature(&format!("{SEAL}{seal}")), out);
                    self.leave(out);
                }
                self.enter(Under::Call, out, |out| {
                    out.extend_from_slice(b"{\"type\":\"tool_use\",\"id\":");
                    write_text(out, &safe_id(id));
                    out.extend_from_slice(b",\"name\":");
                    write_text(out, name);
                    out.extend_from_slice(b",\"input\":{}}");
                });
            }
            // An input is an object, also where a model says `null` for none.
            Piece::Arguments(text) if text.trim() == "null" => {}
            Piece::Arguments(text) => self.delta(out, "input_json_delta", "partial_json", text),
            Piece::PartEnd => self.leave(out),
            Piece::End { stop, stop_text, usage } => {
                self.leave(out);
                end(*stop, *stop_text, usage.unwrap_or_default(), out);
            }
        }
    }

    /// Opens a block of the kind unless one is open.
    fn enter(&mut self, under: Under, out: &mut Vec<u8>, block: impl FnOnce(&mut Vec<u8>)) {
        if self.under != Some(under) {
            self.leave(out);
            self.start(out, block);
            self.under = Some(under);
        }
    }

    fn start(&self, out: &mut Vec<u8>, block: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(
            format!("event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":{},\"content_block\":", self.index)
                .as_bytes(),
        );
        block(out);
        out.extend_from_slice(b"}\n\n");
    }

    fn delta(&self, out: &mut Vec<u8>, kind: &str, field: &str, text: &str) {
        out.extend_from_slice(format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{},\"delta\":{{\"type\":\"{kind}\",\"{field}\":", self.index).as_bytes());
        write_text(out, text);
        out.extend_from_slice(b"}}\n\n");
    }

    fn leave(&mut self, out: &mut Vec<u8>) {
        if self.under.take().is_some() {
            out.extend_from_slice(
                format!("event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":{}}}\n\n", self.index).as_bytes(),
            );
            self.index += 1;
        }
    }
}

fn end(stop: Stop, stop_text: Option<&str>, usage: Usage, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":");
    write_text(out, stop_reason(stop, stop_text));
    out.extend_from_slice(b",\"stop_sequence\":");
    match stop_text {
        Some(text) => write_text(out, text),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"},\"usage\":");
    write_usage(&usage, out);
    out.extend_from_slice(b"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}
