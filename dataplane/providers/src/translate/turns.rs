//! Blocks of a streamed answer, in turn. Those of several calls may come interleaved, each piece with the number of its block;
//! the dialects of clients want one block after the other, so the first is told as it comes and the others wait for its end.

use std::collections::VecDeque;

use super::not_an_answer;
use crate::fault::Fault;

/// What waits for its turn, in bytes.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// Blocks that wait.
const WAITING_BLOCKS_MAX: usize = 1024;

/// An event that waits, as it came: its kind where a frame tells it, and its data.
pub(super) type Held = (String, Vec<u8>);

/// Which block is told, and what waits.
#[derive(Debug, Default)]
pub(super) struct Turns {
    open: Option<u64>,
    waiting: VecDeque<(u64, Vec<Held>)>,
    bytes: usize,
}

impl Turns {
    /// Whether an event of this block is told now. If not it waits. An event that names no block is of the one that is told.
    pub(super) fn is_due(&mut self, block: Option<u64>, kind: &str, data: &[u8]) -> Result<bool, Fault> {
        let Some(block) = block else { return Ok(true) };
        if *self.open.get_or_insert(block) == block {
            return Ok(true);
        }
        self.bytes += data.len();
        let held = (kind.to_owned(), data.to_vec());
        match self.waiting.iter_mut().find(|(waiting, _)| *waiting == block) {
            Some((_, events)) => events.push(held),
            None => self.waiting.push_back((block, vec![held])),
        }
        if self.bytes > WAITING_BYTES_MAX || self.waiting.len() > WAITING_BLOCKS_MAX {
            return Err(not_an_answer("too much of it comes out of turn"));
        }
        Ok(false)
    }

    /// The block that was told is over.
    pub(super) fn end(&mut self) {
        self.open = None;
    }

    /// The events of the block whose turn it is now, once the one before is over.
    pub(super) fn next(&mut self) -> Option<Vec<Held>> {
        if self.open.is_some() {
            return None;
        }
        let (_, events) = self.waiting.pop_front()?;
        self.bytes -= events.iter().map(|(_, data)| data.len()).sum::<usize>();
        Some(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_in_blocks_and_in_bytes() {
        let mut turns = Turns::default();
        assert_eq!(turns.is_due(Some(0), "", b"x"), Ok(true));
        assert!((1..=1024).all(|block| turns.is_due(Some(block), "", b"x") == Ok(false)));
        assert!(turns.is_due(Some(1025), "", b"x").is_err());
        let mut turns = Turns::default();
        let large = vec![b'x'; WAITING_BYTES_MAX / 2];
        assert_eq!(turns.is_due(Some(0), "", &large), Ok(true), "what is told does not wait");
        assert_eq!((turns.is_due(Some(1), "", &large), turns.is_due(Some(1), "", &large)), (Ok(false), Ok(false)));
        assert!(turns.is_due(Some(1), "", b"x").is_err());
    }
}
