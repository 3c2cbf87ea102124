//! Who is calling, and may they? Keys are found by the SHA-256 of their text: one look-up, however many keys there are.
//!
//! Invariant: nobody holds a key's text longer than it takes to hash it.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use snapshot::keytext::{KeyText, KeyTextError};
use snapshot::{KeyHash, Operation};

use crate::exchange::{Grant, Refusal};
use crate::live::{Live, LiveKey};

/// Finds the key that a request shows (`Authorization: Bearer`, `x-api-key`, or `api-key` as Azure's clients do) and checks
/// that it is in force. Clients of Portkey show it in a header of their own, and in `Authorization` a provider's key, or a word in its place: theirs counts
/// where the other is none of ours.
///
/// # Errors
/// No key, a mistyped, unknown, suspended or expired one.
pub fn identify(live: &Live, headers: &HeaderMap, unix_ms: u64) -> Result<Grant, Refusal> {
    let portkey = headers.get("x-portkey-api-key").map(|value| value.as_bytes().trim_ascii()).filter(|text| !text.is_empty());
    let text = shown(headers).or(portkey).ok_or(Refusal::KeyMissing)?;
    let find = |text: &[u8]| {
        let hash = KeyHash(Sha256::digest(text).into());
        live.key(&hash).map(|key| (hash, key))
    };
    let (text, key) = match (find(text), portkey) {
        (None, Some(portkey)) if portkey != text => (portkey, find(portkey)),
        (found, _) => (text, found),
    };
    let Some((hash, key)) = key else {
        let mistyped = std::str::from_utf8(text).is_ok_and(|text| matches!(KeyText::parse(text), Err(KeyTextError::BadChecksum)));
        return Err(if mistyped { Refusal::KeyMistyped } else { Refusal::KeyUnknown });
    };
    in_force(hash, key, unix_ms)
}

/// Looks up anew whether a key is in force, for what outlives the configuration that it began with.
///
/// # Errors
/// It is no longer.
pub fn again(live: &Live, grant: &Grant, unix_ms: u64) -> Result<Grant, Refusal> {
    let key = live.key(&grant.hash).filter(|key| key.key.id == grant.key.key.id).ok_or(Refusal::KeyUnknown)?;
    in_force(grant.hash, key, unix_ms)
}

fn in_force(hash: KeyHash, key: &Arc<LiveKey>, unix_ms: u64) -> Result<Grant, Refusal> {
    if key.key.suspended {
        return Err(Refusal::KeySuspended);
    }
    let seconds = i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX);
    if key.key.expires_at.is_some_and(|expiry| seconds >= expiry) {
        return Err(Refusal::KeyExpired);
    }
    Ok(Grant { hash, key: key.clone() })
}

/// Checks what does not need the body.
///
/// # Errors
/// The key may not use the operation.
pub fn admit(grant: &Grant, operation: Operation) -> Result<(), Refusal> {
    if grant.allows_operation(operation) { Ok(()) } else { Err(Refusal::OperationNotAllowed { operation }) }
}

fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, text) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| text.trim_ascii())
    });
    let own = || ["x-api-key", "api-key"].iter().find_map(|name| headers.get(*name)).map(|value| value.as_bytes().trim_ascii());
    let text = bearer.or_else(own)?;
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn found(headers: &[(&'static str, &'static str)]) -> Option<String> {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
        shown(&headers).map(|text| String::from_utf8_lossy(text).into_owned())
    }

    #[test]
    fn a_key_is_shown_as_a_bearer_or_in_a_header_of_its_own() {
        for headers in [
            &[("authorization", "Bearer the-key")][..],
            &[("authorization", "bearer   the-key ")],
            &[("authorization", "BEARER the-key")],
            &[("x-api-key", "the-key")],
            &[("x-api-key", " the-key ")],
            &[("api-key", "the-key")],
            &[("x-api-key", "the-key"), ("api-key", "another")],
            &[("authorization", "Bearer the-key"), ("x-api-key", "another")],
            &[("authorization", "Basic dTpw"), ("x-api-key", "the-key")],
        ] {
            assert_eq!(found(headers).as_deref(), Some("the-key"), "{headers:?}");
        }
    }

    #[test]
    fn what_shows_no_key_shows_none() {
        for headers in [
            &[][..],
            &[("authorization", "")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
            &[("authorization", "Basic dTpw")],
            &[("authorization", "the-key")],
            &[("authorization", "Bearerthe-key")],
            &[("x-api-key", "")],
            &[("cookie", "key=the-key")],
        ] {
            assert_eq!(found(headers), None, "{headers:?}");
        }
    }
}
