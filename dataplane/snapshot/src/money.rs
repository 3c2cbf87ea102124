//! Money as an integer.

use std::fmt;

use serde::{Deserialize, Serialize};

/// 1e-9 US dollars. A price per million tokens in US dollars is thus `price * 1000` nano-dollars per token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// Reads a decimal text of dollars with at most nine places (`"0.15"`).
    #[must_use]
    pub fn from_decimal(text: &str) -> Option<Self> {
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(places) || places.len() > 9 {
            return None;
        }
        let whole: u64 = whole.parse().ok()?;
        let nanos: u64 = format!("{places:0<9}").parse().ok()?;
        Some(Self(whole.checked_mul(1_000_000_000)?.checked_add(nanos)?))
    }
}

impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}
