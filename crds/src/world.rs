//! Every object that the compiler may see, read from texts and ordered by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use snapshot::Secret;

use crate::api::budget::Budget;
use crate::api::cache_policy::CachePolicy;
use crate::api::llm_gateway::LLMGateway;
use crate::api::llm_provider::LLMProvider;
use crate::api::routing_policy::RoutingPolicy;
use crate::api::virtual_key::VirtualKey;
use crate::report::{Kind, ObjectId, Problem};
use crate::schema::{Complaint, Schemas};

/// Namespace and name.
pub type Name = (String, String);

/// What the compiler may see. What there is much of is shared: an object that is the very one of the last time compiles to
/// the same, if all else that it looks at is the same too. So none is changed where it stands; another takes its place.
#[derive(Debug, Default)]
pub struct World {
    /// LLMGateways.
    pub gateways: BTreeMap<Name, LLMGateway>,
    /// LLMProviders.
    pub providers: BTreeMap<Name, LLMProvider>,
    /// VirtualKeys.
    pub keys: BTreeMap<Name, Arc<VirtualKey>>,
    /// RoutingPolicies.
    pub routing_policies: BTreeMap<Name, Arc<RoutingPolicy>>,
    /// CachePolicies.
    pub cache_policies: BTreeMap<Name, CachePolicy>,
    /// Budgets.
    pub budgets: BTreeMap<Name, Budget>,
    /// Secrets.
    pub secrets: BTreeMap<Name, Arc<Entries>>,
    /// Namespaces whose Secrets may not be read.
    pub denied: BTreeSet<String>,
    /// ConfigMaps, by key.
    pub config_maps: BTreeMap<Name, BTreeMap<String, String>>,
    /// Whether this is a cluster's world, in which nothing is implied, not even a gateway.
    pub cluster: bool,
}

/// What a Secret holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// Its values, by key.
    pub values: BTreeMap<String, Secret<Vec<u8>>>,
    /// The UID of the VirtualKey that it was made for; from its annotation [`MADE_FOR`].
    pub made_for: Option<String>,
}

/// The annotation of a generated Secret that tells the UID of its VirtualKey.
pub const MADE_FOR: &str = "portolan.dev/virtual-key-uid";

/// A document that is not in the world, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Which object, as far as that can be read.
    pub id: ObjectId,
    /// Its generation, if it told one.
    pub generation: Option<i64>,
    /// Why.
    pub problem: Problem,
}

/// What texts gave.
#[derive(Debug, Default)]
pub struct Parsed {
    /// What is well-formed.
    pub world: World,
    /// What is not, in order.
    pub rejected: Vec<Rejected>,
}

impl World {
    /// Reads documents: our kinds, Secrets, ConfigMaps and Lists of them, in YAML or JSON, any number in a text; other
    /// kinds are passed over. Each is treated as the API server would; a bad one never hurts another.
    pub fn parse<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Parsed {
        let parser = Parser::default();
        let mut reader = Reader { parser: &parser, parsed: Parsed::default(), places: BTreeMap::new() };
        for (file, text) in texts {
            for (number, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
                let place = format!("{file}, document {}", number + 1);
                match Value::deserialize(document) {
                    Ok(Value::Null) => {}
                    Ok(value) => reader.document(&place, value, 0),
                    Err(error) => {
                        reader.reject(
                            Kind::Document,
                            "",
                            &place,
                            None,
                            Problem::NotYaml { file: file.to_owned(), document: number + 1, why: error.to_string() },
                        );
                        // After an error the reader cannot find the next document.
                        break;
                    }
                }
            }
        }
        let twice = reader.places.iter().filter(|(_, places)| places.len() > 1).map(|(id, _)| id.clone()).collect::<Vec<_>>();
        for (kind, namespace, name) in twice {
            reader.remove_twice(&kind, namespace, name);
        }
        reader.parsed.rejected.sort_by(|a, b| a.id.cmp(&b.id));
        reader.parsed
    }
}

/// Reads objects one at a time, as a cluster gives them. Costly to make, cheap to use.
pub struct Parser(Schemas);

impl Default for Parser {
    fn default() -> Self {
        Self(Schemas::compile())
    }
}

impl Parser {
    /// Takes one object in, in the place of an older form of it. What is not well-formed becomes [`Rejected`].
    pub fn put(&self, parsed: &mut Parsed, object: Value) {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = (text("/metadata/namespace"), text("/metadata/name"));
        parsed.remove(Kind::of(&text("/kind")), &name);
        let mut reader = Reader { parser: self, parsed: std::mem::take(parsed), places: BTreeMap::new() };
        reader.document("the cluster", object, 0);
        *parsed = reader.parsed;
    }
}

impl Parsed {
    /// Takes an object of one of our kinds out.
    pub fn remove(&mut self, kind: Kind, name: &Name) {
        match kind {
            Kind::LLMGateway => drop(self.world.gateways.remove(name)),
            Kind::LLMProvider => drop(self.world.providers.remove(name)),
            Kind::VirtualKey => drop(self.world.keys.remove(name)),
            Kind::RoutingPolicy => drop(self.world.routing_policies.remove(name)),
            Kind::CachePolicy => drop(self.world.cache_policies.remove(name)),
            Kind::Budget => drop(self.world.budgets.remove(name)),
            Kind::Document => {}
        }
        self.rejected.retain(|rejected| rejected.id.kind != kind || rejected.id.namespace != name.0 || rejected.id.name != name.1);
    }
}

struct Reader<'a> {
    parser: &'a Parser,
    parsed: Parsed,
    /// Where each object stands; an object must stand in one place.
    places: BTreeMap<(String, String, String), Vec<String>>,
}

impl Reader<'_> {
    fn reject(&mut self, kind: Kind, namespace: &str, name: &str, generation: Option<i64>, problem: Problem) {
        let id = ObjectId { kind, namespace: namespace.to_owned(), name: name.to_owned() };
        self.parsed.rejected.push(Rejected { id, generation, problem });
    }

    fn document(&mut self, place: &str, document: Value, depth: u32) {
        let text = |path: &str| document.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, version) = (text("/kind"), text("/apiVersion"));
        if kind.is_empty() || version.is_empty() {
            return self.reject(Kind::Document, "", place, None, Problem::Unreadable(format!("{place} has no kind or no apiVersion")));
        }
        if version == "v1" && kind == "List" && depth < 4 {
            let items = document.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            return items.into_iter().for_each(|item| self.document(place, item, depth + 1));
        }
        let ours = self.parser.0.knows(&kind) && version == format!("{}/{}", crate::api::GROUP, crate::api::VERSION);
        let group = version.split('/').next() == Some(crate::api::GROUP);
        let plain = version == "v1" && (kind == "Secret" || kind == "ConfigMap");
        if group && !ours {
            let why = format!("{place}: there is no kind {kind} in {version}");
            return self.reject(Kind::Document, "", place, None, Problem::Unreadable(why));
        }
        if !ours && !plain {
            return;
        }
        let namespace = Some(text("/metadata/namespace")).filter(|text| !text.is_empty()).unwrap_or_else(|| "default".to_owned());
        let name = text("/metadata/name");
        let generation = document.pointer("/metadata/generation").and_then(Value::as_i64);
        let mut complaints = metadata(&namespace, &name);
        self.places.entry((kind.clone(), namespace.clone(), name.clone())).or_default().push(place.to_owned());
        if plain {
            return self.plain(&kind, namespace, name, &document);
        }
        let known = ["apiVersion", "kind", "metadata", "spec", "status"];
        let fields = document.as_object().into_iter().flat_map(|object| object.keys());
        complaints.extend(fields.filter(|field| !known.contains(&field.as_str())).map(|field| complaint(field, "unknown field")));
        let spec = match document.get("spec") {
            Some(spec) => self.parser.0.check(&kind, spec, None).map_err(|found| complaints.extend(found)).ok(),
            None => {
                complaints.push(complaint("spec", "required value"));
                None
            }
        };
        let Some(spec) = spec.filter(|_| complaints.is_empty()) else {
            return self.reject(Kind::of(&kind), &namespace, &name, generation, Problem::Invalid(complaints));
        };
        let mut object = document;
        object["spec"] = spec;
        object["metadata"]["namespace"] = Value::String(namespace.clone());
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        let key = (namespace.clone(), name.clone());
        let world = &mut self.parsed.world;
        let added = match Kind::of(&kind) {
            Kind::LLMGateway => add::<LLMGateway, _>(&mut world.gateways, key, object),
            Kind::LLMProvider => add::<LLMProvider, _>(&mut world.providers, key, object),
            Kind::VirtualKey => add::<VirtualKey, _>(&mut world.keys, key, object),
            Kind::RoutingPolicy => add::<RoutingPolicy, _>(&mut world.routing_policies, key, object),
            Kind::CachePolicy => add::<CachePolicy, _>(&mut world.cache_policies, key, object),
            Kind::Budget => add::<Budget, _>(&mut world.budgets, key, object),
            Kind::Document => Ok(()),
        };
        if let Err(error) = added {
            self.reject(Kind::of(&kind), &namespace, &name, generation, Problem::Invalid(vec![complaint("", &error.to_string())]));
        }
    }

    fn plain(&mut self, kind: &str, namespace: String, name: String, document: &Value) {
        let entries = |field: &str| {
            document
                .get(field)
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        };
        if kind == "ConfigMap" {
            self.parsed.world.config_maps.insert((namespace, name), entries("data").collect());
            return;
        }
        let mut values = BTreeMap::new();
        for (key, value) in entries("data") {
            // An entry that is not base64 would be refused by the API server; here it counts as missing.
            if let Ok(bytes) = STANDARD.decode(value.trim()) {
                values.insert(key, Secret::new(bytes));
            }
        }
        values.extend(entries("stringData").map(|(key, value)| (key, Secret::new(value.into_bytes()))));
        let annotations = document.pointer("/metadata/annotations");
        let made_for = annotations.and_then(|all| all.get(MADE_FOR)).and_then(Value::as_str).map(str::to_owned);
        self.parsed.world.secrets.insert((namespace, name), Arc::new(Entries { values, made_for }));
    }

    /// An object that stands in two places is served from neither: nobody can tell which is meant.
    fn remove_twice(&mut self, kind: &str, namespace: String, name: String) {
        let mut places = self.places.remove(&(kind.to_owned(), namespace.clone(), name.clone())).unwrap_or_default();
        places.sort();
        let mut places = places.into_iter();
        let (first, again) = (places.next().unwrap_or_default(), places.next().unwrap_or_default());
        let key = (namespace.clone(), name.clone());
        let world = &mut self.parsed.world;
        match Kind::of(kind) {
            Kind::LLMGateway => drop(world.gateways.remove(&key)),
            Kind::LLMProvider => drop(world.providers.remove(&key)),
            Kind::VirtualKey => drop(world.keys.remove(&key)),
            Kind::RoutingPolicy => drop(world.routing_policies.remove(&key)),
            Kind::CachePolicy => drop(world.cache_policies.remove(&key)),
            Kind::Budget => drop(world.budgets.remove(&key)),
            Kind::Document if kind == "Secret" => drop(world.secrets.remove(&key)),
            Kind::Document => drop(world.config_maps.remove(&key)),
        }
        let shown = if Kind::of(kind) == Kind::Document { format!("{kind} {name}") } else { name };
        self.parsed
            .rejected
            .retain(|rejected| rejected.id.kind != Kind::of(kind) || rejected.id.namespace != namespace || rejected.id.name != shown);
        self.reject(Kind::of(kind), &namespace, &shown, None, Problem::Twice { first, again });
    }
}

fn add<T: DeserializeOwned, H: From<T>>(map: &mut BTreeMap<Name, H>, key: Name, object: Value) -> Result<(), serde_json::Error> {
    map.insert(key, H::from(serde_json::from_value::<T>(object)?));
    Ok(())
}

fn complaint(path: &str, message: &str) -> Complaint {
    Complaint { path: path.to_owned(), message: message.to_owned() }
}

/// Names as the API server wants them.
fn metadata(namespace: &str, name: &str) -> Vec<Complaint> {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let label = |text: &str, max: usize, dots: bool| {
        let bytes = text.as_bytes();
        bytes.len() <= max
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-' || dots && *b == b'.')
    };
    let mut complaints = Vec::new();
    if !label(name, 253, true) {
        complaints.push(complaint("metadata.name", "must be a lower-case DNS name of 1 to 253 letters, digits, '-' and '.'"));
    }
    if !label(namespace, 63, false) {
        complaints.push(complaint("metadata.namespace", "must be a lower-case DNS label of 1 to 63 letters, digits and '-'"));
    }
    complaints
}
