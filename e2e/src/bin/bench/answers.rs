//! What the scripted upstream answers: the first segment of a request's path names the script.
//!
//! - `/json/…` a chat completion of about 1 KB
//! - `/messages/…` the same as an answer of Anthropic
//! - `/stream-<events>-<microseconds>/…` a stream of chat chunks, one at a time
//! - `/message-stream-<events>-<microseconds>/…` the same as a stream of Anthropic

use std::time::Duration;

/// A script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// A chat completion.
    Json,
    /// An answer of Anthropic.
    Messages,
    /// Chunks, and the time from one to the next.
    Stream(u32, Duration),
    /// The same in Anthropic's events.
    MessageStream(u32, Duration),
}

impl Script {
    /// Reads a path.
    pub fn of(path: &str) -> Option<Self> {
        let segment = path.strip_prefix('/')?.split('/').next()?;
        match segment {
            "json" => Some(Self::Json),
            "messages" => Some(Self::Messages),
            stream => {
                let (script, pace): (fn(u32, Duration) -> Self, _) = match stream.strip_prefix("message-") {
                    Some(stream) => (Self::MessageStream, stream),
                    None => (Self::Stream, stream),
                };
                let (events, interval) = pace.strip_prefix("stream-")?.split_once('-')?;
                Some(script(events.parse().ok()?, Duration::from_micros(interval.parse().ok()?)))
            }
        }
    }

    /// Whether it is a stream.
    pub fn is_stream(self) -> bool {
        match self {
            Self::Json | Self::Messages => false,
            Self::Stream(..) | Self::MessageStream(..) => true,
        }
    }

    /// The segment that names it.
    pub fn segment(self) -> String {
        match self {
            Self::Json => "json".to_owned(),
            Self::Messages => "messages".to_owned(),
            Self::Stream(events, interval) => format!("stream-{events}-{}", interval.as_micros()),
            Self::MessageStream(events, interval) => format!("message-stream-{events}-{}", interval.as_micros()),
        }
    }
}

/// Words of an answer; with the rest of it about 1 KB.
const WORDS: &str = "Backpressure is how a slow reader tells a fast writer to wait. A proxy that buffers without bound hides it \
until memory runs out; one that reads from one side only as fast as the other side takes what it was given keeps memory flat, and \
lets the provider slow down instead. The same holds for a stream of events: each event is passed on as soon as it is whole, and no \
more is read while the client's window is closed. ";

/// A chat completion of about 1 KB.
pub fn completion() -> String {
    serde_json::json!({
        "id": "chatcmpl-BenchBenchBenchBenchBench0000", "object": "chat.completion", "created": 1_790_000_000, "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": WORDS, "refusal": null, "annotations": []},
            "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 211, "completion_tokens": 92, "total_tokens": 303,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}},
        "service_tier": "default", "system_fingerprint": "fp_bench",
    })
    .to_string()
}

/// An answer of Anthropic of about the same size.
pub fn message() -> String {
    serde_json::json!({
        "id": "msg_01BenchBenchBenchBenchBe", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": WORDS}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 211, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 92,
            "service_tier": "standard"},
    })
    .to_string()
}

/// The events of a stream with so many chunks of text, each as it is written at once: the first with the role, then
/// text, then the end with its usage.
pub fn events(chunks: u32) -> Vec<String> {
    let chunk = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-BenchBenchBenchBenchBench0000\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_bench\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}],\"usage\":null}}\n\n"
        )
    };
    let mut events = vec![chunk("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", "null")];
    events.extend((1..chunks).map(|_| chunk("{\"content\":\" backpressure\"}", "null")));
    let mut end = chunk("{}", "\"stop\"");
    let total = 211 + chunks;
    end.push_str(&format!(
        "data: {{\"id\":\"chatcmpl-BenchBenchBenchBenchBench0000\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[],\"usage\":{{\"prompt_tokens\":211,\"completion_tokens\":{chunks},\"total_tokens\":{total}}}}}\n\ndata: [DONE]\n\n"
    ));
    events.push(end);
    events
}

/// The events of Anthropic's stream with so many pieces of text, as [`events`].
pub fn message_events(chunks: u32) -> Vec<String> {
    let mut events = vec![
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01BenchBenchBenchBenchBe\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":211,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n".to_owned(),
    ];
    let text = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" backpressure\"}}\n\n";
    events.extend((1..chunks).map(|_| text.to_owned()));
    events.push(format!(
        "event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":0}}\n\nevent: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\",\"stop_sequence\":null}},\"usage\":{{\"output_tokens\":{chunks}}}}}\n\nevent: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
    ));
    events
}

/// A chat request of about this many bytes.
pub fn request(model: &str, bytes: usize, stream: bool) -> String {
    let mut question = String::new();
    while question.len() + 400 < bytes {
        question.push_str("Explain how a proxy that relays \"server-sent events\" keeps its memory flat,\\ncite the section, and say so when you do not know. ");
    }
    question.truncate(bytes.saturating_sub(300));
    let mut body = serde_json::json!({
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a careful assistant. Answer briefly and say so when you do not know."},
            {"role": "user", "content": question},
        ],
        "temperature": 0.7, "max_tokens": 256, "top_p": 0.95, "user": "bench",
    });
    if stream {
        body["stream"] = true.into();
    }
    body.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_from_the_path_that_it_names() {
        let every = Duration::from_micros(5000);
        for script in [Script::Json, Script::Messages, Script::Stream(200, every), Script::MessageStream(200, every)] {
            assert_eq!(Script::of(&format!("/{}/v1/chat/completions", script.segment())), Some(script));
        }
        assert_eq!(Script::of("/v1/chat/completions"), None);
        assert_eq!(Script::of("/stream-x-5/v1"), None);
    }

    #[test]
    fn answers_are_about_one_kilobyte_and_requests_of_the_size_that_was_asked_for() {
        assert!((900..1200).contains(&completion().len()), "{}", completion().len());
        assert!((700..1200).contains(&message().len()), "{}", message().len());
        for bytes in [1024, 34_000] {
            let made = request("m", bytes, false).len();
            assert!((bytes * 8 / 10..bytes * 11 / 10).contains(&made), "{made} for {bytes}");
        }
    }
}
