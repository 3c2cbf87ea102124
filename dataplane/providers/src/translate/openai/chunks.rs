//! Streams, written: pieces as chunks.

use snapshot::Usage;

use super::answer::{finish_reason, write_usage};
use super::{CREATED, write_seal};
use crate::json::write_text;
use crate::translate::chat::Piece;

/// A thought that is longer is told, but not kept for its seal, in bytes.
const THOUGHT_BYTES_MAX: usize = 8 << 20;

/// Writes chunks for a client.
#[derive(Debug)]
pub(in crate::translate) struct ToOpenAi {
    include_usage: bool,
    id: String,
    model: String,
    calls: u32,
    /// The call under way has no arguments yet.
    bare_call: bool,
    /// The thought under way, whole, until it is sealed.
    thought: String,
}

impl ToOpenAi {
    pub(in crate::translate) fn new(include_usage: bool) -> Self {
        Self { include_usage, id: String::new(), model: String::new(), calls: 0, bare_call: false, thought: String::new() }
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
            Piece::Thinking(text) => {
                if self.thought.len() <= THOUGHT_BYTES_MAX {
                    self.thought.push_str(text);
                }
                self.chunk(out, |out| texted(out, "reasoning_content", text), None);
            }
            Piece::Signature(signature) => {
                let thought = std::mem::take(&mut self.thought);
                // A thought that was too long to keep is not whole, and its seal would not fit.
                if thought.len() <= THOUGHT_BYTES_MAX {
                    self.chunk(out, |out| block(out, "thinking", &[("thinking", &thought), ("signature", signature)]), None);
                }
            }
            Piece::Redacted(data) => self.chunk(out, |out| block(out, "redacted_thinking", &[("data", data)]), None),
            Piece::Plan(text) => self.chunk(out, |out| texted(out, "tool_plan", text), None),
            Piece::Call { id, name, seal } => {
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
                        out.extend_from_slice(b",\"arguments\":\"\"}");
                        write_seal(*seal, out);
                        out.extend_from_slice(b"}]");
                    },
                    None,
                );
            }
            Piece::Arguments(text) => self.arguments(text, out),
            Piece::PartEnd => self.end_part(out),
            Piece::End { stop, usage, .. } => {
                self.end_part(out);
                self.chunk(out, |_| {}, Some(finish_reason(*stop)));
                // What is not known is not told as nothing.
                if let Some(usage) = usage.as_ref().filter(|_| self.include_usage) {
                    self.usage(usage, out);
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
        }
    }

    fn end_part(&mut self, out: &mut Vec<u8>) {
        self.thought.clear();
        if std::mem::take(&mut self.bare_call) {
            self.arguments("{}", out);
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

/// Sealed and redacted thoughts have no word in OpenAI's stream; they ride whole in a list that clients send back.
fn block(out: &mut Vec<u8>, kind: &str, fields: &[(&str, &str)]) {
    out.extend_from_slice(b"\"thinking_blocks\":[{\"type\":");
    write_text(out, kind);
    for (field, value) in fields {
        out.push(b',');
        texted(out, field, value);
    }
    out.extend_from_slice(b"}]");
}
