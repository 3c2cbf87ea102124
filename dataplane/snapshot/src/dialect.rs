//! Who speaks how: the endpoints of the two dialects and what they are for.

use serde::{Deserialize, Serialize};

/// The language of a body: its requests, answers, events and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Dialect {
    /// OpenAI's API.
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
}

/// What a call is for; what a key may be allowed. Two surfaces may serve one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// A conversation (`/v1/chat/completions`, `/v1/messages`).
    Chat,
    /// A text continued (`/v1/completions`).
    Completions,
    /// Texts as vectors (`/v1/embeddings`).
    Embeddings,
    /// OpenAI's Responses API (`/v1/responses`).
    Responses,
}

impl Operation {
    /// A stable word for conditions.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
        }
    }
}

/// An endpoint with the dialect of its bodies. A client comes in by one, a provider speaks some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Surface {
    /// `POST /v1/chat/completions`
    ChatCompletions,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/messages`
    Messages,
}

impl Surface {
    /// Every surface, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::ChatCompletions, Self::Completions, Self::Embeddings, Self::Responses, Self::Messages];

    /// The dialect of its bodies.
    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Embeddings | Self::Responses => Dialect::OpenAi,
            Self::Messages => Dialect::Anthropic,
        }
    }

    /// What a call by it is for.
    #[must_use]
    pub fn operation(self) -> Operation {
        match self {
            Self::ChatCompletions | Self::Messages => Operation::Chat,
            Self::Completions => Operation::Completions,
            Self::Embeddings => Operation::Embeddings,
            Self::Responses => Operation::Responses,
        }
    }

    /// Its path below a base URL that ends in the API version (`https://api.openai.com/v1`).
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Responses => "/responses",
            Self::Messages => "/messages",
        }
    }

    /// A stable word for metrics and log lines.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }
}
