//! Requests, read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Extra, ToolCall, is_object, parts};
use crate::passage::CannotSay;
use crate::translate::chat::{Choice, NO_WORD, Part, Request, Role, Tool, cannot, fields, get, safe_id, say, system};

/// Fields that some targets have a word for.
const RARE: [&str; 5] = ["seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"];

/// Fields of a request that say nothing to a model.
const HARMLESS: [&str; 6] = ["metadata", "store", "prompt_cache_key", "safety_identifier", "prompt_cache_retention", "modalities"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow, default)]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    thinking_blocks: Option<Vec<ThinkingBlock<'a>>>,
    /// An alias of `reasoning_content` in answers that clients send back.
    #[serde(borrow, default, rename = "reasoning")]
    _reasoning: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "refusal")]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "annotations")]
    _annotations: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "name")]
    _name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_plan: Option<Cow<'a, str>>,
    /// Where LiteLLM, as a client, keeps fields of an answer that it does not know, and sends them back.
    #[serde(borrow, default)]
    provider_specific_fields: Option<Kept<'a>>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Kept<'a> {
    #[serde(borrow, default)]
    tool_plan: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ThinkingBlock<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct OfferedTool<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    function: Option<OfferedFunction<'a>>,
}

#[derive(Deserialize)]
struct OfferedFunction<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
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
        "messages" => messages(request, get(raw, key)?)?,
        "tools" => request.tools = get::<Vec<OfferedTool<'a>>>(raw, key)?.into_iter().map(tool).collect::<Result<_, _>>()?,
        "tool_choice" => request.choice = Some(choice(raw)?),
        "parallel_tool_calls" => request.parallel = Some(get(raw, key)?),
        "max_tokens" | "max_completion_tokens" => request.max_tokens = Some(get(raw, key)?),
        "temperature" => request.temperature = Some(raw),
        "top_p" => request.top_p = Some(raw),
        "stop" => {
            request.stop = if raw.starts_with(b"[") {
                get::<Vec<String>>(raw, key)?.into_iter().map(Cow::Owned).collect()
            } else {
                vec![Cow::Owned(get::<String>(raw, key)?)]
            };
        }
        "user" => request.user = Some(Cow::Owned(get::<String>(raw, key)?)),
        "reasoning_effort" => request.effort = Some(Cow::Owned(get::<String>(raw, key)?)),
        "stream" => request.stream = get(raw, key)?,
        "stream_options" => {
            #[derive(Deserialize)]
            struct Options {
                #[serde(default)]
                include_usage: Option<bool>,
            }
            request.include_usage = get::<Options>(raw, key)?.include_usage.unwrap_or(false);
        }
        "response_format" => format(request, raw)?,
        // Their neutral values change nothing, so that clients that always send them are served.
        "n" if raw == b"1" => {}
        "presence_penalty" | "frequency_penalty" if matches!(raw, b"0" | b"0.0") => {}
        "logprobs" if raw == b"false" => {}
        "logit_bias" if raw.iter().all(|byte| b"{} \n\r\t".contains(byte)) => {}
        "verbosity" if raw == b"\"medium\"" => {}
        "service_tier" if matches!(raw, b"\"auto\"" | b"\"default\"") => {}
        "modalities" if raw.windows(5).any(|window| window == b"audio") => return cannot(key, "the target makes no audio"),
        _ if HARMLESS.contains(&key) => {}
        _ => match RARE.into_iter().find(|rare| *rare == key) {
            Some(rare) => request.rare.push((rare, raw)),
            None => return cannot(key, NO_WORD),
        },
    }
    Ok(())
}

fn format<'a>(request: &mut Request<'a>, raw: &'a [u8]) -> Result<(), CannotSay> {
    #[derive(Deserialize)]
    struct Format<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow, default)]
        json_schema: Option<Schema<'a>>,
    }
    #[derive(Deserialize)]
    struct Schema<'a> {
        #[serde(borrow, default)]
        schema: Option<&'a RawValue>,
    }
    let format: Format<'a> = get(raw, "response_format")?;
    match (&*format.kind, format.json_schema.and_then(|json| json.schema)) {
        ("text", _) => {}
        ("json_object", _) => request.json = true,
        ("json_schema", Some(schema)) => request.schema = Some(schema.get().as_bytes()),
        _ => return cannot("response_format", "it is `json_schema` with a schema, `json_object` or `text`"),
    }
    Ok(())
}

fn tool(offered: OfferedTool<'_>) -> Result<Tool<'_>, CannotSay> {
    match (&*offered.kind, offered.function) {
        ("function", Some(function)) => Ok(Tool {
            name: function.name,
            description: function.description,
            schema: function.parameters.map(|schema| schema.get().as_bytes()),
            strict: function.strict,
        }),
        (kind, _) => cannot("tools", &format!("the target takes tools of type `function`, not `{kind}`")),
    }
}

fn choice(raw: &[u8]) -> Result<Choice<'_>, CannotSay> {
    #[derive(Deserialize)]
    struct Forced<'a> {
        #[serde(borrow)]
        function: Named<'a>,
    }
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    match raw {
        b"\"auto\"" => Ok(Choice::Auto),
        b"\"none\"" => Ok(Choice::None),
        b"\"required\"" => Ok(Choice::Any),
        _ => get::<Forced<'_>>(raw, "tool_choice").map(|forced| Choice::Named(forced.function.name)),
    }
}

fn messages<'a>(request: &mut Request<'a>, messages: Vec<Message<'a>>) -> Result<(), CannotSay> {
    for message in messages {
        if message.audio.is_some() || message.function_call.is_some() {
            return cannot("messages[].audio", "the target's dialect has neither audio nor `function_call`; use `tool_calls`");
        }
        match &*message.role {
            "system" | "developer" => {
                let parts = parts(message.content)?;
                // What comes later in the conversation stays there, as the user's: the target knows no other place.
                if request.turns.is_empty() {
                    system(request, parts, "messages[].content")?;
                } else {
                    say(request, Role::User, parts);
                }
            }
            "user" => {
                let parts = parts(message.content)?;
                say(request, Role::User, parts);
            }
            "tool" | "function" => {
                let Some(id) = message.tool_call_id else {
                    return cannot("messages[].tool_call_id", "a tool's message must name the call that it answers");
                };
                let parts = parts(message.content)?;
                say(request, Role::User, vec![Part::Result { id: Cow::Owned(safe_id(&id).into_owned()), parts, is_error: false }]);
            }
            "assistant" => {
                let parts = assistant(message)?;
                say(request, Role::Assistant, parts);
            }
            role => return cannot("messages[].role", &format!("there is no role `{role}`")),
        }
    }
    Ok(())
}

fn assistant(message: Message<'_>) -> Result<Vec<Part<'_>>, CannotSay> {
    let mut all = Vec::new();
    match message.thinking_blocks {
        Some(blocks) => all.extend(blocks.into_iter().map(|block| match (&*block.kind, block.data) {
            ("redacted_thinking", Some(data)) => Part::Redacted { data },
            _ => Part::Thinking { text: block.thinking.unwrap_or_default(), signature: block.signature },
        })),
        // Without a signature the target would refuse it; it is the model's own and no part of what was asked.
        None => drop(message.reasoning_content),
    }
    let plan = message.tool_plan.or_else(|| message.provider_specific_fields.and_then(|kept| kept.tool_plan));
    all.extend(plan.filter(|plan| !plan.is_empty()).map(Part::Plan));
    all.extend(parts(message.content)?);
    if let Some(refusal) = message.refusal {
        all.push(Part::Text { text: refusal, cache: None });
    }
    for (place, call) in message.tool_calls.into_iter().flatten().enumerate() {
        let arguments = call.function.arguments.unwrap_or_default();
        // Some models say `null` where there are none, and clients repeat it.
        let none = matches!(arguments.trim(), "" | "null");
        let input = if none { Cow::Borrowed(&b"{}"[..]) } else { Cow::Owned(arguments.into_owned().into_bytes()) };
        if !is_object(&input) {
            return cannot(&format!("messages[].tool_calls[{place}].function.arguments"), "they are not a JSON object");
        }
        let id = Cow::Owned(safe_id(call.id.as_deref().unwrap_or_default()).into_owned());
        all.push(Part::Call { id, name: call.function.name, input, seal: call.extra_content.and_then(Extra::seal) });
    }
    Ok(all)
}
