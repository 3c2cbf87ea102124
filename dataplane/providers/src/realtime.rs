//! Sessions of OpenAI's Realtime API, as far as the gateway listens: which model answers, and what each answer used; and
//! that the client does not have another one answer than it was let in for, nor one write speech down that it may not use.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use serde_json::value::RawValue;
use snapshot::{Class, Usage};

use crate::passage::Facts;
use crate::usage::of_openai;

/// Without any of these no message names a model or a prompt.
static MODEL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"model"));
static PROMPT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"prompt"));
const ESCAPE: u8 = b'\\';

/// With their quotes, which no text has in the midst of a string.
static DONE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"response.done\""));
static CREATED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"session.created\""));
static HEARD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"conversation.item.input_audio_transcription.completed\""));

/// Adds up what a session used.
#[derive(Debug, Default)]
pub struct Meter {
    facts: Facts,
    written_down: bool,
}

impl Meter {
    /// Takes an event of the provider. Most are sound or pieces of text, and are not read.
    pub fn hears(&mut self, event: &[u8]) {
        let is = |finder: &Finder<'_>| finder.find(event).is_some();
        if is(&DONE) {
            let Ok(Event { kind, response, .. }) = serde_json::from_slice(event) else { return };
            let told = response.and_then(|response| response.usage).filter(|_| kind == "response.done");
            if let Some(used) = told.and_then(|usage| of_openai(usage.get().as_bytes())) {
                self.add(&used);
            }
        } else if is(&HEARD) {
            // Written down by a model of its own, with prices of its own.
            self.written_down = true;
        } else if is(&CREATED)
            && let Ok(Event { kind, session: Some(session), .. }) = serde_json::from_slice(event)
            && kind == "session.created"
        {
            self.facts.model = session.model;
        }
    }

    fn add(&mut self, used: &Usage) {
        let all = self.facts.usage.get_or_insert_with(Usage::default);
        let plus = |sum: &mut u64, count: u64| *sum = sum.saturating_add(count);
        plus(&mut all.prompt, used.prompt);
        plus(&mut all.completion, used.completion);
        plus(&mut all.cached, used.cached);
        plus(&mut all.cache_write, used.cache_write);
        plus(&mut all.reasoning, used.reasoning);
        // By class, so that what one answer leaves open is not settled by what another used.
        for (class, count) in used.by_class() {
            let more = &mut all.more;
            match class {
                Class::AudioInput => plus(&mut more.audio_in, count),
                Class::CachedAudio => {
                    plus(&mut more.audio_in, count);
                    plus(&mut more.audio_cached, count);
                }
                Class::ImageInput => plus(&mut more.image_in, count),
                Class::CachedImage => {
                    plus(&mut more.image_in, count);
                    plus(&mut more.image_cached, count);
                }
                Class::AudioOutput => plus(&mut more.audio_out, count),
                Class::ImageOutput => plus(&mut more.image_out, count),
                Class::CacheWriteHour => plus(&mut more.cache_hour, count),
                Class::Input | Class::Cached | Class::CacheWrite | Class::Output | Class::Reasoning => {}
            }
        }
    }

    /// What was used so far, and who answers.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether another model wrote down what was said, which is in no answer's usage.
    #[must_use]
    pub fn was_written_down(&self) -> bool {
        self.written_down
    }
}

/// What becomes of a client's message.
#[derive(Debug, PartialEq, Eq)]
pub enum Judged {
    /// It goes to the provider.
    Passes,
    /// It ends the session.
    Strays(Stray),
    /// The client is told why it does not go to the provider, and the session goes on.
    Refused(Denied),
}

/// What a client's message may not ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stray {
    /// Another model than those that it was let in for: some servers let a session change it.
    Model,
    /// A prompt that is kept at the provider, whose id is not sealed with its tenant.
    Prompt,
}

/// A model that is to write speech down, and that the client may not use.
#[derive(Debug, PartialEq, Eq)]
pub struct Denied {
    /// Where it stands.
    field: String,
    /// Its name; `None` where none can be read.
    model: Option<String>,
    /// What the client calls its message.
    event: Option<String>,
}

impl Denied {
    /// What the client is told; `count` tells such events of a session apart.
    #[must_use]
    pub fn told(&self, count: u64) -> String {
        let (code, message) = match &self.model {
            Some(model) => (
                "model_not_allowed",
                format!("the API key may not use the model `{model}`, which `{}` names; the message was not passed on", self.field),
            ),
            None => (
                "invalid_value",
                format!("`{}` must name a model, since the API key may not use all; the message was not passed on", self.field),
            ),
        };
        let error =
            json!({ "type": "invalid_request_error", "code": code, "message": message, "param": self.field, "event_id": self.event });
        json!({ "type": "error", "event_id": format!("event_portolan_{count}"), "error": error }).to_string()
    }
}

/// Judges a client's message: whether it asks for what it may not. What could do so and cannot be read does so too, since a
/// server may read it otherwise. `models` are those that the session was let in for; `allows` knows which may write speech
/// down, and whether one may that is not named.
pub fn judge(message: &[u8], models: &[impl AsRef<str>], allows: impl Fn(Option<&str>) -> bool) -> Judged {
    let names = |finder: &Finder<'_>| finder.find(message).is_some();
    let says =
        message.trim_ascii_start().first() == Some(&b'{') && (names(&MODEL) || names(&PROMPT) || memchr::memchr(ESCAPE, message).is_some());
    if !says {
        return Judged::Passes;
    }
    let Ok(Said { event_id, session, response }) = serde_json::from_slice(message) else { return Judged::Strays(Stray::Model) };
    let wanted = [("session", session), ("response", response)];
    let wanted = || wanted.iter().filter_map(|(name, wanted)| Some((*name, wanted.as_ref()?)));
    for (_, wanted) in wanted() {
        if wanted.model.as_ref().is_some_and(|model| models.iter().all(|good| good.as_ref() != model)) {
            return Judged::Strays(Stray::Model);
        }
        if wanted.prompt.is_some() {
            return Judged::Strays(Stray::Prompt);
        }
    }
    for (name, wanted) in wanted() {
        for (field, scribe) in
            [("audio.input.transcription.model", wanted.scribe()), ("input_audio_transcription.model", wanted.beta_scribe())]
        {
            let Some(Scribe { model }) = scribe.filter(|scribe| !allows(scribe.model.as_deref())) else { continue };
            let event = event_id.and_then(|id| serde_json::from_str(id.get()).ok());
            return Judged::Refused(Denied { field: format!("{name}.{field}"), model, event });
        }
    }
    Judged::Passes
}

impl Session<'_> {
    fn scribe(&self) -> Option<Scribe> {
        let Ok(Audio { input }) = serde_json::from_str(self.audio?.get()) else { return Some(Scribe::default()) };
        input?.transcription
    }

    fn beta_scribe(&self) -> Option<Scribe> {
        Some(serde_json::from_str(self.input_audio_transcription?.get()).unwrap_or_default())
    }
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    session: Option<Session<'a>>,
    #[serde(borrow)]
    response: Option<Session<'a>>,
}

#[derive(Deserialize)]
struct Audio {
    input: Option<Heard>,
}

#[derive(Deserialize)]
struct Heard {
    transcription: Option<Scribe>,
}

/// Who is to write down what is said: without a name whom the provider takes, or one whose name cannot be read.
#[derive(Default, Deserialize)]
struct Scribe {
    model: Option<String>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    response: Option<Response<'a>>,
    #[serde(borrow)]
    session: Option<Session<'a>>,
}

#[derive(Deserialize)]
struct Session<'a> {
    model: Option<String>,
    prompt: Option<IgnoredAny>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
    #[serde(borrow)]
    input_audio_transcription: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use snapshot::More;

    use super::*;

    /// By somebody who may use all models.
    fn judged(message: &str, models: &[&str]) -> Judged {
        judge(message.as_bytes(), models, |_| true)
    }

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
        meter.hears(br#"{"type":"response.done","response":{"usage":{"input_tokens":1,"output_tokens":2,"output_token_details":{"audio_tokens":2}}}}"#);
        let more = More { audio_out: 2, ..More::default() };
        assert_eq!(meter.facts().usage, Some(Usage { prompt: 21, completion: 12, cached: 8, more, ..Usage::default() }));
        let mut meter = Meter::default();
        // The type may stand behind what is long, and details may be none.
        let late = format!(
            r#"{{"response":{{"output":"{}","usage":{{"input_tokens":1,"input_token_details":null}}}},"type":"response.done"}}"#,
            "x".repeat(4096)
        );
        meter.hears(late.as_bytes());
        assert_eq!((meter.facts().usage.map(|usage| usage.prompt), meter.was_written_down()), (Some(1), false));
        meter.hears(br#"{"type":"conversation.item.input_audio_transcription.completed","usage":{"type":"duration","seconds":3}}"#);
        assert!(meter.was_written_down(), "another model wrote it down");
    }

    #[test]
    fn sound_and_pictures_are_added_up_by_class() {
        let mut meter = Meter::default();
        for usage in [
            r#"{"input_tokens":100,"output_tokens":40,"input_token_details":{"cached_tokens":30,"audio_tokens":60,"image_tokens":10,"cached_tokens_details":{"text_tokens":5,"audio_tokens":20,"image_tokens":5}},"output_token_details":{"text_tokens":10,"audio_tokens":30}}"#,
            // All of it is sound, and so is what was cached, whatever text another answer had.
            r#"{"input_tokens":8,"output_tokens":1,"input_token_details":{"cached_tokens":6,"audio_tokens":8}}"#,
        ] {
            meter.hears(format!(r#"{{"type":"response.done","response":{{"usage":{usage}}}}}"#).as_bytes());
        }
        let more = More { audio_in: 68, audio_cached: 26, audio_out: 30, image_in: 10, image_cached: 5, ..More::default() };
        assert_eq!(meter.facts().usage, Some(Usage { prompt: 108, completion: 41, cached: 36, more, ..Usage::default() }));
        assert!(!meter.was_written_down());
    }

    #[test]
    fn a_session_keeps_its_model_however_another_is_written() {
        let models = ["talker", "gpt-realtime"];
        for message in [
            r#"{"type":"session.update","session":{"model":"talker"}}"#,
            r#"{"type":"session.update","session":{"model":"gpt-realtime","audio":{"input":{"transcription":{"model":"whisper-1"}}}}}"#,
            r#"{"type":"conversation.item.create","item":{"content":[{"text":"another \"model\" of session"}]}}"#,
            r#"{"type":"session.update","session":{"model":null}}"#,
            r#"{"type":"session.update","session":{"prompt":null,"audio":{"input":{"transcription":{"prompt":"ships"}}}}}"#,
            r#"{"type":"conversation.item.create","item":{"prompt":{"id":"pmpt_1"},"content":[{"text":"prompt"}]}}"#,
            r#"{"type":"input_audio_buffer.append","audio":"AAAA"}"#,
            r#"{"type": broken"#,
            "model \\ is what raw sound may hold",
            "",
        ] {
            assert_eq!(judged(message, &models), Judged::Passes, "{message}");
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
            assert_eq!(judged(message, &models), Judged::Strays(Stray::Model), "{message}");
        }
    }

    #[test]
    fn a_prompt_that_is_kept_at_the_provider_is_found_however_it_is_written() {
        for message in [
            r#"{"type":"session.update","session":{"model":"talker","prompt":{"id":"pmpt_1"}}}"#,
            r#"{"type":"response.create","response":{"prompt":{"id":"pmpt_1","version":"2"}}}"#,
            r#"{"session":{"pr\u006fmpt":"pmpt_1"}}"#,
            r#"{"session":{"prompt":false}}"#,
        ] {
            assert_eq!(judged(message, &["talker"]), Judged::Strays(Stray::Prompt), "{message}");
        }
        assert_ne!(judged(r#"{"session":{"prompt":null,"prompt":{"id":"pmpt_1"}}}"#, &["talker"]), Judged::Passes);
    }

    #[test]
    fn a_model_that_writes_speech_down_must_be_allowed_and_named() {
        let limited = |message: &str| judge(message.as_bytes(), &["talker"], |name| name == Some("scribe"));
        for message in [
            r#"{"session":{"audio":{"input":{"transcription":{"model":"scribe","language":"en"}}}}}"#,
            r#"{"session":{"input_audio_transcription":{"model":"scribe"}}}"#,
            r#"{"session":{"model":"talker","audio":null,"input_audio_transcription":null}}"#,
            r#"{"session":{"model":"talker","audio":{"input":{"transcription":null}}}}"#,
            r#"{"session":{"model":"talker","audio":{"input":{"format":{"type":"audio/pcm"}},"output":{"voice":"marin"}}}}"#,
            r#"{"session":{"instructions":"the model of audio.input.transcription"}}"#,
        ] {
            assert_eq!(limited(message), Judged::Passes, "{message}");
        }
        let (of_now, of_beta) = ("audio.input.transcription.model", "input_audio_transcription.model");
        for (message, field, model) in [
            (r#"{"session":{"audio":{"input":{"transcription":{"model":"dearer"}}}}}"#, format!("session.{of_now}"), Some("dearer")),
            (
                r#"{"session":{"a\u0075dio":{"input":{"transcription":{"\u006dodel":"dearer"}}}}}"#,
                format!("session.{of_now}"),
                Some("dearer"),
            ),
            (r#"{"session":{"input_audio_transcription":{"model":"dearer"}}}"#, format!("session.{of_beta}"), Some("dearer")),
            (r#"{"response":{"audio":{"input":{"transcription":{"model":"dearer"}}}}}"#, format!("response.{of_now}"), Some("dearer")),
            (r#"{"session":{"model":"talker","audio":{"input":{"transcription":{"language":"en"}}}}}"#, format!("session.{of_now}"), None),
            (r#"{"session":{"audio":{"input":{"transcription":{"model":["dearer"]}}}}}"#, format!("session.{of_now}"), None),
            (r#"{"session":{"audio":{"input":{"transcription":{"model":"scribe","model":"dearer"}}}}}"#, format!("session.{of_now}"), None),
            (r#"{"session":{"input_audio_transcription":{"model":"scribe","model":"dearer"}}}"#, format!("session.{of_beta}"), None),
        ] {
            assert_eq!(limited(message), Judged::Refused(Denied { field, model: model.map(str::to_owned), event: None }), "{message}");
            assert_eq!(judged(message, &["talker"]), Judged::Passes, "who may use all models names whichever: {message}");
        }
        let both = r#"{"session":{"audio":{},"audio":{"input":{"transcription":{"model":"dearer"}}}}}"#;
        assert_eq!(limited(both), Judged::Strays(Stray::Model), "which of the two counts nobody knows");
    }

    #[test]
    fn a_message_that_is_refused_is_told_by_its_own_name() {
        let message = br#"{"event_id":"mine \u0031","session":{"audio":{"input":{"transcription":{"model":"dearer"}}}}}"#;
        let Judged::Refused(denied) = judge(message, &["talker"], |_| false) else { panic!("it passes") };
        let told: serde_json::Value = serde_json::from_str(&denied.told(7)).expect("JSON");
        assert_eq!((&told["type"], &told["event_id"]), (&"error".into(), &"event_portolan_7".into()));
        let error = &told["error"];
        assert_eq!((&error["code"], &error["event_id"]), (&"model_not_allowed".into(), &"mine 1".into()));
        assert_eq!(error["param"], "session.audio.input.transcription.model");
        assert!(error["message"].as_str().is_some_and(|text| text.contains("`dearer`") && text.contains("transcription.model")), "{told}");
        let message = br#"{"event_id":7,"session":{"audio":{"input":{"transcription":{"model":7}}}}}"#;
        let Judged::Refused(denied) = judge(message, &["talker"], |name| name.is_some()) else { panic!("it passes") };
        let told: serde_json::Value = serde_json::from_str(&denied.told(1)).expect("JSON");
        assert_eq!((&told["error"]["code"], &told["error"]["event_id"]), (&"invalid_value".into(), &serde_json::Value::Null));
    }

    #[test]
    fn numbers_that_are_none_are_passed_over() {
        let mut meter = Meter::default();
        for usage in [r#"{"input_tokens":"many"}"#, r#"{"output_tokens":{}}"#, "[]"] {
            meter.hears(format!(r#"{{"type":"response.done","response":{{"usage":{usage}}}}}"#).as_bytes());
        }
        assert_eq!(meter.facts(), &Facts::default());
        meter.hears(br#"{"type":"response.done","response":{"usage":{"input_tokens":-1}}}"#);
        assert_eq!(meter.facts().usage, Some(Usage::default()), "less than nothing is nothing, as everywhere");
        meter.hears(br#"{"type":"response.done","response":{"usage":{"input_tokens":18446744073709551615}}}"#);
        meter.hears(br#"{"type":"response.done","response":{"usage":{"input_tokens":5}}}"#);
        assert_eq!(meter.facts().usage.map(|usage| usage.prompt), Some(u64::MAX), "giants do not wrap");
    }
}
