//! The door of sessions: what a handshake of a WebSocket says, and what is answered to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    AUTHORIZATION, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use super::models::unescaped;
use crate::exchange::{Refusal, websocket_accept};

/// Longest name of a model, in bytes; a body takes none longer either.
const NAME_BYTES_MAX: usize = 256;

/// Browsers set no header: they say their key as a protocol.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

/// The protocol that is spoken.
const PROTOCOL: &str = "realtime";

/// How browsers say `OpenAI-Beta: realtime=v1`.
const BETA_PROTOCOL: &str = "openai-beta.realtime-v1";

/// What a handshake asks for.
pub(super) struct Hand {
    /// The model.
    pub(super) model: String,
    /// The head, with what browsers say otherwise in its usual place.
    pub(super) headers: HeaderMap,
    accept: HeaderValue,
    /// The client offers the protocol, and wants to hear that it is taken.
    offered: bool,
}

/// Reads a handshake.
///
/// # Errors
/// It is none, or its query says what is not passed on.
pub(super) fn read(head: &Parts) -> Result<Hand, Refusal> {
    let accept = check(head).map_err(|why| Refusal::NotAWebSocket { why })?;
    let model = model(head.uri.query().unwrap_or_default())?;
    let mut headers = head.headers.clone();
    // A key may stand there: nobody further in is to read it, conditions of policies least of all.
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    let offers: Vec<&str> = tokens(&head.headers, &SEC_WEBSOCKET_PROTOCOL).collect();
    let shown = ["authorization", "x-api-key", "api-key", "x-portkey-api-key"].iter().any(|name| headers.contains_key(*name));
    if let Some(key) = offers.iter().find_map(|offer| offer.strip_prefix(KEY_PROTOCOL)).filter(|_| !shown)
        && let Ok(mut value) = HeaderValue::try_from(format!("Bearer {key}"))
    {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    if offers.contains(&BETA_PROTOCOL) && !headers.contains_key("openai-beta") {
        headers.insert("openai-beta", HeaderValue::from_static("realtime=v1"));
    }
    Ok(Hand { model, headers, accept, offered: offers.contains(&PROTOCOL) })
}

impl Hand {
    /// The head of the answer that opens the session.
    pub(super) fn answer(self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        if self.offered {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
        }
    }
}

/// What must be answered to the handshake.
fn check(head: &Parts) -> Result<HeaderValue, &'static str> {
    let says = |name: &HeaderName, word: &str| tokens(&head.headers, name).any(|token| token.eq_ignore_ascii_case(word));
    if head.method != Method::GET || head.version != Version::HTTP_11 {
        return Err("open it on a connection of HTTP/1.1");
    }
    if !says(&CONNECTION, "upgrade") || !says(&UPGRADE, "websocket") {
        return Err("send `Connection: Upgrade` and `Upgrade: websocket`, as WebSocket clients do");
    }
    if head.headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err("`Sec-WebSocket-Version` must be 13");
    }
    let key = head.headers.get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok()).unwrap_or_default();
    if STANDARD.decode(key).map_or(0, |bytes| bytes.len()) != 16 {
        return Err("`Sec-WebSocket-Key` must be 16 bytes in base64");
    }
    HeaderValue::try_from(websocket_accept(key)).map_err(|_| "`Sec-WebSocket-Key` is none")
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

/// The model of a query that names it and nothing else: what else a provider might be asked there nobody here has looked at.
fn model(query: &str) -> Result<String, Refusal> {
    let bad = |why: String| Refusal::BadQuery { why };
    let mut model = None;
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if name != "model" {
            let name: String = name.chars().take(32).collect();
            return Err(bad(format!("`{name}` is not passed on; name the model alone, as ?model=...")));
        }
        if model.replace(unescaped(value)).is_some() {
            return Err(bad("`model` stands there twice; say it once".to_owned()));
        }
    }
    match model {
        Some(model) if !model.is_empty() && model.len() <= NAME_BYTES_MAX => Ok(model),
        Some(_) => Err(bad("`model` must be the name of a model, of 1 to 256 bytes".to_owned())),
        None => Err(bad("name the model, as ?model=...".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_the_model_and_nothing_else() {
        for (query, expected) in
            [("model=gpt-realtime", "gpt-realtime"), ("model=openai%2Fgpt-realtime", "openai/gpt-realtime"), ("&model=m&", "m")]
        {
            assert_eq!(model(query).expect("a model"), expected);
        }
        let long = format!("model={}", "x".repeat(257));
        for query in ["", "model", "model=", "model=a&model=b", "model=a&intent=transcription", "Model=a", "deployment=a", &long] {
            assert!(matches!(model(query), Err(Refusal::BadQuery { .. })), "{query}");
        }
    }
}
