//! Servers that speak OpenAI's chat and differ from it in ways that have names ([`snapshot::Quirk`]): requests are told as
//! they take them, answers are told as OpenAI tells them.
//!
//! Bytes that no quirk concerns pass as they are, and so does every answer of a server without quirks.

mod asked;
mod called;
mod counted;
mod told;

pub(crate) use asked::{ask, without};
pub(crate) use told::Mender;

use crate::json::{Scanner, Wrong, write_text};

/// An object under way: fields as they stood, others in their place.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Begins a field by its key as it stands, quotes included; its value is to follow.
    fn key(&mut self, key: &[u8]) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(key);
        self.out.push(b':');
        self.out
    }

    fn named(&mut self, name: &str) -> &mut Vec<u8> {
        let mut key = Vec::with_capacity(name.len() + 2);
        write_text(&mut key, name);
        self.key(&key)
    }

    fn field(&mut self, key: &[u8], value: &[u8]) {
        self.key(key).extend_from_slice(value);
    }

    fn text(&mut self, name: &str, text: &str) {
        write_text(self.named(name), text);
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

/// The value of a field of an object, as it stands.
fn value_of<'a>(object: &'a [u8], name: &str) -> Result<Option<&'a [u8]>, Wrong> {
    let mut found = None;
    Scanner::new(object).object::<Wrong>(|scanner, key| {
        let range = scanner.skip()?;
        if key.is(name) {
            found = Some(&object[range]);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Whether a field is there, and not null.
fn is_told(object: &[u8], name: &str) -> Result<bool, Wrong> {
    Ok(value_of(object, name)?.is_some_and(|value| value != b"null"))
}
