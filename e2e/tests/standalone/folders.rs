//! The folder changes under the running process: what is right is served, what is wrong hurts nobody else.

use e2e::client::{Answer, chat, post};
use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::until;

fn simulated(name: &str, model: &str) -> String {
    format!(
        "apiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: {name}}}\nspec: {{type: Simulated, models: [{{name: {model}}}]}}\n"
    )
}

struct House {
    gateway: Gateway,
    folder: Folder,
    key: String,
}

async fn house() -> House {
    let key = folder::key_text(7);
    let folder = Folder::default();
    folder.write("a.yaml", &simulated("a", "model-a"));
    folder.write("b.yaml", &simulated("b", "model-b"));
    folder.write("key.yaml", &folder::key("k", &key, ""));
    let gateway = Gateway::start(folder.path(), &[]).await;
    House { gateway, folder, key }
}

impl House {
    async fn ask(&self, model: &str) -> Answer {
        post(self.gateway.listen, "/v1/chat/completions", &self.key, &chat(model, false)).await
    }

    async fn rejected(&self, name: &str) -> serde_json::Value {
        until("the trouble is told", async || {
            let config = self.gateway.config().await;
            config["rejected"].as_array()?.iter().find(|report| report["name"] == name).cloned()
        })
        .await
    }
}

#[tokio::test]
async fn a_refused_update_goes_on_as_it_was_and_is_told_in_log_metric_and_config() {
    let house = house().await;
    house.folder.write("a.yaml", &simulated("a", "model-a").replace("type: Simulated", "type: Simulated, nonsense: 1"));
    let report = house.rejected("a").await;
    assert_eq!((&report["kind"], &report["served"]), (&"LLMProvider".into(), &true.into()), "{report}");
    assert!(report["message"].as_str().is_some_and(|text| text.contains("nonsense")), "{report}");
    assert_eq!(house.ask("model-a").await.status, 200, "its last accepted form serves");
    assert_eq!(house.ask("model-b").await.status, 200, "its neighbour is not hurt");
    let metrics = house.gateway.metrics().await;
    assert!(metrics.contains("portolan_config_rejected_objects{kind=\"LLMProvider\"} 1"), "{metrics}");
    assert!(house.gateway.log().contains("nonsense"));
    house.folder.write("a.yaml", &simulated("a", "model-a"));
    until("the trouble is over", async || house.gateway.config().await["rejected"].as_array()?.is_empty().then_some(())).await;
    let metrics = house.gateway.metrics().await;
    assert!(!metrics.contains("portolan_config_rejected_objects{kind=\"LLMProvider\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_refused_update_of_a_key_fails_closed() {
    let house = house().await;
    house.folder.write("key.yaml", &folder::key("k", &house.key, "nonsense: 1"));
    assert_eq!(house.rejected("k").await["served"], false);
    assert_eq!(house.ask("model-a").await.code(), "invalid_api_key");
}

#[tokio::test]
async fn a_half_written_file_goes_on_as_it_was() {
    let house = house().await;
    house.folder.write("b.yaml", "apiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {name: b");
    until("the trouble is told", async || (!house.gateway.config().await["rejected"].as_array()?.is_empty()).then_some(())).await;
    assert_eq!(house.ask("model-b").await.status, 200);
    let before = house.gateway.sequence().await;
    house.folder.write("b.yaml", &simulated("b", "model-new"));
    house.gateway.newer_than(before).await;
    assert_eq!(house.ask("model-new").await.status, 200);
}

#[tokio::test]
async fn a_deletion_is_a_deletion() {
    let house = house().await;
    let before = house.gateway.sequence().await;
    house.folder.delete("b.yaml");
    let between = house.gateway.newer_than(before).await;
    assert_eq!(house.ask("model-b").await.code(), "model_not_found");
    house.folder.delete("key.yaml");
    house.gateway.newer_than(between).await;
    assert_eq!(house.ask("model-a").await.code(), "invalid_api_key");
}

#[tokio::test]
async fn a_folder_that_vanishes_leaves_what_is_in_use() {
    let house = house().await;
    let away = house.folder.path().with_extension("away");
    std::fs::rename(house.folder.path(), &away).expect("a rename");
    until("the trouble is told", async || (!house.gateway.config().await["last_error"].is_null()).then_some(())).await;
    assert_eq!(house.ask("model-a").await.status, 200);
    std::fs::rename(&away, house.folder.path()).expect("a rename");
    until("the trouble is over", async || house.gateway.config().await["last_error"].is_null().then_some(())).await;
}

#[tokio::test]
async fn volumes_as_kubernetes_swaps_them_are_followed() {
    let key = folder::key_text(7);
    let folder = Folder::default();
    let at = |name: &str| folder.path().join(name);
    for (version, model) in [("..2026_01", "old"), ("..2026_02", "new")] {
        std::fs::create_dir(at(version)).expect("a folder");
        let text = simulated("a", model) + &folder::key("k", &key, "");
        std::fs::write(at(version).join("all.yaml"), text).expect("a file");
    }
    std::os::unix::fs::symlink("..2026_01", at("..data")).expect("a link");
    std::os::unix::fs::symlink("..data/all.yaml", at("all.yaml")).expect("a link");
    let gateway = Gateway::start(folder.path(), &[]).await;
    assert_eq!(post(gateway.listen, "/v1/chat/completions", &key, &chat("old", false)).await.status, 200);
    std::os::unix::fs::symlink("..2026_02", at("..data_tmp")).expect("a link");
    std::fs::rename(at("..data_tmp"), at("..data")).expect("a swap");
    gateway.newer_than(1).await;
    assert_eq!(post(gateway.listen, "/v1/chat/completions", &key, &chat("new", false)).await.status, 200);
}

#[tokio::test]
async fn a_folder_that_holds_nothing_usable_says_so_at_once() {
    let folder = Folder::with("kind: LLMProvider\napiVersion: portolan.dev/v1alpha1\nmetadata: {name: x}\nspec: {type: Nothing}\n");
    let gateway = Gateway::start(folder.path(), &[]).await;
    assert_eq!(gateway.config().await["rejected"].as_array().map(Vec::len), Some(1));
    assert_eq!(post(gateway.listen, "/v1/chat/completions", "x", &chat("m", false)).await.code(), "invalid_api_key");
}
