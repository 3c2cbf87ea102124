//! Who is calling, and may they? Keys are found by the SHA-256 of their text: one look-up, however many keys there are.
//!
//! Invariant: nobody holds a key's text longer than it takes to hash it.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use snapshot::keytext::{KeyText, KeyTextError};
use snapshot::{KeyHash, Operation};

use crate::exchange::{Grant, Refusal};
use crate::live::Live;

/// Finds the key that a request shows (`Authorization: Bearer` or `x-api-key`) and checks that it is in force.
///
/// # Errors
/// No key, a mistyped, unknown, suspended or expired one.
pub fn identify(live: &Live, headers: &HeaderMap, unix_ms: u64) -> Result<Grant, Refusal> {
    let text = shown(headers).ok_or(Refusal::KeyMissing)?;
    let hash = KeyHash(Sha256::digest(text).into());
    let Some(key) = live.key(&hash) else {
        let mistyped = std::str::from_utf8(text).is_ok_and(|text| matches!(KeyText::parse(text), Err(KeyTextError::BadChecksum)));
        return Err(if mistyped { Refusal::KeyMistyped } else { Refusal::KeyUnknown });
    };
    if key.key.suspended {
        return Err(Refusal::KeySuspended);
    }
    let seconds = i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX);
    if key.key.expires_at.is_some_and(|expiry| seconds >= expiry) {
        return Err(Refusal::KeyExpired);
    }
    Ok(Grant { key: key.clone() })
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
    let text = bearer.or_else(|| headers.get("x-api-key").map(|value| value.as_bytes().trim_ascii()))?;
    (!text.is_empty()).then_some(text)
}
