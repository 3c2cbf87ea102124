//! An answer that is neither JSON nor events: sound, subtitles. Its first piece is waited for, so that another target can be
//! asked when it does not come.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use providers::passage::{Passage, Raw as MayBeRaw};
use snapshot::Operation;
use tokio::time::timeout_at;

use super::Failure;
use super::attempt::late;
use super::classify::ours;
use crate::clock::Instant;
use crate::exchange::{Answer, Broken, Raw, Source};

/// What an answer of success is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Events,
    Json,
    Raw,
}

/// Some servers answer in one piece though a stream was asked for, where their model cannot do otherwise.
pub(super) fn shape(passage: &Passage, stream: bool, kind: Option<&HeaderValue>) -> Shape {
    let text = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let essence = text.split(';').next().unwrap_or_default().trim();
    let told = !matches!(passage.surface().operation(), Operation::Images | Operation::Audio) || essence == "text/event-stream";
    if stream && told {
        return Shape::Events;
    }
    let json = essence == "application/json" || essence.ends_with("+json");
    match passage.raw() {
        MayBeRaw::Never => Shape::Json,
        MayBeRaw::ByType if json => Shape::Json,
        MayBeRaw::ByType | MayBeRaw::Text => Shape::Raw,
    }
}

/// Waits for the first piece.
pub(super) async fn begin(mut source: Source, kind: Option<&HeaderValue>, deadline: Instant) -> Result<Answer, Failure> {
    let hint = source.size_hint();
    let first = loop {
        let frame = timeout_at(deadline, source.frame()).await.map_err(|_| late("no first piece within the first-byte time"))?;
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => break Some(data),
                Ok(_) | Err(_) => {}
            },
            Some(Err(broken)) => return Err(ours(broken.class, "the provider's answer broke off before it began", broken.detail)),
            None => break None,
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, kind.cloned().unwrap_or(HeaderValue::from_static("application/octet-stream")));
    let announced = hint.exact();
    let source: Source = Box::pin(Begun { first, rest: source, left: announced });
    Ok(Answer::Raw(Box::new(Raw { status: 200, headers, source })))
}

/// An answer whose first piece is here.
struct Begun {
    first: Option<Bytes>,
    rest: Source,
    /// As announced.
    left: Option<u64>,
}

impl Body for Begun {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None => self.rest.as_mut().poll_frame(cx),
        };
        if let (Poll::Ready(Some(Ok(frame))), Some(left)) = (&polled, &mut self.left) {
            *left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
