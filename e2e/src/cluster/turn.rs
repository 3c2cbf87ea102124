//! Who may use the cluster when: many tests at once, or one that kills and freezes, alone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A test waits for as long as others take, and one that wants to be alone until nobody else is there: a test may ask for
/// a second namespace without waiting for it.
#[derive(Default)]
pub(super) struct Turns {
    now: Mutex<Now>,
    changed: Notify,
}

#[derive(Default)]
struct Now {
    together: usize,
    alone: bool,
}

/// A turn, over when dropped.
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    alone: bool,
}

impl Turns {
    pub(super) async fn take(&self, alone: bool) -> Turn<'_> {
        loop {
            let changed = self.changed.notified();
            if self.try_take(alone) {
                return Turn { turns: self, alone };
            }
            changed.await;
        }
    }

    fn try_take(&self, alone: bool) -> bool {
        let mut now = self.now();
        if now.alone || (alone && now.together > 0) {
            return false;
        }
        now.alone = alone;
        now.together += usize::from(!alone);
        true
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut now = self.turns.now();
        if self.alone {
            now.alone = false;
        } else {
            now.together -= 1;
        }
        drop(now);
        self.turns.changed.notify_waiters();
    }
}

#[cfg(test)]
#[test]
fn one_alone_excludes_all_others_and_waits_for_them() {
    let turns = Turns::default();
    let take = |alone: bool| turns.try_take(alone).then_some(Turn { turns: &turns, alone });
    let (one, two) = (take(false), take(false));
    assert!(one.is_some() && two.is_some() && !turns.try_take(true));
    drop((one, two));
    let alone = take(true);
    assert!(alone.is_some() && !turns.try_take(false) && !turns.try_take(true));
    drop(alone);
    assert!(take(false).is_some());
}
