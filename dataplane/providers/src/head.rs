//! What the gateway acts on in a request's body, with where it stands: one strict pass, nothing built.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use snapshot::{Operation, Surface};

use crate::foreign;
use crate::json::{Kind, Scanner, TOO_DEEP, Text, Wrong, write_text};
use crate::same::apply;
use crate::stored::Named;

/// The fields that the gateway acts on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// As the client wrote it, decoded.
    pub model: String,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// Whether the client asked for the usage chunk of a stream (`stream_options.include_usage`).
    pub include_usage: bool,
    /// The largest answer that the client wants, in tokens.
    pub max_tokens: Option<u64>,
    /// The answer is asked for as plain text, not as JSON: a transcript, subtitles.
    pub as_text: bool,
    /// Letters that are to be spoken.
    pub characters: Option<u64>,
    /// What of pictures that are to be made bears on their price.
    pub picture: Picture,
    /// Where the value of `model` stands, quotes included. Empty: it is not there and goes in here.
    pub(crate) model_at: Range<usize>,
    /// Where `stream_options` stand.
    pub(crate) options: Options,
    /// Objects kept at a provider that the body names.
    pub references: Vec<Reference>,
}

/// An id of an object that is kept at a provider. It is sealed, or it is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// What it names.
    pub named: Named,
    /// The field, for the client.
    pub field: &'static str,
    /// As the client wrote it, decoded.
    pub id: String,
    /// Where it stands, quotes included.
    at: Range<usize>,
}

/// Pictures as a client wants them, in its words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// `1024x1024`
    pub size: Option<Box<str>>,
    /// `hd`
    pub quality: Option<Box<str>>,
}

/// Words for a size or a quality are no longer, in bytes.
const PICTURE_WORD_BYTES_MAX: usize = 32;

impl Picture {
    /// A word for one of the two; what is too long is none.
    pub(crate) fn word(text: &str) -> Option<Box<str>> {
        (!text.is_empty() && text.len() <= PICTURE_WORD_BYTES_MAX).then(|| text.into())
    }
}

/// What a body says in `stream_options`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Options {
    /// Nothing.
    #[default]
    Absent,
    /// `null`, here.
    Null(Range<usize>),
    /// An object without `include_usage`; its first byte stands here, and whether it is empty.
    Without { open: usize, empty: bool },
    /// `include_usage` with the value here.
    With(Range<usize>),
}

/// Why a body is not what its door takes. `Display` is for the client: it names the place and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadBody {
    /// A byte that is no UTF-8.
    NotUtf8 {
        /// Its offset.
        at: usize,
    },
    /// Not JSON.
    NotJson {
        /// From 1.
        line: usize,
        /// From 1, in bytes.
        column: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// JSON, but no object.
    NotAnObject,
    /// A field that must be there.
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field of a wrong type.
    WrongType {
        /// Its name.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A field that the gateway acts on stands there twice.
    Duplicate {
        /// Its name.
        field: &'static str,
    },
    /// A field has the name of one that the gateway acts on, but for its case.
    Lookalike {
        /// The name.
        field: &'static str,
    },
    /// Nested deeper than anybody needs.
    TooDeep,
    /// Not a form.
    NotAForm {
        /// The offset of the byte at fault.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The header that names the model and the field that does name two.
    TwoModels {
        /// The header's.
        header: String,
        /// The field's.
        field: String,
    },
    /// A reference to an object at the provider, which cannot be proven to be the caller's own.
    ForeignId {
        /// Its name.
        field: &'static str,
    },
}

impl fmt::Display for BadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 { at } => write!(f, "the body is not UTF-8: byte {at} begins no character"),
            Self::NotJson { line, column, what } => write!(f, "the body is not JSON: {what}, at line {line}, column {column}"),
            Self::NotAnObject => f.write_str("the body is JSON but no object; it must begin with `{`"),
            Self::Missing { field } => write!(f, "the body lacks `{field}`"),
            Self::WrongType { field, expected } => write!(f, "`{field}` must be {expected}"),
            Self::Duplicate { field } => write!(f, "`{field}` stands in the body twice; say it once"),
            Self::Lookalike { field } => {
                write!(f, "a field is named like `{field}` but for its case, and some servers would take it for `{field}`; leave it out")
            }
            Self::NotAForm { at, what } => write!(f, "the body is not the form that its content-type announces: {what}, at byte {at}"),
            Self::TwoModels { header, field } => {
                write!(
                    f,
                    "the header `x-portolan-model` says `{header}` and the field `model` says `{field}`; leave one out, or let them agree"
                )
            }
            Self::TooDeep => f.write_str("the body is nested too deeply; 128 levels are taken"),
            Self::ForeignId { field } => write!(
                f,
                "`{field}` refers to an object that is kept at the provider; this gateway does not pass such references on, because it cannot prove whose they are; send the content itself"
            ),
        }
    }
}

pub(crate) enum Stop {
    Wrong(Wrong),
    Bad(BadBody),
}

impl From<Wrong> for Stop {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

impl Head {
    /// Of a call without a body: it names its model otherwise, and what comes is a stream.
    #[must_use]
    pub fn of_session(model: String) -> Self {
        Self { model, stream: true, ..Self::default() }
    }

    /// Reads a body. All of it is checked, so that what is passed on is JSON.
    ///
    /// # Errors
    /// See [`BadBody`].
    pub fn read(surface: Surface, body: &[u8]) -> Result<Self, BadBody> {
        if let Err(error) = std::str::from_utf8(body) {
            return Err(BadBody::NotUtf8 { at: error.valid_up_to() });
        }
        let mut reader = Reader { surface, head: Self::default(), seen: 0 };
        let mut scanner = Scanner::new(body);
        let read = match scanner.kind() {
            Ok(Kind::Object) => scanner.object(|scanner, key| reader.field(scanner, key)).and_then(|()| Ok(scanner.end()?)),
            Ok(_) => scanner.skip().map_err(Stop::Wrong).and(Err(Stop::Bad(BadBody::NotAnObject))),
            Err(wrong) => Err(Stop::Wrong(wrong)),
        };
        match read {
            Ok(()) if reader.seen & Field::Model.bit() == 0 => match usual_model(surface) {
                Some(usual) => Ok(Self { model: usual.to_owned(), model_at: behind_the_brace(body), ..reader.head }),
                None => Err(BadBody::Missing { field: "model" }),
            },
            Ok(()) => Ok(reader.head),
            Err(Stop::Bad(bad)) => Err(bad),
            Err(Stop::Wrong(Wrong { what: TOO_DEEP, .. })) => Err(BadBody::TooDeep),
            Err(Stop::Wrong(wrong)) => Err(placed(body, wrong)),
        }
    }
}

/// The body with the provider's own ids in the place of those that its head found, in the same order.
#[must_use]
pub fn opened(body: &Bytes, head: &Head, ids: &[String]) -> Bytes {
    let quoted = |id: &String| {
        let mut text = Vec::with_capacity(id.len() + 2);
        write_text(&mut text, id);
        Bytes::from(text)
    };
    let splices: Vec<_> = head.references.iter().map(|reference| reference.at.clone()).zip(ids.iter().map(quoted)).collect();
    apply(body, &splices).concat().into()
}

/// The model of a call that names none, where OpenAI has one.
fn usual_model(surface: Surface) -> Option<&'static str> {
    (surface == Surface::Moderations).then_some("omni-moderation-latest")
}

/// The place behind the brace that opens the object.
fn behind_the_brace(body: &[u8]) -> Range<usize> {
    let at = body.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
    at..at
}

/// Whether an answer can be streamed by what `stream` says.
fn streams(surface: Surface) -> bool {
    !matches!(surface, Surface::CountTokens | Surface::Moderations | Surface::Rerank | Surface::Speech)
}

impl Reference {
    pub(crate) fn read(named: Named, field: &'static str, scanner: &mut Scanner<'_>) -> Result<Self, Wrong> {
        let text = scanner.text()?;
        Ok(Self { named, field, id: text.decode().into_owned(), at: scanner.at() - text.raw.len()..scanner.at() })
    }
}

/// Fields that are acted on, each with a bit of what was seen.
#[derive(Clone, Copy)]
enum Field {
    Model,
    Stream,
    StreamOptions,
    MaxTokens,
    MaxCompletionTokens,
    MaxOutputTokens,
    /// Of speech alone.
    Input,
    /// Of speech alone.
    StreamFormat,
    /// Of pictures alone.
    Size,
    /// Of pictures alone.
    Quality,
}

impl Field {
    fn bit(self) -> u16 {
        1 << self as u8
    }

    fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Stream => "stream",
            Self::StreamOptions => "stream_options",
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
            Self::Input => "input",
            Self::StreamFormat => "stream_format",
            Self::Size => "size",
            Self::Quality => "quality",
        }
    }

    fn of(surface: Surface, key: &str) -> Option<Self> {
        let all = [Self::Model, Self::Stream, Self::StreamOptions, Self::MaxTokens, Self::MaxCompletionTokens, Self::MaxOutputTokens];
        let of_speech = [Self::Input, Self::StreamFormat].into_iter().filter(|_| surface == Surface::Speech);
        let of_pictures = [Self::Size, Self::Quality].into_iter().filter(|_| surface.operation() == Operation::Images);
        all.into_iter().chain(of_speech).chain(of_pictures).find(|field| field.name() == key)
    }
}

struct Reader {
    surface: Surface,
    head: Head,
    seen: u16,
}

impl Reader {
    fn field(&mut self, scanner: &mut Scanner<'_>, key: Text<'_>) -> Result<(), Stop> {
        let key = key.decode();
        let Some(field) = Field::of(self.surface, &key) else {
            // Some servers match names whatever their case: they would serve a model that nobody here has looked at.
            if key.eq_ignore_ascii_case(Field::Model.name()) {
                return Err(Stop::Bad(BadBody::Lookalike { field: Field::Model.name() }));
            }
            return foreign::look(self.surface, scanner, &key, &mut self.head.references);
        };
        if self.seen & field.bit() != 0 {
            return Err(Stop::Bad(BadBody::Duplicate { field: field.name() }));
        }
        self.seen |= field.bit();
        match field {
            Field::Model => self.model(scanner),
            Field::Stream => match scanner.kind()? {
                Kind::Bool => {
                    let wanted = scanner.bool()?;
                    self.head.stream |= wanted && streams(self.surface);
                    Ok(())
                }
                Kind::Null => Ok(scanner.pass()?),
                Kind::Object | Kind::Array | Kind::Text | Kind::Number => Err(wrong_type("stream", "true or false")),
            },
            Field::StreamOptions => self.options(scanner),
            Field::Input => {
                if scanner.kind()? != Kind::Text {
                    return Err(wrong_type("input", "the text to be spoken"));
                }
                self.head.characters = Some(scanner.text()?.decode().chars().count() as u64);
                Ok(())
            }
            Field::StreamFormat => {
                if scanner.kind()? == Kind::Text {
                    self.head.stream = scanner.text()?.is("sse");
                    return Ok(());
                }
                Ok(scanner.pass()?)
            }
            Field::Size | Field::Quality => {
                if scanner.kind()? != Kind::Text {
                    return Ok(scanner.pass()?);
                }
                let word = Picture::word(&scanner.text()?.decode());
                let Picture { size, quality } = &mut self.head.picture;
                *(if matches!(field, Field::Size) { size } else { quality }) = word;
                Ok(())
            }
            Field::MaxTokens | Field::MaxCompletionTokens | Field::MaxOutputTokens => match scanner.kind()? {
                Kind::Number => {
                    self.head.max_tokens =
                        Some(scanner.unsigned().map_err(|_| wrong_type(field.name(), "a whole number that is not negative"))?);
                    Ok(())
                }
                Kind::Null => Ok(scanner.pass()?),
                Kind::Object | Kind::Array | Kind::Text | Kind::Bool => Err(wrong_type(field.name(), "a whole number")),
            },
        }
    }

    fn model(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        if scanner.kind()? != Kind::Text {
            return Err(wrong_type("model", "a string"));
        }
        let text = scanner.text()?;
        self.head.model_at = scanner.at() - text.raw.len()..scanner.at();
        self.head.model = text.decode().into_owned();
        if self.head.model.is_empty() || self.head.model.len() > 256 {
            return Err(wrong_type("model", "the name of a model, of 1 to 256 bytes"));
        }
        Ok(())
    }

    fn options(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        match scanner.kind()? {
            Kind::Null => self.head.options = Options::Null(scanner.skip()?),
            Kind::Object => {
                let open = scanner.at();
                let mut empty = true;
                let mut found = None;
                scanner.object(|inner, key| {
                    empty = false;
                    if !key.is("include_usage") {
                        return Ok(inner.pass()?);
                    }
                    if found.is_some() {
                        return Err(Stop::Bad(BadBody::Duplicate { field: "stream_options.include_usage" }));
                    }
                    let value = match inner.kind()? {
                        Kind::Bool => inner.clone().bool()?,
                        Kind::Null => false,
                        Kind::Object | Kind::Array | Kind::Text | Kind::Number => {
                            return Err(wrong_type("stream_options.include_usage", "true or false"));
                        }
                    };
                    found = Some((value, inner.skip()?));
                    Ok(())
                })?;
                self.head.options = match found {
                    None => Options::Without { open, empty },
                    Some((value, range)) => {
                        self.head.include_usage = value;
                        Options::With(range)
                    }
                };
            }
            Kind::Array | Kind::Text | Kind::Number | Kind::Bool => return Err(wrong_type("stream_options", "an object")),
        }
        Ok(())
    }
}

fn wrong_type(field: &'static str, expected: &'static str) -> Stop {
    Stop::Bad(BadBody::WrongType { field, expected })
}

fn placed(body: &[u8], wrong: Wrong) -> BadBody {
    let before = &body[..wrong.at.min(body.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    BadBody::NotJson { line, column, what: wrong.what }
}
