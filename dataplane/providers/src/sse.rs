//! Event streams: bytes cut anywhere become whole events. One event of buffer, linear time for any cut.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// A larger event is not taken, in bytes.
pub const EVENT_BYTES_MAX: usize = 8 << 20;

/// An event larger than [`EVENT_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oversized;

/// One event with its end, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// All its bytes, the blank line included.
    pub raw: Bytes,
}

impl Event {
    /// The `event:` field.
    #[must_use]
    pub fn name(&self) -> Option<&[u8]> {
        self.fields().filter(|(field, _)| *field == b"event").last().map(|(_, value)| value)
    }

    /// The `data:` fields, joined by line feeds; `None` for comments and keep-alives.
    #[must_use]
    pub fn data(&self) -> Option<Cow<'_, [u8]>> {
        let mut lines = self.fields().filter(|(field, _)| *field == b"data").map(|(_, value)| value);
        let first = lines.next()?;
        let Some(second) = lines.next() else { return Some(Cow::Borrowed(first)) };
        let mut joined = first.to_vec();
        for line in std::iter::once(second).chain(lines) {
            joined.push(b'\n');
            joined.extend_from_slice(line);
        }
        Some(Cow::Owned(joined))
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let text = self.raw.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(&self.raw);
        Lines(text).map(|line| match memchr::memchr(b':', line) {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        })
    }
}

/// Lines of a text that ends them with `\n`, `\r\n` or `\r`.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let Some(at) = memchr2(b'\n', b'\r', self.0) else { return Some(std::mem::take(&mut self.0)) };
        let line = &self.0[..at];
        let end = if self.0[at..].starts_with(b"\r\n") { 2 } else { 1 };
        self.0 = &self.0[at + end..];
        Some(line)
    }
}

/// Splits a stream into events.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
    /// What was just given and is whole in itself; nothing is copied then.
    chunk: Bytes,
    /// Up to here the buffer holds no end of an event.
    searched: usize,
    /// Where the line begins that was not yet whole.
    line: usize,
    /// Whether a line before it says something.
    said: bool,
}

impl Frames {
    /// Takes more bytes. Events must be taken out before the next push.
    pub fn push(&mut self, chunk: Bytes) {
        if self.buffer.is_empty() {
            self.chunk = chunk;
            self.begin();
        } else {
            self.buffer.extend_from_slice(&chunk);
        }
    }

    fn begin(&mut self) {
        self.searched = 0;
        self.line = 0;
        self.said = false;
    }

    /// The next whole event.
    ///
    /// # Errors
    /// [`Oversized`], after which the stream is of no use.
    pub fn next_event(&mut self) -> Option<Result<Event, Oversized>> {
        let in_chunk = self.buffer.is_empty();
        let text: &[u8] = if in_chunk { &self.chunk } else { &self.buffer };
        match find_end(text, &mut self.searched, &mut self.line, &mut self.said) {
            Some(end) => {
                self.begin();
                let raw = if in_chunk { self.chunk.split_to(end) } else { self.buffer.split_to(end).freeze() };
                if !in_chunk && self.buffer.is_empty() {
                    self.chunk = Bytes::new();
                }
                Some(Ok(Event { raw }))
            }
            None if text.len() > EVENT_BYTES_MAX => Some(Err(Oversized)),
            None => {
                if in_chunk && !self.chunk.is_empty() {
                    self.buffer.extend_from_slice(&std::mem::take(&mut self.chunk));
                }
                None
            }
        }
    }

    /// What is left at the end of the stream: an event that lacks its blank line, or nothing.
    pub fn take_rest(&mut self) -> Option<Event> {
        let rest = std::mem::take(&mut self.buffer).freeze();
        let rest = if rest.is_empty() { std::mem::take(&mut self.chunk) } else { rest };
        (!rest.trim_ascii().is_empty()).then_some(Event { raw: rest })
    }
}

/// The offset after the blank line that ends the first event. A `\r` at the very end may be half of `\r\n`: wait.
fn find_end(text: &[u8], searched: &mut usize, line: &mut usize, said: &mut bool) -> Option<usize> {
    loop {
        let Some(found) = memchr2(b'\n', b'\r', text.get(*searched..)?) else {
            *searched = text.len();
            return None;
        };
        let at = *searched + found;
        let end = match (text[at], text.get(at + 1)) {
            (b'\r', None) => {
                *searched = at;
                return None;
            }
            (b'\r', Some(b'\n')) => at + 2,
            _ => at + 1,
        };
        let blank = at == *line;
        *searched = end;
        *line = end;
        // Blank lines before the first field belong to no event: they are kept with what follows.
        if blank && *said {
            return Some(end);
        }
        *said |= !blank;
    }
}

/// What a last event lacks of the blank line that ends it. A `\r` at the very end may have been waited for as half of `\r\n`.
pub(crate) fn missing_end(raw: &[u8]) -> &'static [u8] {
    match raw {
        [.., b'\n' | b'\r', b'\r' | b'\n'] if !raw.ends_with(b"\r\n") => b"",
        [.., b'\n' | b'\r'] => b"\n",
        _ => b"\n\n",
    }
}

/// Events on their way to the client. While they follow each other in one chunk they stay one slice of it.
#[derive(Default)]
pub(crate) struct Passing {
    first: Bytes,
    rest: BytesMut,
}

impl Passing {
    pub(crate) fn add(&mut self, raw: Bytes) {
        if self.first.is_empty() {
            self.first = raw;
        } else if self.rest.is_empty() {
            self.rest.reserve(self.first.len() + raw.len());
            self.rest.extend_from_slice(&self.first);
            self.rest.extend_from_slice(&raw);
        } else {
            self.rest.extend_from_slice(&raw);
        }
    }

    pub(crate) fn take(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    /// The name and the data of an event.
    type Read = (Option<Vec<u8>>, Option<Vec<u8>>);

    fn split(text: &[u8], cuts: &[usize]) -> Vec<Read> {
        let mut frames = Frames::default();
        let mut events = Vec::new();
        let mut from = 0;
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
        cuts.sort_unstable();
        for to in cuts.into_iter().chain([text.len()]) {
            frames.push(Bytes::copy_from_slice(&text[from..to]));
            from = to;
            while let Some(event) = frames.next_event() {
                events.push(event.expect("of a size"));
            }
        }
        events.extend(frames.take_rest());
        events.iter().map(|event| (event.name().map(<[u8]>::to_vec), event.data().map(Cow::into_owned))).collect()
    }

    #[test]
    fn events_are_read_with_every_ending_of_lines() {
        for text in [
            "event: a\ndata: 1\ndata:2\n\n: ping\n\ndata: 3",
            "event: a\r\ndata: 1\r\ndata:2\r\n\r\n: ping\r\n\r\ndata: 3",
            "event: a\rdata: 1\rdata:2\r\r: ping\r\rdata: 3",
        ] {
            let expected = [(Some(b"a".to_vec()), Some(b"1\n2".to_vec())), (None, None), (None, Some(b"3".to_vec()))];
            assert_eq!(split(text.as_bytes(), &[]), expected, "{text:?}");
        }
        assert_eq!(split("\u{feff}data: x\n\n".as_bytes(), &[]), [(None, Some(b"x".to_vec()))], "a byte order mark is no field");
    }

    proptest! {
        #[test]
        fn a_cut_changes_nothing(text in r"[a:d\r\n ]{0,60}", cuts in proptest::collection::vec(any::<usize>(), 0..20)) {
            assert_eq!(split(text.as_bytes(), &cuts), split(text.as_bytes(), &[]), "{text:?} {cuts:?}");
        }
    }

    #[test]
    fn one_byte_at_a_time_takes_linear_time_and_bounded_memory() {
        let mut frames = Frames::default();
        let mut oversized = false;
        for _ in 0..=EVENT_BYTES_MAX + 1 {
            frames.push(Bytes::from_static(b"x"));
            oversized |= matches!(frames.next_event(), Some(Err(Oversized)));
        }
        assert!(oversized, "an endless line is refused");
    }

    #[test]
    fn blank_lines_without_end_take_linear_time_too() {
        for blank in ["\n", "\r", "\r\n"] {
            let mut frames = Frames::default();
            frames.push(Bytes::from(blank.repeat(EVENT_BYTES_MAX + 1)));
            assert_eq!(frames.next_event(), Some(Err(Oversized)), "{blank:?}");
        }
    }
}
