//! What the compiler says of each object: one verdict, from a closed list of problems.

use std::fmt;

use crate::schema::Complaint;

/// Kinds that reports are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub enum Kind {
    /// LLMGateway
    LLMGateway,
    /// LLMProvider
    LLMProvider,
    /// VirtualKey
    VirtualKey,
    /// RoutingPolicy
    RoutingPolicy,
    /// CachePolicy
    CachePolicy,
    /// Budget
    Budget,
    /// A document that is none of these, or cannot be read.
    Document,
}

impl Kind {
    /// From the word in a document.
    #[must_use]
    pub fn of(word: &str) -> Self {
        [Self::LLMGateway, Self::LLMProvider, Self::VirtualKey, Self::RoutingPolicy, Self::CachePolicy, Self::Budget]
            .into_iter()
            .find(|kind| kind.to_string() == word)
            .unwrap_or(Self::Document)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct ObjectId {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name; for a document that has none, file and number.
    pub name: String,
}

/// The verdict on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is served as it stands.
    Accepted,
    /// Something that it needs is not there yet; nobody may be at fault.
    Pending(Problem),
    /// Somebody must mend it.
    Refused(Problem),
}

/// What the compiler says of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The object's generation, when it has one.
    pub generation: Option<i64>,
    /// Whether it is served.
    pub verdict: Verdict,
    /// The generation that is served in its place, when it is not accepted: its last accepted form (0 without one).
    pub serving_generation: Option<i64>,
    /// What works and yet deserves a look.
    pub warnings: Vec<Problem>,
}

/// Everything that can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The schema or a rule refuses it.
    Invalid(Vec<Complaint>),
    /// It cannot be read at all.
    Unreadable(String),
    /// A file is not YAML from here on.
    NotYaml {
        /// The file.
        file: String,
        /// The document in it, from 1.
        document: usize,
        /// What the reader says.
        why: String,
    },
    /// The same object stands in two places.
    Twice {
        /// Where first.
        first: String,
        /// Where again.
        again: String,
    },
    /// This version has no code for it.
    UnsupportedFeature(&'static str),
    /// A Secret is not there.
    SecretNotFound {
        /// Its name.
        secret: String,
    },
    /// A Secret lacks the key, or its value is empty or an unexpanded `${NAME}`.
    SecretKeyMissing {
        /// Its name.
        secret: String,
        /// The key.
        key: String,
    },
    /// The Secret that a generated key would be put into is somebody else's.
    SecretForeign {
        /// Its name.
        secret: String,
    },
    /// Secrets of the namespace may not be read.
    SecretAccessDenied {
        /// The namespace.
        namespace: String,
    },
    /// A ConfigMap or its key is not there.
    ConfigMapKeyMissing {
        /// Its name.
        config_map: String,
        /// The key.
        key: String,
    },
    /// No such provider.
    ProviderNotFound {
        /// `namespace/name`
        provider: String,
    },
    /// The provider is not shared with the namespace.
    ProviderNotShared {
        /// `namespace/name`
        provider: String,
        /// Who wants it.
        namespace: String,
    },
    /// No such policy.
    PolicyNotFound {
        /// `namespace/name`
        policy: String,
    },
    /// The policy lives where the key's namespace may not refer to.
    PolicyNotPermitted {
        /// `namespace/name`
        policy: String,
    },
    /// No gateway admits the namespace.
    NoGateway {
        /// The namespace.
        namespace: String,
    },
    /// The gateway that is named does not admit the namespace, or is not there.
    GatewayNotPermitted {
        /// `namespace/name`
        gateway: String,
    },
    /// Several gateways admit the namespace.
    AmbiguousGateway {
        /// All of them.
        gateways: Vec<String>,
    },
    /// The team is another's.
    TeamNotPermitted {
        /// As written.
        team: String,
    },
    /// Another key has the same text.
    DuplicateKey {
        /// Which.
        winner: String,
    },
    /// The text of a key is too short or damaged.
    KeyTextUnusable(String),
    /// A URL, network or price that the schema could not judge.
    Malformed {
        /// The path.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The identity is the gateway's own, and the provider lives elsewhere.
    IdentityNotPermitted,
    /// No such preset.
    PresetNotFound {
        /// As written.
        preset: String,
        /// Names that come near.
        near: String,
    },
    /// Models of which nobody knows what they cost.
    ModelsUnpriced {
        /// The catalog's word for the provider, when it has one.
        catalog: Option<String>,
        /// As the provider is asked for them.
        models: Vec<String>,
    },
    /// Two providers that a namespace may use declare one name.
    ModelAmbiguous {
        /// The name.
        model: String,
        /// The other provider.
        other: String,
    },
}

impl Problem {
    /// One word of a closed set, as conditions carry it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) | Self::Malformed { .. } | Self::KeyTextUnusable(_) => "Invalid",
            Self::Unreadable(_) | Self::NotYaml { .. } => "Unreadable",
            Self::Twice { .. } | Self::DuplicateKey { .. } => "Conflicted",
            Self::UnsupportedFeature(_) => "UnsupportedFeature",
            Self::SecretNotFound { .. } => "SecretNotFound",
            Self::SecretKeyMissing { .. } => "SecretKeyMissing",
            Self::SecretForeign { .. } => "SecretForeign",
            Self::SecretAccessDenied { .. } => "SecretAccessDenied",
            Self::ConfigMapKeyMissing { .. } => "ConfigMapKeyMissing",
            Self::ProviderNotFound { .. } => "ProviderNotFound",
            Self::PolicyNotFound { .. } => "PolicyNotFound",
            Self::ProviderNotShared { .. } | Self::PolicyNotPermitted { .. } => "RefNotPermitted",
            Self::NoGateway { .. } => "NoGateway",
            Self::AmbiguousGateway { .. } => "AmbiguousGateway",
            Self::GatewayNotPermitted { .. } | Self::TeamNotPermitted { .. } | Self::IdentityNotPermitted => "NotPermitted",
            Self::PresetNotFound { .. } => "PresetNotFound",
            Self::ModelsUnpriced { .. } => "ModelsUnpriced",
            Self::ModelAmbiguous { .. } => "ModelAmbiguous",
        }
    }

    /// Whether it is about what the object refers to, not about the object itself.
    #[must_use]
    pub fn is_of_references(&self) -> bool {
        match self {
            Self::SecretNotFound { .. }
            | Self::SecretKeyMissing { .. }
            | Self::SecretAccessDenied { .. }
            | Self::ConfigMapKeyMissing { .. }
            | Self::ProviderNotFound { .. }
            | Self::PolicyNotFound { .. }
            | Self::ProviderNotShared { .. }
            | Self::PolicyNotPermitted { .. } => true,
            Self::Invalid(_)
            | Self::Unreadable(_)
            | Self::NotYaml { .. }
            | Self::Twice { .. }
            | Self::UnsupportedFeature(_)
            | Self::SecretForeign { .. }
            | Self::NoGateway { .. }
            | Self::GatewayNotPermitted { .. }
            | Self::AmbiguousGateway { .. }
            | Self::TeamNotPermitted { .. }
            | Self::IdentityNotPermitted
            | Self::DuplicateKey { .. }
            | Self::KeyTextUnusable(_)
            | Self::Malformed { .. }
            | Self::PresetNotFound { .. }
            | Self::ModelsUnpriced { .. }
            | Self::ModelAmbiguous { .. } => false,
        }
    }

    /// Names the offender and the way out.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Invalid(complaints) => {
                complaints.iter().map(|complaint| format!("{}: {}", complaint.path, complaint.message)).collect::<Vec<_>>().join("; ")
            }
            Self::Unreadable(why) => why.clone(),
            Self::NotYaml { file, document, why } => format!("{file}, document {document} is not YAML: {why}"),
            Self::Twice { first, again } => format!("the object stands in {first} and again in {again}; keep one"),
            Self::UnsupportedFeature(what) => format!("this version does not serve {what}; the object has no effect"),
            Self::SecretNotFound { secret } => format!("Secret {secret} is not in this namespace; create it"),
            Self::SecretKeyMissing { secret, key } => {
                format!("Secret {secret} has no value for key {key} (empty, or a ${{NAME}} that was not allowed with --env); set it")
            }
            Self::SecretForeign { secret } => {
                format!(
                    "Secret {secret} was not made for this VirtualKey and is left alone; name another in spec.source.generated.secretName"
                )
            }
            Self::SecretAccessDenied { namespace } => {
                format!("the operator may not read Secrets of namespace {namespace}; bind its role there (chart value tenantNamespaces)")
            }
            Self::ConfigMapKeyMissing { config_map, key } => {
                format!("ConfigMap {config_map} with key {key} is not in this namespace; create it")
            }
            Self::ProviderNotFound { provider } => format!("LLMProvider {provider} does not exist or is not accepted"),
            Self::ProviderNotShared { provider, namespace } => {
                format!("LLMProvider {provider} is not shared with namespace {namespace}; its spec.allowedNamespaces would have to say so")
            }
            Self::PolicyNotFound { policy } => format!("RoutingPolicy {policy} does not exist or is not accepted"),
            Self::PolicyNotPermitted { policy } => format!("RoutingPolicy {policy} is neither in the key's namespace nor in its gateway's"),
            Self::NoGateway { namespace } => {
                format!("no LLMGateway admits namespace {namespace}; its spec.allowedNamespaces would have to say so")
            }
            Self::GatewayNotPermitted { gateway } => format!("LLMGateway {gateway} does not exist or does not admit this namespace"),
            Self::AmbiguousGateway { gateways } => {
                format!("several LLMGateways admit this namespace ({}); name one in spec.gatewayRef", gateways.join(", "))
            }
            Self::TeamNotPermitted { team } => {
                format!("team {team} is neither this namespace nor granted to it by the gateway's spec.teams")
            }
            Self::IdentityNotPermitted => {
                "the identity of the gateway's pods is only for LLMProviders in the namespace of an LLMGateway; use keys from a Secret"
                    .to_owned()
            }
            Self::DuplicateKey { winner } => format!("VirtualKey {winner} is older and has the same key; give this one a key of its own"),
            Self::KeyTextUnusable(why) => why.clone(),
            Self::Malformed { path, why } => format!("{path}: {why}"),
            Self::PresetNotFound { preset, near } if near.is_empty() => {
                format!(
                    "there is no preset {preset}; docs/presets.md lists them all, and without a preset spec.endpoint tells where a server is"
                )
            }
            Self::PresetNotFound { preset, near } => format!("there is no preset {preset}; did you mean {near}?"),
            Self::ModelsUnpriced { catalog, models } => unpriced(catalog.as_deref(), models),
            Self::ModelAmbiguous { model, other } => {
                format!("model {model} is declared by {other} too; clients must write provider/{model}")
            }
        }
    }
}

/// Names a few of the models, with what may have been meant.
fn unpriced(catalog: Option<&str>, models: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = models.iter().take(SHOWN).map(|model| {
        let near = catalog.and_then(|word| catalog::near(word, model).first().copied());
        near.map_or_else(|| model.clone(), |near| format!("{model} (did you mean {near}?)"))
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    let more = match models.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let why =
        catalog.map_or("the catalog does not know this server".to_owned(), |word| format!("the catalog lists none of {word} by that name"));
    format!("no price is known of {shown}{more}: {why}; calls cost nothing in the books until spec.models[].price says what they cost")
}
