//! As much as a pod reads of what the Kubernetes API tells: lists, objects, events. Nothing else of an object is kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::bundle::PartKind;

/// A list of the one index.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List {
    /// From which a watch goes on.
    pub version: String,
    /// The index's text; `None`: there is none.
    pub index: Option<String>,
}

impl List {
    pub(super) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Raw {
            metadata: Metadata,
            items: Vec<ConfigMap>,
        }
        let Raw { metadata, items } = serde_json::from_slice(body)?;
        Ok(Self { version: metadata.resource_version, index: items.into_iter().next().map(ConfigMap::index) })
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    resource_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigMap {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    data: Data,
    #[serde(default)]
    binary_data: Data,
}

/// The two keys that matter, of a ConfigMap or a Secret.
#[derive(Default, Deserialize)]
struct Data {
    index: Option<String>,
    part: Option<String>,
}

impl ConfigMap {
    /// An empty one is an index that cannot be read.
    fn index(self) -> String {
        self.data.index.unwrap_or_default()
    }
}

/// The bytes of a part's object; `None`: it has no such key. No message quotes what was read.
pub(super) fn part_bytes(body: &[u8], kind: PartKind) -> Result<Option<Vec<u8>>, serde_json::Error> {
    let ConfigMap { data, binary_data, .. } = serde_json::from_slice(body)?;
    let text = match kind {
        PartKind::Config => binary_data.part,
        PartKind::Credentials => data.part,
    };
    // What is no base64 is no part either.
    Ok(text.and_then(|text| STANDARD.decode(text).ok()))
}

/// What a watch tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The index is now this; `None`: it was deleted.
    Index { version: String, index: Option<String> },
    /// All that happened up to this version was told.
    Bookmark { version: String },
    /// The watch cannot go on, mostly because its version is too old.
    Error,
}

impl Event {
    pub(super) fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            r#type: String,
            #[serde(borrow)]
            object: &'a RawValue,
        }
        let Raw { r#type, object } = serde_json::from_slice(line)?;
        let map = || serde_json::from_str::<ConfigMap>(object.get());
        Ok(match r#type.as_str() {
            "ADDED" | "MODIFIED" => {
                let map = map()?;
                Self::Index { version: map.metadata.resource_version.clone(), index: Some(map.index()) }
            }
            "DELETED" => Self::Index { version: map()?.metadata.resource_version, index: None },
            "BOOKMARK" => Self::Bookmark { version: map()?.metadata.resource_version },
            _ => Self::Error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_and_what_is_unknown_ends_a_watch() {
        let map = r#"{"kind":"ConfigMap","metadata":{"name":"x","resourceVersion":"7"},"data":{"index":"text"}}"#;
        let event = |kind: &str, object: &str| Event::parse(format!(r#"{{"type":"{kind}","object":{object}}}"#).as_bytes()).expect("JSON");
        let index = |index: Option<&str>| Event::Index { version: "7".to_owned(), index: index.map(str::to_owned) };
        assert_eq!(event("ADDED", map), index(Some("text")));
        assert_eq!(event("MODIFIED", map), index(Some("text")));
        assert_eq!(event("MODIFIED", r#"{"metadata":{"resourceVersion":"7"}}"#), index(Some("")), "an index without text is torn");
        assert_eq!(event("DELETED", map), index(None));
        assert_eq!(event("BOOKMARK", r#"{"metadata":{"resourceVersion":"7"}}"#), Event::Bookmark { version: "7".to_owned() });
        assert_eq!(event("ERROR", r#"{"kind":"Status","code":410}"#), Event::Error);
        assert_eq!(event("NEVER", "{}"), Event::Error);
        assert!(Event::parse(b"half a li").is_err());
    }

    #[test]
    fn parts_are_read_from_where_their_kind_keeps_bytes() {
        let read = |body: &str, kind| part_bytes(body.as_bytes(), kind).expect("JSON");
        assert_eq!(read(r#"{"binaryData":{"part":"AAE="}}"#, PartKind::Config), Some(vec![0, 1]));
        assert_eq!(read(r#"{"data":{"part":"AAE="}}"#, PartKind::Credentials), Some(vec![0, 1]));
        assert_eq!(read(r#"{"data":{"part":"AAE="}}"#, PartKind::Config), None, "text is no part");
        assert_eq!(read(r#"{"binaryData":{"part":"AAE="}}"#, PartKind::Credentials), None);
        assert_eq!(read(r#"{"data":{"part":"no base64"}}"#, PartKind::Credentials), None);
        assert_eq!(read("{}", PartKind::Config), None);
    }

    #[test]
    fn an_empty_list_is_no_index() {
        let list = |items: &str| List::parse(format!(r#"{{"metadata":{{"resourceVersion":"9"}},"items":[{items}]}}"#).as_bytes());
        let expected = |index: Option<&str>| List { version: "9".to_owned(), index: index.map(str::to_owned) };
        assert_eq!(list("").expect("JSON"), expected(None));
        assert_eq!(list(r#"{"data":{"index":"text"}}"#).expect("JSON"), expected(Some("text")));
        assert!(List::parse(b"{}").is_err());
    }
}
