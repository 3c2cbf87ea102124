//! Answers that are neither JSON nor events.

use snapshot::Surface;

use crate::head::Head;

/// Whether an answer may be something else than JSON or events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raw {
    /// It is JSON.
    Never,
    /// It is what its type says.
    ByType,
    /// It is a text.
    Text,
}

impl Raw {
    pub(super) fn of(surface: Surface, head: &Head) -> Self {
        if surface == Surface::Speech {
            Self::ByType
        } else if head.as_text {
            Self::Text
        } else {
            Self::Never
        }
    }
}
