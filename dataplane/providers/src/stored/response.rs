//! Answers of the Responses API, which providers keep: their ids, those of the answers before them, and those of files in them.

use std::ops::Range;

use super::{Named, Names, quoted, spliced};
use crate::json::{Kind, Scanner, Wrong};

/// An answer, or an event with one in it, with its ids sealed; `None` where there is none. What can be no id stays as it is:
/// nobody takes it.
///
/// # Errors
/// It is not JSON.
pub fn response(names: &dyn Names, json: &[u8]) -> Result<Option<Vec<u8>>, Wrong> {
    let mut found = Found { names, splices: Vec::new() };
    let mut scanner = Scanner::new(json);
    found.object(&mut scanner, true)?;
    scanner.end()?;
    Ok((!found.splices.is_empty()).then(|| spliced(json, found.splices)))
}

struct Found<'a> {
    names: &'a dyn Names,
    splices: Vec<(Range<usize>, Vec<u8>)>,
}

impl Found<'_> {
    /// `is_answer`: its `id` is that of an answer.
    fn object(&mut self, scanner: &mut Scanner<'_>, is_answer: bool) -> Result<(), Wrong> {
        scanner.object(|scanner, key| {
            let kind = scanner.kind()?;
            match kind {
                Kind::Text if is_answer && key.is("id") || key.is("previous_response_id") => self.id(scanner, Named::Response),
                Kind::Text if key.is("file_id") => self.id(scanner, Named::File),
                Kind::Array if key.is("file_ids") => {
                    scanner.array(|scanner| if scanner.kind()? == Kind::Text { self.id(scanner, Named::File) } else { scanner.pass() })
                }
                // What a caller says of itself may be called anything.
                _ if key.is("metadata") => scanner.pass(),
                Kind::Object => self.object(scanner, is_answer && key.is("response")),
                Kind::Array => self.array(scanner),
                Kind::Text | Kind::Number | Kind::Bool | Kind::Null => scanner.pass(),
            }
        })
    }

    fn array(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Wrong> {
        scanner.array(|scanner| match scanner.kind()? {
            Kind::Object => self.object(scanner, false),
            Kind::Array => self.array(scanner),
            Kind::Text | Kind::Number | Kind::Bool | Kind::Null => scanner.pass(),
        })
    }

    fn id(&mut self, scanner: &mut Scanner<'_>, named: Named) -> Result<(), Wrong> {
        let text = scanner.text()?;
        if let Some(sealed) = self.names.sealed(named, &text.decode()) {
            self.splices.push((scanner.at() - text.raw.len()..scanner.at(), quoted(&sealed)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Letters;

    impl Names for Letters {
        fn sealed(&self, named: Named, id: &str) -> Option<String> {
            let letter = match named {
                Named::File => "f",
                Named::Response => "r",
            };
            (!id.is_empty()).then(|| format!("{letter}:{id}"))
        }

        fn unmarked(&self, _: &str) -> Option<String> {
            None
        }
    }

    #[test]
    fn ids_of_answers_and_of_files_are_sealed_wherever_they_stand_and_no_others() {
        for (body, sealed) in [
            (r#"{ "id":"a" , "previous_response_id":"b","x":1.0e2}"#, r#"{ "id":"r:a" , "previous_response_id":"r:b","x":1.0e2}"#),
            (
                r#"{"type":"response.created","response":{"id":"a","output":[{"id":"m"}],"previous_response_id":null}}"#,
                r#"{"type":"response.created","response":{"id":"r:a","output":[{"id":"m"}],"previous_response_id":null}}"#,
            ),
            (
                r#"{"item":{"id":"m","response":{"id":"x"},"content":[{"annotations":[{"file_id":"c","id":"y"}]}]}}"#,
                r#"{"item":{"id":"m","response":{"id":"x"},"content":[{"annotations":[{"file_id":"f:c","id":"y"}]}]}}"#,
            ),
            (
                r#"{"id":"a","tools":[{"container":{"file_ids":["c","d"]}}],"metadata":{"file_id":"own","id":"own"}}"#,
                r#"{"id":"r:a","tools":[{"container":{"file_ids":["f:c","f:d"]}}],"metadata":{"file_id":"own","id":"own"}}"#,
            ),
        ] {
            let told = response(&Letters, body.as_bytes()).expect("JSON").expect("an id");
            assert_eq!(std::str::from_utf8(&told).expect("text"), sealed);
        }
        assert_eq!(response(&Letters, br#"{"object":"list","data":[{"id":"m"}],"first_id":"m"}"#), Ok(None));
        assert!(response(&Letters, b"{").is_err() && response(&Letters, b"[]").is_err());
    }
}
