//! What an answer tells of use that is not counted in tokens: pictures, seconds of sound, searches.

use serde::Deserialize;
use snapshot::{Measured, Unit};

/// A number of JSON in thousandths, rounded up; `None` for one that nobody means.
pub(crate) fn thousandths(number: &[u8]) -> Option<u64> {
    let number: f64 = serde_json::from_slice(number).ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was found to be in bounds")]
    (number > 0.0 && number < 1e12).then_some((number * 1000.0).ceil() as u64)
}

/// Pictures of an answer.
pub(crate) fn images(count: u64) -> Option<Measured> {
    Measured::whole(Unit::Image, count)
}

/// Seconds, where `usage` tells them: `{"type":"duration","seconds":7}`.
pub(crate) fn seconds(usage: &[u8]) -> Option<Measured> {
    #[derive(Deserialize)]
    struct Told<'a> {
        #[serde(borrow)]
        seconds: &'a serde_json::value::RawValue,
    }
    let told: Told<'_> = serde_json::from_slice(usage).ok()?;
    lasted(thousandths(told.seconds.get().as_bytes()))
}

/// Seconds, where the answer tells its `duration`.
pub(crate) fn lasted(thousandths: Option<u64>) -> Option<Measured> {
    Some(Measured { unit: Unit::Second, thousandths: thousandths? })
}

/// Searches, where Cohere's `meta` tells them: `{"billed_units":{"search_units":1}}`.
pub(crate) fn searches(meta: &[u8]) -> Option<Measured> {
    #[derive(Deserialize)]
    struct Meta {
        billed_units: Billed,
    }
    #[derive(Deserialize)]
    struct Billed {
        search_units: f64,
    }
    let told: Meta = serde_json::from_slice(meta).ok()?;
    let thousandths = thousandths(told.billed_units.search_units.to_string().as_bytes())?;
    Some(Measured { unit: Unit::Search, thousandths })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_in_thousandths_and_what_is_no_count_is_none() {
        assert_eq!(seconds(br#"{"type":"duration","seconds":8.4704}"#), Some(Measured { unit: Unit::Second, thousandths: 8471 }));
        assert_eq!(searches(br#"{"billed_units":{"search_units":2}}"#), Some(Measured { unit: Unit::Search, thousandths: 2000 }));
        for bad in [&b"-1"[..], b"0", b"1e300", b"null", b"\"1\"", b""] {
            assert_eq!(thousandths(bad), None, "{bad:?}");
        }
        assert_eq!(seconds(br#"{"seconds":[]}"#), None);
        assert_eq!(searches(br#"{"billed_units":{}}"#), None);
        assert_eq!((images(0), images(2)), (None, Some(Measured { unit: Unit::Image, thousandths: 2000 })));
    }
}
