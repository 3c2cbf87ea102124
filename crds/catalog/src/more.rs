//! Prices that few models have: of sound, of pictures, of hours in a cache, of other services.

use snapshot::{Class, NanoUsd, Price, Rates, Service};

use crate::Facts;

/// What such a price is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Tokens of a class, served as usual.
    Of(Class),
    /// Tokens of text of that class in another service.
    In(Service, Class),
}

/// The words of the table with what they are of, in the order of its lines.
pub const MORE: [(&str, Word); 17] = [
    ("cache_write_1h", Word::Of(Class::CacheWriteHour)),
    ("audio_input", Word::Of(Class::AudioInput)),
    ("cached_audio", Word::Of(Class::CachedAudio)),
    ("image_input", Word::Of(Class::ImageInput)),
    ("cached_image", Word::Of(Class::CachedImage)),
    ("reasoning", Word::Of(Class::Reasoning)),
    ("audio_output", Word::Of(Class::AudioOutput)),
    ("image_output", Word::Of(Class::ImageOutput)),
    ("batch_input", Word::In(Service::Batch, Class::Input)),
    ("batch_output", Word::In(Service::Batch, Class::Output)),
    ("batch_cached", Word::In(Service::Batch, Class::Cached)),
    ("flex_input", Word::In(Service::Flex, Class::Input)),
    ("flex_output", Word::In(Service::Flex, Class::Output)),
    ("flex_cached", Word::In(Service::Flex, Class::Cached)),
    ("priority_input", Word::In(Service::Priority, Class::Input)),
    ("priority_output", Word::In(Service::Priority, Class::Output)),
    ("priority_cached", Word::In(Service::Priority, Class::Cached)),
];

/// Such prices of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct More(Vec<(Word, NanoUsd)>);

impl More {
    /// Reads the last field of a line.
    pub(crate) fn read(field: &str) -> Self {
        let one = |text: &str| {
            let (word, price) = text.split_once(':')?;
            let (_, of) = MORE.iter().find(|(known, _)| *known == word)?;
            Some((*of, NanoUsd(price.parse().ok()?)))
        };
        Self(field.split(';').filter_map(one).collect())
    }

    pub(crate) fn price(&self, wanted: Word) -> Option<NanoUsd> {
        self.0.iter().find(|(word, _)| *word == wanted).map(|(_, price)| *price)
    }

    fn tokens(&self) -> impl Iterator<Item = (Class, NanoUsd)> {
        self.0.iter().filter_map(|(word, price)| match word {
            Word::Of(class) => Some((*class, *price)),
            Word::In(..) => None,
        })
    }
}

impl Facts {
    /// Prices of tokens that are no plain text, as far as they are listed.
    pub fn more_tokens(&self) -> impl Iterator<Item = (Class, NanoUsd)> {
        self.more.tokens()
    }

    /// What tokens of a call with a prompt of so many cost, served in this way. What nobody lists is doubtful: it stands at
    /// the nearest price that is listed.
    #[must_use]
    pub fn rates_of(&self, prompt: u64, service: Service) -> Option<Rates> {
        let usual = self.price_of(prompt)?;
        let long = Some(usual) != self.price;
        let mut rates = Rates::of_text(&usual);
        if !self.writes {
            rates.doubt([Class::Output, Class::Reasoning]);
        }
        rates.tell(self.more.tokens());
        if long {
            // These are listed for short prompts alone.
            let listed = |class: &Class| self.more.price(Word::Of(*class)).is_some();
            rates.doubt([Class::CacheWriteHour, Class::Reasoning].into_iter().filter(listed));
        }
        if service != Service::Standard {
            rates.doubt(Class::ALL);
            if !long {
                self.serve(service, &mut rates);
            }
        }
        Some(rates)
    }

    /// Sets what is listed for a service. What has no price of its own as usual has none here either.
    fn serve(&self, service: Service, rates: &mut Rates) {
        let alone = |class: Class| self.more.price(Word::Of(class)).is_none();
        let as_text = [
            (Class::Input, [Class::Input, Class::AudioInput, Class::ImageInput].as_slice()),
            (Class::Cached, &[Class::Cached, Class::CachedAudio, Class::CachedImage]),
            (Class::Output, &[Class::Output, Class::Reasoning]),
        ];
        for (text, classes) in as_text {
            let Some(price) = self.more.price(Word::In(service, text)) else { continue };
            classes.iter().filter(|class| alone(**class)).for_each(|class| rates.set(*class, price));
        }
        // What was never cheaper in the cache is not so here.
        let plain = |price: Price| price.cached.is_none();
        if self.price.is_some_and(plain)
            && let Some(price) = self.more.price(Word::In(service, Class::Input))
            && self.more.price(Word::In(service, Class::Cached)).is_none()
        {
            rates.set(Class::Cached, price);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts;

    const SURE: bool = true;

    fn rates(line: &'static str, prompt: u64, service: Service, classes: &[Class]) -> Vec<(u64, bool)> {
        let rates = facts(line.split('\t')).rates_of(prompt, service).expect("prices");
        classes.iter().map(|class| rates.of(*class)).map(|(price, sure)| (price.0, sure)).collect()
    }

    #[test]
    fn sound_and_pictures_have_prices_of_their_own_or_doubtful_ones() {
        let line = "10\t20\t5\t\t\t\t\tchat\t\taudio_input:40;audio_output:80";
        let classes =
            [Class::AudioInput, Class::CachedAudio, Class::ImageInput, Class::AudioOutput, Class::ImageOutput, Class::CacheWriteHour];
        let wanted = [(40, SURE), (40, SURE), (10, SURE), (80, SURE), (20, !SURE), (10, !SURE)];
        assert_eq!(rates(line, 1, Service::Standard, &classes), wanted);
        let pictures = "10\t\t5\t\t\t\t\timage_generation\t\timage_input:8;cached_image:2;image_output:30";
        let classes = [Class::ImageInput, Class::CachedImage, Class::ImageOutput, Class::Output];
        assert_eq!(rates(pictures, 1, Service::Standard, &classes), [(8, SURE), (2, SURE), (30, SURE), (0, !SURE)]);
    }

    #[test]
    fn a_service_has_listed_prices_or_doubtful_ones() {
        let line = "10\t20\t5\t12\t\t\t200:40:60::\tchat\t\tcache_write_1h:19;audio_input:40;flex_input:3;flex_output:7;flex_cached:1;batch_input:6";
        let classes = [Class::Input, Class::Cached, Class::CacheWrite, Class::AudioInput, Class::Output, Class::Reasoning];
        let flex = [(3, SURE), (1, SURE), (12, !SURE), (40, !SURE), (7, SURE), (7, SURE)];
        assert_eq!(rates(line, 1, Service::Flex, &classes), flex);
        assert_eq!(rates(line, 1, Service::Batch, &classes)[..2], [(6, SURE), (5, !SURE)]);
        assert_eq!(rates(line, 1, Service::Priority, &classes)[0], (10, !SURE), "nobody lists it");
        assert_eq!(rates(line, 201, Service::Flex, &classes)[0], (40, !SURE), "nor flex for long prompts");
        assert_eq!(rates(line, 201, Service::Standard, &[Class::Input, Class::CacheWriteHour]), [(40, SURE), (19, !SURE)]);
    }
}
