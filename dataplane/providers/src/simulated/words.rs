//! What the simulated provider says, and its dice.

use sha2::{Digest, Sha256};

use super::asked::Asked;

/// Repeatable dice.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, text: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest([&seed.to_le_bytes(), text].concat()).into();
        Self(digest.first_chunk::<8>().map_or(seed, |first| u64::from_le_bytes(*first)))
    }

    /// splitmix64.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// An id in the provider's manner: a prefix and so many characters.
    pub(super) fn id(&mut self, prefix: &str, length: usize) -> String {
        const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let tail = (0..length).map(|_| char::from(ALPHABET[usize::try_from(self.below(62)).unwrap_or(0)]));
        prefix.chars().chain(tail).collect()
    }
}

const MORE: [&str; 12] = [
    "A portolan was the chart by which ships found the next port.",
    "Every word here was chosen by dice with a fixed seed.",
    "The wind is fair and the harbour is in sight.",
    "Nothing was sent over the network to make this answer.",
    "The compass rose has thirty-two points.",
    "A good gateway is the one that nobody notices.",
    "Depth is given in fathoms, cost in nano-dollars.",
    "The pilot knows each rock by its name.",
    "This sentence is here so that a stream has something to say.",
    "Charts were drawn on vellum and mended at sea.",
    "The tide waits for no request.",
    "From cape to cape the course is steady.",
];

/// Tokens of an answer: words with the space before them. At least one, at most `tokens_max`.
pub(super) fn answer(asked: &Asked, tokens_max: u32, dice: &mut Dice) -> Vec<String> {
    let mut text = match (&asked.tool_result, asked.user_text.trim()) {
        (Some(result), _) => format!("The tool says: {}", clipped(result)),
        (None, "") => "Hello from Portolan's simulated provider.".to_owned(),
        (None, said) => format!("Hello from Portolan's simulated provider, playing {}. You said: \"{}\".", asked.model, clipped(said)),
    };
    if asked.tool_result.is_none() {
        text.push_str(" To be answered by a real model, put a provider's key into its Secret.");
    }
    let mut tokens = split(&text);
    while tokens.len() < tokens_max as usize {
        let place = usize::try_from(dice.below(MORE.len() as u64)).unwrap_or(0);
        tokens.extend(split(&format!(" {}", MORE[place])));
    }
    tokens.truncate((tokens_max as usize).max(1));
    tokens
}

/// Words, each with the white space before it; joined they are the text.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_word = false;
    for character in text.chars() {
        let space = character.is_whitespace();
        match tokens.last_mut() {
            Some(last) if !(space && in_word) => last.push(character),
            _ => tokens.push(character.to_string()),
        }
        in_word = !space;
    }
    tokens
}

fn clipped(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 80 { line } else { line.chars().take(79).chain(['…']).collect() }
}
