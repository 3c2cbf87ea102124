//! Amazon's event stream: binary frames with two checksums, cut anywhere. One frame of buffer.
//!
//! A frame is `total length (4), length of headers (4), CRC-32 of those 8 bytes (4), headers, payload, CRC-32 of all before
//! it (4)`, numbers big-endian. A header is `length of name (1), name, type (1), value`; only texts (type 7) matter here.
//! Source: the specification of `application/vnd.amazon.eventstream`.

use bytes::{Bytes, BytesMut};

use crate::sse::EVENT_BYTES_MAX;

/// Two lengths and their checksum.
const PRELUDE: usize = 12;
/// The checksum at the end.
const TAIL: usize = 4;
/// Largest headers, by the specification.
const HEADERS_MAX: usize = 128 << 10;

/// Why bytes are no event stream. Nothing that follows is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A length is impossible.
    Length,
    /// A checksum does not fit.
    Checksum,
    /// The headers cannot be read.
    Headers,
    /// A frame is larger than is taken.
    Oversized,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// `:event-type`, or `:exception-type` of an exception, or `:error-code` of an error.
    pub kind: String,
    /// What it holds.
    pub payload: Bytes,
    /// It is no event but an exception or an error: what is sent has failed.
    pub failed: bool,
}

/// Splits a stream into frames.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
}

impl Frames {
    /// Takes bytes.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn next_frame(&mut self) -> Option<Result<Frame, Broken>> {
        let total = self.length()?;
        let total = match total {
            Ok(total) => total,
            Err(broken) => return Some(Err(broken)),
        };
        (self.buffer.len() >= total).then(|| frame(self.buffer.split_to(total).freeze()))
    }

    /// Whether a frame has begun that did not end.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The length of the frame at hand, checked as soon as it is known: no stranger's number makes this wait for gigabytes.
    fn length(&self) -> Option<Result<usize, Broken>> {
        let prelude = self.buffer.first_chunk::<PRELUDE>()?;
        let (total, headers) = (number(&prelude[..4]), number(&prelude[4..8]));
        if crc32(&prelude[..8]) != number(&prelude[8..]) {
            return Some(Err(Broken::Checksum));
        }
        let (Ok(total), Ok(headers)) = (usize::try_from(total), usize::try_from(headers)) else { return Some(Err(Broken::Length)) };
        if total > EVENT_BYTES_MAX {
            return Some(Err(Broken::Oversized));
        }
        if headers > HEADERS_MAX || total < PRELUDE + headers + TAIL {
            return Some(Err(Broken::Length));
        }
        Some(Ok(total))
    }
}

fn frame(whole: Bytes) -> Result<Frame, Broken> {
    let body = whole.len() - TAIL;
    if crc32(&whole[..body]) != number(&whole[body..]) {
        return Err(Broken::Checksum);
    }
    let headers = usize::try_from(number(&whole[4..8])).map_err(|_| Broken::Length)?;
    let (kind, failed) = kind(&whole[PRELUDE..PRELUDE + headers])?;
    Ok(Frame { kind, payload: whole.slice(PRELUDE + headers..body), failed })
}

/// What the headers say that a frame is, and whether it is a failure.
fn kind(mut headers: &[u8]) -> Result<(String, bool), Broken> {
    let mut found = String::new();
    let mut failed = false;
    while !headers.is_empty() {
        let name = take(&mut headers, 1).and_then(|length| take(&mut headers, usize::from(length[0])))?;
        let value_type = take(&mut headers, 1)?[0];
        let value = match value_type {
            // True, false.
            0 | 1 => &[][..],
            2 => take(&mut headers, 1)?,
            3 => take(&mut headers, 2)?,
            4 => take(&mut headers, 4)?,
            5 | 8 => take(&mut headers, 8)?,
            6 | 7 => {
                let length = take(&mut headers, 2)?;
                take(&mut headers, usize::from(u16::from_be_bytes([length[0], length[1]])))?
            }
            9 => take(&mut headers, 16)?,
            _ => return Err(Broken::Headers),
        };
        if value_type == 7 && matches!(name, b":event-type" | b":exception-type" | b":error-code") {
            found = String::from_utf8_lossy(value).into_owned();
        }
        failed |= value_type == 7 && name == b":message-type" && matches!(value, b"exception" | b"error");
    }
    Ok((found, failed))
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], Broken> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or(Broken::Headers)?;
    *bytes = rest;
    Ok(taken)
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// CRC-32 as zlib has it.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(u32::MAX, |crc, byte| TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ crc >> 8)
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}
