//! What runs a gateway: names, rights, pods.
#![expect(clippy::expect_used, clippy::panic, reason = "what fails in a helper fails the test")]

use crds::api::llm_gateway::LLMGatewaySpec;
use operator::render::{Rendered, Subject, Surroundings, objects};
use serde_json::{Value, json};

fn rendered(spec: Value) -> Vec<Rendered> {
    // As the API server would fill it in.
    let spec: LLMGatewaySpec = serde_json::from_value(spec).expect("a spec");
    let around = Surroundings {
        image: "registry.example:5000/portolan:1".to_owned(),
        image_pull_policy: "IfNotPresent",
        operator_namespace: "portolan".to_owned(),
    };
    objects(Subject { namespace: "team", name: "main", uid: "uid-1", spec: &spec, around: &around })
}

fn body<'a>(all: &'a [Rendered], kind: &str) -> &'a Value {
    let found = all.iter().find(|one| one.kind == kind).unwrap_or_else(|| panic!("no {kind}"));
    found.body.as_ref().unwrap_or_else(|| panic!("{kind} must not be"))
}

fn container(all: &[Rendered]) -> &Value {
    &body(all, "Deployment")["spec"]["template"]["spec"]["containers"][0]
}

#[test]
fn every_object_is_the_gateways_and_carries_no_label_of_gitops() {
    for one in rendered(json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 4, "targetCpuPercent": 70}})) {
        let metadata = &one.body.as_ref().expect("all are there")["metadata"];
        assert_eq!(metadata["namespace"], "team", "{}", one.kind);
        assert_eq!(metadata["ownerReferences"][0]["uid"], "uid-1");
        assert_eq!(metadata["ownerReferences"][0]["controller"], true);
        assert!(metadata["labels"].get("app.kubernetes.io/instance").is_none(), "{}", one.kind);
    }
}

#[test]
fn pods_may_read_their_own_bundle_by_name_and_nothing_else() {
    let all = rendered(json!({}));
    let rules = body(&all, "Role")["rules"].as_array().expect("rules");
    assert!(!rules.to_vec().iter().any(|rule| rule.to_string().contains('*')));
    for rule in rules {
        let names = rule["resourceNames"].as_array().expect("names");
        assert!(
            !names.is_empty() && names.iter().all(|name| name.as_str().is_some_and(|name| name.starts_with("main-snapshot"))),
            "{rule}"
        );
        let watched = rule["verbs"].as_array().is_some_and(|verbs| verbs.contains(&json!("watch")));
        assert!(!watched || names == &[json!("main-snapshot")], "only the index is watched: {rule}");
    }
    let verbs = rules.iter().flat_map(|rule| rule["verbs"].as_array().cloned().unwrap_or_default());
    assert!(verbs.into_iter().all(|verb| ["get", "list", "watch"].iter().any(|read| verb == *read)), "nothing is written by a pod");
    let secrets = rules.iter().find(|rule| rule["resources"][0] == "secrets").expect("a rule of Secrets");
    assert_eq!(secrets["resourceNames"].as_array().map(Vec::len), Some(8), "four parts, two slots");
}

#[test]
fn a_pod_is_restricted_and_boots_from_one_volume_of_optional_sources() {
    let all = rendered(json!({}));
    let pod = &body(&all, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    let container = container(&all);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
    let sources = pod["volumes"][0]["projected"]["sources"].as_array().expect("sources");
    assert_eq!(sources.len(), 41, "an index and twenty parts in two slots");
    let optional = |source: &Value| source.as_object().is_some_and(|source| source.values().all(|from| from["optional"] == true));
    assert!(sources.iter().all(optional), "no pod waits for what is not there yet");
    let args: Vec<&str> = container["args"].as_array().expect("args").iter().filter_map(Value::as_str).collect();
    for flag in ["--snapshot-dir", "--last-good-dir", "--watch-api", "--gateway"] {
        assert!(args.contains(&flag), "{flag} in {args:?}");
    }
    assert_eq!(pod["terminationGracePeriodSeconds"], 615);
    let spread: Vec<&Value> =
        pod["topologySpreadConstraints"].as_array().expect("constraints").iter().map(|one| &one["topologyKey"]).collect();
    assert_eq!(spread, ["kubernetes.io/hostname"], "one of zones beside it would spread nothing where nodes have no zone");
    let zones = &pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    assert_eq!(zones["topologyKey"], "topology.kubernetes.io/zone");
    let rolling = &body(&all, "Deployment")["spec"]["strategy"];
    assert_eq!(
        (&rolling["type"], &rolling["rollingUpdate"]["maxUnavailable"]),
        (&json!("RollingUpdate"), &json!(0)),
        "none goes before another is ready"
    );
}

#[test]
fn a_pod_finds_the_seal_without_a_flag_that_an_older_one_would_not_know() {
    let all = rendered(json!({}));
    let pod = &body(&all, "Deployment")["spec"]["template"]["spec"];
    let named = |list: &Value| list.as_array().expect("a list").iter().find(|one| one["name"] == "seal").cloned().expect("a seal");
    assert_eq!(
        named(&pod["volumes"])["secret"],
        json!({ "secretName": "main-seal", "optional": true, "items": [{ "key": "keys", "path": "keys" }] }),
        "no pod waits for it"
    );
    let container = container(&all);
    assert_eq!(named(&container["volumeMounts"])["mountPath"], "/var/run/portolan/seal");
    let env = container["env"].as_array().expect("an environment");
    assert!(env.contains(&json!({ "name": "PORTOLAN_SEAL_FILE", "value": "/var/run/portolan/seal/keys" })), "{env:?}");
    let args = container["args"].to_string();
    assert!(!args.contains("seal"), "{args}");
    for role in all.iter().filter(|one| one.kind == "Role").filter_map(|one| one.body.as_ref()) {
        assert!(!role.to_string().contains("main-seal"), "the kubelet brings it: no pod may ask for it");
    }
}

#[test]
fn replicas_are_said_only_without_an_autoscaler() {
    let fixed = rendered(json!({"replicas": 6}));
    assert_eq!(body(&fixed, "Deployment")["spec"]["replicas"], 6);
    assert!(fixed.iter().any(|one| one.kind == "HorizontalPodAutoscaler" && one.body.is_none()), "one that is there must go");
    let scaled = rendered(json!({"replicas": 6, "autoscaling": {"minReplicas": 6, "maxReplicas": 9, "targetCpuPercent": 50}}));
    assert!(body(&scaled, "Deployment")["spec"].get("replicas").is_none());
    let scaler = &body(&scaled, "HorizontalPodAutoscaler")["spec"];
    assert_eq!((&scaler["minReplicas"], &scaler["maxReplicas"], &scaler["scaleTargetRef"]["name"]), (&json!(6), &json!(9), &json!("main")));
}

#[test]
fn a_version_takes_the_place_of_the_tag_alone() {
    assert_eq!(container(&rendered(json!({})))["image"], "registry.example:5000/portolan:1");
    assert_eq!(container(&rendered(json!({"version": "2.0"})))["image"], "registry.example:5000/portolan:2.0");
}

#[test]
fn the_admin_port_is_for_the_operator_and_those_who_monitor() {
    let all = rendered(json!({"networkAccess": {"monitoringNamespaces": ["prometheus"]}}));
    let ingress = body(&all, "NetworkPolicy")["spec"]["ingress"].as_array().expect("rules");
    let admin = ingress.iter().find(|rule| rule["ports"][0]["port"] == "admin").expect("a rule of the admin port");
    let from = admin["from"].as_array().expect("peers");
    assert_eq!(from.len(), 2);
    assert!(from[0].to_string().contains("\"portolan\"") && from[1].to_string().contains("prometheus"), "{from:?}");
    let clients = ingress.iter().find(|rule| rule["ports"][0]["port"] == "http").expect("a rule of the clients");
    assert!(clients["from"].to_string().contains("\"team\""), "by default its own namespace: {clients}");
}

#[test]
fn what_people_need_is_laid_over_the_template() {
    let all = rendered(json!({"podTemplate": {
        "labels": {"team": "a", "portolan.dev/gateway": "stolen"},
        "tolerations": [{"key": "gpu", "effect": "NoSchedule"}],
        "imagePullSecrets": ["pull"],
        "extraCaConfigMapRef": {"name": "ca", "key": "bundle.pem"},
        "serviceAccountAnnotations": {"cloud/role": "r"},
        "volumes": [{"name": "token", "mountPath": "/var/token", "serviceAccountToken": {"audience": "cloud", "expirationSeconds": 600}}],
    }}));
    let template = &body(&all, "Deployment")["spec"]["template"];
    assert_eq!(template["metadata"]["labels"]["team"], "a");
    assert_eq!(template["metadata"]["labels"]["portolan.dev/gateway"], "main", "the operator's own labels stay");
    assert_eq!(template["spec"]["tolerations"][0]["operator"], "Exists");
    assert_eq!(template["spec"]["imagePullSecrets"][0]["name"], "pull");
    assert_eq!(body(&all, "ServiceAccount")["metadata"]["annotations"]["cloud/role"], "r");
    let args = container(&all)["args"].to_string();
    assert!(args.contains("--extra-ca"), "{args}");
    let mounts = container(&all)["volumeMounts"].as_array().expect("mounts");
    assert!(mounts.iter().any(|mount| mount["mountPath"] == "/var/token" && mount["readOnly"] == true));

    let taken = rendered(json!({"podTemplate": {"volumes": [{"name": "snapshot", "mountPath": "/var/own", "configMap": "own"}]}}));
    let volumes = body(&taken, "Deployment")["spec"]["template"]["spec"]["volumes"].as_array().expect("volumes").clone();
    let ours = volumes.iter().filter(|volume| volume["name"] == "snapshot").collect::<Vec<_>>();
    assert!(ours.len() == 1 && ours[0].get("projected").is_some(), "a volume of people's takes no name of ours: {volumes:?}");
}

#[test]
fn pods_that_are_brought_files_have_neither_token_nor_right() {
    let all = rendered(json!({"delivery": "Files"}));
    let pod = &body(&all, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    let args = container(&all)["args"].to_string();
    assert!(args.contains("--snapshot-dir") && !args.contains("--watch-api"), "{args}");
    for kind in ["Role", "RoleBinding"] {
        assert!(all.iter().any(|one| one.kind == kind && one.body.is_none()), "a {kind} that is there must go");
    }
    let watching = rendered(json!({}));
    assert_eq!(body(&watching, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"], true);
}
