//! Streams, read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::{Surface, Usage};

use super::{ToolCall, failed, stop};
use crate::fault::Fault;
use crate::translate::chat::{News, Piece, id_of_call, is_unknown};
use crate::translate::not_an_answer;
use crate::translate::turns::Turns;
use crate::usage;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    /// That of a content, or of a call: each are counted from 0.
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
}

impl Event<'_> {
    fn block(&self) -> Option<u64> {
        let index = u64::from(self.index?);
        match &*self.kind {
            "content-start" | "content-delta" | "content-end" => Some(index * 2),
            "tool-call-start" | "tool-call-delta" | "tool-call-end" => Some(index * 2 + 1),
            _ => None,
        }
    }
}

/// Types of events that say something; citations, and whatever comes to be, are passed over.
const KINDS: [&str; 9] = [
    "message-start",
    "content-start",
    "content-delta",
    "content-end",
    "tool-plan-delta",
    "tool-call-start",
    "tool-call-delta",
    "tool-call-end",
    "message-end",
];

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
}

/// Contents and calls are one object in a piece, and a list at the beginning.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_plan: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
}

/// Reads events.
#[derive(Debug, Default)]
pub(in crate::translate) struct Reader {
    begun: bool,
    id: String,
    calls: usize,
    turns: Turns,
    usage: Option<Usage>,
    done: bool,
}

impl Reader {
    pub(in crate::translate) fn event(&mut self, data: &[u8], write: &mut impl FnMut(Piece<'_>)) -> Result<News, Fault> {
        if data.trim_ascii() == b"[DONE]" {
            return Ok(News { begun: self.begun, done: self.done });
        }
        self.one(data, write)?;
        while let Some(held) = self.turns.next() {
            held.iter().try_for_each(|(_, data)| self.one(data, write))?;
        }
        Ok(News { begun: self.begun, done: self.done })
    }

    fn one(&mut self, data: &[u8], write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        let event: Event<'_> = match serde_json::from_slice(data) {
            Ok(event) => event,
            Err(_) if is_unknown(data, &KINDS) => return Ok(()),
            Err(error) => return Err(not_an_answer(&error.to_string())),
        };
        if event.kind.is_empty() {
            return Err(Fault::of_object(Surface::CohereChat, data));
        }
        if event.kind == "message-start" && !self.begun {
            self.begun = true;
            event.id.as_deref().unwrap_or_default().clone_into(&mut self.id);
            write(Piece::Begin { id: &self.id, model: "", usage: None });
        }
        if !self.turns.is_due(event.block(), "", data)? {
            return Ok(());
        }
        let delta = event.delta;
        match &*event.kind {
            "content-start" | "content-delta" | "tool-plan-delta" | "tool-call-start" | "tool-call-delta" => {
                if let Some(message) = delta.and_then(|delta| delta.message) {
                    self.message(message, write)?;
                }
            }
            "content-end" | "tool-call-end" => {
                self.turns.end();
                write(Piece::PartEnd);
            }
            "message-end" => {
                self.tell_the_rest(write)?;
                self.end(delta, write)?;
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
            held.iter().try_for_each(|(_, data)| self.one(data, write))?;
            self.turns.end();
        }
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        let told = |error: serde_json::Error| not_an_answer(&error.to_string());
        if let Some(plan) = message.tool_plan.filter(|plan| !plan.is_empty()) {
            write(Piece::Plan(&plan));
        }
        if let Some(raw) = message.content.filter(|raw| raw.get().starts_with('{')) {
            let content: Content<'_> = serde_json::from_str(raw.get()).map_err(told)?;
            if let Some(text) = content.thinking.filter(|text| !text.is_empty()) {
                write(Piece::Thinking(&text));
            }
            if let Some(text) = content.text.filter(|text| !text.is_empty()) {
                write(Piece::Text(&text));
            }
        }
        if let Some(raw) = message.tool_calls.filter(|raw| raw.get().starts_with('{')) {
            let call: ToolCall<'_> = serde_json::from_str(raw.get()).map_err(told)?;
            let (name, arguments) = call.function.map_or((None, None), |function| (function.name, function.arguments));
            if let Some(name) = name {
                let id = id_of_call(call.id.as_deref().unwrap_or_default(), &self.id, self.calls);
                self.calls += 1;
                write(Piece::Call { id: &id, name: &name, seal: None });
            }
            // Some calls without arguments have the text `null` for them.
            if let Some(arguments) = arguments.filter(|text| !matches!(text.trim(), "" | "null")) {
                write(Piece::Arguments(&arguments));
            }
        }
        Ok(())
    }

    fn end(&mut self, delta: Option<Delta<'_>>, write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        let delta = delta.ok_or_else(|| not_an_answer("its end tells no reason"))?;
        let reason = delta.finish_reason.unwrap_or_default();
        if let Some(fault) = failed(&reason, delta.error.as_deref()) {
            return Err(fault);
        }
        self.usage = delta.usage.and_then(|usage| usage::of_cohere(usage.get().as_bytes()));
        self.done = true;
        write(Piece::PartEnd);
        write(Piece::End { stop: stop(&reason, self.calls > 0), stop_text: None, usage: self.usage });
        Ok(())
    }
}
