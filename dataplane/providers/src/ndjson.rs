//! Streams of lines, each a JSON text: bytes cut anywhere become whole lines. One line of buffer, linear time for any cut.

use bytes::{Buf, Bytes, BytesMut};

use crate::sse::{EVENT_BYTES_MAX, Oversized};

/// Splits a stream into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    buffer: BytesMut,
    /// Up to here the buffer holds no end of a line.
    searched: usize,
}

impl Lines {
    /// Takes more bytes.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole line that says something, without its end.
    ///
    /// # Errors
    /// A line that is too long, after which the stream is of no use.
    pub(crate) fn next_line(&mut self) -> Option<Result<Bytes, Oversized>> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(found) = memchr::memchr(b'\n', rest) else {
                self.searched = self.buffer.len();
                return (self.buffer.len() > EVENT_BYTES_MAX).then_some(Err(Oversized));
            };
            let line = self.buffer.split_to(self.searched + found).freeze();
            self.buffer.advance(1);
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return Some(Ok(line));
            }
        }
    }

    /// What is left at the end of the stream.
    pub(crate) fn take_rest(&mut self) -> Option<Bytes> {
        self.searched = 0;
        let rest = std::mem::take(&mut self.buffer).freeze();
        (!rest.trim_ascii().is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn split(text: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in text.chunks(size) {
            lines.push(chunk);
            while let Some(line) = lines.next_line() {
                found.push(line.expect("of a size").to_vec());
            }
        }
        found.extend(lines.take_rest().map(|rest| rest.to_vec()));
        found
    }

    proptest! {
        #[test]
        fn a_cut_changes_nothing(text in r"[a\r\n ]{0,60}", size in 1_usize..20) {
            assert_eq!(split(text.as_bytes(), size), split(text.as_bytes(), usize::MAX));
        }

        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            split(&bytes, 3);
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; EVENT_BYTES_MAX + 1]);
        assert!(matches!(lines.next_line(), Some(Err(Oversized))));
    }
}
