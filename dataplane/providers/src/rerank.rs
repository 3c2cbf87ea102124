//! Documents put in the order of a question: what Jina's and Cohere's clients ask, told to Cohere's API of today.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::FailureClass;

use crate::fault::Fault;
use crate::json::{Kind, Scanner, Wrong, write_list, write_text};
use crate::measure;
use crate::passage::{CannotSay, Facts};

/// A call for an order, and what is needed to tell its answer.
#[derive(Debug)]
pub(crate) struct Order {
    request: Bytes,
    /// Texts that the client wants to see again beside their scores: the target does not send them back.
    again: Option<Vec<String>>,
}

fn cannot<T>(field: &str, why: &str) -> Result<T, CannotSay> {
    Err(CannotSay::Field { field: field.to_owned(), why: why.to_owned() })
}

/// What is asked.
#[derive(Default)]
struct Asked<'a> {
    query: Option<&'a [u8]>,
    documents: Vec<Cow<'a, str>>,
    again: bool,
    /// Fields that the target knows by the same name.
    same: Vec<(&'static str, &'a [u8])>,
}

impl<'a> Asked<'a> {
    fn field(&mut self, key: &str, raw: &'a [u8]) -> Result<(), CannotSay> {
        match (key, raw) {
            ("model", _) | ("stream", b"false") => {}
            ("query", [b'"', ..]) => self.query = Some(raw),
            ("query", _) => return cannot(key, "it is a text"),
            ("documents", _) => self.documents = documents(raw)?,
            ("return_documents", b"true") => self.again = true,
            ("return_documents", b"false") => {}
            ("top_n", _) => self.same.push(("top_n", raw)),
            ("max_tokens_per_doc", _) => self.same.push(("max_tokens_per_doc", raw)),
            ("priority", _) => self.same.push(("priority", raw)),
            _ => {
                return cannot(key, "the target's dialect has no word for it; leave it out, or choose a provider that speaks this dialect");
            }
        }
        Ok(())
    }
}

fn documents(raw: &[u8]) -> Result<Vec<Cow<'_, str>>, CannotSay> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Document<'a> {
        Text(#[serde(borrow)] Cow<'a, str>),
        Object(#[serde(borrow)] Only<'a>),
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Only<'a> {
        #[serde(borrow)]
        text: Cow<'a, str>,
    }
    let list: Vec<Document<'_>> = serde_json::from_slice(raw)
        .or_else(|_| cannot("documents", "the target takes a list of texts, or of objects with `text` and nothing else"))?;
    let text = |document| match document {
        Document::Text(text) | Document::Object(Only { text }) => text,
    };
    Ok(list.into_iter().map(text).collect())
}

impl Order {
    pub(crate) fn begin(body: &[u8], model: &str) -> Result<Self, CannotSay> {
        let mut asked = Asked::default();
        let mut seen: Vec<String> = Vec::new();
        let mut failed = None;
        let read = Scanner::new(body).object(|scanner, key| {
            let raw = &body[scanner.skip()?];
            if failed.is_some() {
                return Ok(());
            }
            let key = key.decode();
            if seen.iter().any(|name| *name == key) {
                failed.get_or_insert(cannot(&key, "it stands in the body twice; say it once"));
            }
            if raw != b"null"
                && let Err(cannot) = asked.field(&key, raw)
            {
                failed.get_or_insert(Err(cannot));
            }
            seen.push(key.into_owned());
            Ok::<(), Wrong>(())
        });
        if let Some(failed) = failed {
            return failed;
        }
        let Asked { query: Some(query), documents, again, same } = asked else { return cannot("query", "there must be one") };
        if read.is_err() || documents.is_empty() {
            return cannot("documents", "there must be at least one");
        }
        let mut out = b"{\"model\":".to_vec();
        write_text(&mut out, model);
        out.extend_from_slice(b",\"query\":");
        out.extend_from_slice(query);
        out.extend_from_slice(b",\"documents\":");
        write_list(&mut out, &documents);
        for (name, raw) in same {
            out.push(b',');
            write_text(&mut out, name);
            out.push(b':');
            out.extend_from_slice(raw);
        }
        out.push(b'}');
        let again = again.then(|| documents.into_iter().map(Cow::into_owned).collect());
        Ok(Self { request: out.into(), again })
    }

    pub(crate) fn request(&self) -> Bytes {
        self.request.clone()
    }

    pub(crate) fn read_whole(&self, body: &[u8]) -> Result<(Bytes, Facts), Fault> {
        #[derive(Deserialize)]
        struct Told<'a> {
            #[serde(borrow)]
            results: &'a RawValue,
            #[serde(borrow)]
            meta: Option<&'a RawValue>,
        }
        let wrong = |why: &str| Fault::new(FailureClass::InvalidResponse, format!("the answer cannot be read: {why}"));
        let told: Told<'_> = serde_json::from_slice(body).map_err(|_| wrong("it holds no results"))?;
        let measured = told.meta.and_then(|meta| measure::searches(meta.get().as_bytes()));
        let facts = Facts { measured, ..Facts::default() };
        let places = places(told.results.get().as_bytes()).map_err(|_| wrong("its results are no list of objects with an index"))?;
        let Some(texts) = &self.again else { return Ok((Bytes::copy_from_slice(body), facts)) };
        // The results stand in the body as they were read: what is put in keeps every other byte.
        let begin = told.results.get().as_ptr() as usize - body.as_ptr() as usize;
        let mut out = Vec::with_capacity(body.len() + self.request.len());
        let mut from = 0;
        for (end, index) in places {
            let text = texts.get(index).ok_or_else(|| wrong("it names a document that there is not"))?;
            out.extend_from_slice(&body[from..begin + end]);
            out.extend_from_slice(b",\"document\":{\"text\":");
            write_text(&mut out, text);
            out.push(b'}');
            from = begin + end;
        }
        out.extend_from_slice(&body[from..]);
        Ok((out.into(), facts))
    }
}

/// Where each result ends, before its brace, and which document it is about.
fn places(results: &[u8]) -> Result<Vec<(usize, usize)>, Wrong> {
    let mut places = Vec::new();
    let mut scanner = Scanner::new(results);
    scanner.array(|scanner| {
        let mut index = None;
        scanner.object(|inner, key| {
            if key.is("index") && inner.kind()? == Kind::Number {
                index = usize::try_from(inner.unsigned()?).ok();
                return Ok(());
            }
            inner.pass()
        })?;
        let at = scanner.at().saturating_sub(1);
        places.push((at, index.ok_or(Wrong { at, what: "a result has no index" })?));
        Ok::<(), Wrong>(())
    })?;
    Ok(places)
}
