//! What the client asked, in our words.

use std::fmt;

use bytes::Bytes;
use providers::head::{BadBody, Head, opened};
use snapshot::Surface;

use super::{Body, Bound, Stored, Through};
use crate::seal::Seals;

/// A call whose body was read and understood as far as the gateway acts on it.
#[derive(Debug)]
pub struct Call {
    /// By which door it came.
    pub surface: Surface,
    /// What the gateway acts on.
    pub head: Head,
    /// The body, as it came.
    pub body: Body,
    /// Asked by a path of a provider: nobody reads the body, and the head is empty.
    pub through: Option<Box<Through>>,
    /// Asked of what a provider keeps: the head is empty.
    pub stored: Option<Box<Stored>>,
    /// Seals ids of what its answer says is kept.
    pub seals: Option<Seals>,
    /// What it names is kept somewhere.
    pub bound: Option<Bound>,
}

impl Call {
    /// Reads what was sent to a door.
    ///
    /// # Errors
    /// See [`BadBody`].
    pub fn read(surface: Surface, body: Body) -> Result<Self, BadBody> {
        let head = match &body {
            Body::Here(bytes) => Head::read(surface, bytes)?,
            Body::Form(form) => form.form.head.clone(),
        };
        Ok(Self { surface, head, body, through: None, stored: None, seals: None, bound: None })
    }

    /// A session with a model.
    #[must_use]
    pub fn of_session(surface: Surface, model: String, body: Body) -> Self {
        Self { head: Head::of_session(model), ..Self::of_path(surface, body, None, None) }
    }

    /// What is asked by a path.
    #[must_use]
    pub fn of_path(surface: Surface, body: Body, through: Option<Box<Through>>, stored: Option<Box<Stored>>) -> Self {
        Self { surface, head: Head::default(), body, through, stored, seals: None, bound: None }
    }

    /// With the provider's own ids in the place of those that its body names.
    ///
    /// # Errors
    /// See [`BadBody`].
    pub fn opened(self, body: &Bytes, ids: &[String], bound: Bound) -> Result<Self, BadBody> {
        let body = opened(body, &self.head, ids);
        let head = Head::read(self.surface, &body)?;
        Ok(Self { head, body: Body::Here(body), bound: Some(bound), ..self })
    }
}

/// The identity of a call: a UUIDv7, always ours.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId([u8; 36]);

impl CallId {
    /// Makes an id from the wall time and 74 random bits of two words.
    #[must_use]
    pub fn new(unix_ms: u64, random: [u64; 2]) -> Self {
        let high = (unix_ms & 0xffff_ffff_ffff) << 16 | 0x7000 | (random[0] & 0x0fff);
        let low = 0x8000_0000_0000_0000 | (random[1] >> 2);
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (word, _) in [(high, 0), (low, 1)] {
            for shift in (0..16).rev() {
                if matches!(at, 8 | 13 | 18 | 23) {
                    at += 1;
                }
                let nibble = (word >> (shift * 4) & 0xf) as u8;
                text[at] = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
                at += 1;
            }
        }
        Self(text)
    }

    /// The usual text with four hyphens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A client's own `x-request-id`: echoed and logged, nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRequestId(Box<str>);

impl ClientRequestId {
    /// Takes 1 to 128 characters of letters, digits and `._:/+=@-`; anything else is not taken.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let safe = |b: &u8| b.is_ascii_alphanumeric() || b"._:/+=@-".contains(b);
        let fits = !text.is_empty() && text.len() <= 128 && text.iter().all(safe);
        fits.then(|| std::str::from_utf8(text).ok().map(|text| Self(text.into()))).flatten()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_id_is_a_uuid_of_version_7_that_sorts_by_time() {
        let id = CallId::new(0x0193_5b3c_1a2b, [u64::MAX, u64::MAX]);
        assert_eq!(id.as_str(), "01935b3c-1a2b-7fff-bfff-ffffffffffff");
        let early = CallId::new(1, [u64::MAX, u64::MAX]);
        let late = CallId::new(2, [0, 0]);
        assert!(early.as_str() < late.as_str(), "ids sort by their millisecond");
    }

    #[test]
    fn a_client_request_id_is_taken_only_when_it_is_short_and_safe() {
        assert_eq!(ClientRequestId::new(b"trace-1:2").map(|id| id.as_str().to_owned()), Some("trace-1:2".into()));
        for bad in [&b""[..], b"a b", b"a\nb", b"\"", &[b'a'; 129], "é".as_bytes()] {
            assert_eq!(ClientRequestId::new(bad), None, "{bad:?}");
        }
    }
}
