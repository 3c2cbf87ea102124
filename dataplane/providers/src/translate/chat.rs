//! The conversation in the middle: what dialects can say, borrowed from the bytes that were read.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use snapshot::Usage;

use crate::json::{Scanner, Wrong};
use crate::passage::CannotSay;

/// A request.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    /// Texts before the conversation, each with its cache mark.
    pub(super) system: Vec<(Cow<'a, str>, Option<&'a [u8]>)>,
    pub(super) turns: Vec<Turn<'a>>,
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) choice: Option<Choice<'a>>,
    pub(super) parallel: Option<bool>,
    pub(super) max_tokens: Option<u64>,
    /// Numbers as they were written.
    pub(super) temperature: Option<&'a [u8]>,
    pub(super) top_p: Option<&'a [u8]>,
    pub(super) stop: Vec<Cow<'a, str>>,
    pub(super) user: Option<Cow<'a, str>>,
    /// A JSON schema that the answer must follow.
    pub(super) schema: Option<&'a [u8]>,
    /// The answer must be JSON, of any schema.
    pub(super) json: bool,
    /// What only some targets have a word for: by the client's name, as it was written.
    pub(super) rare: Vec<(&'static str, &'a [u8])>,
    pub(super) effort: Option<Cow<'a, str>>,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    /// Tools whose input is a text of no shape. They are offered with that text as their one argument.
    pub(super) custom_tools: BTreeSet<String>,
}

/// The one argument of a tool whose input is a text.
pub(super) const CUSTOM_INPUT: &str = "input";

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Assistant,
}

/// All that one side says before the other speaks.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) role: Role,
    pub(super) parts: Vec<Part<'a>>,
}

/// A part of a turn or of an answer.
#[derive(Debug)]
pub(super) enum Part<'a> {
    Text {
        text: Cow<'a, str>,
        cache: Option<&'a [u8]>,
    },
    Image(Image<'a>),
    /// A document or a sound, in base64.
    File {
        media_type: Cow<'a, str>,
        data: Cow<'a, str>,
        name: Option<Cow<'a, str>>,
    },
    /// `input` is a JSON object, as it was written. `seal` is what Gemini wants back with the call.
    Call {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        input: Cow<'a, [u8]>,
        seal: Option<Cow<'a, str>>,
    },
    Result {
        id: Cow<'a, str>,
        parts: Vec<Part<'a>>,
        is_error: bool,
    },
    Thinking {
        text: Cow<'a, str>,
        signature: Option<Cow<'a, str>>,
    },
    Redacted {
        data: Cow<'a, str>,
    },
    /// What the model says of the calls that it is about to make (Cohere).
    Plan(Cow<'a, str>),
}

/// An image.
#[derive(Debug)]
pub(super) enum Image<'a> {
    Url(Cow<'a, str>),
    Base64 { media_type: Cow<'a, str>, data: Cow<'a, str> },
}

/// A tool that is offered.
#[derive(Debug)]
pub(super) struct Tool<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) description: Option<Cow<'a, str>>,
    /// JSON schema, as it was written.
    pub(super) schema: Option<&'a [u8]>,
    pub(super) strict: Option<bool>,
}

/// Whether tools are called.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice<'a> {
    Auto,
    None,
    Any,
    Named(Cow<'a, str>),
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) model: Cow<'a, str>,
    pub(super) parts: Vec<Part<'a>>,
    pub(super) refusal: Option<Cow<'a, str>>,
    pub(super) stop: Stop,
    pub(super) stop_text: Option<Cow<'a, str>>,
    pub(super) usage: Option<Usage>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    End,
    Length,
    Calls,
    Filtered,
}

/// A piece of a streamed answer.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Begin {
        id: &'a str,
        model: &'a str,
        usage: Option<Usage>,
    },
    Text(&'a str),
    Thinking(&'a str),
    Signature(&'a str),
    Redacted(&'a str),
    /// A tool call begins; pieces of arguments that follow are its own.
    Call {
        id: &'a str,
        name: &'a str,
        seal: Option<&'a str>,
    },
    Arguments(&'a str),
    /// More of what the model says of the calls that it is about to make.
    Plan(&'a str),
    /// The part under way is over.
    PartEnd,
    Refusal(&'a str),
    End {
        stop: Stop,
        stop_text: Option<&'a str>,
        usage: Option<Usage>,
    },
}

/// What an event came to.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct News {
    pub(super) begun: bool,
    pub(super) done: bool,
}

/// Why a field that stands there twice is refused: two readers could take two sides.
const TWICE: &str = "it stands in the body twice; say it once";

/// Refuses what the target has no word for: a rare field other than these.
pub(super) fn no_rare_but(known: &[&str], request: &Request<'_>) -> Result<(), CannotSay> {
    match request.rare.iter().find(|(field, _)| !known.contains(field)) {
        Some((field, _)) => cannot(field, NO_WORD),
        None => Ok(()),
    }
}

/// Why a field is refused that the target's dialect lacks.
pub(super) const NO_WORD: &str = "the target's dialect has no word for it; leave it out, or choose a provider that speaks this dialect";

/// One side's messages in a row are one turn.
pub(super) fn say<'a>(request: &mut Request<'a>, role: Role, parts: Vec<Part<'a>>) {
    match request.turns.last_mut() {
        Some(turn) if turn.role == role => turn.parts.extend(parts),
        _ => request.turns.push(Turn { role, parts }),
    }
}

/// Takes parts as words before the conversation.
pub(super) fn system<'a>(request: &mut Request<'a>, parts: Vec<Part<'a>>, field: &str) -> Result<(), CannotSay> {
    for part in parts {
        match part {
            Part::Text { text, cache } => request.system.push((text, cache)),
            Part::Image(_)
            | Part::File { .. }
            | Part::Call { .. }
            | Part::Result { .. }
            | Part::Thinking { .. }
            | Part::Redacted { .. }
            | Part::Plan(_) => return cannot(field, "it must be text"),
        }
    }
    Ok(())
}

/// The media type and the base64 of a data: URL.
pub(super) fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

/// The fields of a request's body, each with its value as it was written; null is no value.
pub(super) fn fields<'a>(body: &'a [u8], mut take: impl FnMut(&str, &'a [u8]) -> Result<(), CannotSay>) -> Result<(), CannotSay> {
    let mut seen = BTreeSet::new();
    let mut scanner = Scanner::new(body);
    let read = scanner.object(|scanner, key| {
        let range = scanner.skip()?;
        let raw = &body[range];
        let key = key.decode();
        if !seen.insert(key.to_string()) {
            cannot::<()>(&key, TWICE)?;
        }
        if raw != b"null" {
            take(&key, raw)?;
        }
        Ok::<(), Stopped>(())
    });
    match read {
        Ok(()) => Ok(()),
        Err(Stopped::Cannot(cannot)) => Err(cannot),
        Err(Stopped::Wrong) => cannot("body", "it is not JSON"),
    }
}

/// A refusal of one field.
pub(super) fn cannot<T>(field: &str, why: &str) -> Result<T, CannotSay> {
    Err(CannotSay::Field { field: field.to_owned(), why: why.to_owned() })
}

/// An id that both dialects take: letters, digits, `_` and `-`. The same id always gives the same, and two never give one.
pub(super) fn safe_id<'a>(id: &'a str) -> Cow<'a, str> {
    let safe = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !id.is_empty() && id.chars().all(safe) {
        return Cow::Borrowed(id);
    }
    let plain: String = id.chars().map(|c| if safe(c) { c } else { '_' }).take(40).collect();
    Cow::Owned(format!("{plain}_{}", fingerprint(id.as_bytes())))
}

/// The id of a call that an answer makes, as the server gave it. One that gives none gets one of ours: calls are told apart by
/// it, in this answer and among those before it in the conversation.
pub(crate) fn id_of_call<'a>(id: &'a str, answer: &str, place: usize) -> Cow<'a, str> {
    if id.is_empty() { Cow::Owned(format!("call_{}", fingerprint(format!("{answer}/{place}").as_bytes()))) } else { Cow::Borrowed(id) }
}

/// Whether an event that cannot be read is of a type that nobody here knows, and says nothing of a failure: it is passed over.
pub(super) fn is_unknown(data: &[u8], known: &[&str]) -> bool {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow, default)]
        error: Option<&'a RawValue>,
    }
    serde_json::from_slice::<Event<'_>>(data).is_ok_and(|event| event.error.is_none() && !known.contains(&&*event.kind))
}

/// An id for an answer that has none.
pub(super) fn id_of_answer(answer: &[u8]) -> String {
    format!("msg_{}", fingerprint(answer))
}

/// Sixteen hex digits that stand for bytes.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    format!("{:016x}", digest.first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first)))
}

/// Either what is wrong with the JSON, which the head has ruled out, or a field that cannot be said.
enum Stopped {
    Wrong,
    Cannot(CannotSay),
}

impl From<Wrong> for Stopped {
    fn from(_: Wrong) -> Self {
        Self::Wrong
    }
}

impl From<CannotSay> for Stopped {
    fn from(cannot: CannotSay) -> Self {
        Self::Cannot(cannot)
    }
}

/// A field of a request in its shape.
pub(super) fn get<'a, T: Deserialize<'a>>(raw: &'a [u8], field: &str) -> Result<T, CannotSay> {
    serde_json::from_slice(raw).map_err(|error| CannotSay::Field {
        field: field.to_owned(),
        why: format!("it is not of the shape that this door takes ({error})"),
    })
}

/// A JSON string inside a string: texts that are decoded have nowhere to be borrowed from.
pub(super) fn text<'a>(raw: &'a RawValue, field: &str) -> Result<Cow<'a, str>, CannotSay> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    get::<Text<'a>>(raw.get().as_bytes(), field).map(|text| text.0)
}
