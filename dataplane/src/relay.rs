//! Back to the client: a whole answer at once, a stream event by event, with one event of buffer at most.
//!
//! Invariant: whatever happens, the closing runs exactly once: at the last byte, at a break, or when the client leaves
//! (this body is dropped, and with it the call at the provider).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use providers::fault::Fault;
use providers::passage::{Facts, Pushed, StreamReader};

use crate::exchange::{Answer, Broken, Streaming};

/// How a relayed answer ended.
#[derive(Debug)]
pub struct Ended {
    /// What the answer said of itself.
    pub facts: Facts,
    /// Bytes that the client was given.
    pub bytes: u64,
    /// How.
    pub how: How,
}

/// The three ends of an answer.
#[derive(Debug)]
pub enum How {
    /// All of it was given to the client.
    InFull,
    /// The provider failed after the first byte.
    Broken(Fault),
    /// The client left.
    ClientGone,
}

/// Says a fault in the dialect of the stream.
pub type SayFault = Box<dyn Fn(&Fault, &StreamReader) -> Bytes + Send>;

/// Takes the end of an answer, once.
pub trait Closing: Send + Unpin {
    /// The first byte is about to go to the client.
    fn first_byte(&mut self);
    /// The answer is over.
    fn end(&mut self, ended: Ended);
}

/// The body of a reply to a client.
pub struct Relay<C: Closing> {
    state: State,
    bytes: u64,
    /// Taken when it has run.
    closing: Option<C>,
    facts: Facts,
}

enum State {
    /// A whole answer, not yet given.
    Whole(Bytes),
    /// A stream under way.
    Stream {
        streaming: Box<Streaming>,
        say: SayFault,
    },
    /// A last event, then the end.
    Last(Bytes, Fault),
    Over,
}

/// Makes the body of a reply. `say` is asked only for a fault after the first byte.
pub fn back<C: Closing>(answer: Answer, closing: C, say: SayFault) -> Relay<C> {
    let (state, facts) = match answer {
        Answer::Whole(whole) => (State::Whole(whole.body), whole.facts),
        Answer::Stream(streaming) => (State::Stream { streaming, say }, Facts::default()),
    };
    Relay { state, bytes: 0, closing: Some(closing), facts }
}

impl<C: Closing> Relay<C> {
    /// Who closes this answer, for what is to be noted before its first byte.
    pub fn closing(&mut self) -> Option<&mut C> {
        self.closing.as_mut()
    }

    fn give(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        if self.bytes == 0
            && let Some(closing) = &mut self.closing
        {
            closing.first_byte();
        }
        self.bytes += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn close(&mut self, how: How) {
        if let State::Stream { streaming, .. } = &self.state {
            self.facts = streaming.reader.facts().clone();
        }
        if let Some(mut closing) = self.closing.take() {
            closing.end(Ended { facts: std::mem::take(&mut self.facts), bytes: self.bytes, how });
        }
        self.state = State::Over;
    }

    /// A fault after the first byte: the client is told in its dialect, then the stream ends.
    fn fail(&mut self, fault: Fault) {
        if let State::Stream { streaming, say } = &self.state {
            self.facts = streaming.reader.facts().clone();
            self.state = State::Last(say(&fault, &streaming.reader), fault);
        }
    }
}

impl<C: Closing> Body for Relay<C> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Over => return Poll::Ready(None),
                State::Whole(body) => {
                    let body = std::mem::take(body);
                    let given = this.give(body);
                    this.close(How::InFull);
                    return given;
                }
                State::Last(event, fault) => {
                    let (event, fault) = (std::mem::take(event), fault.clone());
                    let given = this.give(event);
                    this.close(How::Broken(fault));
                    return given;
                }
                State::Stream { streaming, .. } => {
                    let streaming = &mut **streaming;
                    if !streaming.first.is_empty() {
                        let first = std::mem::take(&mut streaming.first);
                        return this.give(first);
                    }
                    let (pushed, over) = match streaming.fault.take() {
                        Some(fault) => (Pushed { bytes: Bytes::new(), fault: Some(fault) }, false),
                        None => match ready!(streaming.source.as_mut().poll_frame(cx)) {
                            Some(Ok(frame)) => match frame.into_data() {
                                Ok(data) => (streaming.reader.push(data), false),
                                Err(_) => continue,
                            },
                            Some(Err(broken)) => (break_off(streaming, broken), true),
                            None => (streaming.reader.finish(), true),
                        },
                    };
                    match pushed.fault {
                        Some(fault) if pushed.bytes.is_empty() => this.fail(fault),
                        Some(fault) => {
                            streaming.fault = Some(fault);
                            return this.give(pushed.bytes);
                        }
                        None if over && pushed.bytes.is_empty() => {
                            this.close(How::InFull);
                            return Poll::Ready(None);
                        }
                        None if over => {
                            let given = this.give(pushed.bytes);
                            this.close(How::InFull);
                            return given;
                        }
                        None if pushed.bytes.is_empty() => {}
                        None => return this.give(pushed.bytes),
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Whole(body) => SizeHint::with_exact(body.len() as u64),
            State::Stream { .. } | State::Last(..) => SizeHint::default(),
            State::Over => SizeHint::with_exact(0),
        }
    }
}

/// A connection that broke after the terminal event broke nothing: the client has its answer.
fn break_off(streaming: &mut Streaming, broken: Broken) -> Pushed {
    if streaming.reader.is_done() {
        return Pushed { bytes: Bytes::new(), fault: None };
    }
    let message = "the provider's stream broke off before its end".to_owned();
    Pushed { bytes: Bytes::new(), fault: Some(Fault { class: broken.class, message, code: None, param: None }) }
}

impl<C: Closing> Drop for Relay<C> {
    fn drop(&mut self) {
        if self.closing.is_some() {
            let whole_given = matches!(self.state, State::Stream { ref streaming, .. } if streaming.reader.is_done());
            self.close(if whole_given { How::InFull } else { How::ClientGone });
        }
    }
}
