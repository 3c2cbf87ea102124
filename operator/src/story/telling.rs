//! What each object is told: who must be told again, and what is known of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crds::api::workload::Delivery;
use crds::compile::Compiled;
use crds::report::{Kind, ObjectId, Report, Verdict};
use crds::world::Name;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use snapshot::{KeyId, PolicyId, ProviderId};

use super::{Chapter, Supplied, pause_until};
use crate::acks::Standing;
use crate::along::Along;
use crate::clock;
use crate::gather::{Gathered, Known};
use crate::keys;
use crate::render::labels;
use crate::status::{self, Facts, Judged, Programmed, Reason};

/// So long may a reference be late, from when a generation is first seen.
const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// So long may an object be on its way before it is told that something is wrong.
const CONVERGENCE: SignedDuration = SignedDuration::from_secs(60);
/// The same where the kubelet brings it: it looks at most once a minute, and takes what it kept for as long.
const CONVERGENCE_OF_FILES: SignedDuration = SignedDuration::from_secs(180);
/// What is on its way for less than this is not told: it will have arrived before anybody reads it.
const QUIET: SignedDuration = SignedDuration::from_millis(500);

/// What was told, and what is still to be told.
#[derive(Default)]
pub(super) struct Words {
    /// Accepted objects that are not known to be served yet.
    open: BTreeMap<ObjectId, Open>,
    /// When a generation was first seen, of objects that wait for a reference.
    first: BTreeMap<ObjectId, (i64, Timestamp)>,
    /// Objects of which all is told, for this UID and report.
    settled: BTreeMap<Arc<ObjectId>, (String, Arc<Report>)>,
    /// Objects that time alone changes.
    wakes: BTreeMap<ObjectId, Timestamp>,
}

/// An object on its way.
struct Open {
    uid: String,
    generation: i64,
    since: Timestamp,
    /// The revision of each gateway that concerns it which held it first; None before.
    needs: BTreeMap<Name, Option<(u64, String)>>,
}

impl Words {
    /// Has an object looked at again.
    pub(super) fn unsettle(&mut self, id: &ObjectId) {
        self.settled.remove(id);
    }

    /// How long until time alone changes something.
    pub(super) fn wakes_in(&self) -> Option<Duration> {
        self.wakes.values().min().map(|first| pause_until(*first))
    }

    fn keep(&mut self, reports: &BTreeMap<Arc<ObjectId>, Arc<Report>>) {
        let along = || Along::of(reports);
        let (mut open, mut first, mut settled, mut wakes) = (along(), along(), along(), along());
        self.open.retain(|id, _| open.at(id).is_some());
        self.first.retain(|id, _| first.at(id).is_some());
        self.settled.retain(|id, _| settled.at(&**id).is_some());
        self.wakes.retain(|id, _| wakes.at(id).is_some());
    }
}

/// What is looked at while telling.
struct Scene<'s> {
    seen: &'s Gathered,
    compiled: &'s Compiled,
    standings: BTreeMap<Name, Standing>,
    now: Timestamp,
}

impl Chapter<'_> {
    /// Tells every object that something of it changed.
    pub(super) fn tell(&mut self) {
        let Some(compiled) = self.compiled.take() else { return };
        self.words.keep(&compiled.reports);
        self.count(&compiled);
        let gather = Arc::clone(&self.story.gather);
        gather.look(|seen| {
            let scene = self.scene(seen, &compiled);
            let (mut known, mut settled) = (Along::of(&seen.known), Along::of(&self.words.settled));
            let unsettled = compiled.reports.iter().filter_map(|(id, report)| {
                let settled = settled.at(&**id);
                // The very report of before is about the very object.
                if settled.is_some_and(|(_, told)| Arc::ptr_eq(told, report)) && id.kind != Kind::LLMGateway {
                    return None;
                }
                let known = known.at(&**id)?;
                let settled = settled.is_some_and(|(uid, told)| *uid == known.uid && told == report);
                (!settled || id.kind == Kind::LLMGateway).then_some((id, report, known))
            });
            for (id, report, known) in unsettled.collect::<Vec<_>>() {
                self.object(&scene, id, report, known);
            }
        });
        self.compiled = Some(compiled);
    }

    /// Tells those that are on their way, that time changes, and the gateways.
    pub(super) fn tell_open(&mut self) {
        let Some(compiled) = self.compiled.take() else { return };
        let gather = Arc::clone(&self.story.gather);
        gather.look(|seen| {
            let scene = self.scene(seen, &compiled);
            let due = self.words.wakes.iter().filter(|(_, at)| **at <= scene.now).map(|(id, _)| id);
            let gateways = compiled.reports.keys().map(|id| &**id).filter(|id| id.kind == Kind::LLMGateway);
            let ids: BTreeSet<ObjectId> = self.words.open.keys().chain(due).chain(gateways).cloned().collect();
            for id in &ids {
                self.words.wakes.remove(id);
                if let (Some((id, report)), Some(known)) = (compiled.reports.get_key_value(id), seen.known.get(id)) {
                    self.object(&scene, id, report, known);
                }
            }
        });
        self.compiled = Some(compiled);
    }

    fn scene<'s>(&mut self, seen: &'s Gathered, compiled: &'s Compiled) -> Scene<'s> {
        let mut standings = BTreeMap::new();
        for (name, supplied) in &mut self.supplied {
            let standing = self.acks.standing(name, seen.pods.iter());
            let label = format!("{}/{}", name.0, name.1);
            let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
            self.story.metrics.ready.with_label_values(&[&label]).set(gauge(standing.ready));
            self.story.metrics.programmed.with_label_values(&[&label]).set(gauge(standing.serving));
            if !supplied.converged && standing.ready > 0 && standing.serving == standing.ready {
                supplied.converged = true;
                self.story.metrics.converge_seconds.observe(clock::now().duration_since(supplied.published_at).as_secs_f64());
            }
            standings.insert(name.clone(), standing);
        }
        Scene { seen, compiled, standings, now: clock::timestamp() }
    }

    fn count(&self, compiled: &Compiled) {
        let mut counts: BTreeMap<Kind, [i64; 3]> = BTreeMap::new();
        for kind in [Kind::LLMGateway, Kind::LLMProvider, Kind::VirtualKey, Kind::RoutingPolicy, Kind::CachePolicy, Kind::Budget] {
            counts.insert(kind, [0; 3]);
        }
        for (id, report) in &compiled.reports {
            let [accepted, pending, refused] = counts.entry(id.kind).or_default();
            *match report.verdict {
                Verdict::Accepted => accepted,
                Verdict::Pending(_) => pending,
                Verdict::Refused(_) => refused,
            } += 1;
        }
        for (kind, counts) in counts {
            for (verdict, count) in ["accepted", "pending", "refused"].into_iter().zip(counts) {
                self.story.metrics.objects.with_label_values(&[&kind.to_string(), verdict]).set(count);
            }
        }
    }

    fn object(&mut self, scene: &Scene<'_>, id: &Arc<ObjectId>, report: &Arc<Report>, known: &Known) {
        let generation = report.generation.unwrap_or(known.generation);
        let status = known.status.value();
        let mut wakes = Vec::new();
        let graced = self.graced(scene, id, report, &status, generation, &mut wakes);
        let mut judged = Judged::of(report, graced);
        let mut own = Map::new();
        let mut expired = None;
        match id.kind {
            Kind::LLMGateway => own = self.own_of_gateway(scene, id),
            Kind::VirtualKey => {
                if let Some((minted, better)) = self.key(scene, id, report, &status, graced) {
                    own.extend(minted.map(|minted| ("key".to_owned(), minted)));
                    judged = better.unwrap_or(judged);
                }
                let name = (id.namespace.clone(), id.name.clone());
                let ends = scene.seen.parsed.world.keys.get(&name).and_then(|key| key.spec.expires_at.as_ref()).map(|time| time.0);
                expired = ends.map(|ends| ends <= scene.now);
                wakes.extend(ends.filter(|ends| *ends > scene.now));
            }
            Kind::LLMProvider | Kind::RoutingPolicy | Kind::CachePolicy | Kind::Budget | Kind::Document => {}
        }
        let programmed = if matches!(judged, Judged::Accepted(_)) {
            self.programmed(scene, id, (&known.uid, &status), generation, &mut wakes)
        } else {
            self.words.open.remove(&**id);
            Programmed::Waiting(Reason::NotAccepted, String::new())
        };
        let quiet = self.is_quiet(scene, id, &programmed, &mut wakes);
        match wakes.into_iter().min() {
            Some(at) => drop(self.words.wakes.insert(ObjectId::clone(id), at)),
            None => drop(self.words.wakes.remove(&**id)),
        }
        if quiet {
            self.words.settled.remove(&**id);
            return;
        }
        let facts = Facts { generation, judged, serving_generation: report.serving_generation, programmed, expired, own };
        let wanted = status::of(&facts, &status, scene.now);
        if wanted == status {
            self.teller.withdraw(id, &known.uid, &wanted);
        } else {
            self.teller.tell(ObjectId::clone(id), known.uid.clone(), &wanted);
        }
        if self.words.open.contains_key(&**id) || self.words.wakes.contains_key(&**id) {
            self.words.settled.remove(&**id);
        } else {
            self.words.settled.insert(Arc::clone(id), (known.uid.clone(), Arc::clone(report)));
        }
    }

    /// Whether what it refers to may still be late.
    fn graced(
        &mut self,
        scene: &Scene<'_>,
        id: &ObjectId,
        report: &Report,
        status: &Value,
        generation: i64,
        wakes: &mut Vec<Timestamp>,
    ) -> bool {
        if !matches!(report.verdict, Verdict::Pending(_)) {
            return false;
        }
        let first = self.words.first.get(id).filter(|(seen, _)| *seen == generation).map(|(_, at)| *at);
        let first = first.or_else(|| status::turned(status, generation)).unwrap_or(scene.now);
        self.words.first.insert(id.clone(), (generation, first));
        let ends = later(first, GRACE);
        wakes.extend(Some(ends).filter(|ends| *ends > scene.now));
        ends > scene.now
    }

    /// Of a generated key: what was made, and what is better said than the compiler's verdict.
    fn key(
        &self,
        scene: &Scene<'_>,
        id: &ObjectId,
        report: &Report,
        status: &Value,
        graced: bool,
    ) -> Option<(Option<Value>, Option<Judged>)> {
        let name = (id.namespace.clone(), id.name.clone());
        let (name, key) = scene.seen.parsed.world.keys.get_key_value(&name)?;
        let before = status.get("key").cloned();
        let Some(found) = keys::look(scene.seen, name, key) else {
            let generated = key.spec.source.kind == crds::api::virtual_key::SourceType::Generated;
            return Some((before.filter(|_| generated), None));
        };
        let minted = keys::minted(scene.seen, name, &found).and_then(|minted| serde_json::to_value(minted).ok()).or(before);
        let secret = found.place.secret_of(found.name);
        let missing =
            matches!(&report.verdict, Verdict::Pending(problem) if matches!(problem.reason(), "SecretNotFound" | "SecretKeyMissing"));
        let better = if missing && self.keys.revoked(&found, scene.now) {
            let message =
                format!("Secret {secret} was deleted: the key is revoked; a new value of the annotation {} makes another", keys::ROTATE);
            Some(Judged::Refused { reason: Reason::SecretMissing.word(), message, of_references: true })
        } else if missing && graced {
            Some(Judged::Waiting { reason: Reason::Pending.word(), message: format!("the key is being made, into Secret {secret}") })
        } else if missing {
            let why = self.keys.failure(id).unwrap_or("it takes long");
            let message = format!("Secret {secret} cannot be made: {why}");
            Some(Judged::Refused { reason: "SecretNotFound", message, of_references: true })
        } else if keys::decide(&found, scene.now) == keys::Step::Adopt {
            Some(Judged::Waiting { reason: Reason::Pending.word(), message: format!("Secret {secret} is being taken over") })
        } else {
            None
        };
        Some((minted, better))
    }

    /// How far an accepted object is.
    fn programmed(
        &mut self,
        scene: &Scene<'_>,
        id: &ObjectId,
        (uid, status): (&str, &Value),
        generation: i64,
        wakes: &mut Vec<Timestamp>,
    ) -> Programmed {
        if let Some(revision) = status::served(status, generation) {
            self.words.open.remove(id);
            return Programmed::Served(revision);
        }
        let concerned = concerned(scene, id);
        let fresh = || Open { uid: uid.to_owned(), generation, since: scene.now, needs: BTreeMap::new() };
        let open = self.words.open.entry(id.clone()).or_insert_with(fresh);
        if open.generation != generation || open.uid != uid {
            *open = fresh();
        }
        open.needs.retain(|name, _| concerned.contains(name));
        for name in &concerned {
            let need = open.needs.entry(name.clone()).or_insert(None);
            if need.is_none() {
                *need = self.supplied.get(name).and_then(|supplied| supplied.supply.as_ref()?.current());
            }
        }
        let waits = waiting(scene, id, open, &self.supplied);
        match waits {
            None => {
                let revision = open.needs.values().flatten().map(|(_, revision)| revision.clone()).next_back().unwrap_or_default();
                self.words.open.remove(id);
                Programmed::Served(revision)
            }
            Some(Programmed::Waiting(Reason::Propagating, message)) => {
                let late = later(open.since, patience(scene, &concerned));
                if late > scene.now {
                    wakes.push(late);
                    Programmed::Waiting(Reason::Propagating, message)
                } else {
                    Programmed::Waiting(Reason::ConvergenceTimeout, message)
                }
            }
            Some(other) => other,
        }
    }

    /// What is on its way for a moment only is not told.
    fn is_quiet(&self, scene: &Scene<'_>, id: &ObjectId, programmed: &Programmed, wakes: &mut Vec<Timestamp>) -> bool {
        let name = (id.namespace.clone(), id.name.clone());
        let gateway = self.supplied.get(&name).filter(|supplied| id.kind == Kind::LLMGateway && !supplied.converged);
        let moving = gateway.map(|supplied| clock::now().duration_since(supplied.published_at));
        let open = self.words.open.get(id).filter(|_| matches!(programmed, Programmed::Waiting(Reason::Propagating, _)));
        let ends = match (open, moving) {
            (Some(open), _) => later(open.since, QUIET),
            (None, Some(passed)) => {
                let passed = SignedDuration::try_from(passed).unwrap_or(QUIET);
                later(scene.now, QUIET.saturating_sub(passed))
            }
            (None, None) => return false,
        };
        wakes.extend(Some(ends).filter(|ends| *ends > scene.now));
        ends > scene.now
    }

    fn own_of_gateway(&self, scene: &Scene<'_>, id: &ObjectId) -> Map<String, Value> {
        let name = (id.namespace.clone(), id.name.clone());
        let mut own = Map::new();
        let replicas = scene.seen.deployments.get(&name).map_or(0, |deployed| deployed.replicas);
        own.insert("replicas".to_owned(), json!(replicas));
        own.insert("selector".to_owned(), json!(labels::selector_text(&id.name)));
        if let Some(Standing { ready, serving, lagging, .. }) = scene.standings.get(&name) {
            own.insert("programmed".to_owned(), json!(format!("{serving}/{ready}")));
            if !lagging.is_empty() {
                own.insert("lagging".to_owned(), json!(lagging));
            }
        }
        let Some(supplied) = self.supplied.get(&name) else { return own };
        let supply = supplied.supply.as_ref();
        if let Some((_, revision)) = supply.and_then(|supply| supply.shelf().revision()) {
            own.insert("revision".to_owned(), json!(revision));
        }
        if let Some(why) = supplied.behind.clone().or_else(|| supply.and_then(|supply| supply.held_back())) {
            let text: String = why.chars().take(1000).collect();
            own.insert("heldBack".to_owned(), json!(text));
        }
        own
    }
}

/// The gateways that must serve an object before it is told to be served.
fn concerned(scene: &Scene<'_>, id: &ObjectId) -> BTreeSet<Name> {
    let own = (id.namespace.clone(), id.name.clone());
    if id.kind == Kind::LLMGateway {
        return BTreeSet::from([own]);
    }
    let (provider, key, policy) =
        (ProviderId::new(&own.0, &own.1).ok(), KeyId::new(&own.0, &own.1).ok(), PolicyId::new(&own.0, &own.1).ok());
    let holding = scene.compiled.gateways.iter().filter(|(_, config)| match id.kind {
        Kind::LLMProvider => provider.as_ref().is_some_and(|id| config.snapshot.providers.contains_key(id)),
        Kind::VirtualKey => key.as_ref().is_some_and(|id| config.snapshot.keys.contains_key(id)),
        Kind::RoutingPolicy => policy.as_ref().is_some_and(|id| config.snapshot.policies.contains_key(id)),
        Kind::LLMGateway | Kind::CachePolicy | Kind::Budget | Kind::Document => false,
    });
    let holding: BTreeSet<Name> = holding.map(|(id, _)| (id.namespace().to_owned(), id.name().to_owned())).collect();
    if !holding.is_empty() || id.kind != Kind::RoutingPolicy {
        return holding;
    }
    // A policy that no key names is in no bundle; it is as good as served where keys could name it.
    let gateways = scene.seen.parsed.world.gateways.iter();
    gateways.filter(|(name, gateway)| gateway.spec.allowed_namespaces.admit(&name.0, &id.namespace)).map(|(name, _)| name.clone()).collect()
}

/// How long what concerns these gateways may be on its way.
fn patience(scene: &Scene<'_>, concerned: &BTreeSet<Name>) -> SignedDuration {
    let delivery = |name| scene.seen.parsed.world.gateways.get(name).map(|gateway| gateway.spec.delivery);
    let by_files = concerned.iter().any(|name| delivery(name) == Some(Delivery::Files));
    if by_files { CONVERGENCE_OF_FILES } else { CONVERGENCE }
}

/// Why an object is not served everywhere yet.
fn waiting(scene: &Scene<'_>, id: &ObjectId, open: &Open, supplied: &BTreeMap<Name, Supplied>) -> Option<Programmed> {
    if open.needs.is_empty() {
        return Some(Programmed::Waiting(Reason::NoReplicas, "no LLMGateway serves this namespace".to_owned()));
    }
    // A gateway that no ready replica runs serves nothing that could be out of date. Another tenant may have left it so: it
    // must not hold up what is served everywhere else.
    let runs = |name: &Name| scene.standings.get(name).is_some_and(|standing| standing.ready > 0);
    let elsewhere = id.kind != Kind::LLMGateway && open.needs.keys().any(runs);
    for (name, need) in open.needs.iter().filter(|(name, _)| !elsewhere || runs(name)) {
        let shown = format!("{}/{}", name.0, name.1);
        let (Some(gateway), Some(standing)) = (supplied.get(name), scene.standings.get(name)) else {
            return Some(Programmed::Waiting(Reason::Pending, format!("gateway {shown} is not supplied yet")));
        };
        if let Some((lasting, why)) = gateway.unapplied.as_ref().filter(|_| id.kind == Kind::LLMGateway) {
            let said = (Reason::ApplyFailed, why.clone());
            return Some(if *lasting { Programmed::Failed(said.0, said.1) } else { Programmed::Waiting(said.0, said.1) });
        }
        let Some((sequence, revision)) = need else {
            let (reason, why) = match &gateway.behind {
                Some(why) => (Reason::PublishFailed, why.as_str()),
                // Its turn to be published comes within the second.
                None => (Reason::Propagating, "it is not published yet"),
            };
            return Some(Programmed::Waiting(reason, format!("gateway {shown}: {why}")));
        };
        if let Some(why) = standing.rejected.get(id) {
            return Some(Programmed::Failed(Reason::RejectedByDataPlane, why.clone()));
        }
        let idle = scene
            .seen
            .parsed
            .world
            .gateways
            .get(name)
            .is_some_and(|gateway| gateway.spec.replicas == 0 && gateway.spec.autoscaling.is_none());
        match standing.floor {
            None if idle => {}
            None => return Some(Programmed::Waiting(Reason::NoReplicas, format!("gateway {shown} has no ready replica"))),
            Some(floor) if floor < *sequence => {
                let Standing { ready, serving, lagging, .. } = standing;
                let message = format!("gateway {shown}: {serving} of {ready} replicas serve {revision}; not yet: {}", lagging.join(", "));
                return Some(Programmed::Waiting(Reason::Propagating, message));
            }
            Some(_) => {}
        }
        let rolled = scene.seen.deployments.get(name).is_some_and(|deployed| deployed.rolled_out);
        if id.kind == Kind::LLMGateway && !rolled {
            return Some(Programmed::Waiting(
                Reason::Propagating,
                "not all replicas of its Deployment are up to date and ready".to_owned(),
            ));
        }
    }
    None
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}
