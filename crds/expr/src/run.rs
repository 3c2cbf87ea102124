//! Asking a condition. Total: types were checked, so what can fail is what the call lacks or a number beyond its bounds.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use crate::typed::{Arithmetic, Comparison, Field, Number, Quantifier, Range, Text, Truth, Within};
use crate::vocabulary::is_withheld;
use crate::{HEADERS_MAX, TEXT_BYTES_MAX};

/// The headers of a call.
pub trait Headers {
    /// The first value of a header; the name is in lower case.
    fn first(&self, name: &str) -> Option<&[u8]>;

    /// Names in lower case, each once.
    fn names(&self) -> impl Iterator<Item = &str>;
}

/// What an expression may ask of a call.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a, H> {
    /// The model as the client wrote it.
    pub model: &'a str,
    /// `chat` and the like.
    pub operation: &'a str,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// Bytes of the request's body.
    pub bytes: u64,
    /// The client's headers; those that may show credentials are passed over here.
    pub headers: &'a H,
    /// Whose call it is.
    pub key: Key<'a>,
}

/// What an expression may ask of a key.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// Namespace of the VirtualKey.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its team.
    pub team: &'a str,
    /// A person.
    pub user: Option<&'a str>,
    /// A program.
    pub application: Option<&'a str>,
    /// `prod` and the like.
    pub environment: Option<&'a str>,
    /// Who pays.
    pub cost_center: Option<&'a str>,
}

/// Why a condition has no answer for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The call lacks a header that is looked into.
    NoHeader,
    /// The key lacks a field that is looked into.
    NoField,
    /// A header's value is no UTF-8.
    NotText,
    /// A text is longer than [`TEXT_BYTES_MAX`].
    TooLong,
    /// There are more headers than [`HEADERS_MAX`].
    TooManyHeaders,
    /// A number is beyond 64 bits, or divided by zero.
    Number,
}

impl Failure {
    /// Every failure.
    pub const ALL: [Self; 6] = [Self::NoHeader, Self::NoField, Self::NotText, Self::TooLong, Self::TooManyHeaders, Self::Number];

    /// A stable word for metrics and receipts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoHeader => "no_header",
            Self::NoField => "no_field",
            Self::NotText => "not_text",
            Self::TooLong => "too_long",
            Self::TooManyHeaders => "too_many_headers",
            Self::Number => "number",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

pub(crate) fn holds<H: Headers>(truth: &Truth, call: &Call<'_, H>) -> Result<bool, Failure> {
    Run { call, scope: None }.truth(truth)
}

/// Variables of quantifiers, innermost first.
#[derive(Clone, Copy)]
struct Scope<'s> {
    bound: Bound<'s>,
    outer: Option<&'s Self>,
}

#[derive(Clone, Copy)]
enum Bound<'s> {
    Text(&'s str),
    Number(i64),
}

struct Run<'s, H> {
    call: &'s Call<'s, H>,
    scope: Option<&'s Scope<'s>>,
}

impl<'s, H: Headers> Run<'s, H> {
    fn truth(&self, truth: &Truth) -> Result<bool, Failure> {
        Ok(match truth {
            Truth::Is(known) => *known,
            Truth::Stream => self.call.stream,
            Truth::Not(inner) => !self.truth(inner)?,
            Truth::And(a, b) => return either(self.truth(a), || self.truth(b), false),
            Truth::Or(a, b) => return either(self.truth(a), || self.truth(b), true),
            Truth::If(branches) => {
                let [condition, then, or_else] = &**branches;
                return self.truth(if self.truth(condition)? { then } else { or_else });
            }
            Truth::Same(a, b) => self.truth(a)? == self.truth(b)?,
            Truth::OfNumbers(comparison, a, b) => comparison.holds(self.number(a)?.cmp(&self.number(b)?)),
            Truth::OfTexts(comparison, a, b) => comparison.holds(self.text(a)?.cmp(&self.text(b)?)),
            Truth::Within(within, whole, part) => {
                let (whole, part) = (self.text(whole)?, self.text(part)?);
                match within {
                    Within::AtStart => whole.starts_with(&*part),
                    Within::AtEnd => whole.ends_with(&*part),
                    Within::Anywhere => whole.contains(&*part),
                }
            }
            Truth::Matches(text, pattern) => pattern.is_match(&self.text(text)?),
            Truth::AmongTexts(one, list) => {
                let one = self.text(one)?;
                return among(list.iter().map(|other| Ok(self.text(other)? == one)));
            }
            Truth::AmongNumbers(one, list) => {
                let one = self.number(one)?;
                return among(list.iter().map(|other| Ok(self.number(other)? == one)));
            }
            Truth::HasHeader(name) => self.header(&self.text(name)?).is_some(),
            Truth::HasField(field) => self.field(*field).is_some(),
            Truth::Each(quantifier, range, body) => return self.each(*quantifier, range, body),
        })
    }

    fn each(&self, quantifier: Quantifier, range: &Range, body: &Truth) -> Result<bool, Failure> {
        let with = |bound: Bound<'_>| Run { call: self.call, scope: Some(&Scope { bound, outer: self.scope }) }.truth(body);
        match range {
            Range::Texts(list) => decide(quantifier, list.iter().map(|one| with(Bound::Text(&self.text(one)?)))),
            Range::Numbers(list) => decide(quantifier, list.iter().map(|one| with(Bound::Number(self.number(one)?)))),
            Range::Headers => {
                let names = || self.call.headers.names().filter(|name| !is_withheld(name));
                if names().nth(HEADERS_MAX).is_some() {
                    return Err(Failure::TooManyHeaders);
                }
                decide(quantifier, names().map(|name| with(Bound::Text(bounded(name)?))))
            }
        }
    }

    fn number(&self, number: &Number) -> Result<i64, Failure> {
        match number {
            Number::Is(known) => Ok(*known),
            Number::Bytes => i64::try_from(self.call.bytes).map_err(|_| Failure::Number),
            Number::Bound(level) => match self.bound(*level) {
                Some(Bound::Number(number)) => Ok(number),
                // The checker gives numbers and texts to their kind alone.
                Some(Bound::Text(_)) | None => Err(Failure::Number),
            },
            Number::Size(text) => i64::try_from(self.text(text)?.chars().count()).map_err(|_| Failure::Number),
            Number::Negative(inner) => self.number(inner)?.checked_neg().ok_or(Failure::Number),
            Number::Of(arithmetic, a, b) => arithmetic.of(self.number(a)?, self.number(b)?).ok_or(Failure::Number),
            Number::If(branches) => {
                let (condition, then, or_else) = &**branches;
                self.number(if self.truth(condition)? { then } else { or_else })
            }
        }
    }

    fn text<'t>(&'t self, text: &'t Text) -> Result<Cow<'t, str>, Failure> {
        match text {
            Text::Is(known) => Ok(Cow::Borrowed(known)),
            Text::Of(field) => bounded(self.field(*field).ok_or(Failure::NoField)?).map(Cow::Borrowed),
            Text::Header(name) => {
                let value = self.header(&self.text(name)?).ok_or(Failure::NoHeader)?;
                bounded(std::str::from_utf8(value).map_err(|_| Failure::NotText)?).map(Cow::Borrowed)
            }
            Text::Bound(level) => match self.bound(*level) {
                Some(Bound::Text(text)) => Ok(Cow::Borrowed(text)),
                Some(Bound::Number(_)) | None => Err(Failure::NotText),
            },
            Text::Lower(inner) => {
                let mut inner = self.text(inner)?;
                if inner.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    inner.to_mut().make_ascii_lowercase();
                }
                Ok(inner)
            }
            Text::Joined(a, b) => Ok(self.text(a)? + self.text(b)?),
            Text::If(branches) => {
                let (condition, then, or_else) = &**branches;
                self.text(if self.truth(condition)? { then } else { or_else })
            }
        }
    }

    fn bound(&self, level: usize) -> Option<Bound<'s>> {
        let mut scope = self.scope;
        for _ in 0..level {
            scope = scope?.outer;
        }
        scope.map(|scope| scope.bound)
    }

    fn header(&self, name: &str) -> Option<&'s [u8]> {
        // A map that finds names whatever their case must not be a way around what is withheld.
        if is_withheld(name) || name.bytes().any(|byte| byte.is_ascii_uppercase()) { None } else { self.call.headers.first(name) }
    }

    fn field(&self, field: Field) -> Option<&'s str> {
        let Call { model, operation, key, .. } = self.call;
        match field {
            Field::Model => Some(model),
            Field::Operation => Some(operation),
            Field::Namespace => Some(key.namespace),
            Field::Name => Some(key.name),
            Field::Team => Some(key.team),
            Field::User => key.user,
            Field::Application => key.application,
            Field::Environment => key.environment,
            Field::CostCenter => key.cost_center,
        }
    }
}

fn bounded(text: &str) -> Result<&str, Failure> {
    if text.len() > TEXT_BYTES_MAX { Err(Failure::TooLong) } else { Ok(text) }
}

/// `&&` with `decisive` false, `||` with true: one side that decides is enough, whatever befell the other.
fn either(a: Result<bool, Failure>, b: impl FnOnce() -> Result<bool, Failure>, decisive: bool) -> Result<bool, Failure> {
    match a {
        Ok(known) if known == decisive => Ok(decisive),
        Ok(_) => b(),
        Err(failure) => match b() {
            Ok(known) if known == decisive => Ok(decisive),
            Ok(_) | Err(_) => Err(failure),
        },
    }
}

/// A member that fits is enough; a member that cannot be made is told else.
fn among(members: impl Iterator<Item = Result<bool, Failure>>) -> Result<bool, Failure> {
    decide(Quantifier::Any, members)
}

fn decide(quantifier: Quantifier, mut each: impl Iterator<Item = Result<bool, Failure>>) -> Result<bool, Failure> {
    match quantifier {
        Quantifier::Any => each.try_fold(Ok(false), |so_far, one| decided(so_far, one, true)).unwrap_or_else(Ok),
        Quantifier::All => each.try_fold(Ok(true), |so_far, one| decided(so_far, one, false)).unwrap_or_else(Ok),
        Quantifier::One => Ok(each.try_fold(0_usize, |so_far, one| Ok(so_far + usize::from(one?)))? == 1),
    }
}

/// One more of many: `Err` is the decision, the inner result what is known so far.
fn decided(so_far: Result<bool, Failure>, one: Result<bool, Failure>, decisive: bool) -> Result<Result<bool, Failure>, bool> {
    match one {
        Ok(known) if known == decisive => Err(decisive),
        Ok(_) => Ok(so_far),
        Err(failure) => Ok(so_far.and(Err(failure))),
    }
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Unequal => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Arithmetic {
    fn of(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Self::Add => a.checked_add(b),
            Self::Subtract => a.checked_sub(b),
            Self::Multiply => a.checked_mul(b),
            Self::Divide => a.checked_div(b),
            Self::Remainder => a.checked_rem(b),
        }
    }
}
