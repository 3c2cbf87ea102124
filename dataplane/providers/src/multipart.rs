//! Forms with files in them (`multipart/form-data`), read while they come: what the gateway acts on, and where it stands.
//!
//! Invariant: however a form is cut, the same is read of it; a file costs no memory; headers are bounded in number and
//! length. What servers could read in two ways is refused, so that none serves a model that nobody here has looked at.

mod part;

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem::Finder;

use crate::head::{BadBody, Head, Picture};

use part::{Field, Part};

/// Parts of a form at most.
const PARTS_MAX: usize = 256;

/// The head of a part at most, in bytes.
const PART_HEAD_BYTES_MAX: usize = 8 << 10;

/// The name of a file that is to be kept at most, in bytes.
const FILENAME_BYTES_MAX: usize = 200;

/// A value that is acted on has at most so many bytes.
const VALUE_BYTES_MAX: usize = 1 << 10;

/// A form whose end was seen.
#[derive(Debug)]
pub struct Form {
    /// What the gateway acts on. The model's name stands at the range that it tells; empty: no field names it.
    pub head: Head,
    /// Files in it.
    pub files: u32,
    /// Their bytes.
    pub file_bytes: u64,
    /// Of an upload: where the file's name stands, without its quotes, and what stands there.
    pub filename: Option<(Range<usize>, String)>,
    boundary: Box<[u8]>,
}

impl Form {
    /// What is put in where the target calls the model otherwise, or no field names it.
    pub(crate) fn renamed(&self, upstream_model: &str) -> Option<(Range<usize>, Bytes)> {
        let Head { model, model_at, .. } = &self.head;
        if !model_at.is_empty() {
            return (upstream_model != model).then(|| (model_at.clone(), Bytes::copy_from_slice(upstream_model.as_bytes())));
        }
        let head: &[u8] = b"\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n";
        let part = [b"--", &*self.boundary, head, upstream_model.as_bytes(), b"\r\n"].concat();
        Some((model_at.clone(), part.into()))
    }
}

/// The boundary that a content type announces.
///
/// # Errors
/// It is of another type, or announces none that could be one.
pub fn boundary(content_type: &[u8]) -> Result<Vec<u8>, &'static str> {
    let text = std::str::from_utf8(content_type).map_err(|_| "the content type is not text")?;
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err("it is no form");
    }
    let found = part::parameters(parameters)?;
    let mut boundaries = found.into_iter().filter(|one| one.name == "boundary").map(|one| one.value);
    let boundary = boundaries.next().ok_or("the content type announces no boundary")?;
    if boundaries.next().is_some() {
        return Err("the content type announces two boundaries");
    }
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
    if boundary.is_empty() || boundary.len() > 70 || boundary.ends_with(b" ") || !boundary.iter().all(fits) {
        return Err("the boundary of the content type is none");
    }
    Ok(boundary)
}

/// Where a form is being read.
#[derive(Debug)]
enum At {
    /// Before the first boundary.
    Start,
    /// Behind a boundary: another part, or the end.
    Boundary,
    /// In the head of a part.
    Head,
    /// In its value.
    Value(Part),
    /// Behind the last boundary.
    End,
}

/// Reads a form as its bytes come.
#[derive(Debug)]
pub struct Reader {
    at: At,
    boundary: Box<[u8]>,
    /// Finds the end of a value.
    end: Finder<'static>,
    /// Finds the end of a part's head.
    blank: Finder<'static>,
    /// What came and is not understood yet; as long as a head, or as a boundary, at most.
    rest: Vec<u8>,
    /// The offset of the first byte of `rest` in the body.
    offset: u64,
    parts: usize,
    seen: Vec<Field>,
    /// Where a part may be put before all others.
    front: usize,
    head: Head,
    files: u32,
    file_bytes: u64,
    /// One file is sent to be kept; no model is asked for.
    is_upload: bool,
    filename: Option<(Range<usize>, String)>,
}

impl Reader {
    /// At the start of a form with this boundary.
    #[must_use]
    pub fn new(boundary: &[u8]) -> Self {
        let end = [b"\r\n--", boundary].concat();
        Self {
            at: At::Start,
            boundary: boundary.into(),
            end: Finder::new(&end).into_owned(),
            blank: Finder::new(b"\r\n\r\n").into_owned(),
            rest: Vec::new(),
            offset: 0,
            parts: 0,
            seen: Vec::new(),
            front: 0,
            head: Head::default(),
            files: 0,
            file_bytes: 0,
            is_upload: false,
            filename: None,
        }
    }

    /// The same, of a file that is to be kept: of no model, and with one file in it that has a name.
    #[must_use]
    pub fn of_upload(boundary: &[u8]) -> Self {
        Self { is_upload: true, ..Self::new(boundary) }
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T, BadBody> {
        Err(BadBody::NotAForm { at: self.offset, what })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// It is no form, or one that is not taken.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), BadBody> {
        let mut bytes = bytes;
        loop {
            if self.rest.is_empty() {
                let taken = self.take(bytes)?;
                self.rest.extend_from_slice(&bytes[taken..]);
                return Ok(());
            }
            // Little is copied at a time: what is left over is a head or the beginning of a boundary.
            let some = bytes.len().min(PART_HEAD_BYTES_MAX);
            self.rest.extend_from_slice(&bytes[..some]);
            bytes = &bytes[some..];
            let rest = std::mem::take(&mut self.rest);
            let taken = self.take(&rest)?;
            self.rest = rest;
            self.rest.drain(..taken);
            if bytes.is_empty() {
                return Ok(());
            }
        }
    }

    /// Understands as much of the bytes as can be, and says how much that is.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, BadBody> {
        let mut taken = 0;
        loop {
            let left = &bytes[taken..];
            let step = match self.at {
                At::Start => self.start(left)?,
                At::Boundary => self.behind_boundary(left)?,
                At::Head => self.part_head(left)?,
                At::Value(_) => self.value(left)?,
                At::End => self.epilogue(left)?,
            };
            let Some(step) = step else { return Ok(taken) };
            taken += step;
            self.offset += step as u64;
        }
    }

    /// Some clients begin with a line's end. Nothing else may stand before the first boundary.
    fn start(&mut self, left: &[u8]) -> Result<Option<usize>, BadBody> {
        let first = [b"--", &*self.boundary].concat();
        let lead = if left.starts_with(b"\r\n") { 2 } else { 0 };
        let line = &left[lead..];
        let common = line.len().min(first.len());
        if line[..common] != first[..common] && left != b"\r" {
            return self.wrong("it does not begin with its boundary");
        }
        if common < first.len() {
            return Ok(None);
        }
        self.front = lead;
        self.at = At::Boundary;
        Ok(Some(lead + common))
    }

    fn behind_boundary(&mut self, left: &[u8]) -> Result<Option<usize>, BadBody> {
        match left {
            [] | [_] => Ok(None),
            [b'\r', b'\n', ..] if self.parts == PARTS_MAX => self.wrong("it has more than 256 parts"),
            [b'\r', b'\n', ..] => {
                self.parts += 1;
                self.at = At::Head;
                // The line's end stays: together with an empty head it is the blank line.
                Ok(Some(0))
            }
            [b'-', b'-', ..] => {
                self.at = At::End;
                Ok(Some(2))
            }
            _ => self.wrong("something follows a boundary on its line"),
        }
    }

    fn part_head(&mut self, left: &[u8]) -> Result<Option<usize>, BadBody> {
        let within = &left[..left.len().min(PART_HEAD_BYTES_MAX)];
        let Some(end) = self.blank.find(within) else {
            return if within.len() < PART_HEAD_BYTES_MAX { Ok(None) } else { self.wrong("the head of a part is longer than 8 KiB") };
        };
        let lines = left.get(2..end).unwrap_or_default();
        let mut part = Part::read(lines).or_else(|what| self.wrong(what))?;
        if self.is_upload {
            self.uploaded(&mut part, lines)?;
        }
        if part.lookalike {
            return Err(BadBody::Lookalike { field: "model" });
        }
        if let Some(field) = part.field {
            if self.seen.contains(&field) {
                return Err(BadBody::Duplicate { field: field.name() });
            }
            if part.is_file {
                return Err(BadBody::WrongType { field: field.name(), expected: "a text, not a file" });
            }
            self.seen.push(field);
        }
        self.files += u32::from(part.is_file);
        // A value may be empty: the line's end before its boundary is the one after the blank line then.
        let begins = end + 2;
        self.at = At::Value(part);
        Ok(Some(begins))
    }

    /// The file that is sent, whose name goes on with a mark in it.
    fn uploaded(&mut self, part: &mut Part, lines: &[u8]) -> Result<(), BadBody> {
        (part.field, part.lookalike) = (None, false);
        if !part.is_file {
            return if part.is_called_file { self.wrong("the part `file` is no file: it has no filename") } else { Ok(()) };
        }
        if !part.is_called_file || self.filename.is_some() {
            return self.wrong("it holds another file besides `file`");
        }
        let (Some(at), false) = (part.filename.clone(), part.is_encoded) else {
            return self.wrong("the file's name is encoded; write it as it is, in `filename`");
        };
        let text = String::from_utf8_lossy(&lines[at.clone()]).into_owned();
        if text.is_empty() || text.len() > FILENAME_BYTES_MAX {
            return self.wrong("the file's name is empty or longer than 200 bytes");
        }
        let before = usize::try_from(self.offset).unwrap_or(usize::MAX).saturating_add(2);
        self.filename = Some((before.saturating_add(at.start)..before.saturating_add(at.end), text));
        Ok(())
    }

    /// `left` begins with the line's end of the head, which is not part of the value.
    fn value(&mut self, left: &[u8]) -> Result<Option<usize>, BadBody> {
        let At::Value(part) = &mut self.at else { return Ok(None) };
        let found = self.end.find(left);
        // Without an end all but its possible beginning is part of the value.
        let known = found.unwrap_or_else(|| (left.len() + 1).saturating_sub(self.boundary.len() + 4));
        let skipped = if part.begun { 0 } else { 2 };
        if known < skipped {
            // A boundary right behind the head is read as an empty value by some, as the value itself by others.
            return if found.is_none() { Ok(None) } else { self.wrong("a part has no value, not even an empty one") };
        }
        let value = left.get(skipped..known).unwrap_or_default();
        if part.is_file {
            self.file_bytes += value.len() as u64;
        } else if part.field.is_some() {
            part.value.extend_from_slice(&value[..value.len().min(VALUE_BYTES_MAX + 1 - part.value.len())]);
        }
        if !part.begun {
            part.begun = true;
            part.at = usize::try_from(self.offset).unwrap_or(usize::MAX).saturating_add(skipped);
        }
        if found.is_none() {
            return Ok(Some(known).filter(|known| *known > 0));
        }
        let (field, value, at) = (part.field, std::mem::take(&mut part.value), part.at);
        let end = usize::try_from(self.offset).unwrap_or(usize::MAX).saturating_add(known);
        self.at = At::Boundary;
        if let Some(field) = field {
            self.known(field, &value, at..end)?;
        }
        Ok(Some(known + self.boundary.len() + 4))
    }

    fn known(&mut self, field: Field, value: &[u8], at: Range<usize>) -> Result<(), BadBody> {
        let wrong = |expected| BadBody::WrongType { field: field.name(), expected };
        let text = std::str::from_utf8(value).map_err(|_| wrong("a text in UTF-8"))?;
        match field {
            Field::Model => {
                if text.is_empty() || text.len() > 256 || text.contains(char::is_control) {
                    return Err(wrong("the name of a model, of 1 to 256 bytes"));
                }
                text.clone_into(&mut self.head.model);
                self.head.model_at = at;
            }
            Field::Stream => {
                self.head.stream = match text {
                    "true" | "True" | "1" => true,
                    "false" | "False" | "0" | "" => false,
                    _ => return Err(wrong("true or false")),
                }
            }
            Field::Size => self.head.picture.size = Picture::word(text),
            Field::Quality => self.head.picture.quality = Picture::word(text),
            Field::ResponseFormat => self.head.as_text = matches!(text, "text" | "srt" | "vtt"),
        }
        Ok(())
    }

    /// Nothing but a line's end may follow.
    fn epilogue(&mut self, left: &[u8]) -> Result<Option<usize>, BadBody> {
        if left.is_empty() || left == b"\r" || left == b"\r\n" {
            return Ok(None);
        }
        self.wrong("something follows its last boundary")
    }

    /// The end of the bytes. `named` is the model of a header, which stands in for the field or agrees with it.
    ///
    /// # Errors
    /// The form ended too early, or names no model, or two.
    pub fn finish(self, named: Option<&str>) -> Result<Form, BadBody> {
        if !matches!(self.at, At::End) {
            return Err(BadBody::NotAForm { at: self.offset + self.rest.len() as u64, what: "it ends before its last boundary" });
        }
        let Self { mut head, boundary, files, file_bytes, front, is_upload, filename, .. } = self;
        if is_upload {
            return if filename.is_some() {
                Ok(Form { head, files, file_bytes, filename, boundary })
            } else {
                Err(BadBody::Missing { field: "file" })
            };
        }
        match named {
            None if head.model.is_empty() => return Err(BadBody::Missing { field: "model" }),
            Some(named) if head.model.is_empty() => {
                if named.is_empty() || named.len() > 256 {
                    return Err(BadBody::WrongType { field: "x-portolan-model", expected: "the name of a model, of 1 to 256 bytes" });
                }
                named.clone_into(&mut head.model);
                head.model_at = front..front;
            }
            Some(named) if named != head.model => return Err(BadBody::TwoModels { header: named.to_owned(), field: head.model }),
            None | Some(_) => {}
        }
        Ok(Form { head, files, file_bytes, filename: None, boundary })
    }
}
