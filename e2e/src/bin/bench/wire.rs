//! HTTP/1.1 as far as both ends of the benchmark need it: where a head ends, how long a body is, where an answer ends.
//! Both ends are ours or hyper's, so headers are looked for in lower case.

use memchr::memmem;

/// Where the head ends, when it is whole.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The value of `content-length`.
pub fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let at = memmem::find(head, NAME)? + NAME.len();
    let digits = head.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |value: Option<usize>, digit| Some(value.unwrap_or(0) * 10 + usize::from(digit - b'0')))
}

/// Follows one answer through the pieces it comes in.
#[derive(Debug, Default)]
pub struct Answer {
    head: Vec<u8>,
    length: Option<usize>,
    body: usize,
    tail: Vec<u8>,
    /// The status; 0 before the head is whole.
    pub status: u16,
    /// Events of a stream so far.
    pub events: u64,
}

/// How the body of a chunked answer ends.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

impl Answer {
    /// Takes the next piece; whether the answer is whole now.
    pub fn take(&mut self, piece: &[u8]) -> bool {
        if self.status != 0 {
            return self.take_body(piece);
        }
        let body = if self.head.is_empty() && head_end(piece).is_some() {
            self.read_head(piece).unwrap_or_default()
        } else {
            self.head.extend_from_slice(piece);
            let head = std::mem::take(&mut self.head);
            match self.read_head(&head) {
                Some(body) => return self.take_body(body),
                None => {
                    self.head = head;
                    return false;
                }
            }
        };
        self.take_body(body)
    }

    /// Whether the first byte of the body came.
    pub fn has_body(&self) -> bool {
        self.body > 0
    }

    fn read_head<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (head, body) = bytes.split_at(head_end(bytes)?);
        let digits = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
        self.status = digits.and_then(|digits| digits.parse().ok()).unwrap_or(599);
        self.length = content_length(head);
        Some(body)
    }

    fn take_body(&mut self, piece: &[u8]) -> bool {
        self.body += piece.len();
        if let Some(length) = self.length {
            return self.body >= length;
        }
        let split = self.tail.last() == Some(&b'\n') && piece.first() == Some(&b'\n');
        self.events += u64::from(split) + memmem::find_iter(piece, b"\n\n").count() as u64;
        self.tail.extend_from_slice(&piece[piece.len().saturating_sub(LAST_CHUNK.len())..]);
        self.tail.drain(..self.tail.len().saturating_sub(LAST_CHUNK.len()));
        self.tail.as_slice() == LAST_CHUNK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_or_its_last_chunk_says_wherever_it_is_cut() {
        for (answer, events) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"[..], 0),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: x\n\n\r\n9\r\ndata: y\n\n\r\n0\r\n\r\n", 2),
        ] {
            for cut in 1..answer.len() {
                let mut following = Answer::default();
                assert!(!following.take(&answer[..cut]), "cut at {cut}");
                assert!(following.take(&answer[cut..]), "cut at {cut}");
                assert_eq!((following.status, following.events), (200, events), "cut at {cut}");
            }
        }
    }
}
