//! The rest of an answer that a simulated provider plays.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use providers::simulated::{Beat, Beats};
use snapshot::FailureClass;
use tokio::time::Sleep;

use crate::clock::{Clock, Instant};
use crate::exchange::Broken;

/// Plays beats in time.
pub(super) struct Scripted {
    beats: Beats,
    clock: Clock,
    deadline: Instant,
    alarm: Option<Pin<Box<Sleep>>>,
    hanging: bool,
}

impl Scripted {
    pub(super) fn new(beats: Beats, clock: Clock, deadline: Instant) -> Self {
        Self { beats, clock, deadline, alarm: None, hanging: false }
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Some(alarm) = &mut self.alarm {
                ready!(alarm.as_mut().poll(cx));
                self.alarm = None;
                if self.hanging {
                    let detail = "the simulated provider hung until the total time was over".to_owned();
                    return Poll::Ready(Some(Err(Broken { class: FailureClass::Timeout, detail })));
                }
            }
            match self.beats.next() {
                None => return Poll::Ready(None),
                Some(Beat::Bytes(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Beat::Wait(wait)) if wait.is_zero() => {}
                Some(Beat::Wait(wait)) => {
                    let until = self.clock.now() + wait;
                    // What would come after the deadline never comes.
                    self.hanging = until > self.deadline;
                    self.alarm = Some(Box::pin(tokio::time::sleep_until(until.min(self.deadline))));
                }
                Some(Beat::Hang) => {
                    self.hanging = true;
                    self.alarm = Some(Box::pin(tokio::time::sleep_until(self.deadline)));
                }
                Some(Beat::Drop) => {
                    let detail = "the simulated provider dropped the connection".to_owned();
                    return Poll::Ready(Some(Err(Broken { class: FailureClass::StreamBroken, detail })));
                }
            }
        }
    }
}
