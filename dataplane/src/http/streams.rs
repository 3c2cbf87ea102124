//! What one connection of HTTP/2 carries, and when that is more than its fair share: a connection lives on one core, so
//! that a client with a single one would pin that core while the others idle.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

use super::body::ReplyBody;
use crate::exchange::Broken;

/// So many open streams are nobody's greed.
const OPEN_FREE: u32 = 32;

/// So many calls a connection serves before it is asked to make way, so that its handshake is worth its price.
const SERVED_MIN: u32 = 1000;

/// One connection's streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: AtomicU32,
    served: AtomicU32,
    greedy: Notify,
}

/// An open stream. Given back on drop.
#[derive(Debug)]
pub(super) struct Stream(Arc<Streams>);

impl Streams {
    /// Counts a stream that opens, in a process with so many calls in flight on so many cores.
    pub(super) fn open(self: &Arc<Self>, calls: u32, cores: u16) -> Stream {
        let open = self.open.fetch_add(1, Relaxed) + 1;
        let served = self.served.fetch_add(1, Relaxed);
        if served >= SERVED_MIN && is_greedy(open, calls, cores) {
            self.greedy.notify_one();
        }
        Stream(self.clone())
    }

    /// Waits until the connection carries more than its share.
    pub(super) async fn greed(&self) {
        self.greedy.notified().await;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// More than one core's part of all calls, and a quarter of it.
fn is_greedy(open: u32, calls: u32, cores: u16) -> bool {
    cores > 1 && open > OPEN_FREE && 4 * u64::from(open) * u64::from(cores) > 5 * u64::from(calls.max(open))
}

/// A reply's body that holds its stream open.
pub struct Carried {
    body: ReplyBody,
    _stream: Option<Stream>,
}

impl Carried {
    pub(super) fn new(body: ReplyBody, stream: Option<Stream>) -> Self {
        Self { body, _stream: stream }
    }
}

impl Body for Carried {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_is_who_has_more_than_a_cores_part_of_all_calls() {
        assert!(is_greedy(40, 40, 2), "all of them on one of two cores");
        assert!(is_greedy(40, 0, 2), "calls that are not counted yet");
        assert!(!is_greedy(40, 40, 1), "there is no other core");
        assert!(!is_greedy(32, 32, 8), "few enough to be nobody's greed");
        assert!(!is_greedy(40, 80, 2), "just its part");
        assert!(!is_greedy(50, 80, 2) && is_greedy(51, 80, 2), "a quarter more is nobody's greed either");
        assert!(!is_greedy(u32::MAX, u32::MAX, 1) && is_greedy(u32::MAX, u32::MAX, u16::MAX));
    }
}
