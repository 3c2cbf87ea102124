//! Requests, read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{parts, sealed};
use crate::passage::CannotSay;
use crate::translate::chat::{Choice, NO_WORD, Part, Request, Role, Tool, cannot, fields, get, say, system};

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Deserialize)]
struct OfferedTool<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    input_schema: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

pub(in crate::translate) fn read_request(body: &[u8]) -> Result<Request<'_>, CannotSay> {
    let mut request = Request::default();
    fields(body, |key, raw| field(&mut request, key, raw))?;
    Ok(request)
}

fn field<'a>(request: &mut Request<'a>, key: &str, raw: &'a [u8]) -> Result<(), CannotSay> {
    match key {
        "model" => {}
        "metadata" => {
            #[derive(Deserialize)]
            struct Metadata {
                #[serde(default)]
                user_id: Option<String>,
            }
            request.user = get::<Metadata>(raw, key)?.user_id.map(Cow::Owned);
        }
        "system" => {
            let raw: &RawValue = get(raw, key)?;
            system(request, parts(raw, key)?, key)?;
        }
        "messages" => {
            for message in get::<Vec<Message<'a>>>(raw, key)? {
                let parts = with_seals(parts(message.content, "messages[].content")?);
                match &*message.role {
                    "user" => say(request, Role::User, parts),
                    "assistant" => say(request, Role::Assistant, parts),
                    "system" if request.turns.is_empty() => system(request, parts, "messages[].content")?,
                    // What comes later in the conversation stays there, as the user's: the target knows no other place.
                    "system" => say(request, Role::User, parts),
                    role => return cannot("messages[].role", &format!("there is no role `{role}`")),
                }
            }
        }
        "max_tokens" => request.max_tokens = Some(get(raw, key)?),
        "temperature" => request.temperature = Some(raw),
        "top_p" => request.top_p = Some(raw),
        "stop_sequences" => request.stop = get::<Vec<String>>(raw, key)?.into_iter().map(Cow::Owned).collect(),
        "stream" => request.stream = get(raw, key)?,
        "tools" => request.tools = get::<Vec<OfferedTool<'a>>>(raw, key)?.into_iter().map(tool).collect::<Result<_, _>>()?,
        "tool_choice" => choice(request, raw)?,
        "output_config" => request.schema = format(request, raw)?,
        "thinking" => thinking(request, raw)?,
        // Where the target caches by itself, that is what is asked for; nowhere does it change an answer.
        "cache_control" => {}
        "context_management" => context(raw)?,
        "service_tier" if matches!(raw, b"\"auto\"" | b"\"standard_only\"") => {}
        "top_k" => request.rare.push(("top_k", raw)),
        _ => return cannot(key, NO_WORD),
    }
    Ok(())
}

/// Gives each call the seal that stands before it.
fn with_seals(parts: Vec<Part<'_>>) -> Vec<Part<'_>> {
    let mut waiting: Option<Cow<'_, str>> = None;
    let mut all = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Part::Thinking { signature: Some(signature), .. } if sealed(Some(&signature)).is_some() => {
                waiting = sealed(Some(&signature)).map(|seal| Cow::Owned(seal.to_owned()));
            }
            Part::Call { id, name, input, seal } => all.push(Part::Call { id, name, input, seal: waiting.take().or(seal) }),
            part @ (Part::Text { .. }
            | Part::Image(_)
            | Part::File { .. }
            | Part::Result { .. }
            | Part::Thinking { .. }
            | Part::Redacted { .. }
            | Part::Plan(_)) => all.push(part),
        }
    }
    all
}

/// Thoughts of the past are cleared wherever the target does not take them; what else may be cleared is not.
fn context(raw: &[u8]) -> Result<(), CannotSay> {
    #[derive(Deserialize)]
    struct Management<'a> {
        #[serde(borrow, default)]
        edits: Vec<Edit<'a>>,
    }
    #[derive(Deserialize)]
    struct Edit<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    let asked: Management<'_> = get(raw, "context_management")?;
    match asked.edits.iter().find(|edit| !edit.kind.starts_with("clear_thinking_")) {
        Some(edit) => cannot("context_management", &format!("the target has no edit of type `{}`", edit.kind)),
        None => Ok(()),
    }
}

/// A budget of thoughts becomes an effort: the dialect in front knows no other measure.
fn thinking(request: &mut Request<'_>, raw: &[u8]) -> Result<(), CannotSay> {
    #[derive(Deserialize)]
    struct Thinking {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        budget_tokens: Option<u64>,
    }
    let thinking: Thinking = get(raw, "thinking")?;
    let effort = match (thinking.kind.as_str(), thinking.budget_tokens) {
        // What the model finds right by itself, or no thoughts: no word is the word for both.
        ("disabled" | "adaptive", _) | (_, None) => return Ok(()),
        (_, Some(..=2048)) => "low",
        (_, Some(..=8192)) => "medium",
        (_, Some(_)) => "high",
    };
    // An effort that is named holds, wherever it stands in the body.
    request.effort.get_or_insert(Cow::Borrowed(effort));
    Ok(())
}

fn format<'a>(request: &mut Request<'a>, raw: &'a [u8]) -> Result<Option<&'a [u8]>, CannotSay> {
    #[derive(Deserialize)]
    struct Config<'a> {
        #[serde(borrow, default)]
        format: Option<Format<'a>>,
        #[serde(default)]
        effort: Option<String>,
    }
    #[derive(Deserialize)]
    struct Format<'a> {
        #[serde(borrow, default)]
        schema: Option<&'a RawValue>,
    }
    let config: Config<'a> = get(raw, "output_config")?;
    if let Some(effort) = config.effort {
        request.effort = Some(Cow::Owned(effort));
    }
    Ok(config.format.and_then(|format| format.schema).map(|schema| schema.get().as_bytes()))
}

fn tool(offered: OfferedTool<'_>) -> Result<Tool<'_>, CannotSay> {
    match offered.kind.as_deref() {
        None | Some("custom") => {}
        Some(kind) => return cannot("tools", &format!("the target has no tool of type `{kind}`")),
    }
    Ok(Tool {
        name: offered.name,
        description: offered.description,
        schema: offered.input_schema.map(|schema| schema.get().as_bytes()),
        strict: offered.strict,
    })
}

fn choice<'a>(request: &mut Request<'a>, raw: &'a [u8]) -> Result<(), CannotSay> {
    #[derive(Deserialize)]
    struct Chosen<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow, default)]
        name: Option<Cow<'a, str>>,
        #[serde(default)]
        disable_parallel_tool_use: Option<bool>,
    }
    let chosen: Chosen<'a> = get(raw, "tool_choice")?;
    request.parallel = chosen.disable_parallel_tool_use.map(|disabled| !disabled);
    request.choice = Some(match (&*chosen.kind, chosen.name) {
        ("auto", _) => Choice::Auto,
        ("any", _) => Choice::Any,
        ("none", _) => Choice::None,
        ("tool", Some(name)) => Choice::Named(name),
        _ => return cannot("tool_choice", "it is auto, any, none or a named tool"),
    });
    Ok(())
}
