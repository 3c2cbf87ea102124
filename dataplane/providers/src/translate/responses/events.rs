//! Answers, written: pieces as events, and as the response that the last event holds.

use bytes::Bytes;
use snapshot::{Surface, Usage};

use super::output::{Kind, Under, field};
use super::{Asked, Seal};
use crate::fault::ClientError;
use crate::json::{comma, write_text};
use crate::translate::chat::{CUSTOM_INPUT, Piece, Stop, fingerprint, safe_id};
use crate::translate::openai::{CREATED, kinds};

/// The last event repeats the whole answer, which is kept until then: no more of it than this, in bytes.
const OUTPUT_BYTES_MAX: usize = 32 << 20;

/// Writes events for a client.
#[derive(Debug, Default)]
pub(in crate::translate) struct ToResponses {
    asked: Asked,
    /// A whole answer is wanted: of all events, what the last one holds.
    whole: bool,
    id: String,
    model: String,
    /// The number of the next event.
    number: u64,
    /// Items that are over, with commas between them.
    output: Vec<u8>,
    items: usize,
    under: Option<Under>,
}

impl ToResponses {
    pub(in crate::translate) fn new(asked: Asked) -> Self {
        Self { asked, ..Self::default() }
    }

    pub(super) fn of_whole(asked: Asked) -> Self {
        Self { asked, whole: true, ..Self::default() }
    }

    /// Whether the answer is more than is kept.
    pub(in crate::translate) fn is_full(&self) -> bool {
        self.output.len() + self.under.as_ref().map_or(0, |under| under.text.len()) > OUTPUT_BYTES_MAX
    }

    pub(in crate::translate) fn piece(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match piece {
            Piece::Begin { id, model, .. } => self.begin(id, model, out),
            Piece::Text(text) => self.say(false, text, out),
            Piece::Refusal(text) => self.say(true, text, out),
            Piece::Thinking(text) => self.think(None, text, out),
            Piece::Plan(text) => self.think(Some(Seal::Plan), text, out),
            Piece::Signature(signature) => self.sign(signature, out),
            Piece::Redacted(data) => self.sealed(Seal::Redacted, data, out),
            Piece::Call { id, name, seal } => {
                if let Some(seal) = seal {
                    self.sealed(Seal::Call, seal, out);
                }
                self.leave("completed", out);
                let custom = self.asked.custom_tools.contains(*name);
                self.enter(Kind::Call { id: (*id).to_owned(), name: (*name).to_owned(), custom }, out);
            }
            Piece::Arguments(text) => self.arguments(text, out),
            // Texts that follow each other are one message.
            Piece::PartEnd if matches!(self.under, Some(Under { kind: Kind::Message { .. }, .. })) => {}
            Piece::PartEnd => self.leave("completed", out),
            Piece::End { stop, usage, .. } => self.end(*stop, usage.as_ref(), out),
        }
    }

    fn begin(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        self.id = match id {
            "" => format!("resp_{}", fingerprint(model.as_bytes())),
            id if id.starts_with("resp_") => safe_id(id).into_owned(),
            id => format!("resp_{}", safe_id(id)),
        };
        model.clone_into(&mut self.model);
        for name in ["response.created", "response.in_progress"] {
            self.event(name, out, |writer, out| {
                out.extend_from_slice(b",\"response\":");
                writer.response(&State::default(), out);
            });
        }
    }

    /// Says more of a message. Refusal and text are parts of one message.
    fn say(&mut self, refusal: bool, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.under, Some(Under { kind: Kind::Message { .. }, .. })) {
            self.leave("completed", out);
            self.enter(Kind::Message { parts: Vec::new(), count: 0, refusal }, out);
            self.open_part(out);
        } else if !matches!(self.under, Some(Under { kind: Kind::Message { refusal: now, .. }, .. }) if now == refusal) {
            self.close_part(out);
            if let Some(Under { kind: Kind::Message { refusal: now, .. }, .. }) = &mut self.under {
                *now = refusal;
            }
            self.open_part(out);
        }
        self.delta(if refusal { "response.refusal.delta" } else { "response.output_text.delta" }, text, out);
    }

    fn think(&mut self, seal: Option<Seal>, text: &str, out: &mut Vec<u8>) {
        let plan = |sealed: &Option<String>| sealed.as_deref() == Some(Seal::Plan.word());
        if !matches!(&self.under, Some(Under { kind: Kind::Reasoning { sealed, .. }, .. }) if plan(sealed) == seal.is_some()) {
            self.leave("completed", out);
            self.enter(Kind::Reasoning { summary: false, sealed: seal.map(|seal| seal.word().to_owned()) }, out);
        }
        if text.is_empty() {
            return;
        }
        if let Some(Under { kind: Kind::Reasoning { summary, .. }, .. }) = &mut self.under
            && !std::mem::replace(summary, true)
        {
            self.open_part(out);
        }
        self.delta("response.reasoning_summary_text.delta", text, out);
    }

    fn sign(&mut self, signature: &str, out: &mut Vec<u8>) {
        self.think(None, "", out);
        if let Some(Under { kind: Kind::Reasoning { sealed, .. }, .. }) = &mut self.under {
            sealed.get_or_insert_with(|| Seal::Thinking.word().to_owned()).push_str(signature);
        }
    }

    /// An item that holds what is sealed and nothing else.
    fn sealed(&mut self, seal: Seal, told: &str, out: &mut Vec<u8>) {
        self.leave("completed", out);
        self.enter(Kind::Reasoning { summary: false, sealed: Some(format!("{}{told}", seal.word())) }, out);
        self.leave("completed", out);
    }

    fn arguments(&mut self, text: &str, out: &mut Vec<u8>) {
        match &mut self.under {
            // The text that is the tool's input stands inside; it is told when it is whole.
            Some(Under { kind: Kind::Call { custom: true, .. }, text: so_far, .. }) => so_far.push_str(text),
            Some(Under { kind: Kind::Call { .. }, .. }) if !text.is_empty() => {
                self.delta("response.function_call_arguments.delta", text, out);
            }
            Some(_) | None => {}
        }
    }

    fn end(&mut self, stop: Stop, usage: Option<&Usage>, out: &mut Vec<u8>) {
        let reason = match stop {
            Stop::End | Stop::Calls => None,
            Stop::Length => Some("max_output_tokens"),
            Stop::Filtered => Some("content_filter"),
        };
        let status = if reason.is_some() { "incomplete" } else { "completed" };
        self.leave(status, out);
        let state = State { status, reason, usage, error: None };
        if self.whole {
            return self.response(&state, out);
        }
        self.event(&format!("response.{status}"), out, |writer, out| {
            out.extend_from_slice(b",\"response\":");
            writer.response(&state, out);
        });
    }

    /// The last events of a stream that fails: OpenAI tells an error, then the response that failed.
    pub(in crate::translate) fn fail(&self, error: &ClientError<'_>) -> Bytes {
        let mut out = error.event(Surface::Responses, self.number).to_vec();
        head("response.failed", self.number + 1, &mut out);
        out.extend_from_slice(b",\"response\":");
        self.response(&State { status: "failed", error: Some((error.code, error.message)), ..State::default() }, &mut out);
        out.extend_from_slice(b"}\n\n");
        out.into()
    }

    /// Writes an event, unless a whole answer is wanted.
    fn event(&mut self, name: &str, out: &mut Vec<u8>, body: impl FnOnce(&Self, &mut Vec<u8>)) {
        if self.whole {
            return;
        }
        head(name, self.number, out);
        self.number += 1;
        body(self, out);
        out.extend_from_slice(b"}\n\n");
    }

    /// An event about the item under way.
    fn about(&mut self, name: &str, out: &mut Vec<u8>, body: impl FnOnce(&Under, &mut Vec<u8>)) {
        self.event(name, out, |writer, out| {
            if let Some(under) = &writer.under {
                out.push(b',');
                out.extend_from_slice(under.place.as_bytes());
                body(under, out);
            }
        });
    }

    fn delta(&mut self, name: &str, text: &str, out: &mut Vec<u8>) {
        let logprobs = name == "response.output_text.delta";
        self.about(name, out, |_, out| {
            out.extend_from_slice(b",\"delta\":");
            write_text(out, text);
            out.extend_from_slice(if logprobs { b",\"logprobs\":[]" } else { b"" });
        });
        if let Some(under) = &mut self.under {
            under.text.push_str(text);
        }
    }

    /// Begins an item. None is under way.
    fn enter(&mut self, kind: Kind, out: &mut Vec<u8>) {
        let prefix = match &kind {
            Kind::Message { .. } => "msg",
            Kind::Reasoning { .. } => "rs",
            Kind::Call { custom: false, .. } => "fc",
            Kind::Call { custom: true, .. } => "ctc",
        };
        let index = self.items;
        let id = format!("{prefix}_{}", fingerprint(format!("{}/{index}", self.id).as_bytes()));
        let part = match &kind {
            Kind::Message { .. } => ",\"content_index\":0",
            Kind::Reasoning { .. } => ",\"summary_index\":0",
            Kind::Call { .. } => "",
        };
        let place = format!("\"item_id\":\"{id}\",\"output_index\":{index}{part}");
        let under = Under { kind, id, place, text: String::new() };
        self.event("response.output_item.added", out, |_, out| {
            out.extend_from_slice(format!(",\"output_index\":{index},\"item\":").as_bytes());
            under.begun(out);
        });
        self.under = Some(under);
    }

    fn open_part(&mut self, out: &mut Vec<u8>) {
        let name = match self.under.as_ref().map(|under| &under.kind) {
            Some(Kind::Message { .. }) => "response.content_part.added",
            Some(Kind::Reasoning { .. }) => "response.reasoning_summary_part.added",
            Some(Kind::Call { .. }) | None => return,
        };
        self.about(name, out, |under, out| {
            out.extend_from_slice(b",\"part\":");
            under.part("", out);
        });
    }

    fn close_part(&mut self, out: &mut Vec<u8>) {
        let (text_done, part_done, field) = match self.under.as_ref().map(|under| &under.kind) {
            Some(Kind::Message { refusal: false, .. }) => ("response.output_text.done", "response.content_part.done", "text"),
            Some(Kind::Message { refusal: true, .. }) => ("response.refusal.done", "response.content_part.done", "refusal"),
            Some(Kind::Reasoning { summary: true, .. }) => {
                ("response.reasoning_summary_text.done", "response.reasoning_summary_part.done", "text")
            }
            Some(Kind::Reasoning { summary: false, .. } | Kind::Call { .. }) | None => return,
        };
        self.about(text_done, out, |under, out| {
            out.extend_from_slice(format!(",\"{field}\":").as_bytes());
            write_text(out, &under.text);
            out.extend_from_slice(if text_done == "response.output_text.done" { b",\"logprobs\":[]" } else { b"" });
        });
        self.about(part_done, out, |under, out| {
            out.extend_from_slice(b",\"part\":");
            under.part(&under.text, out);
        });
        if let Some(under) = &mut self.under {
            under.part_is_over();
        }
    }

    fn end_call(&mut self, out: &mut Vec<u8>) {
        let Some(Under { kind: Kind::Call { custom, .. }, text, .. }) = &mut self.under else { return };
        if *custom {
            *text = custom_input(text);
            self.about("response.custom_tool_call_input.delta", out, |under, out| field("delta", &under.text, out));
            self.about("response.custom_tool_call_input.done", out, |under, out| field("input", &under.text, out));
            return;
        }
        if text.is_empty() {
            self.delta("response.function_call_arguments.delta", "{}", out);
        }
        self.about("response.function_call_arguments.done", out, |under, out| {
            field("arguments", &under.text, out);
            if let Kind::Call { name, .. } = &under.kind {
                field("name", name, out);
            }
        });
    }

    /// Ends the item under way.
    fn leave(&mut self, status: &str, out: &mut Vec<u8>) {
        self.close_part(out);
        self.end_call(out);
        let Some(under) = self.under.take() else { return };
        let index = self.items;
        comma(index, &mut self.output);
        let from = self.output.len();
        under.over(status, &mut self.output);
        self.items += 1;
        self.event("response.output_item.done", out, |writer, out| {
            out.extend_from_slice(format!(",\"output_index\":{index},\"item\":").as_bytes());
            out.extend_from_slice(&writer.output[from..]);
        });
    }

    fn response(&self, state: &State<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        write_text(out, &self.id);
        out.extend_from_slice(format!(",\"object\":\"response\",\"created_at\":{CREATED},\"status\":\"{}\"", state.status).as_bytes());
        out.extend_from_slice(b",\"background\":false,\"error\":");
        match state.error {
            Some((code, message)) => {
                out.extend_from_slice(b"{\"code\":");
                write_text(out, code);
                field("message", message, out);
                out.push(b'}');
            }
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"incomplete_details\":");
        match state.reason {
            Some(reason) => out.extend_from_slice(format!("{{\"reason\":\"{reason}\"}}").as_bytes()),
            None => out.extend_from_slice(b"null"),
        }
        field("model", &self.model, out);
        out.extend_from_slice(b",\"output\":[");
        out.extend_from_slice(&self.output);
        out.extend_from_slice(b"],\"previous_response_id\":null,\"store\":false");
        out.extend_from_slice(&self.asked.repeated);
        if let Some(usage) = state.usage {
            out.extend_from_slice(b",\"usage\":");
            write_usage(usage, out);
        }
        out.push(b'}');
    }
}

/// What a response says of itself when it is told.
struct State<'s> {
    status: &'static str,
    reason: Option<&'static str>,
    usage: Option<&'s Usage>,
    error: Option<(&'s str, &'s str)>,
}

impl Default for State<'_> {
    fn default() -> Self {
        Self { status: "in_progress", reason: None, usage: None, error: None }
    }
}

/// An event up to its number.
fn head(name: &str, number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: {\"type\":\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(format!("\",\"sequence_number\":{number}").as_bytes());
}

/// The text that a tool is given, out of the arguments that stand for it. A model that made others meant them.
fn custom_input(arguments: &str) -> String {
    let read = serde_json::from_str::<serde_json::Value>(arguments).ok();
    let told = read.as_ref().and_then(|read| read.get(CUSTOM_INPUT)?.as_str());
    told.unwrap_or(arguments).to_owned()
}

fn write_usage(usage: &Usage, out: &mut Vec<u8>) {
    let Usage { prompt, completion, cached, cache_write, reasoning, more } = usage;
    let (read, written) = (kinds(more.audio_in, more.image_in), kinds(more.audio_out, more.image_out));
    let total = usage.total();
    let text = format!(
        "{{\"input_tokens\":{prompt},\"input_tokens_details\":{{\"cached_tokens\":{cached},\"cache_write_tokens\":{cache_write}{read}}},\"output_tokens\":{completion},\"output_tokens_details\":{{\"reasoning_tokens\":{reasoning}{written}}},\"total_tokens\":{total}}}"
    );
    out.extend_from_slice(text.as_bytes());
}
