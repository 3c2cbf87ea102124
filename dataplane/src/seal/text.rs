//! The text of a sealed id: `file-` and base64url of version, nonce, what is sealed, tag.
//!
//! The nonce is made of what is sealed, so that one object has one text; two different ones share none but by a chance of
//! two to the minus ninety-six.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, Nonce};
use ring::hmac::sign;

use super::keys::Key;
use super::{Kind, Place};

/// Of what follows it.
const VERSION: u8 = 1;

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const PLACE_BYTES: usize = 16;

/// Longest id of a provider, in bytes.
const ID_BYTES_MAX: usize = 256;

/// Longest beginning of an id that is shown.
const PREFIX_BYTES_MAX: usize = 16;

/// Longest text: the beginning, and base64 of the longest content.
const TEXT_BYTES_MAX: usize = PREFIX_BYTES_MAX + (1 + NONCE_BYTES + PLACE_BYTES + ID_BYTES_MAX + TAG_BYTES).div_ceil(3) * 4;

/// What is sealed, and whose it is.
type Owned<'a> = (Kind, &'a [u8]);

pub(super) fn seal(key: &Key, of: Owned<'_>, place: Place, id: &str) -> Option<String> {
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let aad = authenticated(of);
    let mut sealed = [&place.provider[..], &place.credential[..], id.as_bytes()].concat();
    let nonce = nonce(key, &aad, &sealed);
    key.cipher.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&aad), &mut sealed).ok()?;
    let content = [&[VERSION][..], &nonce, &sealed].concat();
    Some(format!("{}{}", prefix(of.0, id), URL_SAFE_NO_PAD.encode(content)))
}

/// A text that could be sealed, by its shape.
pub(super) struct Sealed<'a> {
    prefix: &'a str,
    nonce: [u8; NONCE_BYTES],
    sealed: Vec<u8>,
}

impl<'a> Sealed<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX || !text.is_ascii() {
            return None;
        }
        let (prefix, encoded) = text.split_at(text.find(['-', '_'])? + 1);
        let content = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let (version, rest) = content.split_first()?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES)?;
        if *version != VERSION || sealed.len() <= PLACE_BYTES + TAG_BYTES {
            return None;
        }
        Some(Self { prefix, nonce: nonce.try_into().ok()?, sealed: sealed.to_vec() })
    }

    pub(super) fn open(&self, key: &Key, of: Owned<'_>) -> Option<(Place, String)> {
        let aad = authenticated(of);
        let mut sealed = self.sealed.clone();
        let opened = key.cipher.open_in_place(Nonce::assume_unique_for_key(self.nonce), Aad::from(&aad), &mut sealed).ok()?;
        // What was sealed by us has the nonce that we give it, and the beginning that its id has.
        let own_nonce = nonce(key, &aad, opened) == self.nonce;
        let (place, id) = opened.split_at_checked(PLACE_BYTES)?;
        let (provider, credential) = place.split_at_checked(PLACE_BYTES / 2)?;
        let place = Place { provider: provider.try_into().ok()?, credential: credential.try_into().ok()? };
        let id = std::str::from_utf8(id).ok()?;
        (own_nonce && prefix(of.0, id) == self.prefix).then(|| (place, id.to_owned()))
    }
}

fn authenticated((kind, tenant): Owned<'_>) -> Vec<u8> {
    [kind.word().as_bytes(), b"\0", tenant].concat()
}

fn nonce(key: &Key, aad: &[u8], content: &[u8]) -> [u8; NONCE_BYTES] {
    let length = (aad.len() as u64).to_be_bytes();
    let tag = sign(&key.nonce, &[&length[..], aad, content].concat());
    let mut nonce = [0; NONCE_BYTES];
    nonce.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    nonce
}

/// The beginning of an id that tells people what it is: letters up to the first `-` or `_`.
fn prefix(kind: Kind, id: &str) -> &str {
    let end = id.find(['-', '_']).map(|at| at + 1).filter(|end| (2..=PREFIX_BYTES_MAX).contains(end));
    let own = end.map(|end| &id[..end]).filter(|own| own[..own.len() - 1].bytes().all(|byte| byte.is_ascii_lowercase()));
    own.unwrap_or(kind.prefix())
}
