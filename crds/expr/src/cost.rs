//! What a run may cost at most: a step for each piece, one more for each sixteen bytes of text that it looks at (each byte, when a pattern does), times the
//! entries that a quantifier goes through.

use crate::typed::{Number, Quantifier, Range, Text, Truth, Within};
use crate::{HEADERS_MAX, TEXT_BYTES_MAX};

/// Bytes that are looked at in one step.
const BYTES_A_STEP: u64 = 16;

pub(crate) fn of(truth: &Truth) -> u64 {
    let all = |list: &mut dyn Iterator<Item = u64>| list.fold(1_u64, u64::saturating_add);
    match truth {
        Truth::Is(_) | Truth::Stream | Truth::HasField(_) => 1,
        Truth::Not(inner) => all(&mut [of(inner)].into_iter()),
        Truth::And(a, b) | Truth::Or(a, b) | Truth::Same(a, b) => all(&mut [of(a), of(b)].into_iter()),
        Truth::If(branches) => all(&mut branches.iter().map(of)),
        Truth::OfNumbers(_, a, b) => all(&mut [number(a), number(b)].into_iter()),
        Truth::OfTexts(_, a, b) | Truth::Within(Within::AtStart | Within::AtEnd, a, b) => together(a, b),
        Truth::Within(Within::Anywhere, a, b) => all(&mut [text(a), text(b), steps(longest(a)), steps(longest(b))].into_iter()),
        Truth::Matches(looked_at, _) => all(&mut [text(looked_at), longest(looked_at)].into_iter()),
        Truth::AmongTexts(one, list) => text(one).saturating_add(all(&mut list.iter().map(|other| together(one, other)))),
        Truth::AmongNumbers(one, list) => number(one).saturating_add(all(&mut list.iter().map(number))),
        Truth::HasHeader(name) => all(&mut [text(name), steps(longest(name))].into_iter()),
        Truth::Each(Quantifier::Any | Quantifier::All | Quantifier::One, range, body) => {
            let (entries, made) = match range {
                Range::Texts(list) => (list.len(), all(&mut list.iter().map(text))),
                Range::Numbers(list) => (list.len(), all(&mut list.iter().map(number))),
                Range::Headers => (HEADERS_MAX, 1),
            };
            let entries = u64::try_from(entries).unwrap_or(u64::MAX);
            made.saturating_add(entries.saturating_mul(of(body).saturating_add(1)))
        }
    }
}

fn number(one: &Number) -> u64 {
    match one {
        Number::Is(_) | Number::Bytes | Number::Bound(_) => 1,
        Number::Size(of) => text(of).saturating_add(steps(longest(of))),
        Number::Negative(inner) => number(inner).saturating_add(1),
        Number::Of(_, a, b) => number(a).saturating_add(number(b)).saturating_add(1),
        Number::If(branches) => of(&branches.0).saturating_add(number(&branches.1)).saturating_add(number(&branches.2)),
    }
}

fn text(one: &Text) -> u64 {
    let copied = |inner: u64| inner.saturating_add(steps(longest(one)));
    match one {
        Text::Is(_) | Text::Of(_) | Text::Bound(_) => 1,
        Text::Header(name) => text(name).saturating_add(steps(longest(name))),
        Text::Lower(inner) => copied(text(inner)),
        Text::Joined(a, b) => copied(text(a).saturating_add(text(b))),
        Text::If(branches) => of(&branches.0).saturating_add(text(&branches.1)).saturating_add(text(&branches.2)),
    }
}

/// Two texts held against each other: no further than the shorter one.
fn together(a: &Text, b: &Text) -> u64 {
    text(a).saturating_add(text(b)).saturating_add(steps(longest(a).min(longest(b))))
}

/// Bytes of a text at most.
fn longest(one: &Text) -> u64 {
    let known = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    match one {
        Text::Is(text) => known(text.len()),
        Text::Of(_) | Text::Header(_) | Text::Bound(_) => known(TEXT_BYTES_MAX),
        Text::Lower(inner) => longest(inner),
        Text::Joined(a, b) => longest(a).saturating_add(longest(b)),
        Text::If(branches) => longest(&branches.1).max(longest(&branches.2)),
    }
}

fn steps(bytes: u64) -> u64 {
    bytes / BYTES_A_STEP + 1
}
