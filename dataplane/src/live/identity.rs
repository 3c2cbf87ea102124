//! Who the gateway is at a cloud: what is shown now, and until when it is good. Got and renewed by `upstream`, kept here
//! so that a reload of the configuration does not ask again.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use parking_lot::Mutex;
use providers::sigv4::Keys;
use snapshot::{AuthStyle, Egress, Endpoint, ProviderId, Secret};

use crate::clock::Instant;

/// One provider's identity. Equal identities of one provider are the same over reloads.
#[derive(Debug)]
pub struct LiveIdentity {
    /// Whose.
    pub provider: ProviderId,
    /// The provider's own end; its style says where the identity comes from, its reach where that may be asked.
    pub endpoint: Endpoint,
    /// Networks that are allowed besides public ones.
    pub egress: Egress,
    /// What of the identity is secret.
    pub secret: Option<Secret<String>>,
    /// What is shown now.
    pub shown: ArcSwapOption<Shown>,
    /// Held by whoever asks for the next: one at a time.
    pub turn: tokio::sync::Mutex<()>,
    /// Somebody sees to the next while this one is good.
    pub renewing: AtomicBool,
    /// Why there is none, as long as nobody should ask again.
    pub failed: Mutex<Option<Failed>>,
}

/// What a provider is shown, for a while.
#[derive(Debug)]
pub struct Shown {
    /// The thing itself.
    pub proof: Proof,
    /// When it was got.
    pub got_at: Instant,
    /// Not shown from here on; `None`: good for ever.
    pub good_until: Option<Instant>,
    /// To be renewed from here on.
    pub renew_from: Option<Instant>,
}

/// What proves who the gateway is.
#[derive(Debug)]
pub enum Proof {
    /// Signs each request.
    Aws(Keys),
    /// Stands in `authorization`.
    Bearer(Secret<HeaderValue>),
}

/// Why there was none, the last time that somebody asked.
#[derive(Debug, Clone)]
pub struct Failed {
    /// How it failed.
    pub class: snapshot::FailureClass,
    /// For our log; holds nothing secret.
    pub detail: String,
    /// Nobody asks before.
    pub again_at: Instant,
    /// How many times in a row.
    pub times: u32,
}

impl LiveIdentity {
    pub(super) fn new(provider: &ProviderId, endpoint: &Endpoint, egress: &Egress, secret: Option<&Secret<String>>) -> Self {
        Self {
            provider: provider.clone(),
            endpoint: endpoint.clone(),
            egress: egress.clone(),
            secret: secret.cloned(),
            shown: ArcSwapOption::empty(),
            turn: tokio::sync::Mutex::new(()),
            renewing: AtomicBool::new(false),
            failed: Mutex::new(None),
        }
    }

    /// Where it comes from.
    #[must_use]
    pub fn style(&self) -> &AuthStyle {
        &self.endpoint.auth
    }

    pub(super) fn is(&self, endpoint: &Endpoint, egress: &Egress, secret: Option<&Secret<String>>) -> bool {
        self.endpoint == *endpoint && self.egress == *egress && self.secret.as_ref() == secret
    }

    /// What is shown, while it is good.
    #[must_use]
    pub fn good(&self, now: Instant) -> Option<Arc<Shown>> {
        self.shown.load_full().filter(|shown| shown.good_until.is_none_or(|until| now < until))
    }
}
