//! What the head of a request asks of objects that a provider keeps.

use http::HeaderMap;
use http::request::Parts;
use snapshot::Surface;

use super::path::Asking;
use crate::exchange::{Deed, Listing, Refusal, Unkept, Wanted};

/// Objects of a list where the client does not say how many, and at most.
const LISTED_MAX: usize = 10_000;

/// Parameters that go on as they are.
type Passed = Vec<(&'static str, String)>;

/// Longest word of a query.
const WORD_MAX: usize = 64;

/// A wish about files or responses.
///
/// # Errors
/// A parameter of the query is none that is taken.
pub(super) fn read(head: &Parts, (surface, deed): (Surface, Asking), id: Option<&str>) -> Result<Wanted, Refusal> {
    let query = head.uri.query().unwrap_or_default();
    let (deed, passed) = match deed {
        Asking::List => {
            let (listing, passed) = listing(query)?;
            (Deed::List(listing), passed)
        }
        Asking::Send => (Deed::Send, Vec::new()),
        Asking::Look if surface == Surface::Responses => (Deed::Look, passed(query, &INCLUDED, "is none that is taken; `include` is")?),
        Asking::Look => (Deed::Look, Vec::new()),
        Asking::Read => (Deed::Read, Vec::new()),
        Asking::Delete => (Deed::Delete, Vec::new()),
        Asking::Cancel => (Deed::Cancel, Vec::new()),
        Asking::Items => {
            let taken = [&INCLUDED[..], &["after", "limit", "order"]].concat();
            (Deed::Items, passed(query, &taken, "is none that is taken; `after`, `include`, `limit` and `order` are")?)
        }
    };
    Ok(Wanted { surface, deed, id: id.map(str::to_owned), passed, provider: named(&head.headers) })
}

/// The names by which SDKs say that more is wanted.
const INCLUDED: [&str; 3] = ["include", "include[]", "include%5B%5D"];

fn named(headers: &HeaderMap) -> Option<String> {
    let name = headers.get("x-portolan-provider")?.to_str().ok()?.trim();
    (!name.is_empty()).then(|| name.chars().take(128).collect())
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn is_word(value: &str) -> bool {
    (1..=WORD_MAX).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn wrong(name: &str, expected: &'static str) -> Refusal {
    Unkept::BadParameter { name: name.chars().take(WORD_MAX).collect(), expected }.into()
}

/// Parameters of these names, each a word.
fn passed(query: &str, taken: &[&'static str], other: &'static str) -> Result<Passed, Refusal> {
    let read = |(name, value): (&str, &str)| match taken.iter().find(|known| **known == name) {
        None => Err(wrong(name, other)),
        Some(known) if is_word(value) => Ok((*known, value.to_owned())),
        Some(_) => Err(wrong(name, "must be a word of letters, digits, `.`, `-` and `_`")),
    };
    pairs(query).map(read).collect()
}

fn listing(query: &str) -> Result<(Listing, Passed), Refusal> {
    let (mut listing, mut passed) = (Listing { limit: LISTED_MAX, after: None }, Vec::new());
    for (name, value) in pairs(query) {
        match name {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=LISTED_MAX).contains(limit));
                listing.limit = limit.ok_or_else(|| wrong(name, "must be a whole number from 1 to 10000"))?;
            }
            "after" => listing.after = Some(value.to_owned()).filter(|id| !id.is_empty()),
            "order" if matches!(value, "asc" | "desc") => passed.push(("order", value.to_owned())),
            "order" => return Err(wrong(name, "must be `asc` or `desc`")),
            "purpose" if value.is_empty() => {}
            "purpose" if is_word(value) => passed.push(("purpose", value.to_owned())),
            "purpose" => return Err(wrong(name, "must be a word of letters, digits, `.`, `-` and `_`")),
            _ => return Err(wrong(name, "is none that is taken; `after`, `limit`, `order` and `purpose` are")),
        }
    }
    Ok((listing, passed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_understood_or_named() {
        let (all, said) = listing("limit=20&after=file-x&order=asc&purpose=user_data&").expect("a query");
        assert_eq!(all, Listing { limit: 20, after: Some("file-x".to_owned()) });
        assert_eq!(said, [("order", "asc".to_owned()), ("purpose", "user_data".to_owned())]);
        assert_eq!(listing("").expect("a query"), (Listing { limit: LISTED_MAX, after: None }, Vec::new()));
        for query in ["limit=0", "limit=10001", "limit=x", "limit", "order=up", "purpose=a%26b", "purpose=a+b", "before=x", "Limit=1", "=1"]
        {
            let told = listing(query).expect_err(query);
            assert!(matches!(told, Refusal::Unkept(Unkept::BadParameter { .. })), "{query}");
        }
        let included = passed("include%5B%5D=a.b&include=c", &INCLUDED, "").expect("a query");
        assert_eq!(included, [("include%5B%5D", "a.b".to_owned()), ("include", "c".to_owned())]);
        for query in ["stream=true", "include=", "include=a%26b", "include=a/b"] {
            assert!(passed(query, &INCLUDED, "").is_err(), "{query}");
        }
    }
}
