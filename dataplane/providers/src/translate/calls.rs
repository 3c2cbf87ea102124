//! Calls of tools in an answer, whoever makes them: no two have one id, and the arguments of each are an object to their end.

use std::borrow::Cow;
use std::collections::BTreeSet;

use snapshot::FailureClass;

use super::chat::{Part, Piece, Stop, id_of_call};
use crate::fault::Fault;
use crate::json::{Kind, Scanner};

/// Arguments of a stream that are longer are not looked at, in bytes.
const ARGUMENTS_BYTES_MAX: usize = 8 << 20;

/// Whether arguments are what a tool can be called with. Some models say `null` for none, which is passed on as it is.
fn are_arguments(text: &[u8]) -> bool {
    let mut scanner = Scanner::new(text);
    let fits = matches!(scanner.kind(), Ok(Kind::Object | Kind::Null));
    fits && scanner.pass().and_then(|()| scanner.end()).is_ok()
}

fn broken() -> Fault {
    Fault::new(FailureClass::InvalidResponse, "the arguments of a tool call are not a JSON object")
}

fn nameless() -> Fault {
    Fault::new(FailureClass::InvalidResponse, "a tool call does not say which tool it calls")
}

/// Looks at the calls of a whole answer. One that the limit of tokens cut off is no call: the reason to stop tells of it.
pub(super) fn look(parts: &mut Vec<Part<'_>>, stop: Stop) -> Result<(), Fault> {
    let is_broken = |part: &Part<'_>| matches!(part, Part::Call { input, .. } if !are_arguments(input));
    if parts.iter().any(|part| matches!(part, Part::Call { name, .. } if name.is_empty())) {
        return Err(nameless());
    }
    if stop == Stop::Length {
        parts.retain(|part| !is_broken(part));
    } else if parts.iter().any(is_broken) {
        return Err(broken());
    }
    let mut seen = Seen::default();
    for part in parts {
        if let Part::Call { id, .. } = part
            && let Some(other) = seen.other(id)
        {
            *id = Cow::Owned(other);
        }
    }
    Ok(())
}

/// Ids of calls so far.
#[derive(Debug, Default)]
struct Seen(BTreeSet<String>);

impl Seen {
    /// An id of our own for a call that has the id of one before it.
    fn other(&mut self, id: &str) -> Option<String> {
        let mut other = None;
        let mut place = self.0.len();
        while !self.0.insert(other.as_deref().unwrap_or(id).to_owned()) {
            other = Some(id_of_call("", id, place).into_owned());
            place += 1;
        }
        other
    }
}

/// Looks at the calls of a stream while they pass.
#[derive(Debug, Default)]
pub(super) struct Calls {
    seen: Seen,
    arguments: String,
    broken: bool,
    nameless: bool,
}

impl Calls {
    /// A call begins, with this id and this name.
    pub(super) fn begin<'a>(&mut self, id: &'a str, name: &str) -> Cow<'a, str> {
        self.end_part();
        self.nameless |= name.is_empty();
        self.seen.other(id).map_or(Cow::Borrowed(id), Cow::Owned)
    }

    /// A piece in the middle.
    pub(super) fn look(&mut self, piece: &Piece<'_>) {
        match piece {
            Piece::Arguments(text) if self.arguments.len() <= ARGUMENTS_BYTES_MAX => self.arguments.push_str(text),
            Piece::PartEnd => self.end_part(),
            Piece::Arguments(_)
            | Piece::Begin { .. }
            | Piece::Text(_)
            | Piece::Thinking(_)
            | Piece::Signature(_)
            | Piece::Redacted(_)
            | Piece::Call { .. }
            | Piece::Plan(_)
            | Piece::Refusal(_)
            | Piece::End { .. } => {}
        }
    }

    fn end_part(&mut self) {
        let looked_at = (1..=ARGUMENTS_BYTES_MAX).contains(&self.arguments.len());
        self.broken |= looked_at && !are_arguments(self.arguments.as_bytes());
        self.arguments.clear();
    }

    /// The end of the answer.
    pub(super) fn end(&mut self, stop: Stop) -> Result<(), Fault> {
        self.end_part();
        if self.nameless {
            return Err(nameless());
        }
        if self.broken && stop != Stop::Length { Err(broken()) } else { Ok(()) }
    }
}
