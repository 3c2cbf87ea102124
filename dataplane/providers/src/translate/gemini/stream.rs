//! Streams, read: each event is an answer with a piece of the text.

use std::borrow::Cow;

use snapshot::{Surface, Usage};

use super::partial::Arguments;
use super::{Body, FunctionCall, Said, stop, usage_of};
use crate::fault::Fault;
use crate::translate::chat::{News, Piece, Stop, id_of_answer, id_of_call};
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
    /// A call whose arguments come in pieces.
    open: Option<Arguments>,
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
            self.id = event.response_id.filter(|id| !id.is_empty()).map_or_else(|| id_of_answer(data), Cow::into_owned);
            write(Piece::Begin { id: &self.id, model: event.model_version.as_deref().unwrap_or_default(), usage: self.usage });
        }
        if blocked {
            self.stop = Some(Stop::Filtered);
        }
        if let Some(candidate) = candidate {
            self.searches = self.searches.max(candidate.searches());
            for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
                self.part(&part, write)?;
            }
            if let Some(reason) = candidate.finish_reason {
                self.stop = Some(stop(&reason, self.calls > 0));
            }
        }
        Ok(News { begun: self.begun, done: false })
    }

    fn part(&mut self, part: &Said<'_>, write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        if let Some(call) = &part.function_call {
            return self.call(call, part.thought_signature.as_deref(), write);
        }
        let Some(text) = part.text.as_deref().filter(|text| !text.is_empty()) else { return Ok(()) };
        self.close(false, write);
        write(if part.thought == Some(true) { Piece::Thinking(text) } else { Piece::Text(text) });
        Ok(())
    }

    /// A call, or a piece of one: only its first has a name, and what says that more will come is not its last.
    fn call(&mut self, call: &FunctionCall<'_>, seal: Option<&str>, write: &mut impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        let goes_on = call.will_continue == Some(true);
        let args = call.args.map(serde_json::value::RawValue::get);
        if let Some(name) = call.name.as_deref() {
            self.close(false, write);
            let id = id_of_call(call.id.as_deref().unwrap_or_default(), &self.id, self.calls);
            self.calls += 1;
            write(Piece::Call { id: &id, name, seal });
            if !goes_on && call.partial_args.is_none() {
                // Whole, and told whole: arguments come in one piece.
                tell(args.unwrap_or("{}"), write);
                return Ok(());
            }
            self.open = Some(Arguments::of(args));
        }
        // What goes on with no call is none.
        let Some(open) = &mut self.open else { return Ok(()) };
        for piece in call.partial_args.iter().flatten() {
            open.put(piece)?;
        }
        if !goes_on {
            self.close(true, write);
        }
        Ok(())
    }

    fn close(&mut self, whole: bool, write: &mut impl FnMut(Piece<'_>)) {
        if let Some(open) = self.open.take() {
            tell(&open.told(whole), write);
        }
    }

    /// The end of the stream. Tells whether it was the end of an answer.
    pub(in crate::translate) fn finish(&mut self, write: &mut impl FnMut(Piece<'_>)) -> bool {
        let Some(stop) = self.stop.filter(|_| !self.ended) else { return self.ended };
        self.ended = true;
        self.close(false, write);
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

fn tell(arguments: &str, write: &mut impl FnMut(Piece<'_>)) {
    write(Piece::Arguments(arguments));
    write(Piece::PartEnd);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Names and arguments of the calls of a stream of these parts, the last of which ends it.
    fn calls(parts: &[Value], reason: &str) -> (Vec<(String, String)>, Option<Stop>) {
        let (mut reader, mut calls, mut ended) = (Reader::default(), Vec::new(), None);
        let mut write = |piece: Piece<'_>| {
            if let Piece::Call { name, .. } = piece {
                calls.push((name.to_owned(), String::new()));
            } else if let Piece::Arguments(text) = piece {
                calls.last_mut().expect("a call").1.push_str(text);
            } else if let Piece::End { stop, .. } = piece {
                ended = Some(stop);
            }
        };
        for (place, part) in parts.iter().enumerate() {
            let mut candidate = json!({"content": {"parts": [{"functionCall": part}]}});
            if place + 1 == parts.len() {
                candidate["finishReason"] = reason.into();
            }
            let event = json!({"responseId": "r", "candidates": [candidate]}).to_string();
            reader.event(event.as_bytes(), &mut write).expect("an event");
        }
        assert!(reader.finish(&mut write));
        (calls, ended)
    }

    fn city(text: &str, more: bool) -> Value {
        json!({"partialArgs": [{"jsonPath": "$.city", "stringValue": text, "willContinue": more}], "willContinue": true})
    }

    fn begun() -> Value {
        json!({"name": "weather", "willContinue": true})
    }

    #[test]
    fn calls_in_pieces_are_as_many_as_there_are_names() {
        let (told, stop) = calls(
            &[
                begun(),
                city("Bos", true),
                city("ton", false),
                json!({}),
                json!({}),
                json!({"name": "now"}),
                json!({"name": "sum", "args": {"of":  [1]}}),
                begun(),
                city("Rome", false),
                json!({}),
            ],
            "STOP",
        );
        let wanted = [("weather", r#"{"city":"Boston"}"#), ("now", "{}"), ("sum", r#"{"of":[1]}"#), ("weather", r#"{"city":"Rome"}"#)];
        assert_eq!(told, wanted.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!(stop, Some(Stop::Calls));
    }

    #[test]
    fn a_call_that_was_cut_off_is_not_told_as_if_it_were_whole() {
        let (told, stop) = calls(&[begun(), city("Bos", true)], "MAX_TOKENS");
        assert_eq!(told, [("weather".to_owned(), r#"{"city":"Bos""#.to_owned())]);
        assert_eq!(stop, Some(Stop::Length));
    }
}
