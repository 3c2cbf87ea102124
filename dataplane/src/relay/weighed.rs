//! Bytes of a session as they come in, weighed: a message that is not whole yet stands in memory, and that has an end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::exchange::Room;

/// What no room was found for ends with this; sockets and TLS have other words.
pub(super) const NO_ROOM: io::ErrorKind = io::ErrorKind::QuotaExceeded;

/// A frame of a control message has a head of so many bytes at least.
const CONTROL_HEAD_BYTES: u64 = 2;

/// A byte stream of which what is read takes room.
pub(super) struct Weighed<S, R> {
    stream: S,
    room: R,
    held: Held,
    /// The most that was held at once. Buffers keep the size that they had once, and so does their room.
    most: u64,
}

/// Bytes that were read and belong to no message that was passed on.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<AtomicU64>);

impl Held {
    /// A message is whole and gone. Less than what is read at once may have come behind it; that much is free.
    pub(super) fn passed_on(&self) {
        self.0.store(0, Relaxed);
    }

    /// A control message is done with. It may have come amid the pieces of another, which are still held.
    pub(super) fn heard(&self, payload_bytes: usize) {
        let frame = (payload_bytes as u64).saturating_add(CONTROL_HEAD_BYTES);
        self.0.store(self.0.load(Relaxed).saturating_sub(frame), Relaxed);
    }
}

impl<S, R: Room> Weighed<S, R> {
    pub(super) fn new(stream: S, room: R) -> (Self, Held) {
        let held = Held::default();
        (Self { stream, room, held: held.clone(), most: 0 }, held)
    }

    fn take(&mut self, bytes: u64) -> io::Result<()> {
        let held = self.held.0.load(Relaxed).saturating_add(bytes);
        self.held.0.store(held, Relaxed);
        if held <= self.most {
            return Ok(());
        }
        // A message stands there twice: as it came, and as it goes.
        let more = (held - self.most).saturating_mul(2);
        self.most = held;
        self.room.more(more).map_err(|_| NO_ROOM.into())
    }
}

impl<S: AsyncRead + Unpin, R: Room + Unpin> AsyncRead for Weighed<S, R> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, into))?;
        Poll::Ready(this.take((into.filled().len() - before) as u64))
    }
}

impl<S: AsyncWrite + Unpin, R: Unpin> AsyncWrite for Weighed<S, R> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::exchange::Refusal;

    /// Room for so many bytes.
    struct Narrow(u64);

    impl Room for Narrow {
        fn begin(&mut self) {}

        fn more(&mut self, bytes: u64) -> Result<(), Refusal> {
            let full = Refusal::Overloaded { what: "body_bytes", retry_after: Duration::ZERO };
            self.0 = self.0.checked_sub(bytes).ok_or(full)?;
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_message_takes_room_twice_and_the_next_that_is_no_larger_takes_none() {
        let (mut far, near) = tokio::io::duplex(64);
        let (mut weighed, held) = Weighed::new(near, Narrow(20));
        let mut read = async |bytes: usize| {
            far.write_all(&vec![0; bytes]).await.expect("it listens");
            weighed.read_exact(&mut vec![0; bytes]).await.map_err(|error| error.kind())
        };
        for _ in 0..3 {
            assert_eq!(read(10).await, Ok(10));
            held.passed_on();
        }
        // A ping of six bytes amid the pieces of a message gives back its own and nothing of theirs.
        assert_eq!(read(6).await, Ok(6));
        held.heard(4);
        assert_eq!(read(10).await, Ok(10));
        assert_eq!(read(1).await, Err(NO_ROOM));
    }
}
