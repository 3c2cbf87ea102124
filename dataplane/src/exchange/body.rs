//! What a client sent, kept for as many targets as it takes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use providers::multipart::Form;

/// The body of a request.
#[derive(Debug)]
pub enum Body {
    /// JSON.
    Here(Bytes),
    /// A form with files in it.
    Form(Box<FormBody>),
}

/// A form: what was read of it, and its bytes.
#[derive(Debug)]
pub struct FormBody {
    /// What was read.
    pub form: Form,
    /// Announces the boundary.
    pub content_type: HeaderValue,
    /// The bytes.
    pub kept: Arc<Kept>,
}

/// Bytes of which the first are in memory and the rest, if any, in a file that has no name any more.
#[derive(Debug, Default)]
pub struct Kept {
    /// The first bytes.
    pub here: Bytes,
    /// The rest.
    pub file: Option<Arc<File>>,
    /// All of them together.
    pub bytes: u64,
}

impl Body {
    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Here(bytes) => bytes.len() as u64,
            Self::Form(form) => form.kept.bytes,
        }
    }
}

impl Kept {
    /// Reads a part of the rest. It waits for a disk.
    ///
    /// # Errors
    /// The file cannot be read, or is shorter than it was.
    pub fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
        file.read_exact_at(&mut bytes, range.start - self.here.len() as u64)?;
        Ok(bytes.into())
    }
}
