//! Tokens by what they cost: each token is of one class, so that none is paid twice and none is forgotten.

use serde::{Deserialize, Serialize};

use crate::Usage;

/// What a token is, as far as prices go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// Text read, and all else that has no class.
    Input,
    /// Text read from the provider's cache.
    Cached,
    /// Written into that cache for minutes.
    CacheWrite,
    /// Written into it for an hour.
    CacheWriteHour,
    /// Sound read.
    AudioInput,
    /// Sound read from the cache.
    CachedAudio,
    /// Pictures read.
    ImageInput,
    /// Pictures read from the cache.
    CachedImage,
    /// Text written.
    Output,
    /// Thought, not said.
    Reasoning,
    /// Sound made.
    AudioOutput,
    /// Pictures made.
    ImageOutput,
}

impl Class {
    /// Every class, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::Input,
        Self::Cached,
        Self::CacheWrite,
        Self::CacheWriteHour,
        Self::AudioInput,
        Self::CachedAudio,
        Self::ImageInput,
        Self::CachedImage,
        Self::Output,
        Self::Reasoning,
        Self::AudioOutput,
        Self::ImageOutput,
    ];

    /// A stable word for it in the catalog's data.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Cached => "cached",
            Self::CacheWrite => "cache_write",
            Self::CacheWriteHour => "cache_write_1h",
            Self::AudioInput => "audio_input",
            Self::CachedAudio => "cached_audio",
            Self::ImageInput => "image_input",
            Self::CachedImage => "cached_image",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioOutput => "audio_output",
            Self::ImageOutput => "image_output",
        }
    }
}

/// Takes of what is left as much as is wanted.
fn take(left: &mut u64, wanted: u64) -> u64 {
    let taken = wanted.min(*left);
    *left -= taken;
    taken
}

impl Usage {
    /// The tokens to be paid for, by class. They are all tokens of the usage, unless the provider bills others.
    ///
    /// Parts may overlap: sound may have been read from the cache. Where nobody tells what was, text was, and sound or
    /// pictures only as far as there is less text.
    #[must_use]
    pub fn by_class(&self) -> [(Class, u64); 12] {
        let more = &self.more;
        let (mut read, mut written) = more.billed.unwrap_or((self.prompt, self.completion));
        // A bill that leaves out tokens leaves out those of the cache first.
        let mut cached = if more.billed.is_some() { 0 } else { self.cached };
        let cached_audio = take(&mut read, more.audio_cached.min(cached).min(more.audio_in));
        cached -= cached_audio;
        let cached_image = take(&mut read, more.image_cached.min(cached).min(more.image_in));
        cached -= cached_image;
        let write = take(&mut read, self.cache_write);
        let hour = more.cache_hour.min(write);
        let media = (more.audio_in - cached_audio).saturating_add(more.image_in - cached_image);
        let text_cached = take(&mut cached, read.saturating_sub(media));
        read -= text_cached;
        // What is left of the cached tokens is sound or pictures.
        let audio_too = take(&mut cached, (more.audio_in - cached_audio).min(read));
        read -= audio_too;
        let image_too = take(&mut cached, (more.image_in - cached_image).min(read));
        read -= image_too;
        let audio = take(&mut read, more.audio_in - cached_audio - audio_too);
        let image = take(&mut read, more.image_in - cached_image - image_too);
        let audio_out = take(&mut written, more.audio_out);
        let image_out = take(&mut written, more.image_out);
        let reasoning = take(&mut written, self.reasoning);
        [
            (Class::Input, read),
            (Class::Cached, text_cached),
            (Class::CacheWrite, write - hour),
            (Class::CacheWriteHour, hour),
            (Class::AudioInput, audio),
            (Class::CachedAudio, cached_audio.saturating_add(audio_too)),
            (Class::ImageInput, image),
            (Class::CachedImage, cached_image.saturating_add(image_too)),
            (Class::Output, written),
            (Class::Reasoning, reasoning),
            (Class::AudioOutput, audio_out),
            (Class::ImageOutput, image_out),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::More;

    fn some(usage: &Usage) -> Vec<(Class, u64)> {
        usage.by_class().into_iter().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn each_token_is_of_one_class() {
        let more = More { cache_hour: 30, audio_in: 200, image_in: 50, audio_out: 40, image_out: 5, ..More::default() };
        let usage = Usage { prompt: 1000, completion: 100, cached: 400, cache_write: 100, reasoning: 20, more };
        assert_eq!(
            some(&usage),
            [
                (Class::Input, 250),
                (Class::Cached, 400),
                (Class::CacheWrite, 70),
                (Class::CacheWriteHour, 30),
                (Class::AudioInput, 200),
                (Class::ImageInput, 50),
                (Class::Output, 35),
                (Class::Reasoning, 20),
                (Class::AudioOutput, 40),
                (Class::ImageOutput, 5),
            ]
        );
    }

    #[test]
    fn what_was_read_from_the_cache_is_text_unless_it_is_told_or_must_be_otherwise() {
        let told = More { audio_in: 60, audio_cached: 50, ..More::default() };
        let usage = Usage { prompt: 100, cached: 70, more: told, ..Usage::default() };
        assert_eq!(some(&usage), [(Class::Input, 20), (Class::Cached, 20), (Class::AudioInput, 10), (Class::CachedAudio, 50)]);
        let untold = Usage { more: More { audio_in: 60, ..More::default() }, ..usage };
        assert_eq!(some(&untold), [(Class::Cached, 40), (Class::AudioInput, 30), (Class::CachedAudio, 30)]);
    }

    #[test]
    fn what_is_billed_is_what_counts() {
        let usage = Usage {
            prompt: 510,
            completion: 99,
            cached: 144,
            reasoning: 29,
            more: More { billed: Some((67, 66)), ..More::default() },
            ..Usage::default()
        };
        assert_eq!(some(&usage), [(Class::Input, 67), (Class::Output, 37), (Class::Reasoning, 29)]);
    }
}
