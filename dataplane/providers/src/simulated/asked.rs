//! What a request asks of the simulated provider, in one shape for all surfaces.

#![expect(clippy::wildcard_enum_match_arm, reason = "the kinds of JSON values are not ours")]

use serde_json::Value;

use super::Bad;

/// A tool that is offered.
#[derive(Debug, Clone)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) schema: Value,
}

/// Whether tools are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    Auto,
    None,
    Any,
    Named(String),
}

/// The request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) model: String,
    /// All text, for the count of tokens.
    pub(super) prompt_bytes: usize,
    pub(super) user_text: String,
    pub(super) tool_result: Option<String>,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) choices: u64,
    pub(super) tokens_max: Option<u32>,
    pub(super) stop: Vec<String>,
    pub(super) tools: Vec<Tool>,
    pub(super) choice: Choice,
    /// Calls of more than one tool in one answer are welcome.
    pub(super) parallel: bool,
    /// The answer must be JSON; with a schema or any object.
    pub(super) json: Option<Option<Value>>,
}

fn bad<T>(message: &str, param: &'static str) -> Result<T, Bad> {
    Err(Bad { message: message.to_owned(), param: Some(param) })
}

/// The text of a content that is a string or a list of parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

impl Asked {
    fn new(request: &Value) -> Result<Self, Bad> {
        let Some(model) = request["model"].as_str().filter(|model| !model.is_empty()) else {
            return bad("you must provide a model parameter", "model");
        };
        let number = |name: &str| request[name].as_u64().and_then(|number| u32::try_from(number).ok());
        Ok(Self {
            model: model.to_owned(),
            prompt_bytes: 0,
            user_text: String::new(),
            tool_result: None,
            stream: request["stream"].as_bool().unwrap_or(false),
            include_usage: request["stream_options"]["include_usage"].as_bool().unwrap_or(false),
            choices: request["n"].as_u64().unwrap_or(1).clamp(1, 16),
            tokens_max: number("max_completion_tokens").or(number("max_tokens")).or(number("max_output_tokens")),
            stop: strings(&request["stop"]),
            tools: Vec::new(),
            choice: Choice::Auto,
            parallel: request["parallel_tool_calls"].as_bool().unwrap_or(true),
            json: None,
        })
    }

    pub(super) fn of_chat(request: &Value) -> Result<Self, Bad> {
        let mut asked = Self::new(request)?;
        let Some(messages) = request["messages"].as_array().filter(|messages| !messages.is_empty()) else {
            return bad("Invalid type for 'messages': expected a non-empty array of objects.", "messages");
        };
        asked.converse(messages)?;
        asked.openai_tools(request, |tool| &tool["function"]);
        asked.json = match request["response_format"]["type"].as_str() {
            Some("json_object") => Some(None),
            Some("json_schema") => Some(Some(request["response_format"]["json_schema"]["schema"].clone())),
            _ => None,
        };
        Ok(asked)
    }

    pub(super) fn of_completions(request: &Value) -> Result<Self, Bad> {
        let mut asked = Self::new(request)?;
        asked.user_text = strings(&request["prompt"]).join(" ");
        asked.prompt_bytes = asked.user_text.len();
        Ok(asked)
    }

    pub(super) fn of_responses(request: &Value) -> Result<Self, Bad> {
        let mut asked = Self::new(request)?;
        asked.prompt_bytes = request["instructions"].as_str().map_or(0, str::len);
        match &request["input"] {
            Value::String(text) => {
                asked.user_text.clone_from(text);
                asked.prompt_bytes += text.len();
            }
            Value::Array(items) => asked.converse(items)?,
            _ => return bad("Missing required parameter: 'input'.", "input"),
        }
        asked.openai_tools(request, |tool| tool);
        asked.json = match request["text"]["format"]["type"].as_str() {
            Some("json_object") => Some(None),
            Some("json_schema") => Some(Some(request["text"]["format"]["schema"].clone())),
            _ => None,
        };
        Ok(asked)
    }

    pub(super) fn of_messages(request: &Value) -> Result<Self, Bad> {
        let mut asked = Self::new(request)?;
        if request["max_tokens"].as_u64().is_none_or(|tokens| tokens == 0) {
            return bad("max_tokens: Field required", "max_tokens");
        }
        let Some(messages) = request["messages"].as_array().filter(|messages| !messages.is_empty()) else {
            return bad("messages: at least one message is required", "messages");
        };
        asked.prompt_bytes = text_of(&request["system"]).len();
        asked.converse(messages)?;
        asked.stop = strings(&request["stop_sequences"]);
        asked.tools = tools(&request["tools"], |tool| (&tool["name"], &tool["input_schema"]));
        asked.choice = match (request["tool_choice"]["type"].as_str(), request["tool_choice"]["name"].as_str()) {
            (Some("any"), _) => Choice::Any,
            (Some("none"), _) => Choice::None,
            (Some("tool"), Some(name)) => Choice::Named(name.to_owned()),
            _ => Choice::Auto,
        };
        asked.parallel = request["tool_choice"]["disable_parallel_tool_use"] != Value::Bool(true);
        if request["output_config"]["format"]["type"] == "json_schema" {
            asked.json = Some(Some(request["output_config"]["format"]["schema"].clone()));
        }
        Ok(asked)
    }

    /// Takes the conversation in: the last text of the user, or the result of a tool when that came last.
    fn converse(&mut self, messages: &[Value]) -> Result<(), Bad> {
        for message in messages {
            let Some(object) = message.as_object() else { return bad("Invalid type for 'messages[0]': expected an object.", "messages") };
            let kind = object.get("type").and_then(Value::as_str);
            let role = object.get("role").and_then(Value::as_str);
            let text = text_of(&message["content"]);
            self.prompt_bytes += text.len();
            if kind == Some("function_call_output") {
                self.tool_result = Some(text_of(&message["output"]));
            } else if role == Some("tool") {
                self.tool_result = Some(text);
            } else if role == Some("user") {
                let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
                let result = blocks.iter().rev().find(|block| block["type"] == "tool_result");
                self.tool_result = result.map(|block| text_of(&block["content"]));
                self.user_text = text;
            } else if role.is_none() && kind.is_none() {
                return bad("Missing required parameter: 'messages[0].role'.", "messages");
            }
        }
        Ok(())
    }

    fn openai_tools(&mut self, request: &Value, inside: impl Fn(&Value) -> &Value) {
        self.tools = tools(&request["tools"], |tool| (&inside(tool)["name"], &inside(tool)["parameters"]));
        let choice = &request["tool_choice"];
        self.choice = match choice.as_str() {
            Some("none") => Choice::None,
            Some("required") => Choice::Any,
            _ => inside(choice)["name"].as_str().map_or(Choice::Auto, |name| Choice::Named(name.to_owned())),
        };
    }

    /// Which tools this answer calls: what is forced, or what the user's text names.
    pub(super) fn called(&self) -> Vec<&Tool> {
        let forced = matches!(self.choice, Choice::Any | Choice::Named(_));
        if self.choice == Choice::None || (self.tool_result.is_some() && !forced) {
            return Vec::new();
        }
        if let Choice::Named(name) = &self.choice {
            return self.tools.iter().filter(|tool| tool.name == *name).collect();
        }
        let said = self.user_text.to_lowercase();
        let named = self
            .tools
            .iter()
            .filter(|tool| said.contains(&tool.name.to_lowercase()) || said.contains(&tool.name.replace('_', " ").to_lowercase()));
        let mut called: Vec<&Tool> = named.collect();
        if called.is_empty() && (forced || said.contains("use a tool")) {
            called.extend(self.tools.first());
        }
        if !self.parallel {
            called.truncate(1);
        }
        called
    }

    /// Tokens of the prompt, by the rule of thumb that one has four bytes.
    pub(super) fn prompt_tokens(&self) -> u64 {
        (self.prompt_bytes as u64).div_ceil(4).max(1)
    }

    /// How many tokens an answer may have, and whether that cuts it.
    pub(super) fn budget(&self, usual: u32) -> (u32, bool) {
        match self.tokens_max {
            Some(max) if max < usual => (max, true),
            _ => (usual.max(1), false),
        }
    }

    /// Cuts tokens at the first stop text; gives the text that stopped it.
    pub(super) fn stopped(&self, tokens: &mut Vec<String>) -> Option<String> {
        let text = tokens.concat();
        let (at, stop) =
            self.stop.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| Some((text.find(stop.as_str())?, stop))).min()?;
        *tokens = super::words::split(&text[..at]);
        Some(stop.clone())
    }
}

fn tools<'a>(list: &'a Value, parts: impl Fn(&'a Value) -> (&'a Value, &'a Value)) -> Vec<Tool> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let named = list.iter().filter_map(|tool| {
        let (name, schema) = parts(tool);
        Some(Tool { name: name.as_str()?.to_owned(), schema: schema.clone() })
    });
    named.collect()
}
