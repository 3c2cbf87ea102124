//! The story of a term: gather, compile, publish, apply, tend keys, tell. Again whenever the world changed.
//!
//! What is published waits for nothing but the world itself: statuses are written apart, and keys are made after.

mod telling;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crds::compile::{Compiled, compile};
use crds::report::{Kind, ObjectId, Verdict};
use crds::world::Name;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use snapshot::{GatewayId, SCHEMA};
use tokio::time::{sleep, sleep_until};

use crate::acks::Acks;
use crate::apply::{Applier, ApplyError};
use crate::clock::{self, Instant};
use crate::gather::{Gather, GatherError, Gathered};
use crate::keys::Keys;
use crate::lease::{Term, TermOver};
use crate::metrics::Metrics;
use crate::publish::guard::{Exists, RELEASE};
use crate::publish::supply::{Order, Supply};
use crate::publish::{Hands, PublishError, Shelf};
use crate::render::{self, Subject, Surroundings};
use crate::tell::Teller;
use telling::Words;

/// Changes that come so close together are one.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// The longest pause after something could not be done, and the first after the world could not be read or published: what
/// goes wrong once goes well a moment later, and a revocation may be waiting.
const RETRY: Duration = Duration::from_secs(5);
const RETRY_SOON: Duration = Duration::from_millis(250);

/// What a story is about, whoever leads.
pub struct Story {
    /// The cluster.
    pub client: Client,
    /// As it was last seen.
    pub gather: Arc<Gather>,
    /// What is counted.
    pub metrics: Metrics,
    /// What gateways are rendered with.
    pub around: Surroundings,
}

/// A gateway in this term.
struct Supplied {
    uid: String,
    /// None when an operator of a newer version wrote what is there.
    supply: Option<Supply>,
    /// Why what was compiled last is not published.
    behind: Option<String>,
    /// Why it does not run as it says, and whether somebody must mend that.
    unapplied: Option<(bool, String)>,
    apply_again_at: Option<Instant>,
    published_at: Instant,
    converged: bool,
    /// How often in a row it was not published.
    failures: u32,
}

struct Chapter<'a> {
    story: &'a Story,
    term: &'a Term,
    acks: &'a Acks,
    teller: &'a Teller,
    /// None until something was compiled in this term; then what the next compilation begins with.
    compiled: Option<Compiled>,
    supplied: BTreeMap<Name, Supplied>,
    applier: Applier,
    keys: Keys,
    words: Words,
    pass_at: Option<Instant>,
    /// How many passes in a row ended early.
    failures: u32,
}

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error(transparent)]
    TermOver(#[from] TermOver),
    #[error(transparent)]
    Gather(#[from] GatherError),
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Story {
    /// Leads until the term is over.
    pub async fn lead(&self, term: &Term) {
        self.gather.look(Gathered::begin_term);
        let (acks, teller) = (Acks::default(), Teller::new(self.client.clone(), self.metrics.clone()));
        let mut chapter = Chapter::new(self, term, &acks, &teller);
        tokio::select! {
            () = term.ended() => {}
            () = acks.follow(&self.gather) => {}
            () = teller.work(&self.gather, term) => {}
            () = Box::pin(chapter.run()) => {}
        }
    }
}

impl<'a> Chapter<'a> {
    fn new(story: &'a Story, term: &'a Term, acks: &'a Acks, teller: &'a Teller) -> Self {
        let client = || story.client.clone();
        Self {
            story,
            term,
            acks,
            teller,
            compiled: None,
            supplied: BTreeMap::new(),
            applier: Applier::new(client()),
            keys: Keys::new(client()),
            words: Words::default(),
            pass_at: None,
            failures: 0,
        }
    }

    /// Passes over the world until the term is over.
    async fn run(&mut self) {
        let gather = &self.story.gather;
        while !gather.synced() {
            gather.changed().await;
        }
        self.acks.greet(gather).await;
        loop {
            let began = clock::now();
            self.pass_at = None;
            match Box::pin(self.pass()).await {
                Ok(()) => {
                    self.failures = 0;
                    self.story.metrics.passes.with_label_values(&["done"]).inc();
                }
                Err(PassError::TermOver(_)) => return,
                Err(error) => {
                    tracing::warn!(%error, "a pass ended early and will be tried again");
                    self.story.metrics.passes.with_label_values(&["failed"]).inc();
                    self.again_in(retry(self.failures));
                    self.failures = self.failures.saturating_add(1);
                }
            }
            self.story.metrics.pass_seconds.observe(clock::now().duration_since(began).as_secs_f64());
            self.wait().await;
        }
    }

    /// One pass: the story on one screen.
    async fn pass(&mut self) -> Result<(), PassError> {
        let gather = &self.story.gather;
        self.fetch().await?;
        self.open().await?;
        let compiled = gather.look(|seen| compile(&seen.parsed, self.compiled.as_ref()));
        let compiled = self.compiled.insert(compiled);
        publish(self.story, self.term, self.acks, compiled, &mut self.supplied, &mut self.pass_at).await?;
        self.apply().await?;
        self.tend().await;
        self.tell();
        Ok(())
    }

    /// Reads what objects refer to. One that cannot be read must not hold up the others, but for the first time.
    async fn fetch(&mut self) -> Result<(), GatherError> {
        match self.story.gather.fetch().await {
            Err(error) if self.compiled.is_some() => {
                tracing::warn!(%error, "what was known of it before goes on");
                self.again_in(RETRY);
                Ok(())
            }
            done => done,
        }
    }

    /// Waits for a reason to pass over the world again; tells meanwhile how far the replicas are.
    async fn wait(&mut self) {
        loop {
            let (pass_at, tell_at) = (self.pass_at, self.words.wakes_in().map(|pause| clock::now() + pause));
            tokio::select! {
                () = self.story.gather.changed() => return sleep(DEBOUNCE).await,
                () = until(pass_at) => return,
                () = self.acks.changed() => self.tell_open(),
                () = until(tell_at) => self.tell_open(),
            }
        }
    }

    fn again_in(&mut self, pause: Duration) {
        let at = clock::now() + pause;
        self.pass_at = Some(self.pass_at.map_or(at, |before| before.min(at)));
    }

    /// Reads what is on the shelves of gateways that are new here, where another hand was, or where a write had no answer;
    /// forgets those that are gone.
    async fn open(&mut self) -> Result<(), PassError> {
        let gather = &self.story.gather;
        let gateways = gather.look(|seen| gateways(seen));
        let unopened = self.compiled.is_none();
        self.supplied.retain(|name, _| gateways.contains_key(name));
        self.applier.forget(|name| gateways.contains_key(name), gather);
        self.acks.forget(|name| gateways.contains_key(name));
        for (name, Found { uid, sequence, holding }) in gateways {
            let old = self.supplied.get(&name).filter(|old| old.uid == uid);
            let sure = old.and_then(|old| old.supply.as_ref()).is_some_and(|supply| supply.shelf().is_sure());
            if sure && !gather.look(|seen| disturbed(seen, &name)) {
                continue;
            }
            let Ok(id) = GatewayId::new(&name.0, &name.1) else { continue };
            let last = self.supplied.get(&name).and_then(|old| old.supply.as_ref()?.shelf().revision());
            let floor = sequence.max(last.map_or(0, |(sequence, _)| sequence));
            let read = Shelf::read(self.story.client.clone(), id, floor).await;
            let supplied = self.supplied.entry(name.clone()).or_insert_with(|| Supplied::new(uid.clone()));
            supplied.uid = uid;
            match read {
                Ok(shelf) => {
                    shelf.guard(gather);
                    supplied.supply = Some(match supplied.supply.take() {
                        Some(supply) => supply.with(shelf),
                        None => Supply::new(shelf, holding),
                    });
                }
                Err(error @ PublishError::Newer(_)) => supplied.behind = Some(error.to_string()),
                // A namespace that is not bound, or that is going: what is wrong with one gateway holds up no other.
                Err(error) if error.is_refused() => {
                    tracing::warn!(%error, namespace = name.0, gateway = name.1, "what is published is not for the operator to read");
                    supplied.behind = Some(error.to_string());
                }
                Err(error) => return Err(error.into()),
            }
        }
        if unopened {
            let shelves = self.supplied.values().filter_map(|supplied| supplied.supply.as_ref()?.shelf().published().cloned());
            self.compiled = Some(Compiled::recover(shelves));
        }
        Ok(())
    }

    /// Applies what runs each gateway that is accepted.
    async fn apply(&mut self) -> Result<(), TermOver> {
        let gather = &self.story.gather;
        let Some(compiled) = &self.compiled else { return Ok(()) };
        let (wanted, strayed) = gather.look(|seen| (seen.parsed.world.gateways.clone(), std::mem::take(&mut seen.strayed)));
        let now = clock::now();
        let mut failed = false;
        for (name, gateway) in &wanted {
            let report = compiled.reports.get(&gateway_id(name));
            let Some(supplied) = self.supplied.get_mut(name).filter(|_| report.is_some_and(|report| report.verdict == Verdict::Accepted))
            else {
                continue;
            };
            if supplied.apply_again_at.is_some_and(|at| at > now) {
                failed = true;
                continue;
            }
            let subject =
                Subject { namespace: &name.0, name: &name.1, uid: &supplied.uid, spec: &gateway.spec, around: &self.story.around };
            let done = self.applier.gateway(subject, strayed.contains(name), self.term, gather).await;
            (supplied.unapplied, supplied.apply_again_at) = match done {
                Ok(()) => (None, None),
                Err(ApplyError::TermOver(over)) => return Err(over),
                Err(error) => {
                    failed = true;
                    tracing::warn!(%error, namespace = name.0, gateway = name.1, "a gateway was not applied");
                    (Some((error.is_lasting(), error.to_string())), Some(now + RETRY))
                }
            };
        }
        if failed {
            self.again_in(RETRY);
        }
        Ok(())
    }

    async fn tend(&mut self) {
        let Some(compiled) = &self.compiled else { return };
        let tended = self.keys.tend(compiled, &self.story.gather, self.term).await;
        tended.touched.iter().for_each(|id| self.words.unsettle(id));
        if let Some(next) = tended.next {
            self.again_in(pause_until(next));
        }
        if tended.failed {
            self.again_in(RETRY);
        }
    }
}

impl Supplied {
    fn new(uid: String) -> Self {
        let published_at = clock::now();
        Self { uid, supply: None, behind: None, unapplied: None, apply_again_at: None, published_at, converged: true, failures: 0 }
    }
}

/// Publishes what was compiled, gateway by gateway; one that fails does not hold up the others.
async fn publish(
    story: &Story,
    term: &Term,
    acks: &Acks,
    compiled: &Compiled,
    supplied: &mut BTreeMap<Name, Supplied>,
    pass_at: &mut Option<Instant>,
) -> Result<(), TermOver> {
    let exists = |kind: Kind| {
        move |namespace: &str, name: &str| {
            let id = ObjectId { kind, namespace: namespace.to_owned(), name: name.to_owned() };
            story.gather.look(|seen| seen.known.contains_key(&id))
        }
    };
    let (provider, key, policy) = (exists(Kind::LLMProvider), exists(Kind::VirtualKey), exists(Kind::RoutingPolicy));
    let mut again_in = |pause: Duration| {
        let at = clock::now() + pause;
        *pass_at = Some(pass_at.map_or(at, |before| before.min(at)));
    };
    for (id, config) in &compiled.gateways {
        let name = (id.namespace().to_owned(), id.name().to_owned());
        let Some(supplied) = supplied.get_mut(&name) else { continue };
        let Some(supply) = &mut supplied.supply else {
            again_in(RETRY * 6);
            continue;
        };
        if let Some(pod) = story.gather.look(|seen| acks.unread_by(&name, seen.pods.iter(), SCHEMA)) {
            supply.fell_behind();
            supplied.behind =
                Some(format!("replica {pod} does not read bundles of schema {SCHEMA}; bring spec.version up to the operator's"));
            again_in(RETRY);
            continue;
        }
        let release = story.gather.look(|seen| seen.known.get(&gateway_id(&name))?.annotations.get(RELEASE).cloned());
        let exists = Exists { provider: &provider, key: &key, policy: &policy };
        let order = Order { exists, release: release.as_deref() };
        let hands = Hands { term, gather: &story.gather, owner: render::owner(&name.1, &supplied.uid), metrics: &story.metrics };
        let before = supply.shelf().revision();
        supplied.behind = match supply.bring(config, &order, &hands).await {
            Ok(None) => {
                supplied.failures = 0;
                None
            }
            Ok(Some(later)) => {
                supplied.failures = 0;
                again_in(later.wait);
                later.spent.then(|| "the byte budget of this gateway is spent: revocations are published, the rest follows".to_owned())
            }
            Err(PublishError::TermOver(over)) => return Err(over),
            Err(error) => {
                tracing::warn!(%error, gateway = id.as_str(), "a configuration was not published");
                again_in(retry(supplied.failures));
                supplied.failures = supplied.failures.saturating_add(1);
                Some(error.to_string())
            }
        };
        let after = supply.shelf().revision();
        if let Some((sequence, revision)) = &after {
            if before != after {
                (supplied.published_at, supplied.converged) = (clock::now(), false);
                tracing::info!(gateway = id.as_str(), revision, "published");
            }
            story.metrics.sequence.with_label_values(&[id.as_str()]).set(i64::try_from(*sequence).unwrap_or(i64::MAX));
            acks.aim(&name, *sequence);
        }
    }
    Ok(())
}

/// What is known of an LLMGateway, well-formed or not.
struct Found {
    uid: String,
    /// The highest sequence that its status tells.
    sequence: u64,
    /// Its status tells that what vanished is held back.
    holding: bool,
}

fn gateways(seen: &Gathered) -> BTreeMap<Name, Found> {
    let ours = seen.known.iter().filter(|(id, _)| id.kind == Kind::LLMGateway);
    let found = ours.map(|(id, known)| {
        let status = known.status.value();
        let told = |field: &str| status.get(field).and_then(Value::as_str).unwrap_or_default();
        let sequence = told("revision").split('-').next().and_then(|sequence| sequence.parse().ok()).unwrap_or(0);
        let found = Found { uid: known.uid.clone(), sequence, holding: told("heldBack").contains(RELEASE) };
        ((id.namespace.clone(), id.name.clone()), found)
    });
    found.collect()
}

/// Whether another hand changed what is on a gateway's shelf.
fn disturbed(seen: &Gathered, (namespace, name): &Name) -> bool {
    let prefix = format!("{name}-snapshot");
    seen.disturbed.iter().any(|(_, found)| found.0 == *namespace && found.1.starts_with(&prefix))
}

fn gateway_id((namespace, name): &Name) -> ObjectId {
    ObjectId { kind: Kind::LLMGateway, namespace: namespace.clone(), name: name.clone() }
}

fn pause_until(time: Timestamp) -> Duration {
    time.duration_since(clock::timestamp()).try_into().unwrap_or(Duration::ZERO)
}

/// The pause after so many failures before this one.
fn retry(failures: u32) -> Duration {
    RETRY_SOON.saturating_mul(1 << failures.min(10)).min(RETRY)
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
