//! Ids of what a provider keeps, sealed while its answer passes.

use std::fmt;
use std::sync::Arc;

use crate::sse::Event;
use crate::stored::{self, Names};

/// How ids of the answers are sealed, if they are.
#[derive(Clone, Default)]
pub(super) struct Sealing(pub Option<Arc<dyn Names>>);

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealing({})", self.0.is_some())
    }
}

impl Sealing {
    /// An answer, or an event's data, with its ids sealed; `None` where it stays as it is.
    pub(super) fn answer(&self, json: &[u8]) -> Option<Vec<u8>> {
        // What is not JSON is told by who reads it after.
        self.0.as_ref().and_then(|names| stored::response(&**names, json).ok().flatten())
    }

    /// The event as its owner sees it.
    pub(super) fn event(&self, event: Event) -> Event {
        let name = event.name().unwrap_or_default();
        if self.0.is_none() || is_delta(name) {
            return event;
        }
        let Some(sealed) = event.data().and_then(|data| self.answer(&data)) else { return event };
        let mut raw = if name.is_empty() { Vec::new() } else { [b"event: ", name, b"\n"].concat() };
        for line in sealed.split(|byte| *byte == b'\n') {
            raw.extend_from_slice(b"data: ");
            raw.extend_from_slice(line);
            raw.push(b'\n');
        }
        raw.push(b'\n');
        Event { raw: raw.into() }
    }
}

/// Events that say nothing of usage, end or errors, and are nearly all of a stream.
pub(super) fn is_delta(name: &[u8]) -> bool {
    matches!(name, b"content_block_delta" | b"content_block_start" | b"content_block_stop")
        || (name.starts_with(b"response.") && name.ends_with(b".delta"))
}
