//! What an object's status says. Pure: from the compiler's report and from how far the replicas are.
//!
//! `Ready` is `Accepted` and `ResolvedRefs` and `Programmed` of this generation, nothing else. What passes by itself is
//! Unknown; False is only what a person must mend. The reasons are a closed set: those of `crds::report` and [`Reason`].

use crds::report::{Problem, Report, Verdict};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Reasons beside those of the compiler's problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The compiler took it.
    Accepted,
    /// All that it refers to is there.
    Resolved,
    /// Every ready replica serves it.
    Programmed,
    /// All of the above.
    Ready,
    /// It is not judged, because it is not accepted.
    NotAccepted,
    /// Something will happen by itself.
    Pending,
    /// On its way to the replicas.
    Propagating,
    /// On its way for so long that something is wrong.
    ConvergenceTimeout,
    /// No replica is ready.
    NoReplicas,
    /// Replicas refuse it.
    RejectedByDataPlane,
    /// What runs the gateway was not taken by the API server.
    ApplyFailed,
    /// It cannot be published.
    PublishFailed,
    /// The Secret of a generated key is gone: the key is revoked.
    SecretMissing,
    /// The time of the key is over.
    Expired,
    /// The time of the key is not over.
    NotExpired,
}

impl Reason {
    /// As conditions carry it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Resolved => "Resolved",
            Self::Programmed => "Programmed",
            Self::Ready => "Ready",
            Self::NotAccepted => "NotAccepted",
            Self::Pending => "Pending",
            Self::Propagating => "Propagating",
            Self::ConvergenceTimeout => "ConvergenceTimeout",
            Self::NoReplicas => "NoReplicas",
            Self::RejectedByDataPlane => "RejectedByDataPlane",
            Self::ApplyFailed => "ApplyFailed",
            Self::PublishFailed => "PublishFailed",
            Self::SecretMissing => "SecretMissing",
            Self::Expired => "Expired",
            Self::NotExpired => "NotExpired",
        }
    }
}

/// True, False, or what only time will tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// `True`
    True,
    /// `False`
    False,
    /// `Unknown`
    Unknown,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// True, False, Unknown.
    pub word: Word,
    /// One of a closed set.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Said {
    /// A condition that is said.
    #[must_use]
    pub fn new(word: Word, reason: &'static str, message: impl Into<String>) -> Self {
        Self { word, reason, message: message.into() }
    }
}

/// How far an accepted object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Programmed {
    /// Every ready replica serves it, first in this revision.
    Served(String),
    /// Not yet.
    Waiting(Reason, String),
    /// Somebody must mend it.
    Failed(Reason, String),
}

/// The compiler's verdict, as far as time changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// Accepted, with warnings.
    Accepted(Vec<Problem>),
    /// Waits for something that may come by itself.
    Waiting {
        /// For what.
        reason: &'static str,
        /// For people.
        message: String,
    },
    /// Somebody must mend it.
    Refused {
        /// What.
        reason: &'static str,
        /// For people.
        message: String,
        /// Whether that is about what it refers to.
        of_references: bool,
    },
}

impl Judged {
    /// The verdict of a report. A reference that is not found may be late, as long as it is `graced`.
    #[must_use]
    pub fn of(report: &Report, graced: bool) -> Self {
        match &report.verdict {
            Verdict::Accepted => Self::Accepted(report.warnings.clone()),
            Verdict::Pending(problem) if graced => Self::Waiting { reason: problem.reason(), message: problem.message() },
            Verdict::Pending(problem) | Verdict::Refused(problem) => {
                Self::Refused { reason: problem.reason(), message: problem.message(), of_references: problem.is_of_references() }
            }
        }
    }
}

/// All that a status is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The generation that was judged.
    pub generation: i64,
    /// How.
    pub judged: Judged,
    /// The generation that serves in its place, if another does.
    pub serving_generation: Option<i64>,
    /// How far it is; looked at only when it is accepted.
    pub programmed: Programmed,
    /// Whether its time is over, if it has one.
    pub expired: Option<bool>,
    /// Fields that its kind alone has.
    pub own: Map<String, Value>,
}

/// The status that an object should have. Times of transitions are kept where nothing changed.
#[must_use]
pub fn of(facts: &Facts, old: &Value, now: Timestamp) -> Value {
    let mut all = vec![("Accepted", accepted(&facts.judged)), ("ResolvedRefs", resolved(&facts.judged))];
    all.push(("Programmed", programmed(facts)));
    all.push(("Ready", ready(&all)));
    if let Some(expired) = facts.expired {
        let (word, reason) = if expired { (Word::True, Reason::Expired) } else { (Word::False, Reason::NotExpired) };
        all.push(("Expired", Said::new(word, reason.word(), "")));
    }
    let conditions: Vec<Value> = all.iter().map(|(kind, said)| condition(kind, said, facts.generation, old, now)).collect();
    let mut status = facts.own.clone();
    status.insert("observedGeneration".to_owned(), json!(facts.generation));
    status.insert("conditions".to_owned(), Value::Array(conditions));
    if let (Judged::Accepted(_), Programmed::Served(revision)) = (&facts.judged, &facts.programmed) {
        status.insert("dataPlane".to_owned(), json!({ "revision": revision }));
    }
    if let Some(serving) = facts.serving_generation {
        // After a restart nobody knows which generation that was, but the status does.
        let known = (serving == 0 && observed(old) == Some(facts.generation)).then(|| old.get("servingGeneration").cloned()).flatten();
        status.insert("servingGeneration".to_owned(), known.unwrap_or_else(|| json!(serving)));
    }
    Value::Object(status)
}

fn accepted(judged: &Judged) -> Said {
    match judged {
        Judged::Accepted(warnings) => {
            let texts: Vec<String> =
                warnings.iter().map(|warning| format!("warning: {}: {}", warning.reason(), warning.message())).collect();
            Said::new(Word::True, Reason::Accepted.word(), texts.join("; "))
        }
        Judged::Waiting { reason, message } => Said::new(Word::Unknown, reason, message),
        Judged::Refused { reason, message, .. } => Said::new(Word::False, reason, message),
    }
}

fn resolved(judged: &Judged) -> Said {
    match judged {
        Judged::Accepted(_) => Said::new(Word::True, Reason::Resolved.word(), ""),
        Judged::Waiting { reason, message } => Said::new(Word::Unknown, reason, message),
        Judged::Refused { reason, message, of_references: true } => Said::new(Word::False, reason, message),
        Judged::Refused { of_references: false, .. } => Said::new(Word::Unknown, Reason::NotAccepted.word(), ""),
    }
}

fn programmed(facts: &Facts) -> Said {
    match (&facts.judged, &facts.programmed) {
        (Judged::Waiting { .. } | Judged::Refused { .. }, _) => Said::new(Word::Unknown, Reason::NotAccepted.word(), ""),
        (Judged::Accepted(_), Programmed::Served(_)) => Said::new(Word::True, Reason::Programmed.word(), ""),
        (Judged::Accepted(_), Programmed::Waiting(reason, message)) => Said::new(Word::Unknown, reason.word(), message),
        (Judged::Accepted(_), Programmed::Failed(reason, message)) => Said::new(Word::False, reason.word(), message),
    }
}

fn ready(all: &[(&str, Said)]) -> Said {
    let first = |word: Word| all.iter().map(|(_, said)| said).find(|said| said.word == word).cloned();
    first(Word::False).or_else(|| first(Word::Unknown)).unwrap_or_else(|| Said::new(Word::True, Reason::Ready.word(), ""))
}

fn condition(kind: &str, said: &Said, generation: i64, old: &Value, now: Timestamp) -> Value {
    let word = match said.word {
        Word::True => "True",
        Word::False => "False",
        Word::Unknown => "Unknown",
    };
    let before = find(old, kind).filter(|before| before["status"] == word);
    // The schema's own default was not a moment at which anything happened.
    let since =
        before.map(|before| &before["lastTransitionTime"]).filter(|since| since.as_str().is_some_and(|since| !since.starts_with("1970-")));
    json!({
        "type": kind,
        "status": word,
        "reason": said.reason,
        "message": said.message,
        "observedGeneration": generation,
        "lastTransitionTime": since.cloned().unwrap_or_else(|| json!(time(now))),
    })
}

/// As the API server writes times: whole seconds.
#[must_use]
pub fn time(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A condition of a status.
#[must_use]
pub fn find<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status.get("conditions")?.as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// The generation that a status is about.
#[must_use]
pub fn observed(status: &Value) -> Option<i64> {
    status.get("observedGeneration")?.as_i64()
}

/// The revision in which every replica served this generation first, once that is told. It is then left alone.
#[must_use]
pub fn served(status: &Value, generation: i64) -> Option<String> {
    let told = |kind: &str| find(status, kind).is_some_and(|condition| condition["status"] == "True");
    let this = observed(status) == Some(generation) && told("Accepted") && told("Programmed");
    this.then(|| status.pointer("/dataPlane/revision")?.as_str().map(str::to_owned)).flatten()
}

/// When a status last turned, if it is about this generation: not before then was the generation seen.
#[must_use]
pub fn turned(status: &Value, generation: i64) -> Option<Timestamp> {
    let conditions = status.get("conditions").filter(|_| observed(status) == Some(generation))?.as_array()?;
    conditions.iter().filter_map(|condition| condition["lastTransitionTime"].as_str()?.parse().ok()).max()
}
