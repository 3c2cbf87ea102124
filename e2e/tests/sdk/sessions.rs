//! Sessions of the Realtime API, in front of a provider that the gateway plays itself: what SDKs read in them, and that each is
//! in the books.

use std::collections::BTreeSet;

use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::metrics::sum;
use e2e::until;

use crate::program::{self, Sdk};

const CASES: [&str; 6] = [
    "a_session_answers_what_is_said",
    "an_asynchronous_session",
    "a_session_of_the_beta",
    "an_event_that_is_none_is_told_and_the_session_goes_on",
    "a_session_with_an_unknown_model",
    "a_session_with_a_wrong_key",
];

/// Sessions that answer, and tokens of each answer.
const SESSIONS: usize = 4;
const ANSWER_TOKENS: u32 = 30;

/// Runs the program, and looks at what the books say of its sessions.
pub async fn test() {
    let Some(command) = Sdk::OpenAiPython.program("sessions").await else { return };
    let key = folder::key_text(1);
    let provider = format!(
        "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: sim}}\nspec:\n  type: Simulated\n  simulated: {{answerTokens: {ANSWER_TOKENS}}}\n  models: [{{name: talker}}]\n"
    );
    let folder = Folder::with(&(folder::key("k", &key, "") + &provider));
    let gateway = Gateway::start(folder.path(), &[]).await;
    let cases: BTreeSet<String> = CASES.into_iter().map(str::to_owned).collect();
    program::run(command, gateway.listen, &key, &cases).await;
    let receipts = until("each session has a receipt", async || {
        let found: Vec<_> = gateway.receipts().into_iter().filter(|receipt| receipt["outcome"] != "refused").collect();
        (found.len() >= SESSIONS).then_some(found)
    })
    .await;
    assert_eq!(receipts.len(), SESSIONS, "{receipts:?}");
    for receipt in receipts {
        assert_eq!((&receipt["surface"], &receipt["outcome"], &receipt["status"]), (&"realtime".into(), &"answered".into(), &101.into()));
        assert_eq!((&receipt["model_served"], &receipt["usage"]["completion"]), (&"talker".into(), &ANSWER_TOKENS.into()), "{receipt}");
        assert!(receipt["usage"]["prompt"].as_u64() > Some(0), "{receipt}");
    }
    let told = gateway.metrics().await;
    let calls = |outcome: &str| sum(&told, "portolan_calls_total", &["surface=\"realtime\"", outcome]);
    assert_eq!([calls("outcome=\"answered\""), calls("outcome=\"refused\"")], [4.0, 2.0], "{told}");
    let completion = sum(&told, "portolan_tokens_total", &["kind=\"completion\""]);
    assert_eq!(completion, 4.0 * f64::from(ANSWER_TOKENS), "{told}");
    assert_eq!(sum(&told, "portolan_calls_in_flight", &[]), 0.0, "{told}");
}
