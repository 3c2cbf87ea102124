//! Streams, read: the events of ConverseStream, each with its kind told by the frame.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::{Surface, Usage};

use super::answer::Served;
use super::{is_the_providers, stop};
use crate::fault::Fault;
use crate::translate::chat::{News, Piece, Stop, id_of_answer, id_of_call};
use crate::translate::turns::Turns;
use crate::translate::{anthropic, not_an_answer};
use crate::usage;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(default)]
    content_block_index: Option<u64>,
    #[serde(borrow, default)]
    start: Option<Start<'a>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<Served<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    #[serde(borrow, default)]
    tool_use: Option<ToolUse<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_use_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    input: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_use: Option<ToolUse<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Thought<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thought<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    redacted_content: Option<Cow<'a, str>>,
}

/// Kinds of frames that say something; whatever comes to be is passed over.
const KINDS: [&str; 6] = ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"];

/// Reads events. The tokens come after the reason to stop or before it: the answer ends when both were told, or when the
/// stream ends after the reason.
#[derive(Debug, Default)]
pub(in crate::translate) struct Reader {
    begun: bool,
    id: String,
    calls: usize,
    turns: Turns,
    stop: Option<Stop>,
    usage: Option<Usage>,
    ended: bool,
    /// The block under way is a call that the provider runs itself.
    hidden: bool,
    /// Of a stream in Anthropic's words, which InvokeModel gives.
    native: Option<Box<anthropic::stream::Reader>>,
}

/// What a frame of InvokeModel holds: an event of the model's own, in base64.
#[derive(Deserialize)]
struct Native<'a> {
    #[serde(borrow)]
    bytes: Cow<'a, str>,
}

impl Reader {
    /// `kind` is the frame's `:event-type`.
    pub(in crate::translate) fn event(&mut self, kind: &str, data: &[u8], write: &mut impl FnMut(Piece<'_>)) -> Result<News, Fault> {
        // A frame of an error tells its code alone; events hold something.
        if kind.ends_with("Exception") || data.is_empty() {
            return Err(Fault::of_exception(Surface::Converse, kind, data));
        }
        if kind == "chunk" {
            return self.native(data, write);
        }
        self.one(kind, data, write)?;
        while let Some(held) = self.turns.next() {
            held.iter().try_for_each(|(kind, data)| self.one(kind, data, write))?;
        }
        let done = self.stop.is_some() && self.usage.is_some() && self.finish(write);
        Ok(News { begun: self.begun, done })
    }

    fn one(&mut self, kind: &str, data: &[u8], write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        if !KINDS.contains(&kind) {
            return Ok(());
        }
        let event: Event<'_> = serde_json::from_slice(data).map_err(|error| not_an_answer(&error.to_string()))?;
        if !self.begun && matches!(kind, "messageStart" | "contentBlockStart" | "contentBlockDelta") {
            self.begun = true;
            self.id = id_of_answer(data);
            write(Piece::Begin { id: &self.id, model: "", usage: None });
        }
        if !self.turns.is_due(event.content_block_index, kind, data)? {
            return Ok(());
        }
        match kind {
            "contentBlockStart" => self.start(event.start, write),
            "contentBlockDelta" if self.hidden => {}
            "contentBlockDelta" => delta(event.delta, write),
            "contentBlockStop" => {
                self.turns.end();
                if !std::mem::take(&mut self.hidden) {
                    write(Piece::PartEnd);
                }
            }
            "messageStop" => {
                self.tell_the_rest(write)?;
                self.stop = Some(stop(event.stop_reason.as_deref().unwrap_or_default(), self.calls > 0));
            }
            "metadata" => {
                let told = event.usage.and_then(|usage| usage::of_converse(usage.get().as_bytes()));
                self.usage = usage::served(told, event.service_tier.as_ref().map(|tier| &*tier.kind)).or(self.usage);
            }
            _ => {}
        }
        Ok(())
    }

    /// Blocks that still wait when the message ends.
    fn tell_the_rest(&mut self, write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        self.turns.end();
        while let Some(held) = self.turns.next() {
            write(Piece::PartEnd);
            held.iter().try_for_each(|(kind, data)| self.one(kind, data, write))?;
            self.turns.end();
        }
        Ok(())
    }

    fn native(&mut self, data: &[u8], write: &mut impl FnMut(Piece<'_>)) -> Result<News, Fault> {
        let frame: Native<'_> = serde_json::from_slice(data).map_err(|error| not_an_answer(&error.to_string()))?;
        let event = STANDARD.decode(&*frame.bytes).map_err(|error| not_an_answer(&error.to_string()))?;
        self.native.get_or_insert_default().event(&event, write)
    }

    fn start(&mut self, start: Option<Start<'_>>, write: &mut impl FnMut(Piece<'_>)) {
        let Some(call) = start.and_then(|start| start.tool_use) else { return };
        self.hidden = is_the_providers(call.kind.as_deref());
        if self.hidden {
            return;
        }
        let id = id_of_call(call.tool_use_id.as_deref().unwrap_or_default(), &self.id, self.calls);
        self.calls += 1;
        write(Piece::Call { id: &id, name: call.name.as_deref().unwrap_or_default(), seal: None });
    }

    /// The end of the stream. Tells whether it was the end of an answer.
    pub(in crate::translate) fn finish(&mut self, write: &mut impl FnMut(Piece<'_>)) -> bool {
        let Some(stop) = self.stop.filter(|_| !self.ended) else { return self.ended };
        self.ended = true;
        write(Piece::PartEnd);
        write(Piece::End { stop, stop_text: None, usage: self.usage });
        true
    }
}

fn delta(delta: Option<Delta<'_>>, write: &mut impl FnMut(Piece<'_>)) {
    let Some(delta) = delta else { return };
    let some =
        |text: Option<Cow<'_, str>>, write: &mut dyn FnMut(&str)| text.filter(|text| !text.is_empty()).iter().for_each(|text| write(text));
    some(delta.text, &mut |text| write(Piece::Text(text)));
    some(delta.tool_use.and_then(|call| call.input), &mut |text| write(Piece::Arguments(text)));
    if let Some(thought) = delta.reasoning_content {
        some(thought.text, &mut |text| write(Piece::Thinking(text)));
        some(thought.signature, &mut |text| write(Piece::Signature(text)));
        some(thought.redacted_content, &mut |text| write(Piece::Redacted(text)));
    }
}
