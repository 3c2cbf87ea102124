//! What of a provider may be reached by its path, without a word of the gateway's between.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::glob::fits;

/// Paths and methods that are let through to a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Below the provider's base path.
    pub paths: Vec<PathPattern>,
    /// For each of them.
    pub methods: BTreeSet<Verb>,
}

impl Proxy {
    /// The pattern that lets such a request through, if one does.
    #[must_use]
    pub fn admits(&self, verb: Verb, path: &str) -> Option<&PathPattern> {
        self.paths.iter().find(|pattern| self.methods.contains(&verb) && pattern.matches(path))
    }
}

/// Methods of HTTP that can be let through. A HEAD goes where a GET may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verb {
    /// Look.
    Get,
    /// Do.
    Post,
    /// Put in place.
    Put,
    /// Change.
    Patch,
    /// Remove.
    Delete,
}

/// A pattern of paths: `/files/*/content`, `/threads/**`. A `*` stands for any run of characters within one segment, `**`
/// at the end for one segment or more.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern(Box<str>);

/// Why a text is no pattern of paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPattern {
    /// It does not begin with `/`.
    #[error("a pattern of paths begins with /")]
    NoSlash,
    /// A segment is empty, `.` or `..`.
    #[error("no segment of a path is empty, `.` or `..`")]
    Segment,
    /// `**` not at the end, or not alone in its segment.
    #[error("** stands alone in the last segment")]
    Stars,
    /// A character that stands in no path, or that servers read differently.
    #[error("a path has letters, digits and -._~:@!$&'()+,= only, and * in a pattern")]
    Character,
}

impl PathPattern {
    /// Takes a pattern as written.
    ///
    /// # Errors
    /// See [`NoPattern`].
    pub fn new(text: &str) -> Result<Self, NoPattern> {
        let Some(segments) = text.strip_prefix('/') else { return Err(NoPattern::NoSlash) };
        let mut segments = segments.split('/').peekable();
        while let Some(segment) = segments.next() {
            if matches!(segment, "" | "." | "..") {
                return Err(NoPattern::Segment);
            }
            if segment.contains("**") && (segment != "**" || segments.peek().is_some()) {
                return Err(NoPattern::Stars);
            }
            if !segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:@!$&'()+,=*".contains(&byte)) {
                return Err(NoPattern::Character);
            }
        }
        Ok(Self(text.into()))
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole path fits, to the letter: what is escaped in it fits a `*` alone.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut wanted = self.0.split('/');
        let mut found = path.split('/');
        loop {
            match (wanted.next(), found.next()) {
                (Some("**"), Some(_)) => return true,
                (Some(pattern), Some(segment)) if fits(pattern, segment) => {}
                (None, None) => return true,
                (Some(_) | None, Some(_) | None) => return false,
            }
        }
    }
}

impl TryFrom<String> for PathPattern {
    type Error = NoPattern;

    fn try_from(text: String) -> Result<Self, NoPattern> {
        Self::new(&text)
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> Self {
        pattern.0.into()
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathPattern({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, path: &str) -> bool {
        PathPattern::new(pattern).expect("a pattern").matches(path)
    }

    #[test]
    fn a_star_stays_within_its_segment_and_two_at_the_end_stand_for_the_rest() {
        for (pattern, path) in [
            ("/files", "/files"),
            ("/files/*", "/files/f-1"),
            ("/files/*", "/files/a%20b"),
            ("/files/*/content", "/files/f-1/content"),
            ("/models/*:countTokens", "/models/gemini-2.5-pro:countTokens"),
            ("/threads/**", "/threads/t/runs/r"),
            ("/threads/**", "/threads/t"),
            ("/**", "/anything/at/all"),
        ] {
            assert!(fits(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/files", "/files/"),
            ("/files", "/file"),
            ("/files", "/filesx"),
            ("/files", "/%66iles"),
            ("/files", "/Files"),
            ("/files/*", "/files"),
            ("/files/*", "/files/f-1/content"),
            ("/files/*/content", "/files/f-1/x/content"),
            ("/models/*:countTokens", "/models/m:generateContent"),
            ("/models/*:countTokens", "/models/m/x:countTokens"),
            ("/threads/**", "/threads"),
            ("/threads/**", "/threadsx/t"),
        ] {
            assert!(!fits(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_reason() {
        for (text, why) in [
            ("", NoPattern::NoSlash),
            ("files", NoPattern::NoSlash),
            ("/", NoPattern::Segment),
            ("/files/", NoPattern::Segment),
            ("//files", NoPattern::Segment),
            ("/files/../users", NoPattern::Segment),
            ("/./files", NoPattern::Segment),
            ("/**/content", NoPattern::Stars),
            ("/files**", NoPattern::Stars),
            ("/a/x**", NoPattern::Stars),
            ("/***", NoPattern::Stars),
            ("/files?x", NoPattern::Character),
            ("/a%2fb", NoPattern::Character),
            ("/a;b", NoPattern::Character),
            ("/a\\b", NoPattern::Character),
            ("/a b", NoPattern::Character),
            ("/ü", NoPattern::Character),
        ] {
            assert_eq!(PathPattern::new(text), Err(why), "{text}");
        }
        assert!(serde_json::from_str::<PathPattern>("\"/a/../b\"").is_err(), "nor is it read");
    }
}
