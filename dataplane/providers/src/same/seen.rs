//! What is read of an answer that passes: where its usage stands, its errors, its end.

use std::ops::Range;

use snapshot::{FailureClass, Surface};

use crate::fault::Fault;
use crate::json::{Kind, Scanner, Wrong};
use crate::measure;

/// What stands at the top of an answer or of an event's data.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub usage: Option<Range<usize>>,
    pub error: Option<Range<usize>>,
    /// The whole of it is an error: `"object": "error"`, as Mistral and vLLM tell one.
    pub is_error: bool,
    /// The object that some events hold their news in: `message`, `response`, and Groq's `x_groq`.
    pub inner: Option<Range<usize>>,
    pub kind: Option<String>,
    pub model: Option<String>,
    /// `service_tier`: how it was served.
    pub service: Option<String>,
    pub no_choices: bool,
    pub finish: bool,
    /// Things in `data`: pictures of an answer.
    pub items: u64,
    /// `meta`, in which Cohere tells what is billed.
    pub meta: Option<Range<usize>>,
    /// `duration`: seconds of sound, in thousandths.
    pub duration: Option<u64>,
}

impl Seen {
    pub(super) fn read(json: &[u8]) -> Result<Self, Wrong> {
        let mut seen = Self::default();
        let mut scanner = Scanner::new(json);
        scanner.object(|scanner, key| {
            let kind = scanner.kind()?;
            if key.is("choices") && kind == Kind::Array {
                return seen.choices(scanner);
            }
            let texts = [("model", &mut seen.model), ("type", &mut seen.kind), ("service_tier", &mut seen.service)];
            if kind == Kind::Text
                && let Some((_, slot)) = texts.into_iter().find(|(name, _)| key.is(name))
            {
                *slot = Some(scanner.text()?.decode().into_owned());
                return Ok(());
            }
            if key.is("object") && kind == Kind::Text {
                seen.is_error = scanner.text()?.decode() == "error";
                return Ok(());
            }
            if key.is("data") && kind == Kind::Array {
                return scanner.array(|scanner| {
                    seen.items += 1;
                    scanner.pass()
                });
            }
            let range = scanner.skip()?;
            match kind {
                Kind::Number if key.is("duration") => seen.duration = measure::thousandths(&json[range]),
                Kind::Object if key.is("meta") => seen.meta = Some(range),
                Kind::Object if key.is("usage") => seen.usage = Some(range),
                Kind::Object | Kind::Text if key.is("error") => seen.error = Some(range),
                Kind::Object if key.is("message") || key.is("response") || key.is("x_groq") => seen.inner = Some(range),
                Kind::Object | Kind::Array | Kind::Text | Kind::Number | Kind::Bool | Kind::Null => {}
            }
            Ok::<(), Wrong>(())
        })?;
        scanner.end()?;
        Ok(seen)
    }

    /// Why a whole answer of success is none.
    pub(super) fn failure(&self, surface: Surface, body: &[u8]) -> Option<Fault> {
        if let Some(error) = &self.error {
            return Some(Fault::of_object(surface, &wrapped(&body[error.clone()])));
        }
        if self.is_error {
            return Some(Fault::of_object(surface, body));
        }
        let empty = self.no_choices && matches!(surface, Surface::ChatCompletions | Surface::Completions);
        empty.then(|| Fault::new(FailureClass::InvalidResponse, "the answer has no choices"))
    }

    fn choices(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Wrong> {
        self.no_choices = true;
        scanner.array(|scanner| {
            self.no_choices = false;
            if scanner.kind()? != Kind::Object {
                return scanner.skip().map(drop);
            }
            scanner.object(|scanner, key| {
                let told = scanner.kind()? == Kind::Text && key.is("finish_reason");
                self.finish |= told;
                scanner.skip().map(drop)
            })
        })
    }
}

/// A stream that says that it is over and nothing before.
pub(super) fn said_nothing() -> Fault {
    Fault::new(FailureClass::StreamBroken, "the stream ended before it said anything")
}

/// Where the usage inside an inner object stands.
pub(super) fn nested_usage(data: &[u8], inner: Option<Range<usize>>) -> Option<Range<usize>> {
    let inner = inner?;
    let usage = Seen::read(&data[inner.clone()]).ok()?.usage?;
    Some(inner.start + usage.start..inner.start + usage.end)
}

/// Whether `: null` follows a key.
pub(super) fn is_null(after: &[u8]) -> bool {
    let value = after.trim_ascii_start().strip_prefix(b":");
    value.is_some_and(|value| value.trim_ascii_start().starts_with(b"null"))
}

/// An error object as the readers of faults want it: under `error`.
pub(super) fn wrapped(error: &[u8]) -> Vec<u8> {
    [b"{\"error\":", error, b"}"].concat()
}
