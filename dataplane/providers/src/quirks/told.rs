//! Answers, told as OpenAI tells them. What needs no mending is left as it is.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::value::RawValue;
use snapshot::{FailureClass, Quirk};

use super::Object;
use crate::fault::Fault;
use crate::json::{Kind, Scanner, Wrong, comma, write_text};
use crate::translate::{id_of_call, thoughts_and_words};

/// Reads answers of one call: one whole, or the chunks of a stream in order.
#[derive(Debug)]
pub(crate) struct Mender {
    quirks: BTreeSet<Quirk>,
    /// The client is to see the usage of its stream.
    tells_usage: bool,
    choices: Vec<Choice>,
    /// Id and model of the last chunk, as they stand.
    id: Vec<u8>,
    model: Vec<u8>,
}

/// What was seen of one choice.
#[derive(Debug, Default)]
struct Choice {
    index: u64,
    calls: Vec<Call>,
    called: bool,
    /// A reason to finish was told, or an empty text in its place.
    finished: bool,
    blank: bool,
}

#[derive(Debug, Default)]
struct Call {
    /// Whatever the server says of its place.
    index: u64,
    id: String,
    argued: bool,
}

/// More choices, and more calls of one, are not followed.
const FOLLOWED_MAX: usize = 1024;

/// Whether a value was told otherwise than it stood.
type Changed = bool;

enum Stop {
    Wrong,
    Fault(Fault),
}

impl From<Wrong> for Stop {
    fn from(_: Wrong) -> Self {
        Self::Wrong
    }
}

impl Mender {
    /// `None`: nothing of an answer is told otherwise.
    pub(crate) fn new(quirks: &BTreeSet<Quirk>, tells_usage: bool) -> Option<Self> {
        let quirks: BTreeSet<Quirk> = quirks.iter().copied().filter(|quirk| !quirk.is_of_requests()).collect();
        if quirks.is_empty() {
            return None;
        }
        Some(Self { quirks, tells_usage, choices: Vec::new(), id: Vec::new(), model: Vec::new() })
    }

    fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// A whole answer, or the data of one event. `None`: it stays as it is. What is no answer is left to those who read it.
    ///
    /// # Errors
    /// An error that it holds.
    pub(crate) fn mend(&mut self, json: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let mut out = Vec::with_capacity(json.len() + 64);
        match self.answer(json, &mut out) {
            Ok(true) => Ok(Some(out)),
            Ok(false) | Err(Stop::Wrong) => Ok(None),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    }

    /// The chunk that a stream lacks at its end: a reason to finish that was told as an empty text.
    pub(crate) fn missing_end(&mut self) -> Option<Vec<u8>> {
        let choice = self.choices.iter_mut().find(|choice| choice.blank && !choice.finished)?;
        choice.finished = true;
        let (index, reason) = (choice.index, if choice.called { "tool_calls" } else { "stop" });
        let mut out = Vec::new();
        let mut chunk = Object::open(&mut out);
        for (name, raw) in [("id", &self.id), ("model", &self.model)] {
            if !raw.is_empty() {
                chunk.named(name).extend_from_slice(raw);
            }
        }
        chunk.text("object", "chat.completion.chunk");
        chunk
            .named("choices")
            .extend_from_slice(format!("[{{\"index\":{index},\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]").as_bytes());
        chunk.close();
        Some(out)
    }

    fn answer(&mut self, json: &[u8], out: &mut Vec<u8>) -> Result<Changed, Stop> {
        let mut changed = false;
        let (mut usage_told, mut usage_elsewhere) = (false, None);
        let mut object = Object::open(out);
        Scanner::new(json).object(|scanner, key| {
            let kind = scanner.kind()?;
            let raw = &json[scanner.skip()?];
            if key.is("id") || key.is("model") {
                raw.clone_into(if key.is("id") { &mut self.id } else { &mut self.model });
            }
            if key.is("choices") && kind == Kind::Array {
                changed |= self.choices(raw, object.key(key.raw))?;
                return Ok(());
            }
            if key.is("usage") && kind == Kind::Object {
                usage_told = true;
                if let Some(mended) = self.usage(raw) {
                    changed = true;
                    object.field(key.raw, &mended);
                    return Ok(());
                }
            }
            if key.is("x_groq") && kind == Kind::Object && self.has(Quirk::UsageInXGroq) && self.tells_usage {
                usage_elsewhere = value_of(raw, "usage")?.filter(|usage| usage.starts_with(b"{"));
            }
            if key.is("base_resp") && kind == Kind::Object && self.has(Quirk::ErrorsInAnswers) {
                refused(raw)?;
            }
            object.field(key.raw, raw);
            Ok::<(), Stop>(())
        })?;
        if let Some(usage) = usage_elsewhere.filter(|_| !usage_told) {
            changed = true;
            object.named("usage").extend_from_slice(usage);
        }
        object.close();
        Ok(changed)
    }

    /// Thoughts that the total alone counts are told among the answer's tokens.
    fn usage(&self, raw: &[u8]) -> Option<Vec<u8>> {
        if !self.has(Quirk::ReasoningApart) {
            return None;
        }
        let count = |name| value_of(raw, name).ok().flatten().and_then(|raw| std::str::from_utf8(raw).ok()?.parse::<u64>().ok());
        let (prompt, completion, total) = (count("prompt_tokens")?, count("completion_tokens")?, count("total_tokens")?);
        let told = total.checked_sub(prompt).filter(|told| *told > completion)?;
        let mut out = Vec::with_capacity(raw.len() + 8);
        let mut object = Object::open(&mut out);
        let read = Scanner::new(raw).object::<Wrong>(|scanner, key| {
            let value = &raw[scanner.skip()?];
            if key.is("completion_tokens") {
                object.field(key.raw, told.to_string().as_bytes())
            } else {
                object.field(key.raw, value)
            }
            Ok(())
        });
        object.close();
        read.is_ok().then_some(out)
    }

    fn choices(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<Changed, Stop> {
        let mut changed = false;
        let mut place = 0;
        out.push(b'[');
        Scanner::new(raw).array(|scanner| {
            comma(place, out);
            place += 1;
            let kind = scanner.kind()?;
            let choice = &raw[scanner.skip()?];
            if kind == Kind::Object {
                changed |= self.choice(choice, out)?;
            } else {
                out.extend_from_slice(choice);
            }
            Ok::<(), Stop>(())
        })?;
        out.push(b']');
        Ok(changed)
    }

    fn choice(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<Changed, Stop> {
        let index = value_of(raw, "index")?.and_then(|raw| std::str::from_utf8(raw).ok()?.parse().ok()).unwrap_or(0);
        let place = match self.choices.iter().position(|choice| choice.index == index) {
            Some(place) => place,
            None if self.choices.len() >= FOLLOWED_MAX => return Err(Stop::Wrong),
            None => {
                self.choices.push(Choice { index, ..Choice::default() });
                self.choices.len() - 1
            }
        };
        let mut changed = false;
        let mut reason_at_last = None;
        let mut object = Object::open(out);
        Scanner::new(raw).object(|scanner, key| {
            let kind = scanner.kind()?;
            let value = &raw[scanner.skip()?];
            if (key.is("message") || key.is("delta")) && kind == Kind::Object {
                let whole = key.is("message");
                changed |= self.message(place, whole, value, object.key(key.raw))?;
            } else if key.is("finish_reason") && kind == Kind::Text && self.has(Quirk::FinishReasons) {
                // Told last, when it is known whether tools are called.
                reason_at_last = Some((key.raw, value));
            } else {
                object.field(key.raw, value);
            }
            Ok::<(), Stop>(())
        })?;
        if let Some((key, value)) = reason_at_last {
            let whole = value_of(raw, "message")?.is_some();
            let reason = self.reason(place, whole, value)?;
            changed |= reason != value;
            object.field(key, &reason);
        }
        object.close();
        Ok(changed)
    }

    fn reason<'a>(&mut self, place: usize, whole: bool, value: &'a [u8]) -> Result<Cow<'a, [u8]>, Stop> {
        let choice = &mut self.choices[place];
        if !whole && choice.finished {
            // Some tell it twice.
            return Ok(Cow::Borrowed(b"null"));
        }
        choice.finished = whole || value != b"\"\"";
        let usual: &[u8] = if choice.called { b"\"tool_calls\"" } else { b"\"stop\"" };
        Ok(match value {
            b"\"length\"" | b"\"content_filter\"" | b"\"tool_calls\"" | b"\"function_call\"" => Cow::Borrowed(value),
            b"\"\"" if !whole => {
                choice.blank = true;
                Cow::Borrowed(b"null")
            }
            b"\"model_length\"" | b"\"max_tokens\"" => Cow::Borrowed(b"\"length\""),
            b"\"sensitive\"" => Cow::Borrowed(b"\"content_filter\""),
            b"\"error\"" | b"\"network_error\"" => {
                let message = "the model failed in the middle of its answer";
                return Err(Stop::Fault(Fault::new(FailureClass::ServerError, message)));
            }
            _ => Cow::Owned(usual.to_vec()),
        })
    }

    fn message(&mut self, place: usize, whole: bool, raw: &[u8], out: &mut Vec<u8>) -> Result<Changed, Stop> {
        let mut changed = false;
        let mut thoughts = None;
        let mut thoughts_told = false;
        let mut object = Object::open(out);
        Scanner::new(raw).object(|scanner, key| {
            let kind = scanner.kind()?;
            let value = &raw[scanner.skip()?];
            thoughts_told |= key.is("reasoning_content") && kind == Kind::Text;
            if key.is("content") && kind == Kind::Array && self.has(Quirk::ContentParts) {
                let list: &RawValue = serde_json::from_slice(value).map_err(|_| Stop::Wrong)?;
                let (thought, words) = thoughts_and_words(list).map_err(|_| Stop::Wrong)?;
                write_text(object.key(key.raw), &words);
                let mut thinking = Vec::new();
                write_text(&mut thinking, &thought);
                thoughts = (!thought.is_empty()).then_some(thinking);
                changed = true;
                return Ok(());
            }
            if key.is("reasoning") && kind == Kind::Text && value != b"\"\"" && self.has(Quirk::Reasoning) {
                thoughts = Some(value.to_vec());
            }
            if key.is("tool_calls") && kind == Kind::Array {
                changed |= self.calls(place, whole, value, object.key(key.raw))?;
                return Ok(());
            }
            object.field(key.raw, value);
            Ok::<(), Stop>(())
        })?;
        if let Some(thoughts) = thoughts.filter(|_| !thoughts_told) {
            changed = true;
            object.named("reasoning_content").extend_from_slice(&thoughts);
        }
        object.close();
        Ok(changed)
    }

    fn calls(&mut self, place: usize, whole: bool, raw: &[u8], out: &mut Vec<u8>) -> Result<Changed, Stop> {
        let numbers = self.has(Quirk::CallIds);
        let choice = &mut self.choices[place];
        let mut changed = false;
        let mut at = 0;
        out.push(b'[');
        Scanner::new(raw).array(|scanner| {
            choice.called = true;
            comma(at, out);
            at += 1;
            let kind = scanner.kind()?;
            let call = &raw[scanner.skip()?];
            if !numbers || kind != Kind::Object {
                out.extend_from_slice(call);
                return Ok(());
            }
            changed |= choice.call(whole, call, &self.id, out)?;
            Ok::<(), Stop>(())
        })?;
        out.push(b']');
        Ok(changed)
    }
}

impl Choice {
    /// Gives a call its id, and in a stream its number.
    fn call(&mut self, whole: bool, raw: &[u8], answer: &[u8], out: &mut Vec<u8>) -> Result<Changed, Stop> {
        let text = |raw: Option<&[u8]>| raw.and_then(|raw| serde_json::from_slice::<String>(raw).ok()).unwrap_or_default();
        let function = value_of(raw, "function")?.filter(|raw| raw.starts_with(b"{")).unwrap_or(b"{}");
        let (id, name) = (text(value_of(raw, "id")?), text(value_of(function, "name")?));
        let argued = !text(value_of(function, "arguments")?).is_empty();
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
        }
        Scanner::new(raw).object::<Wrong>(|scanner, key| {
            let value = &raw[scanner.skip()?];
            if !key.is("index") && !key.is("id") {
                object.field(key.raw, value);
            }
            Ok(())
        })?;
        object.close();
        Ok(true)
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

/// An error in `base_resp`, by MiniMax's numbers.
fn refused(raw: &[u8]) -> Result<(), Stop> {
    let code = value_of(raw, "status_code")?.and_then(|raw| std::str::from_utf8(raw).ok()?.parse::<u32>().ok()).unwrap_or(0);
    let class = match code {
        0 => return Ok(()),
        1001 => FailureClass::Timeout,
        1002 | 1039 | 1041 | 2045 => FailureClass::RateLimited,
        1004 | 2049 => FailureClass::AuthFailed,
        1008 | 2056 => FailureClass::QuotaExceeded,
        1026 | 1027 => FailureClass::ContentFiltered,
        1042 | 2013 => FailureClass::BadRequest,
        _ => FailureClass::ServerError,
    };
    let message = value_of(raw, "status_msg")?.and_then(|raw| serde_json::from_slice::<String>(raw).ok());
    Err(Stop::Fault(Fault::new(class, message.unwrap_or_else(|| format!("the provider refused with code {code}")))))
}
