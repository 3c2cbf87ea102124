//! Whether the key of a session is still good for it, long after the session began.

use std::sync::Arc;
use std::time::Duration;

use snapshot::Surface;

use super::Rooms;
use crate::clock::Clock;
use crate::exchange::Grant;
use crate::live::{LiveHandle, LiveProvider};
use crate::{auth, routing};

/// What was granted, and where to ask anew.
pub(super) struct Standing {
    live: Arc<LiveHandle>,
    clock: Clock,
    grant: Grant,
    /// Who answers.
    provider: Option<Arc<LiveProvider>>,
}

impl Standing {
    pub(super) fn new(rooms: &Rooms, grant: Grant, provider: Option<Arc<LiveProvider>>) -> Self {
        Self { live: rooms.live.clone(), clock: rooms.clock.clone(), grant, provider }
    }

    /// The grant as it is now.
    fn grant(&self) -> Option<Grant> {
        let live = self.live.current()?;
        auth::again(&live, &self.grant, self.clock.unix_ms()).ok()
    }

    /// Whether another model than the session's own, by the provider's name for it, is among the key's; `None` is whichever the
    /// provider takes.
    pub(super) fn allows_beside(&self, model: Option<&str>) -> bool {
        let (Some(grant), Some(provider)) = (self.grant(), &self.provider) else { return false };
        model.map_or_else(|| grant.allows_all_models(), |model| routing::allows_at(&grant, provider, model))
    }

    /// Comes when the key is revoked, suspended or expired, or may have no sessions any more.
    pub(super) async fn lost(&self) {
        let mut changes = self.live.changes();
        loop {
            let Some(grant) = self.grant().filter(|grant| auth::admit(grant, Surface::Realtime.operation()).is_ok()) else { return };
            let expired = async {
                match grant.key.key.expires_at {
                    // A moment that is further than a session lives need not be waited for exactly.
                    Some(second) => {
                        let left = u64::try_from(second).unwrap_or(0).saturating_mul(1000).saturating_sub(self.clock.unix_ms());
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
