//! Back to the client: a whole answer at once, a stream event by event, with one event of buffer at most, all else piece
//! by piece as it comes.
//!
//! Invariant: whatever happens, the closing runs exactly once: at the last byte, at a break, or when the client leaves
//! (this body is dropped, and with it the call at the provider).

mod session;
mod weighed;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use providers::fault::Fault;
use providers::passage::{Facts, Pushed, StreamReader};

use crate::exchange::{Answer, Broken, Source, Streaming};

pub use session::{CalledOff, talk};

/// How a relayed answer ended.
#[derive(Debug)]
pub struct Ended {
    /// What the answer said of itself.
    pub facts: Facts,
    /// Bytes that the client was given.
    pub bytes: u64,
    /// How.
    pub how: How,
    /// Some of what was used has prices that nobody here knows.
    pub unpriced: bool,
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
    /// What nobody reads, and how many bytes are left of it, where that was announced.
    Raw {
        source: Source,
        left: Option<u64>,
    },
    Over,
}

/// Makes the body of a reply. `say` is asked only for a fault after the first byte.
pub fn back<C: Closing>(answer: Answer, closing: C, say: SayFault) -> Relay<C> {
    let (state, facts) = match answer {
        Answer::Whole(whole) => (State::Whole(whole.body), whole.facts),
        Answer::Stream(streaming) => (State::Stream { streaming, say }, Facts::default()),
        Answer::Raw(raw) => (State::Raw { left: raw.source.size_hint().exact(), source: raw.source }, Facts::default()),
    };
    Relay { state, bytes: 0, closing: Some(closing), facts }
}

impl<C: Closing> Relay<C> {
    /// Who closes this answer, for what is to be noted before its first byte.
    pub fn closing(&mut self) -> Option<&mut C> {
        self.closing.as_mut()
    }

    fn give(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.first_byte();
        self.bytes += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn first_byte(&mut self) {
        if self.bytes == 0
            && let Some(closing) = &mut self.closing
        {
            closing.first_byte();
        }
    }

    fn close(&mut self, how: How) {
        if let State::Stream { streaming, .. } = &self.state {
            self.facts = streaming.reader.facts().clone();
        }
        if let Some(mut closing) = self.closing.take() {
            closing.end(Ended { facts: std::mem::take(&mut self.facts), bytes: self.bytes, how, unpriced: false });
        }
        self.state = State::Over;
    }

    /// The next piece of what nobody reads.
    fn poll_raw(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            let State::Raw { source, left } = &mut self.state else { return Poll::Ready(None) };
            match ready!(source.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let Some(data) = frame.into_data().ok().filter(|data| !data.is_empty()) else { continue };
                    if let Some(left) = left {
                        *left = left.saturating_sub(data.len() as u64);
                    }
                    // Who reads by the announced length does not come back to hear that it is over.
                    let over = *left == Some(0) || source.is_end_stream();
                    let given = self.give(data);
                    if over {
                        self.close(How::InFull);
                    }
                    return given;
                }
                Some(Err(broken)) => {
                    let message = broken.detail.clone();
                    self.close(How::Broken(Fault::new(broken.class, message)));
                    return Poll::Ready(Some(Err(broken)));
                }
                None => {
                    self.first_byte();
                    self.close(How::InFull);
                    return Poll::Ready(None);
                }
            }
        }
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
    /// What is passed on as it is has no words for a break: the client's connection breaks too.
    type Error = Broken;

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
                State::Raw { .. } => return this.poll_raw(cx),
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
            State::Raw { left: Some(left), .. } => SizeHint::with_exact(*left),
            State::Raw { left: None, .. } | State::Stream { .. } | State::Last(..) => SizeHint::default(),
            State::Over => SizeHint::with_exact(0),
        }
    }
}

/// A connection that broke after the terminal event broke nothing: the client has its answer.
fn break_off(streaming: &mut Streaming, broken: Broken) -> Pushed {
    if streaming.reader.is_done() {
        return Pushed { bytes: Bytes::new(), fault: None };
    }
    Pushed { bytes: Bytes::new(), fault: Some(Fault::new(broken.class, "the provider's stream broke off before its end")) }
}

impl<C: Closing> Drop for Relay<C> {
    fn drop(&mut self) {
        if self.closing.is_some() {
            let whole_given = match &self.state {
                State::Stream { streaming, .. } => streaming.reader.is_done(),
                // There was nothing to be given but the head.
                State::Raw { left, .. } => *left == Some(0),
                State::Whole(_) | State::Last(..) | State::Over => false,
            };
            if whole_given {
                self.first_byte();
            }
            self.close(if whole_given { How::InFull } else { How::ClientGone });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use http::HeaderMap;
    use http_body_util::BodyExt;
    use snapshot::FailureClass;

    use super::*;
    use crate::exchange::Raw;

    /// Gives pieces, then breaks or ends; `None` among them is a wait without end.
    struct Pieces {
        pieces: VecDeque<Option<&'static str>>,
        breaks: bool,
        announced: Option<u64>,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Broken;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
            match self.pieces.pop_front() {
                Some(Some(piece)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece.as_bytes()))))),
                Some(None) => Poll::Pending,
                None if self.breaks => {
                    let detail = "the connection broke".to_owned();
                    Poll::Ready(Some(Err(Broken { class: FailureClass::StreamBroken, detail })))
                }
                None => Poll::Ready(None),
            }
        }

        fn size_hint(&self) -> SizeHint {
            self.announced.map_or_else(SizeHint::default, SizeHint::with_exact)
        }
    }

    /// What was closed: whether a first byte was told, bytes, and how.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);

    impl Seen {
        fn say(&self, word: String) {
            self.0.lock().expect("no panic").push(word);
        }

        fn told(&self) -> Vec<String> {
            self.0.lock().expect("no panic").clone()
        }
    }

    impl Closing for Seen {
        fn first_byte(&mut self) {
            self.say("first".to_owned());
        }

        fn end(&mut self, ended: Ended) {
            assert_eq!(ended.facts, Facts::default());
            let how = match ended.how {
                How::InFull => "in full".to_owned(),
                How::ClientGone => "client gone".to_owned(),
                How::Broken(fault) => format!("broken, {}", fault.class.word()),
            };
            self.say(format!("{} {how}", ended.bytes));
        }
    }

    fn raw(pieces: &[Option<&'static str>], breaks: bool, announced: Option<u64>) -> (Relay<Seen>, Seen) {
        let source = Box::pin(Pieces { pieces: pieces.iter().copied().collect(), breaks, announced });
        let seen = Seen::default();
        let answer = Answer::Raw(Box::new(Raw { status: 200, headers: HeaderMap::new(), source }));
        (back(answer, seen.clone(), Box::new(|_, _| Bytes::new())), seen)
    }

    #[tokio::test]
    async fn what_nobody_reads_is_given_piece_by_piece_and_closed_once() {
        let (relay, seen) = raw(&[Some("ab"), Some(""), Some("c")], false, None);
        assert_eq!(relay.collect().await.expect("all of it").to_bytes(), "abc");
        assert_eq!(seen.told(), ["first", "3 in full"]);
        let (relay, seen) = raw(&[], false, None);
        assert_eq!(relay.collect().await.expect("nothing").to_bytes(), "");
        assert_eq!(seen.told(), ["first", "0 in full"]);
    }

    #[tokio::test]
    async fn a_break_of_what_nobody_reads_breaks_the_clients_connection() {
        let (relay, seen) = raw(&[Some("ab")], true, Some(9));
        let broken = relay.collect().await.expect_err("it broke");
        assert_eq!(broken.class, FailureClass::StreamBroken);
        assert_eq!(seen.told(), ["first", "2 broken, stream_broken"]);
    }

    #[tokio::test]
    async fn an_announced_length_is_announced_and_its_last_byte_is_the_end() {
        let (mut relay, seen) = raw(&[Some("ab"), Some("c"), None], false, Some(3));
        assert_eq!(relay.size_hint().exact(), Some(3));
        for expected in ["ab", "c"] {
            let frame = relay.frame().await.expect("a frame").expect("data");
            assert_eq!(frame.into_data().expect("data"), expected);
        }
        assert_eq!(seen.told(), ["first", "3 in full"], "before anybody asks again");
        let (relay, seen) = raw(&[], false, Some(0));
        drop(relay);
        assert_eq!(seen.told(), ["first", "0 in full"], "a server does not ask for a body of no bytes");
    }

    #[tokio::test]
    async fn a_client_that_leaves_amid_what_nobody_reads_has_left() {
        let (mut relay, seen) = raw(&[Some("ab"), None], false, Some(9));
        relay.frame().await.expect("a frame").expect("data");
        drop(relay);
        assert_eq!(seen.told(), ["first", "2 client gone"]);
    }
}
