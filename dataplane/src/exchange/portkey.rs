//! What clients of Portkey ask by headers, so that they need another URL and key and nothing else. Each of their headers is
//! honoured, ignored or refused; `docs/portkey.md` shows the same list.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use serde_json::Value;

use super::Refusal;

/// What all of them begin with.
const PREFIX: &str = "x-portkey-";

/// Longest text of a header that is taken for a name or repeated, in characters.
const TEXT_MAX: usize = 128;

const HOST: &str = "addresses of providers are written in `spec.endpoint` of an LLMProvider, never by a client";
const FORWARD: &str = "headers of clients do not go on to providers; those that concern a provider (`anthropic-beta`, \
                       `anthropic-version`, `openai-beta`) are sent under their own names";
const GUARDRAILS: &str = "this gateway has no guardrails, and does not do as if it had";
const ACCOUNT: &str = "accounts, regions and credentials of providers are written in an LLMProvider; leave the header out";

/// What becomes of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It does what it does at Portkey, as far as `docs/portkey.md` says.
    Honoured,
    /// It is passed over, and nothing that it asks for is lost.
    Ignored,
    /// The call is refused, for this reason.
    Refused(&'static str),
}

use Fate::{Honoured, Ignored, Refused};

/// Headers by what stands after the prefix. A name that ends in a hyphen is the beginning of several; one that is not here
/// is ignored.
pub const HEADERS: [(&str, Fate); 40] = [
    ("api-key", Honoured),
    ("provider", Honoured),
    ("virtual-key", Honoured),
    ("config", Honoured),
    ("trace-id", Honoured),
    ("request-timeout", Honoured),
    ("metadata", Ignored),
    ("strict-open-ai-compliance", Ignored),
    ("cache", Ignored),
    ("cache-force-refresh", Ignored),
    ("cache-namespace", Ignored),
    ("debug", Ignored),
    ("nitro-mode", Ignored),
    ("beta", Ignored),
    ("span-id", Ignored),
    ("span-name", Ignored),
    ("parent-span-id", Ignored),
    ("fetch-integrated-models", Ignored),
    ("audio-file-duration", Ignored),
    ("refresh-prompt-cache", Ignored),
    ("package-version", Ignored),
    ("runtime", Ignored),
    ("runtime-version", Ignored),
    ("custom-host", Refused(HOST)),
    ("forward-headers", Refused(FORWARD)),
    ("default-input-guardrails", Refused(GUARDRAILS)),
    ("default-output-guardrails", Refused(GUARDRAILS)),
    ("amz-", Refused(ACCOUNT)),
    ("amzn-", Refused(ACCOUNT)),
    ("anthropic-", Refused(FORWARD)),
    ("aws-", Refused(ACCOUNT)),
    ("azure-", Refused(ACCOUNT)),
    ("fireworks-", Refused(ACCOUNT)),
    ("huggingface-", Refused(ACCOUNT)),
    ("openai-", Refused(ACCOUNT)),
    ("oracle-", Refused(ACCOUNT)),
    ("snowflake-", Refused(ACCOUNT)),
    ("stability-", Refused(ACCOUNT)),
    ("vertex-", Refused(ACCOUNT)),
    ("workers-ai-", Refused(ACCOUNT)),
];

/// What a client asked for; nothing, when it is none of Portkey's.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Portkey {
    /// The provider to use, with the header that names it.
    pub provider: Option<(String, &'static str)>,
    /// The name of a configuration.
    pub config: Option<String>,
    /// How long each attempt may take: to its whole answer, or to the first event of a stream.
    pub patience: Option<Duration>,
}

impl Portkey {
    /// Reads the headers of a request.
    ///
    /// # Errors
    /// One of them asks for what a client has no say in here, or is not what it should be.
    pub fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut asked = Self::default();
        for (name, value) in headers {
            if let Some(name) = name.as_str().strip_prefix(PREFIX) {
                asked.take(name, value)?;
            }
        }
        Ok(asked)
    }

    fn take(&mut self, name: &str, value: &HeaderValue) -> Result<(), Refusal> {
        let of = |(known, _): &&(&str, Fate)| *known == name || (known.ends_with('-') && name.starts_with(known));
        if let Some((_, Refused(why))) = HEADERS.iter().find(of) {
            return Err(refused(name, (*why).to_owned()));
        }
        let text = || text(name, value);
        match name {
            "virtual-key" => self.name_provider(text()?, "x-portkey-virtual-key"),
            // Portkey's own virtual keys know their provider better.
            "provider" if self.named_by() != "x-portkey-virtual-key" => self.name_provider(text()?, "x-portkey-provider"),
            "config" => self.take_config(text()?)?,
            "request-timeout" => self.patience = patience(text()?)?,
            _ => {}
        }
        Ok(())
    }

    fn named_by(&self) -> &'static str {
        self.provider.as_ref().map_or("", |(_, header)| header)
    }

    fn name_provider(&mut self, text: &str, header: &'static str) {
        let name = text.strip_prefix('@').unwrap_or(text);
        if !name.is_empty() {
            self.provider = Some((shown(name), header));
        }
    }

    /// A name, or JSON that names a provider and nothing else.
    fn take_config(&mut self, text: &str) -> Result<(), Refusal> {
        if !text.starts_with('{') {
            self.config = (!text.is_empty()).then(|| shown(text));
            return Ok(());
        }
        let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
            return Err(refused("config", "it begins as JSON and is none".to_owned()));
        };
        for (field, value) in &fields {
            match (field.as_str(), value.as_str()) {
                ("provider" | "virtual_key", Some(name)) if self.provider.is_none() => self.name_provider(name, "x-portkey-config"),
                ("provider" | "virtual_key", Some(_)) => {}
                _ => {
                    let why = format!(
                        "its field `{}` says what a client has no say in here; a RoutingPolicy says which providers are asked, in which \
                         order and after which failures, an LLMProvider with which credential; give the key a RoutingPolicy \
                         (`spec.routingPolicyRef` of its VirtualKey) and name that, or leave the header out",
                        shown(field)
                    );
                    return Err(refused("config", why));
                }
            }
        }
        Ok(())
    }
}

fn patience(text: &str) -> Result<Option<Duration>, Refusal> {
    match text.parse::<u32>() {
        _ if text.is_empty() => Ok(None),
        Ok(milliseconds) if milliseconds > 0 => Ok(Some(Duration::from_millis(milliseconds.into()))),
        Ok(_) | Err(_) => Err(refused("request-timeout", format!("`{}` is no whole number of milliseconds above 0", shown(text)))),
    }
}

fn text<'a>(name: &str, value: &'a HeaderValue) -> Result<&'a str, Refusal> {
    value.to_str().map(str::trim).map_err(|_| refused(name, "it holds what is no printable ASCII".to_owned()))
}

fn shown(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

fn refused(name: &str, why: String) -> Refusal {
    Refusal::HeaderNotTaken { header: format!("{PREFIX}{}", shown(name)), why }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> Result<Portkey, Refusal> {
        let value = |text: &str| HeaderValue::from_str(text).expect("a header");
        Portkey::read(&headers.iter().map(|(name, text)| (HeaderName::from_static(name), value(text))).collect())
    }

    fn provider(headers: &[(&'static str, &str)]) -> Option<String> {
        read(headers).expect("it is taken").provider.map(|(name, _)| name)
    }

    fn why(headers: &[(&'static str, &str)]) -> String {
        match read(headers) {
            Err(Refusal::HeaderNotTaken { header, why }) => format!("{header}: {why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_provider_is_named_by_three_headers_of_which_the_virtual_key_knows_best() {
        assert_eq!(provider(&[("x-portkey-provider", "@openai-prod")]).as_deref(), Some("openai-prod"));
        assert_eq!(provider(&[("x-portkey-provider", " openai ")]).as_deref(), Some("openai"));
        let both = [("x-portkey-virtual-key", "mine"), ("x-portkey-provider", "openai")];
        let turned = [both[1], both[0]];
        assert_eq!((provider(&both).as_deref(), provider(&turned).as_deref()), (Some("mine"), Some("mine")));
        assert_eq!(provider(&[("x-portkey-config", r#"{"provider":"@a"}"#)]).as_deref(), Some("a"));
        assert_eq!(provider(&[("x-portkey-config", r#"{"virtual_key":"a"}"#), ("x-portkey-provider", "b")]).as_deref(), Some("b"));
        for nothing in [&[][..], &[("x-portkey-provider", "")], &[("x-portkey-config", "{}")], &[("provider", "a")]] {
            assert_eq!(provider(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_configuration_is_a_name_and_not_a_strategy() {
        assert_eq!(read(&[("x-portkey-config", "pc-prod-1")]).expect("a name").config.as_deref(), Some("pc-prod-1"));
        for (config, field) in [
            (r#"{"strategy":{"mode":"fallback"},"targets":[]}"#, "strategy"),
            (r#"{"provider":"openai","api_key":"sk-1"}"#, "api_key"),
            (r#"{"provider":{"name":"openai"}}"#, "provider"),
            (r#"{"retry":{"attempts":3}}"#, "retry"),
        ] {
            let why = why(&[("x-portkey-config", config)]);
            assert!(why.contains(&format!("`{field}`")) && why.contains("RoutingPolicy") && !why.contains("sk-1"), "{why}");
        }
        assert!(why(&[("x-portkey-config", "{")]).contains("is none"));
    }

    #[test]
    fn what_would_lead_elsewhere_is_refused_and_what_is_unknown_is_passed_over() {
        for header in ["x-portkey-custom-host", "x-portkey-forward-headers", "x-portkey-aws-region", "x-portkey-openai-organization"] {
            assert!(why(&[(header, "x")]).starts_with(header));
        }
        let passed =
            [("x-portkey-metadata", "{\"_user\":\"u\"}"), ("x-portkey-new", "1"), ("x-portkey-azure", "1"), ("x-portkey-debug", "false")];
        assert_eq!(read(&passed).expect("it is passed over"), Portkey::default());
    }

    #[test]
    fn patience_is_a_number_of_milliseconds() {
        let patience = |text| read(&[("x-portkey-request-timeout", text)]).expect("a number").patience;
        assert_eq!((patience("1500"), patience("")), (Some(Duration::from_millis(1500)), None));
        for bad in ["0", "-1", "1.5", "soon", "99999999999"] {
            assert!(why(&[("x-portkey-request-timeout", bad)]).contains("milliseconds"), "{bad}");
        }
    }

    #[test]
    fn the_page_for_those_who_come_from_portkey_says_the_same() {
        let page = include_str!("../../../docs/portkey.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `x-portkey-")?.split_once("` | "));
        let told: Vec<(String, &str)> =
            rows.map(|(name, rest)| (name.replace('*', ""), rest.split(' ').next().unwrap_or_default())).collect();
        let word = |fate: &Fate| match fate {
            Honoured => "honoured",
            Ignored => "ignored",
            Refused(_) => "refused",
        };
        let ours: Vec<(String, &str)> = HEADERS.iter().map(|(name, fate)| ((*name).to_owned(), word(fate))).collect();
        assert_eq!(told, ours);
    }
}
