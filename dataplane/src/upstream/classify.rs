//! What a provider's head says of failure: the class, when to come back, what the client may see of it.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use providers::fault::Fault;
use snapshot::{FailureClass, Surface};

use super::Failure;

/// Longer waits than this are a day's quota, not a rate.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// A failure that happened on our side of the provider's answer.
pub(super) fn ours(class: FailureClass, message: &str, detail: String) -> Failure {
    let fault = Box::new(Fault { class, message: message.to_owned(), code: None, param: None });
    Failure { fault, status: None, retry_after: None, verbatim: None, detail, full: None }
}

/// A failure that the provider told, in an answer of 400 and more.
pub(super) fn told(surface: Surface, same_dialect: bool, status: u16, headers: &HeaderMap, body: Bytes, unix_ms: u64) -> Failure {
    let fault = Box::new(Fault::of_answer(surface, status, &body));
    let detail = format!("status {status}, {}", fault.class.word());
    let passes = same_dialect && status < 500 && is_the_callers(fault.class) && Fault::is_told_in(surface.dialect(), &body);
    let in_body = Fault::retry_delay(&body).map(|delay| delay.min(RETRY_AFTER_MAX));
    let retry_after = retry_after(headers, unix_ms).or(in_body);
    let verbatim = passes.then_some(body);
    Failure { fault, status: Some(status), retry_after, verbatim, detail, full: None }
}

/// Whether the request is at fault, so that the provider's own words help the caller.
fn is_the_callers(class: FailureClass) -> bool {
    match class {
        FailureClass::BadRequest | FailureClass::ContextLengthExceeded | FailureClass::ContentFiltered => true,
        FailureClass::NotFound
        | FailureClass::RateLimited
        | FailureClass::Overloaded
        | FailureClass::QuotaExceeded
        | FailureClass::AuthFailed
        | FailureClass::ConnectError
        | FailureClass::Timeout
        | FailureClass::ServerError
        | FailureClass::InvalidResponse
        | FailureClass::StreamBroken => false,
    }
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

/// `Retry-After` in both forms, and `retry-after-ms`.
fn retry_after(headers: &HeaderMap, unix_ms: u64) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let millis = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()).filter(|ms| *ms > 0.0);
    if let Some(millis) = millis {
        return Some(Duration::from_secs_f64((millis / 1000.0).min(RETRY_AFTER_MAX.as_secs_f64())));
    }
    let text = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = text.parse::<f64>() {
        let seconds = if seconds.is_finite() { seconds.clamp(0.0, RETRY_AFTER_MAX.as_secs_f64()) } else { return None };
        return Some(Duration::from_secs_f64(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let wait = u64::try_from(date.as_millisecond()).ok()?.saturating_sub(unix_ms);
    Some(Duration::from_millis(wait).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_as_a_date_and_in_milliseconds() {
        let wait = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            retry_after(&headers, 784_111_775_000)
        };
        assert_eq!(wait("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(2)));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1983 08:49:37 GMT"), Some(Duration::ZERO), "a date that is past");
        assert_eq!(wait("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        for bad in ["", "soon", "NaN", "inf", "\"7\""] {
            assert_eq!(wait("retry-after", bad), None, "{bad}");
        }
        assert_eq!(wait("retry-after", "-3"), Some(Duration::ZERO));
        assert_eq!(wait("retry-after", "1e300"), Some(RETRY_AFTER_MAX));
    }
}
