//! One verdict everywhere: of every document of the compiler's table and of the examples the API server, with the committed
//! definitions, says what the compiler says, and `portolan-operator check` says it too. Needs no pods, so any user runs it.
#![expect(clippy::expect_used, clippy::panic, reason = "what fails in a helper fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crds::compile::{Compiled, compile};
use crds::report::{ObjectId, Problem, Verdict};
use crds::schema::Schemas;
use crds::world::World;
use e2e::cluster::Cluster;
use e2e::gateway;
use serde::Deserialize as _;
use serde_json::Value;

const PATH: &str = "/apis/portolan.dev/v1alpha1";

/// An API server with the committed definitions.
struct Server {
    cluster: Cluster,
    client: kube::Client,
    plurals: BTreeMap<String, String>,
}

/// What is said of a document: taken with these defaults, or refused in these words.
type Said = Result<Value, String>;

impl Server {
    async fn start() -> Self {
        let cluster = Cluster::control_plane().await.expect("what a control plane needs");
        let folder = repository().join("crds/manifests");
        cluster.kubectl(&["create", "-f", folder.to_str().expect("a path")]).await;
        cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;
        let plurals = crds::api::definitions().into_iter().map(|each| (each.spec.names.kind, each.spec.names.plural)).collect();
        let server = Self { client: cluster.client(), cluster, plurals };
        server.served().await;
        server
    }

    /// A definition is established moments before its objects can be sent.
    async fn served(&self) {
        for plural in self.plurals.values() {
            let list = format!("{PATH}/{plural}");
            e2e::until("the kind is served", async || self.send("GET", &list, None).await.ok()).await;
        }
    }

    /// Every namespace of the texts that can be.
    async fn make_namespaces(&self, texts: &BTreeSet<String>) {
        for name in texts {
            // A name that cannot be is refused here as its objects are later.
            drop(self.cluster.try_kubectl("", &["create", "namespace", name]).await);
        }
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Said {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = http::Request::builder().method(method).uri(path).header("content-type", "application/json");
        match self.client.request(request.body(body).expect("a request")).await {
            Ok(value) => Ok(value),
            Err(kube::Error::Api(status)) => Err(format!("{} {}", status.code, status.message)),
            Err(other) => panic!("{method} {path}: {other}"),
        }
    }

    fn path(&self, document: &Value) -> String {
        let (kind, namespace, _) = identity(document);
        format!("{PATH}/namespaces/{namespace}/{}", self.plurals[kind])
    }

    /// Its word on a document of ours: on a new object, or on a change of one that is there.
    async fn says(&self, document: &Value) -> Said {
        let (folder, name) = (self.path(document), identity(document).2);
        let said = match self.send("GET", &format!("{folder}/{name}"), None).await {
            Ok(there) if there["kind"] == document["kind"] => {
                let mut change = document.clone();
                change["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"].clone();
                self.send("PUT", &format!("{folder}/{name}?dryRun=All&fieldValidation=Strict"), Some(&change)).await
            }
            Ok(_) | Err(_) => self.send("POST", &format!("{folder}?dryRun=All&fieldValidation=Strict"), Some(document)).await,
        };
        said.map(|object| object["spec"].clone())
    }

    /// Its word on a text in which no object of ours can be read: what kubectl tells a person.
    async fn says_of_text(&self, text: &str) -> Result<(), String> {
        self.cluster.try_kubectl(text, &["create", "--dry-run=server", "-f", "-"]).await.map(drop)
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Kind, namespace and name.
fn identity(document: &Value) -> (&str, &str, &str) {
    let text = |path: &str| document.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let namespace = Some(text("/metadata/namespace")).filter(|name| !name.is_empty()).unwrap_or("default");
    (text("/kind"), namespace, text("/metadata/name"))
}

/// The documents of a text, those of Lists too; what is no YAML ends it.
fn documents(text: &str) -> Vec<Result<Value, String>> {
    let mut all = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        match Value::deserialize(document) {
            Ok(Value::Null) => {}
            Ok(value) if value["kind"] == "List" => all.extend(value["items"].as_array().into_iter().flatten().cloned().map(Ok)),
            Ok(value) => all.push(Ok(value)),
            Err(error) => return all.into_iter().chain([Err(error.to_string())]).collect(),
        }
    }
    all
}

fn is_ours(schemas: &Schemas, document: &Value) -> bool {
    document["apiVersion"] == "portolan.dev/v1alpha1" && schemas.knows(identity(document).0)
}

/// The compiler's word on a document's form: what it refers to is not looked at.
fn compiler_says(schemas: &Schemas, whole: &Compiled, document: &Value) -> (Said, Vec<String>) {
    let (kind, namespace, name) = identity(document);
    let of = |compiled: &Compiled| {
        let is = |id: &ObjectId| id.kind.to_string() == kind && id.namespace == namespace && id.name == name;
        compiled.reports.iter().find(|(id, _)| is(id)).map(|(_, report)| report.verdict.clone())
    };
    let found = match of(whole) {
        // It stands twice; the API server sees it alone.
        Some(Verdict::Refused(Problem::Twice { .. })) | None => {
            of(&compile(&World::parse([("in.yaml", document.to_string().as_str())]), None))
        }
        found => found,
    };
    match found {
        Some(Verdict::Refused(Problem::Invalid(complaints))) => {
            let paths = complaints.iter().map(|complaint| complaint.path.clone()).collect();
            (Err(Problem::Invalid(complaints).message()), paths)
        }
        Some(_) => (schemas.check(kind, &document["spec"], None).map_err(|found| format!("{found:?}")), Vec::new()),
        None => (Err("no report".to_owned()), Vec::new()),
    }
}

/// Where the two differ: in the verdict, in what is wrong, or in the defaults.
fn differences(server: &Said, (compiler, paths): &(Said, Vec<String>)) -> Vec<String> {
    match (server, compiler) {
        (Ok(theirs), Ok(ours)) if theirs == ours => Vec::new(),
        (Ok(theirs), Ok(ours)) => vec![format!("defaults differ:\n    API server {theirs}\n    compiler   {ours}")],
        (Err(theirs), Err(_)) => {
            // A namespace that cannot be is not found.
            let named = |path: &str| theirs.contains(path) || path == "metadata.namespace" && theirs.starts_with("404 namespaces");
            let unnamed = paths.iter().filter(|path| !named(path));
            unnamed.map(|path| format!("the compiler complains of {path}, the API server does not: {theirs}")).collect()
        }
        (Ok(_), Err(ours)) => vec![format!("the API server takes it, the compiler says: {ours}")],
        (Err(theirs), Ok(_)) => vec![format!("the compiler takes it, the API server says: {theirs}")],
    }
}

/// A folder's texts and what stood there before.
struct Case {
    name: String,
    texts: Vec<String>,
    previous: Option<String>,
}

fn cases() -> Vec<Case> {
    let folders = |path: &str| {
        let entries = fs::read_dir(repository().join(path)).expect("a folder").map(|entry| entry.expect("an entry").path());
        let mut folders: Vec<PathBuf> = entries.collect();
        folders.sort();
        folders
    };
    let name = |folder: &Path| folder.file_name().expect("a name").to_string_lossy().into_owned();
    let fixtures = folders("crds/tests/compile").into_iter().map(|folder| Case {
        name: name(&folder),
        texts: vec![fs::read_to_string(folder.join("in.yaml")).expect("in.yaml")],
        previous: fs::read_to_string(folder.join("previous.yaml")).ok(),
    });
    let examples = folders("crds/examples").into_iter().map(|folder| Case {
        name: format!("examples/{}", name(&folder)),
        texts: fs::read_dir(&folder)
            .expect("a folder")
            .map(|file| file.expect("a file").path())
            .filter(|file| file.extension().is_some_and(|extension| extension == "yaml"))
            .map(|file| fs::read_to_string(file).expect("text"))
            .collect(),
        previous: None,
    });
    fixtures.chain(examples).collect()
}

#[tokio::test]
async fn every_fixture_gets_the_same_verdict_from_the_api_server_and_from_the_compiler() {
    let (server, schemas, cases) = (Server::start().await, Schemas::compile(), cases());
    let texts = || cases.iter().flat_map(|case| case.texts.iter().chain(&case.previous));
    let all = texts().flat_map(|text| documents(text)).flatten();
    server.make_namespaces(&all.map(|document| identity(&document).1.to_owned()).collect()).await;
    let (mut told, mut taken, mut refused) = (Vec::new(), 0, 0);
    for case in &cases {
        let mut standing = Vec::new();
        for document in case.previous.iter().flat_map(|text| documents(text)).flatten().filter(|document| is_ours(&schemas, document)) {
            let made = server.send("POST", &server.path(&document), Some(&document)).await;
            made.unwrap_or_else(|said| panic!("{}: previous.yaml is refused: {said}", case.name));
            standing.push(document);
        }
        let previous = case.previous.as_ref().map(|text| compile(&World::parse([("in.yaml", text.as_str())]), None));
        let whole = compile(&World::parse(case.texts.iter().map(|text| ("in.yaml", text.as_str()))), previous.as_ref());
        for document in case.texts.iter().flat_map(|text| documents(text)) {
            let (said, word, shown) = match &document {
                Ok(document) if is_ours(&schemas, document) => {
                    let shown = identity(document);
                    (server.says(document).await, compiler_says(&schemas, &whole, document), format!("{shown:?}"))
                }
                Ok(document) if !document["apiVersion"].as_str().unwrap_or("portolan.dev").starts_with("portolan.dev") => continue,
                // What it is cannot be told; nobody may take it for something.
                unreadable => {
                    let text = unreadable.as_ref().map_or_else(|_| case.texts.concat(), Value::to_string);
                    let ours = compile(&World::parse([("in.yaml", text.as_str())]), None);
                    let problems: Vec<_> = ours.reports.values().filter(|report| report.verdict != Verdict::Accepted).collect();
                    let ours = if problems.is_empty() { Ok(Value::Null) } else { Err(format!("{problems:?}")) };
                    (server.says_of_text(&text).await.map(|()| Value::Null), (ours, Vec::new()), text)
                }
            };
            if said.is_ok() {
                taken += 1
            } else {
                refused += 1
            }
            told.extend(differences(&said, &word).into_iter().map(|what| format!("{}: {shown}: {what}", case.name)));
        }
        for document in standing {
            let path = format!("{}/{}", server.path(&document), identity(&document).2);
            server.send("DELETE", &path, None).await.expect("what was made goes");
        }
    }
    eprintln!("{} folders: {taken} documents taken and {refused} refused by both, with the same defaults and paths", cases.len());
    assert!(told.is_empty(), "{} differences:\n  {}", told.len(), told.join("\n  "));
    assert!(taken >= 100 && refused >= 50, "the table shows something");
}

#[test]
fn every_fixture_gets_the_same_verdict_from_check_and_from_the_compiler() {
    let operator = gateway::binary("portolan-operator");
    let (cases, mut told, mut objects) = (cases(), Vec::new(), 0);
    for case in &cases {
        let folder = tempfile::TempDir::new().expect("a folder");
        let files: Vec<PathBuf> = (0..case.texts.len()).map(|number| folder.path().join(format!("{number}.yaml"))).collect();
        for (file, text) in files.iter().zip(&case.texts) {
            fs::write(file, text).expect("a file");
        }
        let names = files.iter().map(|file| file.display().to_string());
        let texts: Vec<(String, &String)> = names.zip(&case.texts).collect();
        let compiled = compile(&World::parse(texts.iter().map(|(name, text)| (name.as_str(), text.as_str()))), None);
        let output = Command::new(&operator).arg("check").arg(folder.path()).output().expect("the operator starts");
        let (said, wanted) = (String::from_utf8(output.stdout).expect("text"), checked(&compiled));
        let all_well = compiled.reports.values().all(|report| !matches!(report.verdict, Verdict::Refused(_)));
        objects += compiled.reports.len();
        let verdicts: Vec<&str> = said.lines().filter(|line| !line.starts_with(' ') && !line.ends_with(" refused")).collect();
        if verdicts != wanted || output.status.success() != all_well {
            told.push(format!("{}: check ends with {} and says\n{said}", case.name, output.status));
        }
    }
    eprintln!("{} folders: check says of {objects} objects what the compiler says", cases.len());
    assert!(told.is_empty(), "{} differences:\n  {}", told.len(), told.join("\n  "));
}

/// What `check` is to print of each object.
fn checked(compiled: &Compiled) -> Vec<String> {
    let lines = compiled.reports.iter().map(|(id, report)| {
        let (word, problem) = match &report.verdict {
            Verdict::Accepted => ("accepted", None),
            Verdict::Pending(problem) => ("pending", Some(problem)),
            Verdict::Refused(problem) => ("refused", Some(problem)),
        };
        let why = problem.map(|problem| format!(": {}: {}", problem.reason(), problem.message())).unwrap_or_default();
        format!("{word:9} {} {}/{}{why}", id.kind, id.namespace, id.name)
    });
    lines.flat_map(|line| line.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}
