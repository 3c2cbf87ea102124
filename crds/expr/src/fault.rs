//! Why an expression is not taken.

use std::fmt;

use cel::ParseErrors;

use crate::place::Place;
use crate::{COST_MAX, SOURCE_CHARACTERS_MAX};

/// Characters of a name that a message repeats at most.
const SHOWN_CHARACTERS_MAX: usize = 64;

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct Fault {
    /// Where.
    pub at: Place,
    /// What.
    pub why: Why,
}

/// What is wrong. `Display` names the offender and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Longer than [`SOURCE_CHARACTERS_MAX`].
    TooLong {
        /// How long.
        characters: usize,
    },
    /// Not CEL.
    Syntax(String),
    /// `!!` or `--`.
    DoubledSign {
        /// Which.
        sign: char,
    },
    /// A backslash before a quote that needs none.
    EscapedQuote,
    /// A text in three quotes.
    TripleQuote,
    /// No such variable.
    UnknownName {
        /// As written.
        name: String,
        /// What may have been meant.
        near: Option<&'static str>,
    },
    /// No such field.
    UnknownField {
        /// Of what.
        of: &'static str,
        /// As written.
        field: String,
        /// What may have been meant.
        near: Option<&'static str>,
    },
    /// No such function or method.
    UnknownFunction {
        /// As written.
        name: String,
        /// What may have been meant.
        near: Option<&'static str>,
    },
    /// CEL, but none that is taken here.
    NotHere {
        /// What it is.
        what: &'static str,
        /// What to write in its place.
        instead: &'static str,
    },
    /// An operator or function does not take this.
    WrongType {
        /// Which.
        of: String,
        /// What it takes.
        expected: &'static str,
        /// What it got.
        found: &'static str,
    },
    /// A header that shows a credential.
    Withheld {
        /// Which.
        header: String,
    },
    /// No header can have this name.
    HeaderName {
        /// As written.
        header: String,
    },
    /// A name of a macro's variable that means something else already.
    TakenName {
        /// As written.
        name: String,
    },
    /// Not a regular expression, or one that is too large.
    Pattern {
        /// Why.
        why: String,
    },
    /// Too many things inside one another.
    TooDeep,
    /// It may cost more than [`COST_MAX`].
    TooCostly {
        /// What it may cost.
        cost: u64,
    },
    /// The whole is no condition.
    NotACondition {
        /// What it is.
        found: &'static str,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { characters } => write!(f, "{characters} characters, of at most {SOURCE_CHARACTERS_MAX}"),
            Self::Syntax(what) => write!(f, "cannot be read: {what}"),
            Self::DoubledSign { sign } => write!(f, "`{sign}{sign}` is not taken; write `{sign}` once, or put what follows in parentheses"),
            Self::EscapedQuote => write!(f, "this quote needs no backslash; put the text in quotes of the other kind"),
            Self::TripleQuote => write!(f, "texts in three quotes are not taken; write one quote"),
            Self::UnknownName { name, near } => write!(f, "unknown name `{}`{}", shown(name), meant(*near, "request and key are known")),
            Self::UnknownField { of, field, near } => {
                write!(f, "`{of}` has no field `{}`{}", shown(field), meant(*near, "see docs/configuration.md"))
            }
            Self::UnknownFunction { name, near } => {
                write!(f, "unknown function `{}`{}", shown(name), meant(*near, "see docs/configuration.md"))
            }
            Self::NotHere { what, instead } => write!(f, "{what} cannot be used here; {instead}"),
            Self::WrongType { of, expected, found } => write!(f, "`{}` takes {expected}, not {found}", shown(of)),
            Self::Withheld { header } => write!(f, "header `{}` may show a credential and is kept from expressions", shown(header)),
            Self::HeaderName { header } => {
                write!(f, "no header is called `{}`: names are in lower case, of letters, digits, `-`, `_` and `.`", shown(header))
            }
            Self::TakenName { name } => write!(f, "`{}` means something else already; call it otherwise", shown(name)),
            Self::Pattern { why } => write!(f, "not a pattern: {why}"),
            Self::TooDeep => write!(f, "too many things inside one another; take it apart"),
            Self::TooCostly { cost } => {
                write!(f, "may cost {cost} steps, of at most {COST_MAX}; go through fewer headers, or look at single ones")
            }
            Self::NotACondition { found } => write!(f, "a condition must be true or false, and this is {found}; compare it with something"),
        }
    }
}

fn meant(near: Option<&'static str>, else_known: &'static str) -> String {
    near.map_or_else(|| format!("; {else_known}"), |near| format!("; did you mean `{near}`?"))
}

fn shown(text: &str) -> String {
    let visible = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    let mut shown: String = text.chars().take(SHOWN_CHARACTERS_MAX).map(visible).collect();
    if text.chars().nth(SHOWN_CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// What the parser says, shortened to its first complaint.
pub(crate) fn syntax(errors: &ParseErrors) -> Fault {
    let place = |(line, column): (isize, isize)| Place {
        line: usize::try_from(line).unwrap_or(1).max(1),
        column: usize::try_from(column).unwrap_or(1).max(1),
    };
    // The bound of depth is told in the parser's own words, or in none, amid complaints that follow from it.
    let too_deep = |message: &str| message == "UNKNOWN" || message.contains("OtherError(");
    if let Some(error) = errors.errors.iter().find(|error| too_deep(&error.msg)) {
        return Fault { at: place(error.pos), why: Why::TooDeep };
    }
    match errors.errors.first() {
        Some(error) if error.msg.starts_with("Incomplete ") || error.msg.starts_with("No `") => {
            Fault { at: place(error.pos), why: Why::Syntax("something is missing".to_owned()) }
        }
        Some(error) => {
            let said = error.msg.strip_prefix("Syntax error: ").unwrap_or(&error.msg);
            // What could have stood there is a list of all there is.
            let said = said.split(" expecting {").next().unwrap_or(said).replace("'<EOF>'", "the end").replace("<EOF>", "the end");
            Fault { at: place(error.pos), why: Why::Syntax(shown(&said)) }
        }
        None => Fault { at: Place::START, why: Why::Syntax(String::new()) },
    }
}
