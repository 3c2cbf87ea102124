//! The two ends of a translated chat: what its client speaks, and what its provider speaks.

use snapshot::Surface;

/// A dialect of chats that clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Front {
    OpenAi,
    Responses,
    Anthropic,
}

/// A dialect of chats that providers speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    OpenAi,
    Anthropic,
    Gemini,
    Converse,
    Cohere,
    Ollama,
}

impl Front {
    const ALL: [(Surface, Self); 3] =
        [(Surface::ChatCompletions, Self::OpenAi), (Surface::Responses, Self::Responses), (Surface::Messages, Self::Anthropic)];

    /// That of a surface; of one that is no chat there is none.
    pub(super) fn of(surface: Surface) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == surface).map(|(_, front)| front)
    }
}

impl Back {
    /// In the order in which they are chosen where a provider speaks several.
    pub(super) const ALL: [(Surface, Self); 6] = [
        (Surface::ChatCompletions, Self::OpenAi),
        (Surface::Messages, Self::Anthropic),
        (Surface::GenerateContent, Self::Gemini),
        (Surface::Converse, Self::Converse),
        (Surface::CohereChat, Self::Cohere),
        (Surface::OllamaChat, Self::Ollama),
    ];

    /// That of a surface; of one that is no chat there is none.
    pub(super) fn of(surface: Surface) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == surface).map(|(_, back)| back)
    }
}
