//! Sessions of OpenAI's Realtime API, as far as the gateway listens: which model answers, and what each answer used; and
//! that the client does not have another one answer than it was let in for.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use snapshot::Usage;

use crate::passage::Facts;

/// Without either no message names a model.
static MODEL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"model"));
const ESCAPE: u8 = b'\\';

/// With their quotes, which no text has in the midst of a string.
static DONE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"response.done\""));
static CREATED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"session.created\""));
static HEARD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"conversation.item.input_audio_transcription.completed\""));

/// Adds up what a session used.
#[derive(Debug, Default)]
pub struct Meter {
    facts: Facts,
    sound: bool,
}

impl Meter {
    /// Takes an event of the provider. Most are sound or pieces of text, and are not read.
    pub fn hears(&mut self, event: &[u8]) {
        let is = |finder: &Finder<'_>| finder.find(event).is_some();
        if is(&DONE) {
            let Ok(Event { kind, response, .. }) = serde_json::from_slice(event) else { return };
            if let Some(used) = response.and_then(|response| response.usage).filter(|_| kind == "response.done") {
                self.add(&used);
            }
        } else if is(&HEARD) {
            // Written down by a model of its own, with prices of its own.
            self.sound = true;
        } else if is(&CREATED)
            && let Ok(Event { kind, session: Some(session), .. }) = serde_json::from_slice(event)
            && kind == "session.created"
        {
            self.facts.model = session.model;
        }
    }

    fn add(&mut self, used: &Used) {
        let all = self.facts.usage.get_or_insert_with(Usage::default);
        all.prompt = all.prompt.saturating_add(used.input_tokens);
        all.completion = all.completion.saturating_add(used.output_tokens);
        let asked = used.input_token_details.as_ref();
        all.cached = all.cached.saturating_add(asked.map_or(0, |details| details.cached_tokens.min(used.input_tokens)));
        self.sound |= asked.into_iter().chain(&used.output_token_details).any(|details| details.audio_tokens > 0);
    }

    /// What was used so far, and who answers.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether some of the tokens were sound, which has prices of its own.
    #[must_use]
    pub fn has_sound(&self) -> bool {
        self.sound
    }
}

/// Whether a client's message would have another model answer than those named: some servers let a session change it. What
/// could say so and cannot be read does so too, since a server may read it otherwise.
#[must_use]
pub fn strays(message: &[u8], models: &[impl AsRef<str>]) -> bool {
    let says =
        message.trim_ascii_start().first() == Some(&b'{') && (MODEL.find(message).is_some() || memchr::memchr(ESCAPE, message).is_some());
    if !says {
        return false;
    }
    let Ok(Said { session, response }) = serde_json::from_slice(message) else { return true };
    let named = [session, response].into_iter().flatten().filter_map(|wanted| wanted.model);
    named.into_iter().any(|model| models.iter().all(|good| good.as_ref() != model))
}

#[derive(Deserialize)]
struct Said {
    session: Option<Session>,
    response: Option<Session>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    response: Option<Response>,
    session: Option<Session>,
}

#[derive(Deserialize)]
struct Session {
    model: Option<String>,
}

#[derive(Deserialize)]
struct Response {
    usage: Option<Used>,
}

#[derive(Deserialize)]
struct Used {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
    input_token_details: Option<Details>,
    output_token_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: u64,
    #[serde(default)]
    audio_tokens: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_answer_used_is_added_up_and_all_else_passed_over() {
        let mut meter = Meter::default();
        for event in [
            r#"{"type":"session.created","event_id":"e1","session":{"id":"s","model":"gpt-realtime-2025-08-28"}}"#,
            r#"{"type":"response.output_text.delta","delta":"response.done usage"}"#,
            r#"{"event_id":"e2","type":"response.done","response":{"usage":{"total_tokens":30,"input_tokens":20,"output_tokens":10,"input_token_details":{"text_tokens":20,"audio_tokens":0,"cached_tokens":8},"output_token_details":{"text_tokens":10,"audio_tokens":0}}}}"#,
            r#"{"type":"response.done","response":{"status":"cancelled","usage":null}}"#,
            r#"{"type":"response.output_text.done","text":"he said \"response.done\" twice"}"#,
            "response.done",
            "",
        ] {
            meter.hears(event.as_bytes());
        }
        let usage = Usage { prompt: 20, completion: 10, cached: 8, ..Usage::default() };
        assert_eq!(meter.facts(), &Facts { usage: Some(usage), model: Some("gpt-realtime-2025-08-28".to_owned()), ..Facts::default() });
        assert!(!meter.has_sound());
        meter.hears(br#"{"type":"response.done","response":{"usage":{"input_tokens":1,"output_tokens":2,"output_token_details":{"audio_tokens":2}}}}"#);
        assert_eq!(meter.facts().usage, Some(Usage { prompt: 21, completion: 12, cached: 8, ..Usage::default() }));
        assert!(meter.has_sound());
        let mut meter = Meter::default();
        // The type may stand behind what is long, and details may be none.
        let late = format!(
            r#"{{"response":{{"output":"{}","usage":{{"input_tokens":1,"input_token_details":null}}}},"type":"response.done"}}"#,
            "x".repeat(4096)
        );
        meter.hears(late.as_bytes());
        assert_eq!((meter.facts().usage.map(|usage| usage.prompt), meter.has_sound()), (Some(1), false));
        meter.hears(br#"{"type":"conversation.item.input_audio_transcription.completed","usage":{"type":"duration","seconds":3}}"#);
        assert!(meter.has_sound(), "another model wrote it down");
    }

    #[test]
    fn a_session_keeps_its_model_however_another_is_written() {
        let models = ["talker", "gpt-realtime"];
        for message in [
            r#"{"type":"session.update","session":{"model":"talker"}}"#,
            r#"{"type":"session.update","session":{"model":"gpt-realtime","audio":{"input":{"transcription":{"model":"whisper-1"}}}}}"#,
            r#"{"type":"conversation.item.create","item":{"content":[{"text":"another \"model\" of session"}]}}"#,
            r#"{"type":"session.update","session":{"model":null}}"#,
            r#"{"type":"input_audio_buffer.append","audio":"AAAA"}"#,
            r#"{"type": broken"#,
            "model \\ is what raw sound may hold",
            "",
        ] {
            assert!(!strays(message.as_bytes(), &models), "{message}");
        }
        for message in [
            r#"{"type":"session.update","session":{"model":"other"}}"#,
            r#"{"type":"response.create","response":{"model":"other"}}"#,
            r#" {"session":{"\u006dodel":"other"}}"#,
            r#"{"s\u0065ssion":{"\u006dodel":"other"}}"#,
            r#"{"session":{"model":"talker","model":"other"}}"#,
            r#"{"session":{"model":"talker"},"session":{"model":"other"}}"#,
            r#"{"session":{"model":["other"]}}"#,
            r#"{"x":NaN,"session":{"model":"other"}}"#,
        ] {
            assert!(strays(message.as_bytes(), &models), "{message}");
        }
    }

    #[test]
    fn numbers_that_are_none_are_passed_over() {
        let mut meter = Meter::default();
        for usage in [r#"{"input_tokens":-1}"#, r#"{"input_tokens":"many"}"#, "[]"] {
            meter.hears(format!(r#"{{"type":"response.done","response":{{"usage":{usage}}}}}"#).as_bytes());
        }
        assert_eq!(meter.facts(), &Facts::default());
        meter.hears(br#"{"type":"response.done","response":{"usage":{"input_tokens":18446744073709551615}}}"#);
        meter.hears(br#"{"type":"response.done","response":{"usage":{"input_tokens":5}}}"#);
        assert_eq!(meter.facts().usage.map(|usage| usage.prompt), Some(u64::MAX), "giants do not wrap");
    }
}
