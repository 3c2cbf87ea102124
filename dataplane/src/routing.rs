//! Where does the call go? Pure: the configuration, the grant and the model's name give a plan.
//!
//! A routing policy of the key decides first; without one, or when none of its rules fits, a name is resolved over the
//! providers that the key may use: `provider/model`, else a declared name or alias.

mod named;
mod near;
mod stored;
mod through;
mod when;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use snapshot::{FailureClass, ModelName, Target};

use crate::exchange::{Attempt, Grant, Plan, Refusal};
use crate::live::{Candidate, Live, LivePolicy, LiveProvider};

pub use stored::{bound, stored};
pub use through::through;
pub use when::Asked;

/// A plan of at least one attempt.
///
/// # Errors
/// The model is unknown, ambiguous or not allowed, or a provider that is named beside it is unknown.
pub fn plan(live: &Live, grant: &Grant, asked: &mut Asked<'_>) -> Result<Plan, Refusal> {
    let model = named::written(live, grant, asked.portkey, asked.model)?;
    if let Some(policy) = &grant.key.policy
        && let Some(plan) = by_policy(live, grant, policy, asked, &model)
    {
        return plan;
    }
    let attempt = resolve(live, grant, &model)?;
    Ok(Plan { attempts: vec![attempt], fallback_on: no_fallback(), rule: None })
}

/// What `/v1/models` shows to the key: each name with the providers that have it, best known first.
#[must_use]
pub fn visible<'a>(live: &'a Live, grant: &Grant) -> Vec<(&'a str, Vec<&'a Candidate>)> {
    let allowed = |(name, candidates): (&'a str, Vec<&'a Candidate>)| {
        let kept: Vec<_> = candidates
            .into_iter()
            .filter(|candidate| grant.allows_provider(&candidate.provider.provider.id))
            .filter(|candidate| grant.allows_model([name, declared_name(candidate)]))
            .collect();
        (!kept.is_empty()).then_some((name, kept))
    };
    live.models.list(grant.namespace()).into_iter().filter_map(allowed).collect()
}

/// Names of all declared models, for a start-up message.
#[must_use]
pub fn declared(live: &Live) -> std::collections::BTreeSet<&str> {
    let models = live.models.providers().iter().flat_map(|provider| &provider.provider.models);
    models.map(|model| model.name.as_str()).collect()
}

fn by_policy(live: &Live, grant: &Grant, policy: &LivePolicy, asked: &mut Asked<'_>, model: &str) -> Option<Result<Plan, Refusal>> {
    let names = |rule: &snapshot::Rule| rule.models.is_empty() || rule.models.iter().any(|glob| glob.matches(model));
    let (rule, made) = policy.policy.rules.iter().zip(&policy.rules).find(|(rule, made)| names(rule) && asked.fits(made))?;
    if !grant.allows_model([model]) {
        return Some(Err(Refusal::ModelNotAllowed { model: model.to_owned() }));
    }
    let attempts: Vec<Attempt> = rule.targets.iter().filter_map(|target| by_target(live, grant, target, model)).collect();
    if attempts.is_empty() {
        return Some(Err(Refusal::ModelNotAllowed { model: model.to_owned() }));
    }
    Some(Ok(Plan { attempts, fallback_on: made.fallback_on.clone(), rule: Some(made.name.clone()) }))
}

/// The policy's own namespace vouches for its targets; the key's list of providers still holds.
fn by_target(live: &Live, grant: &Grant, target: &Target, written: &str) -> Option<Attempt> {
    if !grant.allows_provider(&target.provider) {
        return None;
    }
    let provider = live.models.by_id(grant.namespace(), &target.provider)?;
    Some(of_provider(provider, target.model.as_ref().map_or(written, ModelName::as_str)))
}

fn resolve(live: &Live, grant: &Grant, model: &str) -> Result<Attempt, Refusal> {
    if let Some((name, rest)) = model.split_once('/').filter(|(_, rest)| !rest.is_empty()) {
        let named = live.models.named(grant.namespace(), name).filter(|provider| grant.allows_provider(&provider.provider.id));
        let named: Vec<&Arc<LiveProvider>> = named.collect();
        match nearest(live, grant, named, |provider| provider.provider.id.namespace()).as_slice() {
            [] => {}
            [provider] => return of_named(grant, provider, model, rest),
            several => return Err(several_called(name, several)),
        }
    }
    let mut candidates =
        live.models.declared(grant.namespace(), model).filter(|candidate| grant.allows_provider(&candidate.provider.provider.id));
    let Some(mut chosen) = candidates.next() else { return Err(unknown(live, grant, model)) };
    if let Some(second) = candidates.next() {
        let all: Vec<&Candidate> = [chosen, second].into_iter().chain(candidates).collect();
        match of_the_house(live, grant, all, |candidate| candidate.provider.provider.id.namespace()).as_slice() {
            [only] => chosen = *only,
            several => return Err(ambiguous(model, several)),
        }
    }
    if !grant.allows_model([model, declared_name(chosen)]) {
        return Err(not_allowed(model));
    }
    Ok(Attempt { provider: chosen.provider.clone(), model: chosen.upstream.clone(), declared: Some(chosen.declared) })
}

fn of_named(grant: &Grant, provider: &Arc<LiveProvider>, model: &str, rest: &str) -> Result<Attempt, Refusal> {
    let attempt = of_provider(provider, rest);
    let declared = attempt.declared.and_then(|place| provider.provider.models.get(place));
    let names = [Some(model), Some(rest), declared.map(|declared| declared.name.as_str())];
    if grant.allows_model(names.into_iter().flatten()) { Ok(attempt) } else { Err(not_allowed(model)) }
}

/// Whether the key may use a model of a provider that is called as the provider itself calls it, by any name under which the
/// key could ask for it.
#[must_use]
pub fn allows_at(grant: &Grant, provider: &LiveProvider, upstream: &str) -> bool {
    let known = provider.provider.models.iter().filter(|model| model.upstream_name.as_str() == upstream);
    let declared = known.flat_map(|model| std::iter::once(&model.name).chain(&model.aliases)).map(ModelName::as_str);
    let names: Vec<&str> = std::iter::once(upstream).chain(declared).collect();
    let qualified: Vec<String> = names.iter().map(|name| format!("{}/{name}", provider.provider.id.name())).collect();
    grant.allows_model(names.into_iter().chain(qualified.iter().map(String::as_str)))
}

/// Of what several namespaces offer under one name: the key's own and the gateway's. What other tenants share counts only
/// when neither has the name, so that nobody takes a name from others, or makes it ambiguous, by sharing something.
fn of_the_house<T>(live: &Live, grant: &Grant, mut found: Vec<T>, namespace: impl Fn(&T) -> &str) -> Vec<T> {
    let house = |one: &T| namespace(one) == grant.namespace() || namespace(one) == live.gateway.id.namespace();
    if found.iter().any(house) {
        found.retain(house);
    }
    found
}

/// The same, and the key's own before the gateway's: a provider's name is written by who knows it.
fn nearest<T>(live: &Live, grant: &Grant, found: Vec<T>, namespace: impl Fn(&T) -> &str) -> Vec<T> {
    let mut found = of_the_house(live, grant, found, &namespace);
    let own = |one: &T| namespace(one) == grant.namespace();
    if found.iter().any(own) {
        found.retain(own);
    }
    found
}

/// A model of a known provider: declared under this name or alias, or else passed on as it is.
fn of_provider(provider: &Arc<LiveProvider>, name: &str) -> Attempt {
    let fits = |model: &snapshot::Model| model.name.as_str() == name || model.aliases.contains(name);
    let declared = provider.provider.models.iter().position(fits);
    let model = declared.and_then(|place| provider.provider.models.get(place));
    let upstream = model.map_or(name, |model| model.upstream_name.as_str());
    Attempt { provider: provider.clone(), model: upstream.into(), declared }
}

fn declared_name(candidate: &Candidate) -> &str {
    candidate.provider.provider.models.get(candidate.declared).map_or("", |model| model.name.as_str())
}

fn not_allowed(model: &str) -> Refusal {
    Refusal::ModelNotAllowed { model: model.to_owned() }
}

fn unknown(live: &Live, grant: &Grant, model: &str) -> Refusal {
    if let Some(stranger) = named::stranger(live, grant, model) {
        return stranger;
    }
    let names = visible(live, grant).into_iter().map(|(name, _)| name);
    Refusal::ModelUnknown { model: model.to_owned(), near: near::matches(model, names) }
}

fn ambiguous(model: &str, several: &[&Candidate]) -> Refusal {
    let providers: Vec<_> = several.iter().map(|candidate| &candidate.provider).collect();
    let mut names = BTreeSet::new();
    let twice = providers.iter().map(|provider| provider.provider.id.name()).find(|name| !names.insert(*name));
    match twice {
        Some(name) => several_called(name, &providers),
        None => {
            let candidates = names.into_iter().map(|name| format!("{name}/{model}")).collect();
            Refusal::ModelAmbiguous { model: model.to_owned(), candidates }
        }
    }
}

/// Providers that a model's name cannot tell apart.
fn several_called(name: &str, several: &[&Arc<LiveProvider>]) -> Refusal {
    let called = several.iter().filter(|provider| provider.provider.id.name() == name);
    let providers = called.map(|provider| provider.provider.id.to_string()).collect();
    Refusal::ProviderAmbiguous { name: name.to_owned(), providers }
}

fn no_fallback() -> Arc<BTreeSet<FailureClass>> {
    static NONE: LazyLock<Arc<BTreeSet<FailureClass>>> = LazyLock::new(Arc::default);
    NONE.clone()
}
