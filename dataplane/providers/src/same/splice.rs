//! What is changed of a request that passes: the model's name, and the wish for usage.

use std::ops::Range;

use bytes::Bytes;

use crate::head::{Head, Options};
use crate::json::write_text;

/// The model's name in the target's words, where it is another or none stands there.
pub(super) fn renamed(head: &Head, body: &[u8], upstream_model: &str) -> Option<(Range<usize>, Bytes)> {
    let absent = head.model_at.is_empty();
    if !absent && upstream_model == head.model {
        return None;
    }
    let mut model = Vec::with_capacity(upstream_model.len() + 12);
    model.extend_from_slice(if absent { b"\"model\":" } else { b"" });
    write_text(&mut model, upstream_model);
    let alone = body.get(head.model_at.end..).unwrap_or_default().trim_ascii_start().starts_with(b"}");
    model.extend_from_slice(if absent && !alone { b"," } else { b"" });
    Some((head.model_at.clone(), model.into()))
}

pub(super) fn ask_for_usage(head: &Head) -> (Range<usize>, Bytes) {
    match &head.options {
        Options::Absent => (head.model_at.end..head.model_at.end, Bytes::from_static(b",\"stream_options\":{\"include_usage\":true}")),
        Options::Null(range) => (range.clone(), Bytes::from_static(b"{\"include_usage\":true}")),
        Options::Without { open, empty: true } => (open + 1..open + 1, Bytes::from_static(b"\"include_usage\":true")),
        Options::Without { open, empty: false } => (open + 1..open + 1, Bytes::from_static(b"\"include_usage\":true,")),
        Options::With(range) => (range.clone(), Bytes::from_static(b"true")),
    }
}

pub(crate) fn apply(body: &Bytes, splices: &[(Range<usize>, Bytes)]) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(splices.len() * 2 + 1);
    let mut from = 0;
    for (range, bytes) in splices {
        pieces.push(body.slice(from..range.start));
        pieces.push(bytes.clone());
        from = range.end;
    }
    pieces.push(body.slice(from..));
    pieces.retain(|piece| !piece.is_empty());
    pieces
}
