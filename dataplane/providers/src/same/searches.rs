//! What a response of OpenAI's tells of beside its usage: searches of the web, and tools whose price nobody here knows.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use snapshot::Usage;

static SEARCH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"web_search"));

/// Items that cost besides: so much a call, a container, or tokens that are not among those of the usage.
const UNPRICED: [&str; 3] = ["file_search_call", "code_interpreter_call", "image_generation_call"];

static TOOLS: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| UNPRICED.map(Finder::new));

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    output: Vec<Item<'a>>,
    #[serde(default)]
    tool_usage: Option<Tools>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    action: Option<Action<'a>>,
}

#[derive(Deserialize)]
struct Action<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Tools {
    #[serde(default)]
    web_search: Option<Requests>,
}

#[derive(Deserialize)]
struct Requests {
    #[serde(default)]
    num_requests: Option<u64>,
}

/// The usage with its searches: as many as are told, else those among the items. To open what was found is no search.
pub(super) fn added(usage: Option<Usage>, response: &[u8]) -> Option<Usage> {
    let mut usage = usage?;
    if (SEARCH.find(response).is_some() || TOOLS.iter().any(|tool| tool.find(response).is_some()))
        && let Ok(read) = serde_json::from_slice::<Response<'_>>(response)
    {
        let told = read.tool_usage.and_then(|tools| tools.web_search).and_then(|searches| searches.num_requests);
        let is_search = |item: &&Item<'_>| {
            item.kind == "web_search_call" && item.action.as_ref().is_none_or(|action| action.kind == "search" || action.kind.is_empty())
        };
        usage.more.doubtful |= read.output.iter().any(|item| UNPRICED.contains(&&*item.kind));
        usage.more.searches = told.unwrap_or_else(|| read.output.iter().filter(is_search).count() as u64);
    }
    Some(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_are_those_that_are_told_else_those_among_the_items() {
        let searches = |response: &str| added(Some(Usage::default()), response.as_bytes()).map(|usage| usage.more.searches);
        let items = r#""output":[{"type":"web_search_call","action":{"type":"search"}},{"type":"web_search_call","action":{"type":"open_page"}},{"type":"web_search_call","action":{"type":"find_in_page"}},{"type":"web_search_call"},{"type":"message","content":[{"text":"a \"web_search_call\""}]}]"#;
        assert_eq!(searches(&format!("{{{items}}}")), Some(2));
        assert_eq!(searches(&format!(r#"{{{items},"tool_usage":{{"web_search":{{"num_requests":5}}}}}}"#)), Some(5));
        assert_eq!(searches(r#"{"output":[],"tools":[{"type":"web_search"}]}"#), Some(0));
        assert_eq!(searches(r#"{"output":"web","web_search":1}"#), Some(0));
    }

    #[test]
    fn tools_without_a_price_make_the_whole_doubtful() {
        let doubtful = |kind: &str| {
            let response = format!(r#"{{"output":[{{"type":"{kind}","id":"x"}},{{"type":"message","text":"a file_search_call"}}]}}"#);
            added(Some(Usage::default()), response.as_bytes()).map(|usage| usage.more.doubtful)
        };
        for kind in ["file_search_call", "code_interpreter_call", "image_generation_call"] {
            assert_eq!(doubtful(kind), Some(true), "{kind}");
        }
        assert_eq!((doubtful("function_call"), doubtful("web_search_call")), (Some(false), Some(false)));
    }
}
