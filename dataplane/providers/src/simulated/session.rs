//! A session of the Realtime API, played in text. Sound is taken and not listened to.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use snapshot::{Simulated, SimulatedFault, Surface};

use super::asked::Asked;
use super::words::{self, Dice};
use super::{Beat, Heard, Script, fault_of, play};

/// What a session may be told to be, in bytes.
const SESSION_BYTES_MAX: usize = 256 << 10;

/// The provider's end of a session. Each beat of bytes is one message.
#[derive(Debug)]
pub struct Played {
    config: Simulated,
    model: String,
    dice: Dice,
    /// What the client said last, and how much in all.
    said: String,
    said_bytes: usize,
    /// What the session was told to be.
    session: Value,
    fault: Option<SimulatedFault>,
}

impl Played {
    /// Opens a session. `turn` counts the calls of this provider in this process.
    ///
    /// # Errors
    /// The answer instead of one, when a fault was ordered.
    pub fn open(config: &Simulated, model: &str, turn: u64) -> Result<Self, Script> {
        let fault = fault_of(config, turn);
        if let Some(SimulatedFault::Status { .. }) = fault {
            return Err(play(config, Surface::Realtime, Heard::Json(&[]), turn));
        }
        let mut dice = Dice::new(config.seed, model.as_bytes());
        let session = json!({
            "type": "realtime", "object": "realtime.session", "id": dice.id("sess_", 21), "model": model, "output_modalities": ["text"],
        });
        Ok(Self { config: config.clone(), model: model.to_owned(), dice, said: String::new(), said_bytes: 0, session, fault })
    }

    /// What is said first.
    pub fn greeting(&mut self) -> VecDeque<Beat> {
        if let Some(SimulatedFault::Hang { .. }) = self.fault {
            return VecDeque::from([Beat::Hang]);
        }
        let session = self.session.clone();
        let latency = Duration::from_millis(self.config.latency_ms.into());
        let waiting = (!latency.is_zero()).then_some(Beat::Wait(latency));
        waiting.into_iter().chain([self.event(json!({ "type": "session.created", "session": session }))]).collect()
    }

    /// What is said to a message.
    pub fn hears(&mut self, message: &[u8]) -> VecDeque<Beat> {
        let Ok(event) = serde_json::from_slice::<Value>(message) else {
            return [self.refuses("invalid_json", "The message is not JSON.")].into();
        };
        self.said_bytes = self.said_bytes.saturating_add(message.len());
        match event["type"].as_str().unwrap_or_default() {
            "session.update" => [self.becomes(&event["session"])].into(),
            "conversation.item.create" => self.takes(&event["item"]),
            "response.create" => self.answers(),
            "input_audio_buffer.append" => VecDeque::new(),
            "input_audio_buffer.commit" => {
                let item = self.dice.id("item_", 21);
                [self.event(json!({ "type": "input_audio_buffer.committed", "previous_item_id": null, "item_id": item }))].into()
            }
            "input_audio_buffer.clear" => [self.event(json!({ "type": "input_audio_buffer.cleared" }))].into(),
            _ => [self.refuses("invalid_value", "The simulated provider does not know events of this type.")].into(),
        }
    }

    fn event(&mut self, mut event: Value) -> Beat {
        event["event_id"] = self.dice.id("event_", 21).into();
        Beat::Bytes(event.to_string().into())
    }

    fn refuses(&mut self, code: &str, message: &str) -> Beat {
        let error = json!({ "type": "invalid_request_error", "code": code, "message": message, "param": null, "event_id": null });
        self.event(json!({ "type": "error", "error": error }))
    }

    fn becomes(&mut self, wanted: &Value) -> Beat {
        if wanted.to_string().len().saturating_add(self.session.to_string().len()) > SESSION_BYTES_MAX {
            return self.refuses("string_above_max_length", "The simulated provider does not keep so much of a session.");
        }
        let kept = ["id", "object", "model"];
        for (name, value) in wanted.as_object().into_iter().flatten().filter(|(name, _)| !kept.contains(&name.as_str())) {
            self.session[name] = value.clone();
        }
        let session = self.session.clone();
        self.event(json!({ "type": "session.updated", "session": session }))
    }

    fn takes(&mut self, item: &Value) -> VecDeque<Beat> {
        let mut item = item.clone();
        if !item.is_object() {
            return [self.refuses("missing_required_parameter", "`item` must be an object.")].into();
        }
        let texts = item["content"].as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
        self.said = texts.collect::<Vec<_>>().join(" ");
        if item["id"].is_null() {
            item["id"] = self.dice.id("item_", 21).into();
        }
        item["object"] = "realtime.item".into();
        item["status"] = "completed".into();
        ["conversation.item.added", "conversation.item.done"]
            .map(|kind| self.event(json!({ "type": kind, "previous_item_id": null, "item": item })))
            .into()
    }

    fn answers(&mut self) -> VecDeque<Beat> {
        let request = json!({ "model": self.model, "messages": [{ "role": "user", "content": self.said }] });
        let Ok(asked) = Asked::of_chat(&request) else { return [self.refuses("invalid_value", "Nothing was said.")].into() };
        let tokens = words::answer(&asked, self.config.answer_tokens.max(1), &mut self.dice);
        let (id, item) = (self.dice.id("resp_", 21), self.dice.id("item_", 21));
        let text = tokens.concat();
        let place = json!({ "response_id": id, "item_id": item, "output_index": 0, "content_index": 0 });
        let with = |kind: &str, name: &str, value: Value| {
            let mut event = place.clone();
            event["type"] = kind.into();
            event[name] = value;
            event
        };
        let message = |status: &str, content: Value| json!({ "id": item, "object": "realtime.item", "type": "message", "role": "assistant", "status": status, "content": content });
        let part = |text: &str| json!({ "type": "output_text", "text": text });
        let response = |status: &str, output: Value, usage: Value| json!({ "id": id, "object": "realtime.response", "status": status, "status_details": null, "output": output, "usage": usage });
        let input = (self.said_bytes as u64).div_ceil(4).max(1);
        let usage = json!({
            "total_tokens": input + tokens.len() as u64, "input_tokens": input, "output_tokens": tokens.len(),
            "input_token_details": { "text_tokens": input, "audio_tokens": 0, "cached_tokens": 0 },
            "output_token_details": { "text_tokens": tokens.len(), "audio_tokens": 0 },
        });
        let whole = message("completed", json!([part(&text)]));
        let mut beats = VecDeque::from([
            self.event(json!({ "type": "response.created", "response": response("in_progress", json!([]), Value::Null) })),
            self.event(with("response.output_item.added", "item", message("in_progress", json!([])))),
            self.event(with("response.content_part.added", "part", part(""))),
        ]);
        let cut = if let Some(SimulatedFault::Drop { after_tokens, .. }) = self.fault { Some(after_tokens as usize) } else { None };
        let interval = Duration::from_millis(self.config.token_interval_ms.into());
        for (count, token) in tokens.iter().enumerate() {
            if cut == Some(count) {
                beats.push_back(Beat::Drop);
                return beats;
            }
            if count > 0 && !interval.is_zero() {
                beats.push_back(Beat::Wait(interval));
            }
            beats.push_back(self.event(with("response.output_text.delta", "delta", json!(token))));
        }
        if cut.is_some() {
            beats.push_back(Beat::Drop);
            return beats;
        }
        beats.extend([
            self.event(with("response.output_text.done", "text", json!(text))),
            self.event(with("response.content_part.done", "part", part(&text))),
            self.event(with("response.output_item.done", "item", whole.clone())),
            self.event(json!({ "type": "response.done", "response": response("completed", json!([whole]), usage) })),
        ]);
        beats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realtime::Meter;

    fn config(faults: Vec<SimulatedFault>) -> Simulated {
        Simulated { seed: 1, latency_ms: 0, token_interval_ms: 0, answer_tokens: 30, faults }
    }

    fn said(beats: VecDeque<Beat>) -> Vec<Value> {
        let read = |beat| if let Beat::Bytes(bytes) = beat { serde_json::from_slice(&bytes).expect("JSON") } else { Value::Null };
        beats.into_iter().map(read).collect()
    }

    fn types(events: &[Value]) -> Vec<&str> {
        events.iter().map(|event| event["type"].as_str().unwrap_or("none")).collect()
    }

    #[test]
    fn a_conversation_has_the_events_of_a_real_one_and_its_usage_is_found() {
        let mut played = Played::open(&config(Vec::new()), "demo", 0).expect("a session");
        assert_eq!(types(&said(played.greeting())), ["session.created"]);
        let updated = said(played.hears(br#"{"type":"session.update","session":{"instructions":"x","model":"other"}}"#));
        assert_eq!((&updated[0]["session"]["instructions"], &updated[0]["session"]["model"]), (&json!("x"), &json!("demo")));
        let item = br#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"ahoy"}]}}"#;
        assert_eq!(types(&said(played.hears(item))), ["conversation.item.added", "conversation.item.done"]);
        let events = said(played.hears(br#"{"type":"response.create"}"#));
        let text: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
        assert!(text.contains("ahoy") && text.contains("demo"), "{text}");
        let all = types(&events);
        let (first, last) = (all.first(), all.last());
        assert_eq!((first, last), (Some(&"response.created"), Some(&"response.done")));
        let mut meter = Meter::default();
        events.iter().for_each(|event| meter.hears(event.to_string().as_bytes()));
        assert_eq!(meter.facts().usage.map(|usage| usage.completion), Some(30));
        let long = format!(r#"{{"type":"session.update","session":{{"instructions":"{}"}}}}"#, "x".repeat(SESSION_BYTES_MAX));
        assert_eq!(types(&said(played.hears(long.as_bytes()))), ["error"]);
        for odd in [&b"no"[..], br#"{"type":"unheard.of"}"#, br#"{"type":"conversation.item.create"}"#] {
            assert_eq!(types(&said(played.hears(odd))), ["error"]);
        }
    }

    #[test]
    fn faults_that_were_ordered_befall_sessions_too() {
        let status = SimulatedFault::Status { percent: 100, status: 429, retry_after_seconds: Some(7) };
        let script = Played::open(&config(vec![status]), "demo", 0).expect_err("no session");
        assert_eq!((script.status, script.retry_after_seconds), (429, Some(7)));
        let mut hangs = Played::open(&config(vec![SimulatedFault::Hang { percent: 100 }]), "demo", 0).expect("a session");
        assert_eq!(hangs.greeting(), [Beat::Hang]);
        let mut breaks = Played::open(&config(vec![SimulatedFault::Drop { percent: 100, after_tokens: 2 }]), "demo", 0).expect("one");
        let beats = breaks.hears(br#"{"type":"response.create"}"#);
        assert_eq!((beats.len(), beats.back()), (6, Some(&Beat::Drop)));
    }
}
