//! Whether the key of a session is still good for it, long after the session began.

use std::sync::Arc;
use std::time::Duration;

use snapshot::Surface;

use super::Rooms;
use crate::auth;
use crate::clock::Clock;
use crate::exchange::Grant;
use crate::live::LiveHandle;

/// What was granted, and where to ask anew.
pub(super) struct Standing {
    live: Arc<LiveHandle>,
    clock: Clock,
    grant: Grant,
}

impl Standing {
    pub(super) fn new(rooms: &Rooms, grant: Grant) -> Self {
        Self { live: rooms.live.clone(), clock: rooms.clock.clone(), grant }
    }

    /// Comes when the key is revoked, suspended or expired, or may have no sessions any more.
    pub(super) async fn lost(mut self) {
        let mut changes = self.live.changes();
        loop {
            let unix_ms = self.clock.unix_ms();
            let found = self.live.current().and_then(|live| auth::again(&live, &self.grant, unix_ms).ok());
            let Some(grant) = found.filter(|grant| auth::admit(grant, Surface::Realtime.operation()).is_ok()) else { return };
            self.grant = grant;
            let expired = async {
                match self.grant.key.key.expires_at {
                    // A moment that is further than a session lives need not be waited for exactly.
                    Some(second) => {
                        let left = u64::try_from(second).unwrap_or(0).saturating_mul(1000).saturating_sub(unix_ms);
                        tokio::time::sleep(Duration::from_millis(left)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Ok(()) = changes.changed() => {}
                () = expired => {}
            }
        }
    }
}
