//! From a world to one snapshot for each gateway, and a report for each object.
//!
//! Pure and deterministic: what is remembered of the last compilation saves work and changes nothing. What keeps its last accepted form when a new one is refused: gateways, providers (also when a
//! Secret vanishes) and routing policies. What fails closed: keys. A deletion is a deletion.

mod gateway;
mod identity;
mod key;
mod memo;
mod policy;
mod price;
mod provider;
mod proxy;
mod recover;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use snapshot::{Credentials, GatewayId, Secret, Snapshot};

use crate::api::llm_gateway::LLMGateway;
use crate::compile::memo::{Memo, Recall};
use crate::report::{Kind, ObjectId, Problem, Report, Verdict};
use crate::world::{Name, Parsed, World};

/// What one gateway is to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Without secrets.
    pub snapshot: Snapshot,
    /// The secrets.
    pub credentials: Credentials,
}

/// What a world compiles to.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    /// Each gateway's configuration; the very one of the last time when nothing of it changed.
    pub gateways: BTreeMap<GatewayId, Arc<Config>>,
    /// The verdict on each object, and on each document that is none.
    pub reports: BTreeMap<Arc<ObjectId>, Arc<Report>>,
    accepted: Accepted,
    memo: Memo,
}

/// The last accepted form of what keeps it.
#[derive(Debug, Clone, Default)]
struct Accepted {
    gateways: BTreeMap<Name, LLMGateway>,
    providers: BTreeMap<Name, provider::Built>,
    policies: BTreeMap<Name, policy::Built>,
}

/// The work in progress.
struct Compiler<'a> {
    world: &'a World,
    previous: Option<&'a Accepted>,
    /// What unchanged objects compiled to the last time.
    memo: Recall<'a>,
    /// Well-formed in name alone: refused documents whose last accepted form may serve.
    refused: BTreeSet<(Kind, Name)>,
    now: Accepted,
    reports: BTreeMap<Arc<ObjectId>, Arc<Report>>,
}

/// Compiles a world. `previous` is what the last compilation gave.
#[must_use]
pub fn compile(parsed: &Parsed, previous: Option<&Compiled>) -> Compiled {
    let mut compiler = Compiler {
        world: &parsed.world,
        previous: previous.map(|compiled| &compiled.accepted),
        memo: Recall::of(previous),
        refused: BTreeSet::new(),
        now: Accepted::default(),
        reports: BTreeMap::new(),
    };
    for rejected in &parsed.rejected {
        let ObjectId { kind, namespace, name } = rejected.id.clone();
        compiler.refused.insert((kind, (namespace, name)));
        let report = Report {
            generation: rejected.generation,
            verdict: Verdict::Refused(rejected.problem.clone()),
            serving_generation: None,
            warnings: Vec::new(),
        };
        compiler.reports.insert(Arc::new(rejected.id.clone()), Arc::new(report));
    }
    compiler.gateways();
    compiler.providers();
    let policies = compiler.policies();
    compiler.unsupported();
    let keys = compiler.keys();
    let gateways = compiler.join(&keys, previous);
    let Compiler { reports, now: accepted, world, .. } = compiler;
    let memo = Memo { policies, keys, cluster: world.cluster, denied: world.denied.clone() };
    Compiled { gateways, reports, accepted, memo }
}

impl Compiler<'_> {
    fn report(&mut self, kind: Kind, name: &Name, generation: Option<i64>, verdict: Verdict) {
        let report = Report { generation, verdict, serving_generation: None, warnings: Vec::new() };
        self.reports.insert(Arc::new(id(kind, name)), Arc::new(report));
    }

    /// Notes that the last accepted form serves in the place of what was refused.
    fn serves(&mut self, kind: Kind, name: &Name, generation: Option<i64>) {
        if let Some(report) = self.reports.get_mut(&id(kind, name)) {
            Arc::make_mut(report).serving_generation = Some(generation.unwrap_or(0));
        }
    }

    fn warn(&mut self, kind: Kind, name: &Name, problem: Problem) {
        if let Some(report) = self.reports.get_mut(&id(kind, name)) {
            Arc::make_mut(report).warnings.push(problem);
        }
    }

    fn unsupported(&mut self) {
        let world = self.world;
        for (name, object) in &world.cache_policies {
            self.report(Kind::CachePolicy, name, object.metadata.generation, Verdict::Refused(Problem::UnsupportedFeature("caches")));
        }
        for (name, object) in &world.budgets {
            self.report(Kind::Budget, name, object.metadata.generation, Verdict::Refused(Problem::UnsupportedFeature("budgets")));
        }
    }

    fn no_secret(&self, namespace: &str, secret: &str) -> Problem {
        if self.world.denied.contains(namespace) {
            Problem::SecretAccessDenied { namespace: namespace.to_owned() }
        } else {
            Problem::SecretNotFound { secret: secret.to_owned() }
        }
    }

    /// The text of a Secret's entry that may have many lines.
    fn secret_text(&self, namespace: &str, secret: &str, key: &str) -> Result<Secret<String>, Problem> {
        let entries =
            self.world.secrets.get(&(namespace.to_owned(), secret.to_owned())).ok_or_else(|| self.no_secret(namespace, secret))?;
        let missing = || Problem::SecretKeyMissing { secret: secret.to_owned(), key: key.to_owned() };
        let value = entries.values.get(key).ok_or_else(missing)?;
        let text = std::str::from_utf8(value.expose()).map_err(|_| missing())?.trim();
        let unexpanded = text.starts_with("${") && text.ends_with('}');
        if text.is_empty() || unexpanded { Err(missing()) } else { Ok(Secret::new(text.to_owned())) }
    }

    /// The value of a Secret's entry, on one line. Empty, or a `${NAME}` that nobody expanded, is no value.
    fn secret(&self, namespace: &str, secret: &str, key: &str) -> Result<Secret<String>, Problem> {
        let text = self.secret_text(namespace, secret, key)?;
        if text.expose().chars().any(char::is_control) {
            return Err(Problem::SecretKeyMissing { secret: secret.to_owned(), key: key.to_owned() });
        }
        Ok(text)
    }
}

fn id(kind: Kind, (namespace, name): &Name) -> ObjectId {
    ObjectId { kind, namespace: namespace.clone(), name: name.clone() }
}

fn shown((namespace, name): &Name) -> String {
    format!("{namespace}/{name}")
}
