//! The head of a part: what it is called, and whether it is a file.

use std::ops::Range;

/// Header lines of a part at most.
const LINES_MAX: usize = 16;

/// Fields that are acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Model,
    Stream,
    ResponseFormat,
    /// Of pictures.
    Size,
    /// Of pictures.
    Quality,
}

impl Field {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Stream => "stream",
            Self::ResponseFormat => "response_format",
            Self::Size => "size",
            Self::Quality => "quality",
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        [Self::Model, Self::Stream, Self::ResponseFormat, Self::Size, Self::Quality]
            .into_iter()
            .find(|field| field.name().as_bytes() == name)
    }
}

/// A part whose head was read.
#[derive(Debug)]
pub(super) struct Part {
    pub field: Option<Field>,
    /// It is called like the model but for case or white space.
    pub lookalike: bool,
    pub is_file: bool,
    /// Its field is called `file`.
    pub is_called_file: bool,
    /// Where the name of the file stands in the lines of the head, without its quotes.
    pub filename: Option<Range<usize>>,
    /// The name of the file is encoded.
    pub is_encoded: bool,
    /// Of a field that is acted on, as far as it came.
    pub value: Vec<u8>,
    /// The value's first byte was reached.
    pub begun: bool,
    /// Where that is.
    pub at: usize,
}

impl Part {
    /// Reads the lines of a head.
    pub(super) fn read(lines: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(lines).map_err(|_| "the head of a part is not UTF-8")?;
        let mut disposition = None;
        for (place, line) in text.split("\r\n").enumerate() {
            if place == LINES_MAX {
                return Err("a part has more than 16 headers");
            }
            let (name, value) = line.split_once(':').ok_or("a header of a part has no colon")?;
            let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
            if !named || value.contains(|letter: char| letter.is_control() && letter != '\t') {
                return Err("a header of a part has a name or a value that none can have");
            }
            if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(value.trim()).is_some() {
                return Err("a part has two dispositions");
            }
            let plain = ["7bit", "8bit", "binary"].iter().any(|encoding| value.trim().eq_ignore_ascii_case(encoding));
            if name.eq_ignore_ascii_case("content-transfer-encoding") && !plain {
                return Err("a part is encoded; send its bytes as they are");
            }
        }
        Self::disposed(text, disposition.ok_or("a part has no disposition")?)
    }

    /// `form-data; name="file"; filename="a.wav"`
    fn disposed(lines: &str, disposition: &str) -> Result<Self, &'static str> {
        let (kind, rest) = disposition.split_once(';').unwrap_or((disposition, &disposition[disposition.len()..]));
        if !kind.trim().eq_ignore_ascii_case("form-data") {
            return Err("a part is no part of a form");
        }
        let (mut name, mut is_file, mut filename, mut is_encoded) = (None, false, None, false);
        let before = rest.as_ptr() as usize - lines.as_ptr() as usize;
        for Parameter { name: found, value, at } in parameters(rest)? {
            match &*found {
                "name" if name.is_some() => return Err("a part has two names"),
                "name" => name = Some(value),
                "filename" => (is_file, filename) = (true, Some(before + at.start..before + at.end)),
                "filename*" => (is_file, is_encoded) = (true, true),
                "name*" => return Err("a part's name is encoded; write it as it is"),
                _ => {}
            }
        }
        let name = name.ok_or("a part has no name")?;
        let field = Field::of(&name);
        let lookalike = field.is_none() && name.trim_ascii().eq_ignore_ascii_case(b"model");
        let is_called_file = name == b"file";
        Ok(Self { field, lookalike, is_file, is_called_file, filename, is_encoded, value: Vec::new(), begun: false, at: 0 })
    }
}

/// A parameter of a header's value.
pub(super) struct Parameter {
    /// In lower case.
    pub name: String,
    /// Without quotes and escapes.
    pub value: Vec<u8>,
    /// Where the value stands, without its quotes.
    at: Range<usize>,
}

/// Parameters of a header's value: `; name=token; name="quoted"`.
pub(super) fn parameters(text: &str) -> Result<Vec<Parameter>, &'static str> {
    let place = |inner: &str| inner.as_ptr() as usize - text.as_ptr() as usize;
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or("a parameter of a header has no value")?;
        let name = name.trim().to_ascii_lowercase();
        let (value, at, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = unquoted(quoted)?;
                (value, place(quoted)..place(after) - 1, after)
            }
            None => {
                let (value, after) = after.split_once(';').map_or((after, ""), |(value, _)| (value, &after[value.len()..]));
                let value = value.trim();
                (value.as_bytes().to_vec(), place(value)..place(value) + value.len(), after)
            }
        };
        found.push(Parameter { name, value, at });
        rest = after.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(';').ok_or("something follows a parameter of a header")?.trim_start();
        }
    }
    Ok(found)
}

/// The text up to the closing quote, and what follows.
fn unquoted(text: &str) -> Result<(Vec<u8>, &str), &'static str> {
    let mut value = Vec::new();
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            // Browsers send a backslash in a file's name as it is: it escapes a quote or itself, nothing else.
            b'\\' if text.as_bytes().get(at + 1).is_some_and(|next| matches!(next, b'"' | b'\\')) => {
                value.extend(bytes.next().map(|(_, next)| next));
            }
            _ => value.push(byte),
        }
    }
    Err("a quoted parameter of a header does not end")
}
