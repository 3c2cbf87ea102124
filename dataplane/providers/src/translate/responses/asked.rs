//! What an answer repeats of its request.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::on_one_line;
use crate::passage::CannotSay;
use crate::translate::chat::{Request, fields};

/// Fields that stand in every response, each with what it says where the client says nothing.
const ALWAYS: [(&str, &str); 12] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("reasoning", "{\"effort\":null,\"summary\":null}"),
    ("temperature", "null"),
    ("text", "{\"format\":{\"type\":\"text\"}}"),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "null"),
    ("truncation", "\"disabled\""),
];

/// Fields that stand there when the client says them.
const WHEN_SAID: [&str; 4] = ["service_tier", "user", "safety_identifier", "prompt_cache_key"];

/// What an answer must know of its request.
#[derive(Debug, Clone, Default)]
pub(in crate::translate) struct Asked {
    /// `,"name":value` of each field that is repeated.
    pub(super) repeated: Bytes,
    /// Tools whose input is a text.
    pub(super) custom_tools: Arc<BTreeSet<String>>,
}

impl Asked {
    pub(in crate::translate) fn of(body: &[u8], request: &Request<'_>) -> Result<Self, CannotSay> {
        let mut said: Vec<(&'static str, &[u8])> = Vec::new();
        fields(body, |key, raw| {
            let name = ALWAYS.into_iter().map(|(name, _)| name).chain(WHEN_SAID).find(|name| *name == key);
            said.extend(name.map(|name| (name, raw)));
            Ok(())
        })?;
        let mut out = Vec::with_capacity(512);
        let mut write = |name: &str, raw: &[u8]| {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            on_one_line(raw, &mut out);
        };
        for (name, default) in ALWAYS {
            let raw = said.iter().find(|(told, _)| *told == name).map_or(default.as_bytes(), |(_, raw)| raw);
            write(name, raw);
        }
        for (name, raw) in said.iter().filter(|(name, _)| WHEN_SAID.contains(name)) {
            write(name, raw);
        }
        Ok(Self { repeated: out.into(), custom_tools: Arc::new(request.custom_tools.clone()) })
    }
}
