//! The text of a virtual key: `sk-ptl-<id>-<random><checksum>`, so that leaks can be scanned for, logs can name a key
//! without holding it, and a mistyped key is told from an unknown one.
//!
//! `id` has 8 characters of `a-z2-7`, `random` 32 of `0-9A-Za-z` (190 bits), `checksum` 6 of the same: the CRC-32 of all
//! before it in base 62.

/// What every key begins with.
pub const PREFIX: &str = "sk-ptl-";

const ID_LENGTH: usize = 8;
const RANDOM_LENGTH: usize = 32;
const CHECKSUM_LENGTH: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key's text that is well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyText<'a> {
    /// Names the key; no secret.
    pub id: &'a str,
}

/// Why a text is no key of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// It does not begin like one; it may be a key of somebody's own making.
    #[error("the text does not begin with sk-ptl-")]
    NotOurs,
    /// It begins like one, but was mistyped or cut.
    #[error("the checksum does not fit the text: it was mistyped or cut")]
    BadChecksum,
}

impl<'a> KeyText<'a> {
    /// Takes a text apart.
    ///
    /// # Errors
    /// See [`KeyTextError`].
    pub fn parse(text: &'a str) -> Result<Self, KeyTextError> {
        let rest = text.strip_prefix(PREFIX).ok_or(KeyTextError::NotOurs)?;
        let (id, tail) = rest.split_once('-').ok_or(KeyTextError::BadChecksum)?;
        let shaped = id.len() == ID_LENGTH && tail.len() == RANDOM_LENGTH + CHECKSUM_LENGTH && tail.is_ascii();
        let body = text.len().checked_sub(CHECKSUM_LENGTH).and_then(|at| text.split_at_checked(at));
        match body {
            Some((body, told)) if shaped && checksum(body.as_bytes()) == told.as_bytes() => Ok(Self { id }),
            _ => Err(KeyTextError::BadChecksum),
        }
    }
}

/// Makes a key's text from random bytes of a source fit for secrets: 8 for the id, 32 for the rest. Bytes that would
/// favour some characters are folded; 190 bits of what is left are more than enough.
#[must_use]
pub fn mint(random: &[u8; 40]) -> String {
    let (id, tail) = random.split_at(ID_LENGTH);
    let mut text = String::from(PREFIX);
    text.extend(id.iter().map(|byte| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(byte & 31)])));
    text.push('-');
    text.extend(tail.iter().map(|byte| char::from(BASE62[usize::from(byte % 62)])));
    let sum = checksum(text.as_bytes());
    text.extend(sum.iter().map(|byte| char::from(*byte)));
    text
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let mut rest = crc32(bytes);
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// CRC-32 (IEEE 802.3), bit by bit: a key is 53 bytes and this is off the path of good calls.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_minted_key_is_well_formed_and_any_mistyped_character_is_seen() {
        let text = mint(&std::array::from_fn(|place| (place as u8).wrapping_mul(7)));
        assert_eq!(KeyText::parse(&text).map(|key| key.id.len()), Ok(8));
        for place in PREFIX.len()..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'x' { b'y' } else { b'x' };
            let mistyped = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(KeyText::parse(&mistyped), Err(KeyTextError::BadChecksum), "{mistyped}");
            assert!(KeyText::parse(&text[..place]).is_err(), "cut at {place}");
        }
        assert_eq!(KeyText::parse("my own key"), Err(KeyTextError::NotOurs));
        assert_eq!(KeyText::parse("sk-ptl-é-ééééé"), Err(KeyTextError::BadChecksum));
    }
}
