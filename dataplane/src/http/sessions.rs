//! Sessions of one connection: what was a connection of HTTP/1.1 is theirs once it is switched, and lives as long as they do.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::listener::Leaving;
use crate::serve::Opened;

/// A client that asked to switch does so at once.
const SWITCH_WITHIN: Duration = Duration::from_secs(10);

/// Where a connection keeps its session, of which it has one at most.
#[derive(Clone)]
pub(super) struct Sessions {
    running: Arc<Mutex<Option<JoinHandle<()>>>>,
    leaving: watch::Receiver<Leaving>,
}

impl Sessions {
    pub(super) fn new(leaving: watch::Receiver<Leaving>) -> Self {
        Self { running: Arc::default(), leaving }
    }

    /// Waits for the end of the session, when there is one.
    pub(super) async fn ended(&self) {
        let running = self.running.lock().take();
        if let Some(running) = running {
            drop(running.await);
        }
    }
}

/// A connection that can be switched.
pub(super) struct Upgrade {
    on: OnUpgrade,
    sessions: Sessions,
}

impl Upgrade {
    /// Of a request that asks for it.
    pub(super) fn of(head: &mut Parts) -> Option<Self> {
        let sessions = head.extensions.remove::<Sessions>()?;
        Some(Self { on: head.extensions.remove::<OnUpgrade>()?, sessions })
    }

    /// Carries a session once the connection is switched. A client that never does so has left.
    pub(super) fn carry(self, opened: Opened) {
        let Self { on, sessions } = self;
        let mut leaving = sessions.leaving.clone();
        let running = tokio::spawn(async move {
            if let Ok(Ok(upgraded)) = timeout(SWITCH_WITHIN, on).await {
                let left = async move {
                    if leaving.wait_for(|leaving| *leaving >= Leaving::Now).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                };
                Box::pin(opened.carry(TokioIo::new(upgraded), left)).await;
            }
        });
        *sessions.running.lock() = Some(running);
    }
}
