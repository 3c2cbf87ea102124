//! What the head of a request asks of objects that a provider keeps.

use http::HeaderMap;
use http::request::Parts;
use snapshot::Surface;

use super::path::Asking;
use crate::exchange::{Deed, Listing, Refusal, Unkept, Wanted};

/// Objects of a list where the client does not say how many, and at most.
const LISTED_MAX: usize = 10_000;

/// Longest word of a query.
const WORD_MAX: usize = 64;

/// A wish about files.
///
/// # Errors
/// A parameter of the query is none that is taken.
pub(super) fn read(head: &Parts, deed: Asking, id: Option<&str>) -> Result<Wanted, Refusal> {
    let query = head.uri.query().unwrap_or_default();
    let deed = match deed {
        Asking::Send => Deed::Send,
        Asking::List => Deed::List(listing(query)?),
        Asking::Look => Deed::Look,
        Asking::Read => Deed::Read,
        Asking::Delete => Deed::Delete,
    };
    Ok(Wanted { surface: Surface::Files, deed, id: id.map(str::to_owned), provider: named(&head.headers) })
}

fn named(headers: &HeaderMap) -> Option<String> {
    let name = headers.get("x-portolan-provider")?.to_str().ok()?.trim();
    (!name.is_empty()).then(|| name.chars().take(128).collect())
}

fn listing(query: &str) -> Result<Listing, Refusal> {
    let mut listing = Listing { limit: LISTED_MAX, after: None, passed: Vec::new() };
    for (name, value) in query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
        let wrong = |expected| Refusal::from(Unkept::BadParameter { name: name.chars().take(WORD_MAX).collect(), expected });
        let is_word = || value.len() <= WORD_MAX && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        match name {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=LISTED_MAX).contains(limit));
                listing.limit = limit.ok_or_else(|| wrong("must be a whole number from 1 to 10000"))?;
            }
            "after" => listing.after = Some(value.to_owned()).filter(|id| !id.is_empty()),
            "order" if matches!(value, "asc" | "desc") => listing.passed.push(("order", value.to_owned())),
            "order" => return Err(wrong("must be `asc` or `desc`")),
            "purpose" if value.is_empty() => {}
            "purpose" if is_word() => listing.passed.push(("purpose", value.to_owned())),
            "purpose" => return Err(wrong("must be a word of letters, digits, `-` and `_`")),
            _ => return Err(wrong("is none that is taken; `after`, `limit`, `order` and `purpose` are")),
        }
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_understood_or_named() {
        let all = listing("limit=20&after=file-x&order=asc&purpose=user_data&").expect("a query");
        assert_eq!(
            all,
            Listing {
                limit: 20,
                after: Some("file-x".to_owned()),
                passed: vec![("order", "asc".to_owned()), ("purpose", "user_data".to_owned())]
            }
        );
        assert_eq!(listing("").expect("a query"), Listing { limit: LISTED_MAX, after: None, passed: Vec::new() });
        for query in ["limit=0", "limit=10001", "limit=x", "limit", "order=up", "purpose=a%26b", "purpose=a+b", "before=x", "Limit=1", "=1"]
        {
            let told = listing(query).expect_err(query);
            assert!(matches!(told, Refusal::Unkept(Unkept::BadParameter { .. })), "{query}");
        }
    }
}
