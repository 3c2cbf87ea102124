//! OpenAI's Responses API, as clients speak it: requests are read, answers and streams are written. Nothing is kept at
//! the gateway: what refers to a response of the past is refused.

mod asked;
pub(super) mod events;
mod items;
mod output;
mod reading;

use super::chat::{Answer, Part, Piece};

pub(super) use asked::Asked;
pub(super) use reading::read_request;

/// What goes through the client and back in the `encrypted_content` of a reasoning item. Each kind begins with its word,
/// which no content of OpenAI's own does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seal {
    /// The signature of a thought (Anthropic, Bedrock).
    Thinking,
    /// A thought that is told to nobody.
    Redacted,
    /// The seal of the call that follows (Gemini).
    Call,
    /// The summary is what the model says of its calls (Cohere).
    Plan,
}

impl Seal {
    const ALL: [Self; 4] = [Self::Thinking, Self::Redacted, Self::Call, Self::Plan];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Thinking => "thinking:",
            Self::Redacted => "redacted:",
            Self::Call => "call:",
            Self::Plan => "plan:",
        }
    }

    /// What an encrypted content of ours holds. Those of others hold nothing for us.
    fn open(content: &str) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|seal| Some((seal, content.strip_prefix(seal.word())?)))
    }
}

/// Writes a whole answer: the last event of its stream is it, too.
pub(super) fn write_answer(answer: &Answer<'_>, asked: &Asked, out: &mut Vec<u8>) {
    let mut writer = events::ToResponses::of_whole(asked.clone());
    let mut tell = |piece: Piece<'_>| writer.piece(&piece, out);
    tell(Piece::Begin { id: &answer.id, model: &answer.model, usage: None });
    for part in &answer.parts {
        match part {
            Part::Thinking { text, signature: None } if text.is_empty() => {}
            Part::Text { text, .. } => tell(Piece::Text(text)),
            Part::Thinking { text, signature } => {
                tell(Piece::Thinking(text));
                if let Some(signature) = signature.as_deref().filter(|signature| !signature.is_empty()) {
                    tell(Piece::Signature(signature));
                    tell(Piece::PartEnd);
                }
            }
            Part::Redacted { data } => tell(Piece::Redacted(data)),
            Part::Call { id, name, input, seal } => {
                tell(Piece::Call { id, name, seal: seal.as_deref() });
                tell(Piece::Arguments(&String::from_utf8_lossy(input)));
                tell(Piece::PartEnd);
            }
            Part::Plan(text) => tell(Piece::Plan(text)),
            // No answer has them.
            Part::Image(_) | Part::File { .. } | Part::Result { .. } => {}
        }
    }
    if let Some(refusal) = &answer.refusal {
        tell(Piece::Refusal(refusal));
    }
    tell(Piece::End { stop: answer.stop, stop_text: answer.stop_text.as_deref(), usage: answer.usage });
}

/// JSON on one line: events end at line ends, and a client's JSON may hold some between its tokens.
fn on_one_line(raw: &[u8], out: &mut Vec<u8>) {
    out.extend(raw.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
}
