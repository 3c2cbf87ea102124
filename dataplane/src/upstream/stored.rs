//! What is asked of objects that a provider keeps: sent, listed, looked at, read, deleted. What is answered goes back with
//! ids sealed and without the marks by which a list tells whose they are.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request};
use providers::fault::Fault;
use providers::passage::{Facts, Whole};
use providers::stored::{self, Named, Names};
use snapshot::{Endpoint, FailureClass};

use super::attempt::{AGENT, ANSWER_BYTES_MAX, Begun, ERROR_BYTES_MAX, Headers, Limits, target, whole};
use super::classify::{ours, told, unreadable};
use super::pieces::{Pieces, Sent};
use super::raw::raw;
use super::wire::Wire;
use super::{Failure, Trace, Upstream};
use crate::exchange::{Answer, Attempt, Body, Call, Deed, Listing, Plan, Refusal, Room, Stored, Unkept};
use crate::live::LiveProvider;
use crate::seal::{Kind, Place, Seals};

/// Pages of a provider's list that are looked through for one of the tenant's.
const PAGES_MAX: usize = 10;

/// What the owner calls things that are kept at a place.
pub(super) struct OwnersNames {
    pub(super) seals: Seals,
    pub(super) place: Place,
}

impl Names for OwnersNames {
    fn sealed(&self, named: Named, id: &str) -> Option<String> {
        let kind = match named {
            Named::File => Kind::File,
            Named::Response => Kind::Response,
        };
        self.seals.seal(kind, self.place, id)
    }

    fn unmarked(&self, filename: &str) -> Option<String> {
        self.seals.unmarked(filename)
    }
}

/// Why there is no answer.
enum Ended {
    Failed(Failure),
    Refused(Refusal),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Upstream {
    /// Asks the plan's one provider. Nothing is tried again: a file that is sent twice would be kept twice.
    pub(super) async fn stored(
        &self,
        plan: &Plan,
        call: &Call,
        stored: &Stored,
        (client, room): (&Headers, &mut dyn Room),
        trace: &mut Trace,
    ) -> Result<Answer, Refusal> {
        let attempt = plan.attempts.first().ok_or(Refusal::NotReady)?;
        trace.attempt = Some(attempt.clone());
        trace.attempts += 1;
        let began = self.clock.now();
        let limits = Limits::new(
            endpoint(&attempt.provider).map_err(|failure| failure.into_refusal(attempt))?.timeouts,
            began,
            client.patience,
            true,
        );
        let tried = match &stored.wanted.deed {
            Deed::List(listing) => self.list(attempt, stored, listing, &limits, room).await,
            Deed::Send | Deed::Look | Deed::Read | Deed::Delete | Deed::Items | Deed::Cancel => {
                self.one(attempt, &call.body, stored, &limits, room).await
            }
        };
        trace.wait += self.clock.now() - began;
        let meters = self.metrics.provider(&attempt.provider.provider.id);
        match tried {
            Ok(answer) => {
                meters.attempt_answered();
                Ok(answer)
            }
            Err(Ended::Refused(refusal)) => {
                meters.attempt_answered();
                Err(refusal)
            }
            Err(Ended::Failed(failure)) => {
                trace.detail = Some(failure.detail.clone());
                if let Some(full) = failure.full {
                    return Err(*full);
                }
                meters.attempt_failed(failure.fault.class);
                Err(named_as_sealed(failure, stored).into_refusal(attempt))
            }
        }
    }

    async fn one(&self, attempt: &Attempt, body: &Body, stored: &Stored, limits: &Limits, room: &mut dyn Room) -> Result<Answer, Ended> {
        let deed = &stored.wanted.deed;
        let path = match &stored.id {
            Some(id) => format!("/{}{}", providers::sigv4::encoded(id, b""), deed.below()),
            None => String::new(),
        };
        let marked = marked(body, &stored.seals);
        let sent = match (deed, body) {
            (Deed::Send, Body::Form(form)) => Sent::Form(form, &marked),
            (_, Body::Here(_) | Body::Form(_)) => Sent::Pieces(&[]),
        };
        let begun = self.ask_keeper(attempt, stored, (&path, None), sent, limits).await?;
        if *deed == Deed::Read {
            return Ok(self.content(begun, limits, &stored.seals));
        }
        let answered = self.answered(begun, limits, room).await?;
        let names = OwnersNames { seals: stored.seals.clone(), place: attempt.provider.place };
        if stored.wanted.kind() == Kind::Response {
            let invalid = |wrong: providers::json::Wrong| no_answer(Fault::new(FailureClass::InvalidResponse, wrong.what));
            return Ok(whole_answer(stored::response(&names, &answered).map_err(invalid)?.map_or(answered, Bytes::from)));
        }
        let shown = stored::object(&names, &answered).map_err(no_answer)?;
        Ok(whole_answer(shown.json.into()))
    }

    /// Pages of the provider's list, until as many of the tenant's own are found as are asked for, and whether there is one
    /// more.
    async fn list(
        &self,
        attempt: &Attempt,
        stored: &Stored,
        listing: &Listing,
        limits: &Limits,
        room: &mut dyn Room,
    ) -> Result<Answer, Ended> {
        let names = OwnersNames { seals: stored.seals.clone(), place: attempt.provider.place };
        let (mut own, mut after, mut more) = (Vec::new(), stored.id.as_deref().map(str::to_owned), false);
        for page in 1.. {
            let begun = self.ask_keeper(attempt, stored, ("", after.as_deref()), Sent::Pieces(&[]), limits).await?;
            let read = stored::page(&names, &self.answered(begun, limits, room).await?).map_err(no_answer)?;
            own.extend(read.own);
            more = own.len() > listing.limit;
            // A list that comes back to where it was would be asked for without end.
            let next = read.last.filter(|last| read.more && after.as_ref() != Some(last));
            let Some(next) = next.filter(|_| !more) else { break };
            if page == PAGES_MAX {
                if own.is_empty() {
                    return Err(Ended::Refused(Unkept::ListTooLong.into()));
                }
                more = true;
                break;
            }
            after = Some(next);
        }
        own.truncate(listing.limit);
        Ok(whole_answer(stored::list(&own, more)))
    }

    /// Sends one request and reads its answer's head; an answer of no success is a failure.
    async fn ask_keeper(
        &self,
        attempt: &Attempt,
        stored: &Stored,
        (below, after): (&str, Option<&str>),
        sent: Sent<'_>,
        limits: &Limits,
    ) -> Result<Begun, Failure> {
        let provider = &attempt.provider;
        let origin = provider.origin.as_ref().ok_or_else(nowhere)?;
        let mut forgotten = false;
        loop {
            let refused = |detail: &str| ours(FailureClass::BadRequest, "the request cannot be sent", detail.to_owned());
            let mut request = request(provider, stored, (below, after), sent).map_err(refused)?;
            let shown = match &provider.identity {
                Some(identity) => Some((identity, Box::pin(self.prove(identity, &mut request, sent.signed(), limits)).await?)),
                None => None,
            };
            let begun = self.exchange(origin, request, sent, limits).await?;
            let head = &begun.response;
            if head.status().is_success() {
                return match unreadable(head.headers()).filter(|_| stored.wanted.deed != Deed::Read) {
                    None => Ok(begun),
                    Some(detail) => Err(ours(FailureClass::InvalidResponse, "the provider's answer cannot be read", detail)),
                };
            }
            let failure = self.failed(begun, stored, limits).await;
            // What ended before its time, or was revoked, is asked for anew, once.
            if let Some((identity, shown)) = &shown
                && failure.fault.class == FailureClass::AuthFailed
                && !forgotten
                && self.forget(identity, shown)
            {
                forgotten = true;
                continue;
            }
            return Err(failure);
        }
    }

    async fn failed(&self, begun: Begun, stored: &Stored, limits: &Limits) -> Failure {
        let Begun { response, lease, .. } = begun;
        let (head, incoming) = response.into_parts();
        let wire = Wire::new(incoming, lease, self.clock.clone(), limits.idle, limits.total);
        let body = whole(wire, ERROR_BYTES_MAX, &mut Unbounded).await.unwrap_or_default();
        told(stored.wanted.surface, false, head.status.as_u16(), &head.headers, body, self.clock.unix_ms())
    }

    async fn answered(&self, begun: Begun, limits: &Limits, room: &mut dyn Room) -> Result<Bytes, Failure> {
        let Begun { response, lease, .. } = begun;
        room.begin();
        let wire = Wire::new(response.into_body(), lease, self.clock.clone(), limits.idle, limits.total);
        whole(wire, ANSWER_BYTES_MAX, room).await
    }

    /// What is in a file, as it comes.
    fn content(&self, begun: Begun, limits: &Limits, seals: &Seals) -> Answer {
        let Begun { response, lease, .. } = begun;
        let (head, incoming) = response.into_parts();
        let wire = Wire::new(incoming, lease, self.clock.clone(), limits.idle, limits.total);
        let mut raw = raw(head.status.as_u16(), &head.headers, Box::pin(wire));
        if let Some(said) = raw.headers.remove(CONTENT_DISPOSITION)
            && let Ok(said) = said.to_str()
            && let Ok(told) = HeaderValue::try_from(seals.marks().fold(said.to_owned(), |said, mark| said.replace(&mark, "")))
        {
            raw.headers.insert(CONTENT_DISPOSITION, told);
        }
        Answer::Raw(Box::new(raw))
    }
}

/// The few bytes of an error need no room.
struct Unbounded;

impl Room for Unbounded {
    fn begin(&mut self) {}

    fn more(&mut self, _: u64) -> Result<(), Refusal> {
        Ok(())
    }
}

fn nowhere() -> Failure {
    ours(FailureClass::ConnectError, "the provider has no address", "a provider without an origin".to_owned())
}

fn endpoint(provider: &LiveProvider) -> Result<&Endpoint, Failure> {
    provider.provider.kind.endpoint().ok_or_else(nowhere)
}

fn request(
    provider: &LiveProvider,
    stored: &Stored,
    (below, after): (&str, Option<&str>),
    sent: Sent<'_>,
) -> Result<Request<Pieces>, &'static str> {
    let wanted = &stored.wanted;
    let place = provider.path(wanted.surface, "", false).ok_or("the provider does not keep such things")?;
    let mut path = format!("{}{below}", place.path());
    let mut mark = '?';
    let mut say = |name: &str, value: &str| {
        path.extend([&*mark.to_string(), name, "=", value]);
        mark = '&';
    };
    for (name, value) in place.query().into_iter().flat_map(|query| query.split('&')).filter_map(|pair| pair.split_once('=')) {
        say(name, value);
    }
    wanted.passed.iter().for_each(|(name, value)| say(name, value));
    if let Some(after) = after {
        say(AFTER, &providers::sigv4::encoded(after, b""));
    }
    let mut request = Request::new(Pieces::of(sent));
    *request.method_mut() = wanted.deed.method();
    *request.uri_mut() = target(provider, path.parse().map_err(|_| "the path is none")?).map_err(|_| "the path is none")?;
    let headers = request.headers_mut();
    headers.insert(HOST, provider.host.clone());
    headers.insert(USER_AGENT, AGENT);
    headers.insert(ACCEPT, HeaderValue::from_static(if wanted.deed == Deed::Read { "*/*" } else { "application/json" }));
    match sent {
        Sent::Form(form, _) => drop(headers.insert(CONTENT_TYPE, form.content_type.clone())),
        // Some servers want to hear that nothing follows.
        Sent::Pieces(_) if wanted.deed == Deed::Cancel => drop(headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"))),
        Sent::Pieces(_) => {}
    }
    if let Some((name, value)) = &provider.credential {
        headers.insert(name, value.expose().clone());
    }
    Ok(request)
}

const AFTER: &str = "after";

/// The tenant's mark, to be put into the name of the file that is sent.
fn marked(body: &Body, seals: &Seals) -> Vec<(std::ops::Range<usize>, Bytes)> {
    let Body::Form(form) = body else { return Vec::new() };
    let put = form.form.filename.as_ref().map(|(range, name)| {
        let (at, mark) = seals.mark(name);
        (range.start + at..range.start + at, Bytes::from(mark))
    });
    put.into_iter().collect()
}

fn whole_answer(body: Bytes) -> Answer {
    Answer::Whole(Box::new(Whole { body, facts: Facts::default(), estimate: false }))
}

/// What came with a status of success and is no answer.
fn no_answer(fault: Fault) -> Ended {
    let detail = format!("status 200 with {}", fault.class.word());
    Ended::Failed(Failure { detail, fault: Box::new(fault), status: Some(200), retry_after: None, verbatim: None, full: None })
}

/// Providers repeat the id that they were asked for: the client knows it by another text.
fn named_as_sealed(mut failure: Failure, stored: &Stored) -> Failure {
    let listed = if let Deed::List(listing) = &stored.wanted.deed { listing.after.as_deref() } else { None };
    if let (Some(id), Some(sealed)) = (&stored.id, stored.wanted.id.as_deref().or(listed)) {
        failure.fault.message = failure.fault.message.replace(&**id, sealed);
    }
    failure
}
