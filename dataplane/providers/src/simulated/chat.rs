//! `/v1/chat/completions` and `/v1/completions`, as OpenAI answers them.

use serde_json::{Value, json};
use snapshot::Simulated;

use super::asked::Asked;
use super::words::{self, Dice};
use super::{Bad, Emitted, Made, schema};

/// A fixed day: the machine's clock is not for translators.
const CREATED: u64 = 1_767_225_600;

/// What one choice says.
struct Choice {
    tokens: Vec<String>,
    /// Id, name, arguments.
    calls: Vec<(String, String, String)>,
    finish: &'static str,
}

impl Choice {
    fn make(asked: &Asked, config: &Simulated, dice: &mut Dice) -> Self {
        let calls: Vec<_> = asked
            .called()
            .into_iter()
            .map(|tool| (dice.id("call_", 24), tool.name.clone(), schema::satisfy(&tool.schema, "Lisbon").to_string()))
            .collect();
        if !calls.is_empty() {
            return Self { tokens: Vec::new(), calls, finish: "tool_calls" };
        }
        if let Some(wanted) = &asked.json {
            let value = wanted.as_ref().map_or_else(|| json!({ "answer": "simulated" }), |schema| schema::satisfy(schema, "simulated"));
            return Self { tokens: words::split(&value.to_string()), calls, finish: "stop" };
        }
        let (budget, cut) = asked.budget(config.answer_tokens);
        let mut tokens = words::answer(asked, budget, dice);
        let stopped = asked.stopped(&mut tokens).is_some();
        Self { tokens, calls, finish: if cut && !stopped { "length" } else { "stop" } }
    }

    fn tokens(&self) -> u64 {
        let called: usize = self.calls.iter().map(|(_, _, arguments)| arguments.len().div_ceil(4) + 4).sum();
        (self.tokens.len() + called) as u64
    }

    fn message(&self) -> Value {
        let content = if self.calls.is_empty() { json!(self.tokens.concat()) } else { Value::Null };
        let mut message = json!({ "role": "assistant", "content": content, "refusal": null, "annotations": [] });
        if !self.calls.is_empty() {
            let calls = self
                .calls
                .iter()
                .map(|(id, name, arguments)| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }));
            message["tool_calls"] = calls.collect();
        }
        message
    }
}

fn usage(asked: &Asked, completion: u64) -> Value {
    let prompt = asked.prompt_tokens();
    json!({
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0 },
    })
}

pub(super) fn answer(asked: &Asked, config: &Simulated, mut dice: Dice) -> Result<Made, Bad> {
    let id = dice.id("chatcmpl-", 29);
    let choices: Vec<Choice> = (0..asked.choices).map(|_| Choice::make(asked, config, &mut dice)).collect();
    let usage = usage(asked, choices.iter().map(Choice::tokens).sum());
    if !asked.stream {
        let listed = choices.iter().enumerate().map(
            |(index, choice)| json!({ "index": index, "message": choice.message(), "logprobs": null, "finish_reason": choice.finish }),
        );
        return Ok(Made::Whole(json!({
            "id": id, "object": "chat.completion", "created": CREATED, "model": asked.model, "choices": listed.collect::<Value>(), "usage": usage,
            "service_tier": "default", "system_fingerprint": "fp_simulated",
        })));
    }
    let mut chunks = Chunks { id, asked, object: "chat.completion.chunk", events: Vec::new() };
    for (index, choice) in choices.iter().enumerate() {
        stream_choice(&mut chunks, index, choice);
    }
    Ok(Made::Stream(chunks.end(&usage)))
}

fn stream_choice(chunks: &mut Chunks<'_>, index: usize, choice: &Choice) {
    let delta = |delta: Value, finish: Value| json!([{ "index": index, "delta": delta, "logprobs": null, "finish_reason": finish }]);
    let content = if choice.calls.is_empty() { json!("") } else { Value::Null };
    chunks.push(delta(json!({ "role": "assistant", "content": content, "refusal": null }), Value::Null), false);
    for token in &choice.tokens {
        chunks.push(delta(json!({ "content": token }), Value::Null), true);
    }
    for (place, (id, name, arguments)) in choice.calls.iter().enumerate() {
        let opened = json!({ "index": place, "id": id, "type": "function", "function": { "name": name, "arguments": "" } });
        chunks.push(delta(json!({ "tool_calls": [opened] }), Value::Null), false);
        for piece in words::split(arguments) {
            chunks.push(delta(json!({ "tool_calls": [{ "index": place, "function": { "arguments": piece } }] }), Value::Null), true);
        }
    }
    chunks.push(delta(json!({}), json!(choice.finish)), false);
}

/// `/v1/completions`: the same words without a conversation.
pub(super) fn complete(asked: &Asked, config: &Simulated, mut dice: Dice) -> Result<Made, Bad> {
    let id = dice.id("cmpl-", 29);
    let choices: Vec<Choice> = (0..asked.choices).map(|_| Choice::make(asked, config, &mut dice)).collect();
    let usage = usage(asked, choices.iter().map(Choice::tokens).sum());
    let choice =
        |index: usize, text: &str, finish: Value| json!({ "text": text, "index": index, "logprobs": null, "finish_reason": finish });
    if !asked.stream {
        let listed = choices.iter().enumerate().map(|(index, made)| choice(index, &made.tokens.concat(), json!(made.finish)));
        return Ok(Made::Whole(json!({
            "id": id, "object": "text_completion", "created": CREATED, "model": asked.model, "choices": listed.collect::<Value>(), "usage": usage,
        })));
    }
    let mut chunks = Chunks { id, asked, object: "text_completion", events: Vec::new() };
    for (index, made) in choices.iter().enumerate() {
        for token in &made.tokens {
            chunks.push(json!([choice(index, token, Value::Null)]), true);
        }
        chunks.push(json!([choice(index, "", json!(made.finish))]), false);
    }
    Ok(Made::Stream(chunks.end(&usage)))
}

struct Chunks<'a> {
    id: String,
    asked: &'a Asked,
    object: &'static str,
    events: Vec<Emitted>,
}

impl Chunks<'_> {
    fn chunk(&self, choices: Value, usage: Value) -> Value {
        let mut chunk = json!({
            "id": self.id, "object": self.object, "created": CREATED, "model": self.asked.model, "choices": choices, "system_fingerprint": "fp_simulated",
        });
        if self.asked.include_usage {
            chunk["usage"] = usage;
        }
        chunk
    }

    fn push(&mut self, choices: Value, paced: bool) {
        let event = Emitted::data(&self.chunk(choices, Value::Null));
        self.events.push(if paced { event.paced() } else { event });
    }

    fn end(mut self, usage: &Value) -> Vec<Emitted> {
        if self.asked.include_usage {
            let last = self.chunk(json!([]), usage.clone());
            self.events.push(Emitted::data(&last));
        }
        self.events.push(Emitted { text: "data: [DONE]\n\n".to_owned(), paced: false });
        self.events
    }
}
