//! What the parser takes otherwise than it reads, refused before it sees it: it drops signs of a chain such as `!!a` (and
//! reads what stands behind them twice, so that nested chains would take for ever), it leaves backslashes in texts that
//! CEL takes out, and it goes a step deeper into the stack for each link of a chain such as `1 + 1 + 1`.

use crate::NESTING_MAX;
use crate::fault::{Fault, Why};
use crate::place::Place;

/// Names, numbers, texts and signs at most between two brackets, commas, `&&`, `||`, `?` and `:`.
const CHAIN_MAX: usize = 128;

/// # Errors
/// The first such place.
pub(crate) fn scan(source: &str) -> Result<(), Fault> {
    let mut characters = source.char_indices().peekable();
    // The character before, and the last one that is neither blank nor part of a comment.
    let (mut before, mut sign) = (' ', ' ');
    let mut chain = Chain { outer: Vec::new(), links: 0, branches: 0 };
    while let Some((at, character)) = characters.next() {
        if !chain.takes(before, character) {
            return Err(fault(source, at, Why::TooDeep));
        }
        match character {
            '/' if characters.next_if(|(_, next)| *next == '/').is_some() => {
                while characters.next_if(|(_, next)| *next != '\n').is_some() {}
            }
            '\'' | '"' => {
                text(source, at, character, matches!(before, 'r' | 'R'), &mut characters)?;
                sign = character;
            }
            '!' | '-' if sign == character => return Err(fault(source, at, Why::DoubledSign { sign: character })),
            // `!=` is no sign.
            '!' if characters.next_if(|(_, next)| *next == '=').is_some() => sign = '=',
            blank if blank.is_whitespace() => {}
            other => sign = other,
        }
        before = character;
    }
    Ok(())
}

/// How long the chain is that the scan is in, and those around it.
struct Chain {
    outer: Vec<usize>,
    links: usize,
    /// Each `? :` is taken for one inside all before it.
    branches: usize,
}

impl Chain {
    /// Whether the next character still fits.
    fn takes(&mut self, before: char, character: char) -> bool {
        let word = |character: char| character.is_alphanumeric() || character == '_';
        match character {
            '(' | '[' | '{' => {
                self.outer.push(self.links + 1);
                self.links = 0;
            }
            ')' | ']' | '}' => self.links = self.outer.pop().unwrap_or(self.links),
            '?' => {
                self.branches += 1;
                self.links = 0;
            }
            ',' | ':' | '&' | '|' => self.links = 0,
            blank if blank.is_whitespace() => {}
            inside if word(inside) && word(before) => {}
            _ => self.links += 1,
        }
        self.links <= CHAIN_MAX && self.outer.len() <= NESTING_MAX && self.branches <= NESTING_MAX
    }
}

/// The rest of a text in quotes.
fn text(source: &str, at: usize, quote: char, raw: bool, rest: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> Result<(), Fault> {
    let mut empty = true;
    while let Some((here, character)) = rest.next() {
        match character {
            '\\' => match rest.next() {
                Some((_, escaped @ ('\'' | '"'))) if raw || escaped != quote => return Err(fault(source, here, Why::EscapedQuote)),
                _ => {}
            },
            end if end == quote && empty && rest.peek().is_some_and(|(_, next)| *next == quote) => {
                return Err(fault(source, at, Why::TripleQuote));
            }
            end if end == quote => return Ok(()),
            _ => {}
        }
        empty = false;
    }
    // What has no end is the parser's to tell.
    Ok(())
}

fn fault(source: &str, byte: usize, why: Why) -> Fault {
    Fault { at: Place::of_byte(source, byte), why }
}
