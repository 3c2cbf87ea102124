//! A provider with its headers, paths and prices made once.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

use http::uri::{Authority, PathAndQuery};
use http::{HeaderName, HeaderValue};
use snapshot::{AuthStyle, Credentials, Egress, Endpoint, Provider, ProviderId, Scheme, Secret, Surface};

use super::{Known, LiveIdentity, known, paths, speaks};
use crate::seal::Place;

/// Where connections lead: the same for equal endpoints of one provider, over reloads. Pools are keyed by it.
#[derive(Debug)]
pub struct Origin {
    /// Unique in this process.
    pub number: u32,
    /// Where and how to dial.
    pub endpoint: Endpoint,
    /// Networks that are allowed besides public ones.
    pub egress: Egress,
}

/// Gives equal endpoints of one provider the same [`Origin`], so that a reload keeps their connections.
#[derive(Debug, Default)]
pub struct Origins {
    known: Mutex<HashMap<ProviderId, Weak<Origin>>>,
    identities: Mutex<HashMap<ProviderId, Weak<LiveIdentity>>>,
    next: AtomicU32,
}

impl Origins {
    fn intern(&self, id: &ProviderId, endpoint: &Endpoint, egress: &Egress) -> Arc<Origin> {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(origin) = known.get(id).and_then(Weak::upgrade)
            && origin.endpoint == *endpoint
            && origin.egress == *egress
        {
            return origin;
        }
        let number = self.next.fetch_add(1, Relaxed);
        let origin = Arc::new(Origin { number, endpoint: endpoint.clone(), egress: egress.clone() });
        known.retain(|_, origin| origin.strong_count() > 0);
        known.insert(id.clone(), Arc::downgrade(&origin));
        origin
    }

    /// The same for who the gateway is there, so that a reload keeps tokens that are good.
    fn identity(&self, id: &ProviderId, endpoint: &Endpoint, egress: &Egress, secret: Option<&Secret<String>>) -> Arc<LiveIdentity> {
        let mut known = self.identities.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(identity) = known.get(id).and_then(Weak::upgrade)
            && identity.is(endpoint, egress, secret)
        {
            return identity;
        }
        let identity = Arc::new(LiveIdentity::new(id, endpoint, egress, secret));
        known.retain(|_, identity| identity.strong_count() > 0);
        known.insert(id.clone(), Arc::downgrade(&identity));
        identity
    }
}

/// A provider, ready to be called.
#[derive(Debug)]
pub struct LiveProvider {
    /// As compiled.
    pub provider: Provider,
    /// Where connections lead; a simulated provider has none.
    pub origin: Option<Arc<Origin>>,
    /// The header that shows the credential; never printed.
    pub credential: Option<(HeaderName, Secret<HeaderValue>)>,
    /// Who the gateway is there, when that must be got and renewed.
    pub identity: Option<Arc<LiveIdentity>>,
    /// The `host` header.
    pub host: HeaderValue,
    /// For HTTP/2, which wants it in the request line; only where TLS is spoken.
    pub authority: Option<Authority>,
    /// Where what it keeps is kept.
    pub place: Place,
    /// Calls of a simulated provider; drives the dice of its faults.
    pub turns: AtomicU64,
    /// What it speaks: its surfaces, and what its type speaks besides.
    speaks: BTreeSet<Surface>,
    paths: HashMap<Surface, PathAndQuery>,
    publishers: Option<paths::Publishers>,
    /// Of declared models, by their place.
    known: Vec<Known>,
}

impl LiveProvider {
    pub(super) fn build(provider: &Provider, credentials: &Credentials, origins: &Origins, egress: &Egress) -> Self {
        let endpoint = provider.kind.endpoint();
        let secret = credentials.0.get(&provider.id);
        let speaks = speaks::of(provider);
        let paths = speaks.iter().filter_map(|surface| {
            // A path that names the model is made for each call.
            let fixed = paths::is_fixed(&provider.kind, *surface).then(|| paths::path(&provider.kind, *surface, "", false))?;
            Some((*surface, fixed?.parse().ok()?))
        });
        let host = endpoint.and_then(host_header).unwrap_or_else(|| HeaderValue::from_static("simulated"));
        let tls = endpoint.is_some_and(|endpoint| endpoint.scheme == Scheme::Https);
        Self {
            authority: host.to_str().ok().filter(|_| tls).and_then(|host| host.parse().ok()),
            origin: endpoint.map(|endpoint| origins.intern(&provider.id, endpoint, egress)),
            credential: endpoint.zip(secret).and_then(|(endpoint, secret)| header_of(&endpoint.auth, secret)),
            identity: endpoint
                .filter(|endpoint| endpoint.auth.is_of_a_cloud())
                .map(|endpoint| origins.identity(&provider.id, endpoint, egress, secret)),
            host,
            place: Place::of(provider.id.as_str(), secret.map(|secret| secret.expose().as_str())),
            turns: AtomicU64::new(0),
            paths: paths.collect(),
            publishers: paths::Publishers::of(&provider.kind),
            speaks,
            known: provider.models.iter().map(|model| Known::of_declared(provider, model)).collect(),
            provider: provider.clone(),
        }
    }

    /// Whether it can be asked how many tokens a request has.
    #[must_use]
    pub fn counts_tokens(&self) -> bool {
        self.speaks.contains(&Surface::CountTokens)
    }

    /// Whether it keeps what this surface is for.
    #[must_use]
    pub fn keeps(&self, surface: Surface) -> bool {
        self.speaks.contains(&surface)
    }

    /// The path of a surface that it speaks, for a model, streamed or not.
    #[must_use]
    pub fn path(&self, surface: Surface, model: &str, stream: bool) -> Option<PathAndQuery> {
        if let Some(fixed) = self.paths.get(&surface) {
            return Some(fixed.clone());
        }
        let spoken = self.speaks(model).contains(&surface);
        paths::path(&self.provider.kind, surface, model, stream).filter(|_| spoken)?.parse().ok()
    }

    /// What it speaks by itself where this model is asked; all else is translated or refused.
    #[must_use]
    pub fn speaks(&self, model: &str) -> &BTreeSet<Surface> {
        self.publishers.as_ref().map_or(&self.speaks, |publishers| publishers.speak(model))
    }

    /// What is known of a model: of a declared one by its place, of any other by the catalog.
    #[must_use]
    pub fn known(&self, declared: Option<usize>, upstream_model: &str) -> Cow<'_, Known> {
        known::known(declared.and_then(|place| self.known.get(place)), &self.provider, upstream_model)
    }
}

fn header_of(style: &AuthStyle, secret: &Secret<String>) -> Option<(HeaderName, Secret<HeaderValue>)> {
    let (name, text) = match style {
        AuthStyle::None | AuthStyle::Aws(_) | AuthStyle::Google(_) | AuthStyle::Entra(_) => return None,
        AuthStyle::Bearer => (http::header::AUTHORIZATION, format!("Bearer {}", secret.expose())),
        AuthStyle::XApiKey => (HeaderName::from_static("x-api-key"), secret.expose().clone()),
        AuthStyle::ApiKey => (HeaderName::from_static("api-key"), secret.expose().clone()),
        AuthStyle::GoogApiKey => (HeaderName::from_static("x-goog-api-key"), secret.expose().clone()),
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some((name, Secret::new(value)))
}

fn host_header(endpoint: &Endpoint) -> Option<HeaderValue> {
    let usual = match endpoint.scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let host = if endpoint.host.contains(':') { format!("[{}]", endpoint.host) } else { endpoint.host.clone() };
    let text = if endpoint.port == usual { host } else { format!("{host}:{}", endpoint.port) };
    HeaderValue::from_str(&text).ok()
}
