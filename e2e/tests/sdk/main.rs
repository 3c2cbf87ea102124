//! What unmodified SDKs see: those of OpenAI for Python and Node and that of Anthropic for Python, in front of a simulated
//! provider and of recorded answers of real ones. The programs are in `e2e/sdk`; each prints a line for each of its cases.
//! A gateway of its own stands before each program, so that its receipts are that program's.
#![expect(clippy::expect_used, clippy::panic, reason = "what fails in a helper of a test fails the test")]

mod install;
mod program;
mod recorded;
mod simulated;

use program::Sdk;

#[tokio::test]
async fn openais_python_sdk_in_front_of_a_simulated_provider() {
    simulated::test(Sdk::OpenAiPython).await;
}

#[tokio::test]
async fn openais_node_sdk_in_front_of_a_simulated_provider() {
    simulated::test(Sdk::OpenAiNode).await;
}

#[tokio::test]
async fn anthropics_python_sdk_in_front_of_a_simulated_provider() {
    simulated::test(Sdk::AnthropicPython).await;
}

#[tokio::test]
async fn openais_python_sdk_reads_recorded_answers_of_both_dialects() {
    recorded::test(Sdk::OpenAiPython).await;
}

#[tokio::test]
async fn openais_node_sdk_reads_recorded_answers_of_both_dialects() {
    recorded::test(Sdk::OpenAiNode).await;
}

#[tokio::test]
async fn anthropics_python_sdk_reads_recorded_answers_of_both_dialects() {
    recorded::test(Sdk::AnthropicPython).await;
}
