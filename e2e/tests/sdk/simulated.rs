//! In front of providers that the gateway plays itself: well, slow, late, limited, locked, breaking off.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::until;
use e2e::upstream::{self, Step, Upstream};
use tokio::sync::watch;

use crate::program::{self, Sdk};

/// Providers with how they behave and the models that they have.
const PROVIDERS: [(&str, &str, &str); 7] = [
    ("sim", "", "chat embed both"),
    ("twin", "", "both"),
    ("paced", "tokenIntervalMilliseconds: 50, answerTokens: 2000", "paced"),
    ("patient", "latencyMilliseconds: 600000", "patient"),
    ("limited", "faults: [{type: Status, status: 429, percent: 100, retryAfterSeconds: 7}]", "limited"),
    ("locked", "faults: [{type: Status, status: 401, percent: 100}]", "locked"),
    ("dropping", "faults: [{type: Drop, afterTokens: 3, percent: 100}]", "dropping"),
];

/// What every program tries.
const CASES: &str = "stream tools_and_their_results streamed_tools models_are_listed a_model_is_retrieved a_wrong_key an_unknown_model \
                     a_bad_request a_provider_that_has_enough a_provider_that_has_enough_for_a_second a_provider_that_is_late \
                     a_client_that_does_not_wait a_stream_that_breaks_off a_stream_that_is_left";

/// What those of OpenAI try besides.
const OPENAI_CASES: &str = "chat each_answer_names_its_call stream_with_usage stream_helper embeddings_of_floats \
                            embeddings_as_the_sdk_asks responses streamed_responses";

impl Sdk {
    fn cases(self) -> BTreeSet<String> {
        let own = match self {
            Self::OpenAiPython => [
                OPENAI_CASES,
                "chat_is_cut_at_the_limit_of_tokens provider_and_model structured_output legacy_completions tools_of_responses",
                "an_ambiguous_model a_provider_that_refuses_the_gateway asynchronous an_asynchronous_stream_that_is_left \
                 a_task_that_is_cancelled",
            ]
            .join(" "),
            Self::OpenAiNode => [OPENAI_CASES, "a_call_that_is_aborted"].join(" "),
            Self::AnthropicPython => "messages messages_are_cut_at_the_limit_of_tokens a_bearer_is_as_good_as_an_api_key \
                                      stream_of_events asynchronous"
                .to_owned(),
        };
        [CASES, &own].iter().flat_map(|names| names.split_whitespace()).map(str::to_owned).collect()
    }

    /// How many streams of the paced provider it leaves.
    fn leaves(self) -> usize {
        match self {
            Self::OpenAiPython | Self::OpenAiNode => 2,
            Self::AnthropicPython => 1,
        }
    }
}

/// Most calls that a program leaves at the scripted provider.
const LEFT_MAX: usize = 4;

/// A provider of scripts. `left-N` answers once N of its calls have been left, `busy` has enough for a second and then is
/// well, `endless` begins a stream and never ends it, and begins nothing where no stream is asked for.
async fn scripted(gates: Vec<watch::Receiver<bool>>) -> Upstream {
    let was_asked = AtomicBool::new(false);
    Upstream::start(move |asked| {
        let body = asked.json();
        let model = body["model"].as_str().unwrap_or_default();
        let well = || upstream::json(200, &upstream::chat_answer(model, "well"));
        if let Some(count) = model.strip_prefix("left-") {
            let gate = &gates[count.parse::<usize>().expect("a number") - 1];
            return [vec![Step::Await(gate.clone())], well()].concat();
        }
        if model == "busy" {
            let enough = b"HTTP/1.1 429 Enough\r\ncontent-type: application/json\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\n{}";
            return if was_asked.swap(true, Ordering::Relaxed) { well() } else { vec![Step::Send(enough.to_vec())] };
        }
        if asked.stream() {
            let event = upstream::chunk(&upstream::chat_event(model, "word "));
            return vec![upstream::stream_head(), event.clone(), event.clone(), event, Step::Hang];
        }
        vec![Step::Hang]
    })
    .await
}

/// Opens a gate whenever the provider sees one more call end early.
async fn watch_the_leaving(upstream: &Upstream, gates: Vec<watch::Sender<bool>>) {
    for (count, gate) in gates.iter().enumerate() {
        while upstream.left() <= count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        gate.send_replace(true);
    }
    std::future::pending().await
}

/// Runs the program, and looks at what the gateway made of the clients that left.
pub async fn test(sdk: Sdk) {
    let Some(command) = sdk.program("simulated").await else { return };
    let hanging = Upstream::start(|_| vec![Step::Hang]).await;
    let (openers, gates) = (0..LEFT_MAX).map(|_| watch::channel(false)).unzip();
    let scripted = scripted(gates).await;
    let key = folder::key_text(1);
    let mut manifests = folder::key("k", &key, "");
    for (name, behaviour, models) in PROVIDERS {
        let models = models.split(' ').map(|model| format!("{{name: {model}}}")).collect::<Vec<_>>().join(", ");
        write!(
            manifests,
            "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: {name}}}\nspec:\n  type: Simulated\n  simulated: {{{behaviour}}}\n  models: [{models}]\n"
        )
        .expect("a string grows");
    }
    manifests += &folder::provider("late", "OpenAICompatible", hanging.address, &["late"], "timeouts: {firstByteMilliseconds: 200}");
    let models: Vec<String> =
        (1..=LEFT_MAX).map(|count| format!("left-{count}")).chain(["busy".to_owned(), "endless".to_owned()]).collect();
    let models: Vec<&str> = models.iter().map(String::as_str).collect();
    manifests += &folder::provider("scripted", "OpenAICompatible", scripted.address, &models, "");
    let folder = Folder::with(&manifests);
    let gateway = Gateway::start(folder.path(), &[]).await;
    let cases = sdk.cases();
    tokio::select! {
        () = program::run(command, gateway.listen, &key, &cases) => {}
        () = watch_the_leaving(&scripted, openers) => {}
    }
    for (model, calls) in [("paced", sdk.leaves()), ("patient", 1), ("endless", scripted.left())] {
        let receipts = until("each call that its client left has a receipt", async || {
            let found: Vec<_> = gateway.receipts().into_iter().filter(|receipt| receipt["model"] == model).collect();
            (found.len() >= calls).then_some(found)
        })
        .await;
        assert_eq!(receipts.len(), calls, "{receipts:?}");
        for receipt in receipts {
            assert_eq!(receipt["outcome"], "client_gone", "{receipt}");
        }
    }
}
