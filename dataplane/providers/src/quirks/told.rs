//! Answers, told as OpenAI tells them. What needs no mending is left as it is.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::value::RawValue;
use snapshot::{FailureClass, Quirk};

use super::called::Call;
use super::{Object, counted, is_told, value_of};
use crate::fault::Fault;
use crate::json::{Kind, Scanner, Wrong, comma, write_text};
use crate::translate::{id_of_call, thoughts_and_words};

/// Reads answers of one call: one whole, or the chunks of a stream in order.
#[derive(Debug)]
pub(crate) struct Mender {
    quirks: BTreeSet<Quirk>,
    reads: Reads,
    choices: Vec<Choice>,
    /// Id, model, time and tier of the last chunk, as they stand.
    id: Vec<u8>,
    model: Vec<u8>,
    created: Vec<u8>,
    service: Vec<u8>,
    /// The last usage that stood beside a choice.
    usage: Option<Vec<u8>>,
    /// The model that was asked for.
    asked: String,
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    Whole,
    /// The client is to see the usage of its stream, or not.
    Stream {
        tells_usage: bool,
    },
}

/// What was seen of one choice.
#[derive(Debug, Default)]
pub(super) struct Choice {
    index: u64,
    begun: bool,
    pub(super) calls: Vec<Call>,
    called: bool,
    /// A reason to finish was told, or an empty text in its place.
    finished: bool,
    blank: bool,
}

/// More choices, and more calls of one, are not followed.
pub(super) const FOLLOWED_MAX: usize = 1024;

/// What a message or delta is of its choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Piece,
    /// The piece beside the reason to finish.
    Last,
}

/// Whether a value was told otherwise than it stood.
pub(super) type Changed = bool;

pub(super) enum Stop {
    Wrong,
    Fault(Fault),
}

impl From<Wrong> for Stop {
    fn from(_: Wrong) -> Self {
        Self::Wrong
    }
}

impl Mender {
    /// Reads one answer. `None`: nothing of it is told otherwise.
    pub(crate) fn of_whole(quirks: &BTreeSet<Quirk>, asked: &str) -> Option<Self> {
        Self::new(quirks, Reads::Whole, asked)
    }

    /// Reads a stream, of which the client is to see the usage, or not.
    pub(crate) fn of_stream(quirks: &BTreeSet<Quirk>, tells_usage: bool, asked: &str) -> Option<Self> {
        Self::new(quirks, Reads::Stream { tells_usage }, asked)
    }

    fn new(quirks: &BTreeSet<Quirk>, reads: Reads, asked: &str) -> Option<Self> {
        let quirks: BTreeSet<Quirk> = quirks.iter().copied().filter(|quirk| !quirk.is_of_requests()).collect();
        if quirks.is_empty() {
            return None;
        }
        let (choices, id, model, created, service, usage) = Default::default();
        Some(Self { quirks, reads, choices, id, model, created, service, usage, asked: asked.to_owned() })
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

    /// A chunk that a stream lacks at its end: a reason to finish that was told as an empty text, then the usage that stood
    /// beside a choice.
    pub(crate) fn missing_end(&mut self) -> Option<Vec<u8>> {
        let Some(choice) = self.choices.iter_mut().find(|choice| choice.blank && !choice.finished) else {
            let usage = self.usage.take()?;
            return Some(self.chunk(b"[]", Some(&usage)));
        };
        choice.finished = true;
        let (index, reason) = (choice.index, if choice.called { "tool_calls" } else { "stop" });
        Some(self.chunk(format!("[{{\"index\":{index},\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]").as_bytes(), None))
    }

    /// The last usage that stood beside a choice, until it is told.
    pub(crate) fn usage_so_far(&self) -> Option<&[u8]> {
        self.usage.as_deref()
    }

    /// A chunk of our own.
    fn chunk(&self, choices: &[u8], usage: Option<&[u8]>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut chunk = Object::open(&mut out);
        for (name, raw) in [("id", &self.id), ("model", &self.model), ("created", &self.created)] {
            if !raw.is_empty() {
                chunk.named(name).extend_from_slice(raw);
            }
        }
        chunk.text("object", "chat.completion.chunk");
        chunk.named("choices").extend_from_slice(choices);
        if let Some(usage) = usage {
            if !self.service.is_empty() {
                chunk.named("service_tier").extend_from_slice(&self.service);
            }
            chunk.named("usage").extend_from_slice(usage);
        }
        chunk.close();
        out
    }

    fn answer(&mut self, json: &[u8], out: &mut Vec<u8>) -> Result<Changed, Stop> {
        let mut changed = false;
        let (mut usage_told, mut usage_elsewhere) = (false, None);
        let loose = self.has(Quirk::LooseChunks);
        let beside_choice = loose && self.reads != Reads::Whole && has_choices(json)?;
        let mut object = Object::open(out);
        if loose && value_of(json, "choices")?.is_some() {
            let told = self.formal_head(json, &mut object)?;
            changed |= told;
        }
        Scanner::new(json).object(|scanner, key| {
            let kind = scanner.kind()?;
            let raw = &json[scanner.skip()?];
            if loose && (key.is("id") || key.is("object") || key.is("model") && raw == b"\"\"") {
                return Ok(());
            }
            if key.is("id") || key.is("model") || key.is("created") {
                let last = if key.is("id") {
                    &mut self.id
                } else if key.is("model") {
                    &mut self.model
                } else {
                    &mut self.created
                };
                raw.clone_into(last);
            }
            if key.is("service_tier") {
                raw.clone_into(&mut self.service);
            }
            if key.is("choices") && kind == Kind::Array {
                changed |= self.choices(raw, object.key(key.raw))?;
                return Ok(());
            }
            if key.is("usage") && kind == Kind::Object {
                usage_told = true;
                let mended = counted::usage(&self.quirks, raw);
                changed |= mended.is_some() || beside_choice;
                let usage = mended.map_or(Cow::Borrowed(raw), Cow::Owned);
                if beside_choice {
                    self.usage = Some(usage.into_owned());
                } else {
                    // What stood beside a choice was less.
                    self.usage = None;
                    object.field(key.raw, &usage);
                }
                return Ok(());
            }
            if key.is("x_groq")
                && kind == Kind::Object
                && self.has(Quirk::UsageInXGroq)
                && self.reads == (Reads::Stream { tells_usage: true })
            {
                usage_elsewhere = value_of(raw, "usage")?.filter(|usage| usage.starts_with(b"{"));
            }
            if key.is("base_resp") && kind == Kind::Object && self.has(Quirk::ErrorsInAnswers) {
                refused(raw)?;
            }
            object.field(key.raw, raw);
            Ok::<(), Stop>(())
        })?;
        if let Some(usage) = usage_elsewhere.filter(|_| !usage_told) {
            if beside_choice {
                self.usage = Some(usage.to_vec());
            } else {
                changed = true;
                object.named("usage").extend_from_slice(usage);
            }
        }
        object.close();
        Ok(changed)
    }

    /// An id that does not change, of our own where there is none, what kind of object it is, and a model where its name is blank.
    fn formal_head(&mut self, json: &[u8], object: &mut Object<'_>) -> Result<Changed, Wrong> {
        let (id, kind) = (value_of(json, "id")?.filter(|id| !matches!(*id, b"\"\"" | b"null")), value_of(json, "object")?);
        match id {
            Some(id) if self.id.is_empty() => id.clone_into(&mut self.id),
            None if self.id.is_empty() => {
                write_text(&mut self.id, &id_of_call("", &String::from_utf8_lossy(json), 0).replace("call_", "chatcmpl-"));
            }
            Some(_) | None => {}
        }
        let formal: &[u8] = if self.reads == Reads::Whole { b"\"chat.completion\"" } else { b"\"chat.completion.chunk\"" };
        object.named("id").extend_from_slice(&self.id);
        object.named("object").extend_from_slice(formal);
        if value_of(json, "model")? == Some(b"\"\"") {
            self.model.clear();
            write_text(&mut self.model, &self.asked);
            object.named("model").extend_from_slice(&self.model);
            return Ok(true);
        }
        Ok(id != Some(&self.id) || kind != Some(formal))
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
        let ends = value_of(raw, "finish_reason")?.is_some_and(|reason| reason != b"null");
        let mut object = Object::open(out);
        Scanner::new(raw).object(|scanner, key| {
            let kind = scanner.kind()?;
            let value = &raw[scanner.skip()?];
            if (key.is("message") || key.is("delta")) && kind == Kind::Object {
                let part = if key.is("message") {
                    Part::Whole
                } else if ends {
                    Part::Last
                } else {
                    Part::Piece
                };
                changed |= self.message(place, part, value, object.key(key.raw))?;
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

    fn message(&mut self, place: usize, part: Part, raw: &[u8], out: &mut Vec<u8>) -> Result<Changed, Stop> {
        let mut changed = false;
        let mut thoughts = None;
        let mut thoughts_told = false;
        let begun = part != Part::Whole && std::mem::replace(&mut self.choices[place].begun, true);
        let role_told = begun && self.has(Quirk::LooseChunks);
        let role_missing = !begun && part != Part::Whole && self.has(Quirk::LooseChunks) && !is_told(raw, "role")?;
        let mut calls_told = false;
        let mut object = Object::open(out);
        Scanner::new(raw).object(|scanner, key| {
            let kind = scanner.kind()?;
            let value = &raw[scanner.skip()?];
            thoughts_told |= key.is("reasoning_content") && kind == Kind::Text;
            if (role_told || role_missing) && key.is("role") {
                changed = true;
                return Ok(());
            }
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
                calls_told = true;
                changed |= self.calls(place, part, value, object.key(key.raw))?;
                return Ok(());
            }
            object.field(key.raw, value);
            Ok::<(), Stop>(())
        })?;
        if role_missing {
            changed = true;
            object.text("role", "assistant");
        }
        if !calls_told && part == Part::Last && self.choices[place].calls.iter().any(|call| !call.argued) {
            changed |= self.calls(place, part, b"[]", object.named("tool_calls"))?;
        }
        if let Some(thoughts) = thoughts.filter(|_| !thoughts_told) {
            changed = true;
            object.named("reasoning_content").extend_from_slice(&thoughts);
        }
        object.close();
        Ok(changed)
    }

    fn calls(&mut self, place: usize, part: Part, raw: &[u8], out: &mut Vec<u8>) -> Result<Changed, Stop> {
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
            changed |= choice.call(part == Part::Whole, call, &self.id, out)?;
            Ok::<(), Stop>(())
        })?;
        // Arguments are an object, also where there are none.
        for (index, call) in choice.calls.iter_mut().enumerate().filter(|(_, call)| part == Part::Last && !call.argued) {
            call.argued = true;
            changed = true;
            comma(at, out);
            at += 1;
            out.extend_from_slice(format!("{{\"index\":{index},\"function\":{{\"arguments\":\"{{}}\"}}}}").as_bytes());
        }
        out.push(b']');
        Ok(changed)
    }
}

/// Whether a chunk tells of a choice.
fn has_choices(chunk: &[u8]) -> Result<bool, Wrong> {
    let choices = value_of(chunk, "choices")?;
    Ok(choices.is_some_and(|choices| choices.starts_with(b"[") && choices[1..].trim_ascii() != b"]"))
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
