//! A thousand changes of configuration under load: no call fails, and none sees two revisions.
//!
//! The provider `changed` gets, with each change, another model, another credential and another header to show it in. The
//! upstream notes all three for each call; the gateway notes the revision in the call's receipt; the test knows which
//! revision stands for which change.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::client::{Wire, posting};
use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::until;
use e2e::upstream::{self, Asked, Step, Upstream, chat_end, chat_event, chunk, last_chunk, stream_head};

const CHANGES: u32 = 1000;
const WORKERS: u32 = 20;
const CALLS_PER_SECOND: u32 = 300;
const STREAMS: u32 = 50;
const EVENTS: usize = 20;
const EVENT_INTERVAL: Duration = Duration::from_millis(100);

/// Which change a request bears the marks of; `None` when its marks disagree.
fn change_of(asked: &Asked) -> Option<u32> {
    let model: u32 = asked.json()["model"].as_str()?.strip_prefix("m-")?.parse().ok()?;
    let shown = match (asked.header("authorization"), asked.header("x-api-key")) {
        (Some(bearer), None) if model.is_multiple_of(2) => bearer.strip_prefix("Bearer ")?,
        (None, Some(key)) if !model.is_multiple_of(2) => key,
        _ => return None,
    };
    let credential: u32 = shown.strip_prefix("credential-")?.parse().ok()?;
    (credential == model).then_some(model)
}

fn changed(change: u32, up: &Upstream) -> String {
    let header = if change.is_multiple_of(2) { "Bearer" } else { "XAPIKey" };
    format!(
        "apiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: changed}}\nspec:\n  type: OpenAICompatible\n  endpoint: {{url: \"http://{}/v1\", allowInsecure: true}}\n  auth: {{secretRef: {{name: changed, key: apiKey}}, header: {header}}}\n  models: [{{name: moving, upstreamName: m-{change}}}]\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: changed}}\nstringData: {{apiKey: credential-{change}}}\n",
        up.address
    )
}

#[derive(Default)]
struct Tally {
    sent: AtomicU32,
    failures: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl Tally {
    fn body(&self, stream: bool) -> (u32, String) {
        let number = self.sent.fetch_add(1, Relaxed);
        let model = if number.is_multiple_of(2) { "moving" } else { "still" };
        let stream = if stream { ",\"stream\":true" } else { "" };
        (
            number,
            format!("{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}],\"user\":\"call-{number}\"{stream}}}"),
        )
    }

    fn failed(&self, why: String) {
        self.failures.lock().expect("a lock").push(why);
    }
}

/// Which call of the client has which id of the gateway.
type Ids = Arc<Mutex<HashMap<u32, String>>>;

async fn ask_on(wire: &mut Wire, key: &str, tally: &Tally, ids: &Ids, stream: bool) {
    let (number, body) = tally.body(stream);
    wire.send(posting("/v1/chat/completions", key, &body)).await;
    match wire.answer().await {
        Some(answer) if answer.status == 200 && (!stream || answer.text().ends_with("data: [DONE]\n\n")) => {
            ids.lock().expect("a lock").insert(number, answer.call());
        }
        other => tally.failed(format!("call {number}: {:?}", other.map(|answer| (answer.status, answer.text())))),
    }
}

#[tokio::test]
async fn no_call_fails_and_none_sees_two_revisions() {
    let up = Upstream::start(|asked| {
        if !asked.stream() {
            return upstream::json(200, &upstream::chat_answer("m", "hello"));
        }
        let paced = (0..EVENTS).flat_map(|_| [chunk(&chat_event("m", "word")), Step::Pause(EVENT_INTERVAL)]);
        [vec![stream_head()], paced.collect(), vec![chunk(&chat_end("m")), last_chunk()]].concat()
    })
    .await;
    let key = folder::key_text(1);
    let folder = Folder::default();
    folder.write("changed.yaml", &changed(0, &up));
    folder.write("still.yaml", &(folder::provider("quiet", "OpenAICompatible", up.address, &["still"], "") + &folder::key("k", &key, "")));
    let gateway = Gateway::start(folder.path(), &[]).await;
    let (tally, ids) = (Arc::new(Tally::default()), Ids::default());
    let mut load = tokio::task::JoinSet::new();
    for worker in 0..WORKERS + STREAMS {
        let (tally, ids, key, listen) = (tally.clone(), ids.clone(), key.clone(), gateway.listen);
        load.spawn(async move {
            let mut wire = Wire::to(listen).await;
            let stream = worker >= WORKERS;
            let mut pace = tokio::time::interval(Duration::from_secs(1) * WORKERS / CALLS_PER_SECOND);
            while !tally.over.load(Relaxed) {
                if !stream {
                    pace.tick().await;
                }
                ask_on(&mut wire, &key, &tally, &ids, stream).await;
            }
        });
    }
    let mut changes = HashMap::from([(revision(&gateway).await, 0)]);
    let mut sequence = gateway.sequence().await;
    for change in 1..=CHANGES {
        folder.write("changed.yaml", &changed(change, &up));
        sequence = gateway.newer_than(sequence).await;
        changes.insert(revision(&gateway).await, change);
    }
    tally.over.store(true, Relaxed);
    load.join_all().await;
    assert_eq!(*tally.failures.lock().expect("a lock"), Vec::<String>::new());
    assert_eq!(changes.len() as u32, CHANGES + 1, "each change was a revision of its own");

    let ids = ids.lock().expect("a lock").clone();
    let receipts = until("all receipts are written", async || {
        let receipts = gateway.receipts();
        (receipts.len() >= ids.len()).then_some(receipts)
    })
    .await;
    let revisions: HashMap<String, String> = receipts.iter().map(|receipt| (text(&receipt["call"]), text(&receipt["revision"]))).collect();
    let mut moved = 0;
    let mut seen = std::collections::HashSet::new();
    for asked in up.asked() {
        let number: u32 = text(&asked.json()["user"]).trim_start_matches("call-").parse().expect("a number");
        if asked.json()["model"] == "still" {
            continue;
        }
        let revision = &revisions[&ids[&number]];
        let marks = change_of(&asked);
        assert_eq!(marks, changes.get(revision).copied(), "call {number} ran with revision {revision}");
        seen.extend(marks);
        moved += 1;
    }
    assert!(
        moved > 1000 && seen.len() as u32 > CHANGES / 2,
        "{moved} calls went through the changed object, {} changes among them",
        seen.len()
    );
}

async fn revision(gateway: &Gateway) -> String {
    text(&gateway.config().await["revision"])
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().expect("text").to_owned()
}
