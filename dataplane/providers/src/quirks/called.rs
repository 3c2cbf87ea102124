//! Tool calls, told as OpenAI tells them.

use std::borrow::Cow;

use super::told::{Changed, Choice, FOLLOWED_MAX, Stop};
use super::{Object, is_told, value_of};
use crate::json::{Scanner, Wrong, write_text};
use crate::translate::id_of_call;

/// A call, as far as it was told.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// Whatever the server says of its place.
    index: u64,
    id: String,
    pub(super) argued: bool,
}

impl Choice {
    /// Gives a call its id, and in a stream its number.
    pub(super) fn call(&mut self, whole: bool, raw: &[u8], answer: &[u8], out: &mut Vec<u8>) -> Result<Changed, Stop> {
        let text = |raw: Option<&[u8]>| raw.and_then(|raw| serde_json::from_slice::<String>(raw).ok()).unwrap_or_default();
        let function = value_of(raw, "function")?.filter(|raw| raw.starts_with(b"{")).unwrap_or(b"{}");
        let (id, name) = (text(value_of(raw, "id")?), text(value_of(function, "name")?));
        let argued = value_of(function, "arguments")?.is_some_and(|told| !matches!(told, b"null" | b"\"\""));
        let index = value_of(raw, "index")?.and_then(|raw| std::str::from_utf8(raw).ok()?.parse().ok()).unwrap_or(0);
        let known = self.calls.iter().rposition(|call| call.index == index).filter(|_| !whole);
        let follows = |call: &Call| !name.is_empty() && if id.is_empty() { call.argued } else { id != call.id };
        let begins = known.is_none_or(|place| follows(&self.calls[place]));
        let place = match known.filter(|_| !begins) {
            Some(place) => place,
            None if self.calls.len() >= FOLLOWED_MAX => return Err(Stop::Wrong),
            None => {
                self.calls.push(Call { index, id: id.clone(), argued: false });
                self.calls.len() - 1
            }
        };
        self.calls[place].argued |= argued;
        let mut object = Object::open(out);
        if !whole {
            object.named("index").extend_from_slice(place.to_string().as_bytes());
        }
        if begins {
            let given = if id.is_empty() { id_of_call("", &String::from_utf8_lossy(answer), place) } else { Cow::Borrowed(&*id) };
            object.text("id", &given);
            if !is_told(raw, "type")? {
                object.text("type", "function");
            }
        }
        Scanner::new(raw).object::<Wrong>(|scanner, key| {
            let value = &raw[scanner.skip()?];
            if key.is("function") && value.starts_with(b"{") {
                named(value, whole, object.key(key.raw))?;
            } else if !(key.is("index") || key.is("id") || key.is("type") && value == b"null") {
                object.field(key.raw, value);
            }
            Ok(())
        })?;
        object.close();
        Ok(true)
    }
}

/// What is called, with its arguments as the text of an object. In a whole answer there are always some.
fn named(function: &[u8], whole: bool, out: &mut Vec<u8>) -> Result<(), Wrong> {
    let mut object = Object::open(out);
    let mut arguments: Option<Cow<'_, [u8]>> = whole.then_some(Cow::Borrowed(b"\"{}\""));
    Scanner::new(function).object::<Wrong>(|scanner, key| {
        let value = &function[scanner.skip()?];
        if !key.is("arguments") {
            object.field(key.raw, value);
        } else if value.starts_with(b"{") {
            let mut text = Vec::with_capacity(value.len() + 2);
            write_text(&mut text, &String::from_utf8_lossy(value));
            arguments = Some(Cow::Owned(text));
        } else if !(matches!(value, b"null") || whole && value == b"\"\"") {
            arguments = Some(Cow::Borrowed(value));
        }
        Ok(())
    })?;
    if let Some(arguments) = arguments {
        object.named("arguments").extend_from_slice(&arguments);
    }
    object.close();
    Ok(())
}
