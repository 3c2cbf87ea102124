//! Shows a provider who the gateway is, where that must be got first and renewed before it ends.
//!
//! Invariants: one question at a time for each identity; what is still good is shown while the next is asked for, so that
//! a renewal makes no call wait; nothing secret is logged or told, and the words of a token server only as a short code.

mod aws;
mod entra;
mod google;
mod question;
mod token;

use std::sync::Arc;
use std::sync::atomic::Ordering::AcqRel;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use snapshot::{AuthStyle, FailureClass, Reach};
use tokio::time::{timeout, timeout_at};

use super::attempt::Limits;
use super::classify::ours;
use super::pieces::Pieces;
use super::{Dial, Failure, Upstream};
use crate::clock::{Clock, Instant};
use crate::live::{Failed, LiveIdentity, Proof, Shown};
use crate::telemetry::metrics::Metrics;

/// For all that one identity asks, one thing after the other.
const ASKING_MAX: Duration = Duration::from_secs(10);

/// Renewal begins so long before the end, or when a quarter of the life is left.
const EARLY: Duration = Duration::from_secs(300);

/// Not shown any more so long before the end, or when a tenth of the life is left: it must arrive.
const LATE: Duration = Duration::from_secs(10);

/// Whatever a server says, it is asked again after so long.
const LIFE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// After a failure nobody asks for so long, doubled with each that follows.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// What was refused is not asked for anew sooner: a provider may refuse for other reasons than a proof that ended.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// A proof, and how long it lives; `None`: for ever.
struct Lent {
    proof: Proof,
    life: Option<Duration>,
}

/// Why there is no proof. The detail is for our log and holds nothing secret.
#[derive(Debug)]
struct Unproven {
    class: FailureClass,
    detail: String,
}

impl Unproven {
    fn new(class: FailureClass, detail: impl Into<String>) -> Self {
        Self { class, detail: detail.into() }
    }
}

/// Asks for identities.
#[derive(Clone)]
struct Asker {
    dial: Arc<dyn Dial>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Upstream {
    /// Puts on a request what shows who the gateway is, and says what that was.
    pub(super) async fn prove(
        &self,
        identity: &Arc<LiveIdentity>,
        request: &mut Request<Pieces>,
        body: &[Bytes],
        limits: &Limits,
    ) -> Result<Arc<Shown>, Failure> {
        let asker = self.asker();
        let failed = |class, detail| ours(class, "the gateway could not show the provider who it is", detail);
        let shown = match timeout_at(limits.total, asker.shown(identity)).await {
            Err(_) => return Err(failed(FailureClass::Timeout, "the total time was over before the identity was there".to_owned())),
            Ok(Err(Failed { class, detail, .. })) => return Err(failed(class, format!("identity: {detail}"))),
            Ok(Ok(shown)) => shown,
        };
        match &shown.proof {
            Proof::Bearer(value) => drop(request.headers_mut().insert(AUTHORIZATION, value.expose().clone())),
            Proof::Aws(keys) => {
                if let AuthStyle::Aws(aws) = identity.style() {
                    let scope = providers::sigv4::Scope { region: &aws.region, service: &aws.service };
                    aws::sign(request, body, keys, scope, self.clock.unix_ms())
                        .map_err(|detail| failed(FailureClass::BadRequest, detail))?;
                }
            }
        }
        Ok(shown)
    }

    /// Sees to identities that were shown and end soon, so that the next call need not wait; called now and then by the core.
    pub fn renew<'a>(&self, identities: impl Iterator<Item = &'a Arc<LiveIdentity>>) {
        let asker = self.asker();
        let now = self.clock.now();
        identities.filter_map(|identity| Some((identity, identity.good(now)?))).for_each(|(identity, shown)| asker.renew(identity, &shown));
    }

    fn asker(&self) -> Asker {
        Asker { dial: self.dial.clone(), clock: self.clock.clone(), metrics: self.metrics.clone() }
    }

    /// A provider refused what was shown. True when it is worth while to ask for another: it was not asked for just now,
    /// and it is nothing that stands in a Secret.
    pub(super) fn forget(&self, identity: &LiveIdentity, refused: &Arc<Shown>) -> bool {
        let old = self.clock.now().saturating_duration_since(refused.got_at) >= REFUSED_PAUSE;
        if !old || refused.good_until.is_none() {
            return false;
        }
        if identity.shown.load().as_ref().is_some_and(|shown| Arc::ptr_eq(shown, refused)) {
            identity.shown.store(None);
        }
        true
    }
}

impl Asker {
    /// What is shown now; asked for when there is none that is good.
    async fn shown(&self, identity: &Arc<LiveIdentity>) -> Result<Arc<Shown>, Failed> {
        let now = self.clock.now();
        if let Some(shown) = identity.good(now) {
            self.renew(identity, &shown);
            return Ok(shown);
        }
        // A task of its own: whoever leaves leaves to the others what was asked for.
        let (asker, asked) = (self.clone(), identity.clone());
        let next = tokio::spawn(async move { asker.next(&asked).await });
        next.await.unwrap_or_else(|_| {
            let detail = "this core ended while it asked".to_owned();
            Err(Failed { class: FailureClass::ConnectError, detail, again_at: now, times: 0 })
        })
    }

    /// Asks for the next when it is time, while this one is shown.
    fn renew(&self, identity: &Arc<LiveIdentity>, shown: &Shown) {
        let now = self.clock.now();
        let paused = || identity.failed.lock().as_ref().is_some_and(|failed| now < failed.again_at);
        if is_due(shown, now) && !paused() && !identity.renewing.swap(true, AcqRel) {
            let (asker, identity) = (self.clone(), identity.clone());
            tokio::spawn(async move {
                let renewing = Renewing(identity);
                drop(asker.next(&renewing.0).await);
            });
        }
    }

    /// Waits for its turn, and asks unless somebody did meanwhile.
    async fn next(&self, identity: &Arc<LiveIdentity>) -> Result<Arc<Shown>, Failed> {
        let _turn = identity.turn.lock().await;
        let now = self.clock.now();
        if let Some(shown) = identity.good(now).filter(|shown| !is_due(shown, now)) {
            return Ok(shown);
        }
        let before = identity.failed.lock().clone();
        if let Some(failed) = before.as_ref().filter(|failed| now < failed.again_at) {
            return Err(failed.clone());
        }
        let late = || Unproven::new(FailureClass::Timeout, format!("no answer within {} s", ASKING_MAX.as_secs()));
        let lent = timeout(ASKING_MAX, self.ask(identity)).await.unwrap_or_else(|_| Err(late()));
        let provider = identity.provider.as_str();
        let now = self.clock.now();
        match lent {
            Ok(lent) => {
                self.metrics.identity_fetches.with_label_values(&[provider, "ok"]).inc();
                tracing::debug!(provider, life_seconds = lent.life.map(|life| life.as_secs()), "the identity at the provider is renewed");
                let shown = Arc::new(shown(lent, now));
                identity.shown.store(Some(shown.clone()));
                *identity.failed.lock() = None;
                Ok(shown)
            }
            Err(Unproven { class, detail }) => {
                self.metrics.identity_fetches.with_label_values(&[provider, class.word()]).inc();
                tracing::warn!(provider, class = class.word(), detail, "no identity for the provider");
                let times = before.map_or(0, |failed| failed.times).saturating_add(1);
                let pause = PAUSE.saturating_mul(1 << (times - 1).min(6)).min(PAUSE_MAX);
                let failed = Failed { class, detail, again_at: now + pause, times };
                *identity.failed.lock() = Some(failed.clone());
                Err(failed)
            }
        }
    }

    async fn ask(&self, identity: &LiveIdentity) -> Result<Lent, Unproven> {
        let style = identity.style();
        // The compiler holds this; a bundle of another hand must not get around it.
        if style.is_ambient() && identity.endpoint.reach != Reach::Any {
            return Err(Unproven::new(
                FailureClass::AuthFailed,
                "the identity of the gateway's pods is not for a provider of another namespace",
            ));
        }
        match style {
            AuthStyle::Aws(aws) => self.aws(identity, aws).await,
            AuthStyle::Google(google) => self.google(identity, google).await,
            AuthStyle::Entra(entra) => self.entra(identity, entra).await,
            AuthStyle::None | AuthStyle::Bearer | AuthStyle::XApiKey | AuthStyle::ApiKey | AuthStyle::GoogApiKey => {
                Err(Unproven::new(FailureClass::AuthFailed, "no identity is asked for"))
            }
        }
    }
}

/// Says that nobody renews any more, however the renewal ended.
struct Renewing(Arc<LiveIdentity>);

impl Drop for Renewing {
    fn drop(&mut self) {
        self.0.renewing.store(false, std::sync::atomic::Ordering::Release);
    }
}

fn is_due(shown: &Shown, now: Instant) -> bool {
    shown.renew_from.is_some_and(|from| now >= from)
}

fn shown(lent: Lent, now: Instant) -> Shown {
    let Lent { proof, life } = lent;
    let life = life.map(|life| life.min(LIFE_MAX));
    let before_end = |life: Duration, margin: Duration| now + life.saturating_sub(margin);
    Shown {
        proof,
        got_at: now,
        good_until: life.map(|life| before_end(life, LATE.min(life / 10))),
        renew_from: life.map(|life| before_end(life, EARLY.min(life / 4))),
    }
}

/// A word of a stranger, fit for our log: a code such as `AccessDenied`, and nothing that could be a secret.
fn code(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.')).unwrap_or(text.len());
    text.get(..end.min(48)).unwrap_or_default()
}

/// What a file of the pod says: a token, which others renew.
async fn token_of(path: &str) -> Result<String, Unproven> {
    const TOKEN_BYTES_MAX: u64 = 64 << 10;
    let wanted = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        use std::io::Read;
        let mut text = String::new();
        std::fs::File::open(wanted)?.take(TOKEN_BYTES_MAX).read_to_string(&mut text)?;
        std::io::Result::Ok(text)
    });
    let failed = |why: String| Unproven::new(FailureClass::AuthFailed, format!("the token file {path} cannot be read: {why}"));
    let text = read.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
    let token = text.trim();
    if token.is_empty() { Err(failed("it is empty".to_owned())) } else { Ok(token.to_owned()) }
}
