//! Generated keys: made once for each VirtualKey, kept in one Secret, rotated with an overlap.
//!
//! The plaintext is in that Secret alone. Secrets of others are never touched; a Secret that is deleted stays away, since
//! to delete it is to revoke.

mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crds::api::virtual_key::{DeletionPolicy, Generated, MintedKey, SourceType, VirtualKey};
use crds::compile::Compiled;
use crds::report::{Kind, ObjectId, Problem, Report, Verdict};
use crds::world::{MADE_FOR, Name};
use futures::{StreamExt, stream};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Client;
use snapshot::keytext::KeyText;

use crate::along::Along;
use crate::clock;
use crate::gather::{Fetched, Gather, Gathered, Source, Told, time_of};
use crate::lease::Term;

/// Annotation of a VirtualKey: each new value makes a new text.
pub const ROTATE: &str = "portolan.dev/rotate";
/// Annotation of a made Secret: the value of [`ROTATE`] that it obeys.
pub const ROTATED_FOR: &str = "portolan.dev/rotated-for";
/// Annotation of a made Secret: the name of its VirtualKey.
pub const KEY_NAME: &str = "portolan.dev/virtual-key";
/// Annotation of a made Secret: when its text was made.
pub const MINTED_AT: &str = "portolan.dev/minted-at";
/// Annotation of a made Secret: until when the text before is good.
pub const PREVIOUS_UNTIL: &str = "portolan.dev/previous-until";
/// Annotation of a made Secret: what becomes of it when its VirtualKey goes.
pub const DELETION_POLICY: &str = "portolan.dev/deletion-policy";

/// Keys that are tended in one pass; a bell calls for the next. Revocations come in between.
const KEYS_IN_A_PASS: usize = 200;
const AT_ONCE: usize = 16;

/// What is known of a generated key and its Secret.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// The UID of the VirtualKey.
    pub uid: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What it says of its Secret.
    pub place: Generated,
    /// After so many seconds, and with what overlap, it rotates.
    pub interval: Option<i64>,
    /// Its annotation [`ROTATE`].
    pub rotate: Option<&'a str>,
    /// What its status says was made.
    pub minted: Option<MintedKey>,
    /// Its Secret.
    pub secret: &'a Fetched,
    /// The Secret holds a text.
    pub has_text: bool,
    /// It holds the text before, too.
    pub has_previous: bool,
}

/// What to do about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing; until then, if ever.
    Rest(Option<Timestamp>),
    /// Make it.
    Mint,
    /// It was made and its Secret is gone: it is revoked.
    Revoked,
    /// The Secret is not ours.
    Foreign,
    /// Take over the Secret that an earlier VirtualKey of this name left.
    Adopt,
    /// Make a new text.
    Rotate,
    /// The text before is good no longer.
    DropPrevious,
    /// Say anew what becomes of the Secret.
    Own,
}

/// Decides about a key.
#[must_use]
pub fn decide(key: &Known<'_>, now: Timestamp) -> Step {
    let secret = key.place.secret_of(key.name);
    let asked = |obeyed: Option<&str>| key.rotate.is_some_and(|asked| Some(asked) != obeyed);
    let Fetched::Present { annotations, .. } = key.secret else {
        let made = key.minted.as_ref().filter(|minted| minted.minted_for == key.uid && minted.secret_name == secret);
        return match (key.secret, made) {
            (Fetched::Denied, _) => Step::Rest(None),
            (_, None) => Step::Mint,
            (_, Some(minted)) if asked(minted.rotated_for.as_deref()) => Step::Mint,
            (_, Some(_)) => Step::Revoked,
        };
    };
    let said = |name: &str| annotations.get(name).map(String::as_str);
    if said(MADE_FOR) != Some(key.uid) {
        let left =
            said(MADE_FOR).is_some() && said(KEY_NAME) == Some(key.name) && said(DELETION_POLICY) == Some(word(DeletionPolicy::Retain));
        return if left { Step::Adopt } else { Step::Foreign };
    }
    if asked(said(ROTATED_FOR)) {
        return Step::Rotate;
    }
    if !key.has_text {
        return Step::Revoked;
    }
    let at = |name: &str| said(name).and_then(time_of);
    let due = key.interval.zip(at(MINTED_AT)).map(|(seconds, minted)| after(minted, seconds));
    let ends = at(PREVIOUS_UNTIL).filter(|_| key.has_previous);
    if due.is_some_and(|due| due <= now) {
        return Step::Rotate;
    }
    if key.has_previous && ends.is_none_or(|ends| ends <= now) {
        return Step::DropPrevious;
    }
    if said(DELETION_POLICY) != Some(word(key.place.deletion_policy)) {
        return Step::Own;
    }
    Step::Rest([due, ends].into_iter().flatten().min())
}

fn word(policy: DeletionPolicy) -> &'static str {
    match policy {
        DeletionPolicy::Delete => "Delete",
        DeletionPolicy::Retain => "Retain",
    }
}

fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// What is known of a VirtualKey's Secret; None when it is none that is generated, or the Secret was not read yet.
pub fn look<'a>(seen: &'a Gathered, name: &'a Name, key: &'a VirtualKey) -> Option<Known<'a>> {
    if key.spec.source.kind != SourceType::Generated {
        return None;
    }
    let place = key.spec.source.generated.clone().unwrap_or_default();
    let found = (name.0.clone(), place.secret_of(&name.1));
    let known = seen.known.get(&id(name))?;
    let entries = seen.parsed.world.secrets.get(&found);
    let filled = |entry: &str| entries.and_then(|entries| entries.values.get(entry)).is_some_and(|value| !value.expose().is_empty());
    let previous = place.previous_key();
    let secret = seen.fetched.get(&(Source::Secret, found.clone()))?;
    Some(Known {
        uid: &known.uid,
        name: &name.1,
        interval: key.spec.rotation.as_ref().and_then(|rotation| rotation.interval_seconds),
        rotate: known.annotations.get(ROTATE).map(String::as_str),
        minted: minted_before(&known.status, secret),
        has_text: filled(&place.secret_key),
        has_previous: entries.is_some_and(|entries| entries.values.contains_key(&previous)),
        secret,
        place,
    })
}

/// What a status says was made. While the Secret is there, that says it.
fn minted_before(status: &Told, secret: &Fetched) -> Option<MintedKey> {
    match secret {
        Fetched::Present { .. } => None,
        Fetched::Absent | Fetched::Denied => serde_json::from_value(status.value().get_mut("key")?.take()).ok(),
    }
}

fn id((namespace, name): &Name) -> ObjectId {
    ObjectId { kind: Kind::VirtualKey, namespace: namespace.clone(), name: name.clone() }
}

/// What a status tells of a key whose Secret is there.
#[must_use]
pub fn minted(seen: &Gathered, name: &Name, known: &Known<'_>) -> Option<MintedKey> {
    let Fetched::Present { annotations, .. } = known.secret else { return None };
    if annotations.get(MADE_FOR).map(String::as_str) != Some(known.uid) {
        return None;
    }
    let secret_name = known.place.secret_of(known.name);
    let entries = seen.parsed.world.secrets.get(&(name.0.clone(), secret_name.clone()))?;
    let text = std::str::from_utf8(entries.values.get(&known.place.secret_key)?.expose()).ok()?;
    let id = KeyText::parse(text.trim()).map(|text| text.id.to_owned()).unwrap_or_default();
    Some(MintedKey { id, secret_name, minted_for: known.uid.to_owned(), rotated_for: annotations.get(ROTATED_FOR).cloned() })
}

/// Tends keys during a term.
pub struct Keys {
    client: Client,
    /// UIDs and Secrets that were minted in this term: statuses may be late.
    made: BTreeSet<(String, String)>,
    /// Why the last attempt failed.
    failures: BTreeMap<ObjectId, String>,
    /// Keys with which nothing is to be done, until when if ever, as long as the compiler's report is the very one: then
    /// neither the key nor its Secret was touched.
    rested: BTreeMap<Arc<ObjectId>, (Arc<Report>, Option<Timestamp>)>,
}

/// What a pass over the keys came to.
#[derive(Debug, Default)]
pub struct Tended {
    /// When there is something to do again.
    pub next: Option<Timestamp>,
    /// Keys whose Secrets were written, or not.
    pub touched: Vec<ObjectId>,
    /// Some could not be written.
    pub failed: bool,
}

impl Keys {
    /// Nothing made yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, made: BTreeSet::new(), failures: BTreeMap::new(), rested: BTreeMap::new() }
    }

    /// Why a key's Secret could not be written.
    #[must_use]
    pub fn failure(&self, id: &ObjectId) -> Option<&str> {
        self.failures.get(id).map(String::as_str)
    }

    /// Whether a key was made and its Secret is gone.
    #[must_use]
    pub fn revoked(&self, known: &Known<'_>, now: Timestamp) -> bool {
        self.step(known, now) == Step::Revoked
    }

    fn step(&self, known: &Known<'_>, now: Timestamp) -> Step {
        let step = decide(known, now);
        let made = || self.made.contains(&(known.uid.to_owned(), known.place.secret_of(known.name)));
        // The status that would tell so may be on its way.
        if step == Step::Mint && known.minted.is_none() && made() { Step::Revoked } else { step }
    }

    /// What is to be done now.
    fn due(&mut self, compiled: &Compiled, seen: &Gathered, now: Timestamp, tended: &mut Tended) -> Vec<secrets::Job> {
        let (mut due, mut resting) = (Vec::new(), Vec::new());
        let mut rested = Along::of(&self.rested);
        for (id, report) in compiled.reports.iter().filter(|(id, _)| id.kind == Kind::VirtualKey) {
            let mut rest = |until: Option<Timestamp>| {
                tended.next = tended.next.into_iter().chain(until).min();
                resting.push((Arc::clone(id), (Arc::clone(report), until)));
            };
            if let Some((told, until)) = rested.at(&**id)
                && Arc::ptr_eq(report, told)
                && until.is_none_or(|until| until > now)
            {
                rest(*until);
                continue;
            }
            let name = (id.namespace.clone(), id.name.clone());
            let Some((name, key)) = seen.parsed.world.keys.get_key_value(&name) else { continue };
            if key.spec.source.kind != SourceType::Generated {
                rest(None);
                continue;
            }
            let Some(known) = look(seen, name, key) else { continue };
            match self.step(&known, now) {
                Step::Rest(until) if matches!(known.secret, Fetched::Present { .. }) => rest(until),
                // Nothing of the world tells when it may be read.
                Step::Rest(_) | Step::Revoked | Step::Foreign => {}
                Step::Mint if !waits_for_secret(report) => {}
                step @ (Step::Mint | Step::Adopt | Step::Rotate | Step::DropPrevious | Step::Own) => {
                    due.push(secrets::Job::new(step, name, &known, key));
                }
            }
        }
        self.rested = resting.into_iter().collect();
        due
    }

    /// Makes, rotates and takes over what is due.
    pub async fn tend(&mut self, compiled: &Compiled, gather: &Arc<Gather>, term: &Term) -> Tended {
        let now = clock::timestamp();
        let mut tended = Tended::default();
        let due = gather.look(|seen| self.due(compiled, seen, now, &mut tended));
        let more = due.len() > KEYS_IN_A_PASS;
        let client = &self.client;
        let jobs = due.into_iter().take(KEYS_IN_A_PASS).map(|job| async move {
            if term.check().is_err() {
                return None;
            }
            let done = job.run(client, now).await;
            Some((job, done))
        });
        let mut answers = stream::iter(jobs).buffer_unordered(AT_ONCE);
        while let Some(answer) = answers.next().await {
            let Some((job, done)) = answer else { continue };
            let id = id(&job.name);
            match done {
                Ok(stored) => {
                    self.made.insert((job.uid, job.secret));
                    self.failures.remove(&id);
                    gather.took(stored);
                }
                Err(error) => {
                    tracing::warn!(%error, key = format!("{}/{}", job.name.0, job.name.1), "the Secret of a key was not written");
                    self.failures.insert(id.clone(), error.to_string());
                    gather.look(|seen| seen.fetched.remove(&(Source::Secret, (job.name.0.clone(), job.secret.clone()))));
                    tended.failed = true;
                }
            }
            tended.touched.push(id);
        }
        if more {
            gather.ring();
        }
        tended
    }
}

/// Whether a key lacks its Secret alone: what is refused for another reason gets no key.
fn waits_for_secret(report: &Report) -> bool {
    matches!(report.verdict, Verdict::Pending(Problem::SecretNotFound { .. }))
}
