//! A request's body in pieces that are sent one after the other, so that a splice copies nothing.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Pieces left to send.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    first: Option<Bytes>,
    rest: std::vec::IntoIter<Bytes>,
}

impl Pieces {
    pub(super) fn new(pieces: &[Bytes]) -> Self {
        let (first, rest) = pieces.split_first().map_or((None, &[][..]), |(first, rest)| (Some(first.clone()), rest));
        Self { first, rest: Vec::from(rest).into_iter() }
    }

    pub(super) fn bytes(&self) -> u64 {
        let rest: usize = self.rest.as_slice().iter().map(Bytes::len).sum();
        (self.first.as_ref().map_or(0, Bytes::len) + rest) as u64
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.first.take().or_else(|| self.rest.next());
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes())
    }
}
