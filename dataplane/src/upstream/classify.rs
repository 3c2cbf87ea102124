//! What a provider's head says of failure: the class, when to come back, what the client may see of it.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use providers::fault::Fault;
use snapshot::{FailureClass, Surface};

use super::{Failure, waits};

/// A failure that happened on our side of the provider's answer.
pub(super) fn ours(class: FailureClass, message: &str, detail: String) -> Failure {
    let fault = Box::new(Fault::new(class, message));
    Failure { fault, status: None, retry_after: None, verbatim: None, detail, full: None }
}

/// A failure that the provider told, in an answer of 400 and more.
pub(super) fn told(surface: Surface, same_dialect: bool, status: u16, headers: &HeaderMap, body: Bytes, unix_ms: u64) -> Failure {
    let fault = Box::new(Fault::of_kind(surface, status, kind_of(headers), &body));
    let detail = format!("status {status}, {}", fault.class.word());
    let passes = same_dialect && status < 500 && fault.class.is_the_callers() && Fault::is_told_in(surface.dialect(), &body);
    let in_body = Fault::retry_delay(&body).map(|delay| delay.min(waits::LONGEST));
    let limits = (fault.class == FailureClass::RateLimited).then(|| waits::until_reset(headers, unix_ms)).flatten();
    let retry_after = waits::retry_after(headers, unix_ms).or(in_body).or(limits);
    let verbatim = passes.then_some(body);
    Failure { fault, status: Some(status), retry_after, verbatim, detail, full: None }
}

/// Why a 2xx head cannot be an answer, if so.
pub(super) fn unreadable(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoding = text(CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        return Some(format!("the answer is compressed ({}) though nobody asked for that", bounded(encoding)));
    }
    let kind = text(CONTENT_TYPE);
    kind.to_ascii_lowercase().starts_with("text/html").then(|| "the answer is HTML".to_owned())
}

fn bounded(text: &str) -> &str {
    text.get(..32).unwrap_or(text)
}

/// The kind of a failure of Amazon's, which stands in a header: `ValidationException:http://internal.amazon.com/..`.
fn kind_of(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-amzn-errortype")?.to_str().ok()?.split(':').next()
}
