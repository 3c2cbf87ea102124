//! References of a request to objects that are kept at the provider: files, responses, conversations, containers, stores.
//! They are refused, because ids are not sealed with their tenant: a caller could name another tenant's, and the provider
//! sees one account.

use snapshot::Surface;

use crate::head::{BadBody, Stop};
use crate::json::{Kind, Scanner};

/// Passes over the value of a field that the gateway does not act on.
///
/// # Errors
/// It names an object at the provider, or is not JSON.
pub(crate) fn look(surface: Surface, scanner: &mut Scanner<'_>, key: &str) -> Result<(), Stop> {
    match (surface, key) {
        (Surface::ChatCompletions, "messages") => each(scanner, chat_message),
        (Surface::Messages | Surface::CountTokens, "messages") => search(scanner, "messages[].content[].source.file_id", &["input"]),
        (Surface::Messages | Surface::CountTokens, "container") => nothing(scanner, "container"),
        (Surface::Responses, "previous_response_id") => nothing(scanner, "previous_response_id"),
        (Surface::Responses, "conversation") => nothing(scanner, "conversation"),
        (Surface::Responses, "prompt") => nothing(scanner, "prompt"),
        (Surface::Responses, "background") => nothing(scanner, "background"),
        (Surface::Responses, "input") => each(scanner, input_item),
        (Surface::Responses, "tools") => each(scanner, tool),
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
            | Surface::CohereRerank,
            _,
        ) => Ok(scanner.pass()?),
    }
}

fn refused(field: &'static str) -> Result<(), Stop> {
    Err(Stop::Bad(BadBody::ForeignId { field }))
}

/// Looks at each item of a list; what is no list holds no reference.
fn each(scanner: &mut Scanner<'_>, look: impl Fn(&mut Scanner<'_>) -> Result<(), Stop>) -> Result<(), Stop> {
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

/// Refuses a `file_id` however deep it stands. What stands under a name in `free` is the caller's own and may be called
/// anything, such as the arguments of a tool.
fn search(scanner: &mut Scanner<'_>, field: &'static str, free: &[&str]) -> Result<(), Stop> {
    match scanner.kind()? {
        Kind::Array => scanner.array(|inner| search(inner, field, free)),
        Kind::Object => scanner.object(|inner, key| {
            if key.is("file_id") && inner.kind()? == Kind::Text {
                return refused(field);
            }
            if free.iter().any(|name| key.is(name)) { Ok(inner.pass()?) } else { search(inner, field, free) }
        }),
        Kind::Text | Kind::Number | Kind::Bool | Kind::Null => Ok(scanner.pass()?),
    }
}

fn chat_message(scanner: &mut Scanner<'_>) -> Result<(), Stop> {
    if scanner.kind()? != Kind::Object {
        return Ok(scanner.pass()?);
    }
    scanner.object(|inner, key| {
        if key.is("audio") && inner.kind()? == Kind::Object {
            return inner.object(|audio, key| if key.is("id") { nothing(audio, "messages[].audio.id") } else { Ok(audio.pass()?) });
        }
        search(inner, "messages[].content[].file.file_id", &[])
    })
}

fn input_item(scanner: &mut Scanner<'_>) -> Result<(), Stop> {
    if scanner.kind()? != Kind::Object {
        return Ok(scanner.pass()?);
    }
    let (mut content_free, mut has_id) = (true, false);
    scanner.object(|inner, key| {
        if key.is("type") && inner.kind()? == Kind::Text {
            return if inner.text()?.is("item_reference") { refused("input[].type") } else { Ok(()) };
        }
        if key.is("file_id") {
            return nothing(inner, "input[].file_id");
        }
        has_id |= key.is("id");
        content_free &= key.is("id") || key.is("type");
        search(inner, "input[].file_id", &[])
    })?;
    if has_id && content_free { refused("input[].id") } else { Ok(()) }
}

/// A tool that the provider runs, on what it keeps.
fn tool(scanner: &mut Scanner<'_>) -> Result<(), Stop> {
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
            return search(inner, "tools[].file_id", &[]);
        }
        if inner.kind()? != Kind::Object {
            return nothing(inner, "tools[].container");
        }
        inner.object(
            |container, key| {
                if key.is("file_ids") { nothing(container, "tools[].container.file_ids") } else { Ok(container.pass()?) }
            },
        )
    })
}
