//! Who keeps it? A file goes to the provider that is named, or to the only one that takes files; what is kept already is
//! asked for where it is.

use std::sync::Arc;

use snapshot::Surface;

use super::{named, nearest, no_fallback, several_called};
use crate::exchange::{Attempt, Bound, Grant, Plan, Portkey, Refusal, Stored, Unkept, Wanted};
use crate::live::{Live, LiveProvider};
use crate::seal::Place;

/// A plan of one attempt, for what is asked of objects that a provider keeps.
///
/// # Errors
/// Nobody keeps such things, or several do and none is named, or what is named is kept elsewhere.
pub fn stored(live: &Live, grant: &Grant, stored: &Stored, bound: Option<&Bound>, portkey: &Portkey) -> Result<Plan, Refusal> {
    let named = named_by(&stored.wanted, portkey);
    let provider = match (bound, named) {
        (Some(bound), named) => {
            let provider = keeper(live, grant, bound.place)?;
            match named {
                Some((name, _)) if name != provider.provider.id.name() => return Err(kept_elsewhere(provider, bound.field, name)),
                Some(_) | None => provider,
            }
        }
        (None, Some((name, header))) => by_name(live, grant, stored.wanted.surface, name, header)?,
        (None, None) => the_only_one(live, grant, stored.wanted.surface)?,
    };
    let attempt = Attempt { provider: provider.clone(), model: "".into(), declared: None };
    Ok(Plan { attempts: vec![attempt], fallback_on: no_fallback(), rule: None })
}

/// Leaves of a plan what can be asked with what the call names.
///
/// # Errors
/// Nothing is left: the call leads elsewhere.
pub fn bound(live: &Live, grant: &Grant, plan: Plan, bound: Option<&Bound>) -> Result<Plan, Refusal> {
    let Some(bound) = bound else { return Ok(plan) };
    let provider = keeper(live, grant, bound.place)?;
    let first = plan.attempts.first().map_or("", |attempt| attempt.provider.provider.id.name()).to_owned();
    let attempts: Vec<Attempt> = plan.attempts.into_iter().filter(|attempt| attempt.provider.place == bound.place).collect();
    if attempts.is_empty() { Err(kept_elsewhere(provider, bound.field, &first)) } else { Ok(Plan { attempts, ..plan }) }
}

/// The provider with the credential that the object was made with.
fn keeper<'a>(live: &'a Live, grant: &Grant, place: Place) -> Result<&'a Arc<LiveProvider>, Refusal> {
    let mut seen = live.models.providers_for(grant.namespace()).filter(|provider| grant.allows_provider(&provider.provider.id));
    let provider = seen.find(|provider| provider.place.provider == place.provider).ok_or(Unkept::KeeperGone)?;
    if provider.place == place {
        return Ok(provider);
    }
    Err(Unkept::CredentialGone { provider: provider.provider.id.name().to_owned() }.into())
}

fn named_by<'a>(wanted: &'a Wanted, portkey: &'a Portkey) -> Option<(&'a str, &'static str)> {
    let ours = wanted.provider.as_deref().map(|name| (name, "x-portolan-provider"));
    ours.or_else(|| portkey.provider.as_ref().map(|(name, header)| (name.as_str(), *header)))
}

fn by_name<'a>(
    live: &'a Live,
    grant: &Grant,
    surface: Surface,
    name: &str,
    header: &'static str,
) -> Result<&'a Arc<LiveProvider>, Refusal> {
    let named = live.models.named(grant.namespace(), name).filter(|provider| grant.allows_provider(&provider.provider.id)).collect();
    let provider = match nearest(live, grant, named, |provider| provider.provider.id.namespace()).as_slice() {
        [] => return Err(named::unknown(live, grant, name, header)),
        [provider] => *provider,
        several => return Err(several_called(name, several)),
    };
    if provider.keeps(surface) { Ok(provider) } else { Err(Unkept::NoKeeper { surface, provider: Some(name.to_owned()) }.into()) }
}

fn the_only_one<'a>(live: &'a Live, grant: &Grant, surface: Surface) -> Result<&'a Arc<LiveProvider>, Refusal> {
    let seen = live.models.providers_for(grant.namespace());
    let mut found: Vec<_> = seen.filter(|provider| grant.allows_provider(&provider.provider.id) && provider.keeps(surface)).collect();
    found.sort_unstable_by(|a, b| a.provider.id.cmp(&b.provider.id));
    match found.as_slice() {
        [] => Err(Unkept::NoKeeper { surface, provider: None }.into()),
        [only] => Ok(only),
        several => {
            let mut candidates: Vec<String> = several.iter().map(|provider| provider.provider.id.name().to_owned()).collect();
            candidates.dedup();
            Err(Unkept::WhichProvider { candidates }.into())
        }
    }
}

fn kept_elsewhere(keeper: &LiveProvider, field: &'static str, led: &str) -> Refusal {
    Unkept::KeptElsewhere { field, keeper: keeper.provider.id.name().to_owned(), led: led.to_owned() }.into()
}
