//! Where a call goes.

use std::collections::BTreeSet;
use std::sync::Arc;

use snapshot::FailureClass;

use crate::live::LiveProvider;

/// Ordered targets, at least one, and when to go on to the next.
#[derive(Debug)]
pub struct Plan {
    /// Tried in this order.
    pub attempts: Vec<Attempt>,
    /// Failures after which the next is tried; empty: only the first is.
    pub fallback_on: Arc<BTreeSet<FailureClass>>,
    /// What decided, for the receipt: a policy's rule, or the pattern that lets a path through.
    pub rule: Option<Arc<str>>,
}

/// A rule that did not fit because its condition had no answer for the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// Its name.
    pub rule: Arc<str>,
    /// Why, in a word of a closed set.
    pub why: &'static str,
}

/// One try at one target.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Whom to ask.
    pub provider: Arc<LiveProvider>,
    /// What the provider calls the model; empty where none is asked for.
    pub model: Arc<str>,
    /// The declared model's place in the provider, when it is declared.
    pub declared: Option<usize>,
}
