//! Requests, read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::items;
use crate::passage::CannotSay;
use crate::translate::chat::{CUSTOM_INPUT, Choice, NO_WORD, Request, Tool, cannot, fields, get};

/// Fields that say nothing to a model, or that ask for nothing where no tool is run by the provider.
const HARMLESS: [&str; 7] = [
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "safety_identifier",
    "stream_options",
    "max_tool_calls",
];

/// What a response may be asked to hold besides. All but the last speak of tools that the provider runs, which are
/// refused by themselves; the last is always there.
const INCLUDED: [&str; 7] = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "message.input_image.image_url",
    "reasoning.encrypted_content",
];

/// What a tool takes that is given a text.
const CUSTOM_SCHEMA: &[u8] =
    b"{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"],\"additionalProperties\":false}";

/// Why an object at the provider cannot be referred to.
const NOTHING_KEPT: &str = "the target keeps no responses, conversations or prompts; send the whole conversation in `input`";

pub(in crate::translate) fn read_request(body: &[u8]) -> Result<Request<'_>, CannotSay> {
    let mut reader = Reader::default();
    fields(body, |key, raw| reader.field(key, raw))?;
    let Reader { mut request, instructions, only } = reader;
    // They come first, wherever they stand in the body.
    request.system.splice(0..0, instructions.map(|text| (text, None)));
    if let Some(only) = only {
        request.tools.retain(|tool| only.contains(&tool.name));
    }
    Ok(request)
}

#[derive(Default)]
struct Reader<'a> {
    request: Request<'a>,
    instructions: Option<Cow<'a, str>>,
    /// The tools of the choice: others are not offered.
    only: Option<Vec<Cow<'a, str>>>,
}

impl<'a> Reader<'a> {
    fn field(&mut self, key: &str, raw: &'a [u8]) -> Result<(), CannotSay> {
        let request = &mut self.request;
        match key {
            "model" => {}
            "input" => items::read(request, raw)?,
            "instructions" => self.instructions = Some(Cow::Owned(get::<String>(raw, key)?)),
            "tools" => {
                for offered in get::<Vec<OfferedTool<'a>>>(raw, key)? {
                    tool(request, offered)?;
                }
            }
            "tool_choice" => self.choice(raw)?,
            "parallel_tool_calls" => request.parallel = Some(get(raw, key)?),
            "max_output_tokens" => request.max_tokens = Some(get(raw, key)?),
            "temperature" => request.temperature = Some(raw),
            "top_p" => request.top_p = Some(raw),
            "user" => request.user = Some(Cow::Owned(get::<String>(raw, key)?)),
            "stream" => request.stream = get(raw, key)?,
            "text" => text(request, raw)?,
            "reasoning" => reasoning(request, raw)?,
            "include" => {
                for wanted in get::<Vec<String>>(raw, key)? {
                    if !INCLUDED.contains(&wanted.as_str()) {
                        return cannot(key, &format!("the target cannot tell `{wanted}`"));
                    }
                }
            }
            "store" if raw == b"false" => {}
            "store" => return cannot(key, NOTHING_KEPT),
            "background" if raw == b"false" => {}
            "background" | "previous_response_id" | "conversation" | "prompt" => return cannot(key, NOTHING_KEPT),
            "truncation" if raw == b"\"disabled\"" => {}
            "service_tier" if matches!(raw, b"\"auto\"" | b"\"default\"") => {}
            "service_tier" => request.rare.push(("service_tier", raw)),
            "top_logprobs" if raw == b"0" => {}
            _ if HARMLESS.contains(&key) => {}
            _ => return cannot(key, NO_WORD),
        }
        Ok(())
    }

    fn choice(&mut self, raw: &'a [u8]) -> Result<(), CannotSay> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Chosen<'a> {
            #[serde(borrow, rename = "type")]
            kind: Cow<'a, str>,
            #[serde(borrow, default)]
            name: Option<Cow<'a, str>>,
            #[serde(borrow, default)]
            mode: Option<Cow<'a, str>>,
            #[serde(borrow, default)]
            tools: Option<Vec<Allowed<'a>>>,
        }
        #[derive(Deserialize)]
        struct Allowed<'a> {
            #[serde(borrow, rename = "type")]
            kind: Cow<'a, str>,
            #[serde(borrow, default)]
            name: Option<Cow<'a, str>>,
        }
        let choice = match raw {
            b"\"auto\"" => Choice::Auto,
            b"\"none\"" => Choice::None,
            b"\"required\"" => Choice::Any,
            _ => {
                let Chosen { kind, name, mode, tools } = get(raw, "tool_choice")?;
                match (&*kind, name, mode.as_deref(), tools) {
                    ("function" | "custom", Some(name), ..) => Choice::Named(name),
                    ("allowed_tools", _, Some(mode @ ("auto" | "required")), Some(tools)) => {
                        let names = tools.into_iter().map(|tool| match (&*tool.kind, tool.name) {
                            ("function" | "custom", Some(name)) => Ok(name),
                            (kind, _) => cannot("tool_choice.tools", &format!("the target has no tool of type `{kind}`")),
                        });
                        self.only = Some(names.collect::<Result<_, _>>()?);
                        if mode == "auto" { Choice::Auto } else { Choice::Any }
                    }
                    (kind, ..) => return cannot("tool_choice", &format!("the target has no tool of type `{kind}`")),
                }
            }
        };
        self.request.choice = Some(choice);
        Ok(())
    }
}

#[derive(Deserialize)]
struct OfferedTool<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
    /// The grammar of a text.
    #[serde(borrow, default)]
    format: Option<Kind<'a>>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

fn tool<'a>(request: &mut Request<'a>, offered: OfferedTool<'a>) -> Result<(), CannotSay> {
    let OfferedTool { kind, name, description, parameters, strict, format } = offered;
    let tool = match (&*kind, name) {
        ("function", Some(name)) => Tool { name, description, schema: parameters.map(|schema| schema.get().as_bytes()), strict },
        ("custom", Some(name)) => {
            if format.is_some_and(|format| format.kind != "text") {
                return cannot("tools[].format", "the target cannot hold a text to a grammar");
            }
            request.custom_tools.insert(name.to_string());
            Tool { name, description, schema: Some(CUSTOM_SCHEMA), strict: None }
        }
        ("function" | "custom", None) => return cannot("tools[].name", "a tool must have a name"),
        (kind, _) => return cannot("tools[].type", &format!("the target runs no tools by itself, such as `{kind}`")),
    };
    request.tools.push(tool);
    Ok(())
}

/// The arguments that stand for the text that a tool is given.
pub(super) fn custom_arguments(input: &str) -> Vec<u8> {
    let mut out = format!("{{\"{CUSTOM_INPUT}\":").into_bytes();
    crate::json::write_text(&mut out, input);
    out.push(b'}');
    out
}

fn text<'a>(request: &mut Request<'a>, raw: &'a [u8]) -> Result<(), CannotSay> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Text<'a> {
        #[serde(borrow, default)]
        format: Option<Format<'a>>,
        #[serde(borrow, default)]
        verbosity: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Format<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow, default)]
        schema: Option<&'a RawValue>,
    }
    let Text { format, verbosity } = get(raw, "text")?;
    if let Some(verbosity) = verbosity.filter(|verbosity| !matches!(verbosity.get(), "null" | "\"medium\"")) {
        request.rare.push(("text.verbosity", verbosity.get().as_bytes()));
    }
    let Some(format) = format else { return Ok(()) };
    match (&*format.kind, format.schema) {
        ("text", _) => {}
        ("json_object", _) => request.json = true,
        ("json_schema", Some(schema)) => request.schema = Some(schema.get().as_bytes()),
        _ => return cannot("text.format", "it is `json_schema` with a schema, `json_object` or `text`"),
    }
    Ok(())
}

/// How much to think. Thoughts are told wherever the target tells them, whether a summary is asked for or not.
fn reasoning(request: &mut Request<'_>, raw: &[u8]) -> Result<(), CannotSay> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Reasoning {
        #[serde(default)]
        effort: Option<String>,
        #[serde(default, rename = "summary")]
        _summary: Option<String>,
        #[serde(default, rename = "generate_summary")]
        _generate_summary: Option<String>,
    }
    request.effort = get::<Reasoning>(raw, "reasoning")?.effort.map(Cow::Owned);
    Ok(())
}
