//! Whether the condition of a rule holds for a call. One that has no answer is one that does not hold, and is told.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::exchange::{Call, Grant, Portkey, Unanswered};
use crate::live::{LiveRule, When};

/// Why a condition that cannot be read has no answer.
const UNREADABLE: &str = "unreadable";

/// No header says anything beside the name.
static NOTHING_BESIDE: Portkey = Portkey { provider: None, config: None, patience: None };

/// What is asked of the rules of a policy.
pub struct Asked<'a> {
    /// The model as the client wrote it.
    pub(super) model: &'a str,
    /// What headers of Portkey's say beside it.
    pub(super) portkey: &'a Portkey,
    called: Option<Called<'a>>,
    /// The first rule whose condition had no answer.
    pub unanswered: Option<Unanswered>,
}

/// What conditions see. Nothing is made of it until there is one.
struct Called<'a> {
    grant: &'a Grant,
    call: &'a Call,
    headers: Sent<'a>,
}

struct Sent<'a>(&'a HeaderMap);

impl expr::Headers for Sent<'_> {
    fn first(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(HeaderValue::as_bytes)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(HeaderName::as_str)
    }
}

impl<'a> Asked<'a> {
    /// Where a call goes.
    #[must_use]
    pub fn call(grant: &'a Grant, call: &'a Call, headers: &'a HeaderMap, portkey: &'a Portkey) -> Self {
        Self { model: &call.head.model, portkey, called: Some(Called { grant, call, headers: Sent(headers) }), unanswered: None }
    }

    /// Where some call could go that names this model: conditions count as met.
    #[must_use]
    pub fn name(model: &'a str) -> Self {
        Self { model, portkey: &NOTHING_BESIDE, called: None, unanswered: None }
    }

    pub(super) fn fits(&mut self, rule: &LiveRule) -> bool {
        let answer = match (&rule.when, &self.called) {
            (When::Always, _) | (When::Asked(_), None) => Ok(true),
            (When::Asked(program), Some(called)) => program.holds(&called.facts()).map_err(expr::Failure::word),
            (When::Unreadable, _) => Err(UNREADABLE),
        };
        answer.unwrap_or_else(|why| {
            self.unanswered.get_or_insert_with(|| Unanswered { rule: rule.name.clone(), why });
            false
        })
    }
}

impl<'a> Called<'a> {
    fn facts(&self) -> expr::Call<'_, Sent<'a>> {
        let key = &self.grant.key.key;
        expr::Call {
            model: &self.call.head.model,
            operation: self.call.surface.operation().word(),
            stream: self.call.head.stream,
            bytes: self.call.body.bytes(),
            headers: &self.headers,
            key: expr::Key {
                namespace: key.id.namespace(),
                name: key.id.name(),
                team: key.owner.team.as_str(),
                user: key.owner.user.as_deref(),
                application: key.owner.application.as_deref(),
                environment: key.owner.environment.as_deref(),
                cost_center: key.owner.cost_center.as_deref(),
            },
        }
    }
}
