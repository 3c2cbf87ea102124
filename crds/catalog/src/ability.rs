//! What a model is for and what it can do, in closed words.

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Conversations.
    Chat,
    /// Conversations, by the Responses API alone.
    Responses,
    /// Texts continued.
    Completion,
    /// Texts as vectors.
    Embedding,
    /// Pictures made.
    ImageGeneration,
    /// Pictures changed.
    ImageEdit,
    /// Sound written down.
    Transcription,
    /// Text spoken.
    Speech,
    /// Documents put in order.
    Rerank,
    /// Texts judged.
    Moderation,
    /// Conversations over an open connection.
    Realtime,
    /// Something that no door here is for.
    Other,
}

impl Mode {
    /// Every mode with its word in the data.
    const WORDS: [(Self, &'static str); 12] = [
        (Self::Chat, "chat"),
        (Self::Responses, "responses"),
        (Self::Completion, "completion"),
        (Self::Embedding, "embedding"),
        (Self::ImageGeneration, "image_generation"),
        (Self::ImageEdit, "image_edit"),
        (Self::Transcription, "audio_transcription"),
        (Self::Speech, "audio_speech"),
        (Self::Rerank, "rerank"),
        (Self::Moderation, "moderation"),
        (Self::Realtime, "realtime"),
        (Self::Other, "other"),
    ];

    /// The word for it in the data.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(mode, _)| *mode == self).map_or("", |(_, word)| word)
    }

    /// The mode of that word; a word that nobody here knows is [`Mode::Other`].
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let known = Self::WORDS.iter().find(|(_, known)| *known == word).map(|(mode, _)| *mode);
        if word.is_empty() { None } else { Some(known.unwrap_or(Self::Other)) }
    }
}

/// What a model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Look at pictures.
    Vision,
    /// Ask for tools to be run.
    Tools,
    /// Several at once.
    ParallelTools,
    /// Answer in the shape of a schema.
    StructuredOutput,
    /// Think before it answers.
    Reasoning,
    /// Have a prompt read from a cache.
    PromptCaching,
    /// Read documents.
    Documents,
    /// Hear.
    AudioInput,
    /// Speak.
    AudioOutput,
    /// Watch.
    VideoInput,
    /// Search the web by itself.
    WebSearch,
}

impl Capability {
    /// Every capability, in the order of the documentation.
    pub const ALL: [Self; 11] = [
        Self::Vision,
        Self::Tools,
        Self::ParallelTools,
        Self::StructuredOutput,
        Self::Reasoning,
        Self::PromptCaching,
        Self::Documents,
        Self::AudioInput,
        Self::AudioOutput,
        Self::VideoInput,
        Self::WebSearch,
    ];

    /// The word for it, in the table and for clients.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Tools => "tools",
            Self::ParallelTools => "parallel_tools",
            Self::StructuredOutput => "structured_output",
            Self::Reasoning => "reasoning",
            Self::PromptCaching => "prompt_caching",
            Self::Documents => "documents",
            Self::AudioInput => "audio_input",
            Self::AudioOutput => "audio_output",
            Self::VideoInput => "video_input",
            Self::WebSearch => "web_search",
        }
    }

    /// The word for it in the price list that the table is made of.
    #[must_use]
    pub fn listed_as(self) -> &'static str {
        match self {
            Self::StructuredOutput => "json_schema",
            Self::Documents => "pdf",
            Self::AudioInput => "audio_in",
            Self::AudioOutput => "audio_out",
            Self::VideoInput => "video_in",
            Self::Vision | Self::Tools | Self::ParallelTools | Self::Reasoning | Self::PromptCaching | Self::WebSearch => self.word(),
        }
    }
}

/// Some capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u16);

impl Capabilities {
    /// Whether this one is among them.
    #[must_use]
    pub fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u16) != 0
    }

    /// Each of them, in the order of the documentation.
    pub fn each(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |capability| self.has(*capability))
    }

    /// Reads words; `None` when there are none, which tells nothing.
    pub(crate) fn read(words: &str) -> Option<Self> {
        let bit = |word| Capability::ALL.into_iter().find(|known| known.word() == word).map_or(0, |known| 1 << known as u16);
        (!words.is_empty()).then(|| Self(words.split(' ').map(bit).fold(0, |all, bit| all | bit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written_and_silence_tells_nothing() {
        for (mode, word) in Mode::WORDS {
            assert_eq!((Mode::of(word), mode.word()), (Some(mode), word));
        }
        assert_eq!((Mode::of(""), Mode::of("video_generation")), (None, Some(Mode::Other)));
        assert_eq!(Capabilities::read(""), None);
        assert_eq!(Capabilities::read("-"), Some(Capabilities::default()), "told to have none of them");
        let read = Capabilities::read("web_search tools of-the-future").expect("some");
        assert_eq!(read.each().collect::<Vec<_>>(), [Capability::Tools, Capability::WebSearch]);
        let all: Vec<&str> = Capability::ALL.into_iter().map(Capability::word).collect();
        assert_eq!(Capabilities::read(&all.join(" ")).expect("all").each().count(), Capability::ALL.len());
    }
}
