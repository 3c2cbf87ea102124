//! How a provider of each dialect says one thing.

/// A provider's way to say one thing: "hello", then a call of `f` with `{"x":1}`, after 3 tokens and in 6.
#[derive(Debug)]
pub struct Back {
    pub kind: &'static str,
    pub whole: &'static str,
    /// Each with its event or its kind of frame.
    pub stream: &'static [(&'static str, &'static str)],
    pub error: &'static str,
}

pub const BACKS: [Back; 7] = [
    Back {
        kind: "OpenAICompatible",
        whole: r#"{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":6,"total_tokens":9}}"#,
        stream: &[
            (
                "",
                r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"hello"},"finish_reason":null}]}"#,
            ),
            (
                "",
                r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},"finish_reason":null}]}"#,
            ),
            (
                "",
                r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            ),
            (
                "",
                r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":6,"total_tokens":9}}"#,
            ),
            ("", "[DONE]"),
        ],
        error: r#"{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#,
    },
    Back {
        kind: "Mistral",
        whole: r#"{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":[{"type":"text","text":"hello"}],"tool_calls":[{"id":"call_1","function":{"name":"f","arguments":"{\"x\":1}"},"index":0}],"prefix":false}}],"usage":{"prompt_tokens":3,"completion_tokens":6,"total_tokens":9}}"#,
        stream: &[
            (
                "",
                r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":[{"type":"text","text":"hello"}]},"finish_reason":null}]}"#,
            ),
            (
                "",
                r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"","tool_calls":[{"id":"call_1","function":{"name":"f","arguments":"{\"x\":1}"},"index":0}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":6,"total_tokens":9}}"#,
            ),
            ("", "[DONE]"),
        ],
        error: r#"{"object":"error","message":"slow down","type":"rate_limit_error","param":null,"code":"1300","raw_status_code":429}"#,
    },
    Back {
        kind: "Anthropic",
        whole: r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hello"},{"type":"tool_use","id":"call_1","name":"f","input":{"x":1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":6}}"#,
        stream: &[
            (
                "message_start",
                r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}"#,
            ),
            ("content_block_start", r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#),
            ("content_block_delta", r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}"#),
            ("content_block_stop", r#"{"type":"content_block_stop","index":0}"#),
            (
                "content_block_start",
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"call_1","name":"f","input":{}}}"#,
            ),
            (
                "content_block_delta",
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"x\":1}"}}"#,
            ),
            ("content_block_stop", r#"{"type":"content_block_stop","index":1}"#),
            (
                "message_delta",
                r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":6}}"#,
            ),
            ("message_stop", r#"{"type":"message_stop"}"#),
        ],
        error: r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#,
    },
    Back {
        kind: "Gemini",
        whole: r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hello"},{"functionCall":{"id":"call_1","name":"f","args":{"x":1}}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":6,"totalTokenCount":9},"modelVersion":"m","responseId":"r1"}"#,
        stream: &[
            (
                "",
                r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hello"}]}}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":1,"totalTokenCount":4},"modelVersion":"m","responseId":"r1"}"#,
            ),
            (
                "",
                r#"{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"id":"call_1","name":"f","args":{"x":1}}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":6,"totalTokenCount":9},"modelVersion":"m","responseId":"r1"}"#,
            ),
        ],
        error: r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}"#,
    },
    Back {
        kind: "Bedrock",
        whole: r#"{"output":{"message":{"role":"assistant","content":[{"text":"hello"},{"toolUse":{"toolUseId":"call_1","name":"f","input":{"x":1}}}]}},"stopReason":"tool_use","usage":{"inputTokens":3,"outputTokens":6,"totalTokens":9}}"#,
        stream: &[
            ("messageStart", r#"{"role":"assistant"}"#),
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"hello"}}"#),
            ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
            ("contentBlockStart", r#"{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"call_1","name":"f"}}}"#),
            ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"x\":1}"}}}"#),
            ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
            ("messageStop", r#"{"stopReason":"tool_use"}"#),
            ("metadata", r#"{"usage":{"inputTokens":3,"outputTokens":6,"totalTokens":9}}"#),
        ],
        error: r#"{"message":"slow down"}"#,
    },
    Back {
        kind: "Cohere",
        whole: r#"{"id":"c1","message":{"role":"assistant","content":[{"type":"text","text":"hello"}],"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},"finish_reason":"TOOL_CALL","usage":{"tokens":{"input_tokens":3,"output_tokens":6}}}"#,
        stream: &[
            ("message-start", r#"{"type":"message-start","id":"c1","delta":{"message":{"role":"assistant"}}}"#),
            ("content-start", r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}"#),
            ("content-delta", r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"hello"}}}}"#),
            ("content-end", r#"{"type":"content-end","index":0}"#),
            (
                "tool-call-start",
                r#"{"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"call_1","type":"function","function":{"name":"f","arguments":""}}}}}"#,
            ),
            (
                "tool-call-delta",
                r#"{"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{\"x\":1}"}}}}}"#,
            ),
            ("tool-call-end", r#"{"type":"tool-call-end","index":0}"#),
            (
                "message-end",
                r#"{"type":"message-end","delta":{"finish_reason":"TOOL_CALL","usage":{"tokens":{"input_tokens":3,"output_tokens":6}}}}"#,
            ),
        ],
        error: r#"{"message":"slow down"}"#,
    },
    Back {
        kind: "Ollama",
        whole: r#"{"model":"m","message":{"role":"assistant","content":"hello","tool_calls":[{"id":"call_1","function":{"name":"f","arguments":{"x":1}}}]},"done_reason":"stop","done":true,"prompt_eval_count":3,"eval_count":6}"#,
        stream: &[
            ("", r#"{"model":"m","message":{"role":"assistant","content":"hello"},"done":false}"#),
            (
                "",
                r#"{"model":"m","message":{"role":"assistant","content":"","tool_calls":[{"id":"call_1","function":{"name":"f","arguments":{"x":1}}}]},"done":false}"#,
            ),
            (
                "",
                r#"{"model":"m","message":{"role":"assistant","content":""},"done_reason":"stop","done":true,"prompt_eval_count":3,"eval_count":6}"#,
            ),
        ],
        error: r#"{"error":"slow down"}"#,
    },
];

impl Back {
    /// The bytes of so many events.
    pub fn bytes(&self, events: usize) -> Vec<u8> {
        self.stream.iter().take(events).flat_map(|(name, data)| self.event(name, data)).collect()
    }

    /// The bytes of one event of it.
    pub fn event(&self, name: &str, data: &str) -> Vec<u8> {
        match (self.kind, name) {
            ("Bedrock", kind) => crate::frames::frame(kind, data.as_bytes()),
            ("Ollama", _) => format!("{data}\n").into_bytes(),
            (_, "") => format!("data: {data}\n\n").into_bytes(),
            (_, name) => format!("event: {name}\ndata: {data}\n\n").into_bytes(),
        }
    }
}
