//! The keys of a gateway's seal, the same in all its replicas.

use std::fmt;

use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::hmac::{HMAC_SHA256, Key as Mac, sign};
use ring::rand::{SecureRandom, SystemRandom};

/// Keys of one file at most.
const KEYS_MAX: usize = 16;

/// The letters of a mark: none that a file system or a URL reads otherwise, and none that is mistaken for another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Letters of a mark.
const MARK_LETTERS: usize = 10;

/// Why a file of keys is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// No line holds a key.
    #[error("it holds no key; a line with 64 hex digits is one")]
    None,
    /// A line is no key.
    #[error("line {line} is no key; a key has 64 hex digits")]
    Line {
        /// From 1.
        line: usize,
    },
    /// Too many.
    #[error("it holds more than {KEYS_MAX} keys")]
    Many,
    /// The platform has no randomness.
    #[error("the platform gives no randomness")]
    Randomness,
}

/// At least one key: the first seals, each opens.
pub struct Keys(Vec<Key>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} of them)", self.0.len())
    }
}

/// One key with what is derived of it.
pub(super) struct Key {
    pub(super) cipher: LessSafeKey,
    /// Makes the nonce of what is sealed from what is sealed.
    pub(super) nonce: Mac,
    mark: Mac,
}

impl Keys {
    /// Reads lines of 64 hex digits; empty ones and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// See [`BadKeys`].
    pub fn parse(text: &str) -> Result<Self, BadKeys> {
        let mut keys = Vec::new();
        for (place, line) in text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            if keys.len() == KEYS_MAX {
                return Err(BadKeys::Many);
            }
            keys.push(unhex(line).and_then(|secret| Key::new(&secret)).ok_or(BadKeys::Line { line: place + 1 })?);
        }
        if keys.is_empty() { Err(BadKeys::None) } else { Ok(Self(keys)) }
    }

    /// A file with a new key.
    ///
    /// # Errors
    /// The platform has no randomness.
    pub fn fresh() -> Result<String, BadKeys> {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret).map_err(|_| BadKeys::Randomness)?;
        let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(digits + "\n")
    }

    pub(super) fn first(&self) -> &Key {
        &self.0[0]
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }
}

impl Key {
    fn new(secret: &[u8; 32]) -> Option<Self> {
        let root = Mac::new(HMAC_SHA256, secret);
        let derived = |what: &str| sign(&root, what.as_bytes());
        let mac = |what| Mac::new(HMAC_SHA256, derived(what).as_ref());
        let cipher = UnboundKey::new(&AES_256_GCM, derived("portolan seal: cipher").as_ref()).ok()?;
        Some(Self { cipher: LessSafeKey::new(cipher), nonce: mac("portolan seal: nonce"), mark: mac("portolan seal: mark") })
    }

    /// A tenant's mark: ten letters, fifty bits.
    pub(super) fn mark(&self, tenant: &[u8]) -> String {
        let tag = sign(&self.mark, tenant);
        tag.as_ref().iter().take(MARK_LETTERS).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
    }
}

fn unhex(line: &str) -> Option<[u8; 32]> {
    let digits = line.as_bytes();
    let mut secret = [0; 32];
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in secret.iter_mut().zip(line.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(secret)
}
