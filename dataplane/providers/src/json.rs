//! One strict pass over JSON, without building anything: fields are visited in order, values skipped or read in place.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

/// Deeper nesting is refused.
pub const DEPTH_MAX: u32 = 128;

/// Why bytes are not JSON, or not of the wanted shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Offset of the byte at fault.
    pub at: usize,
    /// What was expected, or what is wrong there.
    pub what: &'static str,
}

/// The type of a value, told by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    Text,
    /// A digit or a minus.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null`.
    Null,
}

/// A string as it stands, quotes included.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// With its quotes.
    pub raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// What it says.
    #[must_use]
    pub fn decode(&self) -> Cow<'a, str> {
        if !self.escaped {
            let inner = self.raw.get(1..self.raw.len().saturating_sub(1)).unwrap_or_default();
            return String::from_utf8_lossy(inner);
        }
        serde_json::from_slice::<String>(self.raw).map_or_else(|_| String::from_utf8_lossy(self.raw), Cow::Owned)
    }

    /// Whether it says just this.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        if self.escaped { self.decode() == text } else { self.raw.len() == text.len() + 2 && &self.raw[1..=text.len()] == text.as_bytes() }
    }
}

/// A place in the bytes.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
}

impl<'a> Scanner<'a> {
    /// At the start.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    /// The offset of the next byte.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T, Wrong> {
        Err(Wrong { at: self.at, what })
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// What comes next.
    ///
    /// # Errors
    /// The end, or a byte that begins no value.
    pub fn kind(&mut self) -> Result<Kind, Wrong> {
        self.space();
        match self.bytes.get(self.at) {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => self.wrong("expected a value"),
            None => self.wrong("the text ends too early"),
        }
    }

    /// Visits the fields of an object. The visitor must read or skip the value.
    ///
    /// # Errors
    /// Not an object, not JSON, or what the visitor says.
    pub fn object<E: From<Wrong>>(&mut self, mut visit: impl FnMut(&mut Self, Text<'a>) -> Result<(), E>) -> Result<(), E> {
        self.open(b'{', "expected an object")?;
        self.space();
        if self.close(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            let key = self.text()?;
            self.space();
            self.byte(b':', "expected `:`")?;
            visit(self, key)?;
            self.space();
            if self.close(b'}') {
                return Ok(());
            }
            self.byte(b',', "expected `,` or `}`")?;
        }
    }

    /// Visits the items of an array. The visitor must read or skip each.
    ///
    /// # Errors
    /// Not an array, not JSON, or what the visitor says.
    pub fn array<E: From<Wrong>>(&mut self, mut visit: impl FnMut(&mut Self) -> Result<(), E>) -> Result<(), E> {
        self.open(b'[', "expected an array")?;
        self.space();
        if self.close(b']') {
            return Ok(());
        }
        loop {
            visit(self)?;
            self.space();
            if self.close(b']') {
                return Ok(());
            }
            self.byte(b',', "expected `,` or `]`")?;
        }
    }

    /// Passes over a value, which is checked, and tells where it stands.
    ///
    /// # Errors
    /// Not JSON.
    pub fn skip(&mut self) -> Result<Range<usize>, Wrong> {
        let kind = self.kind()?;
        let from = self.at;
        match kind {
            Kind::Object => self.object(|inner, _| inner.pass())?,
            Kind::Array => self.array(|inner| inner.pass())?,
            Kind::Text => drop(self.text()?),
            Kind::Number => self.number()?,
            Kind::Bool => drop(self.bool()?),
            Kind::Null => self.word(b"null")?,
        }
        Ok(from..self.at)
    }

    /// Passes over a value, which is checked.
    ///
    /// # Errors
    /// Not JSON.
    pub fn pass(&mut self) -> Result<(), Wrong> {
        self.skip().map(|_| ())
    }

    /// Reads a string.
    ///
    /// # Errors
    /// Not a string, or a broken one.
    pub fn text(&mut self) -> Result<Text<'a>, Wrong> {
        self.space();
        let from = self.at;
        self.byte(b'"', "expected a string")?;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(length) = memchr2(b'"', b'\\', rest) else {
                self.at = self.bytes.len();
                return self.wrong("the string does not end");
            };
            let run = &rest[..length];
            // Written as a fold over the whole run, so that it becomes one pass of wide instructions.
            if run.iter().fold(false, |found, byte| found | (*byte < 0x20)) {
                self.at += run.iter().position(|byte| *byte < 0x20).unwrap_or(0);
                return self.wrong("a control character in a string must be escaped");
            }
            self.at += length + 1;
            if rest[length] == b'"' {
                return Ok(Text { raw: &self.bytes[from..self.at], escaped });
            }
            escaped = true;
            self.escape()?;
        }
    }

    fn escape(&mut self) -> Result<(), Wrong> {
        match self.bytes.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 1..self.at + 5).unwrap_or_default();
                if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return self.wrong("expected four hex digits after `\\u`");
                }
                self.at += 5;
            }
            _ => return self.wrong("this escape does not exist"),
        }
        Ok(())
    }

    /// Reads `true` or `false`.
    ///
    /// # Errors
    /// Neither.
    pub fn bool(&mut self) -> Result<bool, Wrong> {
        self.space();
        match self.bytes.get(self.at) {
            Some(b't') => self.word(b"true").map(|()| true),
            Some(b'f') => self.word(b"false").map(|()| false),
            _ => self.wrong("expected `true` or `false`"),
        }
    }

    /// Reads a whole number that is not negative.
    ///
    /// # Errors
    /// Anything else.
    pub fn unsigned(&mut self) -> Result<u64, Wrong> {
        let range = self.skip()?;
        let text = std::str::from_utf8(&self.bytes[range.clone()]).unwrap_or_default();
        text.parse().map_err(|_| Wrong { at: range.start, what: "expected a whole number that is not negative" })
    }

    /// Nothing but white space may follow.
    ///
    /// # Errors
    /// Something does.
    pub fn end(&mut self) -> Result<(), Wrong> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { self.wrong("something follows after the end of the JSON") }
    }

    fn number(&mut self) -> Result<(), Wrong> {
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.wrong("expected a digit"),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn some_digits(&mut self) -> Result<(), Wrong> {
        let from = self.at;
        self.digits();
        if self.at == from { self.wrong("expected a digit") } else { Ok(()) }
    }

    fn digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), Wrong> {
        if self.bytes.get(self.at..).unwrap_or_default().starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        self.wrong("expected `true`, `false` or `null`")
    }

    fn byte(&mut self, byte: u8, what: &'static str) -> Result<(), Wrong> {
        if self.bytes.get(self.at) == Some(&byte) {
            self.at += 1;
            return Ok(());
        }
        if self.at >= self.bytes.len() { self.wrong("the text ends too early") } else { self.wrong(what) }
    }

    fn open(&mut self, byte: u8, what: &'static str) -> Result<(), Wrong> {
        self.space();
        self.byte(byte, what)?;
        self.depth += 1;
        if self.depth > DEPTH_MAX { self.wrong(TOO_DEEP) } else { Ok(()) }
    }

    fn close(&mut self, byte: u8) -> bool {
        let closed = self.bytes.get(self.at) == Some(&byte);
        if closed {
            self.at += 1;
            self.depth -= 1;
        }
        closed
    }
}

/// What [`Wrong::what`] says of too deep a nesting.
pub const TOO_DEEP: &str = "nested too deeply";

/// Writes the comma between this item of a list and the one before it.
pub(crate) fn comma(place: usize, out: &mut Vec<u8>) {
    if place > 0 {
        out.push(b',');
    }
}

/// Writes texts as a JSON array.
pub(crate) fn write_list(out: &mut Vec<u8>, texts: &[Cow<'_, str>]) {
    out.push(b'[');
    for (place, text) in texts.iter().enumerate() {
        comma(place, out);
        write_text(out, text);
    }
    out.push(b']');
}

/// Writes a text as a JSON string.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, after) = rest.split_at(plain_length(rest));
        out.extend_from_slice(plain);
        let Some((byte, after)) = after.split_first() else { break };
        write_escape(out, *byte);
        rest = after;
    }
    out.push(b'"');
}

fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// How many bytes stand there before the first that must be escaped: whole blocks are folded, so that each becomes a few
/// wide instructions.
fn plain_length(bytes: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let plain = |block: &[u8]| !block.iter().fold(false, |found, byte| found | is_escaped(*byte));
    let blocks = bytes.chunks_exact(BLOCK).take_while(|block| plain(block)).count();
    let rest = &bytes[blocks * BLOCK..];
    blocks * BLOCK + rest.iter().position(|byte| is_escaped(*byte)).unwrap_or(rest.len())
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn whole(text: &[u8]) -> Result<(), Wrong> {
        let mut scanner = Scanner::new(text);
        scanner.skip()?;
        scanner.end()
    }

    proptest! {
        #[test]
        fn it_takes_what_serde_json_takes_and_nothing_else(text in r#"[\{\}\[\]:,"a\\u0-9eE.+\- ntrfls]{0,24}"#) {
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            assert_eq!(whole(text.as_bytes()).is_ok(), theirs, "{text}");
        }

        #[test]
        fn it_takes_the_numbers_and_strings_that_serde_json_takes(
            text in r#"-?[0-9]{0,3}(\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?|"(\\[bfnrtux"\\/]|\\u[0-9a-fx]{4}|[0-9a-f]{2}|\n){0,3}""#
        ) {
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            assert_eq!(whole(text.as_bytes()).is_ok(), theirs, "{text}");
        }

        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            drop(whole(&bytes));
        }

        #[test]
        fn a_written_text_reads_the_same(text in any::<String>()) {
            let mut out = Vec::new();
            write_text(&mut out, &text);
            assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), text);
            let mut scanner = Scanner::new(&out);
            assert_eq!(scanner.text().expect("a string").decode(), text);
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert_eq!(whole(&deep(128)), Ok(()));
        assert_eq!(whole(&deep(129)).map_err(|wrong| wrong.what), Err(TOO_DEEP));
        assert!(whole(&vec![b'['; 1 << 20]).is_err(), "and the stack survives");
    }
}
