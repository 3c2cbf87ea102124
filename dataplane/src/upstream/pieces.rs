//! A request's body in pieces that are sent one after the other, so that a splice copies nothing and a file stays where it
//! is kept.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::exchange::{FormBody, Kept};

/// So much of a file is read at once, in bytes.
const READ_BYTES: u64 = 128 << 10;

/// What is to be sent, as often as it takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sent<'a> {
    /// These.
    Pieces(&'a [Bytes]),
    /// A form, with these in the place of ranges of it.
    Form(&'a FormBody, &'a [(Range<usize>, Bytes)]),
}

impl<'a> Sent<'a> {
    /// What can be signed: nobody who wants a signature takes a form.
    pub(super) fn signed(self) -> &'a [Bytes] {
        match self {
            Self::Pieces(pieces) => pieces,
            Self::Form(..) => &[],
        }
    }
}

/// Pieces left to send.
#[derive(Debug)]
pub(super) enum Pieces {
    Here { first: Option<Bytes>, rest: std::vec::IntoIter<Bytes> },
    Form(Box<Form>),
}

impl Default for Pieces {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Pieces {
    pub(super) fn new(pieces: &[Bytes]) -> Self {
        let (first, rest) = pieces.split_first().map_or((None, &[][..]), |(first, rest)| (Some(first.clone()), rest));
        Self::Here { first, rest: Vec::from(rest).into_iter() }
    }

    pub(super) fn of(sent: Sent<'_>) -> Self {
        match sent {
            Sent::Pieces(pieces) => Self::new(pieces),
            Sent::Form(form, splices) => Self::Form(Box::new(Form::new(&form.kept, splices))),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Here { first, rest } => {
                let rest: usize = rest.as_slice().iter().map(Bytes::len).sum();
                (first.as_ref().map_or(0, Bytes::len) + rest) as u64
            }
            Self::Form(form) => form.left,
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    /// The spool cannot be read.
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Here { first, rest } => {
                let piece = first.take().or_else(|| rest.next());
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
            Self::Form(form) => form.poll_piece(cx).map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Here { first, rest } => first.is_none() && rest.len() == 0,
            Self::Form(form) => form.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes())
    }
}

/// What is left of a form.
#[derive(Debug)]
pub(super) struct Form {
    kept: Arc<Kept>,
    parts: VecDeque<Part>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    left: u64,
}

#[derive(Debug)]
enum Part {
    /// Put in.
    Put(Bytes),
    /// Of the form itself.
    Kept(Range<u64>),
}

impl Form {
    fn new(kept: &Arc<Kept>, splices: &[(Range<usize>, Bytes)]) -> Self {
        let mut parts = VecDeque::with_capacity(splices.len() * 2 + 1);
        let mut from = 0;
        for (range, bytes) in splices {
            parts.push_back(Part::Kept(from..range.start as u64));
            parts.push_back(Part::Put(bytes.clone()));
            from = range.end as u64;
        }
        parts.push_back(Part::Kept(from..kept.bytes));
        parts.retain(|part| part.bytes() > 0);
        let left = parts.iter().map(Part::bytes).sum();
        Self { kept: kept.clone(), parts, reading: None, left }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let here = self.kept.here.len() as u64;
        let piece = loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(Pin::new(reading).poll(cx));
                self.reading = None;
                break read.unwrap_or_else(|error| Err(io::Error::other(error)));
            }
            let Some(part) = self.parts.pop_front() else { return Poll::Ready(None) };
            match part {
                Part::Put(bytes) => break Ok(bytes),
                Part::Kept(range) if range.start < here => {
                    let end = range.end.min(here);
                    self.put_back(end..range.end);
                    let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
                    break Ok(self.kept.here.slice(at(range.start)..at(end)));
                }
                Part::Kept(range) => {
                    let end = range.end.min(range.start + READ_BYTES);
                    self.put_back(end..range.end);
                    let kept = self.kept.clone();
                    self.reading = Some(tokio::task::spawn_blocking(move || kept.read(range.start..end)));
                }
            }
        };
        if let Ok(piece) = &piece {
            self.left = self.left.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(Some(piece))
    }

    fn put_back(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.parts.push_front(Part::Kept(range));
        }
    }
}

impl Part {
    fn bytes(&self) -> u64 {
        match self {
            Self::Put(bytes) => bytes.len() as u64,
            Self::Kept(range) => range.end.saturating_sub(range.start),
        }
    }
}
