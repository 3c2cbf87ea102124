//! Objects that a provider keeps, as one tenant sees them: ids sealed, the tenant's mark taken out of names, lists of own
//! objects alone. All else of an object passes byte for byte.

mod response;

use std::ops::Range;

use bytes::Bytes;
use snapshot::{FailureClass, Surface};

use crate::fault::Fault;
use crate::json::{Kind, Scanner, Wrong, comma, write_text};

pub use response::response;

/// What an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// A file.
    File,
    /// An answer of the Responses API.
    Response,
}

/// What a tenant calls things.
pub trait Names: Send + Sync {
    /// An id as the tenant holds it; `None` for what is none.
    fn sealed(&self, named: Named, id: &str) -> Option<String>;
    /// A file's name without the tenant's mark; `None` for a name without it.
    fn unmarked(&self, filename: &str) -> Option<String>;
}

/// An object as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its id, sealed.
    pub id: String,
    /// It.
    pub json: Vec<u8>,
}

/// One page of a provider's list.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// The tenant's own.
    pub own: Vec<Shown>,
    /// The provider's id of the last of all.
    pub last: Option<String>,
    /// Whether the provider has more.
    pub more: bool,
}

/// Reads an answer that is one object.
///
/// # Errors
/// It is none, or tells an error.
pub fn object(names: &impl Names, body: &[u8]) -> Result<Shown, Fault> {
    let top = Top::read(body)?;
    if let Some(error) = top.error.filter(|_| top.id.is_none()) {
        return Err(Fault::of_object(Surface::Files, &[b"{\"error\":", &body[error], b"}"].concat()));
    }
    let (at, id) = top.id.ok_or_else(|| invalid("the answer has no `id`"))?;
    let id = names.sealed(Named::File, &id).ok_or_else(|| invalid("the answer has an `id` that is none"))?;
    let mut splices = vec![(at, quoted(&id))];
    if let Some((at, filename)) = top.filename
        && let Some(name) = names.unmarked(&filename)
    {
        splices.push((at, quoted(&name)));
    }
    Ok(Shown { id, json: spliced(body, splices) })
}

/// Reads a page of a list.
///
/// # Errors
/// It is none, or tells an error.
pub fn page(names: &impl Names, body: &[u8]) -> Result<Page, Fault> {
    let top = Top::read(body)?;
    if let Some(error) = top.error.filter(|_| top.items.is_none()) {
        return Err(Fault::of_object(Surface::Files, &[b"{\"error\":", &body[error], b"}"].concat()));
    }
    let items = top.items.ok_or_else(|| invalid("the list has no `data`"))?;
    let (mut own, mut last) = (Vec::new(), None);
    for item in items.into_iter().map(|range| &body[range]) {
        let Top { id, filename, .. } = Top::read(item)?;
        let (_, id) = id.ok_or_else(|| invalid("an object of the list has no `id`"))?;
        if filename.is_some_and(|(_, name)| names.unmarked(&name).is_some()) {
            own.push(object(names, item)?);
        }
        last = Some(id);
    }
    Ok(Page { own, last, more: top.more })
}

/// A list as its owner sees it.
#[must_use]
pub fn list(objects: &[Shown], more: bool) -> Bytes {
    let mut out = b"{\"object\":\"list\",\"data\":[".to_vec();
    for (place, object) in objects.iter().enumerate() {
        comma(place, &mut out);
        out.extend_from_slice(&object.json);
    }
    out.extend_from_slice(b"],\"first_id\":");
    let id = |object: Option<&Shown>, out: &mut Vec<u8>| match object {
        Some(object) => write_text(out, &object.id),
        None => out.extend_from_slice(b"null"),
    };
    id(objects.first(), &mut out);
    out.extend_from_slice(b",\"last_id\":");
    id(objects.last(), &mut out);
    out.extend_from_slice(if more { b",\"has_more\":true}" } else { b",\"has_more\":false}" });
    out.into()
}

/// What is acted on at the top of an answer, with where it stands.
#[derive(Default)]
struct Top {
    id: Option<(Range<usize>, String)>,
    filename: Option<(Range<usize>, String)>,
    error: Option<Range<usize>>,
    items: Option<Vec<Range<usize>>>,
    more: bool,
}

impl Top {
    fn read(json: &[u8]) -> Result<Self, Fault> {
        let mut top = Self::default();
        let mut scanner = Scanner::new(json);
        let read = scanner.object(|scanner, key| {
            let kind = scanner.kind()?;
            if kind == Kind::Text && (key.is("id") || key.is("filename")) {
                let text = scanner.text()?;
                let found = Some((scanner.at() - text.raw.len()..scanner.at(), text.decode().into_owned()));
                // Which of two a client reads is anybody's guess, and one of them would not be sealed.
                let field = if key.is("id") { &mut top.id } else { &mut top.filename };
                if field.is_some() {
                    return Err(Wrong { at: scanner.at(), what: "a field stands there twice" });
                }
                *field = found;
                return Ok(());
            }
            if kind == Kind::Array && key.is("data") {
                let mut items = Vec::new();
                scanner.array(|scanner| {
                    items.push(scanner.skip()?);
                    Ok::<(), Wrong>(())
                })?;
                top.items = Some(items);
                return Ok(());
            }
            if kind == Kind::Bool && key.is("has_more") {
                top.more = scanner.bool()?;
                return Ok(());
            }
            let range = scanner.skip()?;
            if key.is("error") && matches!(kind, Kind::Object | Kind::Text) {
                top.error = Some(range);
            }
            Ok(())
        });
        read.and_then(|()| scanner.end()).map_err(|wrong| invalid(wrong.what))?;
        Ok(top)
    }
}

fn invalid(what: &str) -> Fault {
    Fault::new(FailureClass::InvalidResponse, what)
}

pub(crate) fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_text(&mut out, text);
    out
}

pub(crate) fn spliced(json: &[u8], mut splices: Vec<(Range<usize>, Vec<u8>)>) -> Vec<u8> {
    splices.sort_by_key(|(range, _)| range.start);
    let (mut out, mut from) = (Vec::with_capacity(json.len() + 128), 0);
    for (range, text) in splices {
        out.extend_from_slice(&json[from..range.start]);
        out.extend_from_slice(&text);
        from = range.end;
    }
    out.extend_from_slice(&json[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seals by a letter, and marks by a beginning.
    struct Own;

    impl Names for Own {
        fn sealed(&self, _: Named, id: &str) -> Option<String> {
            (!id.is_empty()).then(|| format!("s-{id}"))
        }

        fn unmarked(&self, filename: &str) -> Option<String> {
            filename.strip_prefix("own-").map(str::to_owned)
        }
    }

    fn text(json: &[u8]) -> &str {
        std::str::from_utf8(json).expect("text")
    }

    #[test]
    fn an_object_passes_but_for_its_id_and_the_mark() {
        let body = br#"{ "filename":"own-a\"b.pdf","id" : "f1", "bytes":1e3,"inner":{"id":"x","filename":"own-y"},"new":[null] }"#;
        let shown = object(&Own, body).expect("an object");
        assert_eq!(shown.id, "s-f1");
        assert_eq!(
            text(&shown.json),
            r#"{ "filename":"a\"b.pdf","id" : "s-f1", "bytes":1e3,"inner":{"id":"x","filename":"own-y"},"new":[null] }"#
        );
        let plain = object(&Own, br#"{"id":"f1","filename":"b.pdf"}"#).expect("an object");
        assert_eq!(text(&plain.json), r#"{"id":"s-f1","filename":"b.pdf"}"#);
    }

    #[test]
    fn a_page_shows_own_objects_and_where_the_next_begins() {
        let body = br#"{"data":[{"id":"f1","filename":"own-a"},{"id":"f2","filename":"b"},{"id":"f3"},{"filename":"own-d","id":"f4"},{"id":"f5","filename":null}],"has_more":true}"#;
        let page = page(&Own, body).expect("a page");
        assert_eq!((page.last.as_deref(), page.more), (Some("f5"), true));
        assert_eq!(page.own.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["s-f1", "s-f4"]);
        assert_eq!(
            text(&list(&page.own, false)),
            r#"{"object":"list","data":[{"id":"s-f1","filename":"a"},{"filename":"d","id":"s-f4"}],"first_id":"s-f1","last_id":"s-f4","has_more":false}"#
        );
        assert_eq!(text(&list(&[], true)), r#"{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":true}"#);
    }

    #[test]
    fn what_is_no_answer_is_told_as_none_and_never_passes() {
        for body in ["", "[]", "{", "<html>", "{}", r#"{"id":1}"#, r#"{"id":""}"#, r#"{"id":"a","id":"b"}"#, r#"{"id":"a"} x"#] {
            assert_eq!(object(&Own, body.as_bytes()).expect_err(body).class, FailureClass::InvalidResponse, "{body}");
        }
        for body in ["", "{}", r#"{"data":{}}"#, r#"{"data":[1]}"#, r#"{"data":[{"filename":"own-a"}]}"#] {
            assert_eq!(page(&Own, body.as_bytes()).expect_err(body).class, FailureClass::InvalidResponse, "{body}");
        }
        let told = br#"{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}"#;
        assert_eq!(object(&Own, told).expect_err("an error").class, FailureClass::RateLimited);
        assert_eq!(page(&Own, told).expect_err("an error").class, FailureClass::RateLimited);
    }
}
