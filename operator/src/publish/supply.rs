//! A gateway's supply while this replica leads: the shelf, what is held back from it, and the bytes that may be written.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crds::compile::Config;

use super::guard::{self, Alarm, Exists, Held, RELEASE};
use super::purse::{self, Purse};
use super::turns::Turns;
use super::{Hands, PublishError, Shelf};
use crate::clock::{self, Instant};

/// What keeps pods supplied.
pub struct Supply {
    shelf: Shelf,
    purse: Purse,
    turns: Turns,
    held: Held,
    /// What vanished is held until it is released or back again.
    holding: bool,
    /// What went within [`guard::LATELY`], and when.
    went: VecDeque<(Instant, Held)>,
    /// What was compiled last is on the shelf, but for what is held back.
    whole: bool,
}

/// The rest of a configuration is not on the shelf yet.
#[derive(Debug, Clone, Copy)]
pub struct Later {
    /// When it may be.
    pub wait: Duration,
    /// The byte budget is spent; else it is only not its turn.
    pub spent: bool,
}

/// What is known of a gateway when it is supplied.
pub struct Order<'a> {
    /// Which objects exist.
    pub exists: Exists<'a>,
    /// The value of its annotation [`RELEASE`].
    pub release: Option<&'a str>,
}

impl Supply {
    /// With what is there. `holding`: an earlier leader held back what vanished.
    #[must_use]
    pub fn new(shelf: Shelf, holding: bool) -> Self {
        let now = clock::now();
        let (purse, turns) = (Purse::full(now), Turns::all(now));
        Self { shelf, purse, turns, held: Held::default(), holding, went: VecDeque::new(), whole: false }
    }

    /// The shelf.
    #[must_use]
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// The same with a shelf that was read again.
    #[must_use]
    pub fn with(self, shelf: Shelf) -> Self {
        Self { shelf: shelf.after(&self.shelf), whole: false, ..self }
    }

    /// The sequence and revision that hold what was compiled last; None while they do not hold all of it.
    #[must_use]
    pub fn current(&self) -> Option<(u64, String)> {
        self.shelf.revision().filter(|_| self.whole)
    }

    /// Notes that what was compiled last is not on the shelf.
    pub fn fell_behind(&mut self) {
        self.whole = false;
    }

    /// Puts a configuration on the shelf: all of it, or what it revokes while the rest waits for bytes or for its turn.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn bring(&mut self, config: &Arc<Config>, order: &Order<'_>, hands: &Hands<'_>) -> Result<Option<Later>, PublishError> {
        self.whole = self.shelf.published() == Some(config);
        if self.whole {
            (self.held, self.holding) = (Held::default(), false);
            self.shelf.share(config);
            return Ok(None);
        }
        let mut config = Arc::clone(config);
        let released = self.shelf.revision().is_some_and(|(sequence, _)| order.release == Some(sequence.to_string().as_str()));
        let now = clock::now();
        self.went.retain(|(at, _)| !released && now.saturating_duration_since(*at) < guard::LATELY);
        let lately = self.went.iter().fold(Held::default(), |all, (_, went)| all.and(*went));
        let (mut held, mut going) = (Held::default(), Held::default());
        if let Some(published) = self.shelf.published().filter(|_| !released) {
            let alarm = if self.holding { Alarm::Raised } else { Alarm::After(lately) };
            going = guard::vanished(published, &config, &order.exists);
            if going.any() {
                held = guard::hold(published, &mut config, &order.exists, alarm);
                going = guard::vanished(published, &config, &order.exists);
            }
        }
        (self.held, self.holding) = (held, held.any());
        let budget = self.purse.wait(clock::now());
        let wait = budget.max(self.turns.wait(clock::now()));
        if wait.is_zero() || self.shelf.published() == Some(&config) {
            self.write(&config, hands).await?;
            self.went.extend(going.any().then_some((now, going)));
            self.whole = true;
            return Ok(None);
        }
        if let Some(urgent) = self.shelf.published().and_then(|published| purse::revocations(published, &config)) {
            self.write(&Arc::new(urgent), hands).await?;
            self.went.extend(going.any().then_some((now, going)));
        }
        Ok(Some(Later { wait, spent: !budget.is_zero() }))
    }

    async fn write(&mut self, config: &Arc<Config>, hands: &Hands<'_>) -> Result<(), PublishError> {
        if self.shelf.published() == Some(config) {
            return Ok(());
        }
        let plan = self.shelf.plan(config)?;
        self.purse.take(clock::now(), plan.writes.iter().map(|write| write.bytes.len()).sum());
        self.turns.take(clock::now());
        self.shelf.write(plan, config, hands).await
    }

    /// What is held back, and how it is let go.
    #[must_use]
    pub fn held_back(&self) -> Option<String> {
        let Held { providers, keys, policies } = self.held;
        let sequence = self.shelf.revision().map_or(0, |(sequence, _)| sequence);
        self.held.any().then(|| {
            format!(
                "{providers} LLMProviders, {keys} VirtualKeys and {policies} RoutingPolicies vanished at once and are served on; \
                 the annotation {RELEASE}: \"{sequence}\" lets them go"
            )
        })
    }
}
