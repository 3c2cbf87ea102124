//! Names of things, each a type of its own, so that no two can be swapped.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: {rule}")]
pub struct IdError {
    what: &'static str,
    text: String,
    rule: &'static str,
}

fn is_label(text: &str, length_max: usize) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= length_max
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
}

macro_rules! namespaced_id {
    ($name:ident, $what:literal) => {
        #[doc = concat!("The identity of ", $what, ": `namespace/name`.")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Box<str>);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $name {
            /// Joins a namespace and a name that are Kubernetes names.
            ///
            /// # Errors
            /// When either is not a DNS-1123 name.
            pub fn new(namespace: &str, name: &str) -> Result<Self, IdError> {
                if is_label(namespace, 63) && is_label(name, 253) {
                    Ok(Self(format!("{namespace}/{name}").into()))
                } else {
                    Err(IdError {
                        what: stringify!($name),
                        text: format!("{namespace}/{name}"),
                        rule: "it must be `namespace/name`, both DNS-1123 names",
                    })
                }
            }

            /// The namespace, which is the tenant.
            #[must_use]
            pub fn namespace(&self) -> &str {
                self.0.split_once('/').map_or("", |(namespace, _)| namespace)
            }

            /// The name inside the namespace.
            #[must_use]
            pub fn name(&self) -> &str {
                self.0.split_once('/').map_or("", |(_, name)| name)
            }

            /// `namespace/name`.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                match text.split_once('/') {
                    Some((namespace, name)) => Self::new(namespace, name),
                    None => Err(IdError { what: stringify!($name), text, rule: "it must be `namespace/name`" }),
                }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

namespaced_id!(GatewayId, "an LLMGateway");
namespaced_id!(ProviderId, "an LLMProvider");
namespaced_id!(KeyId, "a VirtualKey");
namespaced_id!(PolicyId, "a RoutingPolicy");

macro_rules! bounded_text {
    ($name:ident, $doc:literal, $length_max:literal) => {
        #[doc = $doc]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Box<str>);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $name {
            /// # Errors
            /// When the text is empty, too long or holds a control character.
            pub fn new(text: &str) -> Result<Self, IdError> {
                if text.is_empty() || text.len() > $length_max || text.chars().any(char::is_control) {
                    return Err(IdError {
                        what: stringify!($name),
                        text: text.into(),
                        rule: concat!("it must have 1 to ", $length_max, " bytes and no control characters"),
                    });
                }
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

bounded_text!(ModelName, "The name of a model, as a client or a provider writes it.", 256);
bounded_text!(TeamName, "A team: the namespace of a key, or a name that the gateway granted to that namespace.", 63);
