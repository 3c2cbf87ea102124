//! How many tokens a request has, where no provider can be asked: an estimate by a rule that is always the same.
//!
//! Four characters of ASCII are a token, and two of any other script; a message is three more, and so is the beginning of
//! the answer; an image or a document in base64 is 1,600. Names of fields count like text, as models are told them in some
//! form. What is not text of the conversation, its system and its tools counts nothing.

use crate::json::{Kind, Scanner, Wrong};
use crate::passage::{Facts, Whole};

/// Tokens of an image or a document.
const MEDIA: u64 = 1600;

/// Tokens of a message besides what it says.
const MESSAGE: u64 = 3;

/// The answer of a counter, in Anthropic's form.
#[must_use]
pub fn estimate(body: &[u8]) -> Whole {
    let tokens = tokens(body);
    Whole { body: format!("{{\"input_tokens\":{tokens}}}").into(), facts: Facts::default(), estimate: true }
}

/// The tokens of a request of Anthropic's dialect. A body that is no JSON has as many as were counted before its fault.
#[must_use]
pub fn tokens(body: &[u8]) -> u64 {
    let mut count = Count::default();
    let mut scanner = Scanner::new(body);
    // The head has ruled out what is no JSON.
    drop(scanner.object(|scanner, key| {
        if key.is("messages") && scanner.kind()? == Kind::Array {
            return scanner.array(|message| {
                count.fixed += MESSAGE;
                count.value(message, false)
            });
        }
        if key.is("system") || key.is("tools") { count.value(scanner, false) } else { scanner.pass() }
    }));
    count.total()
}

#[derive(Default)]
struct Count {
    ascii: u64,
    others: u64,
    fixed: u64,
}

impl Count {
    fn total(&self) -> u64 {
        self.ascii.div_ceil(4) + self.others.div_ceil(2) + self.fixed + MESSAGE
    }

    /// Counts a value. `media` is what stands for an image or a document.
    fn value(&mut self, scanner: &mut Scanner<'_>, media: bool) -> Result<(), Wrong> {
        match scanner.kind()? {
            Kind::Object => scanner.object(|inner, key| {
                let media = key.is("data");
                self.text(&key.decode());
                self.value(inner, media)
            }),
            Kind::Array => scanner.array(|inner| self.value(inner, false)),
            Kind::Text if media => {
                self.fixed += MEDIA;
                scanner.pass()
            }
            Kind::Text => {
                self.text(&scanner.text()?.decode());
                Ok(())
            }
            Kind::Number | Kind::Bool | Kind::Null => {
                self.ascii += scanner.skip()?.len() as u64;
                Ok(())
            }
        }
    }

    fn text(&mut self, text: &str) {
        let ascii = text.bytes().filter(u8::is_ascii).count() as u64;
        self.ascii += ascii;
        self.others += text.chars().count() as u64 - ascii;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_counted_by_its_characters_and_media_by_the_piece() {
        assert_eq!(tokens(br#"{"model":"m","messages":[]}"#), 3);
        // `role`, `user`, `content` and eight more characters.
        assert_eq!(tokens(br#"{"messages":[{"role":"user","content":"12345678"}]}"#), 3 + 3 + 6);
        assert_eq!(tokens("{\"messages\":[],\"system\":\"\u{6d77}\u{56fe}\u{6d77}\"}".as_bytes()), 3 + 2);
        let image = |data: &str| tokens(format!("{{\"messages\":[{{\"source\":{{\"data\":\"{data}\"}}}}]}}").as_bytes());
        assert_eq!(image("AAAA"), image(&"A".repeat(1 << 20)));
        assert!(image("AAAA") > MEDIA);
        assert_eq!(tokens(br#"{"metadata":{"user_id":"long"},"max_tokens":100000,"messages":[]}"#), 3);
        assert!(tokens(br#"{"tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[]}"#) > 8);
    }

    #[test]
    fn what_is_no_request_has_a_count_all_the_same() {
        for body in [&b""[..], b"[]", b"{", b"{\"messages\":[{\"content\":\"x", b"{\"messages\":7}", b"\xff"] {
            assert!(tokens(body) < 100, "{body:?}");
        }
    }
}
