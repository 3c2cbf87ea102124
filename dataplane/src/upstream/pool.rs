//! Idle connections of one core, by origin. The last one that came back is the first to go out: it is the warmest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::connection::{Connection, Shared};
use crate::clock::Instant;

/// Providers close idle connections after a minute or more; ours go before.
const IDLE_MAX: Duration = Duration::from_secs(50);

/// More idle connections to one origin are not kept.
const IDLE_COUNT_MAX: usize = 256;

/// Idle connections.
#[derive(Debug, Clone, Default)]
pub struct Pool(Arc<Mutex<HashMap<u32, Vec<Idle>>>>);

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// Brings a connection back when its exchange is over; dropped before, the connection closes.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) connection: Connection,
    pub(super) origin: u32,
    pub(super) pool: Pool,
}

impl Pool {
    /// The warmest open connection to the origin. One of HTTP/2 stays in the pool and is shared, as far as it has room.
    pub(super) fn take(&self, origin: u32, now: Instant) -> Option<Connection> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = pools.get_mut(&origin)?;
        if let Some(Idle { connection: Connection::Http2(..), .. }) = idle.last() {
            idle.retain(|idle| idle.connection.is_open());
            return idle.iter_mut().rev().find_map(|idle| idle.share(now));
        }
        while let Some(last) = idle.pop() {
            if !last.connection.is_open() {
                continue;
            }
            if now.saturating_duration_since(last.since) < IDLE_MAX {
                return Some(last.connection);
            }
            // What lies below is idle for longer.
            idle.clear();
        }
        None
    }

    fn put(&self, origin: u32, connection: Connection, now: Instant) {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = pools.entry(origin).or_default();
        let held = match &connection {
            Connection::Http1(_) => false,
            Connection::Http2(_, shared) => idle.iter().any(|idle| idle.spares(shared)),
        };
        if idle.len() < IDLE_COUNT_MAX && !held {
            idle.push(Idle { connection, since: now });
        }
    }

    /// Closes what is idle for too long or closed by the other side; called now and then by the core.
    pub fn sweep(&self, now: Instant) {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for idle in pools.values_mut() {
            idle.retain(|idle| idle.connection.is_open() && now.saturating_duration_since(idle.since) < IDLE_MAX);
        }
        pools.retain(|_, idle| !idle.is_empty());
    }
}

impl Idle {
    /// A copy of a connection of HTTP/2 that has room.
    fn share(&mut self, now: Instant) -> Option<Connection> {
        match &self.connection {
            Connection::Http2(sender, shared) if shared.has_room() => {
                self.since = now;
                Some(Connection::Http2(sender.clone(), shared.clone()))
            }
            Connection::Http1(_) | Connection::Http2(..) => None,
        }
    }

    /// Whether a connection of HTTP/2 that comes back need not be kept beside this one.
    fn spares(&self, back: &Shared) -> bool {
        match &self.connection {
            Connection::Http1(_) => false,
            Connection::Http2(_, own) => own.is(back) || (self.connection.is_open() && own.has_room()),
        }
    }
}

impl Lease {
    /// The exchange is over and the answer was read to its end.
    pub(super) fn give_back(self, now: Instant) {
        if self.connection.is_open() {
            self.pool.put(self.origin, self.connection, now);
        }
    }
}
