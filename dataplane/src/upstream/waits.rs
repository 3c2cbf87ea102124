//! When a provider says that it may be asked again, in its headers.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use providers::fault::wait;

/// Longer waits than this are a day's quota, not a rate.
pub(super) const LONGEST: Duration = Duration::from_secs(86_400);

/// `Retry-After` in both forms, and `retry-after-ms`.
pub(super) fn retry_after(headers: &HeaderMap, unix_ms: u64) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let millis = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()).filter(|ms| *ms > 0.0);
    if let Some(millis) = millis {
        return Some(Duration::from_secs_f64((millis / 1000.0).min(LONGEST.as_secs_f64())));
    }
    let text = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = text.parse::<f64>() {
        let seconds = if seconds.is_finite() { seconds.clamp(0.0, LONGEST.as_secs_f64()) } else { return None };
        return Some(Duration::from_secs_f64(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let wait = u64::try_from(date.as_millisecond()).ok()?.saturating_sub(unix_ms);
    Some(Duration::from_millis(wait).min(LONGEST))
}

/// When a limit that is used up is open again: the latest of those that have nothing left, or of all when none tells what is
/// left. In Go's durations, in seconds, as a time of day, and as the draft of the IETF has it.
pub(super) fn until_reset(headers: &HeaderMap, unix_ms: u64) -> Option<Duration> {
    let mut used_up = None;
    let mut told = None;
    for (name, value) in headers {
        let (name, Ok(value)) = (name.as_str(), value.to_str()) else { continue };
        let (wait, left) = if name == "ratelimit" {
            (parameter(value, "t").and_then(wait::duration), parameter(value, "r"))
        } else if let Some(limit) = reset_of(name) {
            (read(value, unix_ms), headers.get(limit).and_then(|left| left.to_str().ok()))
        } else {
            continue;
        };
        told = told.max(wait);
        if left.is_some_and(|left| left.trim() == "0") {
            used_up = used_up.max(wait);
        }
    }
    used_up.or(told).map(|wait| wait.min(LONGEST))
}

/// The name under which is told what is left of the limit whose reset has this name.
fn reset_of(name: &str) -> Option<String> {
    let ours = name.starts_with("x-ratelimit-") || name.starts_with("anthropic-ratelimit-") || name.starts_with("ratelimit-");
    (ours && name.split('-').any(|word| word == "reset")).then(|| name.replace("reset", "remaining"))
}

fn read(value: &str, unix_ms: u64) -> Option<Duration> {
    if let Ok(time) = value.trim().parse::<jiff::Timestamp>() {
        return u64::try_from(time.as_millisecond()).ok().map(|ms| Duration::from_millis(ms.saturating_sub(unix_ms)));
    }
    // A large number is a time since 1970, in seconds or milliseconds.
    match value.trim().parse::<u64>() {
        Ok(number) if number > 1_000_000_000_000 => Some(Duration::from_millis(number.saturating_sub(unix_ms))),
        Ok(number) if number > 1_000_000_000 => Some(Duration::from_millis((number * 1000).saturating_sub(unix_ms))),
        Ok(_) | Err(_) => wait::duration(value),
    }
}

/// A parameter of `"api";r=0;t=55`.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split([';', ',']).filter_map(|part| part.trim().split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
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
        assert_eq!(wait("retry-after", "1e300"), Some(LONGEST));
    }

    #[test]
    fn resets_of_limits_are_read_in_every_form() {
        let wait = |headers: &[(&'static str, &'static str)]| {
            let headers: HeaderMap =
                headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
            until_reset(&headers, 784_111_775_000).map(|wait| wait.as_millis())
        };
        assert_eq!(wait(&[("x-ratelimit-reset-requests", "1m12s"), ("x-ratelimit-reset-tokens", "6ms")]), Some(72_000));
        let left = [("x-ratelimit-remaining-requests", "14"), ("x-ratelimit-remaining-tokens", "0")];
        let resets = [("x-ratelimit-reset-requests", "2h0m"), ("x-ratelimit-reset-tokens", "17.5s")];
        assert_eq!(wait(&[left, resets].concat()), Some(17_500), "of the limit that is used up");
        assert_eq!(wait(&[("anthropic-ratelimit-input-tokens-reset", "1994-11-06T08:49:40Z")]), Some(5_000));
        assert_eq!(wait(&[("anthropic-ratelimit-requests-reset", "1983-11-06T08:49:40Z")]), Some(0), "a time that is past");
        assert_eq!(wait(&[("x-ratelimit-reset", "7")]), Some(7_000));
        assert_eq!(wait(&[("x-ratelimit-reset", "1784111775000")]), Some(86_400_000), "milliseconds since 1970, and no more than a day");
        assert_eq!(wait(&[("ratelimit", "\"api\";r=0;t=55")]), Some(55_000));
        assert_eq!(wait(&[("x-ratelimit-reset-tokens", "soon"), ("x-ratelimit-limit-tokens", "7"), ("retry-after", "9")]), None);
    }
}
