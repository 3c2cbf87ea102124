//! `/v1/responses`, as OpenAI answers it.

use serde_json::{Value, json};
use snapshot::Simulated;

use super::asked::Asked;
use super::words::{self, Dice};
use super::{Bad, Emitted, Made, schema};

const CREATED: u64 = 1_767_225_600;

/// One item of the output.
enum Item {
    Message { id: String, tokens: Vec<String> },
    Call { id: String, call_id: String, name: String, arguments: String },
}

impl Item {
    fn json(&self, status: &str) -> Value {
        match self {
            Self::Message { id, tokens } => {
                let content = if status == "in_progress" { json!([]) } else { json!([part(&tokens.concat())]) };
                json!({ "id": id, "type": "message", "status": status, "content": content, "role": "assistant" })
            }
            Self::Call { id, call_id, name, arguments } => {
                let arguments = if status == "in_progress" { "" } else { arguments };
                json!({ "id": id, "type": "function_call", "status": status, "arguments": arguments, "call_id": call_id, "name": name })
            }
        }
    }
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}

pub(super) fn answer(asked: &Asked, config: &Simulated, mut dice: Dice) -> Result<Made, Bad> {
    let id = dice.id("resp_", 48);
    let mut cut = false;
    let mut items: Vec<Item> = Vec::new();
    for tool in asked.called() {
        let arguments = schema::satisfy(&tool.schema, "Lisbon").to_string();
        items.push(Item::Call { id: dice.id("fc_", 48), call_id: dice.id("call_", 24), name: tool.name.clone(), arguments });
    }
    if items.is_empty() {
        let tokens = if let Some(wanted) = &asked.json {
            let value = wanted.as_ref().map_or_else(|| json!({ "answer": "simulated" }), |schema| schema::satisfy(schema, "simulated"));
            words::split(&value.to_string())
        } else {
            let (budget, short) = asked.budget(config.answer_tokens);
            cut = short;
            words::answer(asked, budget, &mut dice)
        };
        items.push(Item::Message { id: dice.id("msg_", 48), tokens });
    }
    let output_tokens: usize = items
        .iter()
        .map(|item| match item {
            Item::Message { tokens, .. } => tokens.len(),
            Item::Call { arguments, .. } => arguments.len().div_ceil(4) + 4,
        })
        .sum();
    let prompt = asked.prompt_tokens();
    let usage = json!({
        "input_tokens": prompt, "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 }, "output_tokens": output_tokens,
        "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": prompt + output_tokens as u64,
    });
    let status = if cut { "incomplete" } else { "completed" };
    let mut whole = frame(&id, asked, status);
    whole["incomplete_details"] = if cut { json!({ "reason": "max_output_tokens" }) } else { Value::Null };
    whole["output"] = items.iter().map(|item| item.json(status)).collect();
    whole["usage"] = usage;
    if asked.stream { Ok(Made::Stream(stream(&id, asked, &items, &whole, status))) } else { Ok(Made::Whole(whole)) }
}

fn frame(id: &str, asked: &Asked, status: &str) -> Value {
    json!({
        "id": id, "object": "response", "created_at": CREATED, "status": status, "background": false, "error": null, "incomplete_details": null,
        "instructions": null, "max_output_tokens": asked.tokens_max, "model": asked.model, "output": [], "parallel_tool_calls": asked.parallel,
        "previous_response_id": null, "reasoning": { "effort": null, "summary": null }, "service_tier": "default", "store": false,
        "temperature": 1.0, "text": { "format": { "type": "text" } }, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "truncation": "disabled", "metadata": {},
    })
}

/// Numbers events as they are said.
struct Saying {
    events: Vec<Emitted>,
    number: u64,
}

impl Saying {
    fn say(&mut self, name: &str, mut value: Value, paced: bool) {
        value["type"] = json!(name);
        value["sequence_number"] = json!(self.number);
        self.number += 1;
        let event = Emitted::named(name, &value);
        self.events.push(if paced { event.paced() } else { event });
    }
}

fn stream(id: &str, asked: &Asked, items: &[Item], whole: &Value, status: &str) -> Vec<Emitted> {
    let mut saying = Saying { events: Vec::new(), number: 0 };
    let begun = frame(id, asked, "in_progress");
    saying.say("response.created", json!({ "type": "", "response": begun }), false);
    saying.say("response.in_progress", json!({ "type": "", "response": begun }), false);
    for (index, item) in items.iter().enumerate() {
        saying.say("response.output_item.added", json!({ "type": "", "output_index": index, "item": item.json("in_progress") }), false);
        match item {
            Item::Message { id, tokens } => {
                let at = |mut value: Value| {
                    value["item_id"] = json!(id);
                    value["output_index"] = json!(index);
                    value["content_index"] = json!(0);
                    value
                };
                let text = tokens.concat();
                saying.say("response.content_part.added", at(json!({ "type": "", "part": part("") })), false);
                for token in tokens {
                    saying.say("response.output_text.delta", at(json!({ "type": "", "delta": token, "logprobs": [] })), true);
                }
                saying.say("response.output_text.done", at(json!({ "type": "", "text": text, "logprobs": [] })), false);
                saying.say("response.content_part.done", at(json!({ "type": "", "part": part(&text) })), false);
            }
            Item::Call { id, arguments, name, .. } => {
                for piece in words::split(arguments) {
                    saying.say(
                        "response.function_call_arguments.delta",
                        json!({ "type": "", "item_id": id, "output_index": index, "delta": piece }),
                        true,
                    );
                }
                let done = json!({ "type": "", "item_id": id, "output_index": index, "arguments": arguments, "name": name });
                saying.say("response.function_call_arguments.done", done, false);
            }
        }
        saying.say("response.output_item.done", json!({ "type": "", "output_index": index, "item": item.json(status) }), false);
    }
    saying.say(&format!("response.{status}"), json!({ "type": "", "response": whole }), false);
    saying.events
}
