//! References of a request to objects that are kept at the provider: files, responses, conversations, containers, stores.
//! Those of files and of the response before are found, to be opened by who holds the seal. All others are refused, because their ids are not sealed
//! with their tenant: a caller could name another tenant's, and the provider sees one account.

use snapshot::Surface;

use crate::head::{BadBody, Head, Reference, Stop};
use crate::json::{Kind, Scanner, Text};
use crate::passage::CannotSay;
use crate::stored::Named;

/// Passes over the value of a field that the gateway does not act on.
///
/// # Errors
/// It names an object at the provider whose id is never sealed, or is not JSON.
pub(crate) fn look(surface: Surface, scanner: &mut Scanner<'_>, key: &str, found: &mut Vec<Reference>) -> Result<(), Stop> {
    match (surface, key) {
        (Surface::ChatCompletions, "messages") => each(scanner, |scanner| chat_message(scanner, found)),
        (Surface::Messages | Surface::CountTokens, "messages") => {
            search(scanner, "messages[].content[].source.file_id", &["input"], &mut None)
        }
        (Surface::Messages | Surface::CountTokens, "container") => nothing(scanner, "container"),
        (Surface::Responses, "previous_response_id") => {
            if scanner.kind()? != Kind::Text {
                return nothing(scanner, "previous_response_id");
            }
            found.push(Reference::read(Named::Response, "previous_response_id", scanner)?);
            Ok(())
        }
        (Surface::Responses, "conversation") => nothing(scanner, "conversation"),
        (Surface::Responses, "prompt") => nothing(scanner, "prompt"),
        (Surface::Responses, "background") => nothing(scanner, "background"),
        (Surface::Responses, "input") => each(scanner, |scanner| input_item(scanner, found)),
        (Surface::Responses, "tools") => each(scanner, |scanner| tool(scanner, found)),
        (
            Surface::ChatCompletions
            | Surface::Messages
            | Surface::CountTokens
            | Surface::Responses
            | Surface::Completions
            | Surface::Embeddings
            | Surface::GenerateContent
            | Surface::Converse
            | Surface::CohereChat
            | Surface::BatchEmbedContents
            | Surface::CohereEmbed
            | Surface::OllamaChat
            | Surface::OllamaEmbed
            | Surface::Proxy
            | Surface::Realtime
            | Surface::Moderations
            | Surface::Rerank
            | Surface::Images
            | Surface::ImageEdits
            | Surface::ImageVariations
            | Surface::Speech
            | Surface::Transcriptions
            | Surface::Translations
            | Surface::CohereRerank
            | Surface::Files,
            _,
        ) => Ok(scanner.pass()?),
    }
}

/// What is kept at the target can be named in the words of the target alone.
///
/// # Errors
/// The call names something.
pub(crate) fn told_in_other_words(head: &Head) -> Result<(), CannotSay> {
    let Some(reference) = head.references.first() else { return Ok(()) };
    let why = "it is told this call in other words, in which nothing that it keeps can be named; send the content itself";
    Err(CannotSay::Field { field: reference.field.to_owned(), why: why.to_owned() })
}

const CONTAINER_FILES: &str = "tools[].container.file_ids";

fn refused(field: &'static str) -> Result<(), Stop> {
    Err(Stop::Bad(BadBody::ForeignId { field }))
}

/// Looks at each item of a list; what is no list holds no reference.
fn each(scanner: &mut Scanner<'_>, look: impl FnMut(&mut Scanner<'_>) -> Result<(), Stop>) -> Result<(), Stop> {
    if scanner.kind()? == Kind::Array { scanner.array(look) } else { Ok(scanner.pass()?) }
}

/// `null`, `false` and the empty list name nothing; everything else does.
fn nothing(scanner: &mut Scanner<'_>, field: &'static str) -> Result<(), Stop> {
    let mut harmless = true;
    match scanner.kind()? {
        Kind::Null => scanner.pass()?,
        Kind::Bool => harmless = !scanner.bool()?,
        Kind::Array => scanner.array(|inner| {
            harmless = false;
            inner.pass()
        })?,
        Kind::Object | Kind::Text | Kind::Number => {
            harmless = false;
            scanner.pass()?;
        }
    }
    if harmless { Ok(()) } else { refused(field) }
}

/// Finds a `file_id` however deep it stands, or refuses it where none can be sealed. What stands under a name in `free` is
/// the caller's own and may be called anything, such as the arguments of a tool.
fn search(scanner: &mut Scanner<'_>, field: &'static str, free: &[&str], found: &mut Option<&mut Vec<Reference>>) -> Result<(), Stop> {
    match scanner.kind()? {
        Kind::Array => scanner.array(|inner| search(inner, field, free, found)),
        Kind::Object => scanner.object(|inner, key| {
            if key.is("file_id") && inner.kind()? == Kind::Text {
                let Some(found) = found else { return refused(field) };
                found.push(Reference::read(Named::File, field, inner)?);
                return Ok(());
            }
            if free.iter().any(|name| key.is(name)) { Ok(inner.pass()?) } else { search(inner, field, free, found) }
        }),
        Kind::Text | Kind::Number | Kind::Bool | Kind::Null => Ok(scanner.pass()?),
    }
}

/// The same of a field: it may be one itself.
fn beside(scanner: &mut Scanner<'_>, key: Text<'_>, field: &'static str, found: &mut Vec<Reference>) -> Result<(), Stop> {
    if key.is("file_id") && scanner.kind()? == Kind::Text {
        found.push(Reference::read(Named::File, field, scanner)?);
        return Ok(());
    }
    search(scanner, field, &[], &mut Some(found))
}

fn chat_message(scanner: &mut Scanner<'_>, found: &mut Vec<Reference>) -> Result<(), Stop> {
    if scanner.kind()? != Kind::Object {
        return Ok(scanner.pass()?);
    }
    scanner.object(|inner, key| {
        if key.is("audio") && inner.kind()? == Kind::Object {
            return inner.object(|audio, key| if key.is("id") { nothing(audio, "messages[].audio.id") } else { Ok(audio.pass()?) });
        }
        beside(inner, key, "messages[].content[].file.file_id", found)
    })
}

fn input_item(scanner: &mut Scanner<'_>, found: &mut Vec<Reference>) -> Result<(), Stop> {
    if scanner.kind()? != Kind::Object {
        return Ok(scanner.pass()?);
    }
    let (mut content_free, mut has_id) = (true, false);
    scanner.object(|inner, key| {
        if key.is("type") && inner.kind()? == Kind::Text {
            return if inner.text()?.is("item_reference") { refused("input[].type") } else { Ok(()) };
        }
        if key.is("file_id") && inner.kind()? != Kind::Text {
            return nothing(inner, "input[].file_id");
        }
        has_id |= key.is("id");
        content_free &= key.is("id") || key.is("type");
        beside(inner, key, "input[].file_id", found)
    })?;
    if has_id && content_free { refused("input[].id") } else { Ok(()) }
}

/// A tool that the provider runs, on what it keeps.
fn tool(scanner: &mut Scanner<'_>, found: &mut Vec<Reference>) -> Result<(), Stop> {
    if scanner.kind()? != Kind::Object {
        return Ok(scanner.pass()?);
    }
    scanner.object(|inner, key| {
        if key.is("vector_store_ids") {
            return nothing(inner, "tools[].vector_store_ids");
        }
        if key.is("parameters") {
            return Ok(inner.pass()?);
        }
        if !key.is("container") {
            return beside(inner, key, "tools[].file_id", found);
        }
        if inner.kind()? != Kind::Object {
            return nothing(inner, "tools[].container");
        }
        inner.object(|container, key| {
            if !key.is("file_ids") || container.kind()? != Kind::Array {
                return if key.is("file_ids") { nothing(container, CONTAINER_FILES) } else { Ok(container.pass()?) };
            }
            container.array(|item| {
                if item.kind()? != Kind::Text {
                    return refused(CONTAINER_FILES);
                }
                found.push(Reference::read(Named::File, CONTAINER_FILES, item)?);
                Ok(())
            })
        })
    })
}
