//! The items of an answer, as they begin and as they are in the end.

use crate::json::{comma, write_text};

/// The item under way.
#[derive(Debug)]
pub(super) struct Under {
    pub(super) kind: Kind,
    pub(super) id: String,
    /// `"item_id":"..","output_index":0` and the index of the part: what its events have in common.
    pub(super) place: String,
    /// The text of the part under way, or the arguments of a call.
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Parts that are over, how many, and whether the one under way refuses.
    Message {
        parts: Vec<u8>,
        count: usize,
        refusal: bool,
    },
    /// Whether a summary has begun; what is sealed.
    Reasoning {
        summary: bool,
        sealed: Option<String>,
    },
    Call {
        id: String,
        name: String,
        custom: bool,
    },
}

impl Under {
    /// The item as it begins.
    pub(super) fn begun(&self, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Message { .. } => self.message("in_progress", &[], out),
            Kind::Reasoning { .. } => self.reasoning(None, out),
            Kind::Call { .. } => self.call("in_progress", "", out),
        }
    }

    /// The item as it is in the end.
    pub(super) fn over(&self, status: &str, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Message { parts, .. } => self.message(status, parts, out),
            Kind::Reasoning { sealed, .. } => self.reasoning(sealed.as_deref(), out),
            Kind::Call { .. } => self.call(status, &self.text, out),
        }
    }

    fn message(&self, status: &str, parts: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{{\"id\":\"{}\",\"type\":\"message\",\"status\":\"{status}\",\"content\":[", self.id).as_bytes());
        out.extend_from_slice(parts);
        out.extend_from_slice(b"],\"role\":\"assistant\"}");
    }

    fn reasoning(&self, sealed: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{{\"id\":\"{}\",\"type\":\"reasoning\",\"summary\":[", self.id).as_bytes());
        if !self.text.is_empty() {
            self.part(&self.text, out);
        }
        out.extend_from_slice(b"],\"encrypted_content\":");
        match sealed {
            Some(sealed) => write_text(out, sealed),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
    }

    fn call(&self, status: &str, text: &str, out: &mut Vec<u8>) {
        let Kind::Call { id, name, custom } = &self.kind else { return };
        let (kind, input) = if *custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
        out.extend_from_slice(format!("{{\"id\":\"{}\",\"type\":\"{kind}\",\"status\":\"{status}\"", self.id).as_bytes());
        field(input, text, out);
        field("call_id", id, out);
        field("name", name, out);
        out.push(b'}');
    }

    /// The part under way, with this text.
    pub(super) fn part(&self, text: &str, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Message { refusal: false, .. } => {
                out.extend_from_slice(b"{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[]");
                field("text", text, out);
            }
            Kind::Message { refusal: true, .. } => {
                out.extend_from_slice(b"{\"type\":\"refusal\"");
                field("refusal", text, out);
            }
            Kind::Reasoning { .. } | Kind::Call { .. } => {
                out.extend_from_slice(b"{\"type\":\"summary_text\"");
                field("text", text, out);
            }
        }
        out.push(b'}');
    }

    /// Files the part under way among those of its message. A thought has one, which stays.
    pub(super) fn part_is_over(&mut self) {
        let mut written = Vec::new();
        self.part(&self.text, &mut written);
        if let Kind::Message { parts, count, .. } = &mut self.kind {
            comma(*count, parts);
            parts.append(&mut written);
            *count += 1;
            let next = format!("\"content_index\":{count}");
            if let Some(at) = self.place.rfind("\"content_index\"") {
                self.place.replace_range(at.., &next);
            }
            self.text.clear();
        }
    }
}

pub(super) fn field(name: &str, text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write_text(out, text);
}
