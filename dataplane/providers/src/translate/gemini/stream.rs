//! Streams, read: each event is an answer with a piece of the text.

use snapshot::{Surface, Usage};

use super::{Body, Said, stop, usage_of};
use crate::fault::Fault;
use crate::translate::chat::{News, Piece, Stop, id_of_call};
use crate::translate::not_an_answer;

/// Reads events. Nothing marks the last: an answer is whole when the stream ends after a reason to finish.
#[derive(Debug, Default)]
pub(in crate::translate) struct Reader {
    begun: bool,
    id: String,
    calls: usize,
    stop: Option<Stop>,
    usage: Option<Usage>,
    /// An event tells all searches so far, or none.
    searches: u64,
    ended: bool,
}

impl Reader {
    pub(in crate::translate) fn event(&mut self, data: &[u8], write: &mut impl FnMut(Piece<'_>)) -> Result<News, Fault> {
        let event: Body<'_> = serde_json::from_slice(data).map_err(|error| not_an_answer(&error.to_string()))?;
        if event.error.is_some() {
            return Err(Fault::of_object(Surface::GenerateContent, data));
        }
        self.usage = usage_of(event.usage_metadata).or(self.usage);
        let candidate = event.candidates.into_iter().flatten().find(|candidate| candidate.index == 0);
        let blocked = event.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some());
        if !self.begun && (candidate.is_some() || blocked) {
            self.begun = true;
            event.response_id.as_deref().unwrap_or_default().clone_into(&mut self.id);
            write(Piece::Begin { id: &self.id, model: event.model_version.as_deref().unwrap_or_default(), usage: self.usage });
        }
        if blocked {
            self.stop = Some(Stop::Filtered);
        }
        if let Some(candidate) = candidate {
            self.searches = self.searches.max(candidate.searches());
            for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
                self.part(&part, write);
            }
            if let Some(reason) = candidate.finish_reason {
                self.stop = Some(stop(&reason, self.calls > 0));
            }
        }
        Ok(News { begun: self.begun, done: false })
    }

    fn part(&mut self, part: &Said<'_>, write: &mut impl FnMut(Piece<'_>)) {
        if let Some(call) = &part.function_call {
            let id = id_of_call(call.id.as_deref().unwrap_or_default(), &self.id, self.calls);
            self.calls += 1;
            write(Piece::Call { id: &id, name: call.name.as_deref().unwrap_or_default(), seal: part.thought_signature.as_deref() });
            // Whole, and told whole: arguments come in one piece.
            let args = call.args.map_or("{}", serde_json::value::RawValue::get);
            write(Piece::Arguments(args));
            write(Piece::PartEnd);
            return;
        }
        let Some(text) = part.text.as_deref().filter(|text| !text.is_empty()) else { return };
        write(if part.thought == Some(true) { Piece::Thinking(text) } else { Piece::Text(text) });
    }

    /// The end of the stream. Tells whether it was the end of an answer.
    pub(in crate::translate) fn finish(&mut self, write: &mut impl FnMut(Piece<'_>)) -> bool {
        let Some(stop) = self.stop.filter(|_| !self.ended) else { return self.ended };
        self.ended = true;
        // A call may have come after the reason to finish was told.
        let stop = if stop == Stop::End && self.calls > 0 { Stop::Calls } else { stop };
        write(Piece::PartEnd);
        if let Some(usage) = &mut self.usage {
            usage.more.searches = self.searches;
        }
        write(Piece::End { stop, stop_text: None, usage: self.usage });
        true
    }
}
