//! Whole answers, read.

use std::borrow::Cow;

use snapshot::Surface;

use super::{Body, Candidate, Said, stop, usage_of};
use crate::fault::Fault;
use crate::translate::chat::{Answer, Part, Stop, id_of_answer, id_of_call};
use crate::translate::not_an_answer;

pub(in crate::translate) fn read_answer(body: &[u8]) -> Result<Answer<'_>, Fault> {
    let answer: Body<'_> = serde_json::from_slice(body).map_err(|error| not_an_answer(&error.to_string()))?;
    if answer.error.is_some() {
        return Err(Fault::of_object(Surface::GenerateContent, body));
    }
    let blocked = answer.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some());
    let candidate = answer.candidates.into_iter().flatten().find(|candidate| candidate.index == 0);
    if candidate.is_none() && !blocked {
        return Err(not_an_answer("it has no candidates"));
    }
    let searches = candidate.as_ref().map_or(0, Candidate::searches);
    let mut usage = usage_of(answer.usage_metadata);
    if let Some(usage) = &mut usage {
        usage.more.searches = searches;
    }
    let id = answer.response_id.filter(|id| !id.is_empty()).unwrap_or_else(|| Cow::Owned(id_of_answer(body)));
    let reason = candidate.as_ref().and_then(|candidate| candidate.finish_reason.clone()).unwrap_or_default();
    let said = candidate.and_then(|candidate| candidate.content).and_then(|content| content.parts).unwrap_or_default();
    let mut parts = Vec::with_capacity(said.len());
    for part in said {
        let place = parts.iter().filter(|part| matches!(part, Part::Call { .. })).count();
        parts.extend(read_part(part, &id, place));
    }
    let called = parts.iter().any(|part| matches!(part, Part::Call { .. }));
    Ok(Answer {
        model: answer.model_version.unwrap_or_default(),
        parts,
        refusal: None,
        stop: if blocked { Stop::Filtered } else { stop(&reason, called) },
        stop_text: None,
        usage,
        id,
    })
}

/// Code that the provider ran itself, and what came of it, are its own affair.
fn read_part<'a>(part: Said<'a>, answer: &str, place: usize) -> Option<Part<'a>> {
    if let Some(call) = part.function_call {
        let input = call.args.map_or(Cow::Borrowed(&b"{}"[..]), |args| Cow::Borrowed(args.get().as_bytes()));
        let id = Cow::Owned(id_of_call(call.id.as_deref().unwrap_or_default(), answer, place).into_owned());
        return Some(Part::Call { id, name: call.name.unwrap_or_default(), input, seal: part.thought_signature });
    }
    let text = part.text.filter(|text| !text.is_empty())?;
    Some(match part.thought {
        Some(true) => Part::Thinking { text, signature: None },
        _ => Part::Text { text, cache: None },
    })
}
