//! The rest of an answer from the network, with its time limits.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use snapshot::FailureClass;
use tokio::time::Sleep;

use super::pool::Lease;
use crate::clock::{Clock, Instant};
use crate::exchange::Broken;

/// Reads an answer; its connection goes back to the pool at the end, and closes when this is dropped before.
pub(super) struct Wire {
    incoming: Incoming,
    lease: Option<Lease>,
    clock: Clock,
    idle: Duration,
    deadline: Instant,
    last_byte: Instant,
    /// Made at the first wait, as most whole answers need none. Set to the nearest limit when it was last looked at; a
    /// byte that comes meanwhile only moves `last_byte`.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(super) fn new(incoming: Incoming, lease: Lease, clock: Clock, idle: Duration, deadline: Instant) -> Self {
        let last_byte = clock.now();
        Self { incoming, lease: Some(lease), clock, idle, deadline, last_byte, alarm: None }
    }

    fn end(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back(self.clock.now());
        }
    }

    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        let limit = self.deadline.min(self.last_byte + self.idle);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(limit)));
        loop {
            ready!(alarm.as_mut().poll(cx));
            if self.clock.now() >= limit {
                let detail = if limit == self.deadline { "the total time is over" } else { "no byte came for the idle time" };
                return Poll::Ready(Broken { class: FailureClass::Timeout, detail: detail.to_owned() });
            }
            alarm.as_mut().reset(limit);
        }
    }
}

impl Body for Wire {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.last_byte = self.clock.now();
                if self.incoming.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.lease = None;
                let detail = format!("the connection broke: {error}");
                Poll::Ready(Some(Err(Broken { class: FailureClass::StreamBroken, detail })))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_limits(cx).map(|broken| {
                self.lease = None;
                Some(Err(broken))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
