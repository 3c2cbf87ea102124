//! What the parser takes otherwise than it reads, refused before it sees it: it drops signs of a chain such as `!!a` (and
//! reads what stands behind them twice, so that nested chains would take for ever), and it leaves backslashes in texts
//! that CEL takes out.

use crate::fault::{Fault, Why};
use crate::place::Place;

/// # Errors
/// The first such place.
pub(crate) fn scan(source: &str) -> Result<(), Fault> {
    let mut characters = source.char_indices().peekable();
    // The character before, and the last one that is neither blank nor part of a comment.
    let (mut before, mut sign) = (' ', ' ');
    while let Some((at, character)) = characters.next() {
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
