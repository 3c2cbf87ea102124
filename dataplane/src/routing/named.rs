//! A provider that is named beside the model, in a header or as `@provider/model`, as clients of Portkey do: written as the
//! house writes it, `provider/model`.

use std::borrow::Cow;

use crate::exchange::{Grant, Portkey, Refusal};
use crate::live::Live;

/// At most so many providers are told to somebody who names another.
const TOLD_MAX: usize = 20;

/// The model's name as the rules and the resolution read it.
///
/// # Errors
/// The key sees no provider of that name, or the configuration that was named is not its policy.
pub(super) fn written<'a>(live: &Live, grant: &Grant, portkey: &Portkey, model: &'a str) -> Result<Cow<'a, str>, Refusal> {
    if let Some(config) = &portkey.config {
        is_the_policy(grant, config)?;
    }
    if let Some(rest) = model.strip_prefix('@')
        && rest.split_once('/').is_some_and(|(name, _)| sees(live, grant, name))
    {
        return Ok(Cow::Borrowed(rest));
    }
    match &portkey.provider {
        None => Ok(Cow::Borrowed(model)),
        Some((name, _)) if sees(live, grant, name) => Ok(Cow::Owned(format!("{name}/{model}"))),
        Some((name, header)) => Err(unknown(live, grant, name, header)),
    }
}

/// For a model that is none: the provider that it names and that is none either. No declared name begins with `@`.
pub(super) fn stranger(live: &Live, grant: &Grant, model: &str) -> Option<Refusal> {
    let (name, _) = model.strip_prefix('@')?.split_once('/')?;
    Some(unknown(live, grant, name, "model"))
}

fn is_the_policy(grant: &Grant, config: &str) -> Result<(), Refusal> {
    let policy = grant.key.policy.as_ref().map(|policy| policy.policy.id.name());
    if policy == Some(config) {
        return Ok(());
    }
    let has = policy.map_or_else(|| "it has none".to_owned(), |policy| format!("it has `{policy}`"));
    let why = format!(
        "`{config}` is not the RoutingPolicy of this API key ({has}); a RoutingPolicy of that name in `spec.routingPolicyRef` of the \
         VirtualKey makes it so, or leave the header out"
    );
    Err(Refusal::HeaderNotTaken { header: "x-portkey-config".to_owned(), why })
}

fn sees(live: &Live, grant: &Grant, name: &str) -> bool {
    live.models.named(grant.namespace(), name).any(|provider| grant.allows_provider(&provider.provider.id))
}

pub(super) fn unknown(live: &Live, grant: &Grant, name: &str, named_by: &'static str) -> Refusal {
    let mut known: Vec<String> = live
        .models
        .providers_for(grant.namespace())
        .filter(|provider| grant.allows_provider(&provider.provider.id))
        .map(|provider| provider.provider.id.name().to_owned())
        .collect();
    known.sort_unstable();
    known.dedup();
    known.truncate(TOLD_MAX);
    Refusal::ProviderUnknown { name: name.to_owned(), named_by, known }
}
