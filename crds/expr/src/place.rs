//! Where in an expression something stands.

use std::fmt;

/// A place in an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Place {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// Of a byte of a text; of its end beyond it.
    pub(crate) fn of_byte(source: &str, byte: usize) -> Self {
        let before = source.char_indices().take_while(|(at, _)| *at < byte);
        before.fold(Self::START, |place, (_, character)| match character {
            '\n' => Self { line: place.line + 1, column: 1 },
            _ => Self { column: place.column + 1, ..place },
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { line: 1, column } => write!(f, "column {column}"),
            Self { line, column } => write!(f, "line {line}, column {column}"),
        }
    }
}

/// Where a node of the tree of `source` stands.
///
/// The parser gives places away only beside an error. So it reads the text once more as the first element of a list whose
/// second is a number beyond all bounds: the nodes get the same numbers, one later, for the list.
pub(crate) fn of(source: &str, node: u64) -> Place {
    const BEFORE: &str = "[";
    let wrapped = format!("{BEFORE}{source}\n,99999999999999999999]");
    let told = crate::parser().parse(&wrapped).err().and_then(|told| told.errors.into_iter().next()?.source_info);
    let byte = told.and_then(|info| info.offset_for(node + 1)).map(|(start, _)| start);
    byte.map_or(Place::START, |byte| Place::of_byte(source, usize::try_from(byte).unwrap_or(0).saturating_sub(BEFORE.len())))
}
