//! Streams, read line by line.

use super::{Body, stop};
use crate::fault::Fault;
use crate::translate::chat::{News, Piece, id_of_answer, id_of_call};

/// Reads lines.
#[derive(Debug, Default)]
pub(in crate::translate) struct Reader {
    begun: bool,
    id: String,
    calls: usize,
}

impl Reader {
    pub(in crate::translate) fn line(&mut self, data: &[u8], write: &mut impl FnMut(Piece<'_>)) -> Result<News, Fault> {
        let line = Body::read(data)?;
        let usage = line.usage();
        if !self.begun {
            self.begun = true;
            self.id = id_of_answer(data);
            write(Piece::Begin { id: &self.id, model: line.model.as_deref().unwrap_or_default(), usage: None });
        }
        if let Some(message) = line.message {
            if let Some(thought) = message.thinking.filter(|text| !text.is_empty()) {
                write(Piece::Thinking(&thought));
            }
            if let Some(text) = message.content.filter(|text| !text.is_empty()) {
                write(Piece::Text(&text));
            }
            for call in message.tool_calls.into_iter().flatten() {
                let id = id_of_call(call.id.as_deref().unwrap_or_default(), &self.id, self.calls);
                self.calls += 1;
                write(Piece::Call { id: &id, name: &call.function.name, seal: None });
                write(Piece::Arguments(&String::from_utf8_lossy(call.function.input())));
                write(Piece::PartEnd);
            }
        }
        if line.done {
            write(Piece::PartEnd);
            let reason = line.done_reason.as_deref().unwrap_or_default();
            write(Piece::End { stop: stop(reason, self.calls > 0), stop_text: None, usage });
        }
        Ok(News { begun: true, done: line.done })
    }
}
