//! `GET /v1/models`: only what the key may use, in the dialect of the client.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use snapshot::Dialect;

use crate::exchange::{Grant, Refusal};
use crate::live::{Candidate, Live};
use crate::routing;

/// Models have no day of birth here; a fixed one keeps clients content that want a number.
const CREATED: u64 = 1_735_689_600;

/// The dialect of a request for models: Anthropic's clients always send their version.
pub(super) fn dialect(headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") { Dialect::Anthropic } else { Dialect::OpenAi }
}

/// The list.
pub(super) fn list(live: &Live, grant: &Grant, dialect: Dialect) -> Bytes {
    let visible = routing::visible(live, grant);
    let models: Vec<Value> = visible.iter().map(|(name, candidates)| one(name, candidates, dialect)).collect();
    let list = match dialect {
        Dialect::OpenAi => json!({ "object": "list", "data": models }),
        Dialect::Anthropic => {
            let first = visible.first().map(|(name, _)| *name);
            let last = visible.last().map(|(name, _)| *name);
            json!({ "data": models, "has_more": false, "first_id": first, "last_id": last })
        }
    };
    list.to_string().into()
}

/// One model, by the name that a call would use.
pub(super) fn named(live: &Live, grant: &Grant, dialect: Dialect, model: &str) -> Result<Bytes, Refusal> {
    let visible = routing::visible(live, grant);
    match visible.iter().find(|(name, _)| *name == model) {
        Some((name, candidates)) => Ok(one(name, candidates, dialect).to_string().into()),
        None => Err(routing::plan(live, grant, model).err().unwrap_or(Refusal::ModelUnknown { model: model.to_owned(), near: Vec::new() })),
    }
}

fn one(name: &str, candidates: &[&Candidate], dialect: Dialect) -> Value {
    let owner = candidates.first().map_or("", |candidate| candidate.provider.provider.id.name());
    match dialect {
        Dialect::OpenAi => json!({ "id": name, "object": "model", "created": CREATED, "owned_by": owner }),
        Dialect::Anthropic => json!({ "type": "model", "id": name, "display_name": name, "created_at": "2025-01-01T00:00:00Z" }),
    }
}
