//! Who speaks how: the endpoints of the two dialects and what they are for.

use serde::{Deserialize, Serialize};

/// The language of a body: its requests, answers, events and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Dialect {
    /// OpenAI's API.
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// Google's Gemini API and Vertex AI. Providers alone speak it.
    Gemini,
    /// Amazon Bedrock's Converse API. Providers alone speak it.
    Bedrock,
    /// Cohere's API, version 2. Providers alone speak it.
    Cohere,
    /// Ollama's own API. Providers alone speak it.
    Ollama,
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
    /// Pictures made and changed (`/v1/images/..`).
    Images,
    /// Speech made, and written down (`/v1/audio/..`).
    Audio,
    /// Texts and pictures judged (`/v1/moderations`).
    Moderations,
    /// Documents put in the order of a question (`/v1/rerank`).
    Rerank,
    /// Files kept at a provider (`/v1/files`).
    Files,
    /// A path of a provider, passed through (`/proxy/<provider>/...`). A key has it only when it is named.
    Proxy,
    /// A conversation over an open connection (`/v1/realtime`).
    Realtime,
}

impl Operation {
    /// Whether it came with the doors for pictures, sound, judgement and order; a reader of before does not know it.
    #[must_use]
    pub fn is_of_the_later_doors(self) -> bool {
        match self {
            Self::Images | Self::Audio | Self::Moderations | Self::Rerank => true,
            Self::Chat | Self::Completions | Self::Embeddings | Self::Responses | Self::Files | Self::Proxy | Self::Realtime => false,
        }
    }

    /// A stable word for conditions.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Proxy => "proxy",
            Self::Realtime => "realtime",
            Self::Images => "images",
            Self::Audio => "audio",
            Self::Moderations => "moderations",
            Self::Rerank => "rerank",
            Self::Files => "files",
        }
    }

    /// Whether a key has it without a list: what is not looked into must be granted by name.
    #[must_use]
    pub fn is_usual(self) -> bool {
        match self {
            Self::Chat
            | Self::Completions
            | Self::Embeddings
            | Self::Responses
            | Self::Images
            | Self::Audio
            | Self::Moderations
            | Self::Rerank
            | Self::Files
            | Self::Realtime => true,
            Self::Proxy => false,
        }
    }
}

/// An endpoint with the dialect of its bodies. A client comes in by one of [`Surface::DOORS`], a provider speaks some of all.
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
    /// `POST /v1/messages/count_tokens`. It is a door; no provider's surfaces have it, because those of Anthropic's type
    /// speak it by themselves.
    CountTokens,
    /// `POST /v1beta/models/{model}:generateContent` (Gemini)
    GenerateContent,
    /// `POST /model/{model}/converse` (Bedrock)
    Converse,
    /// `POST /v2/chat` (Cohere)
    CohereChat,
    /// `POST /v1beta/models/{model}:batchEmbedContents` (Gemini)
    BatchEmbedContents,
    /// `POST /v2/embed` (Cohere)
    CohereEmbed,
    /// `POST /api/chat` (Ollama)
    OllamaChat,
    /// `POST /api/embed` (Ollama)
    OllamaEmbed,
    /// `POST /v1/moderations`
    Moderations,
    /// `POST /v1/rerank`, as Jina's and Cohere's clients say it
    Rerank,
    /// `POST /v1/images/generations`
    Images,
    /// `POST /v1/images/edits`, a form
    ImageEdits,
    /// `POST /v1/images/variations`, a form
    ImageVariations,
    /// `POST /v1/audio/speech`; the answer is sound
    Speech,
    /// `POST /v1/audio/transcriptions`, a form
    Transcriptions,
    /// `POST /v1/audio/translations`, a form
    Translations,
    /// `POST /v2/rerank` (Cohere)
    CohereRerank,
    /// `/v1/files`: sent as a form, looked at, listed, read, deleted. It is a door with paths of its own.
    Files,
    /// `/proxy/<provider>/...`: any method, any body, passed on unread. It is a door; no provider's surfaces have it.
    Proxy,
    /// `GET /v1/realtime`, a WebSocket. Providers of type OpenAI, Azure OpenAI and Simulated speak it by themselves, of others the
    /// surfaces tell.
    Realtime,
}

impl Surface {
    /// Those by which clients come in, in the order of the documentation.
    pub const DOORS: [Self; 14] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Messages,
        Self::CountTokens,
        Self::Images,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
        Self::Moderations,
        Self::Rerank,
    ];

    /// Whether a request by it is a form with files in it, not JSON.
    #[must_use]
    pub fn is_form(self) -> bool {
        match self {
            Self::ImageEdits | Self::ImageVariations | Self::Transcriptions | Self::Translations | Self::Files => true,
            Self::ChatCompletions
            | Self::Completions
            | Self::Embeddings
            | Self::Responses
            | Self::Messages
            | Self::CountTokens
            | Self::GenerateContent
            | Self::Converse
            | Self::CohereChat
            | Self::BatchEmbedContents
            | Self::CohereEmbed
            | Self::OllamaChat
            | Self::OllamaEmbed
            | Self::Proxy
            | Self::Realtime
            | Self::Moderations
            | Self::Rerank
            | Self::Images
            | Self::Speech
            | Self::CohereRerank => false,
        }
    }

    /// Whether it came with the doors for pictures, sound, judgement and order; a reader of before does not know it.
    #[must_use]
    pub fn is_of_the_later_doors(self) -> bool {
        match self {
            Self::Moderations
            | Self::Rerank
            | Self::Images
            | Self::ImageEdits
            | Self::ImageVariations
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations
            | Self::CohereRerank => true,
            Self::ChatCompletions
            | Self::Completions
            | Self::Embeddings
            | Self::Responses
            | Self::Messages
            | Self::CountTokens
            | Self::GenerateContent
            | Self::Converse
            | Self::CohereChat
            | Self::BatchEmbedContents
            | Self::CohereEmbed
            | Self::OllamaChat
            | Self::OllamaEmbed
            | Self::Files
            | Self::Proxy
            | Self::Realtime => false,
        }
    }

    /// Doors with a head and a body of their own.
    pub const SIDE_DOORS: [Self; 3] = [Self::Files, Self::Proxy, Self::Realtime];

    /// The dialect of its bodies; of errors, where bodies are passed on unread.
    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Self::ChatCompletions
            | Self::Completions
            | Self::Embeddings
            | Self::Responses
            | Self::Proxy
            | Self::Realtime
            | Self::Moderations
            | Self::Rerank
            | Self::Images
            | Self::ImageEdits
            | Self::ImageVariations
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations
            | Self::Files => Dialect::OpenAi,
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::GenerateContent | Self::BatchEmbedContents => Dialect::Gemini,
            Self::Converse => Dialect::Bedrock,
            Self::CohereChat | Self::CohereEmbed | Self::CohereRerank => Dialect::Cohere,
            Self::OllamaChat | Self::OllamaEmbed => Dialect::Ollama,
        }
    }

    /// What a call by it is for.
    #[must_use]
    pub fn operation(self) -> Operation {
        match self {
            Self::ChatCompletions
            | Self::Messages
            | Self::CountTokens
            | Self::GenerateContent
            | Self::Converse
            | Self::CohereChat
            | Self::OllamaChat => Operation::Chat,
            Self::Completions => Operation::Completions,
            Self::Embeddings | Self::BatchEmbedContents | Self::CohereEmbed | Self::OllamaEmbed => Operation::Embeddings,
            Self::Responses => Operation::Responses,
            Self::Images | Self::ImageEdits | Self::ImageVariations => Operation::Images,
            Self::Speech | Self::Transcriptions | Self::Translations => Operation::Audio,
            Self::Moderations => Operation::Moderations,
            Self::Rerank | Self::CohereRerank => Operation::Rerank,
            Self::Files => Operation::Files,
            Self::Proxy => Operation::Proxy,
            Self::Realtime => Operation::Realtime,
        }
    }

    /// Its path below a base URL that ends in the API version (`https://api.openai.com/v1`). `{model}` stands for the name
    /// of the model, percent-encoded.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Responses => "/responses",
            Self::Messages => "/messages",
            Self::CountTokens => "/messages/count_tokens",
            Self::GenerateContent => "/models/{model}:generateContent",
            Self::Converse => "/model/{model}/converse",
            Self::CohereChat | Self::OllamaChat => "/chat",
            Self::BatchEmbedContents => "/models/{model}:batchEmbedContents",
            Self::CohereEmbed | Self::OllamaEmbed => "/embed",
            Self::Moderations => "/moderations",
            Self::Rerank | Self::CohereRerank => "/rerank",
            Self::Images => "/images/generations",
            Self::ImageEdits => "/images/edits",
            Self::ImageVariations => "/images/variations",
            Self::Speech => "/audio/speech",
            Self::Transcriptions => "/audio/transcriptions",
            Self::Translations => "/audio/translations",
            Self::Files => "/files",
            Self::Proxy => "/proxy",
            Self::Realtime => "/realtime",
        }
    }

    /// The path for an answer that is streamed, where it is another.
    #[must_use]
    pub fn stream_path(self) -> &'static str {
        match self {
            Self::GenerateContent => "/models/{model}:streamGenerateContent?alt=sse",
            Self::Converse => "/model/{model}/converse-stream",
            Self::ChatCompletions
            | Self::Completions
            | Self::Embeddings
            | Self::Responses
            | Self::Messages
            | Self::CountTokens
            | Self::CohereChat
            | Self::BatchEmbedContents
            | Self::CohereEmbed
            | Self::OllamaChat
            | Self::OllamaEmbed
            | Self::Proxy
            | Self::Realtime
            | Self::Moderations
            | Self::Rerank
            | Self::Images
            | Self::ImageEdits
            | Self::ImageVariations
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations
            | Self::CohereRerank
            | Self::Files => self.path(),
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
            Self::CountTokens => "count_tokens",
            Self::GenerateContent => "generate_content",
            Self::Converse => "converse",
            Self::CohereChat => "cohere_chat",
            Self::BatchEmbedContents => "batch_embed_contents",
            Self::CohereEmbed => "cohere_embed",
            Self::OllamaChat => "ollama_chat",
            Self::OllamaEmbed => "ollama_embed",
            Self::Moderations => "moderations",
            Self::Rerank => "rerank",
            Self::Images => "images",
            Self::ImageEdits => "image_edits",
            Self::ImageVariations => "image_variations",
            Self::Speech => "speech",
            Self::Transcriptions => "transcriptions",
            Self::Translations => "translations",
            Self::CohereRerank => "cohere_rerank",
            Self::Files => "files",
            Self::Proxy => "proxy",
            Self::Realtime => "realtime",
        }
    }
}
