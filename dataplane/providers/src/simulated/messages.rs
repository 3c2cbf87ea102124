//! `/v1/messages`, as Anthropic answers it.

use serde_json::{Value, json};
use snapshot::Simulated;

use super::asked::Asked;
use super::words::{self, Dice};
use super::{Bad, Emitted, Made, schema};

/// What the answer holds.
struct Content {
    tokens: Vec<String>,
    /// Id, name, input.
    calls: Vec<(String, String, Value)>,
    stop_reason: &'static str,
    stop_sequence: Option<String>,
}

fn content(asked: &Asked, config: &Simulated, dice: &mut Dice) -> Content {
    let calls: Vec<_> = asked
        .called()
        .into_iter()
        .map(|tool| (dice.id("toolu_01", 22), tool.name.clone(), schema::satisfy(&tool.schema, "Lisbon")))
        .collect();
    if !calls.is_empty() {
        return Content { tokens: Vec::new(), calls, stop_reason: "tool_use", stop_sequence: None };
    }
    if let Some(wanted) = &asked.json {
        let value = wanted.as_ref().map_or_else(|| json!({ "answer": "simulated" }), |schema| schema::satisfy(schema, "simulated"));
        return Content { tokens: words::split(&value.to_string()), calls, stop_reason: "end_turn", stop_sequence: None };
    }
    let (budget, cut) = asked.budget(config.answer_tokens);
    let mut tokens = words::answer(asked, budget, dice);
    let stop_sequence = asked.stopped(&mut tokens);
    let stop_reason = match (&stop_sequence, cut) {
        (Some(_), _) => "stop_sequence",
        (None, true) => "max_tokens",
        (None, false) => "end_turn",
    };
    Content { tokens, calls, stop_reason, stop_sequence }
}

fn usage(asked: &Asked, output: u64) -> Value {
    json!({
        "input_tokens": asked.prompt_tokens(), "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0 }, "output_tokens": output, "service_tier": "standard",
    })
}

pub(super) fn answer(asked: &Asked, config: &Simulated, mut dice: Dice) -> Result<Made, Bad> {
    let id = dice.id("msg_01", 22);
    let content = content(asked, config, &mut dice);
    let called: usize = content.calls.iter().map(|(_, _, input)| input.to_string().len().div_ceil(4) + 4).sum();
    let output = (content.tokens.len() + called) as u64;
    let mut message = json!({
        "id": id, "type": "message", "role": "assistant", "model": asked.model, "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": usage(asked, output),
    });
    if asked.stream {
        message["usage"]["output_tokens"] = json!(1);
        return Ok(Made::Stream(stream(&message, &content, output)));
    }
    let text = (!content.tokens.is_empty()).then(|| json!({ "type": "text", "text": content.tokens.concat() }));
    let calls = content.calls.iter().map(|(id, name, input)| json!({ "type": "tool_use", "id": id, "name": name, "input": input }));
    message["content"] = text.into_iter().chain(calls).collect();
    message["stop_reason"] = json!(content.stop_reason);
    message["stop_sequence"] = json!(content.stop_sequence);
    Ok(Made::Whole(message))
}

fn stream(message: &Value, content: &Content, output: u64) -> Vec<Emitted> {
    let mut events = Vec::new();
    let mut say = |name: &str, mut value: Value, paced: bool| {
        value["type"] = json!(name);
        let event = Emitted::named(name, &value);
        events.push(if paced { event.paced() } else { event });
    };
    say("message_start", json!({ "type": "", "message": message }), false);
    let mut index = 0;
    let mut ping = true;
    if !content.tokens.is_empty() {
        say("content_block_start", json!({ "type": "", "index": index, "content_block": { "type": "text", "text": "" } }), false);
        say("ping", json!({ "type": "" }), false);
        ping = false;
        for token in &content.tokens {
            say("content_block_delta", json!({ "type": "", "index": index, "delta": { "type": "text_delta", "text": token } }), true);
        }
        say("content_block_stop", json!({ "type": "", "index": index }), false);
        index += 1;
    }
    for (id, name, input) in &content.calls {
        let block = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
        say("content_block_start", json!({ "type": "", "index": index, "content_block": block }), false);
        if std::mem::take(&mut ping) {
            say("ping", json!({ "type": "" }), false);
        }
        for piece in std::iter::once(String::new()).chain(words::split(&input.to_string())) {
            say(
                "content_block_delta",
                json!({ "type": "", "index": index, "delta": { "type": "input_json_delta", "partial_json": piece } }),
                true,
            );
        }
        say("content_block_stop", json!({ "type": "", "index": index }), false);
        index += 1;
    }
    let delta = json!({ "stop_reason": content.stop_reason, "stop_sequence": content.stop_sequence });
    say("message_delta", json!({ "type": "", "delta": delta, "usage": { "output_tokens": output } }), false);
    say("message_stop", json!({ "type": "" }), false);
    events
}
