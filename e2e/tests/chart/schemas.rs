//! What is rendered, against the schemas of the API server of the tests' own Kubernetes, and of our definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use e2e::cluster::programs;
use serde_json::{Map, Value, json};

use crate::rendered::{SETS, documents, had, run, template, text};

/// Schemas by `apiVersion` and kind.
struct Schemas {
    definitions: Map<String, Value>,
    custom: BTreeMap<(String, String), Value>,
}

impl Schemas {
    fn read() -> Option<Self> {
        let kubernetes = had(programs::sources_of(".", "k8s.io/kubernetes"))?;
        let monitoring = had(programs::sources_of("monitoring", "github.com/prometheus-operator/prometheus-operator"))?;
        let swagger = std::fs::read(kubernetes.join("api/openapi-spec/swagger.json")).expect("the API's schema");
        let mut swagger: Value = serde_json::from_slice(&swagger).expect("JSON");
        let Value::Object(definitions) = swagger["definitions"].take() else { panic!("definitions") };
        let mut all = Self { definitions, custom: BTreeMap::new() };
        for definition in crds::api::definitions() {
            all.add(&serde_json::to_value(definition).expect("JSON"));
        }
        for plural in ["servicemonitors", "podmonitors", "prometheusrules"] {
            let file = monitoring.join(format!("example/prometheus-operator-crd/monitoring.coreos.com_{plural}.yaml"));
            documents(&std::fs::read_to_string(file).expect("a definition")).iter().for_each(|definition| all.add(definition));
        }
        Some(all)
    }

    fn add(&mut self, definition: &Value) {
        let spec = &definition["spec"];
        let word = |value: &Value| value.as_str().expect("a word").to_owned();
        for version in spec["versions"].as_array().expect("versions") {
            let mut schema = self.strict(&version["schema"]["openAPIV3Schema"], &[]);
            // The API server knows these without being told.
            for (name, known) in [("metadata", json!({"type": "object"})), ("apiVersion", json!({})), ("kind", json!({}))] {
                schema["properties"][name] = known;
            }
            let version = format!("{}/{}", word(&spec["group"]), word(&version["name"]));
            self.custom.insert((version, word(&spec["names"]["kind"])), schema);
        }
    }

    /// The schema of a kind, without references, refusing fields that it does not know.
    fn of(&self, api: &str, kind: &str) -> Value {
        if let Some(schema) = self.custom.get(&(api.to_owned(), kind.to_owned())) {
            return schema.clone();
        }
        let (group, version) = api.rsplit_once('/').unwrap_or(("", api));
        let wanted = json!([{"group": group, "version": version, "kind": kind}]);
        let found = self.definitions.iter().find(|(_, schema)| schema["x-kubernetes-group-version-kind"] == wanted);
        let (name, schema) = found.unwrap_or_else(|| panic!("the API server knows no {api} {kind}"));
        self.strict(schema, &[name])
    }

    fn strict(&self, schema: &Value, seen: &[&str]) -> Value {
        match schema {
            Value::Array(items) => items.iter().map(|item| self.strict(item, seen)).collect(),
            Value::Object(fields) => self.strict_object(fields, seen),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
        }
    }

    fn strict_object(&self, fields: &Map<String, Value>, seen: &[&str]) -> Value {
        if let Some(name) = fields.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
            // Only the schema of schemas holds itself.
            return if seen.contains(&name) { json!({}) } else { self.strict(&self.definitions[name], &[seen, &[name]].concat()) };
        }
        if fields.get("format").is_some_and(|format| format == "int-or-string") || fields.contains_key("x-kubernetes-int-or-string") {
            return json!({"type": ["string", "integer"]});
        }
        let mut strict = Map::new();
        for (key, value) in fields.iter().filter(|(key, _)| !key.starts_with("x-kubernetes-")) {
            let value = match (key.as_str(), value) {
                // Names of properties may be any word of a schema.
                ("properties", Value::Object(properties)) => {
                    Value::Object(properties.iter().map(|(name, inner)| (name.clone(), self.strict(inner, seen))).collect())
                }
                _ => self.strict(value, seen),
            };
            strict.insert(key.clone(), value);
        }
        let open = fields.contains_key("x-kubernetes-preserve-unknown-fields") || strict.contains_key("additionalProperties");
        if strict.contains_key("properties") && !open {
            strict.insert("additionalProperties".to_owned(), json!(false));
        }
        Value::Object(strict)
    }

    /// Puts a file for each of these objects where kubeconform looks.
    fn write(&self, folder: &Path, objects: &[Value]) {
        let kinds: BTreeSet<(&str, &str)> = objects
            .iter()
            .map(|object| (object["apiVersion"].as_str().expect("a version"), object["kind"].as_str().expect("a kind")))
            .collect();
        for (api, kind) in kinds {
            // kubeconform names files by the first word of a group.
            let (group, version) = api.rsplit_once('/').map_or((None, api), |(group, version)| (group.split('.').next(), version));
            let words: Vec<&str> = [Some(kind), group, Some(version)].into_iter().flatten().collect();
            let file = format!("{}.json", words.join("-").to_lowercase());
            std::fs::write(folder.join(file), self.of(api, kind).to_string()).expect("a schema");
        }
    }
}

fn conform(kubeconform: &Path, schemas: &Path, objects: &[Value]) -> Result<String, String> {
    let stream: Vec<String> = objects.iter().map(|object| serde_yaml::to_string(object).expect("YAML")).collect();
    let mut command = Command::new(kubeconform);
    let place = format!("{}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json", schemas.display());
    command.args(["-strict", "-summary", "-schema-location", &place, "-"]);
    run(command, &stream.join("---\n"))
}

#[test]
fn everything_rendered_is_what_the_api_server_takes() {
    let (Some(helm), Some(kubeconform), Some(schemas)) = (had(programs::helm()), had(programs::kubeconform()), Schemas::read()) else {
        return;
    };
    for (name, values) in SETS {
        for arguments in [&[][..], &["--api-versions", "portolan.dev/v1alpha1/LLMGateway"]] {
            let objects = template(&helm, values, arguments).unwrap_or_else(|said| panic!("{name}: {said}"));
            let folder = tempfile::TempDir::new().expect("a folder");
            schemas.write(folder.path(), &objects);
            let told = conform(&kubeconform, folder.path(), &objects).unwrap_or_else(|said| panic!("{name}: {said}"));
            let all = format!("{} resources found", objects.len());
            assert!(told.contains(&all) && told.contains("Invalid: 0, Errors: 0, Skipped: 0"), "{name}: {told}");
        }
    }
}

#[test]
fn an_unknown_field_and_a_wrong_type_would_be_told() {
    let (Some(kubeconform), Some(schemas)) = (had(programs::kubeconform()), Schemas::read()) else { return };
    let folder = tempfile::TempDir::new().expect("a folder");
    let judged = |yaml: &str| {
        let objects = documents(yaml);
        schemas.write(folder.path(), &objects);
        conform(&kubeconform, folder.path(), &objects)
    };
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: b";
    assert_eq!(judged(&format!("{pod}}}]}}")).err(), None);
    for wrong in [", imagePulPolicy: Always}]}", ", args: x}]}", "}], terminationGracePeriodSeconds: soon}"] {
        assert!(judged(&format!("{pod}{wrong}")).is_err(), "{wrong}");
    }
    let gateway = "apiVersion: portolan.dev/v1alpha1\nkind: LLMGateway\nmetadata: {name: a}\nspec: ";
    assert_eq!(judged(&format!("{gateway}{{replicas: 2}}")).err(), None);
    assert!(judged(&format!("{gateway}{{replica: 2}}")).is_err());
}

#[test]
fn the_examples_are_what_the_definitions_take() {
    let (Some(kubeconform), Some(schemas)) = (had(programs::kubeconform()), Schemas::read()) else { return };
    let folder = tempfile::TempDir::new().expect("a folder");
    for name in ["key.yaml", "providers.yaml", "secrets.yaml"] {
        let objects = documents(&text(&format!("crds/examples/quickstart/{name}")));
        schemas.write(folder.path(), &objects);
        conform(&kubeconform, folder.path(), &objects).unwrap_or_else(|said| panic!("{name}: {said}"));
    }
}
