//! Digests as people read them: 64 lower-case hex digits.

/// Gives the text of a digest, which lives for the call alone: a bundle has one for each key.
pub(crate) fn with<T>(digest: &[u8; 32], look: impl FnOnce(&str) -> T) -> T {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'0'; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    // Digits are ASCII.
    look(std::str::from_utf8(&text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_two_digits() {
        for byte in 0..=255_u8 {
            with(&[byte; 32], |text| assert_eq!(text, format!("{byte:02x}").repeat(32)));
        }
    }
}
