//! What unmodified SDKs see: those of OpenAI for Python and Node and that of Anthropic for Python, in front of a simulated
//! provider and of recorded answers of real ones. The programs are in `e2e/sdk`; each prints a line for each of its cases.
//! A gateway of its own stands before each program, so that its receipts are that program's. Frameworks, and SDKs of other
//! gateways, are tried for less and in front of more: see `matrix`.
#![expect(clippy::expect_used, clippy::panic, reason = "what fails in a helper of a test fails the test")]

mod files;
mod install;
mod matrix;
mod papers;
mod program;
mod recorded;
mod sessions;
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

#[tokio::test]
async fn openais_python_sdk_keeps_files() {
    files::test().await;
}

#[tokio::test]
async fn openais_python_sdk_in_sessions() {
    sessions::test().await;
}

#[tokio::test]
async fn openais_python_sdk_in_front_of_five_providers() {
    matrix::test("matrix_openai", matrix::Language::Python).await;
}

#[tokio::test]
async fn anthropics_python_sdk_in_front_of_five_providers() {
    matrix::test("matrix_anthropic", matrix::Language::Python).await;
}

#[tokio::test]
async fn openais_node_sdk_in_front_of_five_providers() {
    matrix::test("matrix_openai", matrix::Language::Node).await;
}

#[tokio::test]
async fn anthropics_node_sdk_in_front_of_five_providers() {
    matrix::test("matrix_anthropic", matrix::Language::Node).await;
}

#[tokio::test]
async fn langchain_for_python_in_front_of_five_providers() {
    matrix::test("matrix_langchain", matrix::Language::Python).await;
}

#[tokio::test]
async fn llamaindex_in_front_of_five_providers() {
    matrix::test("matrix_llamaindex", matrix::Language::Python).await;
}

#[tokio::test]
async fn litellm_in_front_of_five_providers() {
    matrix::test("matrix_litellm", matrix::Language::Python).await;
}

#[tokio::test]
async fn crewai_in_front_of_five_providers() {
    matrix::test("matrix_crewai", matrix::Language::Python).await;
}

#[tokio::test]
async fn autogen_in_front_of_five_providers() {
    matrix::test("matrix_autogen", matrix::Language::Python).await;
}

#[tokio::test]
async fn haystack_in_front_of_five_providers() {
    matrix::test("matrix_haystack", matrix::Language::Python).await;
}

#[tokio::test]
async fn instructor_in_front_of_five_providers() {
    matrix::test("matrix_instructor", matrix::Language::Python).await;
}

#[tokio::test]
async fn pydantic_ai_in_front_of_five_providers() {
    matrix::test("matrix_pydantic_ai", matrix::Language::Python).await;
}

#[tokio::test]
async fn openais_agents_for_python_in_front_of_five_providers() {
    matrix::test("matrix_agents", matrix::Language::Python).await;
}

#[tokio::test]
async fn portkeys_python_sdk_in_front_of_five_providers() {
    matrix::test("matrix_portkey", matrix::Language::Python).await;
}

#[tokio::test]
async fn vercels_ai_sdk_in_front_of_five_providers() {
    matrix::test("matrix_ai", matrix::Language::Node).await;
}

#[tokio::test]
async fn langchain_for_node_in_front_of_five_providers() {
    matrix::test("matrix_langchain", matrix::Language::Node).await;
}

#[tokio::test]
async fn openais_agents_for_node_in_front_of_five_providers() {
    matrix::test("matrix_agents", matrix::Language::Node).await;
}

#[tokio::test]
async fn portkeys_node_sdk_in_front_of_five_providers() {
    matrix::test("matrix_portkey", matrix::Language::Node).await;
}
