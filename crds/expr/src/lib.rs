//! Expressions of policies: conditions in CEL over declared variables and functions.
//!
//! Flow: [`Program::compile`] scans the text for what the parser of `cel` takes otherwise than it reads, lets `cel` parse
//! it, checks every name, operator and function of the tree against what is declared, and bounds what a run may cost.
//! What comes out is typed, so that [`Program::holds`] is total: it answers or says with a closed word why it cannot.
//!
//! Invariant: pure; no text makes a compilation or a run panic or take unbounded time, and what would not do what it says
//! is refused with a place and a way out.

mod check;
mod cost;
mod fault;
mod place;
mod run;
mod scan;
mod typed;
mod vocabulary;

pub use fault::{Fault, Why};
pub use place::Place;
pub use run::{Call, Failure, Headers, Key};
pub use vocabulary::{FUNCTIONS, VARIABLES, WITHHELD};

use typed::Truth;

/// Characters of an expression at most.
pub const SOURCE_CHARACTERS_MAX: usize = 1024;

/// What a run may cost at most, in steps as `docs/configuration.md` counts them: a few milliseconds at worst.
pub const COST_MAX: u64 = 10_000;

/// The longest text of a call that is looked at; a run that meets a longer one fails.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Headers of a call at most that `exists` and `all` go through; a run that meets more fails.
pub const HEADERS_MAX: usize = 128;

/// Brackets inside one another at most, and `? :` at most: each takes the parser a long way down the stack.
const NESTING_MAX: usize = 8;

/// Steps from the top of a tree to its deepest leaf at most: a chain such as `1 + 1 + 1` is as deep as it is long.
const DEPTH_MAX: usize = 64;

/// A condition, ready to be asked. Holds nothing of its source.
#[derive(Debug)]
pub struct Program(Truth);

impl Program {
    /// Takes a condition in.
    ///
    /// # Errors
    /// It cannot be read, names what is not declared, is not a condition or may cost too much; see [`Why`].
    pub fn compile(source: &str) -> Result<Self, Fault> {
        let characters = source.chars().count();
        if characters > SOURCE_CHARACTERS_MAX {
            return Err(Fault { at: Place::START, why: Why::TooLong { characters } });
        }
        scan::scan(source)?;
        let tree = parser().parse(source).map_err(|errors| fault::syntax(&errors))?;
        let truth = check::condition(&tree).map_err(|stray| Fault { at: place::of(source, stray.node), why: stray.why })?;
        let cost = cost::of(&truth);
        if cost > COST_MAX {
            return Err(Fault { at: Place::START, why: Why::TooCostly { cost } });
        }
        Ok(Self(truth))
    }

    /// Whether it holds for a call.
    ///
    /// # Errors
    /// The call lacks what the expression asks for, or a number is beyond its bounds. As in CEL, `&&`, `||`, `exists` and
    /// `all` have an answer when one side decides alone.
    pub fn holds<H: Headers>(&self, call: &Call<'_, H>) -> Result<bool, Failure> {
        run::holds(&self.0, call)
    }
}

/// The scan bounds what the parser descends into; its own bound, which it cannot tell without a fault, is never reached.
fn parser() -> cel::parser::Parser {
    cel::parser::Parser::new().max_recursion_depth(64)
}
